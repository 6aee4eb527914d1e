# SPDX-License-Identifier: Apache-2.0
"""Features without build scripts: sources, data, environment, manifests, flags,
crate types, tests. See oracle.py for the guard that each one is bait for."""
from workspace import Knob, Link, feature, fill


@feature("chain", Knob("leaf"), Knob("mid"))
def chain(t, s):
    t.crate("leaf", fill("""
#[inline] pub fn get() -> u32 { @v@ }
pub const V: u32 = @v@;
""", v=s["leaf"]), use=False)
    t.crate("mid", fill("""
pub fn get() -> u32 { leaf::get() * 10000 + @v@ }
pub fn constant() -> u32 { leaf::V }
#[cfg(test)]
mod tests {
    #[test] fn even() { println!("mid {}", super::get()); assert_eq!(super::get() % 2, 0); }
}
""", v=s["mid"]), deps='leaf = { path = "../leaf" }')
    t.show("mid", "mid::get()")
    t.show("leaf", "mid::constant()")


@feature("modules", Knob("inner"), Knob("extra"),
         Knob("place", ("inner.rs", "inner/mod.rs", "other.rs")),
         Knob("with_extra", (0, 1)))
def modules(t, s):
    lib = "mod inner;\npub fn get() -> u32 { inner::get() }\n"
    if s["place"] == "other.rs":
        lib = '#[path = "other.rs"]\n' + lib
    if s["with_extra"]:
        lib += "mod extra;\npub fn extra() -> u32 { extra::get() }\n"
        t.file("modules/src/extra.rs",
               "pub fn get() -> u32 { %d }\n" % s["extra"])
    else:
        lib += "pub fn extra() -> u32 { 0 }\n"
    t.crate("modules", lib)
    t.file("modules/src/" + s["place"],
           "pub fn get() -> u32 { %d }\n" % s["inner"])
    t.show("modules", "modules::get()")
    t.show("modules-extra", "modules::extra()")


@feature("symlinks", Knob("link_a"), Knob("link_b"),
         Knob("link_to", ("a", "b"), hidden="symlinks/src/lib.rs"))
def symlinks(t, s):
    """A source that is a symbolic link, which is pointed elsewhere."""
    t.crate("symlinks", "mod real;\npub fn get() -> u32 { real::get() }\n")
    for name in "ab":
        t.file("symlinks/from/%s.rs" % name,
               "pub fn get() -> u32 { %d }\n" % s["link_" + name])
    t.file("symlinks/src/real.rs", Link("../from/%s.rs" % s["link_to"]))
    t.show("symlinks", "symlinks::get()")


@feature("data", Knob("text"), Knob("bytes"))
def data(t, s):
    t.crate("data", """
pub const TEXT: &str = include_str!("../assets/text.txt");
pub const BYTES: &[u8] = include_bytes!("../../shared.bin");
""")
    t.file("data/assets/text.txt", str(s["text"]))
    t.file("shared.bin", str(s["bytes"]))
    t.show("data", "data::TEXT")
    t.show("data-bytes", 'format!("{:?}", data::BYTES)')


@feature("env", Knob("TFS_A", (), "env"),
         Knob("TFS_OPT", (None, "1111", "2222"), "env"))
def env(t, s):
    t.crate("envs", """
pub const A: &str = env!("TFS_A");
pub const OPT: Option<&str> = option_env!("TFS_OPT");
""")
    t.show("env", "envs::A")
    t.show("env-opt", 'format!("{:?}", envs::OPT)')


@feature("config_env", Knob("conf"))
def config_env(t, s):
    """A variable that .cargo/config.toml sets."""
    t.config += '[env]\nTFS_CONF = "%d"\n' % s["conf"]
    t.crate("confs", 'pub const C: &str = env!("TFS_CONF");\n')
    t.show("config-env", "confs::C")


@feature("whereami", Knob("note"), Knob("where"))
def whereami(t, s):
    """The checkout's own path, as text and to read a file at run time."""
    t.crate("whereami", fill("""
pub const V: u32 = @v@;
pub const DIR: &str = env!("CARGO_MANIFEST_DIR");
pub const FILE: &str = file!();
pub fn note() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/note.txt")).unwrap()
}
#[cfg(test)]
mod tests {
    #[test] fn here() { println!("here {} {}", super::DIR, super::note()); }
}
""", v=s["where"]))
    t.file("whereami/note.txt", str(s["note"]))
    t.show("whereami", "whereami::V")
    t.show("whereami-dir", "whereami::DIR")
    t.show("whereami-file", "whereami::FILE")
    t.show("whereami-note", "whereami::note()")


@feature("ext", Knob("ext"))
def ext(t, s):
    """A path dependency outside the workspace's root."""
    t.crate("ext", fill("""
pub fn get() -> u32 { @v@ }
pub const DIR: &str = env!("CARGO_MANIFEST_DIR");
""", v=s["ext"]), at="ext")
    t.show("ext", "ext::get()")
    t.show("ext-dir", "ext::DIR")


@feature("pkgenv", Knob("about"), Knob("version", ("0.1.0", "0.1.1")))
def pkgenv(t, s):
    """Fields of a manifest that reach the code."""
    t.crate("pkgenv", """
pub const ABOUT: &str = env!("CARGO_PKG_DESCRIPTION");
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
""", version=s["version"], package='description = "%d"' % s["about"])
    t.show("pkgenv", "pkgenv::ABOUT")
    t.show("pkgenv-version", "pkgenv::VERSION")


@feature("edition", Knob("edition", ("2021", "2018")), Knob("overflow", (1, 0)))
def edition(t, s):
    """What is no source and changes the code: the edition, a profile."""
    t.profiles += "debug-assertions = %s\n" % ("false", "true")[s["overflow"]]
    t.crate("edit", """
#![allow(warnings)]
pub fn size() -> usize { std::mem::size_of_val(&[1u8].into_iter().next().unwrap()) }
pub const CHECKED: bool = cfg!(debug_assertions);
""", edition=s["edition"])
    t.show("edition", "edit::size()")
    t.show("edition-checked", "edit::CHECKED")


@feature("lints", Knob("level", ("allow", "warn", "deny")), Knob("lint"))
def lints(t, s):
    """Lints of the workspace: warnings, and a build that must fail."""
    t.root_manifest += '[workspace.lints.rust]\nunused_variables = "%s"\n' % s[
        "level"]
    t.crate("linty", "pub fn get() -> u32 { let no_use = 1; %d }\n" % s["lint"],
            rest="[lints]\nworkspace = true")
    t.show("lints", "linty::get()")
    if s["level"] == "deny":
        t.compiles = False


@feature("flags", Knob("RUSTFLAGS", ("", "--cfg tfs_flag", "--cfg tfs_other"),
                       "command"), Knob("flag"),
         Knob("conf_flag", ("tfs_conf", "tfs_none")))
def flags(t, s):
    """RUSTFLAGS; without it, flags of .cargo/config.toml."""
    t.config += '[build]\nrustflags = ["--cfg", "%s"]\n' % s["conf_flag"]
    t.crate("flagged", fill("""
#![allow(unexpected_cfgs)]
pub fn get() -> (u32, bool, bool, bool) {
    (@v@, cfg!(tfs_flag), cfg!(tfs_other), cfg!(tfs_conf))
}
""", v=s["flag"]))
    t.show("flags", 'format!("{:?}", flagged::get())')


@feature("triple", Knob("triple", ("", "host"), "command"), Knob("trip"))
def triple(t, s):
    t.crate("trip", "pub fn get() -> u32 { %d }\n" % s["trip"])
    t.show("triple", "trip::get()")


@feature("features", Knob("features", ("", "fx"), "command"), Knob("fx"))
def features(t, s):
    t.crate("feat", fill("""
pub fn get() -> (u32, bool) { (@v@, cfg!(feature = "fx")) }
""", v=s["fx"]), rest="[features]\nfx = []")
    t.app_manifest += '[features]\nfx = ["feat/fx"]\n'
    t.show("features", 'format!("{:?}", feat::get())')


@feature("cdylib", Knob("cdylib"))
def cdylib(t, s):
    t.crate("cdy", fill("""
#[no_mangle] pub extern "C" fn tfs_cdy() -> u32 { @v@ }
""", v=s["cdylib"]), lib_table='crate-type = ["cdylib"]', use=False)


@feature("staticlib", Knob("staticlib"))
def staticlib(t, s):
    t.crate("sta", fill("""
#[no_mangle] pub extern "C" fn tfs_sta() -> u32 { @v@ }
pub fn get() -> u32 { tfs_sta() }
""", v=s["staticlib"]), lib_table='crate-type = ["staticlib", "rlib"]')
    t.show("staticlib", "sta::get()")


@feature("dylib", Knob("dylib"))
def dylib(t, s):
    """Loaded as the cdylib is: two dynamic libraries with a standard library
    each do not go into one program."""
    t.crate("dyl", fill("""
pub fn get() -> u32 { @v@ }
#[no_mangle] pub extern "C" fn tfs_dyl() -> u32 { get() }
""", v=s["dylib"]), lib_table='crate-type = ["dylib"]', use=False)


@feature("binexe", Knob("it"))
def binexe(t, s):
    """An integration test that runs a program of its package by path."""
    t.file("app/tests/it.rs", fill("""
#[test] fn runs() {
    let exe = env!("CARGO_BIN_EXE_app");
    let out = std::process::Command::new(exe).output().unwrap();
    println!("it @v@ {} {}", exe, env!("CARGO_TARGET_TMPDIR"));
    println!("{}", String::from_utf8(out.stdout).unwrap());
}
""", v=s["it"]))


@feature("example", Knob("ex"), Knob("bench"))
def example(t, s):
    t.file("app/examples/ex.rs", fill(
        'fn main() { println!("ex @v@ {}", mid::get()); }\n', v=s["ex"]))
    t.file("app/benches/be.rs", fill(
        'fn main() { println!("be @v@ {}", mid::get()); }\n', v=s["bench"]))
    t.app_manifest += '[[bench]]\nname = "be"\nharness = false\ntest = true\n'


@feature("doctest", Knob("doc"))
def doctest(t, s):
    t.crate("documented", fill("""
/// ```
/// println!("doc {}", documented::get());
/// assert_eq!(documented::get() % 2, 0);
/// ```
pub fn get() -> u32 { @v@ }
""", v=s["doc"]))
    manifest = "ws/documented/Cargo.toml"
    t.files[manifest] = t.files[manifest].replace("doctest = false", "")
    t.show("doctest", "documented::get()")


@feature("registry", Knob("regver", ("1.0.0", "1.1.0")), Knob("reguse"))
def registry(t, s):
    """A crate of a registry; its sources are below CARGO_HOME, which moves."""
    t.crate("reguse", fill("""
pub fn get() -> String { format!("@v@ {}", tfsreg::get()) }
""", v=s["reguse"]), deps='tfsreg = "=%s"' % s["regver"])
    t.show("registry", "reguse::get()")


@feature("slow", Knob("slow"), Knob("slow_data"))
def slow(t, s):
    """rustc takes its time, without a proc-macro: a race to win."""
    t.crate("slow", fill("""
#![allow(long_running_const_eval)]
const fn spin(n: u32) -> u32 {
    let (mut i, mut x) = (0, 1u32);
    while i < n { x = x.wrapping_mul(1664525).wrapping_add(7); i += 1; }
    x
}
const SPUN: u32 = spin(@n@);
pub const DATA: &str = include_str!("../data.txt");
pub fn get() -> (u32, u32) { (@v@, SPUN) }
""", v=s["slow"], n=120000))
    t.file("slow/data.txt", str(s["slow_data"]))
    t.show("slow", 'format!("{:?}", slow::get())')
    t.show("slow-data", "slow::DATA")
