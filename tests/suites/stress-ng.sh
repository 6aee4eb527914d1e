#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# stress-ng's stressors of filesystems, with --verify: a subset for a second
# each, in one mode; with TARGETFS_LONG all of them for five, in every mode.
#	stress-ng.sh [STRESSOR...]
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
TIMEOUT=${LONG:+7200}
TIMEOUT=${TIMEOUT:-600}

FULL="access chdir chmod chown copy-file dentry dir dirdeep dirmany dup
	fallocate fcntl fiemap file-ioctl filename flock fpunch fsize fstat
	getdent hdd inode-flags io iomix lease link locka lockf lockofd mknod
	mmapmany msync open rename readahead seek sendfile splice symlink
	sync-file utime verity xattr"
SHORT="chmod copy-file dentry dir dirdeep fallocate fcntl filename flock fpunch
	fsize fstat getdent hdd iomix link lockf lockofd mmapmany msync open
	rename seek sendfile symlink utime xattr"

one() { # STRESSOR
	local rc=0 log=$W/stress.log
	stress-ng "--$1" 2 --timeout "${SECONDS_EACH}s" --verify \
		--temp-path "$D" --hdd-bytes 32m --iomix-bytes 32m \
		--metrics-brief >"$log" 2>&1 || rc=$?
	case $rc in
	0)
		if grep -q skipped "$log" && ! grep -qE 'passed: [1-9]' "$log"; then
			skip "stress-ng $1" "it skips itself"
		else
			ok "stress-ng $1"
		fi
		;;
	3 | 4) skip "stress-ng $1" "not supported by the system" ;;
	*) nok "stress-ng $1" "status $rc" \
		"$(grep -iE 'fail|error' "$log" | head -n 5)" ;;
	esac
}

body() {
	local s
	begin || return
	for s in $LIST; do
		one "$s"
	done
	end stress-ng
}

run() {
	need stress-ng
	export LIST SECONDS_EACH
	LIST=${*:-${LONG:+$FULL}}
	LIST=${LIST:-$SHORT}
	SECONDS_EACH=${LONG:+5}
	SECONDS_EACH=${SECONDS_EACH:-1}
	MODES=${LONG:+$(modes_here)}
	MODES=${MODES:-default}
	for_modes body
}
test_main "$@"
