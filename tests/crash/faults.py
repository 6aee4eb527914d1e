#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A program on a filesystem whose disk fails.

faults.py run DIR STATE [FIRST]
                           writes files in the safe way (write, fsync, rename,
                           fsync of the directory) and does all kinds of other
                           things; what was acknowledged goes to STATE. Errors
                           are fine, if they are those of a failing disk.
faults.py check DIR STATE [FIRST]
                           what was acknowledged is there, whole; and the
                           filesystem can be used
faults.py settled DIR      makes a file that, once shared, `run' changes
faults.py fill DIR         writes until there is no space: that must be said
"""
import errno
import os
import sys

SETTLED = "debug/deps/libsettled-0123456789abcdef.rlib"
GOOD = {errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS}


def content(i):
    return b"%05d" % i * (20000 if i % 3 else 30)


def name(i):
    return ["debug/deps/lib%d-%016x.rlib", "debug/deps/f%d-%016x.d",
            "debug/other%d-%x"][i % 3] % (i, i)


class Told:
    """Counts the errors; ends the program at one that says something else."""

    def __init__(self):
        self.count = 0

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if isinstance(value, OSError):
            if value.errno not in GOOD:
                print("not the error of a disk: %s" % value)
                sys.exit(1)
            self.count += 1
            return True


def settled():
    os.makedirs("debug/deps", exist_ok=True)
    with open(SETTLED, "wb") as f:
        f.write(b"old" * 30000)


def change_settled():
    if os.path.exists(SETTLED):
        with open(SETTLED, "r+b") as f:
            f.write(b"new" * 1000)


def check_settled():
    if not os.path.exists(SETTLED):
        return
    with open(SETTLED, "rb") as f:
        got = f.read()
    if got[3000:] != b"old" * 29000 or got[:3000] not in (b"old" * 1000,
                                                         b"new" * 1000):
        sys.exit("the shared file has %d bytes and other ones" % len(got))


def write_safely(i):
    fd = os.open("debug/tmp", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        data = content(i)
        at = 0
        while at < len(data):
            at += os.write(fd, data[at:])
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename("debug/tmp", name(i))
    d = os.open("debug", os.O_RDONLY)
    try:
        os.fsync(d)
    finally:
        os.close(d)


def other_things(i):
    a = "debug/a%d" % i
    with open(a, "wb") as f:
        f.write(b"x" * 70000)
        f.flush()
        os.truncate(a, 50000)
        os.posix_fallocate(f.fileno(), 0, 90000)
    os.link(a, a + ".link")
    os.rename(a, a + ".moved")
    with open(a + ".moved", "r+b") as f:
        f.seek(100)
        f.write(b"y" * 10)
    os.mkdir(a + ".d")
    os.symlink("x", a + ".d/s")
    os.setxattr(a + ".link", "user.k", b"v")
    os.unlink(a + ".link")
    with open(a + ".moved", "rb") as f:
        f.read()


def run(state, first="0"):
    told = Told()
    acked = []
    with told:
        os.makedirs("debug/deps", exist_ok=True)
    with told:
        change_settled()
    for i in range(int(first), int(first) + 12):
        with told:
            write_safely(i)
            acked.append(i)
        with told:
            other_things(i)
    with open(state, "w") as f:
        print(*acked, file=f)
    print("%d acknowledged, %d errors" % (len(acked), told.count))


def check(state, first="100"):
    with open(state) as f:
        acked = [int(w) for w in f.read().split()]
    for i in acked:
        with open(name(i), "rb") as f:
            got = f.read()
        if got != content(i):
            sys.exit("%s: %d bytes, not what was acknowledged"
                     % (name(i), len(got)))
    check_settled()
    os.makedirs("debug/deps", exist_ok=True)
    mine = range(int(first), int(first) + 6)
    for i in mine:
        write_safely(i)
        other_things(i)
    for i in mine:
        with open(name(i), "rb") as f:
            assert f.read() == content(i)
    print("%d acknowledged are there" % len(acked))


def fill():
    """Files until the disk is full; returns those that were written whole."""
    os.makedirs("debug/deps", exist_ok=True)
    whole = []
    for i in range(100000):
        path = "debug/deps/fill%d" % i
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            try:
                data = b"%07d\n" % i * 32768
                at = 0
                while at < len(data):
                    at += os.write(fd, data[at:])
                os.fsync(fd)
            finally:
                os.close(fd)
            whole.append(i)
        except OSError as e:
            if e.errno != errno.ENOSPC:
                sys.exit("a full disk says: %s" % e)
            break
    else:
        sys.exit("it never was full")
    for i in whole:
        with open("debug/deps/fill%d" % i, "rb") as f:
            if f.read() != b"%07d\n" % i * 32768:
                sys.exit("file %d of %d has changed" % (i, len(whole)))
    print("full after %d files" % len(whole))


def main():
    cmd, top = sys.argv[1:3]
    os.chdir(top)
    {"run": run, "check": check, "settled": settled,
     "fill": fill}[cmd](*sys.argv[3:])


main()
