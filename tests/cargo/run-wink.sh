#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# `targetfs run -o wink -- cargo ...` ends with a line about what was in the
# store, and as cargo does in all else.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
TIMEOUT=600

# One library, one program that can end in several ways.
tiny() { # DIR
	app_and_util "$1"
	cat >"$1/app/src/main.rs" <<-'TXT'
		fn main() {
		    let arg = std::env::args().nth(1).unwrap_or_default();
		    println!("{}", util::n());
		    if arg == "wait" { println!("{}", std::process::id()); std::thread::sleep(std::time::Duration::from_secs(60)); }
		    std::process::exit(arg.parse().unwrap_or(0));
		}
	TXT
	cd "$W" || return
}

copy() { # TO: another checkout, to be mounted by run
	[ "$PWD" = "$W" ] || umount_view "$PWD/target"
	mkdir "$W/$1"
	cp -r "$W"/a/{app,util,Cargo.toml,Cargo.lock} "$W/$1"
	cd "$W/$1" || return
	MOUNTS+=("$W/$1/target")
}

run_it() { # ARG...: sets RC, $W/err
	local opts
	opts=$(mode_options)
	RC=0
	"$TARGETFS" run --store "$(store_dir)" -o "wink${opts:+,$opts}" -- \
		"$@" >"$W/out" 2>"$W/err" </dev/null || RC=$?
}

said() { grep -c ' fresh from the store' "$W/err"; }

# ends TEXT NAME: the last line, without the time it took
ends() {
	is "$(tail -n 1 "$W/err" | sed 's/[0-9.]* s of/N s of/')" "$1" "$2"
}

lines() {
	copy b
	run_it cargo build --offline --workspace
	is "$RC" 0 "a build in another checkout"
	ends "targetfs: 2 units fresh from the store, N s of compiling saved" \
		"ends with what it found"
	run_it cargo build --offline --workspace
	is "$(said)" 0 "there is nothing to say of a second one"
	copy c
	run_it cargo build --offline --workspace -q
	is "$(cat "$W/err")" "" "with -q it is quiet"
	copy d
	CARGO_TERM_QUIET=true run_it cargo build --offline --workspace
	is "$(said)" 0 "or with CARGO_TERM_QUIET"
	copy e
	echo 'pub fn n() -> u32 { oops }' >util/src/lib.rs
	run_it cargo build --offline --workspace
	is "$RC" 101 "a build that fails"
	is "$(said)" 0 "found nothing"
	copy f
	run_it env cargo build --offline --workspace
	is "$(said)" 0 "another program is not cargo"
}

# waits: starts a program that waits; sets PID of ours and APP of its own
waits() {
	local i
	: >"$W/waits"
	"$TARGETFS" run --store "$(store_dir)" -o wink -- cargo run --offline \
		-- wait >"$W/waits" 2>"$W/err" &
	PID=$!
	for ((i = 0; i < 100; i++)); do
		[ "$(wc -l <"$W/waits")" -lt 2 ] || break
		sleep 0.1
	done
	APP=$(sed -n 2p "$W/waits")
	check "a program that waits" kill -0 "$APP"
}

gone() {
	local i
	for ((i = 0; i < 50; i++)); do
		kill -0 "$APP" 2>/dev/null || return 0
		sleep 0.1
	done
	kill -KILL "$APP"
	return 1
}

ending() {
	copy g
	run_it cargo run --offline -q -- 42
	is "$RC" 42 "cargo's status is passed on"
	copy h
	run_it cargo run --offline -- 42
	is "$RC" 42 "with something to say, too"
	is "$(said)" 1 "and it is said"
	is "$(cat "$W/out")" 7 "standard output is the command's own"
	waits
	kill -TERM "$PID"
	wait "$PID" 2>/dev/null
	is $? 143 "SIGTERM ends the command, and us by the same signal"
	check "which is gone" gone
	waits
	kill -KILL "$PID"
	wait "$PID" 2>/dev/null
	check "killed, we take it along" gone
}

body() {
	own_cargo_home
	tiny "$W/a" || { nok "make the project" && return; }
	mount_view "$W/a/target" -o wink || { nok "mount" && return; }
	(cd a && cargo build -q --offline --workspace) || nok "the first build"
	check "all units are published" published 2
	umount_view "$W/a/target"
	lines
	ending
	cd "$W" || return
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
