# SPDX-License-Identifier: Apache-2.0
"""Ways to have, in a new checkout, what another one has compiled: targetfs, the
caches that stand between cargo and rustc, and copies of target/."""
import json
import os
import re
import shutil
import subprocess
import time

from common import CACHE, quiet, run

PEERS = os.path.join(CACHE, "peers")
# What `cargo install` is told besides; their remote parts are not measured.
PEER_OPTIONS = {"sccache": ["--no-default-features"], "kache": [], "mbx": []}


class Side:
    """Plain cargo in a plain directory, and what the others share. Each side has
    a home and checkouts of its own."""
    name = "ext4"
    flips = True   # has something to offer when a checkout goes back
    caches = True  # knows what the first checkout compiled: it must build it

    title = None   # where the name does not say it

    def __init__(self, bench):
        self.bench = bench
        self.title = self.title or self.name
        self.top = os.path.join(bench.disk, self.name)
        self.home = os.path.join(self.top, "home")
        self.env = dict(bench.env, HOME=self.home)

    def start(self):
        os.makedirs(self.home)

    def stop(self):
        pass

    def checkout(self, project, which):
        return os.path.join(self.top, project, which)

    def clone(self, project, which):
        """A new checkout, with an empty target."""
        where = self.checkout(project, which)
        run(["git", "clone", "-q", self.bench.repository(project), where])
        if self.bench.hides_git(project):
            os.rename(where + "/.git", where + ".git")
        os.mkdir(where + "/target")
        self.open(where)
        return where

    def switch(self, where, branch):
        outside = ["--git-dir", where + ".git", "--work-tree", where]
        run(["git", "-C", where] +
            (outside if os.path.exists(where + ".git") else []) +
            ["checkout", "-q", branch])

    def remove(self, where):
        self.close(where)
        shutil.rmtree(where)
        shutil.rmtree(where + ".git", ignore_errors=True)

    def open(self, where):
        pass

    def close(self, where):
        pass

    def rest(self, where):
        """Until what goes on after a build is over."""
        os.sync()

    def restore(self, project, where):
        """What comes before cargo; in seconds."""
        return 0.0

    def cargo(self):
        return ["cargo"]

    def command(self, project):
        return self.cargo() + ["build", "--offline", "--locked"] + \
            self.bench.build_options(project)

    def build(self, project, where):
        """Seconds, and how many crates cargo had compiled (or took from behind
        its back)."""
        wall, _, said = self.bench.ran(self.command(project), self.env, where)
        return wall, len(re.findall(r"^ *Compiling ", said, re.M))


class Targetfs(Side):
    name = "targetfs"
    options = "wink"

    def __init__(self, bench):
        super().__init__(bench)
        self.store = os.path.join(bench.disk, "targetfs", "store")

    def start(self):
        super().start()
        os.makedirs(self.store, mode=0o700, exist_ok=True)

    def open(self, where):
        self.bench.mount_view(self.store, where, where + "/target",
                              self.options)

    def close(self, where):
        self.bench.umount(where + "/target")

    def rest(self, where):
        """Until all is published that can be: that is done at low priority."""
        pid, last, same = self.bench.daemon(where + "/target"), None, 0
        for _ in range(120):
            quiet(pid)
            now = self.published()
            same = same + 1 if now == last else 0
            if same >= 2:
                break
            last = now
        os.sync()

    def published(self):
        stats = run([self.bench.program, "stats", "--store", self.store,
                     "--json"], stdout=subprocess.PIPE)
        return json.loads(stats.stdout)["units"]["count"]


class Nouring(Targetfs):
    """Shows what the first side has published: with the same environment."""
    name = "nouring"
    options = "wink,nouring"

    def __init__(self, bench):
        super().__init__(bench)
        self.env["HOME"] = os.path.join(bench.disk, "targetfs", "home")


class Sccache(Side):
    name = "sccache"

    def start(self):
        super().start()
        me = peer("sccache")
        self.env.update(
            RUSTC_WRAPPER=me, CARGO_INCREMENTAL="0", SCCACHE_IDLE_TIMEOUT="0",
            SCCACHE_DIR=self.top + "/cache", SCCACHE_CACHE_SIZE="30G",
            SCCACHE_SERVER_UDS=self.top + "/socket", HOST_CC=me + " cc",
            HOST_CXX=me + " c++", CC_KNOWN_WRAPPER_CUSTOM="sccache")
        run([me, "--start-server"], env=self.env, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)

    def stop(self):
        subprocess.run([peer("sccache"), "--stop-server"], env=self.env,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Kache(Side):
    """As `kache init` sets it up: with its cargo, which fills new targets."""
    name = "kache"

    def start(self):
        super().start()
        me = peer("kache")
        shims = self.home + "/shims"
        self.env.update(
            RUSTC_WRAPPER=me, KACHE_CACHE_DIR=self.top + "/cache",
            XDG_CACHE_HOME=self.home + "/.cache", KACHE_LOCAL_ONLY="1",
            KACHE_MAX_SIZE="30GiB", KACHE_AUTO_RECOVER_MIN_FREE_BYTES="0",
            HOST_CC=me + " cc", HOST_CXX=me + " c++",
            CC_KNOWN_WRAPPER_CUSTOM="kache",
            KACHE_REAL_CARGO=self.bench.sysroot + "/bin/cargo",
            PATH="%s:%s:%s" % (shims, os.path.dirname(me), self.env["PATH"]))
        for command in (["init", "--shims", shims], ["daemon", "start"]):
            run([me] + command, env=self.env, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL)

    def stop(self):
        subprocess.run([peer("kache"), "daemon", "stop"], env=self.env,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def cargo(self):
        return [self.home + "/shims/cargo"]

    def rest(self, where):
        time.sleep(4)  # it flushes every two seconds
        super().rest(where)


class Mbx(Side):
    name = "mbx"

    def start(self):
        super().start()
        self.env.update(
            MBX_CACHE_DIR=self.top + "/cache", MBX_GC_AUTO="0",
            XDG_CACHE_HOME=self.home + "/.cache", MBX_DISPLAY="plain",
            PATH="%s:%s" % (PEERS + "/bin", self.env["PATH"]))

    def cargo(self):
        return [peer("mbx")]

    def rest(self, where):
        time.sleep(1)
        super().rest(where)

    def remove(self, where):
        super().remove(where)
        subprocess.run([peer("mbx"), "clean", "--under", where], env=self.env,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Copy(Side):
    """A copy of the first checkout's target. Cargo goes by times, and those of
    a new checkout's sources are new: its own crates are compiled."""
    name = "cp"
    title = "cp -a"
    flips = False
    caches = False

    def __init__(self, bench):
        super().__init__(bench)
        self.plain = os.path.join(bench.disk, "ext4")

    def restore(self, project, where):
        return self.bench.timed(
            ["cp", "-a", "%s/%s/a/target/." % (self.plain, project),
             where + "/target"])[0]


class Archive(Copy):
    name = "zstd"
    title = "tar + zstd"

    def archive(self, project):
        return os.path.join(self.top, project + ".tar.zst")

    def pack(self, project):
        run("tar -C '%s/%s/a' -c target | zstd -q -3 -T0 -o '%s'" %
            (self.plain, project, self.archive(project)), shell=True)

    def restore(self, project, where):
        if not os.path.exists(self.archive(project)):
            self.pack(project)
            os.sync()
        return self.bench.timed(
            ["sh", "-c", 'zstd -q -dc "$1" | tar -C "$2" -x', "sh",
             self.archive(project), where])[0]


SIDES = {s.name: s for s in (Side, Targetfs, Nouring, Sccache, Kache, Mbx,
                             Copy, Archive)}


# --- peers ----------------------------------------------------------------

def peer(name):
    return os.path.join(PEERS, "bin", name)


def get_peer(name):
    """Its version; None, and a line that says why, where it is not to be had.
    Built once, by cargo's own client: the newest that builds here."""
    if not os.access(peer(name), os.X_OK):
        print("# building %s" % name, flush=True)
        # A mirror of the registry may lack a version that its lock file names.
        said = install(name, ["--locked"]) and install(name, [])
        if said:
            print("# no %s: %s" % (name, said), flush=True)
            return None
    done = subprocess.run([peer(name), "--version"], text=True,
                          stdout=subprocess.PIPE)
    found = re.search(r"\d+\.\d+[^\s]*", done.stdout)
    return found.group(0) if found else "?"


def install(name, options):
    """What was wrong, or nothing."""
    done = subprocess.run(
        ["nice", "-n", "19", "cargo", "install", "--root", PEERS, name] +
        options + PEER_OPTIONS[name], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    said = [line for line in done.stdout.splitlines()
            if line.startswith("error")]
    return done.returncode and (said or ["?"])[0]
