#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The verbs as a plain user, and as root of a user namespace.
. "$(dirname "$0")/lib.sh"
unset TARGETFS_MODES # a plain user has but one

all_verbs() {
	export TARGETFS_STORE=$W/store
	mkdir -p "$W/my work/target/debug"
	echo plain >"$W/my work/target/debug/file"
	ln "$W/my work/target/debug/file" "$W/my work/target/debug/too"
	gives 1 "mount over files" mount "$W/my work/target"
	gives 0 "mount --import" mount --import "$W/my work/target"
	MOUNTS+=("$W/my work/target")
	silent "has nothing to complain about"
	is "$(stat -c %h "$W/my work/target/debug/too")" 2 "keeps hard links"
	is "$(stat -c %u "$W/my work/target/debug/too")" "$(id -u)" "and the owner"
	gives 0 "mount again" mount "$W/my work/target"
	echo two >"$W/my work/target/debug/too"
	is "$(cat "$W/my work/target/debug/file")" two "the view can be written to"
	gives 0 "views" views
	gives 0 "stats" stats --json
	is "$(jq '.views[0].features | index("passthrough")' "$W/out")" null \
		"without passthrough"
	gives 0 "version" version
	gives 1 "drop of a mounted view" drop 1
	gives 0 "umount" umount "$W/my work/target"
	gives 0 "fsck" fsck --read-data
	gives 0 "drop" drop "$W/my work"
	mkdir -p "$W/run" && : >"$W/run/Cargo.toml"
	(cd "$W/run" && CARGO=/none "$TARGETFS" run -- sh -c 'echo 1 >target/f') 2>"$W/err"
	is $? 0 "run"
	MOUNTS+=("$W/run/target")
	check "mounts a view" is_view "$W/run/target"
	gives 0 "umount" umount "$W/run/target"
}

foreign_mount() {
	export TARGETFS_STORE=$W/store
	gives 1 "umount of root's mount" umount "$FOREIGN"
	gives 1 "root's store" views --store "$FOREIGN_STORE"
	says "says whose it is" "belongs to user 0"
}

# Where the system's fusermount3 is not setuid, one that is takes its place,
# as far as this test can see.
setuid_fusermount() {
	local f
	f=$(command -v fusermount3) || return 0
	[ ! -u "$f" ] || return 0
	cp "$f" "$W/fusermount3" && chmod 4755 "$W/fusermount3" &&
		mount --bind "$W/fusermount3" "$f"
}

run() {
	need jq
	chmod 711 "$W"
	MODES="user userns"
	[ "$(id -u)" = 0 ] || MODES=default
	# The program's own directory may be closed to others.
	if [ "$(id -u)" = 0 ]; then
		cp "$TARGETFS" "$W/targetfs" && chmod 755 "$W/targetfs"
		export TARGETFS=$W/targetfs
		setuid_fusermount
	fi
	for_modes all_verbs
	[ "$(id -u)" = 0 ] || return 0
	mkdir -p "$W/root"
	tf mount --store "$W/rootstore" "$W/root/target"
	export FOREIGN=$W/root/target FOREIGN_STORE=$W/rootstore
	MODES=user for_modes foreign_mount
	check "root's mount is still there" is_view "$W/root/target"
	tf umount "$W/root/target"
}

test_main "$@"
