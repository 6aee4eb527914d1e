#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# check-layers.sh [ROOT]: the arrows of includes, in TAP.
#
#	tools -> fs -> store -> store/base
#	fs/cargo -> store/base
#
# libfuse is included in fs/ alone (not in fs/cargo/), LMDB in store/index*
# alone, and nothing of tests/ anywhere else. Project headers are named from
# the root: "store/digest.h". Without ROOT, the checker is also run on small
# trees that break each rule, to show that it can say no.
set -euo pipefail

root=${1:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)}

# violations ROOT DIR: one line for each include of DIR that breaks a rule.
violations() (
	cd "$1"
	[ -d "$2" ] || exit 0
	# shellcheck disable=SC2016 # awk's variables
	find "$2" -name '*.[ch]' -print0 | sort -z | xargs -0 -r awk '
	function layer(path) {
		if (path ~ /^store\/base\//) return "base"
		if (path ~ /^fs\/cargo\//) return "cargo"
		sub(/\/.*/, "", path)
		return path
	}
	function bad(why) {
		printf "%s:%d: %s: %s\n", FILENAME, FNR, name, why
	}
	BEGIN {
		may["tools"] = " tools fs cargo store base "
		may["fs"] = " fs cargo store base "
		may["cargo"] = " cargo base "
		may["store"] = " store base "
		may["base"] = " base "
	}
	!/^[ \t]*#[ \t]*include/ { next }
	{
		name = $0
		sub(/^[ \t]*#[ \t]*include[ \t]*/, "", name)
		from = layer(FILENAME)
		if (name !~ /^(<[^>]*>|"[^"]*")/) {
			bad("not a plain include")
			next
		}
		quoted = name ~ /^"/
		name = substr(name, 2)
		sub(/[>"].*/, "", name)
		if (name ~ /^\.\.?\// || name ~ /\/\.\.?\//)
			bad("name it from the root")
		else if (name ~ /^(tools|fs|store|tests)\//) {
			to = layer(name)
			if (!quoted)
				bad("use quotes for our own headers")
			if (index(may[from], " " to " ") == 0)
				bad("an arrow from " from " to " to)
		} else if (quoted && name != "config.h")
			bad("name it from the root, or use <>")
		else if (name ~ /^lmdb\.h$/ && FILENAME !~ /^store\/index[^\/]*$/)
			bad("only store/index* knows LMDB")
		else if (name ~ /^(fuse3?\/)?(fuse|cuse)[a-z0-9_]*\.h$/ && from != "fs")
			bad("only fs/ knows libfuse")
	}'
)

number=0 failures=0

# result STATUS NAME [DETAILS]
result() {
	number=$((number + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $number - $2"
	else
		echo "not ok $number - $2"
		failures=$((failures + 1))
		[ -z "${3:-}" ] || printf '# %s\n' "${3//$'\n'/$'\n'# }"
	fi
}

check_dir() {
	local found
	found=$(violations "$root" "$1")
	if [ -z "$found" ]; then result 0 "includes of $1/"; else result 1 "includes of $1/" "$found"; fi
}

# control FILE LINE: a tree with this one line in this one file.
scratch=
control() {
	local found wanted=$1 file=$2 line=$3 r=0
	rm -rf "$scratch/t"
	mkdir -p "$scratch/t/$(dirname "$file")"
	printf '/* x */\n%s\n' "$line" >"$scratch/t/$file"
	found=$(violations "$scratch/t" "${file%%/*}")
	case $wanted/$found in
	refused/*"$file:2:"* | accepted/) ;;
	*) r=1 ;;
	esac
	result $r "$wanted: ${line#\#} in $file" "$found"
}

check_dir store
check_dir fs
check_dir tools

if [ $# -eq 0 ]; then
	scratch=$(mktemp -d "${TMPDIR:-/tmp}/check-layers.XXXXXX")
	trap 'rm -rf "$scratch"' EXIT
	while read -r wanted file line; do
		control "$wanted" "$file" "$line"
	done <<-'CONTROLS'
	refused store/base/buf.c #include "store/digest.h"
	refused store/base/buf.c #include "fs/inode.h"
	refused store/blob.c #include "fs/inode.h"
	refused store/blob.c #include "tools/table.h"
	refused store/blob.c #include "fs/cargo/layout.h"
	refused store/blob.c #include <fuse_lowlevel.h>
	refused store/blob.h # include <fuse3/fuse.h>
	refused store/blob.c #include <lmdb.h>
	refused store/blob.c #include "digest.h"
	refused store/blob.c #include "../fs/inode.h"
	refused store/blob.c #include <store/digest.h>
	refused store/blob.c #include BLOB_HEADER
	refused fs/cargo/layout.c #include "fs/inode.h"
	refused fs/cargo/layout.c #include "store/digest.h"
	refused fs/cargo/layout.c #include <fuse_lowlevel.h>
	refused fs/cargo/layout.c #include <lmdb.h>
	refused fs/inode.c #include "tools/table.h"
	refused fs/inode.c #include <lmdb.h>
	refused fs/inode.c #include "tests/unit/mock.h"
	refused tools/main.c #include <fuse.h>
	refused tools/main.c #include <lmdb.h>
	accepted store/index_txn.c #include <lmdb.h>
	accepted fs/ops.c #include <fuse_lowlevel.h>
	accepted fs/ops.c #include "fs/cargo/layout.h"
	accepted fs/cargo/layout.c #include "store/base/buf.h"
	accepted tools/main.c #include "fs/session.h"
	accepted tools/main.c #include "config.h"
	CONTROLS
fi

echo "1..$number"
[ $failures -eq 0 ]
