#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# fsx (the crate): one file under random reads, writes, mappings, truncations
# and copies, against a model; in each data mode, and for each kind of name.
#	fsx.sh [OPERATIONS [SEED]]
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
TIMEOUT=${LONG:+7200}
TIMEOUT=${TIMEOUT:-600}
OPS=${1:-${LONG:+200000}}
OPS=${OPS:-20000}
SEED=${2:-1}

config() { # MAPPED
	cat <<-TXT
		flen = ${FLEN:-1048576}
		[opsize]
		max = 65536
		[weights]
		read = 10.0
		write = 10.0
		mapread = $1
		mapwrite = $1
		truncate = 5.0
		fsync = 1.0
		fdatasync = 1.0
		close_open = 3.0
		invalidate = ${2:-1.0}
		punch_hole = 1.0
		posix_fallocate = 1.0
		sendfile = 1.0
		copy_file_range = 1.0
	TXT
}

fsx() { # NAME FILE CONFIG
	mkdir -p "$(dirname "$D/$2")" "$W/artifacts"
	check "fsx, $OPS operations: $1" timeout 3000 \
		"$TOOL" -q -f "$W/$3.toml" -N "$OPS" -S "$SEED" \
		-P "$W/artifacts" "$D/$2"
	rm -f "$D/$2"
}

body() {
	begin || return
	config 10.0 >"$W/mmap.toml"
	config 0.0 0.0 >"$W/plain.toml"
	FLEN=20000 config 10.0 >"$W/small.toml"
	fsx "large file, mapped" f mmap
	fsx "small file" f small
	if [ -n "$LONG" ] || [ "$MODE" = default ] || [ -n "$PLAIN" ]; then
		fsx "large file" f plain
		fsx "an rlib" debug/deps/libf-0123456789abcdef.rlib mmap
		fsx "small metadata" debug/.fingerprint/f-0123456789abcdef/lib-f small
		fsx "small metadata, grown" debug/build/f-0123456789abcdef/output mmap
	fi
	end fsx
}

run() {
	crate_tool fsx 0.3.2
	for_modes body
}
test_main "$@"
