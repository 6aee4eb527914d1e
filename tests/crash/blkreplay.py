#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the disk of blklog.c could hold had the power gone at some moment.

blkreplay.py LOG cuts [--every flush|write|mark] [--max N] [--seed S]
        numbers of records to cut behind, one a line
blkreplay.py LOG marks CUT
        the marks before the cut, one a line
blkreplay.py LOG replay BASE OUT CUT [--lose SEED]
        writes to OUT the image BASE with all records before the cut. With
        --lose, what was written since the last flush may be lost, each write
        by itself, and some kept ones are torn at 4 KiB: a disk's volatile
        cache.
"""
import argparse
import random
import struct
import subprocess

HEADER = struct.Struct("<IIQQ")
WRITE, FLUSH, DISCARD, MARK = 1, 2, 3, 4
KINDS = {"write": WRITE, "flush": FLUSH, "discard": DISCARD, "mark": MARK}


def records(path):
    """(number, type, offset, length, position of the data in the log)"""
    with open(path, "rb") as f:
        number = 0
        while True:
            header = f.read(HEADER.size)
            if len(header) < HEADER.size:
                return
            magic, kind, off, length = HEADER.unpack(header)
            assert magic == 0x474F4C42, number
            yield number, kind, off, length, f.tell()
            if kind in (WRITE, MARK):
                f.seek(length, 1)
            number += 1


def cuts(args):
    found = [n + 1 for n, kind, *_ in records(args.log)
             if kind == KINDS[args.every]]
    if args.max and len(found) > args.max:
        found = sorted(random.Random(args.seed).sample(found, args.max))
    print(*found, sep="\n")


def marks(args):
    with open(args.log, "rb") as f:
        for n, kind, _, length, at in records(args.log):
            if n >= int(args.rest[0]):
                break
            if kind == MARK:
                f.seek(at)
                print(f.read(length).decode().strip())


def replay(args):
    base, out, cut = args.rest[0], args.rest[1], int(args.rest[2])
    kept = [r for r in records(args.log) if r[0] < cut]
    last_flush = max((r[0] for r in kept if r[1] == FLUSH), default=-1)
    rnd = random.Random(args.lose)
    subprocess.run(["cp", "--sparse=always", base, out], check=True)
    lost = 0
    with open(args.log, "rb") as log, open(out, "r+b") as disk:
        for number, kind, off, length, at in kept:
            if kind not in (WRITE, DISCARD):
                continue
            n = length
            if args.lose is not None and number > last_flush:
                if rnd.random() < 0.5:
                    lost += 1
                    continue
                if kind == WRITE and n > 4096 and rnd.random() < 0.3:
                    n = rnd.randrange(1, n // 4096 + 1) * 4096
            disk.seek(off)
            if kind == WRITE:
                log.seek(at)
                disk.write(log.read(n))
            while kind == DISCARD and n > 0:
                disk.write(bytes(min(n, 1 << 20)))
                n -= 1 << 20
    print("cut %d, last flush %d, lost %d" % (cut, last_flush, lost))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("log")
    p.add_argument("command", choices=["cuts", "marks", "replay"])
    p.add_argument("rest", nargs="*")
    p.add_argument("--every", default="flush", choices=KINDS)
    p.add_argument("--max", type=int, default=0)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--lose", type=int)
    args = p.parse_args()
    {"cuts": cuts, "marks": marks, "replay": replay}[args.command](args)


main()
