#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# mount --import: nothing of a target directory is lost, or changed, whatever
# happens on the way.
. "$(dirname "$0")/lib.sh"

list() { python3 "$CLI/tree.py" "$@"; }

# same NAME DIR LIST [--extents]: DIR is what LIST says
same() {
	list "$2" ${4+"$4"} >"$W/list.now" 2>&1
	if cmp -s "$3" "$W/list.now"; then ok "$1"; else
		nok "$1" "$(diff "$3" "$W/list.now" | cut -c 1-200 | head -n 12)"
	fi
}

asides() { find "$1" -maxdepth 1 -name '*.import-*' | wc -l; }

# A tree with one of everything.
make_tree() { # DIR
	python3 - "$1" <<-'PY'
	import os, socket, sys
	top = sys.argv[1]
	os.makedirs(top + "/debug/deps/empty")
	os.makedirs(top + "/debug/.fingerprint/app-0123456789abcdef")
	def put(name, data, mode=0o644):
	    with open(f"{top}/{name}", "wb") as f:
	        f.write(data)
	    os.chmod(f"{top}/{name}", mode)
	put("CACHEDIR.TAG", b"Signature: 8a477f597d28d172789f06886806bc55\n")
	put("debug/deps/app", os.urandom(300000), 0o755)
	put("debug/deps/big", os.urandom(5 << 20))
	put("debug/deps/readonly", b"r" * 70000, 0o444)
	put("debug/deps/hidden", b"h", 0o600)
	put("debug/empty", b"")
	put("debug/.fingerprint/app-0123456789abcdef/lib-app", b"0" * 16)
	for i in range(300):
	    put(f"debug/deps/many-{i}", b"%d" % i * (i * 7))
	os.link(top + "/debug/deps/app", top + "/debug/app")
	os.link(top + "/debug/deps/app", top + "/app-too")
	os.link(top + "/debug/deps/hidden", top + "/debug/hidden")
	os.symlink("deps/app", top + "/debug/link")
	os.symlink("/nowhere/at all", top + "/debug/dangling")
	os.mkfifo(top + "/debug/fifo", 0o640)
	socket.socket(socket.AF_UNIX).bind(top + "/debug/socket")
	for name in ("größe", "new\nline", " blank ", "x" * 255):
	    put("debug/" + name, name.encode())
	put(b"debug/not\xffutf8".decode(errors="surrogateescape"), b"?")
	with open(top + "/debug/sparse", "wb") as f:
	    f.truncate(64 << 20)
	    f.seek(16 << 20)
	    f.write(b"s" * 8192)
	os.setxattr(top + "/debug/empty", "user.note", b"\0 \xff")
	os.setxattr(top + "/debug/deps", "user.dir", b"d" * 200)
	os.chmod(top + "/debug/deps/empty", 0o500)
	if os.geteuid() == 0:
	    os.chown(top + "/debug/deps/hidden", 1234, 4321)
	    os.lchown(top + "/debug/dangling", 77, 78)
	    os.chown(top + "/debug/deps/empty", 55, 66)
	names = []
	for d, dirs, files in os.walk(top.encode(), topdown=False):
	    names += [os.path.join(d, n) for n in files + dirs]
	for i, n in enumerate(names + [top.encode()]):
	    ns = 1_600_000_000_123_456_789 + i * 1_000_000_001
	    os.utime(n, ns=(ns + 5, ns), follow_symlinks=False)
	PY
}

test_everything() {
	local ws=$W/all
	mkdir -p "$ws"
	make_tree "$ws/target"
	list "$ws/target" --extents >"$W/list"
	gives 0 "mount --import" mount --import "$ws/target"
	MOUNTS+=("$ws/target")
	says "says how much it took over" "took over"
	is "$(asides "$ws")" 0 "the old tree is gone"
	check "it is a view" is_view "$ws/target"
	same "every entry is as it was" "$ws/target" "$W/list" --extents
	gives 0 "umount" umount "$ws/target"
	is "$(ls -A "$ws/target")" "" "the bytes are in the store alone"
	tf mount "$ws/target"
	same "and is so after a remount" "$ws/target" "$W/list" --extents
	gives 0 "--import with nothing to import" mount --import "$ws/target"
	says "says so" "nothing to import"
	tf umount "$ws/target"
	gives 0 "fsck" fsck --read-data
}

test_cargo() {
	local ws=$W/project
	make_project "$ws"
	(cd "$ws" && cargo build -v) >"$W/log" 2>&1
	is "$(units_built "$W/log")" 2 "a plain build"
	list "$ws/target" >"$W/list"
	gives 0 "import of a cargo target" mount --import "$ws/target"
	MOUNTS+=("$ws/target")
	same "every entry is as it was" "$ws/target" "$W/list"
	(cd "$ws" && cargo build -v) >"$W/log" 2>&1
	is "$(units_built "$W/log")" 0 "cargo finds everything fresh"
	is "$("$ws/target/debug/app")" works "and the program works"
	echo 'pub fn word() -> &'"'static"' str { "changed" }' >"$ws/util/src/lib.rs"
	(cd "$ws" && cargo build) >"$W/log" 2>&1
	is "$("$ws/target/debug/app")" changed "and is built again after an edit"
	tf umount "$ws/target"
}

test_refused() {
	local ws=$W/refused
	mkdir -p "$ws/target/debug"
	echo precious >"$ws/target/file"
	mknod "$ws/target/debug/null" c 1 3
	gives 1 "a device in the tree" mount --import "$ws/target"
	says "is named" "'$ws/target/debug/null' is a device"
	rm "$ws/target/debug/null"
	mkdir "$ws/target/tmp" && mount -t tmpfs tests "$ws/target/tmp"
	gives 1 "a mount point in the tree" mount --import "$ws/target"
	says "is named" "'$ws/target/tmp' is a mount point"
	umount "$ws/target/tmp" && rmdir "$ws/target/tmp"
	: >"$ws/target/debug/.cargo-lock"
	(
		exec 7<"$ws/target/debug/.cargo-lock"
		flock 7
		gives 1 "a cargo at work in it" mount --import "$ws/target"
		says "is told of" "a cargo is at work"
	)
	mount --bind "$ws/target" "$ws/target"
	gives 1 "a mount point" mount --import "$ws/target"
	says "cannot be moved aside" "is a mount point itself"
	umount "$ws/target"
	is "$(cat "$ws/target/file")" precious "in all cases the tree stays"
	is "$(asides "$ws")" 0 "where it is"
	tf mount --workspace "$ws" "$W/elsewhere"
	touch "$W/elsewhere/old"
	gives 1 "the view is mounted elsewhere" mount --import "$ws/target"
	is "$(cat "$ws/target/file")" precious "the tree stays"
	tf umount "$W/elsewhere"
	gives 1 "the view holds files already" mount --import "$ws/target"
	says "says how to keep either" "targetfs drop '$ws'"
	is "$(cat "$ws/target/file")" precious "the tree stays"
	is "$(asides "$ws")" 0 "where it is"
	tf drop "$ws"
	gives 0 "dropped, the import works" mount --import "$ws/target"
	is "$(cat "$ws/target/file")" precious "with all files"
	tf umount "$ws/target"
}

test_no_room() {
	local ws=$W/room
	mkdir -p "$ws/target"
	tiny_ext4_on "$W/small" 24M
	head -c 40M /dev/urandom >"$ws/target/big"
	list "$ws/target" >"$W/list"
	gives 1 "no room in the store" mount --store "$W/small/store" --import "$ws/target"
	says "says how much it needs" "no space left"
	same "touches nothing" "$ws/target" "$W/list"
	is "$(asides "$ws")" 0 "at all"
}

# The store's filesystem runs out of inodes on the way.
test_full_on_the_way() {
	local ws=$W/fills
	mkdir -p "$ws"
	make_tree "$ws/target"
	ext4_on "$W/few" 200M -N 100
	list "$ws/target" --extents >"$W/list"
	gives 1 "the store is full on the way" \
		mount --store "$W/few/store" --import "$ws/target"
	says "says what happened" "No space left on device"
	says "and that nothing is lost" "nothing is lost"
	same "the old tree is complete" "$(echo "$ws"/target.import-*)" "$W/list" --extents
	umount_any "$ws/target"
	rmdir "$ws/target" && mv "$ws"/target.import-* "$ws/target"
	gives 0 "another store takes it over" mount --import "$ws/target"
	same "with every entry as it was" "$ws/target" "$W/list" --extents
	tf umount "$ws/target"
	umount "$W/few"
}

# Also a mount whose last commit finds no room.
umount_any() {
	tf umount "$1"
	[ "$RC" = 0 ] || tf umount --lazy "$1"
}

# The mount cannot be made: everything is put back.
test_put_back() {
	local ws=$W/back
	mkdir -p "$ws/target" "$W/broken/x"
	echo precious >"$ws/target/file"
	list "$ws/target" >"$W/list"
	gives 1 "the mount fails" mount --store "$W/broken" --import "$ws/target"
	same "the tree is put back" "$ws/target" "$W/list"
	is "$(ls "$ws")" target "and nothing is left over"
}

# interrupted_by HOW NAME: an import that ends early, then one that goes on
interrupted_by() {
	local ws=$W/int-$2 i pid rest
	mkdir -p "$ws"
	make_tree "$ws/target"
	list "$ws/target" --extents >"$W/list"
	"$TARGETFS" mount --import "$ws/target" >"$W/out" 2>"$W/err" &
	pid=$!
	for ((i = 0; i < 2000; i++)); do
		is_view "$ws/target" &&
			[ "$(ls "$ws/target/debug/deps" 2>/dev/null | wc -l)" -gt "$3" ] &&
			break
		kill -0 $pid 2>/dev/null || break
	done
	kill "-$1" $pid 2>/dev/null
	wait $pid 2>/dev/null
	rest=$(asides "$ws")
	if [ "$rest" = 0 ]; then
		skip "interrupted by $1" "the import was faster"
		same "complete, then" "$ws/target" "$W/list" --extents
		tf umount "$ws/target"
		return
	fi
	[ "$1" = KILL ] || says "$1: says where the rest is" "nothing is lost"
	gives 0 "$1: umount" umount "$ws/target"
	gives 0 "$1: a plain mount" mount "$ws/target"
	says "$1: reminds of the import" "mount --import"
	gives 0 "$1: the import goes on" mount --import "$ws/target"
	same "$1: every entry is as it was" "$ws/target" "$W/list" --extents
	is "$(ls -A "$ws")" target "$1: and nothing is left over"
	tf umount "$ws/target"
}

# stopped_at_sync WHAT NAME STATUS: ... just when all is copied and not yet durable.
# The daemon ends with it, so what it has not committed is gone.
stopped_at_sync() {
	local ws=$W/sync-$2 i
	mkdir -p "$ws"
	make_tree "$ws/target"
	list "$ws/target" --extents >"$W/list"
	strace -o "$W/strace" -P "$ws/target" -e trace=fsync \
		-e "inject=fsync:$1" "$TARGETFS" mount --import "$ws/target" \
		>"$W/out" 2>"$W/err"
	is $? "$3" "$2 at the sync"
	[ "$3" != 1 ] || says "$2: says that nothing is lost" "nothing is lost"
	check "$2: it was that sync" grep -q "fsync" "$W/strace"
	same "$2: the old tree is complete" "$(echo "$ws"/target.import-*)" "$W/list" --extents
	kill_view "$ws/target"
	for ((i = 0; i < 200; i++)); do
		stat -f "$ws/target" >"$W/log" 2>&1 || break
		sleep 0.02
	done
	gives 0 "$2: the import goes on" mount --import "$ws/target"
	same "$2: every entry is as it was" "$ws/target" "$W/list" --extents
	is "$(ls -A "$ws")" target "$2: and nothing is left over"
	tf umount "$ws/target"
}

test_stopped_at_sync() {
	command -v strace >/dev/null || {
		skip "stopped at the sync" "needs strace"
		return
	}
	stopped_at_sync error=EIO failed 1
	stopped_at_sync signal=KILL killed 137
}

# What the user built meanwhile is not overwritten.
test_newer_kept() {
	local ws=$W/newer
	mkdir -p "$ws/target.import-77/debug" "$ws/target"
	echo old >"$ws/target.import-77/debug/file"
	echo only-old >"$ws/target.import-77/debug/other"
	tf mount "$ws/target"
	says "a plain mount tells of the rest" "'$ws/target.import-77'"
	mkdir "$ws/target/debug"
	echo newer >"$ws/target/debug/file"
	gives 1 "an import over newer files" mount --import "$ws/target"
	says "says so" "were kept"
	is "$(cat "$ws/target/debug/file")" newer "keeps the newer one"
	is "$(cat "$ws/target/debug/other")" only-old "takes over the others"
	is "$(cat "$ws/target.import-77/debug/file")" old "and keeps the old tree"
	tf umount "$ws/target"
	touch "$ws/target/plain"
	gives 1 "two trees of files" mount --import "$ws/target"
	says "says so" "hold files"
	rm "$ws/target/plain"
	mkdir "$ws/target.import-78" "$ws/target.import-x"
	gives 1 "two interrupted imports" mount --import "$ws/target"
	says "says so" "several interrupted imports"
}

test_foreground() {
	local ws=$W/fore i pid
	mkdir -p "$ws/target"
	echo 1 >"$ws/target/file"
	"$TARGETFS" mount --foreground --import "$ws/target" 2>"$W/fg.err" &
	pid=$!
	for ((i = 0; i < 100; i++)); do
		grep -qs "mounted '" "$W/fg.err" && break
		sleep 0.1
	done
	is "$(cat "$ws/target/file")" 1 "--import --foreground"
	is "$(asides "$ws")" 0 "is complete"
	tf umount "$ws/target"
	wait $pid
	is $? 0 "and ends with 0"
}

run() {
	need_root
	need python3
	export TARGETFS_STORE=$W/store
	test_everything
	test_refused
	test_no_room
	test_full_on_the_way
	test_put_back
	interrupted_by TERM early 10
	interrupted_by INT late 250
	interrupted_by KILL killed 100
	test_stopped_at_sync
	test_newer_kept
	test_foreground
	if cargo -V >/dev/null 2>&1; then test_cargo; else
		skip "import of a cargo target" "needs cargo"
	fi
}

test_main "$@"
