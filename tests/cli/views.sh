#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# views, stats and drop.
. "$(dirname "$0")/lib.sh"

test_empty() {
	mkdir -p "$W/one"
	gives 0 "mount" mount "$W/one/target"
	MOUNTS+=("$W/one/target")
	gives 0 "views" views
	prints "views shows the view" "$W/one"
	prints "and where it is mounted" "$W/one/target (pid"
	gives 0 "views --json" views --json
	valid_json "views --json is JSON"
	json "the store" 'd["store"]' "$TARGETFS_STORE"
	json "id, name, workspace" \
		'[(v["id"], v["name"], v["workspace"]) for v in d["views"]]' \
		"[(1, 'one', '$W/one')]"
	json "no files" 'd["views"][0]["files"], d["views"][0]["bytes"]' "(0, 0)"
	json "mounted where" 'd["views"][0]["mounted"]["directory"]' "$W/one/target"
	json "by which process" 'd["views"][0]["mounted"]["pid"]' \
		"$(daemon_pid "$W/one/target")"
	json "when" 'abs(d["views"][0]["last_mounted"] - '"$(date +%s)"') < 60' True
	gives 0 "stats" stats
	gives 0 "stats --json" stats --json
	valid_json "stats --json is JSON"
	json "nothing is stored" 'd["total"]["stored"]' 0
}

# Artifacts by their names, so that they become shared: their number.
artifact() { echo "$1/debug/deps/lib$2-0123456789abcdef.rlib"; }

write_artifact() { # VIEW NUMBER CONTENT
	mkdir -p "$1/debug/deps"
	head -c 100000 /dev/zero | tr '\0' "$3" >"$(artifact "$1" "$2")"
}

test_full() {
	local i
	MNT=$W/one/target
	for i in 1 2 3 4 5; do
		write_artifact "$MNT" $i $i
	done
	write_artifact "$MNT" 6 1
	ln "$(artifact "$MNT" 2)" "$MNT/debug/two"
	sync "$(artifact "$MNT" 1)"
	sync "$MNT"
	tf views --json
	json "files are counted once" 'd["views"][0]["files"]' 6
	json "directories too" 'd["views"][0]["directories"]' 3
	json "and bytes" 'd["views"][0]["bytes"]' 600000
	for ((i = 0; i < 60; i++)); do
		tf stats --json
		[ "$(python3 -c 'import json,sys
print(json.load(open(sys.argv[1]))["total"]["private"])' "$W/out")" != 0 ] || break
		sleep 0.5
	done
	json "in the end all bytes are in blobs" 'd["total"]["private"]' 0
	json "logical" 'd["total"]["logical"]' 600000
	json "stored" 'd["total"]["stored"]' 500000
	json "shared: both files, or the blob" \
		'd["total"]["shared"] in (100000, 200000)' True
	json "blobs" 'd["blobs"]["count"], d["blobs"]["shared_count"]' "(5, 1)"
	json "requests" 'd["requests"]["create"] >= 6, d["requests"]["link"]' \
		"(True, 1)"
	json "what the daemon hashed" 'd["daemon"]["files_hashed"] >= 6' True
	json "no units yet" 'sorted(d["units"].items())' \
		"[('count', 0), ('lists', 0), ('only_bytes', 0), ('only_count', 0)]"
	json "the index has a size" 'd["index"]["used"] > 0' True
	prometheus
	gives 0 "stats in text" stats
	prints "tells what was saved" "% saved"
	prints "and of requests" "Requests served"
}

# As https://prometheus.io/docs/instrumenting/exposition_formats/ has it.
prometheus() {
	gives 0 "stats --prometheus" stats --prometheus
	check "is what Prometheus reads" python3 - "$W/out" <<-'TXT'
		import re, sys
		name = r'[a-zA-Z_:][a-zA-Z0-9_:]*'
		label = r'[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*"'
		helps, types, seen, last = set(), {}, set(), None
		text = open(sys.argv[1], encoding='utf-8').read()
		assert text.endswith('\n')
		for line in text.splitlines():
		    if m := re.fullmatch(rf'# HELP ({name}) .+', line):
		        assert m[1] not in helps, line
		        helps.add(m[1])
		    elif m := re.fullmatch(rf'# TYPE ({name}) (counter|gauge)', line):
		        assert m[1] in helps and m[1] not in types, line
		        types[m[1]] = m[2]
		        last = m[1]
		        assert (m[2] == 'counter') == m[1].endswith('_total'), line
		    else:
		        m = re.fullmatch(rf'({name})(\{{{label}(?:,{label})*\}})? \d+(\.\d+)?', line)
		        assert m and m[1] == last, line
		        assert m[1] + (m[2] or '') not in seen, line
		        seen.add(m[1] + (m[2] or ''))
		assert len(types) > 20 and len(seen) > 50
	TXT
	prints "with what views hold" 'targetfs_view_logical_bytes{id="1",view="one"} 600000'
	prints "with requests by type" 'targetfs_requests_total{id="1",view="one",type="link"} 1'
}

test_two() {
	mkdir -p "$W/two"
	tf mount "$W/two/target"
	MOUNTS+=("$W/two/target")
	MNT=$W/two/target
	write_artifact "$MNT" 77 3
	settle 20
	tf stats --json
	json "two views" '[v["name"] for v in d["views"]]' "['one', 'two']"
	json "share a blob" 'd["total"]["logical"] - d["total"]["stored"]' 200000
	json "one by one" '[v["shared"] > 0 for v in d["views"]]' "[True, True]"
	gives 0 "stats --view" stats --view two --json
	json "shows one" '[v["name"] for v in d["views"]]' "['two']"
	json "and its bytes" 'd["total"]["logical"]' 100000
	for v in 2 two "$W/two" "$W/two/target"; do
		tf stats --view "$v" --json
		json "a view is found by $(basename "$v")" 'd["views"][0]["id"]' 2
	done
	(cd "$W/two" && "$TARGETFS" stats --view . --json) >"$W/out"
	json "and by a relative path" 'd["views"][0]["id"]' 2
	gives 1 "stats of a view that is not there" stats --view three
	says "says so" "no view 'three'"
	says "and what to do" "targetfs views"
}

test_drop() {
	local before after
	gives 1 "drop of a mounted view" drop two
	says "says where it is mounted" "'$W/two/target'"
	says "and what to do" "targetfs umount '$W/two/target'"
	check "and leaves it alone" test -s "$(artifact "$W/two/target" 77)"
	tf umount "$W/two/target"
	tf umount "$W/one/target"
	gives 0 "views of an unmounted view" views --json
	json "mounted nowhere" '[v["mounted"] for v in d["views"]]' "[None, None]"
	rm -rf "$W/two"
	tf views
	prints "a workspace that is gone" "$W/two (gone)"
	tf views --json
	json "also in JSON" '[v["workspace_gone"] for v in d["views"]]' "[False, True]"
	gives 0 "drop" drop two
	prints "says what it dropped" "dropped view 2 'two': 1 file, 97.7 KiB"
	prints "and what came free" "freed 0 B"
	tf stats --json
	json "what others share stays" 'd["blobs"]["count"], d["total"]["stored"]' \
		"(5, 500000)"
	before=$(du -s "$TARGETFS_STORE" | cut -f 1)
	gives 0 "drop by workspace" drop "$W/one"
	prints "frees its blobs" "freed 488.3 KiB"
	after=$(du -s "$TARGETFS_STORE" | cut -f 1)
	is "$((before - after >= 480))" 1 "on disk, too ($before KiB, then $after)"
	gives 0 "views of an empty store" views
	prints "says so" "no views"
	tf views --json
	json "also in JSON" 'd["views"]' "[]"
	gives 0 "stats of an empty store" stats
	gives 1 "drop of a view that is not there" drop one
	says "says so" "no view 'one'"
	gives 0 "fsck" fsck --read-data
	mkdir -p "$W/one"
	tf mount "$W/one/target"
	MOUNTS+=("$W/one/target")
	is "$(ls -A "$W/one/target")" "" "a dropped view begins anew"
	tf umount "$W/one/target"
	mkdir -p "$W/x/app" "$W/y/app"
	tf mount "$W/x/app/target" && tf umount "$W/x/app/target"
	tf mount "$W/y/app/target" && tf umount "$W/y/app/target"
	tf views --json
	json "names are unique" 'sorted(v["name"] for v in d["views"])' \
		"['app', 'app-2', 'one']"
	gives 1 "drop of several, one of them unknown" drop app nobody app-2
	tf views --json
	json "drops the others" '[v["name"] for v in d["views"]]' "['one']"
}

run() {
	need python3
	[ "$(id -u)" != 0 ] || MODES=default
	export TARGETFS_STORE=$W/store
	test_empty
	test_full
	test_two
	test_drop
}

test_main "$@"
