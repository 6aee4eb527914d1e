#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# fs/cargo/ on what the cargo of this system writes: every file of a target
# directory is understood, every fingerprint's value computed, in the classic
# and in the new build-dir layout; and cargo agrees with fingerprints that were
# moved to another checkout and to another CARGO_HOME. No view is mounted.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
TIMEOUT=1200

# build_in DIR CARGO-ARG...: its output is in $W/build.out
build_in() {
	local dir=$1
	shift
	(cd "$dir" && cargo ${LAYOUT:+"$LAYOUT"} "$@") >"$W/build.out" 2>&1
}

# understood NAME DIR: everything there, and there is enough of each kind
understood() {
	local kind n
	check "$1: every file is understood" "$PROG" read "$2/target" || return
	cp "$W/check.out" "$W/counts"
	say "$1: $(tr '\n' ' ' <"$W/counts")"
	while read -r kind n; do
		case $kind in
		outputs) [ "$n" -ge 3 ] ;;
		*) [ "$n" -ge 9 ] ;;
		esac || nok "$1: there are $kind" "$n"
	done <"$W/counts"
	is "$(awk '$1 == "jsons" { print $2 }' "$W/counts")" \
		"$(find "$2/target" -name '*.json' \( -path '*/.fingerprint/*' -o \
			-path '*/fingerprint/*' \) | wc -l)" \
		"$1: all fingerprints were among them"
}

# What changes a fingerprint: profiles, modes, targets, flags, values. Each kind
# once, on as few crates as will do.
every_kind() {
	local name=$1 dir=$2 host verb
	host=$(rustc -vV | sed -n 's/^host: //p')
	printf '[profile.my-own]\ninherits = "dev"\n' >>"$dir/Cargo.toml"
	for verb in build "test --no-run" "check -p core_m" "doc --no-deps -p bs_norerun" \
		"build --profile my-own -p bs_rerun" \
		"build --target $host -p bs_rerun -p bs_norerun"; do
		# shellcheck disable=SC2086 # words
		build_in "$dir" $verb ||
			nok "$name: cargo $verb" "$(tail -n 5 "$W/build.out")"
	done
	TFS_ENV=$'a "b"\\\t\001\303\251' RUSTFLAGS='-Copt-level=1 --cfg=x="y"' \
		build_in "$dir" build -p bs_rerun -p pm ||
		nok "$name: cargo build with flags" "$(tail -n 5 "$W/build.out")"
	understood "$name" "$dir"
}

# is_scanned NAME WANTED ROOT FILE...
is_scanned() {
	local name=$1 wanted=$2
	shift 2
	is "$("$PROG" scan "$@" 2>&1 | sort -u)" "$wanted" "$name"
}

scans() {
	local ws=$1
	local deps=$ws/target/debug/deps
	is_scanned "env!(CARGO_MANIFEST_DIR) shows in a library" found \
		"$ws" "$deps"/libcore_m-*.rlib
	is_scanned "and in a program" found "$ws" "$ws/target/debug/leaf"
	is_scanned "env!(OUT_DIR) shows" found \
		"$ws/target" "$deps"/libbs_rerun-*.rlib
	is_scanned "debug information does not, in a library" clean \
		"$ws" "$deps"/libbs_norerun-*.rlib "$deps"/libcdy.rlib
	is_scanned "nor in shared objects" clean \
		"$ws" "$deps"/libpm-*.so "$deps"/libcdy.so "$deps"/libdyl.so
	is_scanned "nor in a static library" clean "$ws" "$deps"/libcdy.a
	if grep -q "$ws" "$deps"/libcdy.rlib; then
		ok "there is debug information"
	else
		nok "there is debug information"
	fi
}

# stale NAME DIR PACKAGE: cargo compiles something for this package
stale() {
	if build_in "$2" build -v -p "$3" && grep -q '^ *Dirty' "$W/build.out"; then
		ok "$1"
	else
		nok "$1" "$(tail -n 5 "$W/build.out")"
	fi
}

# still_fresh NAME DIR
still_fresh() {
	if build_in "$2" build -v &&
		! grep -qE '^ +(Compiling|Dirty|Running `)' "$W/build.out"; then
		ok "$1"
	else
		nok "$1" "$(grep -E '^ +(Compiling|Dirty|error)' \
			"$W/build.out" | head -n 5)"
	fi
}

# One instant for all of a target directory, later than every source.
stamp() { find "$1/target" -exec touch -h -d @1700001000 {} +; }

# checkout FROM TO: another one, its sources of another time
checkout() {
	rm -rf "$2"
	cp -r "$1" "$2"
	rm -rf "$2/target"
	find "$2" -exec touch -h -d @1700000000.123456789 {} +
	touch -d @1700000100.5 "$2/bs_norerun/src/lib.rs"
	cp -a "$1/target" "$2/target"
	stamp "$2"
}

moves() {
	local name=$1 from=$2 n
	checkout "$from" "$W/other"
	stale "$name: a script without rerun-if is stale in another checkout" \
		"$W/other" bs_norerun
	checkout "$from" "$W/other"
	check "$name: fingerprints move to another checkout" "$PROG" move \
		"$W/other/target" newest bs_norerun 1700000100 500000000 src/lib.rs
	n=$(cat "$W/check.out")
	[ "$n" -ge 4 ] || nok "$name: the run, its crate and two dependants" "$n"
	stamp "$W/other"
	still_fresh "$name: and cargo finds all of them fresh" "$W/other"
	touch "$W/other/bs_norerun/src/lib.rs"
	stale "$name: an edit is still seen" "$W/other" bs_norerun

	[ -n "$REGISTRY" ] || { skip "$name: CARGO_HOME" "no registry"; return; }
	[ -d "$W/home2" ] || cp -r "$CARGO_HOME" "$W/home2"
	checkout "$from" "$W/other"
	CARGO_HOME=$W/home2 stale \
		"$name: a registry crate is stale with another CARGO_HOME" \
		"$W/other" itoa
	checkout "$from" "$W/other"
	check "$name: fingerprints move to another CARGO_HOME" "$PROG" move \
		"$W/other/target" home "$CARGO_HOME" "$W/home2" \
		newest bs_norerun 1700000100 500000000 src/lib.rs
	stamp "$W/other"
	CARGO_HOME=$W/home2 still_fresh \
		"$name: and cargo finds all of them fresh" "$W/other"
}

classic() {
	project "$W/ws" || { nok "make the project" && return; }
	every_kind classic "$W/ws"
	scans "$W/ws"
	moves classic "$W/ws"
}

per_unit() {
	export RUSTC_BOOTSTRAP=1 LAYOUT=-Zbuild-dir-new-layout
	project "$W/ws2" || { nok "make the project" && return; }
	build_in "$W/ws2" build && [ ! -e "$W/ws2/target/debug/deps" ] || {
		skip "layout v2" "this cargo has it not"
		return
	}
	every_kind "layout v2" "$W/ws2"
	moves "layout v2" "$W/ws2"
	export LAYOUT=-Zchecksum-freshness
	project "$W/ws3" || { nok "make the project" && return; }
	if build_in "$W/ws3" build --lib -p leaf; then
		check "checksums: every file is understood" \
			"$PROG" read "$W/ws3/target"
		if grep -rq '"checksum":true' "$W/ws3/target/debug/.fingerprint"; then
			ok "checksums: there are some"
		else
			nok "checksums: there are some"
		fi
	else
		skip "checksums" "this cargo has them not"
	fi
	unset RUSTC_BOOTSTRAP LAYOUT
}

run() {
	PROG=${TESTBIN:-${top_builddir:-$TOP/build}/tests/cargo}/knowledge
	[ -x "$PROG" ] || skip_all "needs $PROG, which make check builds"
	need cc
	cargo_env
	registry_crates
	say "$(cargo -V), $(rustc -V)"
	LAYOUT=
	classic
	per_unit
}
test_main "$@"
