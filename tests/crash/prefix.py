#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The prefix rule: after the daemon was killed, a view is as it was after some
prefix of the calls made on it, never a mixture, and no older than the last
sync that returned.

prefix.py run SEED DIR COUNTER    makes random calls until killed; COUNTER (a
                                  file elsewhere) says how many were made and
                                  how many were so when the last sync returned
prefix.py check SEED DIR COUNTER [drops]
                                  the view after the crash

A file that had been committed and was then opened for writing or truncated is
"in flux" at the crash. One that is cargo's is dropped (and the
compiler runs again): it must not be there with other bytes than at the prefix.
Any other file is kept as it is, which may be newer. "drops" allows that; plain
filesystems do not need it. A file stays in flux until the daemon has seen its
last close, which the kernel tells it some time later: SLACK calls.
"""
import mmap
import os
import random
import struct
import sys

NAMES = ["debug/deps/lib%d.rlib", "debug/deps/f%d.d", "debug/build/o%d/output",
         "debug/.fingerprint/u%d/lib", "debug/deps/sub%d/x", "n%d"]
STEPS = 200000
SLACK = 1000
SLOTS = 3  # files that stay open while other calls are made


def steps(seed):
    """The endless list of calls, each a tuple."""
    rnd = random.Random(seed)

    def name():
        return rnd.choice(NAMES) % rnd.randrange(8)

    while True:
        what = rnd.randrange(100)
        if what < 25:
            path = name()
            yield ("create", path)
            for _ in range(rnd.randrange(4)):
                yield ("write", rnd.randrange(1, 30000), rnd.randrange(1 << 30))
            yield ("close",)
        elif what < 40:
            yield ("create", "tmp%d" % rnd.randrange(3))
            yield ("write", rnd.randrange(1, 200000), rnd.randrange(1 << 30))
            yield ("close",)
            yield ("rename", "tmp%d" % rnd.randrange(3), name())
        elif what < 65:
            # mostly within a file, whose size then tells nothing
            yield ("open", name())
            for _ in range(rnd.randrange(4)):
                yield ("pwrite", rnd.randrange(20000), rnd.randrange(1, 3000),
                       rnd.randrange(1 << 30))
            yield ("close",)
        elif what < 67:
            yield ("hold", rnd.randrange(SLOTS), name())
        elif what < 75:
            yield ("into", rnd.randrange(SLOTS), rnd.randrange(20000),
                   rnd.randrange(1, 3000), rnd.randrange(1 << 30))
        elif what < 78:
            yield ("truncate", name(), rnd.randrange(30000))
        elif what < 82:
            yield ("unlink", name())
        elif what < 86:
            yield ("link", name(), name())
        elif what < 90:
            yield ("rename", name(), name())
        elif what < 95:
            yield ("exchange", name(), name())
        elif what < 99:
            yield ("fsync", name())
        elif rnd.random() < 0.3:
            yield ("sync",)


def data(length, seed):
    return random.Random(seed).randbytes(length)


class Model:
    """Names to numbers of files, numbers to bytes. A call that would fail on
    the real thing does nothing here either."""

    def __init__(self):
        self.names, self.files, self.next = {}, {}, 1
        self.fd = None  # number of a file
        self.held = [None] * SLOTS

    def in_use(self):
        return {self.fd, *self.held}

    def pwrite(self, number, at, length, seed):
        new, old = data(length, seed), self.files[number].ljust(at, b"\0")
        self.files[number] = old[:at] + new + old[at + length:]
        return number

    def step(self, s):
        """Does it; returns the number of a file changed in place, or None."""
        op, n = s[0], self.names
        if op == "create":
            if s[1] in n:
                self.files[n[s[1]]] = b""
            else:
                n[s[1]] = self.next
                self.files[self.next] = b""
                self.next += 1
            self.fd = n[s[1]]
            return self.fd
        if op == "open":
            self.fd = n.get(s[1])
        elif op == "hold":
            self.held[s[1]] = n.get(s[2])
        elif op == "write" and self.fd:
            self.files[self.fd] += data(s[1], s[2])
            return self.fd
        elif op == "pwrite" and self.fd:
            return self.pwrite(self.fd, *s[1:])
        elif op == "into" and self.held[s[1]]:
            return self.pwrite(self.held[s[1]], *s[2:])
        elif op == "close":
            self.fd = None
        elif op == "truncate" and s[1] in n:
            number = n[s[1]]
            self.files[number] = self.files[number][:s[2]].ljust(s[2], b"\0")
            return number
        elif op == "unlink":
            n.pop(s[1], None)
        elif op == "link" and s[1] in n and s[2] not in n:
            n[s[2]] = n[s[1]]
        elif op == "rename" and s[1] in n and n[s[1]] != n.get(s[2]):
            n[s[2]] = n.pop(s[1])
        elif op == "exchange" and s[1] in n and s[2] in n:
            n[s[1]], n[s[2]] = n[s[2]], n[s[1]]
        return None


class Real:
    def __init__(self):
        import ctypes
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.fd = None
        self.held = [None] * SLOTS
        for n in NAMES:
            for i in range(8):
                os.makedirs(os.path.dirname(n % i) or ".", exist_ok=True)
        self.sync()

    def sync(self):
        """Of all: plain FUSE filesystems are not told of sync and syncfs, and
        a view commits as a whole."""
        fd = os.open(".", os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)

    def step(self, s):
        """Returns true when all before is durable."""
        op = s[0]
        try:
            if op == "create":
                self.fd = os.open(s[1], os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            elif op == "open":
                self.fd = None
                self.fd = os.open(s[1], os.O_RDWR)
            elif op == "hold":
                if self.held[s[1]] is not None:
                    os.close(self.held[s[1]])
                self.held[s[1]] = None
                self.held[s[1]] = os.open(s[2], os.O_RDWR)
            elif op == "into" and self.held[s[1]] is not None:
                os.pwrite(self.held[s[1]], data(s[3], s[4]), s[2])
            elif op == "write" and self.fd is not None:
                os.write(self.fd, data(s[1], s[2]))
            elif op == "pwrite" and self.fd is not None:
                os.pwrite(self.fd, data(s[2], s[3]), s[1])
            elif op == "close" and self.fd is not None:
                os.close(self.fd)
                self.fd = None
            elif op == "truncate":
                os.truncate(s[1], s[2])
            elif op == "unlink":
                os.unlink(s[1])
            elif op == "link":
                os.link(s[1], s[2])
            elif op == "rename":
                os.rename(s[1], s[2])
            elif op == "exchange":
                self.libc.renameat2(-100, s[1].encode(), -100, s[2].encode(), 2)
            elif op == "sync":
                self.sync()
                return True
            elif op == "fsync":
                fd = os.open(s[1], os.O_RDONLY)
                os.fsync(fd)
                os.close(fd)
        except (FileNotFoundError, FileExistsError):
            pass
        return False


def run(seed, top, counter):
    with open(counter, "r+b") as f:
        shared = mmap.mmap(f.fileno(), 16)
    os.chdir(top)
    real = Real()
    struct.pack_into("qq", shared, 0, 0, 0)
    for i, s in enumerate(steps(seed)):
        struct.pack_into("q", shared, 0, i + 1)  # begun
        try:
            if real.step(s):
                struct.pack_into("q", shared, 8, i + 1)
        except OSError:
            return  # the daemon is gone
        if i == STEPS:
            return


def observed(top):
    out = {}
    for d, _, files in os.walk(top):
        for n in files:
            path = os.path.join(d, n)
            with open(path, "rb") as f:
                out[os.path.relpath(path, top)] = f.read()
    return out


def difference(got, want):
    same = next((i for i in range(min(len(got), len(want)))
                 if got[i] != want[i]), min(len(got), len(want)))
    text = "%d bytes, not %d, equal up to %d" % (len(got), len(want), same)
    zeros = len(got) - same - len(got[same:].lstrip(b"\0"))
    return text + (", then %d zeros" % zeros if zeros > 8 else "")


def compare(model, last, k, found, drops):
    """What keeps this prefix from being what was found: a list."""
    why = []
    flux = {n for n, i in last.items() if drops and i >= k - SLACK}
    for name, got in found.items():
        if name not in model.names:
            why.append("%s is there and was not" % name)
            continue
        want = model.files[model.names[name]]
        if got != want and not (model.names[name] in flux and
                                not name.startswith("debug/")):
            why.append("%s (file %d) has %s%s" % (
                name, model.names[name], difference(got, want),
                ", in flux" if model.names[name] in flux else ""))
    for name, number in model.names.items():
        if name not in found and number not in flux:
            why.append("%s is gone (a file last open for writing at call %d)"
                       % (name, last.get(number, -1)))
    return why


def check(seed, top, counter, drops):
    with open(counter, "rb") as f:
        made, synced = struct.unpack("qq", f.read(16))
    calls = []
    for s in steps(seed):
        if len(calls) == made:
            break
        calls.append(s)
    # when each file was last changed in place, or open to be written
    model, last = Model(), {}
    for i, s in enumerate(calls):
        for number in model.in_use() | {model.step(s)} | model.in_use():
            last[number] = i
    found = observed(top)
    model, why = Model(), {}
    for k in range(made + 1):
        if k >= synced:
            reason = compare(model, last, k, found, drops)
            if not reason:
                print("%d calls made, %d synced, %d found" % (made, synced, k))
                return 0
            why[k] = reason
        if k < made:
            model.step(calls[k])
    print("%d calls made, %d synced; the view is no prefix" % (made, synced))
    print("the nearest are:")
    best, before = min(len(w) for w in why.values()), None
    for k in sorted(why):
        if len(why[k]) == best and why[k] != before:
            print("call %d, %r; but:" % (k, calls[k - 1:k]))
            print("  " + "\n  ".join(why[k][:10]))
            before = why[k]
    return 1


def main():
    cmd, seed, top, counter = sys.argv[1:5]
    if cmd == "run":
        run(int(seed), top, counter)
    else:
        sys.exit(check(int(seed), top, counter, "drops" in sys.argv[5:]))


main()
