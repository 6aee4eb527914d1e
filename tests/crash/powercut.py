#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Units as cargo writes them, and what must be true of them after a power cut.

powercut.py run SEED DIR MARK SECONDS   writes and rewrites units below DIR;
                                        tells MARK what is durable
powercut.py check DIR < MARKS           of the marks before the cut

A unit has three outputs and a hash file. It is rewritten as cargo does it: the
hash file is emptied, outputs are written (libraries by rename, the others in
place), the hash file is written last. What must hold after any cut:

- a hash file of 16 bytes names a version, and all outputs of the unit are
  that version, to the last byte (else cargo would take a broken unit for
  fresh);
- a unit whose last mark says that it was synced is there, in that version.
"""
import hashlib
import os
import random
import sys
import time

UNITS = 12


def paths(u):
    h = "%016x" % (u * 0x9E3779B97F4A7C15 % (1 << 64))
    return {
        "rlib": "debug/deps/libu%d-%s.rlib" % (u, h),
        "rmeta": "debug/deps/libu%d-%s.rmeta" % (u, h),
        "d": "debug/deps/u%d-%s.d" % (u, h),
        "hash": "debug/.fingerprint/u%d-%s/lib-u%d" % (u, h, u),
    }


def content(u, version, kind):
    rnd = random.Random("%d %d %s" % (u, version, kind))
    size = {"rlib": rnd.randrange(1, 300000), "rmeta": rnd.randrange(1, 40000),
            "d": rnd.randrange(1, 3000)}[kind]
    return rnd.randbytes(size)


def write(path, data, sync):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    at = 0
    while at < len(data):
        at += os.write(fd, data[at:at + 50000])
    if sync:
        os.fsync(fd)
    os.close(fd)


def compile_unit(u, version, sync):
    p = paths(u)
    os.makedirs(os.path.dirname(p["hash"]), exist_ok=True)
    write(p["hash"], b"", False)
    for kind in ("rmeta", "rlib"):
        write("debug/deps/tmp", content(u, version, kind), sync)
        os.rename("debug/deps/tmp", p[kind])
    write(p["d"], content(u, version, "d"), sync)
    write(p["hash"], b"%016d" % version, sync)


def run(seed, top, mark, seconds):
    def tell(text):
        fd = os.open(mark, os.O_WRONLY)
        os.write(fd, text.encode())
        os.close(fd)

    rnd = random.Random(seed)
    os.chdir(top)
    os.makedirs("debug/deps", exist_ok=True)
    root = os.open(".", os.O_RDONLY)
    end = time.monotonic() + seconds
    version = 0
    while time.monotonic() < end:
        version += 1
        u = rnd.randrange(UNITS)
        sync = rnd.random() < 0.4
        tell("begin %d %d\n" % (u, version))
        compile_unit(u, version, sync)
        if sync:
            os.fsync(root)
            tell("synced %d %d\n" % (u, version))
        if rnd.random() < 0.1:
            time.sleep(rnd.random() * 2.5)  # commits and hashing happen
    print("%d units compiled" % version)


def check(top):
    os.chdir(top)
    promised = {}
    for line in sys.stdin:
        what, u, version = line.split()
        promised[int(u)] = int(version) if what == "synced" else None
    whole = 0
    for u in range(UNITS):
        p = paths(u)
        try:
            with open(p["hash"], "rb") as f:
                stamp = f.read()
        except FileNotFoundError:
            stamp = b""
        want = promised.get(u)
        if want is not None and stamp != b"%016d" % want:
            sys.exit("unit %d: version %d was synced, the hash file is %r"
                     % (u, want, stamp))
        if len(stamp) != 16:
            continue
        version = int(stamp)
        for kind in ("rlib", "rmeta", "d"):
            with open(p[kind], "rb") as f:
                got = f.read()
            if got != content(u, version, kind):
                sys.exit("unit %d: version %d, but its %s (%d bytes) is not"
                         % (u, version, kind, len(got)))
        whole += 1
    for d, _, files in os.walk("."):
        for n in files:  # all can be read
            with open(os.path.join(d, n), "rb") as f:
                hashlib.sha256(f.read())
    print("%d units whole" % whole)


def main():
    if sys.argv[1] == "run":
        run(int(sys.argv[2]), sys.argv[3], sys.argv[4], float(sys.argv[5]))
    else:
        check(sys.argv[2])


main()
