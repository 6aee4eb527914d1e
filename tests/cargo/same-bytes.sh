#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What cargo builds on a view is, byte for byte, what it builds on a plain
# directory of the same path, with each linker, in every mode. (With
# incremental data two builds differ anywhere.) The quick form: one mode.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
TIMEOUT=${LONG:+3600}
TIMEOUT=${TIMEOUT:-900}

linkers() {
	local l
	for l in bfd gold lld mold; do
		if wants "$l" "ld.$l" >&2; then echo $l; fi
	done
}

# build LINKER: everything anew in target/
build_with() {
	rm -rf target/* target/.[!.]* &&
		RUSTFLAGS="-Clink-arg=-fuse-ld=$1" CARGO_INCREMENTAL=0 \
			cargo build -q
}

# The plain build is done in the same place, so that all paths are equal.
golden() {
	local l
	project "$W/ws" && cd "$W/ws" && mkdir target || return
	for l in $LINKERS; do
		build_with "$l" && artifacts target/debug >"$W/golden.$l" || return
	done
	rm -rf target
	cd "$W" || return
}

body() {
	local l
	own_cargo_home
	golden || { nok "the plain build" "$(tail -n 3 "$W"/*.out)" && return; }
	mount_view || { nok "mount" && return; }
	cd "$W/ws" || return
	for l in $LINKERS; do
		check "cargo build with $l" build_with "$l" || continue
		artifacts target/debug >"$W/got"
		check "the same bytes with $l" diff "$W/golden.$l" "$W/got"
		check "the program linked by $l runs" target/debug/leaf
	done
	sleep 5 # by now it is hashed
	artifacts target/debug >"$W/later"
	check "the same bytes later" diff "$W/got" "$W/later"
	cd "$W" || return
	remount_view "$MNT" || nok "mounts again"
	artifacts "$MNT/debug" >"$W/later"
	check "the same bytes after mounting again" diff "$W/got" "$W/later"
	check "unmounts" umount_view
	fsck_store "the store is clean"
}

run() {
	need cc
	cargo_env
	if [ -n "$LONG" ]; then registry_crates; else no_registry_crates; fi
	export LINKERS
	LINKERS=$(linkers 2>"$W/absent" | tr '\n' ' ')
	cat "$W/absent"
	say "linkers: $LINKERS"
	MODES=${LONG:+$(modes_here)}
	MODES=${MODES:-default}
	for_modes body
}
test_main "$@"
