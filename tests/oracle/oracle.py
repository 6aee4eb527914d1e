#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The oracle: does a build ever show what a clean build does not?

From a seed it makes a random cargo workspace (workspace.py, features*.py) and a
random history over several checkouts of it (history.py, checkout.py). After
each step it builds on the tested side (sides.py), and builds the same checkout,
by the same path and in the same environment, into an empty directory elsewhere
(build.py). What programs, libraries and tests then say must be equal. Where it
is not, cargo took something for Fresh that was not: a false Fresh.

    oracle.py --side view --seed 100 --seeds 20 --classes honest,mtime
    oracle.py --side view --seed 107 --steps 9        the same again, shorter
    oracle.py --side view --seed 107 --steps 9 --shrink --judge

Sides: "plain", a directory for each checkout; "shared", one directory for all;
"copied", a first build finds a copy of another checkout's; "view", views over
one store. Exit status: 0 all equal, 1 a difference, 2 the
oracle itself failed, 3 nothing was taken from elsewhere (--need-hits), which
proves nothing.

Guards, and what is bait for each. A build without a guard must turn red with

    --bait FEATURE --classes CLASS            in a few seeds, or
    --bait FEATURE --plan build,born,STEP...  at once

A * says that it was seen to: the side "copied", which has no guard at all, is
red with that bait (selftest.sh, in its long form). At the others cargo itself
looks, by the unit's name or hash: they are bait where fingerprints are
repaired, or the scope of what is shared is too wide.

 guard                       class     features               steps
 source contents             honest    chain* modules*        born copy_state
   the same, in one view     mtime     chain modules          edit_keep sync
 an edit is seen by more
   than path, size, mtime    mtime     chain data             swap edit_keep age
 symbolic links followed     untracked symlinks*              edit_hidden born
 include_str!, _bytes!       honest    data*                  born copy_state
 env!, option_env!           honest    env config_env         environment born
 rerun-if-changed: file,
   directory                 honest    rerun*                 born copy_state
 rerun-if-env-changed        honest    rerun_env              environment born
 neither (Precalculated)     honest    norerun                born edit
 OUT_DIR whole, included     honest    outdir* registry       born drop
 OUT_DIR in the program      honest    outrun*                born copy_state
 path in `output`            honest    abspath*               born copy_state
 path in a file of out/      honest    outabs*                born copy_state
 path in an object           honest    cc* (__FILE__)         born copy_state
 env-dep with the origin     honest    whereami*              born copy_state
 a path outside the root     again     ext                    reborn
 dependency's recipe         honest    chain* links* pm*      parallel flip edit
 data files, proc-macro      honest    pmfile*                born edit touch
 variables, proc-macro       honest    pmenv*                 born environment
 data files, silent script   honest    norerun cc*            born edit
 scope: flags, profile,
   features, triple          honest    flags features triple  command
 manifest: lints, edition,
   version, description      honest    lints edition pkgenv   copy_state edit
 CARGO_HOME (repair)         honest    registry               environment born
 un-hashed names             honest    cdylib* dylib* staticlib*  command flip
 CARGO_BIN_EXE_*             honest    binexe*                born
 tests, examples, doc-tests  honest    example* doctest*      born flip
 unchanged while compiled    honest    slow* nap*             race
 unit bound whole            honest    any                    drop parallel
 a path is used again        again     any                    reborn
 the view knows its place    moved     whereami outrun        move alias
 one target, two checkouts   borrow    any                    borrow

After steps of the classes "honest" and "again" cargo alone, in a directory of
its own for each checkout, is right: there a difference is always the tested
side's fault. Of the others --judge says whether plain cargo is wrong as well.
"""
import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time

from checkout import Trouble
from history import CLASSES, STEPS
from run import Run, WrongBuild
from sides import SIDES


def numbers(text):
    return {int(n) for n in text.split(",")}


def words(text):
    return [w for w in text.split(",") if w]


def arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--side", choices=SIDES, required=True)
    p.add_argument("--seed", type=int, default=1, help="the first one")
    p.add_argument("--seeds", type=int, default=1, help="how many")
    p.add_argument("--seconds", type=float, default=0,
                   help="begin no seed after that time")
    p.add_argument("--steps", type=int, default=12)
    p.add_argument("--plan", type=words, default=[],
                   help="these steps: " + ",".join(sorted(STEPS)))
    p.add_argument("--only", type=numbers, help="numbers of steps, 0,1,7")
    p.add_argument("--classes", type=words, default=["honest"],
                   help="of steps: " + ",".join(CLASSES))
    p.add_argument("--features", type=words, default=[],
                   help="that each workspace has")
    p.add_argument("--bait", type=words, default=[],
                   help="the same, and steps change nothing else")
    p.add_argument("--crates", type=int, default=7, help="features in all")
    p.add_argument("--jobs", type=int, default=os.cpu_count())
    p.add_argument("--new-layout", action="store_true",
                   help="cargo's build-dir layout of one directory a unit")
    p.add_argument("--mount-options", default="", help="of the side view")
    p.add_argument("--pause", type=float, default=0,
                   help="seconds that a view has before each build")
    p.add_argument("--need-hits", action="store_true",
                   help="fail if no unit was fresh at its first sight")
    p.add_argument("--stop", action="store_true",
                   help="end with the first seed that differs")
    p.add_argument("--shrink", action="store_true",
                   help="leave out steps while the build is still wrong")
    p.add_argument("--judge", action="store_true",
                   help="tell whether plain cargo is wrong, too")
    p.add_argument("--work", help="directory (default: a temporary one)")
    p.add_argument("--keep", action="store_true", help="leave it in place")
    p.add_argument("-v", "--verbose", action="store_true")
    options = p.parse_args()
    for c in options.classes:
        if c not in CLASSES:
            p.error("no such class: " + c)
    for name in options.plan:
        if name not in STEPS:
            p.error("no such step: " + name)
    return options


def toolchain():
    """The sysroot and the host's triple; without rustup's proxies."""
    def ask(*args):
        return subprocess.run(["rustc", *args], text=True, check=True,
                              capture_output=True).stdout.strip()
    host = [line.split()[1] for line in ask("-vV").splitlines()
            if line.startswith("host: ")]
    return ask("--print", "sysroot"), host[0]


class Session:
    """All seeds of one call."""

    def __init__(self, options):
        self.options, self.tools = options, toolchain()
        self.hits = self.builds = 0
        self.by_step = {}

    def attempt(self, seed, side, only, known=None):
        """Returns the run and what was wrong, or None."""
        run = Run(self.options, seed, side, self.tools)
        if known:
            run.references.known = known
        try:
            run.go(self.options.steps, only)
        except WrongBuild as wrong:
            return run, wrong
        return run, None

    def seed(self, seed):
        began = time.monotonic()
        run, wrong = self.attempt(seed, self.options.side, self.options.only)
        t, r = run.tally, run.references
        self.hits += t.hits
        self.builds += t.builds
        for name, row in t.by_step.items():
            old = self.by_step.get(name, [0, 0, 0])
            self.by_step[name] = [a + b for a, b in zip(old, row)]
        print("seed %d: %s; %d builds, %d units compiled, %d fresh, of these "
              "%d hits; %d references, %d reused; %.0f s; %s" % (
                  seed, "DIFFERENT" if wrong else "equal", t.builds, t.compiled,
                  t.fresh, t.hits, r.built, r.reused,
                  time.monotonic() - began, " ".join(run.names)), flush=True)
        if wrong:
            self.report(seed, run, wrong)
        return wrong is None

    def report(self, seed, run, wrong):
        print("  step %d, %s: cargo %s of %s" % (run.number, run.step,
                                                 wrong.action, wrong.where))
        for note in run.notes:
            print("    " + note)
        for line in wrong.lines[:10]:
            print("    " + line.replace("\n", "\n    "))
        fresh = sorted({u for u, f in wrong.got.units if f})
        print("  fresh were: " + (", ".join(fresh) or "none"))
        only = set(self.options.only or range(run.number + 1))
        only = {n for n in only if n <= run.number}
        if self.options.shrink:
            only = self.shrink(seed, run, only)
        print("  again: " + self.again(seed, run.number + 1, only))
        if self.options.judge and self.options.side != "plain":
            _, plain = self.attempt(seed, "plain", only)
            print("  plain cargo %s in this history" % (
                "is wrong, too," if plain else "is right"))

    def shrink(self, seed, run, only):
        """Leaves out one step after the other, the latest first."""
        self.options.steps = run.number + 1
        known = run.references.known
        for n in sorted(only, reverse=True)[1:]:
            _, wrong = self.attempt(seed, self.options.side, only - {n}, known)
            if wrong:
                only = only - {n}
        return only

    def again(self, seed, steps, only):
        o = self.options
        args = ["oracle.py", "--side", o.side, "--seed", str(seed), "--steps",
                str(steps), "--classes", ",".join(o.classes), "--crates",
                str(o.crates)]
        for name in ("features", "bait", "plan"):
            if getattr(o, name):
                args += ["--" + name, ",".join(getattr(o, name))]
        if o.new_layout:
            args.append("--new-layout")
        if len(only) < steps:
            args += ["--only", ",".join(map(str, sorted(only)))]
        return " ".join(args)

    def table(self):
        print("%-20s %7s %9s %9s" % ("step", "builds", "fresh", "compiled"))
        for name, row in sorted(self.by_step.items()):
            print("%-20s %7d %9d %9d" % (name, *row))


def run_all(options):
    session, equal = Session(options), True
    began = time.monotonic()
    for seed in range(options.seed, options.seed + options.seeds):
        if options.seconds and time.monotonic() - began > options.seconds:
            break
        equal &= session.seed(seed)
        if options.stop and not equal:
            break
    if options.verbose:
        session.table()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print("%d builds in %.0f s, %.0f s of CPU time, %d hits" % (
        session.builds, time.monotonic() - began,
        used.ru_utime + used.ru_stime, session.hits))
    if not equal:
        return 1
    return 3 if options.need_hits and not session.hits else 0


def main():
    options = arguments()
    own = not options.work
    options.work = os.path.realpath(options.work or tempfile.mkdtemp(
        prefix="oracle."))
    os.makedirs(options.work, exist_ok=True)
    try:
        return run_all(options)
    except Trouble as e:
        print("trouble: %s" % e)
        return 2
    finally:
        if own and not options.keep:
            shutil.rmtree(options.work, ignore_errors=True)


sys.exit(main())
