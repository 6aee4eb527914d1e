#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# mount and umount: what they do, and what they say when they cannot.
. "$(dirname "$0")/lib.sh"

test_life() {
	local ws=$W/life
	mkdir -p "$ws"
	gives 0 "mount makes DIR" mount "$ws/target"
	silent "mount has nothing to complain about"
	prefixed "the hints name the program"
	MOUNTS+=("$ws/target")
	check "it is a view" is_view "$ws/target"
	check "it can be written to" sh -c "echo one >'$ws/target/file'"
	gives 0 "mount again succeeds" mount "$ws/target"
	says "and says so" "'$ws/target' is already mounted"
	is "$(grep -c "$ws/target" /proc/self/mountinfo)" 1 "and mounts nothing more"
	gives 0 "umount" umount "$ws/target"
	is "$(cat "$W/err")" "" "umount is silent"
	is "$(ls -A "$ws/target")" "" "the directory is empty again"
	gives 0 "mount finds the view again" mount "$ws/target/"
	is "$(cat "$ws/target/file")" one "with everything in it"
	(cd "$ws" && "$TARGETFS" umount target 2>"$W/err")
	is $? 0 "umount by a relative path"
	ln -s "$ws/target" "$W/link"
	gives 0 "mount by a symbolic link" mount --workspace "$ws" "$W/link"
	is "$(cat "$ws/target/file")" one "is the same view"
	gives 0 "umount by a symbolic link" umount "$W/link"
	(cd "$ws/target" && "$TARGETFS" mount . 2>"$W/err")
	is $? 0 "mount of the working directory"
	gives 0 "umount it" umount "$ws/target"
}

test_others() {
	local ws=$W/others
	mkdir -p "$ws" "$W/another"
	tf mount "$ws/target"
	MOUNTS+=("$ws/target")
	gives 1 "mount of another workspace there" \
		mount --workspace "$W/another" "$ws/target"
	says "says whose view it is" "the view of '$ws'"
	says "and what to do" "targetfs umount '$ws/target'"
	gives 1 "mount over another store there" mount --store "$W/store2" "$ws/target"
	says "says over which store it is" "over the store '$TARGETFS_STORE'"
	gives 1 "host mode there" mount --host "$ws/target"
	gives 1 "in the foreground there" mount --foreground "$ws/target"
	gives 1 "the view a second time" mount --workspace "$ws" "$W/another/t"
	says "says where the view is mounted" "$ws/target"
	[ ! -e "$W/another/t" ]
	is $? 0 "a directory made for nothing is gone"
	tf umount "$ws/target"
	is "$(ls -A "$ws")" target "nothing is left over"
}

test_wrong_places() {
	local ws=$W/wrong
	mkdir -p "$ws/full"
	echo precious >"$ws/full/file"
	gives 1 "a directory that is not empty" mount "$ws/full"
	says "says so" "'$ws/full' is not empty"
	says "and offers --import" "targetfs mount --import"
	is "$(cat "$ws/full/file")" precious "and is left alone"
	gives 1 "a file" mount "$ws/full/file"
	says "is no directory" "Not a directory"
	gives 1 "a workspace that is not there" mount --workspace "$ws/none" "$ws/t"
	says "is named" "'$ws/none'"
	gives 1 "the store inside the view" mount --store "$ws/t/store" "$ws/t"
	says "cannot be" "may not lie in each other"
	gives 1 "the view inside the store" mount --store "$ws" "$ws/t"
	tf mount "$ws/v"
	MOUNTS+=("$ws/v")
	gives 1 "the store inside another view" mount --store "$ws/v/a/store" "$ws/t"
	says "cannot be" "lies in the view at '$ws/v'"
	tf umount "$ws/v"
	rmdir "$ws/v"
	ln -s nowhere "$ws/link"
	gives 1 "a symbolic link to nothing" mount "$ws/link"
	says "is called that" "'$ws/link' is a symbolic link to nothing"
	gives 2 "an empty DIR" mount ''
	gives 1 "a file as the store" mount --store "$ws/full/file" "$ws/t"
	says "says so" "is not a directory"
	gives 1 "host mode over files" mount --host "$ws/full"
	says "says what to do" "name an empty or a new directory"
	gives 2 "an unknown option of -o" mount -o nouring,fast "$ws/t"
	says "is named" "'-o fast'"
	says "with those there are" "nopassthrough, nouring, nofastwake, wink, nowink, publish, nopublish, allow_other, noallow_other"
	[ ! -e "$ws/t" ]
	is $? 0 "none of them made the directory"
	gives 1 "umount of what is not mounted" umount "$ws/full"
	says "says so" "'$ws/full' is not a mounted view"
	gives 1 "umount of what is not there" umount "$ws/none/at/all"
	mkdir "$ws/tmp" && mount -t tmpfs tests "$ws/tmp"
	gives 1 "umount of somebody else's mount" umount "$ws/tmp"
	check "leaves it alone" mountpoint -q "$ws/tmp"
}

test_options() {
	local ws=$W/options o
	mkdir -p "$ws"
	for o in nopassthrough nouring nofastwake nopassthrough,nouring noallow_other ,nouring,; do
		gives 0 "mount -o $o" mount -o "$o" "$ws/target"
		check "-o $o works" sh -c \
			"echo $o >'$ws/target/f' && grep -q $o '$ws/target/f'"
		tf umount "$ws/target"
	done
	gives 0 "several -o" mount -o nouring -o nopassthrough "$ws/target"
	tf stats --view options --json
	json "both count" '{"passthrough", "io_uring"} & set(d["views"][0]["features"])' 'set()'
	tf umount "$ws/target"
}

test_names() {
	local name
	for name in "with blank" "größe-日本" $'new\nline' 'quo"te\back' "it's" \
		'[a]*?' -dash "$(printf 'x%.0s' {1..200})"; do
		mkdir -p "$W/names/$name"
		gives 0 "mount in $(printf %q "$name")" mount "$W/names/$name/target dir"
		check "and use" sh -c 'echo 1 >"$1/f" && [ "$(cat "$1/f")" = 1 ]' - \
			"$W/names/$name/target dir"
		gives 0 "mount again" mount "$W/names/$name/target dir"
		is "$(wc -l <"$W/err")" 1 "says so in one line"
		tf views --json
		valid_json "and views --json"
		tf stats --json
		valid_json "and stats --json"
		gives 0 "and umount" umount "$W/names/$name/target dir"
	done
	name=$(printf 'not\377utf8')
	mkdir -p "$W/names/$name"
	gives 0 "a name that is not UTF-8" mount "$W/names/$name/t"
	tf views --json
	valid_json "is valid JSON all the same"
	gives 0 "and umount" umount "$W/names/$name/t"
}

test_busy() {
	local ws=$W/busy pid
	mkdir -p "$ws"
	tf mount "$ws/target"
	MOUNTS+=("$ws/target")
	(cd "$ws/target" && exec sleep 60) &
	pid=$!
	sleep 0.3
	gives 1 "umount of a mount in use" umount "$ws/target"
	says "names who uses it" "sleep (pid $pid)"
	says "and offers --lazy" "targetfs umount --lazy"
	check "it is still there" is_view "$ws/target"
	gives 0 "umount --lazy" umount --lazy "$ws/target"
	! is_view "$ws/target"
	is $? 0 "is gone at once"
	kill $pid
	wait $pid 2>/dev/null
	for _ in $(seq 50); do
		tf mount "$ws/target"
		[ "$RC" != 0 ] || break
		sleep 0.1
	done
	is "$RC" 0 "and can be mounted again when it is free"
	mkdir "$ws/target/sub"
	gives 0 "a view inside of it" mount "$ws/target/sub/target"
	MOUNTS+=("$ws/target/sub/target")
	gives 1 "keeps it busy" umount "$ws/target"
	says "and is named" "'$ws/target/sub/target' is mounted inside"
	tf umount "$ws/target/sub/target"
	gives 0 "until it is gone" umount "$ws/target"
}

# A container that starts while a view is mounted has the mount, too.
test_elsewhere() {
	local ws=$W/elsewhere pid
	mkdir -p "$ws"
	tf mount "$ws/target"
	MOUNTS+=("$ws/target")
	unshare --mount --propagation private sleep 100 &
	pid=$!
	for _ in $(seq 50); do
		[ "$(readlink /proc/$pid/ns/mnt)" = "$(readlink /proc/self/ns/mnt)" ] || break
		sleep 0.1
	done
	gives 1 "umount of a mount that another namespace has" umount "$ws/target"
	says "says so" "still mounted elsewhere"
	! is_view "$ws/target"
	is $? 0 "it is gone here"
	tf mount "$ws/target"
	is "$RC" 1 "the view is in use"
	kill $pid
	wait $pid 2>/dev/null
	for _ in $(seq 50); do
		tf mount "$ws/target"
		[ "$RC" != 0 ] || break
		sleep 0.1
	done
	is "$RC" 0 "until the other namespace is gone"
	# One that ends soon is waited for.
	unshare --mount --propagation private sleep 1 &
	pid=$!
	sleep 0.3
	gives 0 "umount when another namespace lets go soon" umount "$ws/target"
	wait $pid
}

test_dead() {
	local ws=$W/dead
	mkdir -p "$ws"
	tf mount "$ws/target"
	MOUNTS+=("$ws/target")
	echo kept >"$ws/target/file"
	sync "$ws/target/file"
	kill -9 "$(daemon_pid "$ws/target")"
	sleep 0.3
	gives 0 "mount where the daemon died" mount "$ws/target"
	says "says that it cleared the place" "whose daemon had died"
	is "$(cat "$ws/target/file" 2>&1)" kept "with what was synced"
	kill -9 "$(daemon_pid "$ws/target")"
	sleep 0.3
	gives 0 "umount where the daemon died" umount "$ws/target"
	is "$(ls -A "$ws/target" 2>&1)" "" "leaves a plain directory"
	gives 0 "fsck" fsck
}

test_foreground() {
	local ws=$W/fore i pid
	mkdir -p "$ws"
	"$TARGETFS" mount --foreground "$ws/target" >"$W/fg.out" 2>"$W/fg.err" &
	pid=$!
	for ((i = 0; i < 100; i++)); do
		grep -qs "mounted '$ws/target'" "$W/fg.err" && break
		sleep 0.1
	done
	check "mount --foreground says when it is ready" \
		grep -qx "targetfs: mounted '$ws/target'" "$W/fg.err"
	check "and serves" sh -c "echo 1 >'$ws/target/f'"
	is "$(daemon_pid "$ws/target")" $pid "from the process that was started"
	gives 0 "umount" umount "$ws/target"
	wait $pid
	is $? 0 "and it ends with 0"
	mkdir "$ws/full" && touch "$ws/full/f"
	gives 1 "where it cannot mount it fails at once" mount -f "$ws/full"
}

# The daemon's threads end in order, also when there is work left for each.
test_ends_well() {
	local ws=$W/ends i k pid bad=0
	mkdir -p "$ws"
	for i in 1 2 3 4 5 6 7 8; do
		rm -f "$W/fg.err" # or the last one's is read
		"$TARGETFS" mount --foreground "$ws/target" >"$W/fg.out" 2>"$W/fg.err" &
		pid=$!
		for ((k = 0; k < 100; k++)); do
			grep -qs "mounted '" "$W/fg.err" && break
			sleep 0.05
		done
		mkdir -p "$ws/target/debug/deps"
		head -c 100000 /dev/urandom \
			>"$ws/target/debug/deps/lib$i-0123456789abcdef.rlib"
		echo $i >"$ws/target/other-$i"
		tf umount "$ws/target"
		wait $pid || bad=$((bad + 1))
	done 2>/dev/null
	is $bad 0 "daemons that end with status 0, umounted right after writes"
	tf mount "$ws/target"
	is "$(find "$ws/target" -type f | wc -l)" 16 "and everything is there"
	tf umount "$ws/target"
	gives 0 "and the store is clean" fsck --read-data
}

# Runs the program with a /dev of its own.
in_dev() { # COMMAND-TO-PREPARE ARG...
	local prepare=$1
	shift
	RC=0
	unshare --mount --propagation private bash -c "$prepare"'; shift
		exec "$0" "$@"' "$TARGETFS" - "$@" >"$W/out" 2>"$W/err" || RC=$?
}

test_device() {
	local ws=$W/device no
	mkdir -p "$ws/full" "$W/dev0"
	touch "$ws/full/f"
	no="mknod -m 666 $W/dev0/null c 1 3; mount --bind $W/dev0 /dev"
	in_dev "$no" mount "$ws/target"
	is "$RC" 1 "mount without /dev/fuse"
	says "says so" "no /dev/fuse"
	says "and what to do in a container" "docker run --device /dev/fuse"
	[ ! -e "$ws/target" ]
	is $? 0 "and makes nothing"
	in_dev "$no" mount --import "$ws/full"
	is "$RC" 1 "mount --import without /dev/fuse"
	is "$(ls "$ws")" full "touches nothing"
	rm -f "$W/dev0/fuse" && mknod -m 666 "$W/dev0/fuse" c 10 250
	in_dev "mount --bind $W/dev0/fuse /dev/fuse" mount "$ws/target"
	is "$RC" 1 "mount with a /dev/fuse that nothing drives"
	says "says so" "no /dev/fuse"
	chmod 755 "$ws"
	cp "$TARGETFS" "$W/program" && chmod 755 "$W/program"
	chmod 600 "$W/dev0/fuse"
	RC=0
	unshare --mount --propagation private bash -c \
		"mount --bind $W/dev0/fuse /dev/fuse; exec setpriv --reuid=65534 \
		--regid=65534 --clear-groups $W/program mount --store $W/home/s \
		$W/home/t --workspace $W/home" >"$W/out" 2>"$W/err" || RC=$?
	is "$RC" 1 "mount by a user who may not open it"
	says "says so" "/dev/fuse may not be opened by this user"
}

test_stores() {
	local ws=$W/stores
	mkdir -p "$ws" "$W/notempty" "$W/other"
	touch "$W/notempty/file"
	gives 1 "a store that is something else" mount --store "$W/notempty" "$ws/t"
	says "says so" "$W/notempty"
	is "$(ls "$W/notempty")" file "and leaves it alone"
	tf mount --store "$W/other" "$ws/t"
	is "$RC" 0 "an empty directory becomes a store"
	is "$(stat -c %a "$TARGETFS_STORE")" 700 "one that was made is closed to others"
	tf umount "$ws/t"
	echo "targetfs store 999" >"$W/other/format"
	for v in "mount $ws/t" views stats "drop t"; do
		# shellcheck disable=SC2086
		gives 1 "a store of another version: ${v%% *}" $v --store "$W/other"
		says "${v%% *} says what to do" "targetfs that made it"
	done
	tf views --store "$W/other"
	says "the version is quoted" "'targetfs store 999'"
	gives 8 "fsck does not touch it" fsck --repair --store "$W/other"
	is "$(cat "$W/other/format")" "targetfs store 999" "nothing does"
	is "$(ls "$ws")" t "no directory is left over"
	check "a store that may not be read" skip_root_store
}

# An index in use over a lock file that our LMDB does not know: no damage.
test_other_lmdb() {
	local ws=$W/lmdb lock=$W/lmdb-store/index/lock.mdb
	mkdir -p "$ws"
	tf mount --store "$W/lmdb-store" "$ws/t"
	MOUNTS+=("$ws/t")
	cp "$lock" "$W/lock.mdb"
	printf '\377' | dd of="$lock" bs=1 seek=4 conv=notrunc status=none
	gives 1 "a store that another LMDB has in use" views --store "$W/lmdb-store"
	says "says so" "in use by an incompatible targetfs"
	dd if="$W/lock.mdb" of="$lock" bs=1 skip=4 seek=4 count=1 conv=notrunc status=none
	gives 0 "and one of ours" views --store "$W/lmdb-store"
	tf umount "$ws/t"
}

# The store's disk is full at the end.
test_full() {
	local ws=$W/full
	mkdir -p "$ws" "$W/disk"
	mount -t tmpfs -o size=2m tests "$W/disk"
	tf mount --store "$W/disk/store" "$ws/t"
	MOUNTS+=("$ws/t")
	! dd if=/dev/zero of="$ws/t/zeros" bs=64k count=100 2>"$W/dd"
	is $? 0 "a full disk is an error to who writes"
	check "which says so" grep -q "No space left" "$W/dd"
	gives 1 "umount of a view whose end cannot be written" umount "$ws/t"
	says "says that it is unmounted" "'$ws/t' is unmounted, but"
	says "and why" "No space left on device"
	! is_view "$ws/t"
	is $? 0 "and it is"
	umount "$W/disk"
}

test_readonly() {
	mkdir -p "$W/ro/ws"
	tf mount --store "$W/ro/store" "$W/ro/ws/t"
	tf umount "$W/ro/ws/t"
	mount --bind "$W/ro" "$W/ro" && mount -o remount,bind,ro "$W/ro"
	gives 1 "mount with a store that is read-only" \
		mount --store "$W/ro/store" "$W/rw/t" --workspace "$W"
	says "says so" "read-only filesystem"
	gives 0 "views looks at it" views --store "$W/ro/store"
	gives 0 "and fsck" fsck --store "$W/ro/store"
	umount "$W/ro"
}

# Root may read anything, so a user tries.
skip_root_store() {
	mkdir -m 700 "$W/theirs"
	chmod 711 "$W"
	cp -f "$TARGETFS" "$W/program" && chmod 755 "$W/program"
	setpriv --reuid=65534 --regid=65534 --clear-groups \
		"$W/program" views --store "$W/theirs" 2>&1 |
		grep -F "belongs to user 0"
}

# A view whose removal has begun and cannot be ended, for what somebody has put
# into the store, takes no more files: they would be in no row.
half_dropped() { # HOST
	local staging
	mkdir "$1/half"
	echo 1 >"$1/half/notes.txt"
	sync "$1/half/notes.txt"
	staging=$(find "$(store_dir)/staging" -mindepth 1 -maxdepth 1 -type d |
		sort | tail -n 1)
	rm "$1/half/notes.txt"
	mkdir "$staging/foreign"
	cd "$1/half" || return
	check "rmdir fails" lacks rmdir "$1/half"
	check "nothing can be made in it any more" lacks mkdir more
	cd "$W" || return
	rmdir "$staging/foreign"
}
lacks() { ! "$@"; }

test_host() {
	mkdir -p "$W/host"
	gives 0 "mount --host" mount --host "$W/host"
	MOUNTS+=("$W/host")
	check "mkdir makes a view" mkdir "$W/host/abc123"
	echo 1 >"$W/host/abc123/file"
	gives 0 "mount --host again" mount --host "$W/host"
	says "says so" "already mounted"
	gives 1 "another view there" mount --workspace "$W" "$W/host"
	says "says what is there" "host mode"
	sync "$W/host/abc123/file"
	tf views --json
	json "views knows it" '[v["host"] for v in d["views"] if v["name"] == "abc123"]' '[True]'
	gives 0 "umount" umount "$W/host"
	tf mount --host "$W/host"
	is "$(cat "$W/host/abc123/file")" 1 "the view is found again"
	half_dropped "$W/host"
	tf umount "$W/host"
	gives 0 "views" views --json
	json "views says that one is being dropped" \
		'[v["being_dropped"] for v in d["views"] if v["name"] == "half"]' '[True]'
	gives 0 "drop goes on, by the number" drop \
		"$(python3 -c 'import json, sys
print(*[v["id"] for v in json.load(sys.stdin)["views"] if v["being_dropped"]])' <"$W/out")"
	gives 0 "fsck" fsck
}

# errno_of NAME WANTED CALL ARG...: a call of Python's os fails with that
errno_of() {
	is "$(python3 - "${@:3}" 2>&1 <<-'PY'
	import errno, os, sys
	try:
	    getattr(os, sys.argv[1])(*sys.argv[2:])
	    print("no error")
	except OSError as e:
	    print(errno.errorcode[e.errno])
	PY
	)" "$2" "$1"
}

# A directory of two digits is none of the views: they are below it.
test_shelves() {
	local h=$W/shelves
	mkdir -p "$h"
	gives 0 "mount --host" mount --store "$W/shelf-store" --host "$h"
	MOUNTS+=("$h")
	check "makes a shelf and a view" mkdir -p "$h/71/c303/debug"
	check "and another view on it" mkdir "$h/71/aa" "$h/0f"
	check "and a view beside it" mkdir "$h/71a" "$h/7G" "$h/AB"
	is "$(cd "$h" && echo *)" "0f 71 71a 7G AB" "all are listed"
	is "$(cd "$h/71" && echo *)" "aa c303" "so is what is on a shelf"
	is "$(find "$h" -mindepth 1 -printf '%P\n' | sort | xargs)" \
		"0f 71 71/aa 71/c303 71/c303/debug 71a 7G AB" "and by find"
	is "$(stat -c '%F %i' "$h/71")" \
		"directory $(ls -id "$h/71" | cut -d ' ' -f 1)" "stat of a shelf"
	is "$(ls -i "$h" | sed -n 's/ 71$//p' | xargs)" "$(stat -c %i "$h/71")" \
		"its number is the one that is listed"
	is "$(stat -c %i "$h/71/..")" "$(stat -c %i "$h")" "and .. is the root"
	errno_of "mkdir of a shelf that is there" EEXIST mkdir "$h/71"
	errno_of "rmdir of one that is used" ENOTEMPTY rmdir "$h/71"
	errno_of "rename of a shelf" EPERM rename "$h/71" "$h/72"
	errno_of "rename of a view to a shelf" EPERM rename "$h/71a" "$h/73"
	errno_of "rename between views" EXDEV rename "$h/71/c303/debug" "$h/71/aa/debug"
	errno_of "rename out of a view" EXDEV rename "$h/71/c303/debug" "$h/71/debug"
	errno_of "rename to a name that is taken" EEXIST rename "$h/71/aa" "$h/71/c303"
	errno_of "a file on a shelf" EPERM mknod "$h/71/file"
	check "chmod of a shelf is refused" sh -c '! chmod 0700 "$1" 2>/dev/null' sh "$h/71"
	errno_of "a name that is too long" ENAMETOOLONG mkdir "$h/71/$(printf '%0254d' 0)"
	check "rename to another shelf" mv "$h/71/aa" "$h/0f/bb"
	check "and to no shelf" mv "$h/0f/bb" "$h/plain"
	check "and back on it" mv "$h/plain" "$h/0f/bb"
	echo 1 >"$h/71/c303/file"
	echo 2 >"$h/0f/bb/file"
	check "rmdir of views" rmdir "$h/71a" "$h/7G" "$h/AB"
	check "mkdir of a shelf for later" mkdir "$h/dd"
	(cd "$h/dd" && rmdir "$h/dd" && mkdir "$h/dd" && mkdir "$h/dd/x" &&
		[ -d "$h/dd/x" ] && ! mkdir x 2>/dev/null)
	is $? 0 "a shelf that is made again is another one"
	check "rm -r of a shelf with a view" rm -r "$h/dd"
	tf umount "$h"
	gives 0 "mount --host again" mount --store "$W/shelf-store" --host "$h"
	is "$(cd "$h" && echo */*)" "0f/bb 71/c303" "shelves come with their views"
	is "$(cat "$h/71/c303/file" "$h/0f/bb/file" | xargs)" "1 2" "and their files"
	check "rm -r of a view" rm -r "$h/0f/bb"
	is "$(ls "$h")" "$(printf '0f\n71')" "its shelf stays, as cargo leaves it"
	check "until it is removed" rmdir "$h/0f"
	is "$(ls "$h")" 71 "and gone it is"
	check "a view on it makes it again" mkdir -p "$h/0f/cc"
	tf umount "$h"
	tf views --store "$W/shelf-store" --json
	json "views names them" '[v["name"] for v in d["views"]]' "['71/c303', '0f/cc']"
	gives 1 "drop of a shelf" drop --store "$W/shelf-store" 0f
	gives 0 "drop by name" drop --store "$W/shelf-store" 0f/cc
	gives 0 "drop by id" drop --store "$W/shelf-store" 1
	prints "drops the one" "'71/c303'"
	gives 0 "mount --host once more" mount --store "$W/shelf-store" --host "$h"
	is "$(ls -A "$h")" "" "shelves without views are gone"
	tf umount "$h"
	gives 0 "fsck" fsck --store "$W/shelf-store"
}

# Two containers that start alike have equal pids, over which LMDB stumbles.
test_equal_pids() {
	local ws=$W/pids pid i
	mkdir -p "$ws/a" "$ws/b"
	unshare --pid --fork --mount-proc --kill-child \
		"$TARGETFS" mount --foreground "$ws/a/target" >"$W/fg.out" 2>"$W/fg.err" &
	pid=$!
	for ((i = 0; i < 100; i++)); do
		grep -qs "mounted '" "$W/fg.err" && break
		sleep 0.1
	done
	RC=0
	unshare --pid --fork --mount-proc "$TARGETFS" views --json >"$W/out" 2>"$W/err" || RC=$?
	is "$RC" 0 "views with the pid of a daemon in another PID namespace"
	json "tells of that daemon" 'd["views"][-1]["mounted"]["pid"]' 1
	RC=0
	unshare --pid --fork --mount-proc "$TARGETFS" fsck --store "$W/none" 2>"$W/err" || RC=$?
	is "$RC" 8 "statuses are passed on"
	# It lives as long as the first process of its namespace.
	unshare --pid --fork --mount-proc sh -c '"$1" mount "$2" &&
		echo 1 >"$2/f" && cat "$2/f" && "$1" umount "$2"' \
		- "$TARGETFS" "$ws/b/target" >"$W/out" 2>"$W/err"
	is "$? $(cat "$W/out")" "0 1" "a mount beside it works"
	# unshare itself does not care for SIGTERM.
	kill "$(pgrep -P $pid)"
	wait $pid
	is $? 0 "a daemon ends well at SIGTERM"
}

run() {
	need_root
	need python3 unshare setpriv pgrep
	export TARGETFS_STORE=$W/store
	test_life
	test_others
	test_wrong_places
	test_options
	test_names
	test_busy
	test_elsewhere
	test_dead
	test_foreground
	test_ends_well
	test_device
	test_stores
	test_other_lmdb
	test_full
	test_readonly
	test_host
	test_shelves
	test_equal_pids
}

test_main "$@"
