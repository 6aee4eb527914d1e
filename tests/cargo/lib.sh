# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the tests with a real cargo share, on top of ../lib.sh.
#
# Crates are downloaded once, by cargo's own client, into $CACHE/cargo-home;
# the tests themselves run offline, with a copy. Without a network and without
# that cache the project has no registry crates, and the test says so.

if [ -z "${RUST_SYSROOT:-}" ]; then
	RUST_SYSROOT=$(rustc --print sysroot 2>/dev/null)
	export RUST_SYSROOT
fi
export CARGO_NET_OFFLINE=true CARGO_TERM_COLOR=never CARGO_TERM_QUIET=false
unset CARGO_TARGET_DIR CARGO_BUILD_TARGET_DIR CARGO_INCREMENTAL RUSTFLAGS \
	RUSTC_WRAPPER CARGO_BUILD_BUILD_DIR
# `make -j's jobserver is two descriptors, which cargo would look for.
unset MAKEFLAGS MFLAGS MAKELEVEL CARGO_MAKEFLAGS

# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
PROJECT=$TESTS/cargo/project.sh

# Cargo and rustc without rustup's proxies, where any user may run them.
cargo_env() {
	[ -x "${RUST_SYSROOT:-}/bin/cargo" ] || skip_all "needs cargo"
	TOOLCHAIN=$RUST_SYSROOT
	if [ "$(id -u)" = 0 ]; then
		TOOLCHAIN=$W/toolchain
		mkdir -p "$TOOLCHAIN"
		mount --bind "$RUST_SYSROOT" "$TOOLCHAIN" ||
			TOOLCHAIN=$RUST_SYSROOT
	fi
	export PATH=$TOOLCHAIN/bin:$PATH TOOLCHAIN
	export CARGO_HOME=$W/cargo-home
}

# registry_crates: fills the cache if it can, and takes a copy of it;
# REGISTRY=1 when the project's crates are there
registry_crates() {
	local at=$CACHE/cargo-home lock=$CACHE/project.lock
	export REGISTRY=
	mkdir -p "$CACHE"
	(
		flock 9
		[ -s "$lock" ] && exit
		"$PROJECT" "$W/fetch" 1 && cd "$W/fetch" &&
			CARGO_HOME=$at CARGO_NET_OFFLINE=false \
				timeout 300 cargo fetch -q && cp Cargo.lock "$lock"
	) 9>"$CACHE/lock" >"$W/fetch.log" 2>&1
	rm -rf "${W:?}/fetch" "$CARGO_HOME"
	if [ -s "$lock" ]; then
		REGISTRY=1
		cp -r "$at" "$CARGO_HOME"
		cp "$lock" "$CARGO_HOME/project.lock"
		chmod -R a+rX "$CARGO_HOME"
	else
		say "no registry crates: $(tail -n 1 "$W/fetch.log")"
		no_registry_crates
	fi
}

no_registry_crates() {
	export REGISTRY=
	mkdir -p "$CARGO_HOME"
}

# project DIR: the generated workspace, with its lock file
project() {
	"$PROJECT" "$1" "${REGISTRY:-}" &&
		{ [ -z "${REGISTRY:-}" ] || cp "$CARGO_HOME/project.lock" "$1/Cargo.lock"; }
}

# A user of another mode cannot read the cache, and cargo wants to write in
# its home.
own_cargo_home() {
	[ "$(id -u)" = 0 ] && [ "$MODE" != userns ] && return
	cp -r "$CARGO_HOME" "$W/cargo-home"
	export CARGO_HOME=$W/cargo-home
}

# fresh NAME ARG...: a cargo build has nothing to do
fresh() {
	local name=$1
	shift
	if ! cargo "$@" -v >"$W/fresh.out" 2>&1; then
		nok "$name" "$(tail -n 5 "$W/fresh.out")"
	elif grep -qE '^ +(Compiling|Dirty|Checking|Running `)' "$W/fresh.out"; then
		nok "$name" "$(grep -E '^ +(Compiling|Dirty|Checking)' \
			"$W/fresh.out" | head -n 5)"
	else
		ok "$name"
	fi
}

# compiled NAME CRATES ARG...: exactly these crates (sorted, one blank apart)
# are compiled
compiled() {
	local name=$1 want=$2 got
	shift 2
	if ! cargo "$@" >"$W/compiled.out" 2>&1; then
		nok "$name" "$(tail -n 5 "$W/compiled.out")"
		return
	fi
	got=$(sed -n 's/^ *Compiling \([^ ]*\) .*/\1/p' "$W/compiled.out" |
		sort -u | tr '\n' ' ')
	is "${got% }" "$want" "$name"
}

# package NAME [LINE...]: its Cargo.toml
package() {
	printf '[package]\nname = "%s"\nversion = "0.1.0"\nedition = "2021"\n' "$1"
	shift
	[ $# = 0 ] || printf '%s\n' "$@"
}

# app_and_util DIR: a workspace with a program and the library that it uses
app_and_util() {
	mkdir -p "$1"/{app,util}/src
	printf '[workspace]\nresolver = "2"\nmembers = ["app", "util"]\n' \
		>"$1/Cargo.toml"
	package util >"$1/util/Cargo.toml"
	echo 'pub fn n() -> u32 { 7 }' >"$1/util/src/lib.rs"
	package app '[dependencies]' 'util = { path = "../util" }' \
		>"$1/app/Cargo.toml"
	echo 'fn main() { println!("{}", util::n()); }' >"$1/app/src/main.rs"
	(cd "$1" && cargo generate-lockfile -q --offline)
}

# published COUNT: waits until the store has so many units
published() {
	local i
	for ((i = 0; i < 120; i++)); do
		[ "$(stat_of .units.count 2>/dev/null || echo 0)" -ge "$1" ] && return
		sleep 0.5
	done
	return 1
}

# units_rest: nothing was published for a while
units_rest() {
	local i last='' now same=0
	for ((i = 0; i < 240; i++)); do
		now=$(stat_of .units.count 2>/dev/null)
		if [ "$now" = "$last" ]; then same=$((same + 1)); else same=0; fi
		[ $same -ge 10 ] && return
		last=$now
		sleep 0.5
	done
	return 1
}

# artifacts DIR: digests of what a build without incremental data must give
# twice: libraries and programs
artifacts() {
	(cd "$1" && {
		find . -maxdepth 1 -type f ! -name '*.d' ! -name '.cargo-*'
		find deps -maxdepth 1 -type f \( -name '*.rlib' -o \
			-name '*.rmeta' -o -name '*.so' \)
	} | sort | xargs sha256sum)
}
