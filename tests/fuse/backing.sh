#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The store on other filesystems than ext4: tmpfs, overlayfs (a container's own
# layer, where passthrough needs a stacking depth), xfs and btrfs if they can
# be made here, and a directory that is bind-mounted read-write elsewhere.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
TIMEOUT=600

# place KIND: a filesystem at $W/place
place() {
	mkdir -p "$W/place"
	case $1 in
	tmpfs) mount -t tmpfs -o size=1g tests "$W/place" ;;
	overlay)
		mkdir -p "$W/layers"
		mount -t tmpfs -o size=1g tests "$W/layers" &&
			mkdir "$W/layers/l" "$W/layers/u" "$W/layers/w" &&
			mount -t overlay tests "$W/place" -o \
				"lowerdir=$W/layers/l,upperdir=$W/layers/u,workdir=$W/layers/w"
		;;
	bind) mkdir -p "$W/real" && mount --bind "$W/real" "$W/place" ;;
	xfs | btrfs)
		truncate -s 600M "$W/img.$1"
		"mkfs.$1" -q "$W/img.$1" >/dev/null 2>&1 &&
			mount -o loop "$W/img.$1" "$W/place"
		;;
	esac
}

on() { # KIND
	local MODE=$MODE
	case $1 in xfs | btrfs) wants "the store on $1" "mkfs.$1" || return ;; esac
	if ! place "$1" 2>/dev/null; then
		skip "the store on $1" "it cannot be made here"
		return
	fi
	chmod 755 "$W/place"
	MODE=$MODE,$1
	STORE=$W/place/store
	if mount_view "$W/ws.$1/target" ${OPTS:+-o "$OPTS"}; then
		chmod 755 "$MNT"
		passthrough "$1"
		"$PROG" -v -s 4 -f link -f map_ -f open_orders -f settled_changed \
			-f settled_program -f copy_file_range -f truncate -f exec \
			-f seek_data -f rename_ "$MNT" |
			sed "s/^\(\(not \)\?ok - [^ ]*\)/\1 [$MODE]/"
		check "unmounts" umount_view
		mount_view || nok "mounts again"
		check "unmounts again" umount_view
		fsck_store "the store is clean"
	else
		nok "mount"
	fi
	STORE=
	sleep 0.3 # the daemon is about to end
	umount "$W/place" 2>/dev/null || umount -l "$W/place"
}

# Overlayfs does not tell of mappings, so there only the daemon may write.
passthrough() { # KIND
	local want=no
	"$TARGETFS" version --json |
		jq -e '.active_here | index("passthrough")' >/dev/null &&
		[ "$1" != overlay ] && [ "${MODE%%,*}" = default ] && want=yes
	stat_of '.views[0].features | index("passthrough")' >"$W/got"
	is "$(grep -qx null "$W/got" && echo no || echo yes)" $want \
		"passthrough is on: $want"
}

body() {
	local kind
	for kind in tmpfs overlay bind ${LONG:+xfs btrfs}; do
		on "$kind"
	done
}

run() {
	[ -z "$PLAIN" ] || skip_all "of a view only"
	need_root
	need jq
	program posix "$TESTS"/fuse/posix_*.c
	MODES=${LONG:+default neither}
	MODES=${MODES:-default}
	for_modes body
}
test_main "$@"
