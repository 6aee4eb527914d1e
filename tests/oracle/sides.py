# SPDX-License-Identifier: Apache-2.0
"""What is tested: where a checkout's target directory is, and what it is."""
import os
import shutil
import subprocess
import time

from checkout import Trouble


class Plain:
    """Each checkout has its own plain directory: cargo alone."""
    name = "plain"

    def __init__(self, work, options):
        self.work, self.options = work, options

    def attach(self, checkout):
        """Before a checkout's first build, and after it came back."""

    def before(self, checkout):
        """Before each build."""

    def detach(self, checkout):
        """Before a checkout is moved or deleted."""

    def target(self, checkout):
        return os.path.join(checkout.ws(), "target")

    def close(self):
        """Ends what attach() began, for all checkouts."""


class Shared(Plain):
    """One plain directory for all: what must not be done, and is."""
    name = "shared"

    def target(self, checkout):
        return os.path.join(self.work, "shared-target")


class Copied(Plain):
    """A checkout's first build finds a copy of the target of the one that was
    built last, all of it newer than any source: sharing without a guard."""
    name = "copied"
    last = ""

    def before(self, checkout):
        target = self.target(checkout)
        if self.last and not os.path.exists(target):
            shutil.copytree(self.last, target, symlinks=True)
            now = time.time_ns()
            for d, _, names in os.walk(target):
                for path in (os.path.join(d, n) for n in names):
                    os.utime(path, ns=(now, now))
        self.last = target


class View(Plain):
    """Each checkout's target is a view over one store. A mount lives on in
    every mount namespace that was made of this one: better have one alone."""
    name = "view"

    def __init__(self, work, options):
        super().__init__(work, options)
        self.program = os.environ.get("TARGETFS") or shutil.which("targetfs")
        if not self.program:
            raise Trouble("no program: set TARGETFS")
        self.store = os.path.join(work, "store")
        self.mounted = set()

    def call(self, *args):
        r = subprocess.run([self.program, *args], text=True, timeout=120,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if r.returncode:
            raise Trouble("targetfs %s: %s" % (" ".join(args), r.stdout))

    def attach(self, checkout):
        place = os.path.join(checkout.real, "ws/target")
        os.makedirs(place, exist_ok=True)
        options = self.options.mount_options
        self.call("mount", "--store", self.store,
                  *(["-o", options] if options else []), place)
        self.mounted.add(place)

    def before(self, checkout):
        time.sleep(self.options.pause)

    def detach(self, checkout):
        self.umount(os.path.join(checkout.real, "ws/target"))

    def umount(self, place):
        self.call("umount", place)
        self.mounted.discard(place)

    def close(self):
        for place in sorted(self.mounted):
            self.umount(place)


SIDES = {side.name: side for side in (Plain, Shared, Copied, View)}
