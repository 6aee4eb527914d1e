#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Power cuts: the store is on ext4 on a disk that logs all writes and flushes
# (blklog.c). The log is cut at flushes, at acknowledged syncs and at any
# write, the last without what a volatile cache may lose; the disk of each cut
# is mounted under another boot id, and the view on it must keep the rules of
# powercut.py, be usable, and leave a clean store. The long form cuts at every
# flush, the barriers that durability rests on.
#	[CUT_AT="flush write"] powercut.sh [CUTS-OF-EACH-KIND [SEED [SECONDS]]]
# No cuts (0) means all there are.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
TIMEOUT=${LONG:+7200}
TIMEOUT=${TIMEOUT:-400}
CUTS=${1:-${LONG:+100}}
CUTS=${CUTS:-8}
FLUSHES=${1:-${LONG:+0}}
FLUSHES=${FLUSHES:-8}
SEED=${2:-3}
SECS=${3:-${LONG:+12}}
SECS=${SECS:-8}
REPLAY=$TESTS/crash/blkreplay.py
UNITS=$TESTS/crash/powercut.py

blklog_program() {
	local flags
	flags=$(pkg-config --cflags --libs fuse3 2>/dev/null) ||
		skip_all "needs libfuse3's headers"
	# shellcheck disable=SC2086
	"${CC:-cc}" -O1 -std=gnu17 -o "$W/blklog" "$TESTS/crash/blklog.c" \
		$flags || skip_all "cannot build blklog"
}

# The kernel's boot id, as the processes of this test see it.
new_boot() {
	python3 -c 'import uuid; print(uuid.uuid4())' >"$W/../boot_id"
}

# The daemon has given its view back, but may be about to end.
umount_ext4() {
	local i
	for ((i = 0; i < 100; i++)); do
		umount "$W/ext4" 2>/dev/null && return
		sleep 0.05
	done
	umount "$W/ext4"
}

record() {
	truncate -s 400M "$W/image"
	mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$W/image"
	cp --sparse=always "$W/image" "$W/base"
	mkdir -p "$W/disk" "$W/ext4"
	"$W/../blklog" "$W/image" "$W/log" "$W/disk" || return
	mount -o loop "$W/disk/disk" "$W/ext4" || return
	mkdir "$W/ext4/store" && chmod 700 "$W/ext4/store"
	sync -f "$W/ext4"
	STORE=$W/ext4/store
	mount_view "$W/ws/target" || return
	# enough of a view to begin with
	python3 "$UNITS" run "$SEED" "$MNT" "$W/disk/mark" "$SECS" || return
	umount_view || return
	umount_ext4 || return
	say "$(cat "$W/disk/stat")"
	umount "$W/disk" || umount -l "$W/disk"
}

# cut NAME CUT [OPTION...]: 0 if all is as it must be
cut_at() {
	local at=$1
	shift
	python3 "$REPLAY" "$W/log" replay "$W/base" "$W/out" "$at" "$@" || return
	new_boot
	mount -o loop "$W/out" "$W/ext4" || return
	STORE=$W/ext4/store
	judge_cut "$at"
	local rc=$?
	umount_all
	umount_ext4 || umount -l "$W/ext4"
	return "$rc"
}

judge_cut() {
	python3 "$REPLAY" "$W/log" marks "$1" >"$W/marks"
	[ -d "$STORE" ] || { [ ! -s "$W/marks" ] && return; }
	rm -rf "$W/ws"
	mount_view "$W/ws/target" || return
	if [ -s "$W/marks" ]; then
		python3 "$UNITS" check "$MNT" <"$W/marks" || {
			grep "dropped" "$STORE/log" | tail -n 20
			return 1
		}
	fi
	mkdir -p "$MNT/debug/deps" &&
		head -c 100000 /dev/urandom >"$MNT/debug/deps/after" || return
	umount_view || return
	timeout 60 "$TARGETFS" fsck --store "$STORE" --read-data
}

body() {
	local every at good bad lose max
	new_boot
	record >"$W/record.out" 2>&1 ||
		{ nok "the recording" "$(tail "$W/record.out")" && return; }
	say "$(grep -v '^#' "$W/record.out" | tail -n 1);" \
		"$(grep writes "$W/record.out")"
	for every in ${CUT_AT:-flush mark write}; do
		good=0 bad=0 max=$CUTS
		[ $every != flush ] || max=$FLUSHES
		for at in $(python3 "$REPLAY" "$W/log" cuts --every "$every" \
			--max "$max" --seed "$SEED"); do
			for lose in '' 1; do
				if cut_at "$at" ${lose:+--lose "$lose"} \
					>"$W/cut.out" 2>&1; then
					good=$((good + 1))
				else
					bad=$((bad + 1))
					say "cut at $at, lose '$lose':"
					diag "$(tail -n 8 "$W/cut.out")"
				fi
			done
		done
		is "$bad of $((good + bad)) wrong" "0 of $((good + bad)) wrong" \
			"power cut at $([ "$max" = 0 ] && echo every || echo a) $every"
		say "$((good + bad)) disks"
	done
}

run() {
	[ -z "$PLAIN" ] || skip_all "of a view only"
	need python3 pkg-config "${CC:-cc}"
	need_root
	can_unshare || skip_all "needs a namespace of its own"
	blklog_program
	: >"$W/boot_id"
	mount --bind "$W/boot_id" /proc/sys/kernel/random/boot_id ||
		skip_all "cannot play another boot"
	MODES=${LONG:+default neither}
	MODES=${MODES:-default}
	for_modes body
}
test_main "$@"
