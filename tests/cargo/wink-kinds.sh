#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Wink-in (-o wink) of every kind of unit, by every verb of cargo: built in one
# checkout, fresh in another. Libraries whose outputs carry no hash are bound
# together with the unit that wrote them, and one that another has written over
# is not shown, where cargo alone would take it for fresh.
#	wink-kinds.sh [PART...]
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
TIMEOUT=900

crate() { # NAME [line of the manifest...]
	local name=$1
	mkdir -p "$name/src"
	{
		printf '[package]\nname = "%s"\nversion = "0.1.0"\nedition = "2021"\n' \
			"$1"
		shift
		printf '%s\n' "$@"
	} >"$name/Cargo.toml"
}

# cdy (rlib, cdylib, staticlib) <- user; dyl (dylib), sta (staticlib);
# mac, script <- app, with an example, a test, a bench, a doc test
kinds() { # DIR
	mkdir -p "$1" && cd "$1" || return
	printf '/target\n' >.gitignore
	cat >Cargo.toml <<-'TXT'
		[workspace]
		resolver = "2"
		members = ["cdy", "dyl", "sta", "user", "mac", "script", "app"]
		[profile.mine]
		inherits = "release"
		opt-level = 1
	TXT
	crate cdy '[lib]' 'crate-type = ["rlib", "cdylib", "staticlib"]'
	cat >cdy/src/lib.rs <<-'TXT'
		#[no_mangle] // the second number of the version
		pub extern "C" fn cdyf() -> i32 { (env!("CARGO_PKG_VERSION").as_bytes()[2] - b'0') as i32 }
	TXT
	crate dyl '[lib]' 'crate-type = ["dylib"]'
	echo 'pub fn dylf() -> i32 { 1 }' >dyl/src/lib.rs
	crate sta '[lib]' 'crate-type = ["staticlib"]'
	echo '#[no_mangle] pub extern "C" fn staf() -> i32 { 1 }' >sta/src/lib.rs
	crate user '[dependencies]' 'cdy = { path = "../cdy" }'
	echo 'fn main() { println!("{}", cdy::cdyf()); }' >user/src/main.rs
	crate mac '[lib]' 'proc-macro = true'
	cat >mac/src/lib.rs <<-'TXT'
		use proc_macro::TokenStream;
		#[proc_macro]
		pub fn seven(_: TokenStream) -> TokenStream { "7".parse().unwrap() }
	TXT
	crate script
	cat >script/build.rs <<-'TXT'
		fn main() {
		    println!("cargo:rerun-if-changed=data.txt");
		    println!("cargo:rerun-if-env-changed=TFS_N");
		    let n = std::fs::read_to_string("data.txt").unwrap();
		    println!("cargo:rustc-env=N={}", n.trim());
		}
	TXT
	echo 100 >script/data.txt
	echo 'pub fn n() -> u32 { env!("N").parse().unwrap() }' >script/src/lib.rs
	crate app '[features]' 'more = []' '[dependencies]' \
		'mac = { path = "../mac" }' 'script = { path = "../script" }'
	mkdir app/examples app/tests app/benches
	cat >app/src/lib.rs <<-'TXT'
		/// ```
		/// assert_eq!(app::n() % 100, if cfg!(feature = "more") { 8 } else { 7 });
		/// ```
		pub fn n() -> u32 { script::n() + mac::seven!() + cfg!(feature = "more") as u32 }
		#[test]
		fn in_lib() { assert!(n() > 0); }
	TXT
	echo 'fn main() { println!("{}", app::n()); }' >app/src/main.rs
	echo 'fn main() { println!("{}", app::n()); }' >app/examples/ex.rs
	echo '#[test] fn it() { assert!(app::n() > 0); }' >app/tests/it.rs
	echo '#[test] fn b() { assert!(app::n() > 0); }' >app/benches/b.rs
	git init -q . && cargo generate-lockfile -q && git add -A &&
		git -c user.name=t -c user.email=t@t commit -qm one
}

HOST=$(rustc -vV 2>/dev/null | sed -n 's/^host: //p')
# Of units without a hash one profile's directory holds one; so the variants of
# app come first.
VERBS=("build -p app --features more" "build -p app --bins --examples"
	"build --workspace --all-targets" "build --workspace --release"
	"build --workspace --profile mine" "build --workspace --target $HOST"
	"check --workspace --all-targets" "check -p app --release"
	"test --workspace --no-run" "bench --workspace --no-run"
	"test -p app --doc" "clippy --workspace")

verb_is_there() {
	[ "${1%% *}" != clippy ] || [ -x "$TOOLCHAIN/bin/cargo-clippy" ]
}

# idle NAME ARG...: cargo starts no compiler and no build script
idle() {
	local name=$1
	shift
	# shellcheck disable=SC2048,SC2086 # words
	if ! cargo $* --offline -v >"$W/idle.out" 2>&1; then
		nok "$name" "$(tail -n 5 "$W/idle.out")"
	elif grep -E '^ +(Compiling|Dirty|Checking)|Running `.*(/rustc |build-script|clippy-driver)' \
		"$W/idle.out" >"$W/idle.bad"; then
		nok "$name" "$(grep -E '^ +(Compiling|Dirty|Checking)' \
			"$W/idle.bad" | head -n 8)"
	else
		ok "$name"
	fi
}

build_all() {
	local v
	for v in "${VERBS[@]}"; do
		verb_is_there "$v" || continue
		# shellcheck disable=SC2086 # words
		cargo $v -q --offline >"$W/build.out" 2>&1 ||
			nok "cargo $v" "$(tail -n 5 "$W/build.out")"
	done
	RUSTFLAGS='--cfg=flagged' cargo build -q --offline -p app ||
		nok "cargo build with flags"
}

all_verbs() {
	local v
	git clone -q a b
	mount_view "$W/b/target" -o wink || return
	cd b || return
	for v in "${VERBS[@]}"; do
		verb_is_there "$v" || continue
		idle "elsewhere nothing is done by cargo $v" "$v"
	done
	RUSTFLAGS='--cfg=flagged' idle "nor with flags" build -p app
	is "$(target/debug/user) $(target/release/app)" "1 107" "the programs run"
	check "the libraries are there" test -s target/debug/libcdy.so -a \
		-s target/debug/libcdy.a -a -s target/debug/libdyl.so -a \
		-s target/release/libsta.a
	cd "$W" || return
}

new_version() { sed -i "s/^version = .*/version = \"0.$1.0\"/" cdy/Cargo.toml; }

# back: to what was committed, with times of long ago
back() {
	git checkout -q .
	find . -path ./target -prune -o -type f -exec touch -d 2001-02-03 {} +
}

user_says() { # WANT NAME
	cargo build -q --offline --workspace >"$W/build.out" 2>&1 ||
		diag "$(tail -n 5 "$W/build.out")"
	is "$(target/debug/user)" "$1" "$2"
}

# A dependant that is compiled asks for its dependencies by their names.
partial() {
	git clone -q a c
	mount_view "$W/c/target" -o wink || return
	cd c || return
	echo 'fn main() { println!("{}", 10 + cdy::cdyf()); }' >user/src/main.rs
	compiled "of an edit and its library without a hash, one is compiled" \
		user build --offline -p user
	is "$(target/debug/user)" 11 "and the program is right"
	echo '#[no_mangle] pub extern "C" fn cdyf() -> i32 { 2 }' >cdy/src/lib.rs
	compiled "an edit of the library" "cdy user" build --offline -p user
	is "$(target/debug/user)" 12 "counts"
	cd "$W" || return
}

# Two versions of one package write over each other's files, from the same
# sources. Cargo alone takes the first for fresh when it comes back.
written_over() {
	git clone -q a d
	mount_view "$W/d/target" -o wink || return
	cd d || return
	user_says 1 "a version"
	new_version 2
	user_says 2 "the next version, in the same files"
	back
	user_says 1 "and the first again, with old times"
	units_rest
	new_version 2
	find cdy -type f -exec touch -d 2001-02-03 {} +
	user_says 2 "and the next again, when all is known"
	# At once: the files of the third are those of the fourth when it is
	# looked at.
	new_version 3
	user_says 3 "a third"
	new_version 4
	user_says 4 "and a fourth at once"
	units_rest
	cd "$W" && git clone -q a e
	mount_view "$W/e/target" -o wink || return
	cd e || return
	new_version 3
	user_says 3 "the third elsewhere"
	cd "$W" || return
}

body() { # [PART...]
	local part
	own_cargo_home
	kinds "$W/a" || { nok "make the project" && return; }
	cd "$W" || return
	mount_view "$W/a/target" -o wink || { nok "mount" && return; }
	cd a && build_all && cd "$W" || return
	is "$(a/target/debug/user) $(a/target/debug/app)" "1 107" "the first build"
	units_rest || nok "the publisher ends"
	for part in ${*:-all_verbs partial written_over}; do
		"$part"
	done
	umount_all
	fsck_store "the store is clean"
}

run() {
	[ -z "$PLAIN" ] || skip_all "of a view only"
	need git jq cc
	cargo_env
	no_registry_crates
	MODES="default" for_modes body "$@"
}
test_main "$@"
