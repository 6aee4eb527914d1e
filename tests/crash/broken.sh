#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Tests that cannot fail prove nothing: each rule that guards against data loss
# is left out once, and the test of that rule must turn red. Needs a program
# that was configured with --enable-break=select, named by TARGETFS_BROKEN.
#	broken.sh [RULE...]
# (The rules of store/ that need no mount have their unit tests.)
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
TIMEOUT=1800

# RULE  TRIES  SCRIPT [ARGUMENT...]; {} is the number of the try
rules() {
	cat <<-TXT
		flux-mark          6 crash/prefix.sh 4 {}00
		flux-recovery      6 crash/prefix.sh 4 {}00
		copy-on-write      1 fuse/posix.sh -f settled_changed
		mapped-writer      2 fuse/posix.sh -f map_written
		settle-recheck     5 fuse/posix.sh -f settled_raced
		unsynced-recovery  2 crash/powercut.sh 12 {}
		link-sync          3 crash/powercut.sh 16 {}
		commit-order       3 crash/prefix.sh 6 {}00
	TXT
}

try() { # RULE TRIES SCRIPT ARGUMENT...
	local rule=$1 tries=$2 script=$TESTS/$3 i out=$W/$1.out
	shift 3
	for ((i = 1; i <= tries; i++)); do
		TFS_INNER='' TARGETFS=$TARGETFS_BROKEN TARGETFS_BREAK=$rule \
			TARGETFS_MODES=default TMPDIR=$W MODE='' MODES='' \
			bash "$script" "${@//\{\}/$i}" >"$out" 2>&1
		if grep -q '^not ok' "$out"; then
			ok "without '$rule' $(basename "$script") fails"
			say "$(grep -A 4 '^not ok' "$out" | head -n 5)"
			return
		fi
	done
	nok "without '$rule' $(basename "$script") fails" "$(tail -n 5 "$out")"
}

run() {
	local rule rest
	[ -x "${TARGETFS_BROKEN:-}" ] ||
		skip_all "TARGETFS_BROKEN names no program built with --enable-break=select"
	need_root
	while read -r rule rest; do
		case " ${*:-$rule} " in
		*" $rule "*) ;;
		*) continue ;;
		esac
		# shellcheck disable=SC2086 # words
		try "$rule" $rest
	done < <(rules)
}
test_main "$@"
