# SPDX-License-Identifier: Apache-2.0
"""One history on one side: the world it happens in, its builds and their
comparison with clean ones. Ends with WrongBuild at the first difference."""
from dataclasses import dataclass, field
import hashlib
import io
import json
import os
import random
import shutil
import tarfile

from build import Cargo, References, differences
from checkout import Checkout, Origin
from history import STEPS, history
from sides import SIDES
from workspace import (changed, feature_names, fill, first_state, knobs_of)
import features  # noqa: F401 (registers)
import features_build  # noqa: F401 (registers)

REGISTRY_CRATE = "tfsreg"


class WrongBuild(Exception):
    """A build showed what a clean one does not."""

    def __init__(self, run, checkout, action, got, lines):
        super().__init__("\n".join(lines))
        self.action, self.lines, self.got = action, lines, got
        self.where = "%s (%s) at %s" % (checkout.name, checkout.kind,
                                        checkout.path)


@dataclass
class Tally:
    builds: int = 0
    fresh: int = 0
    compiled: int = 0
    hits: int = 0  # fresh at its first sight in this checkout
    # step -> [builds, fresh, compiled]
    by_step: dict = field(default_factory=dict)


def make_registry(path):
    """A local registry with two versions of one crate, whose build script
    generates code."""
    os.makedirs(path + "/index/tf/sr")
    lines = []
    for version in ("1.0.0", "1.1.0"):
        top = "%s-%s/" % (REGISTRY_CRATE, version)
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w:gz") as tar:
            for name, text in registry_files(version).items():
                info = tarfile.TarInfo(top + name)
                info.size, info.mtime = len(text), 1_500_000_000
                tar.addfile(info, io.BytesIO(text.encode()))
        with open("%s/%s.crate" % (path, top[:-1]), "wb") as f:
            f.write(data.getvalue())
        lines.append(json.dumps({
            "name": REGISTRY_CRATE, "vers": version, "deps": [],
            "cksum": hashlib.sha256(data.getvalue()).hexdigest(),
            "features": {}, "yanked": False}))
    with open(path + "/index/tf/sr/" + REGISTRY_CRATE, "w") as f:
        f.write("\n".join(lines) + "\n")


def registry_files(version):
    return {
        "Cargo.toml": fill('[package]\nname = "@n@"\nversion = "@v@"\n'
                           'edition = "2021"\n', n=REGISTRY_CRATE, v=version),
        "build.rs": fill("""fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let to = std::env::var("OUT_DIR").unwrap() + "/v.rs";
    let code = "pub fn generated() -> &'static str { \\"@v@\\" }";
    std::fs::write(to, code).unwrap();
}
""", v=version),
        "src/lib.rs": 'include!(concat!(env!("OUT_DIR"), "/v.rs"));\n'
                      "pub fn get() -> &'static str { generated() }\n",
    }


class Run:
    """@options: what oracle.py was called with."""

    def __init__(self, options, seed, side, toolchain):
        rnd = random.Random("workspace %d" % seed)
        self.options, self.seed = options, seed
        self.work = os.path.join(options.work, "run")
        shutil.rmtree(self.work, ignore_errors=True)
        self.names = feature_names(rnd, options.crates,
                                   options.features + options.bait)
        self.knobs = knobs_of(self.names)
        # What steps may change.
        self.baits = knobs_of(options.bait, ()) if options.bait else self.knobs
        self.incremental = rnd.random() < 0.5
        self.set_up(rnd)
        self.side = SIDES[side](self.work, options)
        self.cargo = Cargo(self.work, toolchain, options.jobs,
                           options.new_layout)
        self.references = References(self.cargo)
        self.checkouts, self.named = [], 0
        self.tally, self.step, self.number, self.notes = Tally(), "", -1, []
        self.main_action = rnd.choices(("build", "test", "check"), (5, 4, 1))[0]

    def set_up(self, rnd):
        os.makedirs(self.work + "/home")
        make_registry(self.work + "/registry")
        for home in ("home0", "home1"):
            os.makedirs(os.path.join(self.work, home))
            with open(os.path.join(self.work, home, "config.toml"), "w") as f:
                f.write(fill('[source.crates-io]\nreplace-with = "l"\n'
                             '[source.l]\nlocal-registry = "@at@"\n',
                             at=self.work + "/registry"))
        a = first_state(rnd, self.knobs)
        tree = [k for k in self.baits if k.scope == "tree"]
        b = changed(rnd.random(), a, rnd.sample(tree, min(len(tree), 4)))
        self.origin = Origin(self.work + "/origin", self.names,
                             {"a": a, "b": b})
        self.origin.knobs = self.knobs

    def new_checkout(self, kind, branch, name=None):
        if name is None:
            name = "co%d" % self.named
            self.named += 1
        c = Checkout(self.origin, self.work, name, kind, branch)
        self.side.attach(c)
        self.checkouts.append(c)
        return c

    def delete(self, c):
        self.side.detach(c)
        self.checkouts.remove(c)
        c.delete()

    def move(self, c):
        self.side.detach(c)
        name = "co%d" % self.named
        self.named += 1
        to = os.path.join(self.work, name)
        os.rename(c.real, to)
        c.name, c.path, c.real = name, to, to
        self.side.attach(c)

    def go(self, steps, only=None):
        """Steps are numbered from 0; @only: the numbers of those to make."""
        try:
            self.new_checkout("clone", "a")
            kinds = [STEPS[name] for name in self.options.plan] or history(
                self.seed, steps, self.options.classes)
            for i, kind in enumerate(kinds[:steps]):
                if only is None or i in only:
                    self.step = kind.name
                    self.number = i
                    rnd = random.Random("step %d %d" % (self.seed, i))
                    self.notes = []
                    kind.act(self, rnd)
        finally:
            self.side.close()

    # --- what steps call ------------------------------------------------------

    def note(self, text):
        self.notes.append(text)
        if self.options.verbose:
            print("# %d %s %s" % (self.number, self.step, text), flush=True)

    def action(self, rnd):
        """Mostly the same, else few builds find anything to share."""
        if rnd.random() < 0.8:
            return self.main_action
        return rnd.choices(("build", "test", "check"), (6, 3, 1))[0]

    def start(self, c, action, sleep=None, target=None):
        c.verify()
        self.side.before(c)
        return self.cargo.start(c, action, target or self.side.target(c),
                                self.incremental, sleep)

    def build(self, rnd, c, action=None, target=None):
        action = action or self.action(rnd)
        self.compare(c, action, self.start(c, action, target=target))

    def build_all(self, checkouts, action):
        running = [(c, self.start(c, action)) for c in checkouts]
        for c, r in running:
            r.wait()
        for c, r in running:
            self.compare(c, action, r)

    def discard(self, running):
        """A build that cannot be compared."""
        self.count(running.checkout, running.finish())

    def compare(self, c, action, running):
        got = running.finish()
        self.count(c, got)
        lines = differences(got, self.references.get(c, action))
        c.past.append(dict(c.state))
        if lines:
            raise WrongBuild(self, c, action, got, lines)

    def count(self, c, seen):
        t = self.tally
        fresh = sum(f for _, f in seen.units)
        t.builds += 1
        t.fresh += fresh
        t.compiled += len(seen.units) - fresh
        t.hits += sum(f and u not in c.seen for u, f in seen.units)
        c.seen |= {u for u, _ in seen.units}
        row = t.by_step.setdefault(self.step, [0, 0, 0])
        for i, n in enumerate((1, fresh, len(seen.units) - fresh)):
            row[i] += n


