#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The prefix rule (prefix.py): the daemon is killed at random moments while a
# program makes random calls; what is there after mounting again is what was
# there at one moment, not before the last sync that returned. With
# TARGETFS_BREAK (a build configured with --enable-break=select) a test can
# show that a rule matters.
#	prefix.sh [ROUNDS [SEED]]
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
TIMEOUT=${LONG:+3600}
TIMEOUT=${TIMEOUT:-300}
ROUNDS=${1:-${LONG:+100}}
ROUNDS=${ROUNDS:-8}
SEED=${2:-7}
PREFIX=$TESTS/crash/prefix.py

round() { # SEED
	local pid msec
	rm -rf "${W:?}/ws" "${W:?}/store"
	mount_view || { nok "mount" && return; }
	head -c 16 /dev/zero >"$W/counter"
	python3 "$PREFIX" run "$1" "$MNT" "$W/counter" 2>"$W/run.err" &
	pid=$!
	msec=$((300 + RANDOM % 3500))
	sleep "$((msec / 1000)).$(printf '%03d' $((msec % 1000)))"
	if [ -n "$PLAIN" ]; then kill -9 "$pid"; else kill_view "$MNT"; fi
	wait "$pid" 2>/dev/null
	[ -n "$PLAIN" ] || detach "$MNT"
	fsck_store "seed $1: nothing that the kill left is damage"
	mount_view || { nok "seed $1: mounts after $msec ms" && return; }
	check "seed $1: a prefix, killed after $msec ms" \
		python3 "$PREFIX" check "$1" "$MNT" "$W/counter" \
		"${PLAIN:-drops}"
	umount_view || nok "unmounts"
	fsck_store "seed $1: the store is clean"
}

body() {
	local i
	RANDOM=$SEED
	for ((i = 0; i < ROUNDS; i++)); do
		round $((SEED + i))
	done
}

run() {
	need python3
	MODES=${LONG:+$(modes_here)}
	MODES=${MODES:-default neither}
	for_modes body
}
test_main "$@"
