#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Host mode: one mount for all workspaces, by cargo's build.build-dir with its
# {workspace-path-hash}, and by build.target-dir.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
TIMEOUT=600

build_in() { (cd "$1" && cargo build "${@:2}"); }

body() {
	local i
	own_cargo_home
	for i in 1 2; do
		project "$W/ws$i" || { nok "make the project" && return; }
	done
	mount_view "$W/host" --host || { nok "mount --host" && return; }
	export CARGO_BUILD_BUILD_DIR="$MNT/{workspace-path-hash}"
	check "cargo build with a build-dir on the host mount" build_in "$W/ws1"
	check "in another workspace" build_in "$W/ws2"
	check "the program is there" "$W/ws1/target/debug/leaf"
	is "$(find "$MNT" -mindepth 2 -maxdepth 2 -type d | wc -l)" 2 \
		"each workspace has a view"
	is "$("$TARGETFS" views --store "$(store_dir)" --json | jq -r '.views[].name' |
		sort)" "$(cd "$MNT" && find . -mindepth 2 -maxdepth 2 -printf '%P\n' |
		sort)" "of the name that cargo gives it"
	cd "$W/ws1" || return
	fresh "nothing to do" build
	touch leaf/src/lib.rs
	compiled "touch recompiles one crate" "leaf" build
	cd "$W" || return
	unset CARGO_BUILD_BUILD_DIR
	export CARGO_TARGET_DIR=$MNT/by-target-dir
	check "cargo build with a target-dir on the host mount" build_in "$W/ws1"
	check "cargo clean there" sh -c "cd '$W/ws1' && cargo clean"
	check "cargo build after it" build_in "$W/ws1"
	mv "$MNT/by-target-dir" "$MNT/renamed" &&
		check "a view has another name" test -d "$MNT/renamed/debug"
	export CARGO_TARGET_DIR=$MNT/renamed
	remount_view "$MNT" --host || nok "mounts again"
	cd "$W/ws1" || return
	check "cargo build after mounting again" cargo build
	fresh "nothing to do after mounting again" build
	cd "$W" || return
	check "rm -rf of a view" rm -rf "$MNT/renamed"
	check "it is gone" test ! -e "$MNT/renamed"
	check "unmounts" umount_view
	fsck_store "the store is clean"
}

run() {
	[ -z "$PLAIN" ] || skip_all "of a view only"
	need cc jq
	cargo_env
	if [ -n "$LONG" ]; then registry_crates; else no_registry_crates; fi
	MODES=${LONG:+$(modes_here)}
	MODES=${MODES:-default}
	for_modes body
}
test_main "$@"
