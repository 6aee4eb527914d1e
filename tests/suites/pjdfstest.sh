#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# pjdfstest (the crate, 398 cases): POSIX semantics. What a view refuses by
# design is in pjdfstest.expected, with the reason; all else must pass, and a
# case of the list that passes must leave the list.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
TIMEOUT=600
EXPECTED=$TESTS/suites/pjdfstest.expected

# Three users that the suite acts as, known in this mount namespace only.
users() {
	local i f
	for f in passwd group; do
		cp /etc/$f "$W/$f"
		for i in 1 2 3; do
			case $f in
			passwd) echo "pjd$i:x:$((54320 + i)):$((54320 + i))::/:/bin/sh" ;;
			group) echo "pjd$i:x:$((54320 + i)):" ;;
			esac >>"$W/$f"
		done
		mount --bind "$W/$f" /etc/$f || return
	done
	cat >"$W/pjd.toml" <<-'TXT'
		[features]
		posix_fallocate = {}
		rename_ctime = {}
		utime_now = {}
		utimensat = {}
		[settings]
		naptime = 0.01
		allow_remount = false
		[dummy_auth]
		entries = [["pjd1", "pjd1"], ["pjd2", "pjd2"], ["pjd3", "pjd3"]]
	TXT
}

# names WORD...: the cases with that result
names() {
	awk -v w=" $* " 'NF == 2 && $1 ~ /::/ && index(w, " " $2 " ") { print $1 }' \
		"$W/pjd.log" | sort
}

body() {
	begin || return
	timeout 300 "$PJDFSTEST" -c "$TOML" -p "$D" -s /dev/shm >"$W/pjd.log" 2>&1
	say "$(grep -a '^Summary' "$W/pjd.log" | tail -n 1)"
	{
		names ok success | sed 's/$/ pass/'
		names skipped | sed 's/$/ skip/'
		names FAILED failed | sed 's/$/ fail/'
	} >"$W/results"
	check "pjdfstest ran whole" test "$(wc -l <"$W/results")" -ge 398
	sed -n 's/ either$/ /p' "$EXPECTED" >"$W/either"
	grep -v ' pass$' "$W/results" | grep -vFf "$W/either" | sort >"$W/got"
	grep -E ' (fail|skip)$' "$EXPECTED" | sort >"$W/expected"
	[ -z "$PLAIN" ] || sed -i '/erofs/!d' "$W/expected"
	check "pjdfstest: no unexpected failure or skip" \
		none_but "$W/got" "$W/expected"
	check "pjdfstest: what is expected to fail does" \
		none_but "$W/expected" "$W/got"
	end pjdfstest
}

# none_but A B: prints what A has and B has not, with what was said of it
none_but() {
	local extra name
	extra=$(comm -23 "$1" "$2" | cut -d' ' -f1)
	[ -z "$extra" ] && return
	for name in $extra; do
		grep -a -A 2 "^$name " "$W/pjd.log" | grep -v Backtrace
	done | head -n 40
	return 1
}

run() {
	need_root
	can_unshare || skip_all "needs a mount namespace for its users"
	crate_tool pjdfstest 0.2.2
	# shellcheck disable=SC2153
	export PJDFSTEST=$TOOL
	users || skip_all "cannot make users"
	export TOML=$W/pjd.toml
	MODES="default nouring nopassthrough neither"
	for_modes body
}
test_main "$@"
