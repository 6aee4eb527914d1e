#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# `targetfs why` names, for each unit that the last build did not find in the
# store, the first input by which it differs from the nearest that is there.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
TIMEOUT=600

# util <- app, which looks at a variable; place holds its path; each has a
# program, but util
tiny() { # DIR
	mkdir -p "$1"/{app,util,place}/src
	cd "$1" || return
	printf '[workspace]\nresolver = "2"\nmembers = ["app", "util", "place"]\n' >Cargo.toml
	package util >util/Cargo.toml
	echo 'pub fn n() -> u32 { 7 }' >util/src/lib.rs
	package app '[dependencies]' 'util = { path = "../util" }' >app/Cargo.toml
	echo 'fn main() { println!("{} {:?}", util::n(), option_env!("WORD")); }' \
		>app/src/main.rs
	package place >place/Cargo.toml
	echo 'fn main() { println!("{}", env!("CARGO_MANIFEST_DIR")); }' \
		>place/src/main.rs
	cargo generate-lockfile -q --offline
	cd "$W" || return
}

tf() { "$TARGETFS" "$@" --store "$(store_dir)" 2>"$W/err"; }

build() { # [ARG...]
	cargo build -q --offline --workspace "$@" || nok "a build" "$PWD"
	# The last file that cargo closed is told of after close(2) returns.
	sleep 0.5
}

# misses WANT NAME [ARG...]: "kind reason" of each unit, in order
misses() {
	local want=$1 name=$2
	shift 2
	is "$(tf why --json "$@" |
		jq -r '[.units[] | .kind + " " + .reason] | join(", ")')" \
		"$want" "$name"
}

# line NAME TEXT [ARG...]: there is one line that begins so
line() {
	local name=$1 want=$2
	shift 2
	tf why "$@" | sed '1d; s/-[0-9a-f]\{16\}//' >"$W/lines"
	if [ "$(grep -cF -- "$want" "$W/lines")" = 1 ]; then ok "$name"; else
		nok "$name" "no '$want' in:" "$(cat "$W/lines" "$W/err")"
	fi
}

copy() { # TO [OPTION...]: another checkout of $W/a
	mkdir "$1"
	cp -r "$W"/a/{app,util,place,Cargo.toml,Cargo.lock} "$1"
	mount_view "$W/$1/target" -o wink || nok "mount $1"
	cd "$1" || nok "cd $1"
}

first() {
	cd a || return
	tf why >/dev/null
	is $? 1 "before the first build"
	check "nothing is known" grep -q "no build was seen in the view 'a' yet" \
		"$W/err"
	build
	misses "bin-app unknown, bin-place unknown, lib-util unknown" \
		"the first build misses all"
	is "$(tf why --json | jq -c '[.build.command[-1], .complete,
		(.units | all(.compiled)), (now - .build.started) < 600]')" \
		'["--workspace",true,true,true]' "and what build that was"
	misses "bin-app unknown" "one of them" app
	misses "bin-app unknown, bin-place unknown" "some of them" 'a*' pla?e
	build
	misses "" "a build with nothing to do misses nothing"
	is "$(tf why | cut -d , -f 3-)" \
		" in $W/a: 0 units not from the store" "and says so"
	is "$(stat -c %a "$(store_dir)"/lease/*.why)" 600 \
		"nobody else may read it"
	cd "$W" || return
	check "all units are published" published 3
}

same() {
	copy b
	build
	misses "bin-place place" "what holds its path is missed"
	line "says so" "place bin-place debug: guard: it holds the path '$W/a/target', and here that is '$W/b/target'"
	cd "$W" || return
	is "$(tf why --json --view b | jq -c '.units[0].nearest.workspace')" \
		"\"$W/a\"" "and where the nearest was built"
}

source_differs() {
	copy c
	echo 'pub fn n() -> u32 { 8 }' >util/src/lib.rs
	build
	misses "bin-app dependency, bin-place place, lib-util source" "an edit"
	line "names the file" \
		"util lib-util debug: file 'util/src/lib.rs' differs from that in $W/"
	line "and for what needs it the dependency" \
		"app bin-app debug: dependency util was missed"
	is "$(tf why --json util | jq -r '.units[0].input.name')" util/src/lib.rs \
		"in JSON, too"
	echo 'pub fn n() -> u32 { 9 }' >util/src/lib.rs
	build
	line "an edit in place" "util lib-util debug: "
	cd "$W" || return
}

variable_differs() {
	copy d
	WORD=on build
	misses "bin-app variable, bin-place place" "a variable"
	line "is named with its values" \
		"variable WORD is 'on', was not set in $W/"
	cd "$W" || return
}

scope_differs() {
	copy e
	CARGO_HOME=$W/home2 build
	misses "bin-app scope, bin-place scope, lib-util scope" "another scope"
	line "names the field" "scope: CARGO_HOME is '$W/home2', was '$CARGO_HOME'" \
		util
	cd "$W" || return
}

# The sums of all that was missed and found above.
counted() {
	is "$(stat_of '[.views[] | select(.name == "c") | .winkin.missed_by |
		.source, .dependency > 0, .place, .unknown] | map(tostring) |
		join(" ")')" "2 true 1 0" "stats count misses by reason"
	is "$(stat_of '[.winkin | .missed_by.variable, .missed_by.scope,
		.missed_by.error, .missed == (.missed_by | add)] | map(tostring) |
		join(" ")')" "1 3 0 true" "and in all"
	is "$(stat_of '[.views[] | select(.name == "b") | .winkin |
		.winked_in, .bytes_shared > 10000, .compile_msec_saved > 0] |
		map(tostring) | join(" ")')" "2 true true" \
		"what was there, its bytes, and the time it saved"
	is "$(stat_of '.views[] | select(.name == "b") | .winkin.compile_msec_saved')" \
		"$(tf units --json | jq '[.units[] | select(.workspace == "'"$W"'/a" and .package != "place") | .compile_msec] | add')" \
		"which is what compiling took"
	is "$("$TARGETFS" stats --store "$(store_dir)" --prometheus |
		sed -n 's/^targetfs_units_missed_total{.*view="c",reason="source"} //p')" \
		2 "as Prometheus has it"
	check "in text" grep -qE '^b +[0-9]+ +2 +1 ' \
		<("$TARGETFS" stats --store "$(store_dir)")
}

# Whatever is in the file, it is read without harm.
damaged() {
	local f n
	f=$(echo "$(store_dir)"/lease/*2.why)
	n=$(stat -c %s "$f")
	umount_view "$W/b/target"
	printf '\5\0\0\0abcde' >>"$f"
	tf why --view b >/dev/null
	is $? 1 "what is no record is an error"
	truncate -s $((n - 1)) "$f"
	tf why --view b >/dev/null
	is $? 0 "a record that is not whole is left out"
	: >"$f"
	tf why --view b >/dev/null
	check "an empty one says nothing" grep -q 'no build was seen' "$W/err"
}

body() {
	own_cargo_home
	tiny "$W/a" || { nok "make the project" && return; }
	mount_view "$W/a/target" -o wink || { nok "mount" && return; }
	first
	same
	source_differs
	variable_differs
	scope_differs
	counted
	damaged
	umount_all
	fsck_store "the store is clean"
}

run() {
	need jq
	cargo_env
	no_registry_crates
	MODES="default neither" for_modes body
}
test_main "$@"
