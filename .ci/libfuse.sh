# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # variables shared with bootstrap
#
# Sourced by ../bootstrap: set_up_libfuse chooses the libfuse to build with.
#
# Where the system's libfuse is too old, the source package of a newer suite
# of the same distribution is built as a static library. It is fetched and
# verified by apt, from the system's own mirror and with the distribution's
# own keyring, but with lists and caches of its own: the system's package
# state is neither used nor changed.

# Is the libfuse that pkg-config finds new enough, and built with io_uring?
# The answer of configure's own probe counts; this one is its short form.
fuse_complete() {
	local lib
	pkg-config --exists "fuse3 >= $fuse_wanted" || return
	lib=$(pkg-config --variable=libdir fuse3)
	if [ -e "$lib/libfuse3.so" ]; then
		readelf -d "$lib/libfuse3.so" | grep 'NEEDED.*liburing' >/dev/null
	else
		nm "$lib/libfuse3.a" 2>/dev/null | grep ' T fuse_uring_start$' >/dev/null
	fi
}

# The base addresses of the distribution's archive, as apt is configured.
mirrors() {
	local label=$1 found
	# shellcheck disable=SC2016 # apt's variables
	found=$(apt-get indextargets --format '$(LABEL)|$(REPO_URI)' \
		'Created-By: Packages' 2>/dev/null | sed -n "s/^$label|//p")
	[ -n "$found" ] || found=$(apt-get --print-uris update 2>/dev/null |
		sed -n "s|^'\(.*/${label,}/*\)/dists/.*/InRelease' .*|\1|p")
	grep -v '^cdrom:' <<<"$found" | awk 'NF && !seen[$0]++'
}

# private_apt URI SUITE KEYRING: an apt.conf on stdout, its files in $deps/apt.
private_apt() {
	local d=$deps/apt
	rm -rf "$d"
	mkdir -p "$d/lists/partial" "$d/cache/archives/partial"
	cat >"$d/newer.sources" <<-TXT
	Types: deb-src
	URIs: $1
	Suites: $2
	Components: main
	Signed-By: $3
	TXT
	cat >"$d/apt.conf" <<-TXT
	#clear APT::Update::Pre-Invoke;
	#clear APT::Update::Post-Invoke;
	#clear APT::Update::Post-Invoke-Success;
	Dir::Etc::SourceList "$d/newer.sources";
	Dir::Etc::SourceParts "/dev/null";
	Dir::State::Lists "$d/lists";
	Dir::Cache "$d/cache";
	APT::Sandbox::User "root";
	Acquire::Languages "none";
	Acquire::Retries "2";
	TXT
}

# Leaves the extracted source of a new enough libfuse in $deps/src/fuse3.
fetch_libfuse() (
	for tool in dpkg-source meson ninja; do
		command -v $tool >/dev/null || { say "$tool is missing"; return 1; }
	done
	case $(os_release ID) in
	debian) label=Debian keyring=debian suites="testing unstable" ;;
	ubuntu) label=Ubuntu keyring=ubuntu suites="resolute devel" ;;
	*) say "no newer suites are known for $(os_release ID)"; return 1 ;;
	esac
	keyring=/usr/share/keyrings/$keyring-archive-keyring.gpg
	[ -r "$keyring" ] || { say "$keyring is missing"; return 1; }
	for uri in $(mirrors "$label"); do
		for suite in $suites; do
			say "== $suite of $uri"
			private_apt "$uri" "$suite" "$keyring"
			apt-get -c "$deps/apt/apt.conf" update || continue
			version=$(apt-cache -c "$deps/apt/apt.conf" showsrc \
				--only-source fuse3 | sed -n 's/^Version: //p' |
				sort -V | tail -n 1)
			say "fuse3 there: ${version:-none}"
			[ -n "$version" ] || continue
			dpkg --compare-versions "$version" ge "$fuse_wanted" || continue
			rm -rf "$deps/src"
			mkdir -p "$deps/src" && cd "$deps/src" || return
			apt-get -c "$deps/apt/apt.conf" source --download-only \
				--only-source "fuse3=$version" || continue
			dpkg-source -x ./fuse3_*.dsc fuse3 || continue
			rm -rf "$deps/apt/lists"
			return 0
		done
	done
	say "no fuse3 >= $fuse_wanted could be had from this system's mirrors"
	return 1
)

# fusermount3 is setuid and stays the system's: bindir says where it is.
build_libfuse() {
	local src=$deps/src/fuse3 out=$deps/libfuse
	rm -rf "$out" "$src/build"
	meson setup "$src/build" "$src" --prefix="$out" --libdir=lib \
		--bindir=/usr/bin --sysconfdir=/etc --buildtype=debugoptimized \
		-Ddefault_library=static -Dpkgconfig.relocatable=true \
		-Dutils=false -Dexamples=false -Dtests=false -Duseroot=false \
		-Dinitscriptdir= -Denable-io-uring=true &&
		ninja -C "$src/build" -j "$jobs" &&
		meson install -C "$src/build" --no-rebuild &&
		PKG_CONFIG_PATH=$out/lib/pkgconfig fuse_complete
}

# Sets PKG_CONFIG_PATH and fuse_from, the libfuse that the builds will use.
set_up_libfuse() {
	local stamp=$deps/libfuse/.stamp key
	fuse_from=system
	[ "$system_libfuse" = no ] || return 0
	! fuse_complete || return 0
	key="recipe $fuse_recipe, $(os_version), liburing $(pkg-config \
		--modversion liburing 2>/dev/null || echo none)"
	if [ "$(cat "$stamp" 2>/dev/null)" != "$key" ]; then
		mkdir -p "$deps"
		if run "libfuse: newer source package" fetch_libfuse &&
			run "libfuse: static library" build_libfuse; then
			printf '%s\n' "$key" >"$stamp"
		else
			rm -rf "$deps/libfuse"
			fuse_from=fallback
			warn "using the system's libfuse $(pkg-config --modversion fuse3 2>/dev/null ||
				echo '(none)'): slower, no io_uring, and no passthrough below 3.17"
			return 0
		fi
	fi
	fuse_from=$deps/libfuse
	system_pkg_config_path=${PKG_CONFIG_PATH:-}
	export PKG_CONFIG_PATH=$deps/libfuse/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
}
