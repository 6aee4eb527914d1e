#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The tools that people and build scripts let loose on a target directory, on
# a view: cp, rsync, tar, mv, find, git, sqlite, cc, ar, strip, every linker.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
TIMEOUT=300
TREE=$TESTS/fuse/tree.py

list() { python3 "$TREE" list "$1" >"$2"; }

# arrived NAME DIR: as the tree it was copied from, but for what cannot be
arrived() {
	list "$2" "$W/arrived" || { nok "$1" && return; }
	check "$1" python3 "$TREE" compare "$W/original" "$W/arrived" \
		ino ctime "same as" extents
}

copies() {
	mkdir -p "$W/src"
	python3 "$TREE" make 3 "$W/src" 300 || nok "make a tree"
	touch -d @1000000000 "$W/src"
	list "$W/src" "$W/original"
	check "cp -a" cp -a "$W/src" "$MNT/cp"
	arrived "what cp -a copied" "$MNT/cp"
	mkdir "$MNT/tar"
	check "tar" sh -c "tar -C '$W/src' --xattrs -cf - . |
		tar -C '$MNT/tar' --xattrs -xpf -"
	arrived "what tar extracted" "$MNT/tar"
	if wants "rsync" rsync; then
		# It sets no time that is right to the second.
		sleep 1.1
		check "rsync" rsync -aHX --sparse "$W/src/" "$MNT/rsync"
		arrived "what rsync copied" "$MNT/rsync"
		check "rsync again" sh -c \
			"test -z \"\$(rsync -aHXi '$W/src/' '$MNT/rsync' | grep '^>f')\""
	fi
	check "mv within the view" mv "$MNT/cp" "$MNT/moved"
	arrived "what was moved" "$MNT/moved"
	check "cp -a within the view" cp -a "$MNT/moved" "$MNT/again"
	arrived "what was copied within" "$MNT/again"
	check "mv out of the view" mv "$MNT/again" "$W/out"
	arrived "what was moved out" "$W/out"
	check "find -delete" find "$MNT/tar" -delete
	check "rm -rf" rm -rf "$MNT/moved" "$MNT/rsync" "$W/out"
	is "$(ls "$MNT")" "" "nothing is left"
}

versions() {
	wants "git" git || return
	local g=(git -c user.name=t -c user.email=t -c gc.auto=0)
	check "git init" git init -q -b main "$MNT/repo"
	cd "$MNT/repo" || return
	for i in 1 2 3; do
		head -c 100000 /dev/urandom | base64 >"file$i"
		mkdir -p "d$i" && echo "$i" >"d$i/f"
		"${g[@]}" add -A
		check "git commit $i" "${g[@]}" commit -qm "commit $i"
	done
	check "git checkout of another commit" "${g[@]}" checkout -q HEAD~1
	check "git checkout back" "${g[@]}" checkout -q main
	check "git gc" "${g[@]}" gc -q
	check "git fsck" "${g[@]}" fsck --strict
	is "$("${g[@]}" status --porcelain)" "" "git status is clean"
	check "git clone" git clone -q "$MNT/repo" "$MNT/clone"
	check "git worktree" "${g[@]}" worktree add -q "$MNT/worktree" HEAD~2
	cd "$W" || return
	rm -rf "$MNT/repo" "$MNT/clone" "$MNT/worktree"
}

# sqlite in WAL mode maps a file shared between processes and locks ranges.
databases() {
	check "sqlite in WAL mode, four processes" python3 - "$MNT" <<-'TXT'
		import multiprocessing, os, sqlite3, sys
		path = sys.argv[1] + "/db.sqlite"
		def connect():
		    c = sqlite3.connect(path, timeout=60, isolation_level=None)
		    c.execute("pragma journal_mode=wal")
		    return c
		def work(n):
		    c = connect()
		    for i in range(100):
		        c.execute("begin immediate")
		        c.execute("insert into t values(?, ?)", (n, i))
		        c.execute("update sum set n = n + 1")
		        c.execute("commit")
		c = connect()
		c.execute("create table t(a, b)")
		c.execute("create table sum(n)")
		c.execute("insert into sum values(0)")
		c.close()
		ps = [multiprocessing.Process(target=work, args=(n,)) for n in range(4)]
		[p.start() for p in ps]
		[p.join() for p in ps]
		c = connect()
		assert c.execute("select n from sum").fetchone()[0] == 400
		assert c.execute("select count(*) from t").fetchone()[0] == 400
		assert c.execute("pragma integrity_check").fetchone()[0] == "ok"
	TXT
}

compilers() {
	local l p
	wants "compilers" "${CC:-cc}" || return
	mkdir -p "$MNT/c/out"
	cd "$MNT/c" || return
	echo 'int answer(void) { return 42; }' >answer.c
	echo 'int answer(void); int main(void) { return answer() - 42; }' >main.c
	check "cc -c" cc -g -O1 -ffunction-sections -c answer.c main.c
	check "ar" ar crs libanswer.a answer.o
	check "ar again" ar crs libanswer.a answer.o main.o
	check "ranlib" ranlib libanswer.a
	check "cc -shared" cc -shared -fPIC -o libanswer.so answer.c
	for l in bfd gold lld mold; do
		wants "ld.$l" "ld.$l" || continue
		p=out/prog.$l
		check "ld.$l" cc "-fuse-ld=$l" -o "$p" main.o answer.o
		check "what ld.$l linked runs" "$p"
		check "ld.$l over a program that was there" \
			cc "-fuse-ld=$l" -o "$p" main.o answer.o
		check "strip" strip "$p"
		check "objcopy" objcopy --only-keep-debug main.o "$p.debug"
		check "it runs still" "$p"
	done
	check "install" install -m 755 out/prog.bfd out/installed
	check "what was installed runs" out/installed
	check "a program that loads a library" sh -c \
		"cc -o out/dyn main.c -L. -lanswer && LD_LIBRARY_PATH=. out/dyn"
	cd "$W" || return
}

body() {
	mount_view || { nok "mount" && return; }
	copies
	versions
	databases
	compilers
	check "unmounts" umount_view
	mount_view || nok "mounts again"
	is "$("$MNT/c/out/installed" && echo runs)" runs "a program of the last mount"
	check "unmounts again" umount_view
	fsck_store "the store is clean"
}

run() {
	need python3 jq
	MODES=${LONG:+$(modes_here)}
	MODES=${MODES:-default neither}
	for_modes body
}
test_main "$@"
