# SPDX-License-Identifier: Apache-2.0
"""A random cargo workspace as a function of a state.

A *knob* is one thing of a workspace that a step can change: a number in a
source, a file's place, an environment variable, a flag. A *state* is a dict
that gives each knob a value. A *feature* (features.py, features_build.py) owns
knobs and writes the crates in which they matter; each is a guard's bait.

render() is pure: the same state gives the same files. Numbers have four digits,
so that no edit changes the size of a file.
"""
from dataclasses import dataclass, field
import random


@dataclass(frozen=True)
class Knob:
    name: str
    choices: tuple = ()  # empty: a number of four digits
    scope: str = "tree"  # "tree": in files; "env"; "command": cargo's arguments
    # A file, relative to the workspace. Cargo cannot see a change of this knob,
    # but recompiles what the knob matters to when that file is touched.
    hidden: str = ""

    def pick(self, rnd, other_than=None):
        if not self.choices:
            return rnd.randrange(1000, 10000)
        rest = [c for c in self.choices if c != other_than]
        return rnd.choice(rest)


class Link(str):
    """The content of a symbolic link in a rendered tree."""


@dataclass(frozen=True)
class Feature:
    name: str
    knobs: tuple
    write: object  # function(tree, state)
    needs: str = ""


FEATURES = {}

# Command knobs that every workspace has.
COMMON = (
    Knob("profile", ("dev", "release", "slim"), "command"),
    Knob("cargo_home", ("0", "1"), "env"),
)


def feature(name, *knobs, needs=""):
    """Decorates the function that writes a feature's files."""
    def register(write):
        FEATURES[name] = Feature(name, knobs, write, needs)
        return write
    return register


def fill(text, **values):
    """Replaces @name@: Rust has braces and percent signs of its own."""
    for name, value in values.items():
        text = text.replace("@%s@" % name, str(value))
    return text


@dataclass
class Tree:
    """What the features write into; paths are relative to the checkout, the
    cargo workspace is its directory ws/."""
    files: dict = field(default_factory=dict)
    members: list = field(default_factory=list)
    deps: list = field(default_factory=list)  # lines of the app's manifest
    prints: list = field(default_factory=list)
    app_manifest: str = ""
    root_manifest: str = ""
    config: str = ""
    profiles: str = ""
    compiles: bool = True

    def file(self, path, text):
        self.files["ws/" + path] = text

    def crate(self, name, lib, *, deps="", package="", lib_table="", build="",
              rest="", edition="2021", version="0.1.0", use=True, at=""):
        """A library crate; @use: the app depends on it."""
        at = at or "ws/" + name
        self.files[at + "/Cargo.toml"] = fill(
            '[package]\nname = "@name@"\nversion = "@version@"\n'
            'edition = "@edition@"\n@package@\n[lib]\ndoctest = false\n'
            "@lib@\n[dependencies]\n@deps@\n@rest@\n", name=name,
            version=version, edition=edition, package=package, lib=lib_table,
            deps=deps, rest=rest)
        self.files[at + "/src/lib.rs"] = lib
        if build:
            self.files[at + "/build.rs"] = build
        path = "../" + name
        if at.startswith("ws/"):
            self.members.append(name)
        else:
            path = "../../" + name
        if use:
            self.deps.append('%s = { path = "%s" }' % (name, path))

    def show(self, key, expression):
        """The app prints "key expression"."""
        self.prints.append('    println!("%s {}", %s);' % (key, expression))


def feature_names(rnd, count, wanted):
    """Those of a workspace: 'chain', what is wanted, and some at random."""
    names = ["chain"] + [n for n in wanted if n != "chain"]
    rest = sorted(set(FEATURES) - set(names))
    rnd.shuffle(rest)
    names += rest[:max(0, count - len(names))]
    for name in list(names):
        needs = FEATURES[name].needs
        if needs and needs not in names:
            names.append(needs)
    return sorted(set(names))


def knobs_of(names, common=COMMON):
    return [k for n in names for k in FEATURES[n].knobs] + list(common)


def first_state(rnd, knobs):
    """The first choice of each is the ordinary one."""
    return {k.name: k.choices[0] if k.choices else k.pick(rnd) for k in knobs}


def changed(seed, state, knobs):
    """A copy of a state in which these knobs have another value."""
    rnd = random.Random(seed)
    state = dict(state)
    for k in knobs:
        state[k.name] = k.pick(rnd, state[k.name])
    return state


def render(names, state):
    """The files of a checkout, and whether they are meant to compile."""
    t = Tree()
    for name in names:
        FEATURES[name].write(t, state)
    write_app(t)
    t.file("Cargo.toml", fill(
        '[workspace]\nresolver = "2"\nmembers = [@members@]\n'
        "[profile.dev]\ndebug = 0\nopt-level = 0\n@profiles@\n"
        "[profile.release]\nopt-level = 0\n"
        '[profile.slim]\ninherits = "dev"\noverflow-checks = false\n@root@\n',
        members=", ".join('"%s"' % m for m in sorted(t.members)),
        profiles=t.profiles, root=t.root_manifest))
    if t.config:
        t.file(".cargo/config.toml", t.config)
    t.files[".gitignore"] = "target\nCargo.lock\n"
    return t.files, t.compiles


def write_app(t):
    t.members.append("app")
    t.file("app/Cargo.toml", fill(
        '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n'
        "@rest@\n[dependencies]\n@deps@\n", rest=t.app_manifest,
        deps="\n".join(t.deps)))
    t.file("app/src/main.rs", "fn main() {\n%s\n}\n" % "\n".join(t.prints))
