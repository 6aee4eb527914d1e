# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What every test script shares. A script defines run() and ends with
# `test_main "$@"`; run() says what it found with ok, nok, is, check and skip,
# and for_modes runs a function once in each way a view can be mounted.
#
# test_main gives each script a directory of its own ($W), a time limit
# ($TIMEOUT, seconds) and, for root, a mount and a PID namespace of its own:
# when the script ends, however it ends, no process, mount, loop device or
# file of it is left. The output is TAP; the exit status is 0, 1 (something
# failed) or 77 (skipped whole).
#
# Environment of a tester:
#   TARGETFS         the program (default: ./targetfs of the tree, or build/)
#   TARGETFS_MODES   the modes of for_modes (see there)
#   TARGETFS_LONG=1  the long variants (make check-long)
#   TARGETFS_PLAIN=1 plain directories instead of views: what a test says of
#                    the filesystem below it; how the tests are tested
#   TARGETFS_KEEP=1  leave $W in place
#   TESTBIN          where built test programs are (default: as make check
#                    has them; what is not there is compiled)

set -u
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
TOP=$(dirname "$TESTS")
: "${TIMEOUT:=300}"
TIMEOUT_SCALE=${TARGETFS_TIMEOUT_SCALE:-1}
LONG=${TARGETFS_LONG:+1} # or empty
export LONG
PLAIN=${TARGETFS_PLAIN:-}
CACHE=${TARGETFS_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/targetfs-tests}
export TARGETFS_TEST_CACHE=$CACHE # HOME is another one inside
URING_PARAM=/sys/module/fuse/parameters/enable_uring
MODE=${MODE:-}
export LC_ALL=C PYTHONDONTWRITEBYTECODE=1

# --- saying what was found ---------------------------------------------------

# The number is put in by tap_number; the mode is part of the name. What run()
# returns does not matter; a script that ends in its middle fails.
ok() { echo "ok - $*${MODE:+ [$MODE]}"; }
nok() {
	echo "not ok - $1${MODE:+ [$MODE]}"
	shift
	[ $# -eq 0 ] || diag "$@"
}
skip() { echo "ok - $1${MODE:+ [$MODE]} # SKIP $2"; }
diag() { printf '%s\n' "$*" | sed 's/^/#   /'; }
say() { echo "# $*"; }

# is GOT WANTED NAME
is() {
	if [ "$1" = "$2" ]; then ok "$3"; else
		nok "$3" "got '$1', wanted '$2'"
	fi
}

# check NAME COMMAND...: passes when the command does; its output is kept
# in $W/check.out and shown when it fails
check() {
	local name=$1 rc=0
	shift
	"$@" >"$W/check.out" 2>&1 || rc=$?
	if [ $rc = 0 ]; then ok "$name"; else
		nok "$name" "'$*' gave $rc"
		tail -n 25 "$W/check.out" | sed 's/^/#   /'
	fi
	return $rc
}

# skip_all REASON: nothing of this script (of this mode) can be tested here
skip_all() {
	if [ -n "$MODE" ]; then
		skip "all" "$1"
		exit 0
	fi
	echo "$1" >"$W/skipped"
	exit 77
}

# package_of PROGRAM: what of Debian has it
package_of() {
	case $1 in
	cc) echo gcc ;;
	ld.gold) echo binutils-gold ;;
	ld.lld) echo lld ;;
	ld.mold) echo mold ;;
	losetup) echo mount ;;
	mkfs.btrfs) echo btrfs-progs ;;
	mkfs.ext4) echo e2fsprogs ;;
	mkfs.xfs) echo xfsprogs ;;
	prlimit | unshare) echo util-linux ;;
	*) echo "$1" ;;
	esac
}

has() { command -v "$1" >/dev/null; }

need() { # PROGRAM...
	local p
	for p; do
		has "$p" || skip_all "needs $p (package $(package_of "$p"))"
	done
}

# wants NAME PROGRAM: skips one result
wants() {
	has "$2" && return
	skip "$1" "needs $2 (package $(package_of "$2"))"
	return 1
}
need_root() { [ "$(id -u)" = 0 ] || skip_all "needs root"; }

# tap_number: numbers the results as they come; ends with the plan. Fails when
# one of them is not ok.
tap_number() {
	local line n=0 bad=0
	while IFS= read -r line; do
		case $line in
		'ok '*) line="ok $((++n)) ${line#ok }" ;;
		'not ok '*) line="not ok $((++n)) ${line#not ok }" bad=1 ;;
		esac
		printf '%s\n' "$line"
	done
	[ "$n" = 0 ] || echo "1..$n"
	return $bad
}

# --- the frame of a script ---------------------------------------------------

can_unshare() {
	[ "$(id -u)" = 0 ] && [ -z "${TARGETFS_NO_NAMESPACE:-}" ] &&
		unshare --mount --pid --fork --mount-proc true 2>/dev/null
}

# Later mounts use io_uring only while the kernel's switch is on. The last
# test that had it switched on puts it back.
uring_on() {
	[ -w $URING_PARAM ] || return 0
	exec 8<$URING_PARAM
	flock -s 8
	if [ "$(cat $URING_PARAM)" = N ]; then
		: >/run/targetfs-tests.uring
		echo Y >$URING_PARAM 2>/dev/null || true
	fi
}
uring_back() {
	[ -z "$PLAIN" ] && [ -e /run/targetfs-tests.uring ] || return 0
	if flock -xn 8; then
		rm -f /run/targetfs-tests.uring
		echo N >$URING_PARAM 2>/dev/null || true
	fi
}

# Ends what is left below a directory when there was no namespace to do it.
sweep() {
	local p m
	for p in /proc/[0-9]*; do
		{ tr '\0' ' ' <"$p/cmdline"; } 2>/dev/null | grep -qF "$1/" &&
			[ "${p#/proc/}" != $$ ] && kill -9 "${p#/proc/}" 2>/dev/null
	done
	awk -v w="$1/" 'index($5, w) == 1 { print $5 }' /proc/self/mountinfo |
		sort -r | while read -r m; do
		umount -l "$m" 2>/dev/null || fusermount3 -uz "$m" 2>/dev/null
	done
	losetup -n -O NAME,BACK-FILE 2>/dev/null |
		awk -v w="$1/" 'index($2, w) == 1 { print $1 }' |
		while read -r m; do losetup -d "$m"; done
}

outer() {
	local ns=() rc tap limit=$((TIMEOUT * TIMEOUT_SCALE))
	W=$(mktemp -d "${TMPDIR:-/tmp}/tfs-$(basename "$0" .sh).XXXXXX") || exit 1
	W=$(cd "$W" && pwd -P)
	chmod 711 "$W"
	trap 'sweep "$W"; uring_back; [ -n "${TARGETFS_KEEP:-}" ] ||
		rm -rf --one-file-system "$W"' EXIT
	trap 'exit 130' INT TERM HUP
	[ -n "$PLAIN" ] || uring_on
	if can_unshare; then
		ns=(unshare --mount --pid --fork --kill-child --mount-proc
			--propagation private)
	fi
	{
		W=$W TFS_INNER=1 timeout -s KILL "$limit" "${ns[@]}" \
			bash "$0" "$@" </dev/null 8<&-
		rc=$?
		case $rc in
		0 | 77) ;;
		137) echo "not ok - ended within $limit s" ;;
		*) echo "not ok - the script ended with status $rc" ;;
		esac
	} | tap_number
	tap=${PIPESTATUS[1]}
	if [ -s "$W/skipped" ]; then
		echo "1..0 # SKIP $(head -n 1 "$W/skipped")"
		exit 77
	fi
	exit "$tap"
}

inner() {
	find_program
	mkdir -m 1777 "$W/sanitizer"
	chmod 1777 "$W/sanitizer"
	local to=log_path=$W/sanitizer/report
	export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}$to
	export UBSAN_OPTIONS=${UBSAN_OPTIONS:+$UBSAN_OPTIONS:}$to
	export TSAN_OPTIONS=${TSAN_OPTIONS:+$TSAN_OPTIONS:}$to
	export HOME=$W/home XDG_CACHE_HOME=$W/home/.cache
	mkdir -p "$HOME"
	chmod 777 "$HOME"
	trap inner_end EXIT
	run "$@"
	exit 0
}

inner_end() {
	local rc=$? f
	trap - EXIT
	umount_all
	for f in "$W"/sanitizer/*; do
		[ -s "$f" ] || continue
		# Below strace leaks cannot be looked for, and that is all it says.
		grep -q 'LeakSanitizer does not work under ptrace' "$f" && continue
		nok "no sanitizer report" "$(head -n 30 "$f")"
	done
	exit $rc
}

test_main() {
	if [ -n "${TFS_CALL:-}" ]; then
		# one mode, as another user: the function alone
		trap 'rc=$?; umount_all; exit $rc' EXIT
		"$TFS_CALL" "$@"
		exit 0
	elif [ -n "${TFS_INNER:-}" ]; then
		inner "$@"
	else
		outer "$@"
	fi
}

find_program() {
	[ -z "$PLAIN" ] || return 0
	local p
	for p in "${TARGETFS:-}" "${top_builddir:-}/targetfs" "$TOP/targetfs" \
		"$TOP/build/targetfs"; do
		if [ ! -f "$p" ] || [ ! -x "$p" ]; then continue; fi
		TARGETFS=$(realpath "$p")
		export TARGETFS
		return
	done
	skip_all "targetfs is not built"
}

# program NAME SOURCE...: sets PROG to the test program, building it if no
# built one is there
program() {
	local name=$1
	shift
	PROG=${TESTBIN:-${top_builddir:-$TOP/build}/$(dirname "${1#"$TOP"/}")}/$name
	export PROG
	[ -x "$PROG" ] && return
	PROG=$W/$name
	[ -x "$PROG" ] && return
	need "${CC:-cc}"
	"${CC:-cc}" -O1 -g -std=gnu17 -Wall -Wextra -I"$TOP" -o "$PROG" "$@" \
		-lpthread || skip_all "cannot compile $name"
	chmod 755 "$PROG"
}

# --- modes -------------------------------------------------------------------
# default        root: io_uring and passthrough where the kernel has them
# nouring        /dev/fuse instead of io_uring
# nopassthrough  reads and writes through the daemon
# neither        both
# user           a plain user, mounted by fusermount3
# userns         root in a user namespace of a plain user
# A run by a plain user has 'default' and 'neither', which are user mounts.

modes_here() {
	if [ -n "$PLAIN" ]; then
		echo plain
	elif [ "$(id -u)" = 0 ]; then
		echo default nouring nopassthrough neither user userns
	else
		echo default neither
	fi
}

mode_options() {
	case ${MODE%%,*} in # "neither,tmpfs" is a script's own affair
	nouring) echo nouring ;;
	nopassthrough) echo nopassthrough ;;
	neither) echo nouring,nopassthrough ;;
	esac
}

# The kernel lets a plain user open /dev/fuse only with mode 0666; in our own
# mount namespace we give it one.
open_dev_fuse() {
	[ "$(id -u)" = 0 ] || return 0
	[ "$(stat -c %a /dev/fuse)" = 666 ] && return
	mkdir -p "$W/dev"
	mount -t tmpfs -o mode=755 tests "$W/dev" &&
		mknod -m 666 "$W/dev/fuse" c 10 229 &&
		mount --bind "$W/dev/fuse" /dev/fuse
}

# Where the system's fusermount3 has lost its set-user-id bit, one that has it
# takes its place in our own mount namespace.
setuid_fusermount() {
	local f
	f=$(command -v fusermount3)
	[ "$(id -u)" = 0 ] && [ ! -u "$f" ] || return 0
	if [ -n "${TARGETFS_NO_NAMESPACE:-}" ]; then return 1; fi
	cp "$f" "$W/fusermount3" && chmod 4755 "$W/fusermount3" &&
		mount --bind "$W/fusermount3" "$f"
}

# in_mode MODE FUNCTION [ARG...], with $W a directory of the mode's own
in_mode() {
	local MODE=$1 fn=$2 as=() W=$W/$1
	shift 2
	mkdir -p "$W"
	case $MODE in
	user | userns)
		if ! command -v fusermount3 >/dev/null; then
			skip "all" "needs fusermount3"
			return
		fi
		W=$(dirname "$W") open_dev_fuse || {
			skip "all" "/dev/fuse cannot be opened to users"
			return
		}
		W=$(dirname "$W") setuid_fusermount || {
			skip "all" "fusermount3 is not set-user-id root"
			return
		}
		as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
		[ "$MODE" = user ] ||
			as+=(unshare --user --map-root-user --mount
				--propagation private)
		if ! "${as[@]}" true 2>/dev/null; then
			skip "all" "no user namespaces for plain users"
			return
		fi
		chown 65534:65534 "$W"
		[ ! -e "$W/../home" ] || W_HOME=$W/home
		mkdir -p "$W/home" && chown 65534:65534 "$W/home"
		(
			cd "$W" || exit 1
			export W MODE TFS_CALL=$fn HOME=${W_HOME:-$W}
			export XDG_CACHE_HOME=$HOME/.cache USER=nobody
			exec "${as[@]}" bash "$SCRIPT" "$@"
		) || nok "$fn ends well" "status $?"
		;;
	*)
		(
			trap 'rc=$?; umount_all; exit $rc' EXIT
			"$fn" "$@"
			exit 0
		) || nok "$fn ends well" "status $?"
		;;
	esac
}
SCRIPT=$(realpath "$0")

# for_modes FUNCTION [ARG...]: in all of $TARGETFS_MODES, else of $MODES, else
# of those there are
for_modes() {
	local m
	for m in ${TARGETFS_MODES:-${MODES:-$(modes_here)}}; do
		[ -z "$PLAIN" ] || m=plain
		in_mode "$m" "$@"
		[ -z "$PLAIN" ] || break
	done
}

# --- views -------------------------------------------------------------------
# The store is $W/store unless STORE is set, the view's place $W/ws/target.

: "${STORE:=}"
MOUNTS=()
MNT=

store_dir() { echo "${STORE:-$W/store}"; }

# mount_view [DIR] [OPTION...]: sets MNT
mount_view() {
	MNT=${1:-$W/ws/target}
	[ $# -eq 0 ] || shift
	local opts
	mkdir -p "$MNT" || return 1
	[ -z "$PLAIN" ] || return 0
	opts=$(mode_options)
	"$TARGETFS" mount --store "$(store_dir)" ${opts:+-o "$opts"} "$@" \
		"$MNT" >"$W/mount.out" 2>&1 || {
		diag "$(tail -n 5 "$W/mount.out")"
		return 1
	}
	is_view "$MNT" || return 1
	MOUNTS+=("$MNT")
}

is_view() {
	awk -v m="$1" '$5 == m && $0 ~ / fuse\.targetfs / { f = 1 }
		END { exit !f }' /proc/self/mountinfo
}

# daemon_pid DIR: of the process that serves the view at DIR
daemon_pid() {
	local p
	for p in /proc/[0-9]*; do
		[ "$(readlink "$p/exe" 2>/dev/null)" = "$TARGETFS" ] || continue
		{ tr '\0' '\n' <"$p/cmdline"; } 2>/dev/null | grep -qxF -- "$1" &&
			echo "${p#/proc/}"
	done | tail -n 1
}

umount_view() {
	local dir=${1:-$MNT} m left=()
	[ -z "$PLAIN" ] || return 0
	timeout 60 "$TARGETFS" umount "$dir" >"$W/umount.out" 2>&1 || {
		diag "umount $dir: $(tail -n 3 "$W/umount.out")"
		return 1
	}
	for m in ${MOUNTS[@]+"${MOUNTS[@]}"}; do
		[ "$m" = "$dir" ] || left+=("$m")
	done
	MOUNTS=(${left[@]+"${left[@]}"})
}

# What is left of a mount whose daemon is gone.
detach() {
	umount -l "$1" 2>/dev/null || fusermount3 -uz "$1" 2>/dev/null ||
		umount -l "$1"
}

umount_all() {
	local m pid
	for m in ${MOUNTS[@]+"${MOUNTS[@]}"}; do
		is_view "$m" || continue
		timeout 20 "$TARGETFS" umount --lazy "$m" >/dev/null 2>&1 && continue
		pid=$(daemon_pid "$m")
		[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null
		detach "$m"
	done
	MOUNTS=()
}

# kill_view [DIR]: the daemon dies without a chance to say a word; the dead
# mount stays, so that nobody writes to the directory below it
kill_view() {
	local dir=${1:-$MNT} pid i
	[ -z "$PLAIN" ] || return 0
	pid=$(daemon_pid "$dir")
	[ -n "$pid" ] || { diag "no daemon for $dir" && return 1; }
	kill -9 "$pid"
	for ((i = 0; i < 200; i++)); do
		[ -d "/proc/$pid" ] || break
		sleep 0.02
	done
}

# crash_view [DIR]: and what is left of the mount goes too
crash_view() {
	kill_view "${1:-$MNT}" || return
	[ -n "$PLAIN" ] || detach "${1:-$MNT}"
}

# remount_view [DIR] [OPTION...]
remount_view() {
	umount_view "${1:-$MNT}" && mount_view "${1:-$MNT}" "${@:2}"
}

# fsck_store NAME: the store is clean, and no view of it is mounted
fsck_store() {
	[ -z "$PLAIN" ] || return 0
	check "$1" timeout 120 "$TARGETFS" fsck --store "$(store_dir)" --read-data
}

# stat_of EXPRESSION: of `targetfs stats --json`, by jq
stat_of() {
	"$TARGETFS" stats --store "$(store_dir)" --json | jq -r "$1"
}

# settle [SECONDS]: waits until the background has hashed all there is to hash
settle() {
	local i last='' now same=0
	[ -z "$PLAIN" ] || return 0
	[ -z "$MNT" ] || sync "$MNT" 2>/dev/null || true
	for ((i = 0; i < ${1:-60} * 2; i++)); do
		sleep 0.5
		now=$("$TARGETFS" stats --store "$(store_dir)" --json 2>/dev/null |
			jq -c '[.blobs, .total.private, .daemon]')
		if [ "$now" = "$last" ]; then same=$((same + 1)); else same=0; fi
		[ "$same" -ge "${SETTLE_ROUNDS:-8}" ] && return 0
		last=$now
	done
}

# inject_into DIR CALLS WHAT: from now on, in each thread of the daemon that
# serves DIR, strace makes the calls go wrong: WHAT is "error=EIO:when=3" or
# "signal=KILL:when=3". What it did is in $W/strace.
inject_into() {
	local i
	rm -f "$W/strace" "$W/strace.err"
	strace -f -p "$(daemon_pid "$1")" -o "$W/strace" -e "trace=$2" \
		-e "inject=$2:$3" 2>"$W/strace.err" &
	STRACE=$!
	for ((i = 0; i < 100; i++)); do
		grep -q attached "$W/strace.err" 2>/dev/null && return
		kill -0 $STRACE 2>/dev/null || return
		sleep 0.02
	done
}

# mount_injected CALLS WHAT [DIR]: as mount_view, with calls of the mounting
# process and of the daemon going wrong from the start. Sets MNT; status 1: it
# did not come to a mount, and $W/mount.out says why. inject_end ends it.
mount_injected() {
	local i opts
	MNT=${3:-$W/ws/target}
	mkdir -p "$MNT"
	opts=$(mode_options)
	rm -f "$W/strace"
	strace -f -o "$W/strace" -e "trace=$1" -e "inject=$1:$2" \
		"$TARGETFS" mount --store "$(store_dir)" ${opts:+-o "$opts"} \
		"$MNT" >"$W/mount.out" 2>&1 &
	STRACE=$!
	for ((i = 0; i < 1000; i++)); do
		is_view "$MNT" && break
		kill -0 $STRACE 2>/dev/null || return 1
		sleep 0.02
	done
	is_view "$MNT" && MOUNTS+=("$MNT")
}

# strace may wait for ever for a thread of a process that has ended.
inject_end() {
	local i
	kill "$STRACE" 2>/dev/null
	for ((i = 0; i < 100; i++)); do
		kill -0 "$STRACE" 2>/dev/null || break
		sleep 0.05
	done
	kill -9 "$STRACE" 2>/dev/null
	wait "$STRACE" 2>/dev/null
}

# --- other filesystems -------------------------------------------------------

# ext4_on DIR SIZE [MKFS-OPTION...]: a journaled ext4 on a loop image. The
# image is $W/img.*; all of it goes with the script.
ext4_on() {
	local dir=$1 size=$2 img
	shift 2
	need_root
	need mkfs.ext4 losetup
	losetup -f >/dev/null 2>&1 || skip_all "needs loop devices"
	img=$(mktemp "$W/img.XXXXXX")
	truncate -s "$size" "$img"
	mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$@" "$img" &&
		mkdir -p "$dir" && mount -o loop "$img" "$dir"
}

# tiny_ext4_on DIR SIZE: one that is soon full, to the last block
tiny_ext4_on() { ext4_on "$1" "$2" -m 0; }
