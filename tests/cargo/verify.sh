#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# `targetfs verify` finds nothing wrong with what was built here, and finds what
# is.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
TIMEOUT=600

# util, which a script generates a part of <- app; mac is a proc-macro
tiny() { # DIR
	mkdir -p "$1"/{app,util,mac}/src
	cd "$1" || return
	printf '[workspace]\nresolver = "2"\nmembers = ["app", "util", "mac"]\n' >Cargo.toml
	printf '[package]\nname = "util"\nversion = "0.1.0"\nedition = "2021"\n' \
		>util/Cargo.toml
	cat >util/build.rs <<-'TXT'
		fn main() {
		    println!("cargo:rerun-if-changed=build.rs");
		    let out = std::env::var("OUT_DIR").unwrap();
		    std::fs::write(out + "/gen.rs", "pub fn n() -> u32 { 7 }").unwrap();
		}
	TXT
	echo 'include!(concat!(env!("OUT_DIR"), "/gen.rs"));' >util/src/lib.rs
	printf '[package]\nname = "mac"\nversion = "0.1.0"\nedition = "2021"\n[lib]\nproc-macro = true\n' \
		>mac/Cargo.toml
	cat >mac/src/lib.rs <<-'TXT'
		use proc_macro::TokenStream;
		#[proc_macro]
		pub fn one(_: TokenStream) -> TokenStream {
		    std::fs::read_to_string(include_str!("../path")).unwrap().parse().unwrap()
		}
	TXT
	printf '%s/secret' "$W" >mac/path
	echo 1 >"$W/secret"
	printf '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\nutil = { path = "../util" }\nmac = { path = "../mac" }\n' \
		>app/Cargo.toml
	echo 'fn main() { println!("{}", util::n() + mac::one!()); }' >app/src/main.rs
	cargo generate-lockfile -q --offline
	cd "$W" || return
}

# verify WANT-STATUS WANT NAME: how many of how many are same, differ, are gone
verify() {
	local rc=0
	"$TARGETFS" verify --store "$(store_dir)" --json \
		--sample 100 >"$W/out" 2>"$W/err" || rc=$?
	is "$rc $(jq -r '[.published, .sampled, .same, .differs, .gone] |
		map(tostring) | join(" ")' "$W/out")" "$1 $2" "$3" ||
		diag "$(cat "$W/err")"
	[ "$(ls -A "$W/tmp")" = "" ] || nok "nothing is left in TMPDIR"
}

verdict() { # PACKAGE KIND
	jq -r '.units[] | select(.package == "'"$1"'" and .kind == "'"$2"'") |
		.verdict + " " + (.detail // "-")' "$W/out"
}

body() {
	# Of local macros and scripts the environment is an input.
	export TMPDIR=$W/tmp
	mkdir -p "$TMPDIR"
	own_cargo_home
	tiny "$W/a" || { nok "make the project" && return; }
	mount_view "$W/a/target" -o wink || { nok "mount" && return; }
	(cd a && cargo build -q --offline --workspace) || nok "the first build"
	check "all of its units are published" published 5
	verify 0 "5 5 5 0 0" "all are what cargo builds"
	check "the view is as it was" test -x a/target/debug/app
	"$TARGETFS" verify --store "$(store_dir)" --sample 1 >"$W/out" 2>"$W/err"
	is "$? $(tail -n 1 "$W/out")" \
		"0 1 of 5 units: 1 same, 0 differ, 0 cannot be rebuilt" "one of them"
	(cd a && cargo check -q --offline --workspace) || nok "a check"
	check "check's units are published" published 9
	verify 0 "9 9 9 0 0" "and what cargo check makes"
	differs
	gone
	umount_all
	fsck_store "the store is clean"
}

# What a macro reads without a word is what no list of inputs can tell.
differs() {
	echo 2 >"$W/secret"
	verify 1 "9 9 8 1 0" "an input that nobody knows of"
	is "$(verdict app bin-app | grep -c '^differs deps/app-')" 1 \
		"is found where it counts"
	WORD=on verify 0 "9 9 2 0 7" "another environment"
	echo 1 >"$W/secret"
	verify 0 "9 9 9 0 0" "as it was"
}

gone() {
	local lib=$W/a/util/src/lib.rs
	cp "$lib" "$W/lib.rs"
	echo '// edited' >>"$lib"
	verify 0 "9 9 4 0 5" "an edit takes dependants along"
	is "$(verdict util lib-util | sort -u)" \
		"gone inputs gone: util/src/lib.rs" "and is told"
	is "$(verdict app bin-app | sort -u)" \
		"gone inputs gone: util/src/lib.rs" "of them, too"
	cp "$W/lib.rs" "$lib"
	umount_view "$W/a/target"
	mv a z
	verify 0 "9 9 0 0 9" "without a workspace nothing can be rebuilt"
	mv z a
	mount_view "$W/a/target" -o wink
}

run() {
	need jq
	cargo_env
	no_registry_crates
	MODES="default neither user" for_modes body
}
test_main "$@"
