#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random trees, and what is in them.

tree.py make SEED DIR [FILES]   all kinds of files, links, holes, attributes
tree.py edit SEED DIR           random changes to what is there
tree.py list DIR                one line for each name, sorted: every stat
                                field but atime (of directories: size too),
                                link groups, attributes, digest of the bytes,
                                where holes are
tree.py compare LIST LIST [FIELD...]
                                says what differs, but in these fields; exit
                                status 1 if anything
"""
import hashlib
import json
import os
import random
import stat
import sys

PLACES = [
    "debug/.fingerprint/%s-%016x",
    "debug/deps",
    "debug/build/%s-%016x",
    "debug/build/%s-%016x/out",
    "debug/incremental/%s-1abc/s-%x-working",
    "debug/build/%s/%016x/out",
    "other/%s/%x",
]
NAMES = [
    "lib%s", "dep-lib-%s", "lib-%s.json", "lib%s-%016x.rlib",
    "%s-%016x.d", "%s-%016x", "output", "root-output", "invoked.timestamp",
    "%s", "%s with blanks", "%s\n\xff\xfe",
]


def encode(name):
    return name.encode("latin-1")


def fill(name, number):
    if "%x" in name or "%016x" in name:
        return name % (NOUNS[number % len(NOUNS)], number)
    if "%s" in name:
        return name % NOUNS[number % len(NOUNS)] + "%d" % (number % 50)
    return name


NOUNS = ["serde", "libc", "a", "long_" * 12, "x" * 200]


def random_size(rnd):
    return rnd.choice([
        0, 1, 16, 100, 4095, 4096, 4097, 65535, 65536, 65537,
        rnd.randrange(3000), rnd.randrange(3000), rnd.randrange(20000),
        rnd.randrange(200000), rnd.randrange(1 << 20),
    ])


def write_file(rnd, path):
    size = random_size(rnd)
    with open(path, "wb") as f:
        if rnd.random() < 0.1:
            f.truncate(size + 100000)
            f.seek(rnd.randrange(size + 100000))
        data = rnd.randbytes(size) if rnd.random() < 0.8 else b"same" * 2000
        at = 0
        while at < len(data):
            n = rnd.choice([len(data), 4096, 700])
            f.write(data[at:at + n])
            at += n


def dress(rnd, path):
    """Modes, times and attributes."""
    link = os.path.islink(path)
    plain = not link and (os.path.isfile(path) or os.path.isdir(path))
    if plain and rnd.random() < 0.2 and XATTRS:
        for i in range(rnd.randrange(1, 4)):
            os.setxattr(path, b"user.k%d" % i, rnd.randbytes(i * 30))
    if not link and rnd.random() < 0.3:
        mode = rnd.choice([0o600, 0o644, 0o755, 0o444, 0o700, 0o4, 0o1755])
        if os.path.isdir(path):
            mode |= 0o700
        os.chmod(path, mode)
    if rnd.random() < 0.4:
        ns = rnd.randrange(0, 2 * 10**18)
        os.utime(path, ns=(ns, rnd.randrange(0, 2 * 10**18)),
                 follow_symlinks=False)
    if os.geteuid() == 0 and OWNERS and rnd.random() < 0.1:
        os.chown(path, rnd.randrange(70000), rnd.randrange(70000),
                 follow_symlinks=False)


XATTRS = OWNERS = True


def probe(top):
    """What this filesystem and this user can do."""
    global XATTRS, OWNERS
    path = os.path.join(top, b".probe")
    open(path, "w").close()
    try:
        os.setxattr(path, b"user.x", b"")
    except OSError:
        XATTRS = False
    try:
        os.chown(path, 12345, 12345)
    except OSError:
        OWNERS = False
    os.unlink(path)


def make_one(rnd, directory, number, files):
    path = os.path.join(directory, encode(fill(rnd.choice(NAMES), number)))
    if os.path.lexists(path):
        return
    kind = rnd.random()
    if kind < 0.75 or not files:
        write_file(rnd, path)
        files.append(path)
    elif kind < 0.85:
        os.link(rnd.choice(files), path)
        files.append(path)
    elif kind < 0.92:
        os.symlink(b"t" * rnd.randrange(1, 300), path)
    elif kind < 0.96:
        os.mkfifo(path, 0o640)
    else:
        os.mkdir(path)
    dress(rnd, path)


def make(seed, top, count):
    rnd = random.Random(seed)
    files = []
    probe(top)
    dirs = []
    for i in range(max(3, count // 12)):
        place = fill(rnd.choice(PLACES), rnd.randrange(40))
        d = os.path.join(top, encode(place))
        os.makedirs(d, exist_ok=True)
        dirs.append(d)
    for i in range(count):
        make_one(rnd, rnd.choice(dirs), i, files)
    for d in dirs:
        if rnd.random() < 0.5:
            dress(rnd, d)


def edit(seed, top):
    rnd = random.Random(seed)
    probe(top)
    names = [n for n in walk(top) if n != b"."]
    rnd.shuffle(names)
    files = [os.path.join(top, n) for n in names
             if stat.S_ISREG(os.lstat(os.path.join(top, n)).st_mode)]
    for i, path in enumerate(files[:len(files) * 2 // 3]):
        if not os.path.lexists(path):
            continue
        os.chmod(path, 0o644)
        what = rnd.randrange(9)
        if what == 0:
            write_file(rnd, path)
        elif what == 1:
            with open(path, "ab") as f:
                f.write(rnd.randbytes(rnd.randrange(5000)))
        elif what == 2:
            with open(path, "r+b") as f:
                f.seek(rnd.randrange(100000))
                f.write(rnd.randbytes(100))
        elif what == 3:
            os.truncate(path, rnd.randrange(70000))
        elif what == 4:
            os.unlink(path)
            continue
        elif what == 5:
            os.rename(path, rnd.choice(files[len(files) * 2 // 3:] + [path]))
            continue
        elif what == 6:
            if not os.path.lexists(path[:-3] + b".%d" % i):
                os.link(path, path[:-3] + b".%d" % i)
        elif what == 7:
            os.rename(path, path + b"2" if len(path) < 200 else path)
            continue
        dress(rnd, path)
    for n in names:
        path = os.path.join(top, n)
        if os.path.isdir(path) and rnd.random() < 0.1:
            os.rename(path, path + b".moved")


def walk(top):
    rels = [b"."]
    for d, dirs, files in os.walk(top):
        rels += [os.path.relpath(os.path.join(d, n), top) for n in dirs + files]
    return sorted(rels)


def holes(fd, size):
    out, off = [], 0
    while off < size:
        try:
            data = os.lseek(fd, off, os.SEEK_DATA)
        except OSError:
            break
        off = os.lseek(fd, data, os.SEEK_HOLE)
        out.append([data, off])
    return out


def describe(path, first, rel):
    st = os.lstat(path)
    what = {
        "mode": oct(st.st_mode), "ino": st.st_ino, "nlink": st.st_nlink,
        "uid": st.st_uid, "gid": st.st_gid, "mtime": st.st_mtime_ns,
        "ctime": st.st_ctime_ns,
        "same as": first.setdefault(st.st_ino, rel).decode("latin-1"),
    }
    if not stat.S_ISLNK(st.st_mode) and os.access(path, os.R_OK):
        what["attributes"] = sorted(
            (n, os.getxattr(path, n).hex()) for n in os.listxattr(path)
            if n.startswith("user."))
    if stat.S_ISLNK(st.st_mode):
        what["target"] = os.readlink(path).decode("latin-1")
    if stat.S_ISREG(st.st_mode):
        what["size"] = st.st_size
        if not os.access(path, os.R_OK):
            return what
        with open(path, "rb") as f:
            what["bytes"] = hashlib.sha256(f.read()).hexdigest()
            if st.st_size > 50000:
                what["extents"] = holes(f.fileno(), st.st_size)
    return what


def compare(a, b, *ignored):
    def load(path):
        with open(path) as f:
            found = dict(json.loads(line) for line in f)
        for entry in found.values():
            for field in ignored:
                entry.pop(field, None)
        return found
    a, b = load(a), load(b)
    bad = 0
    for name in sorted(a.keys() | b.keys()):
        if name not in a or name not in b:
            diff = "is %s" % ("new" if name in b else "gone")
        else:
            diff = ", ".join("%s was %s, is %s" % (k, a[name].get(k),
                                                   b[name].get(k))
                             for k in a[name].keys() | b[name].keys()
                             if a[name].get(k) != b[name].get(k))
        if diff:
            bad += 1
            if bad <= 10:
                print("%r: %s" % (name, diff))
    print("%d names, %d differ" % (len(a), bad))
    return bad != 0


def main():
    cmd, args = sys.argv[1], sys.argv[2:]
    if cmd == "make":
        make(int(args[0]), os.fsencode(args[1]),
             int(args[2]) if len(args) > 2 else 400)
    elif cmd == "edit":
        edit(int(args[0]), os.fsencode(args[1]))
    elif cmd == "list":
        first, top = {}, os.fsencode(args[0])
        for rel in walk(top):
            print(json.dumps([rel.decode("latin-1"),
                              describe(os.path.join(top, rel), first, rel)],
                             sort_keys=True))
    elif cmd == "compare":
        sys.exit(compare(*args))


main()
