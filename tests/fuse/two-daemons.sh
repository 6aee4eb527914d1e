#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Several daemons on one store at once, as containers have them: each in a PID
# namespace of its own, with equal process ids. All of them write and share;
# one is killed while the others go on.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
TIMEOUT=300
N=4

# A daemon in a namespace where all process ids are as in the others: as its
# process 1 in the foreground, or started by that in the background.
start() { # NUMBER
	local i how=(sh -c '"$@" && sleep 1000' sh)
	mkdir -p "$W/ws$1/target"
	set -- "$1" "$TARGETFS" mount --store "$(store_dir)" "$W/ws$1/target"
	[ "$WAY" = background ] || set -- "$@" --foreground
	[ "$WAY" = background ] || how=()
	unshare --pid --fork --kill-child ${how[@]+"${how[@]}"} "${@:2}" \
		>"$W/daemon$1.out" 2>&1 &
	PIDS[$1]=$!
	for ((i = 0; i < 60; i++)); do
		is_view "$W/ws$1/target" && break
		sleep 0.05
	done
	is_view "$W/ws$1/target" || return
	MOUNTS+=("$W/ws$1/target")
}

work() { # NUMBER SEED
	python3 "$TESTS/fuse/tree.py" make "$2" "$W/ws$1/target" 200 &&
		python3 "$TESTS/fuse/tree.py" list "$W/ws$1/target" >"$W/list.$1"
}

still() { # NUMBER
	python3 "$TESTS/fuse/tree.py" list "$W/ws$1/target" >"$W/now.$1" &&
		python3 "$TESTS/fuse/tree.py" compare "$W/list.$1" "$W/now.$1"
}

body() {
	local WAY=$1 i jobs=()
	declare -a PIDS=()
	MODE=$MODE,$WAY W=$W/$WAY
	mkdir "$W"
	for ((i = 0; i < N; i++)); do
		start "$i" || nok "daemon $i starts" "$(tail -n 3 "$W/daemon$i.out")"
	done
	is "${#MOUNTS[@]}" $N "$N daemons with equal process ids have one store"
	[ "${#MOUNTS[@]}" = $N ] || return
	for ((i = 0; i < N; i++)); do
		work "$i" 5 >"$W/work.$i" 2>&1 &
		jobs+=("$!")
	done
	for ((i = 0; i < N; i++)); do
		wait "${jobs[i]}" || nok "work in view $i" "$(tail -n 3 "$W/work.$i")"
	done
	settle 30
	for ((i = 0; i < N; i++)); do
		check "view $i holds what was put there" still "$i"
	done
	# The first is killed; nothing of that may reach the others.
	kill -9 "$(daemon_pid "$W/ws0/target")" "${PIDS[0]}"
	wait "${PIDS[0]}" 2>/dev/null
	detach "$W/ws0/target"
	for ((i = 1; i < N; i++)); do
		check "view $i after another daemon was killed" still "$i"
		echo more >"$W/ws$i/target/more" || nok "view $i goes on"
	done
	MOUNTS=("${MOUNTS[@]:1}")
	start 0 || nok "the killed one starts again" "$(tail -n 3 "$W/daemon0.out")"
	check "its view is as it was" still 0
	check "another mount of the same view is refused" \
		refused "$W/ws1/other"
	[ "$WAY" = background ] || ends_by_signal 1
	for ((i = 0; i < N; i++)); do
		check "view $i: unmounts" umount_view "$W/ws$i/target"
	done
	fsck_store "the store is clean"
}

# What ends a foreground mount ends it well, whichever process serves it.
ends_by_signal() { # NUMBER
	local dir=$W/ws$1/target init
	python3 "$TESTS/fuse/tree.py" list "$dir" >"$W/list.$1"
	init=$(tr -d ' ' <"/proc/${PIDS[$1]}/task/${PIDS[$1]}/children")
	kill -TERM "$init"
	wait "${PIDS[$1]}"
	is "$?" 0 "a foreground mount that gets SIGTERM ends well"
	check "it is unmounted" not_a_view "$dir"
	start "$1" || nok "and mounts again"
	check "its view is as it was" still "$1"
}
not_a_view() { ! is_view "$1"; }

refused() {
	mkdir -p "$1"
	! "$TARGETFS" mount --store "$(store_dir)" --workspace "$W/ws1" "$1"
}

run() {
	[ -z "$PLAIN" ] || skip_all "of a view only"
	need_root
	need python3 jq
	can_unshare || skip_all "needs namespaces"
	# Leaks are looked for by way of /proc, which is not the namespace's.
	export ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0
	MODES=default
	for_modes body background
	for_modes body foreground
}
test_main "$@"
