#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# workspace.sh DIR CRATES: a workspace of small crates without dependencies on
# the registry, built without incremental data: two builds of it are equal byte
# for byte, and what the program prints depends on every crate's source.
set -eu
D=$1
C=${2:-20}
mkdir -p "$D"
cd "$D"
cat >Cargo.toml <<'TXT'
[workspace]
resolver = "2"
members = ["c*"]
[profile.dev]
incremental = false
TXT
for ((i = 0; i < C; i++)); do
	up=$(((i - 1) / 2))
	mkdir -p c$i/src
	{
		printf '[package]\nname = "c%d"\nversion = "0.1.0"\n' $i
		printf 'edition = "2021"\n[dependencies]\n'
		[ $i = 0 ] || printf 'c%d = { path = "../c%d" }\n' $up $up
	} >c$i/Cargo.toml
	{
		if [ $i = 0 ]; then
			echo 'include!(concat!(env!("OUT_DIR"), "/g.rs"));'
			echo 'pub fn mark() -> u64 { G + MARK }'
		else
			echo "pub use c$up as up;"
			echo 'pub fn mark() -> u64 { up::mark() * 31 + MARK }'
		fi
		echo "pub const MARK: u64 = $i;"
		for ((k = 0; k < 40; k++)); do
			echo "pub fn f$k(v: &[u64]) -> u64 { v.iter().map(|x| x.wrapping_mul($k)" \
				".rotate_left($k)).filter(|y| y % 3 == 1).fold($i, |a, b| a ^ b) }"
		done
	} >c$i/src/lib.rs
done
cat >c0/build.rs <<'TXT'
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let out = std::env::var("OUT_DIR").unwrap();
    std::fs::write(format!("{out}/g.rs"), "pub const G: u64 = 7;").unwrap();
}
TXT
mkdir -p c$((C - 1))/src/bin
cat >c$((C - 1))/src/bin/app.rs <<TXT
fn main() { println!("{} {}", c$((C - 1))::mark() % 1000000007, c$((C - 1))::f3(&[1, 2, 3])); }
TXT
