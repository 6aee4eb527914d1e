#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The daemon is killed in the middle of cargo builds, at random moments and at
# its k-th call of fsync, rename, pwrite ...; then the view is mounted again
# and the build repeated. The rebuild must end well and give what a build on a
# plain directory gives, byte for byte; what cargo thinks fresh must be right;
# fsck must find nothing.
#	kill9.sh [ROUNDS [SEED]]
# shellcheck source-path=SCRIPTDIR source=../cargo/lib.sh
. "$(dirname "$0")/../cargo/lib.sh"
TIMEOUT=${LONG:+7200}
TIMEOUT=${TIMEOUT:-600}
ROUNDS=${1:-${LONG:+60}}
ROUNDS=${ROUNDS:-4}
SEED=${2:-42}
CRATES=${LONG:+20}
CRATES=${CRATES:-10}

cargo_build() { (cd "$W/ws" && timeout 300 cargo build -q); }

# A build on a plain directory in the view's place: what must come out.
golden() {
	local t0
	"$TESTS/crash/workspace.sh" "$W/ws" "$CRATES"
	t0=$(date +%s%N)
	cargo_build || return
	MSEC=$((($(date +%s%N) - t0) / 1000000))
	artifacts "$W/ws/target/debug" >"$W/golden"
	PRINTS=$("$W/ws/target/debug/app")
	rm -rf "$W/ws/target"
}

edit() { # CRATE VALUE
	sed -i "s/^pub const MARK: .*/pub const MARK: u64 = $2;/" \
		"$W/ws/c$1/src/lib.rs"
}

# judge NAME: the view after a crash, mounted again; it is unmounted then
judge() {
	local why=
	mount_view || { nok "$1" "does not mount" && return; }
	cargo_build >"$W/rebuild.out" 2>&1 ||
		why="rebuild: $(head -n 5 "$W/rebuild.out")"
	artifacts "$MNT/debug" >"$W/got" 2>&1
	cmp -s "$W/golden" "$W/got" ||
		why="$why; wrong bytes: $(diff "$W/golden" "$W/got" | head -n 4)"
	[ "$("$MNT/debug/app" 2>&1)" = "$PRINTS" ] || why="$why; wrong behaviour"
	(cd "$W/ws" && cargo build -v 2>&1) |
		grep -qE '^ +(Compiling|Dirty)' && why="$why; not fresh"
	umount_view || why="$why; does not unmount"
	timeout 120 "$TARGETFS" fsck --store "$(store_dir)" --read-data \
		>"$W/fsck.out" 2>&1 || why="$why; fsck: $(tail -n 3 "$W/fsck.out")"
	if [ -z "$why" ]; then ok "$1"; else nok "$1" "$why"; fi
}

empty_view() {
	rm -rf "${MNT:?}"/* "$MNT"/.[!.]*
	# half of the time the emptiness is committed before the build
	[ $((RANDOM % 2)) = 0 ] || sync "$MNT"
}

at_random() {
	local round build when
	RANDOM=$SEED
	for ((round = 1; round <= ROUNDS; round++)); do
		mount_view || { nok "mount" && return; }
		case $((RANDOM % 3)) in
		0 | 1) empty_view ;;
		2) # an edit and its way back: the golden bytes come again
			edit $((RANDOM % CRATES)) 99
			cargo_build >/dev/null 2>&1
			git -C "$W/ws" checkout -q . 2>/dev/null
			;;
		esac
		when=$((RANDOM * 32768 + RANDOM))
		when=$((when % (MSEC * 12 / 10 + 100)))
		cargo_build >"$W/build.out" 2>&1 &
		build=$!
		sleep "$((when / 1000)).$(printf '%03d' $((when % 1000)))"
		kill_view "$MNT" || nok "kill the daemon"
		wait "$build"
		detach "$MNT"
		judge "seed $SEED, round $round: killed after $when ms"
	done
}

# The injected signal has come, and nobody else has sent one yet.
was_struck() {
	local i
	for ((i = 0; i < 20; i++)); do
		grep -q 'killed by SIGKILL' "$W/strace" && return
		sleep 0.05
	done
	return 1
}

# At the k-th call of one kind that a thread of the daemon makes in the build.
at_call() { # CALLS K
	mount_view || { nok "mount" && return; }
	inject_into "$MNT" "$1" "signal=KILL:when=$2"
	timeout 20 rm -rf "${MNT:?}"/debug "$MNT"/.[!.]* 2>/dev/null
	cargo_build >"$W/build.out" 2>&1
	sync "$MNT" 2>/dev/null
	was_struck
	local struck=$?
	kill_view "$MNT" >/dev/null
	detach "$MNT"
	inject_end
	if [ $struck = 0 ]; then
		judge "killed at call $2 of $1"
	else
		skip "killed at call $2 of $1" "it made no such call"
	fi
}

# While the store is made, where names come by rename, and at the first mount:
# what is left is no store yet, or a whole one.
at_first_mount() { # CALLS K
	local name="killed at call $2 of $1 in the first mount" why=''
	local STORE=$W/first
	rm -rf "$STORE"
	mount_injected "$1" "signal=KILL:when=$2"
	was_struck
	local struck=$?
	kill_view "$MNT" >/dev/null
	inject_end
	! is_view "$MNT" || detach "$MNT"
	if [ $struck != 0 ]; then
		skip "$name" "it made no such call"
		return
	fi
	if ! mount_view; then
		nok "$name" "does not mount"
		return
	fi
	{ echo x >"$MNT/x" && umount_view; } || why="cannot be used"
	timeout 120 "$TARGETFS" fsck --store "$STORE" --read-data \
		>"$W/fsck.out" 2>&1 || why="$why; fsck: $(tail -n 3 "$W/fsck.out")"
	if [ -z "$why" ]; then ok "$name"; else nok "$name" "$why"; fi
}

at_calls() {
	local calls k
	command -v strace >/dev/null || {
		skip "killed at the k-th call" "needs strace"
		return
	}
	for calls in fsync,fdatasync pwrite64,pwritev,pwritev2 linkat unlinkat; do
		for k in ${KS:-3 ${LONG:+1 2 5 9 17 33 65}}; do
			at_call "$calls" "$k"
		done
	done
	for calls in rename,renameat,renameat2 mkdirat fsync,fdatasync \
		pwrite64,pwritev,pwritev2; do
		for k in 1 ${LONG:+2 3 4 5 6 7 8}; do
			at_first_mount "$calls" "$k"
		done
	done
}

body() {
	golden || { nok "the plain build" && return; }
	(cd "$W/ws" && echo target >.gitignore && git init -q && git add -A &&
		git -c user.name=t -c user.email=t commit -qm x)
	at_random
	at_calls
}

run() {
	[ -z "$PLAIN" ] || skip_all "of a view only"
	need git cc
	cargo_env
	mkdir -p "$CARGO_HOME"
	MODES=default
	[ -z "$LONG" ] || MODES="default neither"
	for_modes body
}
test_main "$@"
