#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What the kernel asks the daemon, and what it must not have to ask: each mode
# has what it should have (io_uring, passthrough), data goes past the daemon,
# what was looked up once is known, a write does not cost an xattr request.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
TIMEOUT=300

stats() { "$TARGETFS" stats --store "$(store_dir)" --json; }
has_feature() { stats | jq -e --arg f "$1" '.views[0].features | index($f)' >/dev/null; }

# asked NAME MAXIMUM REQUESTS COMMAND...: the command makes at most so many
# requests of these kinds (comma separated; all: any)
asked() {
	local name=$1 max=$2 kinds=$3 before after n
	shift 3
	before=$(count "$kinds")
	"$@" >"$W/asked.out" 2>&1 || nok "$name: the command" "$(tail -n 3 "$W/asked.out")"
	after=$(count "$kinds")
	n=$((after - before))
	if [ "$n" -le "$max" ]; then
		ok "$name ($n requests)"
	else
		nok "$name" "$n requests of '$kinds', at most $max expected" \
			"$(stats | jq -c .requests)"
	fi
}
count() {
	if [ "$1" = all ]; then
		stats | jq '[.requests | to_entries[] | select(.key != "forget") | .value] | add'
	else
		stats | jq --arg k "$1" '.requests as $r | [$k | split(",")[] | $r[.] // error(.)] | add'
	fi
}

features() {
	local passthrough=no uring=no
	"$TARGETFS" version --json | jq -e '.active_here | index("passthrough")' >/dev/null &&
		passthrough=yes
	"$TARGETFS" version --json | jq -e '.active_here | index("io_uring")' >/dev/null &&
		uring=yes
	case $MODE in
	nouring) uring=no ;;
	nopassthrough) passthrough=no ;;
	neither) passthrough=no uring=no ;;
	esac
	is "$(has_feature passthrough && echo yes || echo no)" "$passthrough" \
		"passthrough is on: $passthrough"
	is "$(has_feature io_uring && echo yes || echo no)" "$uring" \
		"io_uring is on: $uring"
}

written() {
	python3 - "$MNT/$1" <<-'TXT'
		import os, sys
		fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o644)
		for i in range(500):
		    os.write(fd, b"x" * 10000)
		os.lseek(fd, 0, 0)
		while os.read(fd, 65536):
		    pass
		os.close(fd)
	TXT
}

mapped() {
	python3 - "$MNT/$1" <<-'TXT'
		import mmap, os, sys
		fd = os.open(sys.argv[1], os.O_RDWR)
		m = mmap.mmap(fd, 0)
		for i in range(0, len(m), 4096):
		    m[i] = 7
		m.flush()
	TXT
}

read_again() { cat "$MNT"/small/* >/dev/null; }
stat_all() { find "$MNT/small" -printf '%s %T@ %i\n'; }
look_in_vain() {
	local i
	for i in 1 2 3 4 5; do
		[ ! -e "$MNT/small/none" ]
		[ ! -e "$MNT/small/none.$i" ]
	done
}

create_and_look() {
	python3 - "$MNT/debug/deps" <<-'TXT'
		import os, sys
		for i in range(100):
		    path = "%s/f%d" % (sys.argv[1], i)
		    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644))
		    os.link(path, path + ".link")
		    os.unlink(path)
	TXT
}

as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@" 2>/dev/null; }

# Where root is alone nothing checks permissions, so that no change in a
# directory has its attributes asked for again; what root may not do it may
# not do here either.
alone() {
	[ "$(id -u)" = 0 ] || return
	mount_view "$W/alone/target" -o noallow_other || { nok "mount" && return; }
	mkdir -p "$MNT/debug/deps"
	asked "no attributes asked for by changes in a directory" 10 getattr \
		create_and_look
	printf '#!/bin/sh\necho ran\n' >"$MNT/script"
	chmod 644 "$MNT/script"
	check "root may read, write and search" python3 -c '
import os, sys
assert os.access(sys.argv[1], os.R_OK | os.W_OK)
assert os.access(os.path.dirname(sys.argv[1]), os.X_OK)
' "$MNT/script"
	is "$([ -x "$MNT/script" ] && echo yes || echo no)" no \
		"what nobody may execute, root may not"
	is "$("$MNT/script" 2>/dev/null)" "" "and cannot"
	chmod 100 "$MNT/script"
	is "$([ -x "$MNT/script" ] && "$MNT/script")" ran "what one may, root may"
	mkdir -m 0 "$MNT/shut"
	check "no bits of a directory stop root" touch "$MNT/shut/file"
	[ "$MODE" = userns ] ||
		is "$(as_nobody ls "$MNT" && echo in)" "" "others are kept out"
	check "unmounts" umount_view
}

body() {
	local i
	mount_view || { nok "mount" && return; }
	features
	mkdir -p "$MNT/debug/deps" "$MNT/small"
	asked "500 writes ask for one attribute at most" 2 xattr \
		written debug/deps/libx-0123456789abcdef.rlib
	if has_feature passthrough; then
		asked "data goes past the daemon" 0 read,write \
			written debug/deps/liby-0123456789abcdef.rlib
		asked "so does a mapping" 0 read,write \
			mapped debug/deps/liby-0123456789abcdef.rlib
	fi
	for ((i = 0; i < 200; i++)); do
		head -c 2000 /dev/zero >"$MNT/small/f$i"
	done
	stat_all >/dev/null
	read_again
	asked "200 files looked at again" 40 all stat_all
	asked "200 small files read again: open, release, no read" 0 \
		read,lookup read_again
	asked "the same, in all" 480 all read_again
	look_in_vain
	asked "what is not there is known not to be" 0 lookup look_in_vain
	check "unmounts" umount_view
	fsck_store "the store is clean"
}

run() {
	[ -z "$PLAIN" ] || skip_all "of a view only"
	need jq python3
	for_modes body
	for_modes alone
}
test_main "$@"
