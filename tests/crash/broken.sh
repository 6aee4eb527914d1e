#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Tests that cannot fail prove nothing: each rule that guards against data loss
# or a false Fresh is left out once, and the test of that rule must turn red;
# with no rule left out the same test must be green. Every broken("rule") of the
# sources has a line here. Needs a build with --enable-break=select, its tests included:
# TARGETFS_BROKEN names the program in it. The long form builds one itself, and
# shows by the tests on a mounted view what the unit tests show without.
#	broken.sh [RULE...]
# shellcheck source-path=SCRIPTDIR source=../cargo/lib.sh
. "$(dirname "$0")/../cargo/lib.sh"
TIMEOUT=${LONG:+7200}
TIMEOUT=${TIMEOUT:-600}

# RULE  UNIT-TEST  ITS-PART
units() {
	cat <<-TXT
		adopt-ctime        blob          adoption_renews_ctime
		adopt-size         blob          a_damaged_blob_is_replaced
		blobs-readonly     store         blobs_are_behind_a_readonly_mount
		commit-blob-check  commit        a_swept_blob_is_linked_again
		commit-order       crash         killed_in_commits
		copy-on-write      fs_settle     a_shared_file_is_copied
		damaged-count      commit        a_damaged_count_frees_nothing
		dropped-view       commit        a_dropped_view_takes_no_batch
		flux-mark          fs_settle     committed_while_it_is_opened
		flux-recovery      fs_crash      after_a_kill
		fsync-commit       fs_crash      after_a_kill
		fsync-data         fs_crash      after_a_power_cut
		hashes-ctime       hashes        same_size_and_mtime
		index-checksum     index_damage  flipped_bits
		index-length       index_damage  a_truncated_file
		index-sync         index         a_commit_is_on_the_disk
		index-vet          index_damage  mutated_pages_below_a_writer
		lease-lock         lease         one_holder
		link-size          blob          a_file_that_changed_is_refused
		link-sync          blob          the_order_of_link
		mapped-writer      fs_settle     written_behind_our_back
		outside-mount      outside       what_is_inside
		revive-check       blob          a_dead_row_without_a_file_is_not_revived
		second-name        fs_settle     killed_before_the_commit
		settle-recheck     fs_settle     written_while_it_is_hashed
		sweep-grace        blob          grace_is_kept
		sweep-recheck      blob          a_blob_revived_meanwhile_stays
		sync-recheck       fs_crash      written_while_all_is_synced
		truncate-in-place  fs_crash      after_a_kill
		unit-refs          unit          a_unit_keeps_its_blobs
		unsynced-mark      fs_crash      after_a_power_cut
		unsynced-recovery  fs_crash      after_a_power_cut
		view-id            views         drop_forgets_and_ids_stay_used
	TXT
}

# RULE  TRIES  SCRIPT [ARGUMENT...]; {} is the number of the try
mounts() {
	cat <<-TXT
		bind-whole         1 cargo/wink.sh other_checkouts
		build-program      1 cargo/wink.sh becomes_another
		build-workspace    1 cargo/wink.sh not_ours
		copy-on-write      1 fuse/posix.sh -f settled_changed
		flux-mark          6 crash/prefix.sh 4 {}00
		flux-recovery      6 crash/prefix.sh 4 {}00
		fsync-data         2 crash/powercut.sh 12 {}
		index-sync         2 crash/powercut.sh 12 {}
		mapped-writer      2 fuse/posix.sh -f map_written
		publish-alias      1 cargo/wink.sh aliases
		publish-changed    2 cargo/wink.sh sources_change
		publish-dep        2 cargo/wink.sh dep_rebuilt
		revalidate-stale   1 cargo/wink.sh other_checkouts
		scope-config       1 cargo/wink.sh configurations
		settle-recheck     5 fuse/posix.sh -f settled_raced
		silent-commit      1 cargo/wink-repair.sh differs
		silent-package     1 cargo/wink-repair.sh elsewhere in_place
		silent-workspace   1 cargo/wink-repair.sh differs
		unhashed-loser     1 cargo/wink-kinds.sh written_over
		unhashed-owner     1 cargo/wink-kinds.sh written_over
		unsynced-mark      2 crash/powercut.sh 12 {}
		winkin-dep         1 cargo/wink.sh dep_other
		winkin-env         1 cargo/wink.sh environments
		winkin-future      1 cargo/wink.sh yet_to_come
		winkin-impure      1 cargo/wink.sh silent_macros
		winkin-link        1 cargo/wink.sh places
		winkin-metadata    1 cargo/wink.sh places
		winkin-path        1 cargo/wink.sh places
		winkin-place       1 cargo/wink.sh places
		winkin-scope       1 cargo/wink.sh wrappers
		winkin-source      1 cargo/wink.sh inputs_differ
		winkin-stamp       1 cargo/wink.sh dep_missing
	TXT
}

rules_of_sources() {
	grep -rhoE 'broken\("[a-z-]+"\)' "$TOP"/{fs,store,tools} \
		--include='*.[ch]' | sed 's/.*"\(.*\)".*/\1/' | sort -u
}

# The unit tests sync a lot; that nothing survives is no matter.
memory() {
	UNIT_TMP=$W
	can_unshare || return 0
	mkdir -p "$W/mem" && mount -t tmpfs -o mode=1777 tests "$W/mem" &&
		UNIT_TMP=$W/mem
}

# unit RULE TEST PART: the results in $W/RULE.out
unit() {
	TMPDIR=$UNIT_TMP TARGETFS_BREAK=$1 TEST_FILTER=$3 timeout -s KILL 120 \
		"$BUILT/tests/unit/test_$2" >"$W/$1.out" 2>&1
}

unit_is_red() { # RULE TEST PART
	unit "$@"
	if grep -qE "^not ok [0-9]+ - $3\$" "$W/$1.out"; then
		ok "without '$1' $2: $3 fails"
	else
		nok "without '$1' $2: $3 fails" "$(tail -n 5 "$W/$1.out")"
	fi
}

unit_is_green() { # TEST PART
	unit none "$@"
	if grep -qE "^ok [0-9]+ - $2\$" "$W/none.out" &&
		! grep -q '^not ok' "$W/none.out"; then
		ok "with all rules $1: $2 passes"
	else
		nok "with all rules $1: $2 passes" "$(tail -n 5 "$W/none.out")"
	fi
}

mount_is_red() { # RULE TRIES SCRIPT ARGUMENT...
	local rule=$1 tries=$2 script=$TESTS/$3 i out=$W/$1.out
	shift 3
	for ((i = 1; i <= tries; i++)); do
		TFS_INNER='' TARGETFS=$TARGETFS_BROKEN TARGETFS_BREAK=$rule \
			TARGETFS_LONG='' TARGETFS_MODES=default TMPDIR=$W \
			MODE='' MODES='' bash "$script" "${@//\{\}/$i}" \
			>"$out" 2>&1
		if grep -q '^not ok' "$out"; then
			ok "without '$rule' $(basename "$script") fails"
			diag "try $i:" "$(grep -A 4 '^not ok' "$out" | head -n 5)"
			return
		fi
	done
	nok "without '$rule' $(basename "$script") fails" "$(tail -n 5 "$out")"
}

# As the present build was configured, and with the switch.
build() {
	local args
	args=$("${top_builddir:-$TOP/build}/config.status" --config) || return
	mkdir -p "$W/build" && cd "$W/build" || return
	eval "\"$TOP/configure\" $args --enable-break=select" &&
		make -j "$(nproc)" all && make -j "$(nproc)" check TESTS=
}

wanted() { # RULE RULE...: is the first among the others, if there are others
	[ $# = 1 ] || [[ " ${*:2} " == *" $1 "* ]]
}

run() {
	local rule rest
	if [ -z "${TARGETFS_BROKEN:-}" ]; then
		[ -n "$LONG" ] || skip_all "TARGETFS_BROKEN names no program \
built with --enable-break=select"
		(build) >"$W/build.out" 2>&1 || {
			nok "builds with --enable-break=select" "$(tail "$W/build.out")"
			return
		}
		TARGETFS_BROKEN=$W/build/targetfs
	fi
	TARGETFS_BROKEN=$(realpath "$TARGETFS_BROKEN")
	BUILT=$(dirname "$TARGETFS_BROKEN")
	check "each rule of the sources has its line" \
		diff <({ units && mounts; } | awk '{ print $1 }' | sort -u) \
		<(rules_of_sources)
	memory
	while read -r rule rest; do
		wanted "$rule" "$@" || continue
		# shellcheck disable=SC2086 # words
		unit_is_red "$rule" $rest
	done < <(units)
	while read -r rest; do
		# shellcheck disable=SC2086
		unit_is_green $rest
	done < <(units | while read -r rule rest; do
		! wanted "$rule" "$@" || echo "$rest"
	done | sort -u)
	[ -n "$LONG" ] || return 0
	need_root
	while read -r rule rest; do
		wanted "$rule" "$@" || continue
		# shellcheck disable=SC2086
		mount_is_red "$rule" $rest
	done < <(mounts)
}
test_main "$@"
