# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # variables shared with bootstrap
#
# Sourced by ../bootstrap: the verb check. Every build, every test, one sum.

passed=0 failed=0 skipped=0 summed=no

summary() {
	[ $summed = yes ] || failed=$((failed + 1))	# we died on the way
	say "$passed passed, $failed failed, $skipped skipped"
	[ $failed -eq 0 ]
}

# count LABEL COMMAND...: run, and count the step itself as one test.
count() {
	if TAIL=60 run "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); return 1; fi
}

skip() { say "   $1 ... skipped: $2"; skipped=$((skipped + 1)); }

# build_variant NAME CONFIGURE-ARG...: in build/check/NAME, without running tests.
build_variant() {
	local name=$1 dir=$build/check/$1
	shift
	count "$name: configure" configure_in "$dir" "$@" &&
		count "$name: make" make -C "$dir" -j "$jobs" all &&
		count "$name: make the tests" make -C "$dir" -j "$jobs" check TESTS=
}

# Left out below the sanitizers for the check's time: mostly cargo's and the
# compilers' work. `check-long' has all of it.
slow_below_sanitizers="
	tests/cargo/host.sh tests/cargo/knowledge.sh tests/cargo/readers.sh
	tests/cargo/run-wink.sh tests/cargo/same-bytes.sh tests/cargo/sharing.sh
	tests/cargo/units.sh tests/cargo/verify.sh tests/cargo/wink-kinds.sh
	tests/cargo/wink-many.sh tests/cargo/wink-options.sh
	tests/cargo/wink-repair.sh tests/crash/kill9.sh
	tests/crash/powercut.sh tests/oracle/oracle.sh tests/oracle/selftest.sh
	tests/suites/fio.sh"
# Always left out below ThreadSanitizer: strace waits for ever for the
# sanitizer's own thread.
not_below_tsan="tests/crash/faults.sh"

# Of wink.sh, below the sanitizers.
quick_wink="other_checkouts inputs_differ not_ours dep_rebuilt in_the_mount places"

# test_variant NAME [MAKE-ARG...]: make check, its TAP results added to the sums.
test_variant() {
	local name=$1 dir=$build/check/$1 p f s r=0
	shift
	local -a plain=()
	local results=$dir/test-suite.log
	[ "$name" != tsan ] || ! setarch "$(uname -m)" -R true 2>/dev/null ||
		plain=(setarch "$(uname -m)" -R)	# TSan and a wide ASLR do not agree
	: >"$results"
	local left_out=${skip-$slow_below_sanitizers}
	case $name in
	# Two ways of mounting cover the code; all others are the plain build's.
	asan) plain+=(env "TARGETFS_SKIP=$left_out" TARGETFS_MODES="default neither"
			"TARGETFS_WINK=$quick_wink") ;;
	# Of posix.sh, those that take minutes below ThreadSanitizer are left out,
	# of the orders of opening a file for instance five of six kinds of name.
	tsan) plain+=(env "TARGETFS_SKIP=$left_out $not_below_tsan" TARGETFS_MODES=default
			"TARGETFS_WINK=$quick_wink" "TARGETFS_POSIX=-t 300
			-x directory_of_100000 -x hammer_names -x open_orders_rlib
			-x open_orders_dep -x open_orders_build -x open_orders_inc
			-x open_orders_unknown") ;;
	break) plain+=(env TARGETFS_BROKEN="$dir/targetfs") ;;
	esac
	# Tests wait for cargo, the disk and the clock as well.
	TAIL=0 run "$name: make check" "${plain[@]}" make -C "$dir" -j $((jobs + 1)) check "$@" || r=1
	read -r p f s < <(awk '
		/^# (PASS|XFAIL):/ { p += $3 }
		/^# (FAIL|XPASS|ERROR):/ { f += $3 }
		/^# SKIP:/ { s += $3 }
		/^# ERROR:/ { exit }
		END { print p + 0, f + 0, s + 0 }' "$results")
	[ $r -eq 0 ] || [ "$f" -gt 0 ] || f=1
	say "   $name: $p passed, $f failed, $s skipped"
	grep -E '^(SKIP|FAIL|XPASS|ERROR): ' "$build/log/$name--make-check.log" | sed 's/^/   | /' || true
	if [ "$f" -gt 0 ]; then
		say "   from $results:"
		grep -A 12 -E '^(not ok|# stopped after) ' "$results" | head -n 200 | sed 's/^/   | /'
	fi
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

c_files() {
	git -C "$top" ls-files -z '*.c' '*.h' 2>/dev/null | grep -z . ||
		(cd "$top" && find . \( -path ./build -o -path ./.git \) -prune -o -name '*.[ch]' -print0)
}

check_format() (
	cd "$top" && c_files | xargs -0 -r "clang-format-$clang_format_major" --dry-run --Werror
)

do_check() {
	trap summary EXIT
	local t0=$SECONDS
	local -a v=()
	say "== set-up"
	set_up check
	say "   libfuse: $fuse_from"
	say "== gcc"
	if [ "$fuse_from" = fallback ]; then
		say "   libfuse with io_uring ... FAILED: see above"
		failed=$((failed + 1))
	fi
	[ ! -d "$fuse_from" ] || v=("--enable-require-features=passthrough,io_uring")
	! build_variant gcc CC=gcc --enable-werror "${v[@]}" || test_variant gcc
	say "== clang"
	build_variant clang CC=clang --enable-werror "${v[@]}" || true
	if [ -x "$(command -v "clang-format-$clang_format_major")" ]; then
		count "clang-format" check_format || true
	else
		skip "clang-format" "no clang-format-$clang_format_major here"
	fi
	if [ -d "$fuse_from" ]; then
		say "== gcc with the system's libfuse"
		if (
			fuse_from=system
			export PKG_CONFIG_PATH=$system_pkg_config_path
			build_variant system-libfuse CC=gcc --enable-werror
		); then passed=$((passed + 1)); else failed=$((failed + 1)); fi
	fi
	say "== gcc, with rules to leave out"
	! build_variant break CC=gcc --enable-werror --enable-break=select ||
		test_variant break TESTS=tests/crash/broken.sh
	say "== address and undefined behaviour sanitizers"
	! build_variant asan CC=gcc --enable-sanitize=address,undefined || test_variant asan
	say "== thread sanitizer"
	! build_variant tsan CC=gcc --enable-sanitize=thread || test_variant tsan
	say "== fuzzers, ${FUZZ_SECONDS:=5} s each"
	! build_variant fuzz CC=clang --enable-fuzz --enable-sanitize=address,undefined ||
		count "fuzz: run" make -C "$build/check/fuzz" fuzz FUZZ_SECONDS="$FUZZ_SECONDS" || true
	say "== done in $((SECONDS - t0)) s"
	summed=yes
	[ $failed -eq 0 ] || exit 1	# the summary comes from the trap
}

# Hours: the long tests, and all of the quick ones below the sanitizers.
do_check_long() {
	trap summary EXIT
	local skip=''
	set_up check-long
	say "== the long tests"
	! build_variant long CC=gcc ||
		count "long: make check-long" make -C "$build/check/long" check-long || true
	say "== all tests below the sanitizers"
	! build_variant asan CC=gcc --enable-sanitize=address,undefined || test_variant asan
	! build_variant tsan CC=gcc --enable-sanitize=thread || test_variant tsan
	summed=yes
	[ $failed -eq 0 ] || exit 1
}
