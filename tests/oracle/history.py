# SPDX-License-Identifier: Apache-2.0
"""The steps of a history. Each is a function(run, rnd) that changes checkouts,
says in words what it does with run.note(), and builds with run.build() or
run.build_all().

All that a step chooses comes from its own generator of random numbers, so that
a history stays meaningful when steps are left out of it. A step that cannot be
made here does nothing.

Classes say what a step does to plain cargo, in a directory of its own:

honest     cargo gets it right
again      another checkout at the path of a deleted one: cargo gets it right,
           as the target directory was deleted, too
mtime      an edit that timestamps do not show: cargo is wrong
untracked  what nobody tells cargo: a file or variable that a proc-macro reads,
           a header that a build script keeps to itself; cargo is wrong where
           the change comes alone (honest steps touch a file of that package)
borrow     CARGO_TARGET_DIR names another checkout's target: cargo is wrong
moved      the same target under another path of the checkout: cargo is wrong
"""
from dataclasses import dataclass
import glob
import os
import random
import re
import time

from checkout import EPOCH_NSEC, KINDS, mtime_of
from workspace import changed, render

CLASSES = ("honest", "again", "mtime", "untracked", "borrow", "moved")
MAX_CHECKOUTS = 4


@dataclass(frozen=True)
class Kind:
    name: str
    klass: str
    weight: int
    act: object


STEPS = {}


def step(klass, weight):
    def register(act):
        name = act.__name__
        STEPS[name] = Kind(name, klass, weight, act)
        return act
    return register


def history(seed, count, classes):
    """The steps' kinds: first there are two checkouts, then chance rules."""
    rnd = random.Random("history %d" % seed)
    kinds = [k for k in STEPS.values() if k.klass in classes and k.weight]
    weights = [k.weight * (1 if k.klass == "honest" else 3) for k in kinds]
    first = [STEPS["build"], STEPS["born"]]
    return (first + rnd.choices(kinds, weights, k=max(0, count - 2)))[:count]


# --- what steps are made of ---------------------------------------------------

def choose(run, rnd, scope="tree", hidden=None, most=2):
    """Some knobs."""
    knobs = [k for k in run.baits if k.scope == scope and
             (hidden is None or bool(k.hidden) == hidden)]
    if not knobs:
        return []
    return rnd.sample(knobs, min(len(knobs), rnd.randint(1, most)))


def mutate(run, rnd, checkout, knobs, **how):
    old = checkout.state
    new = changed(rnd.random(), old, knobs)
    run.note("%s: %s" % (checkout.name, ", ".join(
        "%s %s -> %s" % (k.name, old[k.name], new[k.name]) for k in knobs)))
    checkout.move_to(new, replace=rnd.random() < 0.4, **how)


# --- honest -------------------------------------------------------------------

@step("honest", 1)
def build(run, rnd):
    c = rnd.choice(run.checkouts)
    run.note(c.name)
    run.build(rnd, c)


@step("honest", 8)
def edit(run, rnd):
    c = rnd.choice(run.checkouts)
    mutate(run, rnd, c, choose(run, rnd))
    run.build(rnd, c)


@step("honest", 3)
def environment(run, rnd):
    c = rnd.choice(run.checkouts)
    mutate(run, rnd, c, choose(run, rnd, "env"))
    run.build(rnd, c)


@step("honest", 3)
def command(run, rnd):
    """Flags, features, profiles; and mostly back to what it was."""
    c = rnd.choice(run.checkouts)
    before = dict(c.state)
    mutate(run, rnd, c, choose(run, rnd, "command", most=1))
    run.build(rnd, c)
    if rnd.random() < 0.7:
        c.move_to(before)
        run.build(rnd, c)


@step("honest", 3)
def revert(run, rnd):
    c = rnd.choice(run.checkouts)
    if not c.past:
        return
    run.note(c.name)
    c.move_to(c.tree_state(rnd.choice(c.past)), replace=rnd.random() < 0.4)
    run.build(rnd, c)


@step("honest", 3)
def copy_state(run, rnd):
    """One checkout comes to have the sources of another."""
    c, d = rnd.choice(run.checkouts), rnd.choice(run.checkouts)
    if c is d:
        return
    run.note("%s as %s" % (c.name, d.name))
    c.move_to(c.tree_state(d.state))
    run.build(rnd, c)


@step("honest", 2)
def flip(run, rnd):
    c, branch = rnd.choice(run.checkouts), rnd.choice("ab")
    run.note("%s to %s" % (c.name, branch))
    c.flip(branch)
    run.build(rnd, c)


@step("honest", 2)
def there_and_back(run, rnd):
    c, action = rnd.choice(run.checkouts), run.action(rnd)
    run.note("%s to a, b, a" % c.name)
    for branch in "aba":
        c.flip(branch)
        run.build(rnd, c, action)


@step("honest", 2)
def touch(run, rnd):
    c = rnd.choice(run.checkouts)
    run.note(c.name)
    c.touch()
    run.build(rnd, c)


@step("honest", 5)
def born(run, rnd):
    """A new checkout, of any kind, of a branch or of another one's state."""
    if len(run.checkouts) == MAX_CHECKOUTS:
        return
    c = run.new_checkout(rnd.choice(KINDS), rnd.choice("ab"))
    how = rnd.choice(("branch", "other", "edited", "edited"))
    run.note("%s, %s, %s" % (c.name, c.kind, how))
    if how == "other":
        c.move_to(rnd.choice(run.checkouts).state)
    elif how == "edited":
        knobs = choose(run, rnd) + choose(run, rnd, "env") + choose(
            run, rnd, hidden=True, most=1)
        mutate(run, rnd, c, sorted(set(knobs), key=lambda k: k.name))
    if rnd.random() < 0.3:
        c.age(rnd.choice(("copy-old", "copy-equal", "copy-second")))
    run.build(rnd, c)


@step("again", 2)
def reborn(run, rnd):
    """Another state, with old timestamps, at the path of a deleted one."""
    c = rnd.choice(run.checkouts)
    state = changed(rnd.random(), c.state, choose(run, rnd))
    run.delete(c)
    c = run.new_checkout(rnd.choice(("copy-old", "copy-equal")), "a", c.name)
    run.note("%s, %s" % (c.name, c.kind))
    c.move_to(state)
    c.age(c.kind)
    run.build(rnd, c)


@step("honest", 2)
def drop(run, rnd):
    """Single files of target/ are deleted; of OUT_DIR none, after which cargo
    itself says Fresh and then fails."""
    c = rnd.choice(run.checkouts)
    target, files = run.side.target(c), []
    for d, dirs, names in os.walk(target):
        if os.path.basename(d) in ("out", "incremental", "doc"):
            dirs[:] = []
            continue
        files += [os.path.join(d, n) for n in names
                  if n not in (".cargo-lock", "CACHEDIR.TAG")]
    gone = rnd.sample(sorted(files), min(len(files), rnd.randint(1, 4)))
    for path in gone:
        run.note("%s: %s" % (c.name, os.path.relpath(path, target)))
        os.unlink(path)
    if rnd.random() < 0.3:
        mutate(run, rnd, c, choose(run, rnd))
    run.build(rnd, c)


@step("honest", 2)
def parallel(run, rnd):
    """Several checkouts build at once."""
    some = rnd.sample(run.checkouts, min(len(run.checkouts), 3))
    run.note(", ".join(c.name for c in some))
    for c in some:
        if rnd.random() < 0.6:
            mutate(run, rnd, c, choose(run, rnd))
    run.build_all(some, run.action(rnd))


# What a race waits for, in the arguments of a process; and what it edits.
RACES = {
    "slow": (re.compile(rb"--crate-name\0slow\0"), ("slow", "slow_data")),
    "nap": (re.compile(rb"\A[^\0]*/build/nap[-/]"), ("early", "late")),
}


@step("honest", 3)
def race(run, rnd):
    """Sources are edited while a compiler or a build script runs. What that
    build gives may be the old or the new; but not what later builds give, here
    and where the sources stayed as they were."""
    names = [n for n in RACES if n in run.names]
    if not names:
        return
    name, c = rnd.choice(names), rnd.choice(run.checkouts)
    marker, knobs = RACES[name]
    knobs = [k for k in run.knobs if k.name in knobs]
    mutate(run, rnd, c, knobs)
    before = dict(c.state)
    running = run.start(c, "build", sleep=0.4)
    if not wait_for(running, marker):
        run.note("too late")
    time.sleep(rnd.random() * 0.2)
    mutate(run, rnd, c, rnd.sample(knobs, rnd.randint(1, len(knobs))))
    running.wait()
    run.discard(running)
    run.build(rnd, c, "build")
    others = [o for o in run.checkouts if o is not c]
    if others:
        other = rnd.choice(others)
        other.move_to(other.tree_state(before))
        run.build(rnd, other, "build")


def wait_for(running, marker):
    """Waits for a descendant of a cargo with these arguments."""
    while running.process.poll() is None:
        for pid in descendants(running.process.pid):
            try:
                with open("/proc/%d/cmdline" % pid, "rb") as f:
                    if marker.search(f.read()):
                        return True
            except OSError:
                continue
        time.sleep(0.005)
    return False


def descendants(pid):
    """Those of all threads: cargo's threads start the compilers."""
    found = set()
    for path in glob.glob("/proc/%d/task/*/children" % pid):
        try:
            with open(path, encoding="ascii") as f:
                children = {int(p) for p in f.read().split()}
        except OSError:
            continue
        found |= children.union(*map(descendants, children))
    return found


# --- mtime --------------------------------------------------------------------

def edit_with(mtimes):
    def act(run, rnd):
        c = rnd.choice(run.checkouts)
        mutate(run, rnd, c, choose(run, rnd), mtimes=mtimes)
        run.build(rnd, c)
    act.__name__ = "edit_" + mtimes
    act.__doc__ = "An edit: see Checkout.move_to()."
    return act


for _mtimes in ("keep", "back", "equal", "second"):
    step("mtime", 2)(edit_with(_mtimes))


@step("mtime", 1)
def age(run, rnd):
    """An edit, then old timestamps for all files."""
    c = rnd.choice(run.checkouts)
    mutate(run, rnd, c, choose(run, rnd))
    c.age(rnd.choice(("copy-old", "copy-equal", "copy-second")))
    run.build(rnd, c)


@step("mtime", 2)
def swap(run, rnd):
    """mv src src.old; mv src2 src."""
    c = rnd.choice(run.checkouts)
    knobs = [k for k in run.baits if k.scope == "tree"]
    for k in rnd.sample(knobs, len(knobs)):
        state = changed(rnd.random(), c.state, [k])
        files, _ = render(c.names, state)
        dirs = {os.path.dirname(p) for p in {*files, *c.files}
                if files.get(p) != c.files.get(p)}
        if len(dirs) == 1 and list(dirs)[0].endswith("/src"):
            run.note("%s: %s" % (c.name, k.name))
            c.swap_dir(dirs.pop(), state)
            run.build(rnd, c)
            return


@step("mtime", 2)
def sync(run, rnd):
    """rsync -a from another checkout: its sources, with its timestamps."""
    c, d = rnd.choice(run.checkouts), rnd.choice(run.checkouts)
    if c is d:
        return
    run.note("%s from %s" % (c.name, d.name))
    c.move_to(c.tree_state(d.state), lambda p: mtime_of(
        os.path.join(d.real, p)) or EPOCH_NSEC)
    run.build(rnd, c)


# --- untracked, borrow, moved -------------------------------------------------

@step("untracked", 4)
def edit_hidden(run, rnd):
    c = rnd.choice(run.checkouts)
    mutate(run, rnd, c, choose(run, rnd, hidden=True), touch_hidden=False)
    run.build(rnd, c)


@step("untracked", 3)
def environment_hidden(run, rnd):
    c = rnd.choice(run.checkouts)
    mutate(run, rnd, c, choose(run, rnd, "env", hidden=True),
           touch_hidden=False)
    run.build(rnd, c)


@step("borrow", 4)
def borrow(run, rnd):
    c, d = rnd.choice(run.checkouts), rnd.choice(run.checkouts)
    if c is d:
        return
    run.note("%s into the target of %s" % (c.name, d.name))
    run.build(rnd, c, target=run.side.target(d))


@step("moved", 4)
def move(run, rnd):
    """A checkout, with its target directory, gets another path."""
    c = rnd.choice(run.checkouts)
    if c.kind in ("worktree", "linked"):
        return
    run.move(c)
    run.note("to " + c.name)
    run.build(rnd, c)


@step("moved", 2)
def alias(run, rnd):
    """A build by another name of the same checkout, a symbolic link."""
    c = rnd.choice(run.checkouts)
    path, link = c.path, c.path + "-alias"
    run.note(link)
    os.symlink(c.real, link)
    try:
        c.path = link
        run.build(rnd, c)
    finally:
        c.path = path
        os.unlink(link)
    run.build(rnd, c)
