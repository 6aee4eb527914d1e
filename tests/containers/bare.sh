#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# bare.sh [bookworm|trixie]...: `./bootstrap demo' on a Debian that has nothing
# but a checkout: debootstrap's minimal system in a container with /dev/fuse.
# Without arguments: both. Needs root, docker and the network; TAP.
#
#	VERB=check bare.sh trixie	another verb of ./bootstrap
#	KEEP=1			leave the container, to look around in it
#
# The base systems are kept in $XDG_CACHE_HOME (or /var/tmp)/targetfs-bare and
# made again after 30 days. bookworm gets the host's Rust toolchain, where there
# is one, and trixie Debian's.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
cache=${XDG_CACHE_HOME:-/var/tmp}/targetfs-bare
verb=${VERB:-demo}
limit=${LIMIT:-3600}	# seconds, for one suite
[ $# -gt 0 ] || set -- bookworm trixie

skip_all() {
	echo "1..0 # SKIP $1"
	exit 77
}

[ "$(id -u)" -eq 0 ] || skip_all "debootstrap needs root"
[ -c /dev/fuse ] || skip_all "no /dev/fuse"
for tool in docker debootstrap tar; do
	command -v "$tool" >/dev/null || skip_all "no $tool"
done
docker info >/dev/null 2>&1 || skip_all "the docker daemon does not answer"

# Where this host gets Debian from; any of its suites is at the same place.
# shellcheck disable=SC2016 # apt's variables
mirror=$(apt-get indextargets --format '$(LABEL)|$(REPO_URI)' 'Created-By: Packages' |
	sed -n 's/^Debian|//p' | sed 1q)
[ -n "$mirror" ] || skip_all "apt knows no Debian mirror here (apt-get update?)"

work=$(mktemp -d "${TMPDIR:-/tmp}/bare.XXXXXX")
container=
cleanup() {
	[ -z "$container" ] || [ -n "${KEEP:-}" ] || docker rm -f "$container" >/dev/null 2>&1 || true
	rm -rf "$work"
}
trap cleanup EXIT

# base SUITE: the image targetfs-bare:SUITE, made when missing or old.
base() {
	local suite=$1 tar=$cache/$1.tar
	mkdir -p "$cache"
	if [ -z "$(find "$tar" -mtime -30 2>/dev/null)" ]; then
		debootstrap --variant=minbase "$suite" "$work/$suite" "$mirror" \
			>"$work/debootstrap.log" || { tail -n 20 "$work/debootstrap.log"; return 1; }
		# How this host reaches the mirror: proxies, and what it trusts.
		apt-config dump 2>/dev/null | grep '^Acquire::' |
			grep -v '^Acquire::\(Languages\|Changelogs\|CompressionTypes\|IndexTargets\)' \
				>"$work/$suite/etc/apt/apt.conf.d/50host" || true
		rm -rf "$work/$suite"/var/cache/apt/archives/*.deb "$work/$suite"/var/lib/apt/lists/*
		tar -C "$work/$suite" -cf "$tar.new" . || return
		mv "$tar.new" "$tar"
		rm -rf "${work:?}/$suite"
		docker rmi "targetfs-bare:$suite" >/dev/null 2>&1 || true
	fi
	docker image inspect "targetfs-bare:$suite" >/dev/null 2>&1 ||
		docker import "$tar" "targetfs-bare:$suite" >/dev/null
}

# The files of the checkout as a tar: what git knows or would add, else all.
checkout() {
	if git -C "$top" rev-parse >/dev/null 2>&1; then
		git -C "$top" ls-files -z --cached --others --exclude-standard |
			(cd "$top" && while IFS= read -r -d '' f; do
				[ ! -e "$f" ] && [ ! -L "$f" ] || printf '%s\0' "$f"
			done) | tar -C "$top" --null -T - --no-recursion -cf -
	else
		tar -C "$top" --exclude=./build --exclude=./.git -cf - .
	fi
}

# in_bare SUITE: 0 when the verb succeeds there.
in_bare() {
	local suite=$1 cargo=${CARGO_HOME:-$HOME/.cargo} rustup=${RUSTUP_HOME:-$HOME/.rustup} v
	local -a opts=(--init --device /dev/fuse --cap-add SYS_ADMIN -w /src/targetfs)
	local path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	! docker info 2>/dev/null | grep -w apparmor >/dev/null ||
		opts+=(--security-opt apparmor=unconfined)
	for v in http_proxy https_proxy no_proxy; do
		[ -z "${!v:-}" ] || opts+=(-e "$v=${!v}")
	done
	if [ -r /etc/ssl/certs/ca-certificates.crt ]; then
		opts+=(-v /etc/ssl/certs/ca-certificates.crt:/run/host-ca.crt:ro
			-e SSL_CERT_FILE=/run/host-ca.crt -e CARGO_HTTP_CAINFO=/run/host-ca.crt)
	fi
	if [ "$suite" = bookworm ] && [ -x "$cargo/bin/rustup" ] && [ -d "$rustup" ]; then
		opts+=(-v "$cargo/bin:/opt/cargo/bin:ro" -v "$rustup:/opt/rustup:ro"
			-e RUSTUP_HOME=/opt/rustup -e RUSTUP_AUTO_INSTALL=0)
		path=/opt/cargo/bin:$path
	fi
	container=$(docker create "${opts[@]}" -e "PATH=$path" -e HOME=/root \
		"targetfs-bare:$suite" ./bootstrap "$verb") || return
	mkdir -p "$work/src/targetfs"
	checkout | tar -C "$work/src/targetfs" -xf - || return
	docker cp "$work/src" "$container:/" || return
	rm -rf "$work/src"
	timeout "$limit" docker start -a "$container"
}

echo "1..$#"
number=0 failures=0
for suite in "$@"; do
	number=$((number + 1)) t0=$SECONDS r=0
	log=$work/$suite.log
	{ base "$suite" && in_bare "$suite"; } >"$log" 2>&1 </dev/null || r=$?
	sed 's/^/# /' "$log"
	if [ $r -eq 0 ]; then
		echo "ok $number - ./bootstrap $verb on bare $suite, $((SECONDS - t0)) s"
	else
		echo "not ok $number - ./bootstrap $verb on bare $suite (status $r, $((SECONDS - t0)) s)"
		failures=$((failures + 1))
	fi
	[ -z "$container" ] || [ -n "${KEEP:-}" ] || docker rm -f "$container" >/dev/null 2>&1 || true
	container=
done
[ $failures -eq 0 ]
