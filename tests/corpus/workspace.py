#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""workspace.py DIR: turns the unpacked crates of DIR/crates into path members
of one workspace, together with an app that uses them."""
import os
import re
import sys

APP_TOML = """[package]
name = "wsapp"
version = "0.1.0"
edition = "2021"
build = "build.rs"

[dependencies]
serde = { path = "../crates/serde", features = ["derive"] }
serde_json = { path = "../crates/serde_json" }
ignore = { path = "../crates/ignore" }
grep = { path = "../crates/grep" }
"""

APP_BUILD = r"""fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let out = std::env::var("OUT_DIR").unwrap();
    std::fs::write(format!("{out}/gen.rs"), "pub const GENERATED: &str = \"v1\";").unwrap();
}
"""

APP_MAIN = """use serde::{Deserialize, Serialize};
include!(concat!(env!("OUT_DIR"), "/gen.rs"));
#[derive(Serialize, Deserialize, Debug)]
struct Hit { path: String, lines: Vec<u64> }
#[derive(Serialize, Deserialize, Debug)]
enum Ev { Begin { path: String }, Match(Hit), End }
fn main() {
    let mut n = 0u64;
    for e in ignore::Walk::new(".").flatten() {
        let ev = Ev::Match(Hit { path: e.path().display().to_string(), lines: vec![n] });
        n += serde_json::to_string(&ev).unwrap().len() as u64;
    }
    println!("{GENERATED} {n}");
}
"""

DROPPED = ("[[bench]]", "[[example]]", "[profile")


def member(text, name, names):
    """A manifest without dev-dependencies, benches, tests and profiles, whose
    dependencies on other members are paths."""
    out = []
    for table in re.split(r"(?m)^(?=\[)", text):
        head = table.split("\n", 1)[0]
        if re.match(r"\[(target\..*\.)?dev-dependencies", head) or \
                head.startswith(DROPPED):
            continue
        if head.startswith("[[test]]") and name != "ripgrep":
            continue
        m = re.match(r"\[(?:target\..*\.)?(?:build-)?dependencies\.([\w-]+)\]",
                     head)
        if m and m.group(1) in names:
            table = re.sub(r"^(\[.*\]\n)",
                           r'\1path = "../%s"' % m.group(1) + "\n", table,
                           count=1)
        out.append(table)
    return "".join(out)


def write(path, text):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w") as f:
        f.write(text)


def main():
    os.chdir(sys.argv[1])
    names = sorted(os.listdir("crates"))
    for name in names:
        path = "crates/%s/Cargo.toml" % name
        with open(path) as f:
            text = f.read()
        write(path, member(text, name, names))
    write("app/Cargo.toml", APP_TOML)
    write("app/build.rs", APP_BUILD)
    write("app/src/main.rs", APP_MAIN)
    members = ",\n  ".join('"crates/%s"' % n for n in names)
    # crates of the registry use the path copies too
    patches = "\n".join('%s = { path = "crates/%s" }' % (n, n)
                        for n in names if n != "ripgrep")
    write("Cargo.toml", """[workspace]
resolver = "2"
members = [
  "app",
  %s,
]

[patch.crates-io]
%s
""" % (members, patches))


main()
