# SPDX-License-Identifier: Apache-2.0
"""Features that run programs at build time: build scripts and proc-macros, with
what they tell cargo and what they keep to themselves."""
from workspace import Knob, feature, fill

# The frame of a build script.
SCRIPT = """
#[allow(unused_imports)]
use std::{env, fs, path::Path, process::Command};
#[allow(dead_code)]
fn var(name: &str) -> String { env::var(name).unwrap() }
#[allow(dead_code)]
fn out(name: &str, text: String) {
    fs::write(Path::new(&var("OUT_DIR")).join(name), text).unwrap();
}
fn main() {
@body@
}
"""


def script(body, **values):
    return fill(SCRIPT, body=fill(body, **values))


@feature("rerun", Knob("rr"), Knob("rr_code"), Knob("rr_dir", (0, 1)))
def rerun(t, s):
    """rerun-if-changed on a file and on a directory."""
    t.crate("rerun", 'pub const V: &str = env!("RR");\n', build=script("""
    println!("cargo:rerun-if-changed=data.txt");
    println!("cargo:rerun-if-changed=dir");
    let files = fs::read_dir("dir").unwrap().count();
    println!("cargo:rustc-env=RR={} {} @v@", fs::read_to_string("data.txt").unwrap(), files);
""", v=s["rr_code"]))
    t.file("rerun/data.txt", str(s["rr"]))
    t.file("rerun/dir/one", "1")
    if s["rr_dir"]:
        t.file("rerun/dir/two", "2")
    t.show("rerun", "rerun::V")


@feature("rerun_env", Knob("TFS_BS", (None, "1111", "2222", "3333"), "env"))
def rerun_env(t, s):
    t.crate("rerun_env", 'pub const V: &str = env!("RE");\n', build=script("""
    println!("cargo:rerun-if-env-changed=TFS_BS");
    println!("cargo:rustc-env=RE={:?}", env::var("TFS_BS").ok());
"""))
    t.show("rerun-env", "rerun_env::V")


@feature("norerun", Knob("nr"),
         Knob("nr_extra", (0, 1), hidden="norerun/input.txt"),
         Knob("TFS_NR", (), "env", hidden="norerun/input.txt"))
def norerun(t, s):
    """A build script that tells nothing: any file of the package counts. That
    one is removed, or a variable changes, cargo does not see."""
    t.crate("norerun", 'pub const V: &str = env!("NR");\n', build=script("""
    println!("cargo:rustc-env=NR={} {} {}", fs::read_to_string("input.txt").unwrap(),
        Path::new("extra.txt").exists(), var("TFS_NR"));
"""))
    t.file("norerun/input.txt", str(s["nr"]))
    if s["nr_extra"]:
        t.file("norerun/extra.txt", "")
    t.show("norerun", "norerun::V")


@feature("outdir", Knob("gen"), Knob("outdir"))
def outdir(t, s):
    """Generated code, included from OUT_DIR."""
    t.crate("outdir", fill("""
include!(concat!(env!("OUT_DIR"), "/gen.rs"));
pub fn get() -> u32 { generated() * 10000 + @v@ }
""", v=s["outdir"]), build=script("""
    println!("cargo:rerun-if-changed=gen.in");
    out("gen.rs", format!("pub fn generated() -> u32 {{ {} }}", fs::read_to_string("gen.in").unwrap()));
"""))
    t.file("outdir/gen.in", str(s["gen"]))
    t.show("outdir", "outdir::get()")


@feature("outrun", Knob("run"))
def outrun(t, s):
    """OUT_DIR as a string of the program, to read a file at run time."""
    t.crate("outrun", """
pub const DIR: &str = env!("OUT_DIR");
pub fn get() -> String {
    std::fs::read_to_string(concat!(env!("OUT_DIR"), "/blob.txt")).unwrap()
}
""", build=script("""
    println!("cargo:rerun-if-changed=run.in");
    out("blob.txt", fs::read_to_string("run.in").unwrap());
"""))
    t.file("outrun/run.in", str(s["run"]))
    t.show("outrun", "outrun::get()")
    t.show("outrun-dir", "outrun::DIR")


@feature("abspath", Knob("abs"), Knob("abs_c"))
def abspath(t, s):
    """A build script that prints the checkout's path: as a variable, as a
    search path of a library that lies in the sources' directory's twin."""
    t.crate("abspath", """
pub const PATH: &str = env!("ABS");
pub fn get() -> String { std::fs::read_to_string(env!("ABS")).unwrap() }
""", build=script("""
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=ABS={}/abs.txt", var("CARGO_MANIFEST_DIR"));
    println!("cargo:rustc-link-search=native={}/native", var("CARGO_MANIFEST_DIR"));
"""))
    t.file("abspath/abs.txt", str(s["abs"]))
    t.file("abspath/native/note.txt", str(s["abs_c"]))
    t.show("abspath", "abspath::get()")
    t.show("abspath-path", "abspath::PATH")


@feature("outabs", Knob("oa"))
def outabs(t, s):
    """The checkout's path inside a file below OUT_DIR."""
    t.crate("outabs", """
include!(concat!(env!("OUT_DIR"), "/abs.rs"));
pub fn get() -> String { std::fs::read_to_string(PATH).unwrap() }
""", build=script("""
    println!("cargo:rerun-if-changed=build.rs");
    out("abs.rs", format!("pub const PATH: &str = {:?};", var("CARGO_MANIFEST_DIR") + "/oa.txt"));
"""))
    t.file("outabs/oa.txt", str(s["oa"]))
    t.show("outabs", "outabs::get()")
    t.show("outabs-path", "outabs::PATH")


@feature("cc", Knob("c"), Knob("h"),
         Knob("h_hidden", hidden="ccode/answer.c"))
def cc(t, s):
    """C by cc; one header is told to cargo, one is not. The object holds the
    source's absolute path (__FILE__), as cc is called with it."""
    t.crate("ccode", """
extern "C" {
    fn c_answer() -> u32;
    fn c_header() -> u32;
    fn c_file() -> *const std::ffi::c_char;
}
pub fn get() -> (u32, u32) { unsafe { (c_answer(), c_header()) } }
pub fn file() -> String {
    unsafe { std::ffi::CStr::from_ptr(c_file()).to_string_lossy().into_owned() }
}
""", build=script("""
    println!("cargo:rerun-if-changed=answer.c");
    println!("cargo:rerun-if-changed=answer.h");
    let (source, dir) = (var("CARGO_MANIFEST_DIR") + "/answer.c", var("OUT_DIR"));
    let run = |program: &str, args: &[&str]| {
        assert!(Command::new(program).args(args).status().unwrap().success());
    };
    let (object, archive) = (format!("{dir}/answer.o"), format!("{dir}/libanswer.a"));
    run("cc", &["-O0", "-fPIC", "-c", &source, "-o", &object]);
    run("ar", &["crsD", &archive, &object]);
    println!("cargo:rustc-link-search=native={dir}");
    println!("cargo:rustc-link-lib=static=answer");
"""))
    t.file("ccode/answer.h", "#define HEADER %d\n" % s["h"])
    t.file("ccode/hidden.h", "#define HIDDEN %d\n" % s["h_hidden"])
    t.file("ccode/answer.c", fill("""
#include "answer.h"
#include "hidden.h"
unsigned c_answer(void) { return @v@; }
unsigned c_header(void) { return HEADER * 10000u + HIDDEN; }
const char *c_file(void) { return __FILE__; }
""", v=s["c"]))
    t.show("cc", 'format!("{:?}", ccode::get())')
    t.show("cc-file", "ccode::file()")


@feature("links", Knob("lk"))
def links(t, s):
    """What one build script tells another one."""
    t.crate("lk", "", package='links = "lk"', build=script("""
    println!("cargo:rerun-if-changed=value.txt");
    println!("cargo:value={}", fs::read_to_string("value.txt").unwrap());
"""), use=False)
    t.file("lk/value.txt", str(s["lk"]))
    t.crate("lkuse", 'pub const V: &str = env!("LK");\n', build=script("""
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=LK={}", var("DEP_LK_VALUE"));
"""), deps='lk = { path = "../lk" }')
    t.show("links", "lkuse::V")


MACRO = """
use proc_macro::TokenStream;
fn literal(text: &str) -> TokenStream { format!("{:?}", text).parse().unwrap() }
/// A file of the package that calls it, which nobody is told of.
#[proc_macro]
pub fn file(name: TokenStream) -> TokenStream {
    let dir = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let name = name.to_string();
    literal(&std::fs::read_to_string(format!("{dir}/{}", name.trim_matches('"'))).unwrap())
}
/// A variable, which nobody is told of.
#[proc_macro]
pub fn var(name: TokenStream) -> TokenStream {
    literal(&std::env::var(name.to_string()).unwrap_or_default())
}
#[proc_macro]
pub fn own(_: TokenStream) -> TokenStream { "@v@u32".parse().unwrap() }
"""


@feature("pm", Knob("pm"))
def pm(t, s):
    """The proc-macro itself, and a crate that uses only its own value."""
    t.crate("pm", fill(MACRO, v=s["pm"]), lib_table="proc-macro = true",
            use=False)
    t.crate("pmown", "pub fn get() -> u32 { pm::own!() }\n",
            deps='pm = { path = "../pm" }')
    t.show("pm", "pmown::get()")


@feature("pmfile", Knob("pmfile"),
         Knob("pmfile_data", hidden="pmfile/src/lib.rs"), needs="pm")
def pmfile(t, s):
    """A proc-macro reads a file and tells nobody."""
    t.crate("pmfile", fill("""
pub fn get() -> (u32, &'static str) { (@v@, pm::file!("data.txt")) }
""", v=s["pmfile"]), deps='pm = { path = "../pm" }')
    t.file("pmfile/data.txt", str(s["pmfile_data"]))
    t.show("pmfile", 'format!("{:?}", pmfile::get())')


@feature("pmenv", Knob("pmenv"),
         Knob("TFS_PM", (), "env", hidden="pmenv/src/lib.rs"), needs="pm")
def pmenv(t, s):
    """A proc-macro reads a variable and tells nobody."""
    t.crate("pmenv", fill("""
pub fn get() -> (u32, &'static str) { (@v@, pm::var!(TFS_PM)) }
""", v=s["pmenv"]), deps='pm = { path = "../pm" }')
    t.show("pmenv", 'format!("{:?}", pmenv::get())')


@feature("nap", Knob("early"), Knob("late"))
def nap(t, s):
    """A build script that reads, sleeps (where TFS_SLEEP says so), and reads
    again: a race to win."""
    t.crate("nap", 'pub const V: &str = env!("NAP");\n', build=script("""
    println!("cargo:rerun-if-changed=early.txt");
    println!("cargo:rerun-if-changed=late.txt");
    let early = fs::read_to_string("early.txt").unwrap();
    if let Ok(seconds) = env::var("TFS_SLEEP") {
        std::thread::sleep(std::time::Duration::from_secs_f64(seconds.parse().unwrap()));
    }
    println!("cargo:rustc-env=NAP={} {}", early, fs::read_to_string("late.txt").unwrap());
"""))
    t.file("nap/early.txt", str(s["early"]))
    t.file("nap/late.txt", str(s["late"]))
    t.show("nap", "nap::V")
