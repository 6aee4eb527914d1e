#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# demo.sh PATH-OF-TARGETFS: the program at its main job, for someone who sees
# it for the first time. A published project is built in two checkouts, each in
# a view of its own over one store; then it says what that took and what was
# kept once. Everything happens in a temporary directory, and all of it is
# gone in the end, however it ends.
#
# DEMO_DIR=DIR  work there (a directory that is kept)
# CARGO=PROGRAM the cargo to use
set -euo pipefail

name=hyperfine
# Version, the oldest Rust that builds it, and the digest of its sources; the
# first is taken that the installed Rust can build.
versions='
1.20.0 1.88 c5fe697e6fdd7bd20438836076f8901094926ae40cf13f3f7255c1f3f085122c
1.19.0 1.76 1b9ed60550a9126c3f4ab05528d8b89bd130c4fa2735f0b902c5271a4e44f51e
1.18.0 1.70 5e1dfaa90af21f38b00bbcf41bae306caf201238ea7a7ee1e27784e31e31c090
'

bold='' plain=''
if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; fi
title() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
say() { printf '  %s\n' "$*"; }

# die WHAT [WHAT-TO-DO...]
die() {
	printf '\ndemo: %s\n' "$1" >&2
	shift
	[ $# -eq 0 ] || printf '  -> %s\n' "$@" >&2
	exit 1
}

# --- what is needed ----------------------------------------------------------

usage() {
	echo "usage: demo.sh PATH-OF-TARGETFS" >&2
	exit 2
}

# at_least WANTED HAVE
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | first_line)" = "$1" ]; }
first_line() { sed -n 1p; }

how_to_get_cargo() {
	die "$1" \
		"Debian 13, Ubuntu 24.04 and newer: apt-get install cargo rustc gcc" \
		"Debian 12, whose package 'cargo' is too old: apt-get install cargo-web gcc" \
		"anywhere: rustup, the installer of the Rust project; then run this again"
}

find_cargo() {
	cargo=${CARGO:-cargo}
	if ! command -v "$cargo" >/dev/null; then
		cargo=$HOME/.cargo/bin/cargo
		[ -x "$cargo" ] || how_to_get_cargo "cargo is not installed"
		export PATH=$HOME/.cargo/bin:$PATH
	fi
	command -v cc >/dev/null ||
		die "there is no C compiler, which rustc needs to link" \
			"apt-get install gcc libc6-dev"
	rust=$(rustc --version 2>/dev/null | awk '{ print $2 }')
	[ -n "$rust" ] || how_to_get_cargo "cargo is there, but rustc does not work"
	while read -r version oldest sum; do
		[ -n "$version" ] || continue
		! at_least "$oldest" "$rust" || return 0
		needed=$oldest
	done <<<"$versions"
	how_to_get_cargo "Rust $rust is too old: $name needs $needed"
}

# --- leaving nothing behind --------------------------------------------------

dir='' keep=no

# is_mounted DIR, where something is mounted at DIR or below it: the kernel
# writes blanks and backslashes as octal numbers.
is_mounted() {
	local d=${1//\\/\\134}
	d=${d// /\\040}
	awk -v d="${d//\\/\\\\}" '$5 == d || index($5, d "/") == 1 { found = 1 }
		END { exit !found }' /proc/self/mountinfo
}

# An interrupted rustc may need a moment to end; then the mount is detached,
# and its daemon ends when it has written what it has.
unmount_all() {
	local d i
	for d in "$dir/checkout-1/target" "$dir/checkout-2/target"; do
		for ((i = 0; i < 20; i++)); do
			is_mounted "$d" || continue 2
			! "$targetfs" umount "$d" >/dev/null 2>&1 || continue 2
			sleep 0.5
		done
		"$targetfs" umount --lazy "$d" >/dev/null 2>&1 || true
	done
	for ((i = 0; i < 60; i++)); do
		"$targetfs" views --json 2>/dev/null |
			grep -q '"mounted": {' || break
		sleep 0.5
	done
}

clean_up() {
	local rc=$?
	trap - EXIT
	trap '' INT TERM HUP
	cd /
	[ -z "$dir" ] || unmount_all
	if [ -n "$dir" ] && is_mounted "$dir"; then
		echo "demo: something in $dir is still mounted; it is kept" >&2
	elif [ -n "$dir" ] && [ $keep = no ]; then
		rm -rf --one-file-system "$dir"
	fi
	exit $rc
}

make_dir() {
	local room
	if [ -n "${DEMO_DIR:-}" ]; then
		mkdir -p "$DEMO_DIR"
		[ -z "$(ls -A "$DEMO_DIR")" ] || die "$DEMO_DIR is not empty"
		dir=$DEMO_DIR keep=yes
	else
		dir=$(mktemp -d "${TMPDIR:-/tmp}/targetfs-demo.XXXXXX")
	fi
	dir=$(cd "$dir" && pwd -P)
	room=$(df -Pk "$dir" | awk 'NR == 2 { print $4 }')
	[ "$room" -gt 1000000 ] ||
		die "less than 1 GB is free in $dir" "set TMPDIR to a place with more"
}

# --- the project -------------------------------------------------------------

# The cached download of the crate, wherever cargo put it.
cached_crate() {
	find "${CARGO_HOME:-$HOME/.cargo}/registry/cache" -type f \
		-name "$name-$version.crate" 2>/dev/null | first_line
}

# cargo's own client downloads and checks it. An old cargo has no `info`: there
# a package that names it as its dependency does the same.
download() {
	local p=$dir/download
	[ -z "$(cached_crate)" ] || return 0
	(cd "$dir" && "$cargo" info -q "$name@$version") >"$dir/log" 2>&1 || true
	[ -z "$(cached_crate)" ] || return 0
	mkdir -p "$p/src"
	printf '[package]\nname = "download"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\n%s = "=%s"\n' \
		"$name" "$version" >"$p/Cargo.toml"
	: >"$p/src/lib.rs"
	(cd "$p" && "$cargo" fetch) >"$dir/log" 2>&1 || true
	[ -n "$(cached_crate)" ] ||
		die "cargo could not download $name $version; it said:" \
			"$(tail -n 5 "$dir/log")" "is the network there?"
}

unpack() {
	local crate d
	crate=$(cached_crate)
	echo "$sum  $crate" | sha256sum -c --quiet - >/dev/null 2>&1 ||
		die "the download is not what it should be: $crate" "remove it and try again"
	for d in checkout-1 checkout-2; do
		mkdir -p "$dir/$d"
		tar -xzf "$crate" -C "$dir/$d" --strip-components=1
	done
	(cd "$dir/checkout-1" && "$cargo" fetch --locked) >"$dir/log" 2>&1 ||
		die "cargo could not fetch what $name depends on; it said:" \
			"$(tail -n 5 "$dir/log")"
}

# --- the show ----------------------------------------------------------------

# One number of `targetfs stats --json`: the first of that name.
stat_of() {
	"$targetfs" stats --json | sed -n "s/^ *\"$1\": \([0-9]*\),*\$/\1/p" | first_line
}

human() {
	awk -v n="$1" 'BEGIN { split("B KiB MiB GiB", u); i = 1
		while (n >= 1024 && i < 4) { n /= 1024; i++ }
		printf((i > 1 ? "%.1f %s" : "%d %s"), n, u[i]) }'
}

mount_view() {
	"$targetfs" mount "$dir/$1/target" 2>"$dir/log" ||
		die "the view could not be mounted; targetfs said:" "$(cat "$dir/log")"
	say "mounted $dir/$1/target"
	sed 's/^targetfs: /  (/; s/$/)/' "$dir/log"
}

# build CHECKOUT: sets took, in tenths of a second
build() {
	local t0 t1
	t0=$(date +%s%N)
	(cd "$dir/$1" && "$cargo" build --locked) >"$dir/log" 2>&1 ||
		die "the build failed; cargo said:" "$(tail -n 20 "$dir/log")"
	t1=$(date +%s%N)
	took=$(((t1 - t0) / 100000000))
	say "cargo build in $1: $((took / 10)).$((took % 10)) s," \
		"$(grep -c '^ *Compiling ' "$dir/log") crates compiled"
}

# Files become shared a little after they were written.
settle() {
	local last='' now i same=0
	printf '  waiting until everything is compared '
	for ((i = 0; i < 90; i++)); do
		now=$(stat_of private)/$(stat_of stored)
		case $now in 0/*) break ;; esac
		if [ "$now" = "$last" ]; then same=$((same + 1)); else same=0; fi
		[ $same -lt 10 ] || break
		last=$now
		printf .
		sleep 1
	done
	printf ' done\n'
}

show_sharing() {
	local logical stored disk
	logical=$(stat_of logical)
	stored=$(stat_of stored)
	disk=$(($(du -sk "$TARGETFS_STORE" | cut -f 1) * 1024))
	say "the two target directories hold      $(human "$logical")"
	say "the store keeps of it                $(human "$stored")"
	say "which takes on disk, with the index  $(human "$disk")"
	[ "$logical" -eq 0 ] ||
		say "kept once instead of twice           $(human $((logical - stored)))," \
			"$(((logical - stored) * 100 / logical)) % of all"
}

run_program() {
	local out
	out=$("$dir/$1/target/debug/$name" --version) ||
		die "the program that was built does not run"
	say "\$ checkout-${1#checkout-}/target/debug/$name --version"
	say "$out"
}

# What is left over from an interrupted step is tidied up here (status 1).
check_store() {
	local rc=0
	"$targetfs" fsck --read-data --repair >"$dir/log" 2>&1 || rc=$?
	sed 's/^/  /' "$dir/log"
	[ $rc -le 1 ] || die "fsck found problems"
}

[ $# -eq 1 ] || usage
targetfs=$(realpath "$1" 2>/dev/null) || targetfs=$1
[ -x "$targetfs" ] ||
	die "there is no program '$1'" "./bootstrap build makes it"
find_cargo
trap clean_up EXIT
trap 'echo; echo "demo: interrupted" >&2; exit 130' INT
trap 'exit 143' TERM HUP
make_dir
mkdir "$dir/tmp"
export TARGETFS_STORE=$dir/store TMPDIR=$dir/tmp CARGO_TERM_COLOR=never
unset CARGO_TARGET_DIR CARGO_BUILD_TARGET_DIR RUSTC_WRAPPER

title "targetfs: cargo's target directory as a view over a shared store"
"$targetfs" version | sed 's/^/  /'

title "1. The sources of $name $version, twice"
say "as published; downloaded and checked by cargo"
download
unpack
say "in $dir/checkout-1 and checkout-2"

title "2. A view over each target directory, both over one store"
mount_view checkout-1
mount_view checkout-2

title "3. A plain cargo build in each"
build checkout-1
first=$took
build checkout-2
run_program checkout-1
run_program checkout-2

title "4. What was shared"
settle
"$targetfs" stats | sed -n '1,/^Stored/s/^/  /p'
echo
show_sharing

title "5. The views are unmounted, and found again"
"$targetfs" umount "$dir/checkout-1/target"
"$targetfs" umount "$dir/checkout-2/target"
say "unmounted; the two target directories are empty: $(
	find "$dir"/checkout-?/target -mindepth 1 | wc -l) files"
check_store
mount_view checkout-1
build checkout-1
run_program checkout-1
"$targetfs" umount "$dir/checkout-1/target"

title "That was it"
say "The first build took $((first / 10)).$((first % 10)) s; after the remount cargo found everything fresh."
say "For a project of your own:   cd PROJECT && targetfs run -- cargo build"
