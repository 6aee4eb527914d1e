#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A disk that is full or broken: the error reaches the caller as errno, what
# was acknowledged stays, and the mount goes on when there is space again.
# - an error at the k-th call of one kind that the daemon makes (strace);
# - a store on a small ext4 that fills up, with bytes or with names only;
# - ext4 on a disk that fails from one moment on (blklog.c).
#	faults.sh [inject|full|disk]
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
TIMEOUT=${LONG:+7200}
TIMEOUT=${TIMEOUT:-500}
EVERY=
FAULTS=$TESTS/crash/faults.py

# --- an error at the k-th call -----------------------------------------------

# What must hold when the fault is over: $W/acked is there, the mount goes on.
# WHY is what went wrong before.
judge() { # NAME WHY
	local name=$1 why=$2
	if ! grep -q INJECTED "$W/strace"; then
		skip "$name" "it made no such call"
		return
	fi
	if ! mount_view; then
		nok "$name" "$why; does not mount again"
		return
	fi
	timeout 60 python3 "$FAULTS" check "$MNT" "$W/acked" >"$W/check.out" 2>&1 ||
		why="$why; afterwards: $(tail -n 2 "$W/check.out")"
	umount_view || why="$why; unmount"
	timeout 60 "$TARGETFS" fsck --store "$(store_dir)" --read-data \
		>"$W/fsck.out" 2>&1 || why="$why; fsck: $(tail -n 2 "$W/fsck.out")"
	if [ -z "$why" ]; then
		ok "$name ($(tail -n 1 "$W/run.out"))"
	else
		nok "$name" "$why" "$(grep INJECTED "$W/strace" | head -n 2)"
	fi
}

said_disk() { grep -qE 'Input/output|[Nn]o space' "$1"; }

inject() { # CALLS ERROR K
	local name="$2 at call $3${EVERY:-} of $1" why=''
	rm -rf "${W:?}/ws" "${W:?}/store"
	mount_view || { nok "$name" "does not mount" && return; }
	if [ "$1" = copy_file_range ]; then
		python3 "$FAULTS" settled "$MNT"
		SETTLE_ROUNDS=3 settle
	fi
	inject_into "$MNT" "$1" "error=$2:when=$3${EVERY:-}"
	: >"$W/acked"
	timeout 60 python3 "$FAULTS" run "$MNT" "$W/acked" >"$W/run.out" 2>&1 ||
		why="the program: $(tail -n 2 "$W/run.out")"
	# The fault may strike the last commit; that is said then.
	umount_view >"$W/umount.said" || said_disk "$W/umount.said" ||
		why="$why; unmount: $(cat "$W/umount.said")"
	inject_end
	is_view "$MNT" && detach "$MNT"
	judge "$name" "$why"
}

# While a store is made, or a view recovered: there is a mount, or it is said
# why not.
inject_mount() { # new|crashed CALLS ERROR K
	local name="$3 at call $4 of $2, mounting a $1 view" why=''
	rm -rf "${W:?}/ws" "${W:?}/store"
	: >"$W/acked"
	if [ "$1" = crashed ]; then
		mount_view || { nok "$name" "does not mount" && return; }
		timeout 60 python3 "$FAULTS" run "$MNT" "$W/acked" >"$W/run.out"
		crash_view
	fi
	echo "not mounted" >"$W/run.out"
	if mount_injected "$2" "error=$3:when=$4"; then
		echo "mounted" >"$W/run.out"
		umount_view >"$W/umount.said" || said_disk "$W/umount.said" ||
			why="unmount: $(cat "$W/umount.said")"
	elif ! said_disk "$W/mount.out"; then
		why="mount says: $(tail -n 2 "$W/mount.out")"
	fi
	inject_end
	is_view "$MNT" && detach "$MNT"
	judge "$name" "$why"
}

# In short: one error each, another one in the other mode.
errors() {
	if [ -n "$LONG" ]; then
		echo EIO ENOSPC
	elif [ "$MODE" = default ]; then
		echo EIO
	else
		echo ENOSPC
	fi
}

injections() {
	local calls error k
	command -v strace >/dev/null || {
		skip "errors at the k-th call" "needs strace"
		return
	}
	for error in $(errors); do
		for calls in pwrite64,pwritev,pwritev2 fsync,fdatasync openat \
			ftruncate fallocate linkat unlinkat \
			fstat,newfstatat,statx; do
			for k in ${KS:-2 ${LONG:+1 3 4 5 7 10 15 25 40}}; do
				inject "$calls" "$error" "$k"
			done
		done
		inject copy_file_range "$error" 1
		for calls in rename,renameat,renameat2 mkdirat fsync,fdatasync \
			pwrite64,pwritev,pwritev2 ftruncate; do
			for k in 1 ${LONG:+2 3 4 5 6}; do
				inject_mount new "$calls" "$error" "$k"
			done
		done
		for calls in fsync,fdatasync pwrite64,pwritev,pwritev2 \
			unlinkat getdents64; do
			for k in 1 ${LONG:+2 3 4 5 6}; do
				inject_mount crashed "$calls" "$error" "$k"
			done
		done
	done
	# and from the k-th on, all of them
	for calls in pwrite64,pwritev,pwritev2 fsync,fdatasync; do
		case $(errors) in
		*EIO*) EVERY=+ inject "$calls" EIO 3 ;;
		esac
		case $(errors) in
		*ENOSPC*) EVERY=+ inject "$calls" ENOSPC 8 ;;
		esac
	done
}

# --- a small disk --------------------------------------------------------------

full() {
	mkdir -p "$W/small"
	tiny_ext4_on "$W/small" 48M || { nok "a small ext4" && return; }
	STORE=$W/small/store
	mount_view "$W/ws/target" || { nok "mount on a small disk" && return; }
	check "a full disk says so, and what was there stays" \
		timeout 100 python3 "$FAULTS" fill "$MNT"
	check "files can be removed from a full disk" rm -rf "$MNT/debug"
	sync "$MNT" 2>/dev/null
	sleep 2
	: >"$W/none"
	check "it goes on when there is space again" \
		timeout 100 python3 "$FAULTS" check "$MNT" "$W/none"
	names_only
	check "unmounts from the small disk" umount_view
	mount_view "$W/ws/target" || nok "mounts again"
	is "$(find "$MNT/names" -type f | wc -l)" 3000 "all names are there"
	check "unmounts again" umount_view
	fsck_store "the store on the small disk is clean"
	STORE=
	umount_soon "$W/small"
}

# The disk fills up under the index: names and small files go on in memory,
# fsync says that they are not safe, and nothing is lost when there is space.
names_only() {
	head -c 100M /dev/zero >"$W/small/ballast" 2>/dev/null
	check "names on a full disk" python3 - "$MNT" <<-'TXT'
		import errno, os, sys
		os.chdir(sys.argv[1])
		os.mkdir("names")
		failed = 0
		for i in range(3000):
		    try:
		        os.close(os.open("names/n%d" % i, os.O_CREAT | os.O_WRONLY))
		    except OSError as e:
		        assert e.errno == errno.ENOSPC, e
		        failed += 1
		d = os.open("names", os.O_RDONLY)
		try:
		    os.fsync(d)
		    print("fsync worked: there was space left after all")
		except OSError as e:
		    assert e.errno in (errno.ENOSPC, errno.EIO), e
		    print("fsync: %s" % e)
		print("%d names refused" % failed)
	TXT
	say "$(tail -n 2 "$W/check.out" | tr '\n' ' ')"
	rm -f "$W/small/ballast"
	check "what was refused can be done now" python3 - "$MNT" <<-'TXT'
		import os, sys
		os.chdir(sys.argv[1] + "/names")
		for i in range(3000):
		    open("n%d" % i, "a").close()
		d = os.open(".", os.O_RDONLY)
		os.fsync(d)
	TXT
}

umount_soon() {
	local i
	for ((i = 0; i < 100; i++)); do
		umount "$1" 2>/dev/null && return
		sleep 0.05
	done
	umount -l "$1"
}

# --- a disk that fails ------------------------------------------------------------

disk_fails() { # FAULT
	mkdir -p "$W/disk" "$W/ext4"
	rm -f "$W/image" "$W/log"
	rm -rf "${W:?}/ws"
	truncate -s 200M "$W/image"
	mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$W/image"
	"$W/../blklog" "$W/image" "$W/log" "$W/disk" || return
	mount -o loop,errors=remount-ro "$W/disk/disk" "$W/ext4" || return
	STORE=$W/ext4/store
	mount_view "$W/ws/target" || return
	: >"$W/acked"
	python3 "$FAULTS" run "$MNT" "$W/acked" || return
	echo "$1" >"$W/disk/ctl"
	: >"$W/acked2"
	timeout 60 python3 "$FAULTS" run "$MNT" "$W/acked2" 50 || return
	timeout 20 ls -lR "$MNT" >/dev/null || return
	echo ok >"$W/disk/ctl"
	timeout 60 "$TARGETFS" umount --lazy "$MNT"
	umount_soon "$W/ext4"
	fsck.ext4 -fy "$W/image" >/dev/null
	mount -o loop "$W/disk/disk" "$W/ext4" || return
	mount_view "$W/ws/target" || return
	cat "$W/acked2" >>"$W/acked"
	python3 "$FAULTS" check "$MNT" "$W/acked" || return
	umount_view || return
	# What was not synced may have lost its bytes in the page cache without
	# a word; that must be found, and must not outlast a repair.
	"$TARGETFS" fsck --store "$STORE" --read-data --repair || [ $? = 1 ] || return
	"$TARGETFS" fsck --store "$STORE" --read-data || return
	mount_view "$W/ws/target" || return
	python3 "$FAULTS" check "$MNT" "$W/acked" 200 || return
	umount_view || return
	umount_soon "$W/ext4"
	umount_soon "$W/disk"
}

disk() {
	local fault flags
	flags=$(pkg-config --cflags --libs fuse3 2>/dev/null) || {
		skip "a disk that fails" "needs libfuse3's headers"
		return
	}
	# shellcheck disable=SC2086
	"${CC:-cc}" -O1 -std=gnu17 -o "$W/../blklog" "$TESTS/crash/blklog.c" $flags || {
		skip "a disk that fails" "cannot build blklog"
		return
	}
	for fault in eio-write eio-sync "eio-write-after 30" ${LONG:+"eio-write-after 90"}; do
		check "a disk that fails: $fault" disk_fails "$fault"
		umount_all
		mountpoint -q "$W/ext4" && umount -l "$W/ext4"
		mountpoint -q "$W/disk" && umount -l "$W/disk"
		STORE=
	done
}

body() {
	local part
	for part in ${PARTS:-inject full disk}; do
		case $part in
		inject) injections ;;
		full) full ;;
		disk) disk ;;
		esac
	done
}

run() {
	[ -z "$PLAIN" ] || skip_all "of a view only"
	need python3
	need_root
	export PARTS="$*"
	MODES="default neither"
	for_modes body
}
test_main "$@"
