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
	says "says whose it is" "was mounted by another user"
	gives 1 "umount --lazy of root's mount" umount --lazy "$FOREIGN"
	gives 1 "root's store" views --store "$FOREIGN_STORE"
	says "says whose it is" "belongs to user 0"
}

# A system that nothing booted, and no container engine made.
without_mtab() {
	export TARGETFS_STORE=$W/store
	mkdir -p "$W/mtab"
	gives 0 "mount" mount "$W/mtab/target"
	MOUNTS+=("$W/mtab/target")
	gives 1 "umount without /etc/mtab" umount "$W/mtab/target"
	says "says what is missing" "ln -s /proc/self/mounts /etc/mtab"
}

# The capability that passthrough needs, on the program, is none to mount
# wherever one likes.
with_capability() {
	export TARGETFS_STORE=$W/store TARGETFS=$CAPABLE
	tf version --json
	if [ "$(jq '.active_here | index("passthrough")' "$W/out")" = null ]; then
		skip "setcap" "the kernel has no passthrough, or $W is mounted nosuid"
		return
	fi
	mkdir -p "$W/cap"
	gives 0 "mount with cap_sys_admin" mount "$W/cap/target"
	MOUNTS+=("$W/cap/target")
	echo 1 >"$W/cap/target/f"
	tf stats --json
	isnt_null '.views[] | select(.name == "cap") | .features | index("passthrough")' \
		"has passthrough"
	gives 0 "umount" umount "$W/cap/target"
	gives 1 "mount over a directory of root's" mount --workspace "$W/cap" "$ROOTS"
	says "says why" "directories that they may write to"
	! is_view "$ROOTS"
	is $? 0 "and leaves it alone"
	gives 1 "allow_other" mount -o allow_other "$W/cap/target"
	says "is left to root" "user_allow_other"
	gives 1 "umount of root's mount" umount --lazy "$FOREIGN"
}

isnt_null() { # EXPRESSION NAME: of the last tf's output
	[ "$(jq "$1" "$W/out")" != null ]
	is $? 0 "$2"
}

# cap_sys_admin+ep, as setcap writes it: version 2 with the effective bit.
give_capability() {
	setfattr -n security.capability \
		-v 0x0100000200002000000000000000000000000000 "$1"
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
	fi
	for_modes all_verbs
	[ "$(id -u)" = 0 ] || return 0
	mkdir -p "$W/root"
	tf mount --store "$W/rootstore" "$W/root/target"
	export FOREIGN=$W/root/target FOREIGN_STORE=$W/rootstore
	MODES=user for_modes foreign_mount
	mkdir -m 755 "$W/roots"
	cp "$TARGETFS" "$W/capable" && chmod 755 "$W/capable"
	export ROOTS=$W/roots CAPABLE=$W/capable
	if give_capability "$CAPABLE" 2>/dev/null; then
		MODES=user for_modes with_capability
	else
		skip "setcap" "needs setfattr, and a filesystem that keeps it"
	fi
	mkdir "$W/etc"
	cp -a /etc/passwd /etc/group /etc/ld.so.cache /etc/alternatives "$W/etc"
	mount --bind "$W/etc" /etc
	MODES=user for_modes without_mtab
	umount /etc
	check "root's mount is still there" is_view "$W/root/target"
	tf umount "$W/root/target"
}

test_main "$@"
