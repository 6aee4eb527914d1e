#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# fsck: its exit status, and what it says. What it finds and repairs of each
# kind of damage is tested elsewhere.
. "$(dirname "$0")/lib.sh"

# A store with one view of a few blobs, settled and unmounted.
fresh_store() {
	local i
	rm -rf "$TARGETFS_STORE" "$W/ws"
	mkdir -p "$W/ws"
	tf mount "$W/ws/target"
	MNT=$W/ws/target
	mkdir -p "$MNT/debug/deps"
	for i in 1 2 3; do
		head -c 200000 /dev/urandom >"$MNT/debug/deps/lib$i-0123456789abcdef.rlib"
	done
	for ((i = 0; i < 60; i++)); do
		[ "$(find "$TARGETFS_STORE/blobs" -type f | wc -l)" != 3 ] || break
		sleep 0.5
	done
	tf umount "$MNT"
}

a_blob() { find "$TARGETFS_STORE/blobs" -type f | sort | head -n 1; }

test_clean() {
	fresh_store
	gives 0 "a clean store" fsck
	prints "says so" "clean"
	gives 0 "with --read-data" fsck --read-data
	prints "says how much it read" "read: 585.9 KiB"
	gives 0 "with --repair" fsck --repair
	gives 0 "with --json" fsck --read-data --json
	valid_json "prints JSON"
	json "its numbers" 'd["views"], d["blobs"], d["damaged"], d["status"]' \
		"(1, 3, 0, 0)"
	json "bytes read" 'd["bytes_read"]' 600000
	tf mount "$W/ws/target"
	gives 0 "with a view mounted" fsck --read-data
	tf umount "$W/ws/target"
}

test_damage() {
	local blob
	fresh_store
	blob=$(a_blob)
	chmod u+w "$blob"
	printf X | dd of="$blob" bs=1 seek=1000 conv=notrunc status=none
	gives 0 "altered bytes are not seen without --read-data" fsck
	gives 4 "with it they are" fsck --read-data
	prints "the blob is named" "$(basename "$blob" | cut -c 1-8)"
	prints "and what to do" "targetfs fsck --repair"
	gives 4 "the same in JSON" fsck --read-data --json
	valid_json "which is JSON"
	json "with the problem" 'len(d["problems"]) >= 1, d["status"]' "(True, 4)"
	tf mount "$W/ws/target"
	gives 4 "a mounted view is not repaired" fsck --read-data --repair
	tf umount "$W/ws/target"
	gives 1 "--repair repairs it" fsck --read-data --repair
	gives 0 "then the store is clean" fsck --read-data
	tf mount "$W/ws/target"
	is "$(find "$W/ws/target" -type f | wc -l)" 2 "the lost file is gone, the others are there"
	tf umount "$W/ws/target"
	rm "$(a_blob)"
	gives 4 "a missing blob" fsck
	gives 1 "is repaired" fsck --repair
	gives 0 "then the store is clean" fsck
}

test_index() {
	fresh_store
	truncate -s 5000 "$TARGETFS_STORE"/index/data.mdb
	gives 1 "views of a damaged index" views
	says "says what to do" "targetfs fsck --repair"
	gives 1 "mount over it" mount "$W/ws/target"
	says "says what to do" "fsck --repair"
	gives 4 "fsck of it" fsck
	gives 4 "in JSON" fsck --json
	valid_json "which is JSON"
	gives 1 "--repair builds it anew" fsck --repair
	prints "and says so" "index rebuilt"
	gives 0 "then the store is clean" fsck --read-data
	is "$(ls -d "$TARGETFS_STORE"/index.damaged-* | wc -l)" 1 "the damaged one is kept"
	gives 0 "and can be mounted" mount "$W/ws/target"
	gives 0 "and unmounted" umount "$W/ws/target"
}

# What was lost without a loss to anybody: each mount makes its lease again.
test_leases() {
	fresh_store
	rm "$TARGETFS_STORE"/lease/*
	gives 0 "without the leases' files" fsck --read-data
	gives 0 "it can be mounted" mount "$W/ws/target"
	gives 0 "and unmounted" umount "$W/ws/target"
	rm -r "$TARGETFS_STORE"/lease
	gives 4 "without their directory" fsck
	gives 1 "which --repair makes again" fsck --repair
	gives 0 "then the store is clean" fsck --read-data
	tf mount "$W/ws/target"
	is "$(find "$W/ws/target" -type f | wc -l)" 3 "all files are there"
	tf umount "$W/ws/target"
}

# Another version's store is neither judged nor touched.
test_version() {
	local before flag
	fresh_store
	echo "targetfs store 1" >"$TARGETFS_STORE/format"
	before=$(cd "$TARGETFS_STORE" && find . -type f | sort | xargs sha256sum)
	for flag in --read-data --repair; do
		gives 8 "a store of another version, $flag" fsck $flag
		says "it names the version" "it says 'targetfs store 1'"
		says "and what to do" "use the targetfs that made it, or another store with --store"
	done
	is "$(cd "$TARGETFS_STORE" && find . -type f | sort | xargs sha256sum)" \
		"$before" "nothing has changed in it"
}

test_cannot() {
	gives 8 "a store that is not there" fsck --store "$W/none"
	says "says so" "no store at"
	mkdir "$W/dir" && touch "$W/dir/file"
	gives 8 "a directory that is no store" fsck --store "$W/dir"
	touch "$W/file"
	gives 8 "a file" fsck --store "$W/file"
	gives 16 "wrong usage" fsck "$W/dir"
	fresh_store
	rc=0
	"$TARGETFS" fsck >/dev/full 2>"$W/err" || rc=$?
	is "$rc" 8 "output that cannot be written"
}

run() {
	need python3
	export TARGETFS_STORE=$W/store
	test_clean
	test_damage
	test_index
	test_leases
	test_version
	test_cannot
}

test_main "$@"
