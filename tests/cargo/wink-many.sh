#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Wink-in (-o wink) with many at work: cargos in several checkouts at once on one
# store; another user; an editor's calls of cargo.
#	wink-many.sh [PART...]
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
TIMEOUT=600

# leaf <- base, with a build script; twelve small crates beside them
many() { # DIR
	local i
	mkdir -p "$1"/{base,leaf}/src && cd "$1" || return
	printf '/target\n' >.gitignore
	printf '[workspace]\nresolver = "2"\nmembers = ["base", "leaf", "n*"]\n' >Cargo.toml
	printf '[package]\nname = "%s"\nversion = "0.1.0"\nedition = "2021"\n' base \
		>base/Cargo.toml
	for i in leaf n{1..12}; do
		mkdir -p "$i/src"
		sed "s/base/$i/" base/Cargo.toml >"$i/Cargo.toml"
		echo "pub fn n() -> u32 { 1 }" >"$i/src/lib.rs"
	done
	{
		printf '[dependencies]\nbase = { path = "../base" }\n'
		printf 'n%s = { path = "../n%s" }\n' 1 1 2 2 3 3 4 4 5 5 6 6
	} >>leaf/Cargo.toml
	rm leaf/src/lib.rs
	cat >base/build.rs <<-'TXT'
		fn main() {
		    println!("cargo:rerun-if-changed=data.txt");
		    println!("cargo:rustc-env=N={}", std::fs::read_to_string("data.txt").unwrap().trim());
		}
	TXT
	echo 1 >base/data.txt
	echo 'pub fn n() -> u32 { env!("N").parse().unwrap() }' >base/src/lib.rs
	echo 'fn main() { println!("{}", base::n() + n1::n() + n6::n()); }' >leaf/src/main.rs
	git init -q . && cargo generate-lockfile -q && git add -A &&
		git -c user.name=t -c user.email=t@t commit -qm one
}

# checkouts NAME...: with a view each
checkouts() {
	local c
	for c; do
		git clone -q "$W/a" "$W/$c"
		mount_view "$W/$c/target" -o wink || return
	done
}

# build_at_once NAME...: what each has done is in $W/NAME.out
build_at_once() {
	local c pids=()
	for c; do
		(cd "$W/$c" && cargo build --offline --workspace -v) \
			>"$W/$c.out" 2>&1 &
		pids+=($!)
	done
	wait "${pids[@]}"
}

# all_say NAME VALUE DIR...
all_say() {
	local name=$1 want=$2 c got=''
	shift 2
	for c; do got+="$("$W/$c/target/debug/leaf") "; done
	is "$(tr ' ' '\n' <<<"$got" | sort -u | tr -d '\n')" "$want" "$name"
}

count_compiled() {
	local c
	for c; do cat "$W/$c.out"; done | grep -cE '^ +Compiling'
}

at_once() {
	local all=(w1 w2 w3 w4 w5 w6 w7 w8) c
	checkouts "${all[@]}" || return
	build_at_once "${all[@]}"
	all_say "eight at once" 3 "${all[@]}"
	is "$(count_compiled "${all[@]}")" 0 "compile nothing"
	for c in "${all[@]}"; do echo "${c#w}0" >"$W/$c/base/data.txt"; done
	build_at_once "${all[@]}"
	for c in "${all[@]}"; do
		all_say "an edit in each, of its own" $((${c#w} * 10 + 2)) "$c"
	done
	for c in "${all[@]}"; do git -C "$W/$c" checkout -q .; done
	build_at_once "${all[@]}"
	all_say "and back" 3 "${all[@]}"
	units_rest
	for c in "${all[@]}"; do echo 10 >"$W/$c/base/data.txt"; done
	build_at_once "${all[@]}"
	all_say "all to what one of them had" 12 "${all[@]}"
	for c in "${all[@]}"; do echo 1000 >"$W/$c/base/data.txt"; done
	build_at_once "${all[@]}"
	all_say "all to what nobody had" 1002 "${all[@]}"
}

# A view mounted by root, used by somebody else.
another_user() {
	local as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	[ "$(id -u)" = 0 ] && "${as[@]}" test -x "$TOOLCHAIN/bin/cargo" || {
		skip "another user" "needs root"
		return
	}
	checkouts u || return
	chmod -R a+rX "$W" "$CARGO_HOME"
	chown -R 65534:65534 "$W/u"
	(cd "$W/u" && "${as[@]}" cargo build --offline --workspace -v) >"$W/u.out" 2>&1 ||
		diag "$(tail -n 5 "$W/u.out")"
	is "$(count_compiled u)" 0 "another user compiles nothing"
	is "$("${as[@]}" "$W/u/target/debug/leaf")" 3 "and runs the program"
	is "$(stat -c %u "$W"/u/target/debug/deps/leaf-* "$W/u/target/debug/build" |
		sort -u)" 65534 "which is the user's own"
	echo 5 >"$W/u/base/data.txt"
	(cd "$W/u" && "${as[@]}" cargo build --offline --workspace -v) >"$W/u.out" 2>&1
	is "$("${as[@]}" "$W/u/target/debug/leaf")" 7 "an edit of theirs counts"
}

# What a language server asks for, from elsewhere.
editor() {
	(cd a && cargo check -q --offline --workspace --all-targets)
	units_rest
	checkouts e || return
	cargo check --offline --workspace --all-targets --keep-going \
		--message-format=json-diagnostic-rendered-ansi \
		--manifest-path "$W/e/Cargo.toml" >"$W/e.json" 2>"$W/e.out"
	is "$(jq -r 'select(.reason == "compiler-artifact") | .fresh' "$W/e.json" |
		sort -u)" true "an editor's check finds all fresh"
	is "$(jq -r 'select(.reason == "build-script-executed") | .env[0][1]' \
		"$W/e.json")" 1 "and is told what the script said"
	check "all files that it is told of are there" sh -c \
		'jq -r ".filenames[]?" "$1" | xargs ls' sh "$W/e.json"
}

body() { # [PART...]
	local part
	own_cargo_home
	many "$W/a" || { nok "make the project" && return; }
	cd "$W" || return
	mount_view "$W/a/target" -o wink || { nok "mount" && return; }
	(cd a && cargo build -q --offline --workspace) || nok "the first build"
	units_rest
	for part in ${*:-at_once another_user editor}; do
		"$part"
		cd "$W" || return
	done
	umount_all
	fsck_store "the store is clean"
}

run() {
	[ -z "$PLAIN" ] || skip_all "of a view only"
	need git jq
	cargo_env
	no_registry_crates
	MODES="default" for_modes body "$@"
}
test_main "$@"
