# SPDX-License-Identifier: Apache-2.0
"""Checkouts on the disk: made in several ways, brought from one state to
another with several kinds of timestamps.

A checkout knows what its files must be (self.files, as render() gives them);
verify() compares that with the disk, so that a mistake of the oracle is not
taken for one of the tested side.
"""
import os
import shutil
import subprocess
import time

from workspace import Link, render

EPOCH_NSEC = 1_577_836_800_000_000_000  # 2020, for files of old checkouts
HOUR_NSEC = 3_600_000_000_000
KINDS = ("clone", "worktree", "copy-old", "copy-equal", "copy-second", "linked")
IGNORED = (".git", "target", "Cargo.lock")
GIT_ENV = {
    "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "o", "GIT_AUTHOR_EMAIL": "o@example.org",
    "GIT_COMMITTER_NAME": "o", "GIT_COMMITTER_EMAIL": "o@example.org",
}


class Trouble(Exception):
    """The oracle itself went wrong; says nothing of the tested side."""


def git(where, *args):
    r = subprocess.run(["git", "-C", where, "-c", "gc.auto=0", *args],
                       env={**os.environ, **GIT_ENV}, text=True,
                       capture_output=True)
    if r.returncode:
        raise Trouble("git %s: %s" % (" ".join(args), r.stderr.strip()))
    return r.stdout.strip()


class Origin:
    """The repository that checkouts are made of: two branches, 'a' and 'b'."""

    def __init__(self, path, names, states):
        self.path, self.names, self.states = path, names, states
        self.commits = {}
        os.makedirs(path)
        git(path, "init", "-q", "-b", "main")
        for branch, state in states.items():
            for entry in os.listdir(path):
                if entry != ".git":
                    remove(os.path.join(path, entry))
            write_all(path, render(names, state)[0])
            git(path, "add", "-A")
            git(path, "commit", "-q", "--allow-empty", "-m", branch)
            self.commits[branch] = git(path, "rev-parse", "HEAD")


def remove(path):
    if os.path.islink(path) or not os.path.isdir(path):
        os.unlink(path)
    else:
        shutil.rmtree(path)


def write_file(path, text, replace=False):
    """In place, or as editors do it that write another file and rename it."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if isinstance(text, Link):
        if os.path.islink(path):
            os.unlink(path)
        os.symlink(text, path)
        return
    to = path + ".new" if replace else path
    with open(to, "w", encoding="utf-8") as f:
        f.write(text)
    if replace:
        os.rename(to, path)


def write_all(top, files):
    for path in sorted(files):
        write_file(os.path.join(top, path), files[path])


def mtime_of(path):
    try:
        return os.stat(path).st_mtime_ns
    except FileNotFoundError:
        return None


def set_mtime(path, nsec):
    os.utime(path, ns=(nsec, nsec))


class Checkout:
    """@path is the name that builds use; @real is where the files are."""

    def __init__(self, origin, top, name, kind, branch):
        self.origin, self.name, self.kind = origin, name, kind
        self.names = origin.names
        self.path = self.real = os.path.join(top, name)
        self.state = dict(origin.states[branch])
        self.files, self.compiles = render(self.names, self.state)
        self.past = []  # states that were built
        self.seen = set()  # units that cargo has named here
        if kind == "linked":
            self.real = os.path.join(top, "real", name)
            os.makedirs(os.path.dirname(self.real), exist_ok=True)
            os.symlink(self.real, self.path)
        commit = origin.commits[branch]
        if kind == "worktree":
            git(origin.path, "worktree", "add", "-q", "-f", "--detach",
                self.real, commit)
        elif kind in ("clone", "linked"):
            git(top, "clone", "-q", origin.path, self.real)
            git(self.real, "checkout", "-q", "-f", "--detach", commit)
        else:
            write_all(self.real, self.files)
            self.age(kind)
        self.has_git = os.path.exists(os.path.join(self.real, ".git"))

    def ws(self):
        return os.path.join(self.path, "ws")

    def paths(self):
        return [os.path.join(self.real, p) for p in sorted(self.files)]

    def age(self, how):
        """Gives all files the timestamps of an unpacked archive."""
        now = time.time_ns()
        for i, path in enumerate(self.paths()):
            if how == "copy-second":
                nsec = now // 1_000_000_000 * 1_000_000_000
            else:
                nsec = EPOCH_NSEC + (0 if how == "copy-equal" else i * 10**9)
            if not os.path.islink(path):
                set_mtime(path, nsec)

    def touch(self):
        for path in self.paths():
            os.utime(path)

    def move_to(self, state, mtimes="now", replace=False, touch_hidden=True):
        """Writes what differs in another state. @mtimes: "now"; "keep" those
        that were; an hour "back"; "equal" for all; "second": now, truncated;
        or a function(path below the checkout) -> nsec.

        @touch_hidden: where cargo cannot see a change, it gets a file that it
        looks at touched.
        """
        files, compiles = render(self.names, state)
        changed = [p for p in files if files[p] != self.files.get(p)]
        before = {p: mtime_of(os.path.join(self.real, p)) for p in files}
        dirs = {os.path.dirname(os.path.join(self.real, p))
                for p in [*changed, *(set(self.files) - set(files))]}
        dir_mtimes = {d: mtime_of(d) for d in dirs}
        for p in set(self.files) - set(files):
            os.unlink(os.path.join(self.real, p))
            self.drop_empty(os.path.dirname(os.path.join(self.real, p)))
        for p in changed:
            path = os.path.join(self.real, p)
            write_file(path, files[p], replace)
            if mtimes != "now" and not os.path.islink(path):
                set_mtime(path, self.nsec_for(mtimes, p, before[p]))
        for d in dirs:
            if mtimes != "now" and dir_mtimes[d] and os.path.isdir(d):
                set_mtime(d, dir_mtimes[d])
        self.became(state, files, compiles, touch_hidden)

    def became(self, state, files, compiles, touch_hidden):
        if touch_hidden:
            for name in self.hidden_between(self.state, state):
                os.utime(os.path.join(self.real, "ws", name))
        self.state, self.files, self.compiles = dict(state), files, compiles

    def hidden_between(self, old, new):
        return {k.hidden for k in self.origin.knobs
                if k.hidden and old[k.name] != new[k.name]}

    @staticmethod
    def nsec_for(mtimes, path, before):
        if callable(mtimes):
            return mtimes(path)
        now = time.time_ns()
        if mtimes == "keep":
            return before or EPOCH_NSEC
        if mtimes == "back":
            return (before or now) - HOUR_NSEC
        if mtimes == "second":
            return now // 1_000_000_000 * 1_000_000_000
        return EPOCH_NSEC

    def drop_empty(self, path):
        while path != self.real and not os.listdir(path):
            os.rmdir(path)
            path = os.path.dirname(path)

    def tree_state(self, state):
        """Another state's files with this checkout's environment and flags."""
        mixed = dict(self.state)
        for k in self.origin.knobs:
            if k.scope == "tree":
                mixed[k.name] = state[k.name]
        return mixed

    def flip(self, branch, touch_hidden=True):
        """git checkout of a branch; without git, what an editor would do."""
        state = self.tree_state(self.origin.states[branch])
        if not self.has_git:
            self.move_to(state, touch_hidden=touch_hidden)
            return
        git(self.real, "checkout", "-q", "-f", "--detach",
            self.origin.commits[branch])
        git(self.real, "clean", "-f", "-d", "-q")
        self.became(state, *render(self.names, state), touch_hidden)

    def swap_dir(self, crate_dir, state):
        """Another state's files of one directory, written aside with old
        timestamps, take its place by two renames."""
        files, compiles = render(self.names, state)
        place = os.path.join(self.real, crate_dir)
        aside = place + ".other"
        for p in files:
            if p.startswith(crate_dir + "/"):
                to = os.path.join(aside, p[len(crate_dir) + 1:])
                write_file(to, files[p])
                if not os.path.islink(to):
                    set_mtime(to, EPOCH_NSEC)
        os.rename(place, place + ".old")
        os.rename(aside, place)
        shutil.rmtree(place + ".old")
        self.became(state, files, compiles, False)

    def verify(self):
        found = {}
        for d, dirs, names in os.walk(self.real):
            dirs[:] = [n for n in dirs if n not in IGNORED]
            for n in names:
                path = os.path.join(d, n)
                key = os.path.relpath(path, self.real)
                if n in IGNORED:
                    continue
                if os.path.islink(path):
                    found[key] = Link(os.readlink(path))
                else:
                    with open(path, encoding="utf-8") as f:
                        found[key] = f.read()
        if found != self.files:
            odd = sorted(p for p in {*found, *self.files}
                         if found.get(p) != self.files.get(p))
            raise Trouble("%s is not what it should be: %s"
                          % (self.path, ", ".join(odd)))

    def delete(self):
        if self.kind == "worktree":
            git(self.origin.path, "worktree", "remove", "-f", "-f", self.real)
        else:
            shutil.rmtree(self.real)
        if self.path != self.real:
            os.unlink(self.path)
