#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lists a tree with all that an import has to keep, one entry a line: path,
type and mode, owner, size, mtime in ns, the first path of the same inode, the
target of a symbolic link, user.* attributes, the digest of the bytes, and
where the data begins and the holes are (for sparse files).

tree.py DIR > LIST; two equal trees have equal lists.
"""
import hashlib
import os
import stat
import sys


def extents(fd, size):
    out, off = [], 0
    while off < size:
        try:
            data = os.lseek(fd, off, os.SEEK_DATA)
        except OSError:
            break
        hole = os.lseek(fd, data, os.SEEK_HOLE)
        out.append((data, hole))
        off = hole
    return out


def attributes(path):
    names = [n for n in os.listxattr(path) if n.startswith("user.")]
    return sorted((n, os.getxattr(path, n)) for n in names)


def describe(path, rel, first):
    st = os.lstat(path)
    what = [rel, oct(st.st_mode), st.st_uid, st.st_gid]
    if stat.S_ISLNK(st.st_mode):
        what += [st.st_mtime_ns, os.readlink(path)]
    elif stat.S_ISREG(st.st_mode):
        what += [st.st_size, st.st_mtime_ns, st.st_nlink]
        what += [first.setdefault(st.st_ino, rel), attributes(path)]
        with open(path, "rb") as f:
            digest = hashlib.sha256()
            while block := f.read(1 << 20):
                digest.update(block)
            what.append(digest.hexdigest())
            if "--extents" in sys.argv:
                what.append(extents(f.fileno(), st.st_size))
    elif stat.S_ISDIR(st.st_mode):
        what += [st.st_mtime_ns, attributes(path)]
    else:
        what += [st.st_mtime_ns]
    return what


def main():
    top = os.fsencode(sys.argv[1])
    first = {}
    rels = [b"."]
    for d, dirs, files in os.walk(top):
        rels += [os.path.relpath(os.path.join(d, n), top) for n in dirs + files]
    for rel in sorted(rels):
        print(*(repr(w) for w in describe(os.path.join(top, rel), rel, first)))


main()
