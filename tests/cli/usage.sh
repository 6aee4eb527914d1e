#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The command line itself: verbs, options, help, statuses, and that manual
# pages and completion tell of the same verbs and options as the help.
. "$(dirname "$0")/lib.sh"

VERBS="mount umount run views units why stats fsck verify drop version help"

test_help() {
	local v
	gives 0 "help" help
	for v in $VERBS; do
		prints "help lists $v" "  $v "
		tf help "$v"
		cp "$W/out" "$W/help"
		gives 0 "$v --help" "$v" --help
		check "help $v is $v --help" cmp "$W/out" "$W/help"
		prints "$v --help shows the synopsis" "Usage: targetfs $v"
		gives 0 "help $v" help "$v"
		tf help
	done
	gives 0 "--help" --help
	gives 0 "--version" --version
}

test_mistakes() {
	local v want
	gives 2 "no verb"
	says "no verb: what to do" "targetfs help"
	gives 2 "unknown verb" frobnicate
	says "unknown verb: which" "'frobnicate'"
	gives 2 "help of an unknown verb" help frobnicate
	for v in $VERBS; do
		want=2
		[ "$v" != run ] || want=125
		[ "$v" != fsck ] || want=16
		gives $want "$v: unknown option" "$v" --frobnicate
		says "$v: which option" "'--frobnicate'"
		says "$v: where the help is" "targetfs help $v"
		prefixed "$v: messages name the program"
	done
	for v in views stats fsck verify version; do
		want=2
		[ "$v" != fsck ] || want=16
		gives $want "$v: unexpected argument" $v surplus
	done
	gives 2 "mount without DIR" mount
	gives 2 "mount with two" mount a b
	gives 2 "umount without DIR" umount
	gives 2 "drop without VIEW" drop
	gives 125 "run without a command" run
	gives 2 "--host with --workspace" mount --host --workspace / "$W/x"
	gives 2 "--host with --import" mount --host --import "$W/x"
	gives 1 "an empty store" views --store ''
}

# The options of the help text of a verb.
options_of() { grep -oE -- '--[a-z-]+' "$W/help-$1" | sort -u; }

test_documents() {
	local v o man missing=''
	for v in $VERBS; do
		"$TARGETFS" help "$v" >"$W/help-$v"
		man=$TOP/tools/man/targetfs-$v.1
		[ -f "$man" ] || missing="$missing $man"
		for o in $(options_of "$v"); do
			case $v$o in help--help | run--import) continue ;; esac
			grep -qE "Fl Fl ${o#--}" "$man" ||
				missing="$missing targetfs-$v.1:$o"
			(
				# shellcheck source=/dev/null
				. "$TOP/tools/completions/targetfs"
				_targetfs_options "$v" | grep -qF -- "$o" ||
					[ "$v" = run ]
			) || missing="$missing completion:$v$o"
		done
		grep -q "Cm $v\$" "$TOP/tools/man/targetfs.1" ||
			missing="$missing targetfs.1:$v"
	done
	is "$missing" "" "manual pages and completion know all verbs and options"
}

test_version() {
	gives 0 "version" version
	prints "version: libfuse" "libfuse"
	prints "version: features" "active here"
	gives 0 "version --json" version --json
	valid_json "version --json is JSON"
	json "version --json: active is a part of compiled in" \
		'set(d["active_here"]) <= set(d["compiled_in"]) | {"read-only blobs"}' True
	tf version
	if "$TARGETFS" version >/dev/full 2>"$W/err"; then
		nok "a full output is an error"
	else
		ok "a full output is an error"
	fi
}

test_default_store() {
	local var
	export HOME=$W/home
	unset TARGETFS_STORE
	XDG_CACHE_HOME=$W/xdg tf views
	says "the store of XDG_CACHE_HOME" "'$W/xdg/targetfs/store'"
	XDG_CACHE_HOME=relative tf views
	says "a relative XDG_CACHE_HOME is ignored" "'$HOME/.cache/targetfs/store'"
	TARGETFS_STORE=$W/env tf views
	says "the store of TARGETFS_STORE" "'$W/env'"
	TARGETFS_STORE=$W/env tf views --store "$W/opt"
	says "the store of --store" "'$W/opt'"
	says "no store yet: what to do" "targetfs mount"
	for var in views stats drop; do
		tf $var --store "$W/none" x >/dev/null
		[ ! -e "$W/none" ] || nok "$var makes no store"
	done
	is "$(ls -d "$W/none" "$W/env" 2>/dev/null)" "" "looking makes no store"
}

run() {
	test_help
	test_mistakes
	test_documents
	test_version
	test_default_store
}

test_main "$@"
