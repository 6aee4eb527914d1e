#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# -o wink takes from the store and gives to it; nowink, publish and nopublish
# are parts of that, and go together with it in any order.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
TIMEOUT=600

units() { stat_of .units.count; }

# with OPTIONS NAME WANT [SOURCE]: another checkout, mounted so, compiles these
# crates; it is unmounted, and so all is published that ever will be
with() {
	n=$((n + 1))
	mkdir "$W/$n"
	cp -r "$W"/a/{app,util,Cargo.toml,Cargo.lock} "$W/$n"
	[ -z "${4:-}" ] || echo "$4" >"$W/$n/util/src/lib.rs"
	mount_view "$W/$n/target" ${1:+-o "$1"} || nok "mount -o $1"
	cd "$W/$n" || return
	compiled "$2" "$3" build --offline --workspace
	sleep 3
	cd "$W" || return
	umount_view "$W/$n/target"
}

body() {
	local n=0 count
	own_cargo_home
	app_and_util "$W/a" || { nok "make the project" && return; }
	with "" "without any" "app util"
	with nopublish "nopublish alone" "app util"
	with wink,nowink "wink, taken back" "app util"
	with wink,nopublish "wink,nopublish of an empty store" "app util"
	with nopublish,wink "in the other order" "app util"
	with publish,nopublish "publish, taken back" "app util"
	is "$(units)" 0 "none of these publishes anything"
	with nopublish,publish "nopublish, taken back" "app util"
	is "$(units)" 2 "publishes"
	with publish "publish shows nothing" "app util"
	# Of a program two, as rustc's libraries differ by where they were built.
	count=$(units)
	with wink,nopublish "wink,nopublish shows all" ""
	with nopublish,wink "an edit" "app util" 'pub fn n() -> u32 { 8 }'
	is "$(units)" "$count" "stays there"
	edits
	with wink "wink shows" "" 'pub fn n() -> u32 { 7 }'
	with wink "and" "app util" 'pub fn n() -> u32 { 9 }'
	is "$(units)" $((count + 2)) "publishes"
	umount_all
	fsck_store "the store is clean"
}

# What is not published is compared with its sources all the same.
edits() {
	mkdir e
	cp -r a/{app,util,Cargo.toml,Cargo.lock} e/
	echo 'pub fn n() -> u32 { 10 }' >e/util/src/lib.rs
	mount_view "$W/e/target" -o wink,nopublish
	cd e || return
	compiled "with nopublish" "app util" build --offline --workspace
	sleep 3
	echo 'pub fn n() -> u32 { 11 }' >util/src/lib.rs
	touch -d '2001-02-03' util/src/lib.rs
	compiled "an edit with an old time" "app util" build --offline --workspace
	is "$(target/debug/app)" 11 "is seen"
	cd "$W" || return
	umount_view "$W/e/target"
}

run() {
	need jq
	cargo_env
	no_registry_crates
	MODES="default neither" for_modes body
}
test_main "$@"
