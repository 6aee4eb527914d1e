#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A daemon that may have few descriptors, little memory to lock, few processes:
# it must not give EMFILE to programs that hold more files open than it may.
# And a directory with as many subdirectories as a link count has room for.
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

# Five views of one daemon, of each of which it would keep as many files open
# as it may keep of all.
MANY_VIEWS='
import os, sys
os.chdir(sys.argv[1])
for v in range(5):
    os.mkdir("v%d" % v)
    os.makedirs("v%d/debug/deps" % v)
    for i in range(400):
        with open("v%d/debug/deps/libx%d-%016x.rlib" % (v, i, i), "wb") as f:
            f.write(b"x" * 70000)
for v in range(5):
    for i in range(0, 400, 7):
        with open("v%d/debug/deps/libx%d-%016x.rlib" % (v, i, i), "r+b") as f:
            assert f.read() == b"x" * 70000
            f.write(b"y")
'

host_of_many() {
	MNT=$W/host
	mkdir -p "$MNT"
	check "a host mount with few descriptors" prlimit --nofile=1024:1024 \
		"$TARGETFS" mount --store "$(store_dir)" --host "$MNT" || return
	MOUNTS+=("$MNT")
	check "many files in each of five views" \
		python3 -c "$MANY_VIEWS" "$MNT"
	is "$(find "/proc/$(daemon_pid "$MNT")/fd" -type l |
		awk 'END { print (NR > 3 && NR < 1000) }')" 1 "descriptors are left"
	check "unmounts" umount_view
	fsck_store "the store is clean"
}

FULL_DIRECTORY='
import errno, os, sys
os.chdir(sys.argv[1])
os.mkdir("full")
os.mkdir("other")
for i in range(64998):
    os.mkdir("full/%d" % i)
assert os.stat("full").st_nlink == 65000
def refused(fn, *args):
    try:
        fn(*args)
    except OSError as e:
        return e.errno == errno.EMLINK
assert refused(os.mkdir, "full/more")
assert refused(os.rename, "other", "full/more")
os.rename("full/0", "full/zero")
os.rename("full/1", "other/1")
os.rename("other/1", "full/one")
os.rename("full/2", "other/2")
os.rename("other", "full/two")
assert refused(os.mkdir, "full/more")
assert os.stat("full").st_nlink == 65000
'

full_directory() {
	mount_view || { nok "mount" && return; }
	check "a directory full of directories is EMLINK" \
		python3 -c "$FULL_DIRECTORY" "$MNT"
	check "unmounts" umount_view
	fsck_store "the store is clean"
	mount_view && is "$(stat -c %h "$MNT/full")" 65000 "it is full again"
	check "unmounts" umount_view
}

run() {
	[ -z "$PLAIN" ] || skip_all "of a view only"
	need prlimit python3
	program posix "$TESTS"/fuse/posix_*.c
	ulimit -n 8192 2>/dev/null
	MODES=${LONG:+default nopassthrough neither}
	MODES=${MODES:-default}
	for_modes body
	MODES=default
	for_modes full_directory
	for_modes host_of_many
}
test_main "$@"
