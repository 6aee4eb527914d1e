#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Wink-in (-o wink): a unit that another checkout has built from the same inputs
# is there when cargo looks, and cargo starts nothing; one built from others is
# not, whatever the times of files say.
#	wink.sh [PART...]
# By default all parts, but in the second way of mounting the QUICK ones only
# (with TARGETFS_LONG all). TARGETFS_WINK names others.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
TIMEOUT=900

QUICK=(other_checkouts inputs_differ not_ours without)
PARTS=("${QUICK[@]}" lock_held dep_rebuilt dep_other dep_missing
	another_lock reborn_later reborn_at_once yet_to_come sources_change environments
	configurations wrappers becomes_another in_the_mount remote places
	aliases silent_macros)

crate() { # DIR [NAME]
	mkdir -p "$1/src"
	printf '[package]\nname = "%s"\nversion = "0.1.0"\nedition = "2021"\n' \
		"${2:-$1}" >"$1/Cargo.toml"
}

commit() {
	printf '/target\n' >.gitignore
	git init -q . && git add -A &&
		git -c user.name=t -c user.email=t@t commit -qm one
}

# core <- leaf (and its program), a proc-macro, a script with an included file;
# a program that becomes cargo
tiny() { # DIR
	mkdir -p "$1" && cd "$1" || return
	printf '[workspace]\nresolver = "2"\nmembers = ["core", "mac", "script", "leaf", "again"]\n' >Cargo.toml
	crate core core_
	echo 'pub mod inner;' >core/src/lib.rs
	echo 'pub fn n() -> u32 { 1 }' >core/src/inner.rs
	crate mac
	printf '[lib]\nproc-macro = true\n' >>mac/Cargo.toml
	cat >mac/src/lib.rs <<-'TXT'
		use proc_macro::TokenStream;
		#[proc_macro]
		pub fn seven(_: TokenStream) -> TokenStream {
		    if let Ok(nap) = std::env::var("NAP") {
		        std::thread::sleep(std::time::Duration::from_secs(nap.parse().unwrap()));
		    }
		    "7".parse().unwrap()
		}
	TXT
	crate script
	cat >script/build.rs <<-'TXT'
		fn main() {
		    println!("cargo:rerun-if-changed=data.txt");
		    let out = std::env::var("OUT_DIR").unwrap();
		    let n: u32 = std::fs::read_to_string("data.txt").unwrap().trim().parse().unwrap();
		    let tune: u32 = std::env::var("TUNE").map_or(0, |t| t.parse().unwrap());
		    std::fs::write(out + "/gen.rs", format!("pub fn n() -> u32 {{ {} }}", n + tune)).unwrap();
		}
	TXT
	echo 100 >script/data.txt
	echo 'include!(concat!(env!("OUT_DIR"), "/gen.rs"));' >script/src/lib.rs
	crate leaf
	printf '[dependencies]\ncore = { path = "../core", package = "core_" }\nmac = { path = "../mac" }\nscript = { path = "../script" }\n' >>leaf/Cargo.toml
	echo 'pub fn n() -> u32 { core::inner::n() + script::n() }' >leaf/src/lib.rs
	echo 'fn main() { println!("{}", leaf::n() + mac::seven!()); }' >leaf/src/main.rs
	crate again
	cat >again/src/main.rs <<-'TXT'
		use std::os::unix::process::CommandExt;
		fn main() {
		    panic!("{}", std::process::Command::new("cargo")
		        .args(["build", "-q", "--offline", "--workspace"])
		        .env("TUNE", "9").exec());
		}
	TXT
	commit
}

units() { stat_of .units.count 2>/dev/null || echo 0; }
shown() { stat_of ".views[] | select(.name == \"$1\") | .daemon.units_winked_in"; }
build() { cargo build -q --offline --workspace "$@" || nok "a build in $PWD"; }
says() {
	local got
	got=$("$1/target/debug/leaf")
	if [ "$got" = "$2" ]; then ok "$3"; else
		nok "$3" "got '$got', wanted '$2'; the log:" \
			"$(tail -n 30 "$(store_dir)/log")"
	fi
}

# built WANT NAME ARG...: these crates are compiled, no other
built() {
	local want=$1 name=$2
	shift 2
	compiled "$name" "$want" build --offline --workspace "$@"
}

# checkout NAME [OPTIONS]: a clone of a, its view, and into it
checkout() {
	cd "$W" && git clone -q a "$1" &&
		mount_view "$W/$1/target" -o "${2-wink}" && cd "$1" && return
	nok "the checkout $1"
	return 1
}

core() { echo "pub fn n() -> u32 { $1 }" >core/src/inner.rs; }
old() { touch -d 2001-02-03 "$@"; }

other_checkouts() {
	checkout b || return
	fresh "another checkout compiles nothing" build --offline --workspace
	says . 108 "and has the right program"
	find . -name '*.rs' -not -path './target/*' -exec touch {} +
	fresh "nor after a touch of all sources" build --offline --workspace
	cd "$W" || return
	git -C a worktree add -q "$W/wt" 2>/dev/null
	mount_view "$W/wt/target" -o wink || return
	cd wt || return
	find . -name '*.rs' -exec touch -d '2001-02-03' {} +
	fresh "a worktree with old times compiles nothing" \
		build --offline --workspace
	core 2
	old core/src/inner.rs
	built "core_ leaf" "an edit with an old time is compiled"
	says . 109 "and counts"
	published 12
	git checkout -q .
	old core/src/inner.rs
	fresh "and back again nothing is" build --offline --workspace
	says . 108 "and the program is as it was"
}

inputs_differ() {
	checkout c || return
	echo 200 >script/data.txt
	built "leaf script" "where a script's data differ, it runs"
	says . 208 "and its output counts"
	# What is edited at once after a build is not known to the store yet.
	core 3
	built "core_ leaf" "an edit"
	core 4
	touch -r Cargo.toml core/src/inner.rs
	built "core_ leaf" "an edit at once, with an old time"
	says . 211 "counts"
	# Back at once: the program of the edit is not known, and must not stay.
	git checkout -q core
	old core/src/inner.rs
	build
	says . 208 "back at once"
}

# Units may not change below a build that is going on.
lock_held() {
	cd b || return
	find . -name '*.rs' -not -path './target/*' -exec touch {} +
	flock target/debug/.cargo-lock sleep 3 &
	sleep 1
	built "again core_ leaf mac script" \
		"while another build holds the lock, nothing is dated anew"
	wait $!
	cd "$W" || return
}

# One target directory, and cargo in another workspace with the same names.
not_ours() {
	checkout d || return
	git clone -q ../a nested
	echo 'pub fn n() -> u32 { 5 }' >nested/core/src/inner.rs
	(cd nested && CARGO_TARGET_DIR=$W/d/target build)
	says . 112 "another workspace's build is its own"
	is "$(shown d)" 0 "and nothing is shown to it"
}

without() {
	checkout e nowink || return
	built "again core_ leaf mac script" "without -o wink all is compiled"
}

# What is compiled against one version of a dependency is not published as made
# from the next, though that is what the view has by then.
dep_rebuilt() {
	local before
	checkout f || return
	echo 'pub fn n() -> u32 { core::inner::n() + script::n() + 1000 }' \
		>leaf/src/lib.rs
	core 60
	before=$(units)
	build
	core 6
	cargo build -q --offline -p core_
	published $((before + 1))
	sleep 3
	checkout g || return
	cp ../f/leaf/src/lib.rs leaf/src/
	core 6
	build
	says . 1113 "a dependant is of the version that it was compiled against"
}

# What is there was compiled against another version of its dependency.
dep_other() {
	checkout y || return
	core 14
	cargo build -q --offline -p core_
	sleep 6
	build
	says . 121 "a dependency that is known, and another one"
}

# A dependency that is shown again must be newer than what was compiled against
# another version of it.
dep_missing() {
	checkout h || return
	core 8
	build
	published "$(($(units) + 2))"
	checkout i || return
	build
	cargo clean -q -p core_ 2>/dev/null
	core 8
	old core/src/inner.rs
	build
	says . 115 "a dependency that comes back with other contents"
}

# A view is found again by its workspace's path, whoever is there by then.
reborn() {
	checkout w || return
	core 10
	build
	[ "$1" = at_once ] || sleep 4
	cd "$W" && umount_view "$W/w/target" && rm -rf w
	checkout w || return
	core 11
	find . -path ./target -prune -o -type f -exec touch -d 2001-02-03 {} +
	build
	says . 118 "another checkout at the same path, $1"
	cd "$W" && umount_view "$W/w/target" && rm -rf w
}

# A lock of another filesystem's file with the number of cargo's lock file is no
# other build's.
another_lock() {
	local ino
	checkout x || return
	build
	ino=$(stat -c %i target/debug/.cargo-lock)
	mkdir "$W/numbers" && mount -t tmpfs -o inode32 none "$W/numbers" ||
		{ skip "another file's lock" "no tmpfs" && return; }
	while [ "$(stat -c %i "$W/numbers/f" 2>/dev/null || echo 0)" -lt "$ino" ]; do
		rm -f "$W/numbers/f" && : >"$W/numbers/f"
	done
	is "$(stat -c %i "$W/numbers/f")" "$ino" "a file with the same number"
	core 12
	old core/src/inner.rs
	flock "$W/numbers/f" cargo build -q --offline --workspace ||
		nok "the build"
	says . 119 "whose lock is held by another"
	umount "$W/numbers"
}

reborn_later() { reborn later; }
reborn_at_once() { reborn at_once; }

# A time in the future would hide every later edit.
yet_to_come() {
	checkout j || return
	touch -d 2100-01-01 core/src/inner.rs leaf/src/lib.rs
	build
	core 9
	cargo build -q --offline -p core_
	build
	says . 116 "sources from the future"
}

sources_change() {
	local i
	checkout k || return
	sed -i 's/leaf::n()/leaf::n() + 30000/' leaf/src/main.rs
	NAP=2 build &
	for ((i = 0; i < 200; i++)); do
		pgrep -f 'crate-name leaf .*crate-type bin' >/dev/null && break
		sleep 0.05
	done
	sleep 0.5
	sed -i 's/30000/40000/' leaf/src/main.rs
	wait $!
	sleep 6
	checkout l || return
	cp ../k/leaf/src/main.rs leaf/src/
	NAP=2 build
	says . 40108 "a source that changed while it was compiled"
}

environments() {
	checkout m || return
	TUNE=20 build
	says . 128 "a variable that a build script reads"
	checkout n || return
	echo 'pub fn n() -> u32 { core::inner::n() + script::n() + option_env!("EXTRA").map_or(0, |s| s.len() as u32) }' \
		>leaf/src/lib.rs
	EXTRA=xx build
	sleep 6
	checkout o || return
	cp ../n/leaf/src/lib.rs leaf/src/
	EXTRA=xxx build
	says . 111 "a variable that a source reads"
}

configurations() {
	checkout q || return
	mkdir .cargo
	printf '[env]\nTUNE = "40"\n' >.cargo/config.toml
	build
	says . 148 "a variable of cargo's configuration"
	checkout r || return
	cargo build -q --offline --workspace --config 'env.TUNE="50"'
	says . 158 "and one of its command line"
}

wrappers() {
	checkout s || return
	printf '#!/bin/sh\nexec "$@"\n' >"$W/wrapper"
	chmod +x "$W/wrapper"
	RUSTC_WRAPPER=$W/wrapper build
	is "$(shown s)" 0 "nothing of another compiler is shown"
}

becomes_another() {
	checkout t || return
	cargo run -q --offline -p again
	says . 117 "cargo run that becomes another cargo"
}

# The daemon looks for programs and manifests, but never in its own mount: with
# io_uring it would wait for itself, and not even die by a signal.
in_the_mount() {
	checkout u || return
	mkdir -p target/debug target/x/src
	ln -s "$PWD/target/debug" "$W/link-to-target"
	printf '[workspace]\n' | cat - core/Cargo.toml >target/x/Cargo.toml
	cp core/src/* target/x/src/
	check "cargo with the target directory in PATH" \
		timeout -s KILL 60 env "PATH=$PWD/target/debug:$W/link-to-target:$PATH" \
		cargo build -q --offline --workspace
	says . 108 "is right"
	check "cargo in the target directory" timeout -s KILL 60 \
		env -C target/x "CARGO_TARGET_DIR=$PWD/target" cargo build -q --offline
	check "cargo with a manifest there" timeout -s KILL 60 \
		cargo build -q --offline --manifest-path target/x/Cargo.toml \
		--target-dir target
}

# Times of another filesystem daemon's files are another clock's.
remote() {
	mkdir -p "$W/outer"
	mount_view "$W/outer" || return
	checkout outer/v || return
	build
	says . 108 "a checkout on FUSE"
	is "$(shown v)" 0 "is shown nothing"
}

# --- paths -------------------------------------------------------------------

# uses CRATE DEPENDENCY...: by path
uses() {
	local crate=$1 d
	shift
	echo '[dependencies]' >>"$crate/Cargo.toml"
	for d; do echo "$d = { path = \"../$d\" }" >>"$crate/Cargo.toml"; done
}

# Macros that tell where they are used, that include a file, that read one; a
# library with each in a constant, programs that show them, one that shows
# OUT_DIR, and a link in another's.
placed() { # DIR
	local c
	mkdir -p "$1" && cd "$1" || return
	printf '[workspace]\nresolver = "2"\nmembers = ["pm", "place", "incl", "hush", "show", "reads", "out", "link"]\n' >Cargo.toml
	echo one >shared.txt
	for c in pm place incl hush show reads out link; do crate $c; done
	printf '[lib]\nproc-macro = true\n' >>pm/Cargo.toml
	cat >pm/src/lib.rs <<-'TXT'
		use proc_macro::TokenStream;
		fn dir() -> String { std::env::var("CARGO_MANIFEST_DIR").unwrap() }
		fn text(s: &str) -> TokenStream { format!("{s:?}").parse().unwrap() }
		#[proc_macro]
		pub fn here(_: TokenStream) -> TokenStream { text(&dir()) }
		#[proc_macro]
		pub fn shared(_: TokenStream) -> TokenStream {
		    let dir = dir();
		    let up = std::path::Path::new(&dir).parent().unwrap();
		    format!("include_str!({:?})", up.join("shared.txt")).parse().unwrap()
		}
		#[proc_macro]
		pub fn silent(_: TokenStream) -> TokenStream {
		    text(&std::fs::read_to_string(dir() + "/target/silent.txt").unwrap())
		}
	TXT
	uses place pm
	echo 'pub const HERE: &str = pm::here!();' >place/src/lib.rs
	uses incl pm
	echo 'pub const SHARED: &str = pm::shared!();' >incl/src/lib.rs
	uses hush pm
	echo 'pub const SILENT: &str = pm::silent!();' >hush/src/lib.rs
	mkdir hush/target
	echo one >hush/target/silent.txt
	uses reads incl hush
	echo 'fn main() { println!("{} {}", incl::SHARED.trim(), hush::SILENT.trim()); }' \
		>reads/src/main.rs
	uses show pm place
	echo 'fn main() { println!("{}\n{}", place::HERE, pm::here!()); }' \
		>show/src/main.rs
	echo 'fn main() { println!("cargo:rerun-if-changed=build.rs"); }' \
		>out/build.rs
	echo 'fn main() { println!("{}", env!("OUT_DIR")); }' >out/src/main.rs
	echo 'fn main() {}' >link/src/main.rs
	cat >link/build.rs <<-'TXT'
		fn main() {
		    println!("cargo:rerun-if-changed=build.rs");
		    let here = std::env::var("CARGO_MANIFEST_DIR").unwrap();
		    let link = std::env::var("OUT_DIR").unwrap() + "/link";
		    let _ = std::fs::remove_file(&link);
		    std::os::unix::fs::symlink(here, link).unwrap();
		}
	TXT
	commit
}

# place NAME: a checkout of it, as checkout() makes them
place() {
	cd "$W" && git clone -q p0 "$1" && mount_view "$W/$1/target" -o wink &&
		cd "$1" && return
	nok "the checkout $1"
	return 1
}

first_place() {
	[ ! -d "$W/p0" ] || return 0
	placed "$W/p0" && mount_view "$W/p0/target" -o wink && cd "$W/p0" &&
		build && sleep 5
}

# All paths that programs and the link say are in this checkout.
is_here() { # NAME
	local lines
	lines=$(target/debug/show
		target/debug/out
		readlink target/debug/build/link-*/out/link)
	is "$(grep -cv "^$PWD/" <<<"$lines"), $(wc -l <<<"$lines")" "0, 4" "$1"
}

places() {
	first_place || return
	place p1 || return
	build
	is_here "a path that a macro has put into a constant, and others"
	is "$(target/debug/reads)" "one one" "and what macros read"
	place p2 || return
	echo two >shared.txt
	build
	is "$(target/debug/reads)" "two one" \
		"a file that a macro includes by its absolute path"
	place p3 || return
	echo two >hush/target/silent.txt
	build
	is "$(target/debug/reads)" "one two" \
		"one that it reads and does not name, in a directory 'target'"
}

# Cargo knows the target directory, or the workspace, by a symbolic link.
aliases() {
	first_place || return
	place p4 || return
	echo '// alias' >>out/src/main.rs
	ln -sfn "$W/p4" "$W/alias"
	CARGO_TARGET_DIR=$W/alias/target build
	sleep 6
	rm "$W/alias"
	place p5 || return
	echo '// alias' >>out/src/main.rs
	build
	is_here "what was built by another name of the target directory"
	place p6 || return
	echo '// manifest' | tee -a out/src/main.rs >>show/src/main.rs
	ln -sfn "$W/p6" "$W/alias"
	build --manifest-path "$W/alias/Cargo.toml"
	sleep 6
	place p7 || return
	echo '// manifest' | tee -a out/src/main.rs >>show/src/main.rs
	build
	is_here "and of the workspace"
}

silent_macros() {
	local name
	first_place || return
	for name in p8 p9; do
		place $name || return
		echo $name >hush/target/silent.txt
		echo '// silent' >>hush/src/lib.rs
		build
		is "$(target/debug/reads)" "one $name" \
			"a file that a macro reads, in $name"
		sleep 6
	done
}

body() {
	local part
	if [ $# -gt 0 ]; then
		:
	elif [ "$MODE" = neither ] && [ -z "$LONG" ]; then
		set -- "${QUICK[@]}"
	else
		set -- "${PARTS[@]}"
	fi
	own_cargo_home
	tiny "$W/a" || { nok "make the project" && return; }
	cd "$W" || return
	mount_view "$W/a/target" -o wink || { nok "mount" && return; }
	(cd a && build) || nok "the first build"
	says a 108 "the first build"
	check "all of its units are published" published 8
	for part; do
		$part
		cd "$W" || return
	done
	umount_all
	fsck_store "the store is clean"
}

run() {
	need git jq
	export TARGETFS_DEBUG=1
	cargo_env
	no_registry_crates
	# shellcheck disable=SC2086 # names
	[ $# -gt 0 ] || set -- ${TARGETFS_WINK:-}
	MODES="default neither" for_modes body "$@"
}
test_main "$@"
