# SPDX-License-Identifier: Apache-2.0
"""What a build starts and reads, by strace: programs by their arguments, bytes
by the files that they come from. Nothing of it depends on PATH or wrappers."""
import collections
import os
import re
import shutil
import subprocess
import time

READS = "read,pread64,readv,preadv,preadv2,copy_file_range,sendfile,mmap"
CALL = re.compile(r"^(\d+) +(\w+)\((.*)$")
RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)$")
RESULT = re.compile(r"\) += (0x[0-9a-f]+|-?\d+)[^=]*$")
FILE = re.compile(r"^\d+<([^>]*)>")
MAPPED = re.compile(r"^\w+, (\d+), .*?, \d+<([^>]*)>")


def have_strace():
    return shutil.which("strace") is not None


def calls(path):
    """(call, arguments, result) of a trace, interrupted ones made whole."""
    begun = {}
    with open(path, errors="replace") as f:
        for line in f:
            line = line.rstrip("\n")
            again, call = RESUMED.match(line), CALL.match(line)
            if again:
                pid, name, rest = again.groups()
                rest = begun.pop((pid, name), "") + rest
            elif call:
                pid, name, rest = call.groups()
            else:
                continue
            if rest.endswith("<unfinished ...>"):
                begun[pid, name] = rest[:-len("<unfinished ...>")]
                continue
            result = RESULT.search(rest)
            if result:
                yield name, rest, int(result.group(1), 0)


class Trace:
    def __init__(self, path):
        self.started = collections.Counter()  # compilers, scripts, others
        self.read = collections.Counter()     # bytes of each file
        for name, rest, result in calls(path):
            if name == "execve" and result == 0:
                self.started[kind_of(rest)] += 1
            elif name == "mmap":
                mapped = MAPPED.match(rest)
                if mapped:
                    self.read[mapped.group(2)] += int(mapped.group(1))
            elif result > 0:
                source = FILE.match(rest)
                if source:
                    self.read[source.group(1)] += result

    def read_of(self, is_wanted):
        return sum(n for path, n in self.read.items() if is_wanted(path))


def kind_of(arguments):
    program = os.path.basename(arguments.split('"')[1])
    if program.startswith("rustc"):
        probe = '"-vV"' in arguments or '"___"' in arguments
        return "probes of rustc" if probe else "rustc"
    if re.match(r"build[-_]script[-_]", program):
        return "build scripts"
    return "cargo" if program == "cargo" else "others"


def is_artifact(target):
    """Of the files in a target: what cargo itself reads to make up its mind is
    none."""
    own = re.compile(r"/\.fingerprint/|\.d$|/\.cargo-lock$|/\.rustc_info\.json$"
                     r"|/CACHEDIR\.TAG$|/build/[^/]*/(output|root-output|stderr)$")
    return lambda path: path.startswith(target + "/") and not own.search(path)


def is_stored(path):
    """Of the files that the daemon has open: blobs and staging files."""
    return bool(re.search(r"/[0-9a-f]{2}/[0-9a-f]{60,}$|/staging/", path))


def traced(command, out):
    return ["strace", "-f", "-y", "-s", "40", "-o", out, "-e",
            "trace=execve," + READS] + command


class Attached:
    """A process that is traced while the `with` lasts."""

    def __init__(self, pid, out):
        self.command = ["strace", "-f", "-y", "-s", "0", "-o", out, "-e",
                        "trace=" + READS, "-p", str(pid)]

    def __enter__(self):
        self.strace = subprocess.Popen(
            self.command, stderr=subprocess.PIPE, text=True)
        self.strace.stderr.readline()  # "attached"
        time.sleep(0.2)
        return self

    def __exit__(self, *_):
        self.strace.terminate()
        self.strace.stderr.read()
        self.strace.wait()
