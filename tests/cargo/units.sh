#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What was published can be listed, by package, hash and view, and dropped: then
# the next checkout compiles it.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
TIMEOUT=600

# util <- app; util has a build script
tiny() { # DIR
	app_and_util "$1"
	echo 'fn main() { println!("cargo:rerun-if-changed=build.rs"); }' \
		>"$1/util/build.rs"
	cd "$W" || return
}

tf() { "$TARGETFS" "$@" --store "$(store_dir)" 2>"$W/err"; }

# units WANT NAME [ARG...]: the kinds of what is listed, in order
units() {
	local want=$1 name=$2
	shift 2
	is "$(tf units --json "$@" | jq -r '[.units[].kind] | join(" ")')" \
		"$want" "$name"
}

listed() {
	local hash
	units "bin-app build-script-build-script-build lib-util run-build-script-build-script-build" \
		"all units"
	units "bin-app" "by package" app
	units "bin-app" "by pattern" 'a*'
	units "" "none" 'nothing*'
	is "$(tf units 'nothing*')" "no such units in the store $(store_dir)" \
		"and it says so"
	hash=$(tf units --json app | jq -r '.units[0].hash')
	units "bin-app" "by hash" "$hash"
	units "bin-app" "by package and hash" "app-$hash"
	is "$(tf units --json app | jq -c '.units[0] | [.package, .profile,
		.hash == "'"$hash"'", .files > 3, .bytes > 1000, .compile_msec > 0,
		.local, .dependencies, .sources > 0, .workspace, (now - .built) < 600]')" \
		"[\"app\",\"debug\",true,true,true,true,true,1,true,\"$W/a\",true]" \
		"what is known of one"
	check "in text" grep -q "^app-$hash  *bin-app  *debug .* s .*$W/a" \
		<(tf units app)
}

views() {
	cp -r a/app a/util a/Cargo.* b/ 2>/dev/null || nok "copy"
	mount_view "$W/b/target" -o wink || return
	is "$(tf units --json --view "$W/b" | jq '.units | length')" 0 \
		"a view that holds none"
	cd b || return
	fresh "another checkout compiles nothing" build --offline --workspace
	cd "$W" || return
	flushed
	is "$(tf units --json --view "$W/b" | jq '.units | length')" 4 \
		"then it holds what it was shown"
	is "$(tf units --json --view "$W/a" | jq '.units | length')" 4 \
		"as the one that built it"
	tf units --view nobody >/dev/null
	is "$? $(cat "$W/err")" "1 targetfs: no view 'nobody' in the store '$(store_dir)'; 'targetfs views' lists them" \
		"a view that is not there"
}

# What is listed of a view is what was committed.
flushed() { sync -f "$W/b/target"; sleep 2; }

dropped() {
	local before
	tf drop --unit 'nothing*'
	is $? 1 "drop of no unit"
	check "says so" grep -q "no such unit" "$W/err"
	before=$(stat_of .units.count)
	tf drop --unit app >"$W/out"
	is $? 0 "drop of one"
	check "says what it dropped" grep -q '^dropped 1 unit, ' "$W/out"
	is "$(stat_of .units.count)" $((before - 1)) "which is no longer listed"
	cd b || return
	fresh "where it is shown it stays" build --offline --workspace
	is "$(./target/debug/app)" 7 "and runs"
	cd "$W" || return
	mkdir c && cp -r a/app a/util a/Cargo.* c/
	mount_view "$W/c/target" -o wink || return
	cd c || return
	compiled "elsewhere it is compiled, and nothing else" app \
		build --offline --workspace
	cd "$W" || return
	for MNT in "$W"/[abc]/target; do umount_view "$MNT"; done
	tf drop --unit 'util' --unit 'app*' "$W/a" >"$W/out"
	is $? 0 "drop of units and a view"
	check "says so" grep -q '^dropped 4 units, ' "$W/out"
	is "$(stat_of .units.count)" 0 "leaves none"
	check "and frees what only they had" grep -q '^freed [0-9.]* [KM]iB' \
		"$W/out"
}

body() {
	own_cargo_home
	tiny "$W/a" || { nok "make the project" && return; }
	mkdir b
	mount_view "$W/a/target" -o wink || { nok "mount" && return; }
	(cd a && cargo build -q --offline --workspace) || nok "the first build"
	check "all of its units are published" published 4
	listed
	views
	dropped
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
