#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# fio with verification: what was written by each kind of I/O is read back.
#	fio.sh [MIB]
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
TIMEOUT=${LONG:+3600}
TIMEOUT=${TIMEOUT:-600}
MIB=${1:-${LONG:+64}}
MIB=${MIB:-16}

job() { # NAME OPTION...
	local name=$1 rc=0
	shift
	fio "--name=$name" "--directory=$D" "--aux-path=$W" "--size=${MIB}m" --verify_fatal=1 \
		--do_verify=1 "--output=$W/fio.out" "$@" >"$W/fio.err" 2>&1 || rc=$?
	if grep -q 'engine.*not loadable\|failed to load engine' "$W/fio.err" "$W/fio.out"; then
		skip "fio $name" "no such engine here"
	elif [ "$rc" = 0 ] && ! grep -q 'err=[^ ]*[1-9]' "$W/fio.out"; then
		ok "fio $name"
	else
		nok "fio $name" "status $rc" \
			"$(grep -hiE 'err|verify' "$W/fio.err" "$W/fio.out" | head -n 4)"
	fi
	rm -f "${D:?}"/*
}

body() {
	begin || return
	job seq --rw=write --bs=128k --verify=crc32c --ioengine=psync
	job rand --rw=randwrite --bs=4k --verify=crc32c --ioengine=psync --end_fsync=1
	job unaligned --rw=randwrite --bsrange=1k-64k --bs_unaligned=1 \
		--verify=sha256 --ioengine=psync --norandommap=0
	job mmap --rw=randwrite --bs=4k --verify=md5 --ioengine=mmap
	job aio --rw=randwrite --bs=16k --verify=crc32c --ioengine=libaio --iodepth=16
	job uring --rw=randwrite --bs=16k --verify=crc32c --ioengine=io_uring --iodepth=16
	job direct --rw=randwrite --bs=4k --verify=crc32c --direct=1 \
		--ioengine=libaio --iodepth=8
	job fsync --rw=randwrite --bs=4k --verify=crc32c --fsync=8 \
		--ioengine=psync --io_size=4m
	job four --rw=randwrite --bs=8k --verify=crc32c --numjobs=4 --ioengine=psync
	end fio
}

run() {
	need fio
	MODES=${LONG:+$(modes_here)}
	MODES=${MODES:-default neither}
	for_modes body
}
test_main "$@"
