# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: a place to measure in, builds that are timed, and
rows that are printed as they come and again as a table."""
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOP = os.path.dirname(TESTS)
CACHE = os.environ.get("TARGETFS_TEST_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"),
    "targetfs-tests")
URING = "/sys/module/fuse/parameters/enable_uring"
# What cargo and the wrappers of rustc would take from whoever calls us.
NOT_OURS = ("CARGO_TARGET_DIR", "CARGO_INCREMENTAL", "RUSTFLAGS", "CI",
            "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "TARGETFS_STORE")


class Bench:
    """The store and the plain directories lie on one journaled ext4: a loop
    image, for root; else wherever --dir is."""

    def __init__(self, args):
        self.args = args
        self.rows = []
        self.program = program()
        self.sysroot = subprocess.run(
            ["rustc", "--print", "sysroot"], text=True, check=True,
            stdout=subprocess.PIPE).stdout.strip()
        self.top = tempfile.mkdtemp(prefix="tfs-bench.", dir=args.dir)
        os.chmod(self.top, 0o755)
        self.mode = None  # what is measured, in the first column

    def prepare(self, gigabytes=12):
        self.disk = os.path.join(self.top, "disk")
        os.mkdir(self.disk)
        if os.geteuid() == 0:
            image = os.path.join(self.top, "image")
            with open(image, "wb") as f:
                f.truncate(gigabytes << 30)
            run(["mkfs.ext4", "-q", "-F", "-E",
                 "lazy_itable_init=0,lazy_journal_init=0", image])
            run(["mount", "-o", "loop", image, self.disk])
            # cargo and rustc where any user may run them
            tools = os.path.join(self.top, "toolchain")
            os.mkdir(tools)
            run(["mount", "--bind", self.sysroot, tools])
            self.sysroot = tools
        self.env = dict(os.environ, CARGO_NET_OFFLINE="true",
                        CARGO_TERM_COLOR="never", HOME=self.top,
                        PATH=self.sysroot + "/bin:" + os.environ["PATH"])
        for name in NOT_OURS:
            self.env.pop(name, None)

    def sources(self, projects, below):
        """Copies of the projects, below a directory, and of what they need."""
        get = os.path.join(TESTS, "corpus", "get.sh")
        dest = os.path.join(CACHE, "corpus")
        env = dict(self.env, CARGO_HOME=os.path.join(CACHE, "cargo-home"),
                   CARGO_NET_OFFLINE="false")
        for name in projects:
            run([get, dest] + (["workspace"] if name == "ws" else
                               ["project", name]), env=env)
            # they may have come with another CARGO_HOME
            run(["cargo", "fetch", "-q", "--locked"], env=env,
                cwd=os.path.join(dest, name))
        home = os.path.join(self.disk, "cargo-home")
        shutil.copytree(env["CARGO_HOME"], home, symlinks=True)
        for name in projects:
            shutil.copytree(os.path.join(dest, name),
                            os.path.join(below, name), symlinks=True)
        self.env["CARGO_HOME"] = home

    def close(self):
        for m in mounts_below(self.top):
            subprocess.run(["umount", "-l", m], stderr=subprocess.DEVNULL)
        shutil.rmtree(self.top, ignore_errors=True)

    # --- views --------------------------------------------------------------

    def as_user(self, command):
        """The command as the one runs it who builds."""
        return command

    def mount_view(self, store, workspace, where, options=""):
        t0 = time.perf_counter()
        run(self.as_user([self.program, "mount", "--store", store,
                          "--workspace", workspace] +
                         (["-o", options] if options else []) + [where]),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.perf_counter() - t0

    def umount(self, where):
        pid = self.daemon(where)
        run(self.as_user([self.program, "umount", where]))
        while pid and os.path.exists("/proc/%d" % pid):
            time.sleep(0.01)

    def daemon(self, where):
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/cmdline" % pid, "rb") as f:
                    words = f.read().split(b"\0")
            except OSError:
                continue
            if where.encode() in words and b"mount" in words and \
                    self.program.encode() in words:
                return int(pid)
        return None

    # --- measuring ----------------------------------------------------------

    def ran(self, command, env=None, cwd=None):
        """(wall, CPU) seconds of a command and its children; what it said."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        t0 = time.perf_counter()
        done = subprocess.run(self.as_user(command), env=env, cwd=cwd,
                              stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.STDOUT)
        wall = time.perf_counter() - t0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode != 0:
            sys.exit("'%s' failed:\n%s" % (" ".join(command),
                                          done.stdout[-2000:]))
        return wall, (after.ru_utime + after.ru_stime -
                      before.ru_utime - before.ru_stime), done.stdout

    def timed(self, command, env=None, cwd=None):
        return self.ran(command, env, cwd)[:2]

    # --- saying it ------------------------------------------------------------

    def row(self, what, value, kind, goal=None, **more):
        """A value, or (kind "x") a ratio of pairs, with their `sides`."""
        self.rows.append(dict(mode=self.mode, what=what, value=value,
                              kind=kind, goal=goal, **more))
        text = "%-14s %-34s " % (self.mode, what)
        if kind == "x":
            text += "%5.3f x   %s" % (value, "%.3f / %.3f %s" % (
                *more["sides"], more["unit"]))
            text += "   (%.2f..%.2f, %d pairs)" % (*more["spread"],
                                                    more["pairs"])
        else:
            text += "%.4g %s" % (value, kind)
        if goal is not None:
            text += "   goal %g: %s" % (goal,
                                        "met" if value <= goal else "MISSED")
        print(text, flush=True)

    def table(self):
        """All of it again, as Markdown."""
        print("\n| | | ratio, or value | goal |\n|---|---|---|---|")
        for r in self.rows:
            if r["kind"] == "x":
                value = "%.2f (%.2f to %.2f, %d pairs)" % (
                    r["value"], *r["spread"], r["pairs"])
            else:
                value = "%.4g %s" % (r["value"], r["kind"])
            goal = "" if r["goal"] is None else "≤ %g" % r["goal"]
            print("| %s | %s | %s | %s |" % (r["mode"], r["what"], value, goal))

    def save(self, path):
        with open(path, "w") as f:
            json.dump(self.rows, f, indent=1)


def run(command, **more):
    return subprocess.run(command, check=True, **more)


def program():
    for p in (os.environ.get("TARGETFS"), TOP + "/targetfs",
              TOP + "/build/targetfs"):
        if p and os.access(p, os.X_OK):
            return os.path.realpath(p)
    sys.exit("targetfs is not built")


def mounts_below(top):
    with open("/proc/self/mountinfo") as f:
        found = [line.split()[4] for line in f]
    return sorted((m for m in found if m.startswith(top + "/")), reverse=True)


def cpu_of(pid):
    if not pid:
        return 0
    with open("/proc/%d/stat" % pid) as f:
        words = f.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def quiet(pid):
    """Until the daemon has done nothing for longer than files rest before they
    are hashed: that belongs to the build, and not to what is measured next."""
    last, since = cpu_of(pid), time.monotonic()
    end = since + 60
    while time.monotonic() < min(end, since + (3 if pid else 0.5)):
        time.sleep(0.1)
        now = cpu_of(pid)
        if now != last:
            last, since = now, time.monotonic()


def uring(on):
    """Switches io_uring for later mounts; returns what it was."""
    try:
        with open(URING) as f:
            was = f.read().strip()
        with open(URING, "w") as f:
            f.write(on)
        return was
    except OSError:
        return None


def apart():
    """For root, from here on: mounts of our own, gone with us. Who ends us gets
    the same as who interrupts us."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    if os.geteuid() == 0 and "TFS_BENCH_INNER" not in os.environ:
        os.execvpe("unshare", ["unshare", "--mount", "--propagation",
                               "private", sys.executable] + sys.argv,
                   dict(os.environ, TFS_BENCH_INNER="1"))
