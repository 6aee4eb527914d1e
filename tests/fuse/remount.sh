#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A random tree is the same after unmounting and mounting again, and after the
# daemon was killed behind an fsync of the root (the kernel tells a FUSE
# filesystem nothing of sync and syncfs): bytes, all fields of stat, inode numbers,
# links, attributes, holes.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
TIMEOUT=600
TREE=$TESTS/fuse/tree.py
FILES=${LONG:+3000}
FILES=${FILES:-400}

# same NAME: the tree is as $W/before says
same() {
	python3 "$TREE" list "$MNT" >"$W/after" || { nok "$1" && return; }
	check "$1" python3 "$TREE" compare "$W/before" "$W/after"
}
note() { python3 "$TREE" list "$MNT" >"$W/before"; }

again() {
	if [ "$1" = crash ]; then
		sync "$MNT"
		crash_view "$MNT" || nok "the daemon can be killed"
	elif ! umount_view "$MNT"; then
		nok "unmounts"
	fi
	mount_view "$MNT" || nok "mounts again"
}

# seed after seed: a tree, changes, what is left by crashes and mounts
in_rounds() {
	local seed=$1
	mount_view || { nok "mount" && return; }
	[ -n "$PLAIN" ] || is "$(ls -A "$MNT")" "" "a new view is empty"
	python3 "$TREE" make "$seed" "$MNT" "$FILES" || nok "make a tree"
	note
	again clean && same "seed $seed: a new tree, unmounted and mounted"
	again crash && same "seed $seed: killed at rest"
	python3 "$TREE" edit "$((seed + 1))" "$MNT" || nok "change the tree"
	note
	again crash && same "seed $seed: changed, synced, killed"
	python3 "$TREE" edit "$((seed + 2))" "$MNT" || nok "change it again"
	note
	again clean && same "seed $seed: changed, unmounted"
	settle 20
	same "seed $seed: hashed in the background"
	again crash && same "seed $seed: hashed, killed"
	python3 "$TREE" edit "$((seed + 3))" "$MNT" || nok "change shared files"
	note
	same "seed $seed: shared files changed, at once"
	again clean && same "seed $seed: shared files changed, unmounted"
	sleep 4
	again clean && same "seed $seed: idle, unmounted"
	rm -rf "${MNT:?}"/* "$MNT"/.[!.]* 2>/dev/null
	again clean
	is "$(ls -A "$MNT")" "" "seed $seed: emptied, and empty it stays"
	check "seed $seed: unmounts" umount_view
	fsck_store "seed $seed: the store is clean"
}

# What fsync promises: the file is there after a crash, with its name.
fsynced() {
	mount_view "$W/ws2/target" || { nok "mount" && return; }
	python3 - "$MNT" <<-'TXT' || nok "write and fsync"
		import os, sys
		os.chdir(sys.argv[1])
		os.makedirs("debug/deps")
		d = os.open("debug/deps", os.O_RDONLY)
		for i in range(40):
		    name = "debug/deps/lib%d-%016x.%s" % (i, i, "rlib" if i % 2 else "d")
		    with open(name + ".tmp", "wb") as f:
		        f.write(b"%d" % i * (i * i * 100 + 1))
		        f.flush()
		        os.fsync(f.fileno())
		    os.rename(name + ".tmp", name)
		    os.fsync(d)
	TXT
	crash_view "$MNT"
	mount_view "$W/ws2/target" || nok "mounts after a crash"
	check "what was fsynced is there after a crash" python3 - "$MNT" <<-'TXT'
		import os, sys
		os.chdir(sys.argv[1])
		for i in range(40):
		    name = "debug/deps/lib%d-%016x.%s" % (i, i, "rlib" if i % 2 else "d")
		    got = open(name, "rb").read()
		    assert got == b"%d" % i * (i * i * 100 + 1), (name, len(got))
		    assert not os.path.exists(name + ".tmp")
	TXT
	umount_view || nok "unmounts"
	fsck_store "the store is clean after a crash"
}

body() {
	local seed
	for seed in ${SEEDS:-1 ${LONG:+11 21 31}}; do
		in_rounds "$seed"
		rm -rf "${W:?}/ws"
	done
	fsynced
}

run() {
	need python3 jq
	MODES=${LONG:+$(modes_here)}
	MODES=${MODES:-default neither user}
	for_modes body
}
test_main "$@"
