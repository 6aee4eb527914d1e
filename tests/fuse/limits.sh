#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A daemon that may have few descriptors, little memory to lock, few processes:
# it must not give EMFILE to programs that hold more files open than it may.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
TIMEOUT=300

mount_limited() { # LIMIT...
	local program=$TARGETFS rc
	printf '#!/bin/sh\nexec prlimit %s %s "$@"\n' "$*" "$program" >"$W/limited"
	chmod 755 "$W/limited"
	TARGETFS=$W/limited
	mount_view
	rc=$?
	TARGETFS=$program
	return "$rc"
}

body() {
	local limit
	for limit in --nofile=256:256 --nofile=1024:1024; do
		mount_limited "$limit" || { nok "mount with $limit" && return; }
		chmod 755 "$MNT"
		"$PROG" -v -s 4 -f open_3000 -f open_100 -f unlink_many \
			-f settled_changed -f shape_random -f hammer_one "$MNT" |
			sed "s/^\(\(not \)\?ok - [^ ]*\)/\1, $limit [$MODE]/"
		check "unmounts, $limit" umount_view
		fsck_store "the store is clean, $limit"
	done
}

run() {
	[ -z "$PLAIN" ] || skip_all "of a view only"
	need prlimit
	program posix "$TESTS"/fuse/posix_*.c
	ulimit -n 8192 2>/dev/null
	MODES=${LONG:+default nopassthrough neither}
	MODES=${MODES:-default}
	for_modes body
}
test_main "$@"
