# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the scripts share that run other people's suites, on top of ../lib.sh.
# Suites that are crates are built once into $CACHE/tools by cargo's own
# client; the others are packages of the system.

if [ -z "${RUST_SYSROOT:-}" ]; then
	RUST_SYSROOT=$(rustc --print sysroot 2>/dev/null)
	export RUST_SYSROOT
fi
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# crate_tool NAME VERSION: sets TOOL
crate_tool() {
	export TOOL=$W/$1
	local built=$CACHE/tools/bin/$1
	mkdir -p "$CACHE"
	(
		flock 9
		[ -x "$built" ] && exit
		[ -x "$RUST_SYSROOT/bin/cargo" ] || exit
		PATH=$RUST_SYSROOT/bin:$PATH CARGO_HOME=$CACHE/cargo-home \
			nice timeout 1200 cargo install -q --root "$CACHE/tools" \
			--locked "$1@$2"
	) 9>"$CACHE/lock" >"$W/install.log" 2>&1
	[ -x "$built" ] ||
		skip_all "no $1 and no way to build it ($(tail -n 1 "$W/install.log"))"
	cp "$built" "$TOOL" && chmod 755 "$TOOL"
}

# begin: a mounted view with a directory D in it that anybody may enter. The
# path is short: the suites make unix sockets, whose names have 107 bytes.
begin() {
	mkdir -p "$W/s"
	mount_view "$W/s/t" || { nok "mount" && return 1; }
	chmod 755 "$MNT"
	D=$MNT/d
	mkdir -p "$D" && chmod 755 "$D"
}

# end NAME: the view and its store after it
end() {
	rm -rf --one-file-system "$D"
	check "$1: unmounts" umount_view
	fsck_store "$1: the store is clean"
}
