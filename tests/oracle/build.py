# SPDX-License-Identifier: Apache-2.0
"""Builds, and what can be observed of one: its success, its diagnostics, what
its programs and libraries do, what its tests print.

A reference is the same build of the same checkout, by the same path and in the
same environment, into an empty target directory elsewhere. Texts are compared
with the name of the target directory replaced.
"""
from dataclasses import dataclass, field
import hashlib
import json
import os
import re
import shutil
import subprocess

from checkout import Trouble

TIMES = re.compile(r"(finished in|ran in|compilation took) [0-9.]+s")
# A thread's number, and where a doc-test was compiled.
PANIC = re.compile(r"(thread '[^']*') \(\d+\)|[^ ]*/rustdoctest\w+/")
TARGET = re.compile(r"<target>[^ \"\n]*")
# Incremental compilation, which references do without, is in a unit's hash.
HASH = re.compile(r"(?<=[-/])[0-9a-f]{16}(?=[-/.]|$)")
ACTIONS = {
    "build": ["--lib", "--bins", "--examples"],
    "check": ["--all-targets"],
    "test": ["--no-fail-fast"],
}
LIMIT_SEC = 300
LIBRARIES = {"staticlib": ".a", "cdylib": ".so", "dylib": ".so"}
# Calls a library's function; a process of its own, as dlopen() remembers.
CALL = ("import ctypes, sys\n"
        "print(getattr(ctypes.CDLL(sys.argv[1]), sys.argv[2])())")


@dataclass
class Observation:
    ok: bool = False
    said: str = ""  # the end of cargo's stderr
    diagnostics: set = field(default_factory=set)
    outputs: dict = field(default_factory=dict)
    units: list = field(default_factory=list)  # of (name, whether fresh)


class Cargo:
    """Runs cargo for a checkout with what its state says."""

    def __init__(self, work, toolchain, jobs, new_layout):
        self.work, self.jobs, self.new_layout = work, jobs, new_layout
        self.sysroot, self.host = toolchain
        self.count = 0

    def environment(self, checkout, target, incremental, sleep=None):
        env = {
            "PATH": self.sysroot + "/bin:" + os.environ["PATH"],
            "HOME": os.path.join(self.work, "home"), "LC_ALL": "C",
            "CARGO_NET_OFFLINE": "true", "CARGO_TERM_COLOR": "never",
            "CARGO_INCREMENTAL": str(int(incremental)),
        }
        if target != os.path.join(checkout.ws(), "target"):
            env["CARGO_TARGET_DIR"] = target
        if sleep:
            env["TFS_SLEEP"] = str(sleep)
        if self.new_layout:
            env["RUSTC_BOOTSTRAP"] = "1"
        for k in checkout.origin.knobs:
            value = checkout.state[k.name]
            if k.name == "cargo_home":
                env["CARGO_HOME"] = os.path.join(self.work, "home" + value)
            elif k.scope == "env" and value is not None:
                env[k.name] = str(value)
        if checkout.state.get("RUSTFLAGS"):
            env["RUSTFLAGS"] = checkout.state["RUSTFLAGS"]
        return env

    def command(self, checkout, action):
        state = checkout.state
        args = ["cargo"]
        if self.new_layout:
            args.append("-Zbuild-dir-new-layout")
        args += [action, "--manifest-path", checkout.ws() + "/Cargo.toml",
                 "--workspace", "--message-format=json", "-j%d" % self.jobs,
                 "--profile", state["profile"], *ACTIONS[action]]
        if state.get("features"):
            args += ["--features", "app/" + state["features"]]
        if state.get("triple"):
            args += ["--target", self.host]
        if action == "test":
            args += ["--", "--test-threads=1", "--nocapture"]
        return args

    def start(self, checkout, action, target, incremental, sleep=None):
        self.count += 1
        base = os.path.join(self.work, "out%d" % self.count)
        env = self.environment(checkout, target, incremental, sleep)
        with open(base + ".stdout", "wb") as out, \
                open(base + ".stderr", "wb") as err:
            process = subprocess.Popen(
                self.command(checkout, action), cwd=checkout.ws(), env=env,
                stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        return Running(process, base, env, target, checkout)


class Running:
    """A cargo that was started; finish() waits and observes."""

    def __init__(self, process, base, env, target, checkout):
        self.process, self.base, self.env = process, base, env
        self.target, self.checkout = target, checkout
        self.programs, self.libraries, self.errors = {}, {}, []

    def wait(self):
        try:
            return self.process.wait(LIMIT_SEC)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return "none after %d s" % LIMIT_SEC

    def finish(self):
        seen = Observation()
        status = self.wait()
        printed, finished = [], None
        with open(self.base + ".stdout", encoding="utf-8") as f:
            for line in f:
                if line.startswith('{"reason":'):
                    finished = self.message(json.loads(line), seen, finished)
                else:
                    printed.append(line)
        with open(self.base + ".stderr", encoding="utf-8") as f:
            seen.said = "".join(f.readlines()[-8:]) + "".join(
                self.errors[:3])
        # A failed test makes the status, but not the build, a failure.
        seen.ok = bool(finished) and status in (0, 101)
        if seen.ok:
            if printed:
                seen.outputs["tests"] = self.normal("".join(printed))
            self.run_all(seen)
        for suffix in (".stdout", ".stderr"):
            os.unlink(self.base + suffix)
        return seen

    def message(self, m, seen, finished):
        if m["reason"] == "build-finished":
            return m["success"]
        if m["reason"] == "compiler-artifact":
            self.artifact(m, seen)
        elif m["reason"] == "compiler-message":
            self.diagnostic(m["target"]["name"], m["message"], seen)
        return finished

    def diagnostic(self, name, d, seen):
        if d["level"] == "error":
            self.errors.append(d["rendered"])
        for span in d["spans"][:1]:
            seen.diagnostics.add("%s: %s: %s (%s:%d)" % (
                name, d["level"], d["message"],
                self.normal(span["file_name"]), span["line_start"]))

    def artifact(self, m, seen):
        target, test = m["target"], m["profile"]["test"]
        package = os.path.basename(m["package_id"])
        name = "%s %s%s" % (package.split("#")[0], target["kind"][0],
                            " test" if test else "")
        if target["name"] != package.split("#")[0]:
            name += " " + target["name"]
        seen.units.append((name, m["fresh"]))
        if m["executable"] and not test and target["kind"][0] != "bench":
            self.programs[target["name"]] = m["executable"]
        for path in m["filenames"]:
            for kind, end in LIBRARIES.items():
                if kind in target["crate_types"] and path.endswith(end):
                    self.libraries[target["name"]] = path

    def normal(self, text):
        for name in (self.target, os.path.realpath(self.target)):
            text = text.replace(name, "<target>")
        text = TARGET.sub(lambda m: HASH.sub("<hash>", m.group()), text)
        text = PANIC.sub(lambda m: m.group(1) or "", text)
        return TIMES.sub(r"\1 <time>", text)

    def run_all(self, seen):
        for name, path in sorted(self.programs.items()):
            text = self.run([path])
            if "\nstatus " in text:
                seen.outputs["%s/failed" % name] = text
                continue
            for line in text.splitlines():
                key, _, value = line.partition(" ")
                seen.outputs["%s/%s" % (name, key)] = value
        for name, path in sorted(self.libraries.items()):
            if path.endswith(".a"):
                seen.outputs["lib/" + name] = self.linked(name, path)
            elif path.endswith(".so"):
                seen.outputs["lib/" + name] = self.run(
                    ["python3", "-c", CALL, path, "tfs_" + name])

    def run(self, args):
        try:
            r = subprocess.run(args, cwd=self.checkout.ws(), env=self.env,
                               text=True, stdout=subprocess.PIPE, timeout=60,
                               stderr=subprocess.STDOUT)
        except (OSError, subprocess.TimeoutExpired) as e:
            return "\nstatus %s" % e
        end = "" if r.returncode == 0 else "\nstatus %d" % r.returncode
        return self.normal(r.stdout + end)

    def linked(self, name, path):
        """What a C program prints that is linked with a static library."""
        source, program = self.base + ".c", self.base + ".exe"
        with open(source, "w", encoding="utf-8") as f:
            f.write('#include <stdio.h>\nunsigned tfs_%s(void);\nint main(void)'
                    '{printf("%%u\\n", tfs_%s());return 0;}\n' % (name, name))
        said = self.run(["cc", source, path, "-o", program, "-lpthread", "-ldl",
                         "-lm"])
        if os.path.exists(program):
            said += self.run([program])
            os.unlink(program)
        os.unlink(source)
        return said


class References:
    """Clean builds, remembered by all that goes into one."""

    def __init__(self, cargo):
        self.cargo, self.known = cargo, {}
        self.built = self.reused = 0

    def key(self, checkout, action):
        target = "<reference>"
        parts = [checkout.path, self.cargo.command(checkout, action),
                 self.cargo.environment(checkout, target, False),
                 sorted((p, type(t).__name__, t)
                        for p, t in checkout.files.items())]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def get(self, checkout, action):
        key = self.key(checkout, action)
        if key in self.known:
            self.reused += 1
            return self.known[key]
        self.built += 1
        target = os.path.join(self.cargo.work, "reference%d" % self.built)
        seen = self.cargo.start(checkout, action, target, False).finish()
        shutil.rmtree(target, ignore_errors=True)
        failed = [k for k in seen.outputs if k.endswith("/failed")]
        if seen.ok != checkout.compiles or failed:
            raise Trouble("the clean build of %s: ok is %s\n%s%s" % (
                checkout.path, seen.ok, seen.said,
                "\n".join(seen.outputs[k] for k in failed)))
        self.known[key] = seen
        return seen


def differences(got, want):
    """What a build shows that a clean one does not, one line each."""
    if got.ok != want.ok:
        return ["the build %s, a clean one %s" % (
            "succeeded" if got.ok else "failed:\n" + got.said,
            "succeeds" if want.ok else "fails")]
    if not want.ok:
        return []
    lines = []
    for key in sorted({*got.outputs, *want.outputs}):
        a, b = got.outputs.get(key), want.outputs.get(key)
        if a == b:
            continue
        if a is not None and b is not None and "\n" in b.strip():
            a, b = first_difference(a, b)
        lines.append("%s: %r, a clean build gives %r" % (key, a, b))
    for d in sorted(got.diagnostics ^ want.diagnostics):
        lines.append("diagnostic %s: %s" % (
            "that a clean build does not give" if d in got.diagnostics
            else "missing", d))
    return lines


def first_difference(a, b):
    la, lb = a.splitlines(), b.splitlines()
    for i, (x, y) in enumerate(zip(la, lb)):
        if x != y:
            return "line %d: %s" % (i + 1, x), "line %d: %s" % (i + 1, y)
    return "%d lines" % len(la), "%d lines" % len(lb)
