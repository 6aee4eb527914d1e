#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Wink-in (-o wink) of build scripts that do not say what they look at, and of
# all that depends on them: cargo's fingerprints of these hold the time of their
# package's newest file, and are made right for each checkout. What is in the
# package counts, and in the packages below it, whatever its times.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
TIMEOUT=600

# top (its script looks into silent/, too) and user <- silent: each has a script
# without rerun-if
silent() { # DIR
	mkdir -p "$1"/{src,silent/src,silent/data,user/src} && cd "$1" || return
	printf '/target\n' >.gitignore
	printf '[package]\nname = "%s"\nversion = "0.1.0"\nedition = "2021"\n' top \
		>Cargo.toml
	sed 's/top/silent/' Cargo.toml >silent/Cargo.toml
	sed 's/top/user/' Cargo.toml >user/Cargo.toml
	printf '[workspace]\nmembers = ["silent", "user", "commit"]\n' >>Cargo.toml
	printf '[dependencies]\nsilent = { path = "../silent" }\n' >>user/Cargo.toml
	cat >silent/build.rs <<-'TXT'
		fn main() {
		    let n = std::fs::read_to_string("data/n").unwrap();
		    let files = std::fs::read_dir("data").unwrap().count();
		    println!("cargo:rustc-env=N={} in {}", n.trim(), files);
		}
	TXT
	echo 1 >silent/data/n
	echo 'pub fn n() -> &'"'static"' str { env!("N") }' >silent/src/lib.rs
	echo 'fn main() { println!("{}", silent::n()); }' >user/src/main.rs
	# asks git and looks outside, but does not say so
	mkdir -p commit/src
	sed 's/top/commit/; /workspace/,$d' Cargo.toml >commit/Cargo.toml
	cat >commit/build.rs <<-'TXT'
		fn main() {
		    let git = std::process::Command::new("git").args(["rev-parse", "HEAD"]).output().unwrap();
		    let outside = std::fs::read_to_string("../outside").unwrap();
		    println!("cargo:rustc-env=N={} {}", String::from_utf8(git.stdout).unwrap().trim(), outside.trim());
		}
	TXT
	echo 'fn main() { println!("{}", env!("N")); }' >commit/src/main.rs
	echo 1 >outside
	cat >build.rs <<-'TXT'
		fn main() {
		    let n = std::fs::read_to_string("silent/data/n").unwrap();
		    println!("cargo:rustc-env=N={}", n.trim());
		}
	TXT
	echo 'fn main() { println!("{}", env!("N")); }' >src/main.rs
	git init -q . && cargo generate-lockfile -q && git add -A &&
		git -c user.name=t -c user.email=t@t commit -qm one
}

says() { # TOP USER NAME
	is "$(target/debug/top), $(target/debug/user)" "$1, $2" "$3"
}

# build_says TOP USER NAME
build_says() {
	cargo build -q --offline --workspace >"$W/build.out" 2>&1 ||
		diag "$(tail -n 5 "$W/build.out")"
	says "$@"
}

old() { touch -d 2001-02-03 "$@"; }

elsewhere() {
	local i
	git clone -q a b
	mount_view "$W/b/target" -o wink || return
	cd b || return
	fresh "another checkout compiles nothing, and runs no script" \
		build --offline --workspace
	says 1 "1 in 1" "and has the right programs"
	fresh "the next time neither" build --offline --workspace
	cd "$W" || return
	git -C a worktree add -q "$W/wt" 2>/dev/null
	mount_view "$W/wt/target" -o wink || return
	cd wt || return
	find . -name target -prune -o -type f -exec touch -d 2001-02-03 {} +
	fresh "a worktree where all has one old time does not" \
		build --offline --workspace
	says 1 "1 in 1" "and has the right programs"
	echo 'fn main() { println!("user {}", silent::n()); }' >user/src/main.rs
	compiled "an edit of the dependant compiles that alone" user \
		build --offline --workspace
	says 1 "user 1 in 1" "and counts"
	# A tarball is at no commit, and cargo finds its files without git.
	for i in 1 2; do
		cd "$W" && mkdir "tar$i" && git -C a archive HEAD | tar -x -C "tar$i"
		mount_view "$W/tar$i/target" -o wink && cd "tar$i" || return
		[ "$i" = 2 ] || cargo build -q --offline --workspace
		units_rest
	done
	fresh "nor does a second tarball" build --offline --workspace
	cd "$W" || return
}

in_place() {
	cd b || return
	touch silent/data/n Cargo.toml
	fresh "a touch of the newest file runs no script" \
		build --offline --workspace
	echo 2 >silent/data/n
	old silent/data/n
	# The script of the package above is not looked at for that, by cargo
	# neither.
	cargo build -q --offline --workspace
	is "$(target/debug/user)" "2 in 1" "an edit with an old time counts"
	echo x >silent/data/more
	old silent/data/more
	cargo build -q --offline --workspace
	is "$(target/debug/user)" "2 in 2" "a new file with an old time counts"
	rm silent/data/more
	echo 1 >silent/data/n
	old silent/data/n
	cargo build -q --offline --workspace
	is "$(target/debug/user)" "1 in 1" "and back again"
	cd "$W" || return
}

differs() {
	git clone -q a d
	echo 3 >d/silent/data/n
	find d -type f -exec touch -d 2001-02-03 {} +
	mount_view "$W/d/target" -o wink || return
	cd d || return
	build_says 3 "3 in 1" "where a file below differs, both scripts run"
	cd "$W" || return
	git clone -q a e
	mkdir e/silent/data/dir
	mount_view "$W/e/target" -o wink || return
	cd e || return
	build_says 1 "1 in 2" "where there is a directory more, they do"
	cd "$W" || return
	git clone -q a g && cd g || return
	git -c user.name=t -c user.email=t@t commit -q --allow-empty -m two
	mount_view "$W/g/target" -o wink || return
	cargo build -q --offline --workspace
	is "$(target/debug/commit)" "$(git rev-parse HEAD) 1" \
		"at another commit, a script that asks for it does"
	cd "$W" || return
	git clone -q a h && echo 2 >h/outside && touch -d 2001-02-03 h/outside
	mount_view "$W/h/target" -o wink && cd h || return
	cargo build -q --offline --workspace
	is "$(target/debug/commit)" "$(git rev-parse HEAD) 2" \
		"where a file beside the package differs, it does"
	cd "$W" || return
}

# Built twice from nothing: what was compiled in the one goes with the other's.
twice() {
	git clone -q a f
	mount_view "$W/f/target" || return
	cd f || return
	cargo build -q --offline --workspace
	cd "$W" && umount_view "$W/f/target" && mount_view "$W/f/target" -o wink
	cd f || return
	rm -rf target/debug
	fresh "in a view that had its own, nothing is compiled" \
		build --offline --workspace
	cd "$W" || return
}

body() {
	local part
	own_cargo_home
	silent "$W/a" || { nok "make the project" && return; }
	cd "$W" || return
	mount_view "$W/a/target" -o wink || { nok "mount" && return; }
	(cd a && cargo build -q --offline --workspace) || nok "the first build"
	units_rest
	for part in ${*:-elsewhere in_place differs twice}; do
		"$part"
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
