#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# An editor's language server looks at the view while cargo builds in it: one
# reader walks it, reads and maps everything, over and over; a second cargo
# checks into a directory of its own below it and into cargo's own. Nobody may
# see an error but that a file has gone, nor bytes that change in a file that
# is never written twice; the builds are as without them.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
TIMEOUT=${LONG:+1200}
TIMEOUT=${TIMEOUT:-600}
ROUNDS=${LONG:+25}
ROUNDS=${ROUNDS:-4}

# Reads until the file "stop" is there. A library's or a program's descriptor
# gives the same bytes by read and by mapping, and its name a size and a time
# that belong together.
reader() {
	python3 - "$MNT" "$W/stop" <<-'TXT'
		import hashlib, mmap, os, stat, sys
		top, stop = sys.argv[1:]
		gone = (FileNotFoundError, NotADirectoryError)
		seen, rounds, reads = {}, 0, 0
		def once(path):
		    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
		    try:
		        before = os.fstat(fd)
		        data = b""
		        while True:
		            got = os.read(fd, 1 << 20)
		            if not got:
		                break
		            data += got
		        # What comes by rename is not cut short below a mapping.
		        mapped = data
		        if data and path.endswith((".rlib", ".rmeta")):
		            with mmap.mmap(fd, 0, prot=mmap.PROT_READ) as m:
		                mapped = bytes(m)
		        after = os.fstat(fd)
		    finally:
		        os.close(fd)
		    key = (before.st_ino, before.st_size, before.st_mtime_ns)
		    if key != (after.st_ino, after.st_size, after.st_mtime_ns):
		        return
		    if path.endswith((".rlib", ".rmeta")):
		        assert data == mapped, (path, "read and mapping differ")
		        assert len(data) == before.st_size, (path, len(data), before.st_size)
		        digest = hashlib.sha256(data).digest()
		        assert seen.setdefault(key, digest) == digest, (path, "other bytes, same time")
		while not os.path.exists(stop):
		    rounds += 1
		    for d, dirs, files in os.walk(top):
		        assert len(set(files)) == len(files), (d, "listed twice")
		        for n in files:
		            try:
		                st = os.lstat(os.path.join(d, n))
		                if stat.S_ISREG(st.st_mode):
		                    once(os.path.join(d, n))
		                    reads += 1
		            except gone:
		                pass
		print("# the reader read %d files in %d rounds" % (reads, rounds))
		assert reads > 100
	TXT
}

# As a language server runs cargo after each change that is saved.
checker() { # ARG...
	local n=0 json=$W/check.$BASHPID.json
	while [ ! -e "$W/stop" ]; do
		cargo check -q --workspace --all-targets --keep-going \
			--message-format=json "$@" >"$json" || return
		jq -es 'all(.[]; .reason != null)' "$json" >/dev/null || return
		n=$((n + 1))
	done
	say "$n checks with '$*'"
}

body() {
	local i pids=()
	own_cargo_home
	project "$W/ws" || { nok "make the project" && return; }
	cd "$W/ws" || return
	mount_view || { nok "mount" && return; }
	check "the first build" cargo build
	reader >"$W/reader.out" 2>&1 &
	pids+=("$!")
	checker >"$W/checker1.out" 2>&1 &
	pids+=("$!")
	checker --target-dir target/rust-analyzer >"$W/checker2.out" 2>&1 &
	pids+=("$!")
	for ((i = 1; i <= ROUNDS; i++)); do
		echo "// $i" >>core_m/src/inner.rs
		echo $((i + 7)) >bs_rerun/data.txt
		check "build $i under their eyes" cargo build --all-targets
		is "$(target/debug/leaf | cut -d' ' -f3)" $((42 + i + 7)) \
			"the program is that of edit $i"
	done
	touch "$W/stop"
	for i in reader checker1 checker2; do
		if wait "${pids[0]}"; then ok "$i saw nothing wrong"; else
			nok "$i saw nothing wrong" "$(tail -n 5 "$W/$i.out")"
		fi
		grep '^# ' "$W/$i.out"
		pids=("${pids[@]:1}")
	done
	fresh "nothing to do afterwards" build --all-targets
	cd "$W" || return
	check "unmounts" umount_view
	fsck_store "the store is clean"
}

run() {
	need cc jq python3
	cargo_env
	no_registry_crates
	MODES=${LONG:+$(modes_here)}
	MODES=${MODES:-default neither}
	for_modes body
}
test_main "$@"
