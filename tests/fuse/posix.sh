#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What programs may expect of a directory (posix_*.c), on a view in every mode,
# and on plain ext4: what fails there is the test's own fault.
#	posix.sh [OPTION-OF-POSIX...]        e.g. -f rename
# TARGETFS_POSIX holds such options, too: what a slow build leaves out.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
TIMEOUT=${LONG:+3600}
TIMEOUT=${TIMEOUT:-900}
# How long until a closed file has surely been hashed.
SETTLE=${TARGETFS_SETTLE:-4}

on_view() {
	local opts=(-v)
	mount_view || { nok "mount" && return; }
	chmod 755 "$MNT"
	case $MODE$LONG in
	default | neither | *1) opts+=(-s "$SETTLE") ;;
	esac
	case $MODE$LONG in
	default) opts+=(-H) ;;
	*1) opts+=(-L) ;;
	esac
	"$PROG" "${opts[@]}" "$@" "$MNT" | add_mode
	check "unmounts" umount_view
	fsck_store "the store is clean afterwards"
}

add_mode() {
	sed "s/^\(\(not \)\?ok - [^ ]*\)/\1 [$MODE]/"
}

on_ext4() {
	local MODE=ext4
	if ! ext4_on "$W/ext4" 2G; then
		skip "posix" "no loop devices"
		return
	fi
	"$PROG" -H "$@" "$W/ext4" | add_mode
	umount "$W/ext4"
}

run() {
	# shellcheck disable=SC2086
	set -- ${TARGETFS_POSIX:-} "$@"
	program posix "$TESTS"/fuse/posix_*.c
	if [ -n "$PLAIN" ]; then
		on_ext4 "$@"
	else
		for_modes on_view "$@"
	fi
}
test_main "$@"
