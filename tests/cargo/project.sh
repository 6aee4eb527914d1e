#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# project.sh DIR [1]: writes a cargo workspace with every kind of unit: lib,
# bin, proc-macro, build scripts with and without rerun-if, cdylib, staticlib,
# dylib, C code, tests, benches, examples, doc tests. With 1 also crates of
# the registry: a proc-macro, and C code by the cc crate.
set -eu
D=$1
REGISTRY=${2:-}
rm -rf "$D"
mkdir -p "$D"
cd "$D"

crate() { # NAME [line of the manifest...]
	local name=$1
	shift
	mkdir -p "$name/src"
	{
		printf '[package]\nname = "%s"\nversion = "0.1.0"\nedition = "2021"\n' "$name"
		printf '%s\n' "$@"
	} >"$name/Cargo.toml"
}
if_registry() { [ -z "$REGISTRY" ] || printf '%s\n' "$@"; }

cat >Cargo.toml <<'TXT'
[workspace]
resolver = "2"
members = ["core_m", "leaf", "pm", "bs_rerun", "bs_norerun", "ccode", "cdy", "dyl"]
[profile.release]
opt-level = 1
strip = true
TXT
printf 'target\n' >.gitignore

IFS=$'\n' # if_registry gives lines
# shellcheck disable=SC2046
crate core_m '[dependencies]' \
	$(if_registry 'itoa = "=1.0.11"' \
		'serde = { version = "=1.0.210", features = ["derive"] }')
{
	cat <<'TXT'
pub mod inner;
pub fn manifest_dir() -> &'static str { env!("CARGO_MANIFEST_DIR") }
pub fn opt() -> Option<&'static str> { option_env!("TFS_OPT") }
pub fn file() -> &'static str { file!() }
/// ```
/// assert_eq!(core_m::file().len() > 0, true);
/// ```
pub fn bang(i: usize) -> u8 { let v = [1u8, 2, 3]; v[i] }
#[cfg(test)]
mod t {
    #[test]
    fn x() { assert!(super::file().len() > 0); }
    #[test]
    #[should_panic]
    fn y() { super::bang(7); }
}
TXT
	if_registry '#[derive(serde::Serialize)] pub struct S { pub a: u32 }'
} >core_m/src/lib.rs
if [ -n "$REGISTRY" ]; then
	echo 'pub fn inner() -> String { itoa::Buffer::new().format(3u32).to_string() }'
else
	echo 'pub fn inner() -> String { 3.to_string() }'
fi >core_m/src/inner.rs

# shellcheck disable=SC2046
crate leaf '[dependencies]' 'core_m = { path = "../core_m" }' \
	'pm = { path = "../pm" }' 'bs_rerun = { path = "../bs_rerun" }' \
	'bs_norerun = { path = "../bs_norerun" }' 'ccode = { path = "../ccode" }' \
	$(if_registry 'libz-sys = { version = "=1.1.20", default-features = false, features = ["libc", "static"] }')
mkdir -p leaf/tests leaf/examples leaf/benches
cat >leaf/src/lib.rs <<'TXT'
pm::gen!();
pub fn lf() -> u32 { generated() + bs_rerun::v() }
TXT
{
	cat <<'TXT'
fn main() {
    println!("{} {:?} {} {} {} {} {}", core_m::manifest_dir(), core_m::opt(), leaf::lf(),
        bs_rerun::out_dir(), bs_norerun::W, core_m::inner::inner(), ccode::answer());
TXT
	if_registry '    unsafe { println!("{}", *libz_sys::zlibVersion()); }'
	echo '}'
} >leaf/src/main.rs
echo '#[test] fn it() { assert!(leaf::lf() > 0); }' >leaf/tests/it.rs
echo 'fn main() { println!("{}", leaf::lf()); }' >leaf/examples/ex.rs
echo '#[test] fn bench_like() { assert_eq!(leaf::lf(), 49); }' >leaf/benches/b.rs

crate pm '[lib]' 'proc-macro = true'
cat >pm/src/lib.rs <<'TXT'
use proc_macro::TokenStream;
#[proc_macro]
pub fn gen(_: TokenStream) -> TokenStream { "fn generated() -> u32 { 42 }".parse().unwrap() }
TXT

crate bs_rerun
mkdir bs_rerun/native
: >bs_rerun/native/.keep
cat >bs_rerun/build.rs <<'TXT'
use std::{env, fs, path::Path};
fn main() {
    println!("cargo:rerun-if-changed=data.txt");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=TFS_ENV");
    let out = env::var("OUT_DIR").unwrap();
    let data = fs::read_to_string("data.txt").unwrap();
    fs::write(Path::new(&out).join("gen.rs"),
        format!("pub fn v() -> u32 {{ {} }}", data.trim())).unwrap();
    println!("cargo:rustc-env=BS_ABS={}/data.txt", env::var("CARGO_MANIFEST_DIR").unwrap());
    println!("cargo:rustc-link-search=native={}/native", env::var("CARGO_MANIFEST_DIR").unwrap());
}
TXT
echo 7 >bs_rerun/data.txt
cat >bs_rerun/src/lib.rs <<'TXT'
include!(concat!(env!("OUT_DIR"), "/gen.rs"));
pub fn out_dir() -> &'static str { env!("OUT_DIR") }
pub const A: &str = env!("BS_ABS");
TXT

crate bs_norerun
echo 'fn main() { println!("cargo:rustc-env=W=hello"); }' >bs_norerun/build.rs
echo 'pub const W: &str = env!("W");' >bs_norerun/src/lib.rs

# C code without a crate: cc and ar write into OUT_DIR
crate ccode
cat >ccode/build.rs <<'TXT'
use std::{env, process::Command};
fn run(program: &str, args: &[&str]) {
    assert!(Command::new(program).args(args).status().unwrap().success());
}
fn main() {
    let out = env::var("OUT_DIR").unwrap();
    println!("cargo:rerun-if-changed=answer.c");
    run("cc", &["-O1", "-fPIC", "-c", "answer.c", "-o", &format!("{out}/answer.o")]);
    run("ar", &["crs", &format!("{out}/libanswer.a"), &format!("{out}/answer.o")]);
    println!("cargo:rustc-link-search=native={out}");
    println!("cargo:rustc-link-lib=static=answer");
}
TXT
echo 'int answer(void) { return 42; }' >ccode/answer.c
cat >ccode/src/lib.rs <<'TXT'
extern "C" { #[link_name = "answer"] fn c_answer() -> i32; }
pub fn answer() -> i32 { unsafe { c_answer() } }
TXT

crate cdy '[lib]' 'crate-type = ["rlib", "cdylib", "staticlib"]'
echo '#[no_mangle] pub extern "C" fn cdyf() -> i32 { 1 }' >cdy/src/lib.rs
crate dyl '[lib]' 'crate-type = ["dylib"]'
echo 'pub fn dylf() -> i32 { 1 }' >dyl/src/lib.rs
