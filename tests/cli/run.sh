#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# run: finds the workspace, mounts its view, and never keeps a build from
# running.
. "$(dirname "$0")/lib.sh"

# in_dir DIR ARG...: tf there
in_dir() {
	local dir=$1 back=$PWD
	shift
	cd "$dir" || return
	tf "$@"
	cd "$back" || return
}

test_build() {
	local ws=$W/project
	make_project "$ws"
	in_dir "$ws" run -- cargo build -v
	is "$RC" 0 "run -- cargo build"
	cp "$W/err" "$W/log"
	MOUNTS+=("$ws/target")
	check "target is a view" is_view "$ws/target"
	is "$(units_built "$W/log")" 2 "that cargo built into"
	is "$("$ws/target/debug/app")" works "and the program works"
	in_dir "$ws/util/src" run cargo build -v
	is "$RC" 0 "run from below the workspace, without --"
	is "$(units_built "$W/err")" 0 "finds everything fresh"
	is "$(ls "$ws/util")" "$(printf 'Cargo.toml\nsrc')" "in the same view"
	in_dir "$W" run -- cargo build -v --manifest-path "$ws/util/Cargo.toml"
	is "$RC" 0 "run with --manifest-path"
	is "$(units_built "$W/err")" 0 "finds the same view"
	in_dir "$ws" run -- cargo run -q
	prints "run -- cargo run" works
	tf umount "$ws/target"
	in_dir "$ws" run -- cargo build -v
	is "$(units_built "$W/err")" 0 "and all of it is there after a remount"
}

test_status() {
	local ws=$W/project s
	for s in 0 1 101 42; do
		in_dir "$ws" run -- sh -c "exit $s"
		is "$RC" $s "the command's status $s is passed on"
	done
	in_dir "$ws" run -- sh -c 'kill -TERM $$'
	is "$RC" 143 "so is a signal"
	in_dir "$ws" run -- no-such-command
	is "$RC" 127 "a command that is not there"
	says "is named" "'no-such-command'"
	in_dir "$ws" run -- "$ws/Cargo.toml"
	is "$RC" 126 "a command that cannot be run"
	in_dir "$ws" run -- printf '%s|' a 'b c' '' --json
	is "$(cat "$W/out")" "a|b c||--json|" "the arguments arrive as they are"
	echo input | (cd "$ws" && "$TARGETFS" run -- cat) >"$W/out" 2>"$W/err"
	is "$(cat "$W/out")" input "so does standard input"
	in_dir "$ws" run -o fast -- true
	is "$RC" 125 "an unknown option of -o"
}

test_clean() {
	local ws=$W/project
	in_dir "$ws" run -- cargo build
	in_dir "$ws" run -- cargo clean -p util
	is "$RC" 0 "cargo clean -p is cargo's own"
	is "$("$ws/target/debug/app")" works "and removes only that"
	in_dir "$ws" run -- cargo clean --dry-run
	is "$RC" 0 "so is --dry-run"
	check "which removes nothing" test -e "$ws/target/debug/app"
	in_dir "$ws" run -- cargo clean
	is "$RC" 0 "cargo clean"
	says "says what it removed" "removed"
	is "$(ls -A "$ws/target")" "" "empties the view"
	check "and leaves it mounted" is_view "$ws/target"
	in_dir "$ws" run -- cargo clean
	is "$RC" 0 "cargo clean of nothing"
	in_dir "$ws" run -- cargo build -v
	is "$(units_built "$W/err")" 2 "then cargo builds anew"
	in_dir "$ws" run -- cargo -q clean
	is "$RC $(cat "$W/err")" "0 " "cargo -q clean is quiet"
	is "$(ls -A "$ws/target")" "" "and cleans"
	in_dir "$ws" run -- cargo build --release -q
	in_dir "$ws" run -- cargo clean --release
	is "$RC" 0 "cargo clean --release is cargo's own"
	mkdir -p "$ws/target/a/b" && chmod 500 "$ws/target/a"
	ln -s "$ws/src" "$ws/target/a/link" 2>/dev/null || true
	in_dir "$ws" run -- cargo clean --color never --locked
	is "$RC" 0 "cargo clean with harmless options"
	check "does not follow symbolic links" test -e "$ws/src/main.rs"
}

test_target_dir() {
	local ws=$W/elsewhere
	make_project "$ws"
	export CARGO_TARGET_DIR=$W/tdir/a
	in_dir "$ws" run -- cargo build -q
	is "$RC" 0 "with CARGO_TARGET_DIR"
	MOUNTS+=("$W/tdir/a")
	check "that is the view" is_view "$W/tdir/a"
	check "which cargo uses" test -x "$W/tdir/a/debug/app"
	tf umount "$W/tdir/a"
	CARGO_TARGET_DIR=rel in_dir "$ws/util" run -- cargo build -q
	check "a relative one" is_view "$ws/util/rel"
	tf umount "$ws/util/rel"
	rmdir "$ws/util/rel"
	unset CARGO_TARGET_DIR
	CARGO_BUILD_TARGET_DIR=$W/tdir/b in_dir "$ws" run -- cargo build -q
	check "with CARGO_BUILD_TARGET_DIR" is_view "$W/tdir/b"
	tf umount "$W/tdir/b"
	in_dir "$ws" run -- cargo build -q --target-dir "$W/tdir/c"
	check "with --target-dir" is_view "$W/tdir/c"
	tf umount "$W/tdir/c"
	[ ! -e "$ws/target" ]
	is $? 0 "target was not made by any of them"
}

# Whatever is wrong, the command runs.
test_degraded() {
	local ws=$W/plain
	make_project "$ws"
	(cd "$ws" && cargo build -q)
	in_dir "$ws" run -- cargo build
	is "$RC" 0 "with a plain target that is full"
	says "run offers --import" "mount --import $ws/target"
	says "and says that it goes on" "going on without a view"
	! is_view "$ws/target"
	is $? 0 "without a view"
	rm -rf "$ws/target"
	touch "$W/nostore"
	in_dir "$ws" run --store "$W/nostore" -- cargo build
	is "$RC" 0 "with a store that cannot be"
	says "run warns" "going on without a view"
	check "and the build is there" test -x "$ws/target/debug/app"
	rm -rf "$ws/target"
	unshare --mount --propagation private bash -c '
		mkdir "$3/dev0"; mknod -m 666 "$3/dev0/null" c 1 3
		mknod -m 666 "$3/dev0/urandom" c 1 9
		mount --bind "$3/dev0" /dev; cd "$2" &&
		exec "$1" run -- cargo build' - "$TARGETFS" "$ws" "$W" 2>"$W/err"
	is $? 0 "without /dev/fuse"
	says "run says so" "no /dev/fuse"
	mkdir -p "$W/nowhere"
	in_dir "$W/nowhere" run -- echo ran
	is "$RC" 0 "outside of a project"
	prints "the command runs" ran
	says "after a warning" "no cargo project"
	rm -rf "$ws/target"
	mkdir -p "$W/bin"
	ln -sf "$(command -v timeout)" "$(command -v ls)" "$W/bin"
	PATH=$W/bin CARGO=/none in_dir "$ws/src" run -- ls "$ws/target"
	is "$RC" 0 "without cargo"
	check "the nearest Cargo.toml says where" is_view "$ws/target"
	tf umount "$ws/target"
}

test_together() {
	local ws=$W/together i rc=0 pids=()
	make_project "$ws"
	for i in 1 2 3 4 5; do
		(cd "$ws" && exec "$TARGETFS" run -- cargo build -q) >"$W/t$i" 2>&1 &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i" || rc=$?; done
	is $rc 0 "several at once end well"
	MOUNTS+=("$ws/target")
	is "$(cat "$W"/t? | grep -c 'without a view')" 0 "and all in the view"
	is "$(grep -c " $ws/target " /proc/self/mountinfo)" 1 "which is one"
	is "$("$ws/target/debug/app")" works "and the program works"
	tf views --json
	kill -9 "$(jq -r ".views[] | select(.workspace == \"$ws\") | .mounted.pid" "$W/out")"
	sleep 0.3
	in_dir "$ws" run -- cargo build
	is "$RC" 0 "after the daemon died"
	says "run mounts again" "whose daemon had died"
	is "$("$ws/target/debug/app")" works "and the program works"
	tf umount "$ws/target"
}

run() {
	need_root
	need_cargo
	need jq
	export TARGETFS_STORE=$W/store
	test_build
	test_status
	test_clean
	tf umount "$W/project/target"
	test_target_dir
	test_degraded
	test_together
	gives 0 "fsck" fsck --read-data
}

test_main "$@"
