#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A real cargo on a view: each verb works, twice is once, an edit rebuilds what
# it must and nothing else, in the classic and in the new build-dir layout; as
# root all of it, as a plain user the same when TARGETFS_LONG is set, else the
# verbs that differ most. Crates of the registry are in the long form only.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
TIMEOUT=${LONG:+3600}
TIMEOUT=${TIMEOUT:-1200}

# What the program must print, whatever built it.
prints() {
	local out want
	want="$W/ws/core_m None $2 "
	out=$("${3:-target/debug/leaf}" 2>&1)
	case $out in
	"$want"*" hello 3 42"*) ok "$1" ;;
	*) nok "$1" "it printed '$out'" ;;
	esac
}

builds() {
	check "cargo build" cargo build
	prints "the program runs" 49
	fresh "cargo build again has nothing to do" build
	touch leaf/src/lib.rs
	compiled "touch recompiles one crate" "leaf" build
	echo 8 >bs_rerun/data.txt
	compiled "a build script's input recompiles its crate and dependants" \
		"bs_rerun leaf" build
	prints "the program is the new one" 50
	echo 7 >bs_rerun/data.txt
	check "cargo build after an edit" cargo build
	check "cargo run" cargo run -q
	check "cargo build --examples" cargo build --examples
	check "an example runs" target/debug/examples/ex
	fresh "nothing to do" build
}

checks() {
	check "cargo check" cargo check
	fresh "cargo check again" check
	touch core_m/src/inner.rs
	check "cargo check after touch" cargo check
	if [ -x "$TOOLCHAIN/bin/cargo-clippy" ]; then
		check "cargo clippy" cargo clippy
		check "cargo clippy again" cargo clippy
	else
		skip "cargo clippy" "needs it (package rust-clippy)"
	fi
	check "cargo doc" cargo doc --no-deps
	check "the documentation is there" test -s target/doc/leaf/index.html
}

tests() {
	check "cargo test" cargo test
	check "cargo test again" cargo test
	check "cargo bench --no-run" cargo bench --no-run
	if command -v cargo-nextest >/dev/null; then
		check "cargo nextest run" cargo nextest run
		check "cargo nextest run again" cargo nextest run
	else
		skip "cargo nextest run" \
			"needs it (cargo install --locked cargo-nextest)"
	fi
}

releases() {
	check "cargo build --release, stripped" cargo build --release
	prints "the stripped program runs" 49 target/release/leaf
	fresh "cargo build --release again" build --release
	cp target/release/leaf target/release/copy &&
		check "strip in place" strip -g target/release/copy
	prints "stripped in place it runs" 49 target/release/copy
}

# Four of one profile and two of another: they wait for each other's locks.
several_at_once() {
	local i pids=() how=("build" "build --release" "check" "test --no-run"
		"build --release --examples" "doc --no-deps")
	touch core_m/src/lib.rs leaf/src/lib.rs
	for i in "${!how[@]}"; do
		# shellcheck disable=SC2086
		cargo ${how[i]} >"$W/at-once.$i" 2>&1 &
		pids+=("$!")
	done
	for i in "${!how[@]}"; do
		wait "${pids[i]}" && ok "of six cargos at once: cargo ${how[i]}" ||
			nok "of six cargos at once: cargo ${how[i]}" \
				"$(tail -n 5 "$W/at-once.$i")"
	done
	fresh "nothing to do after all of them" build
	fresh "nor in the other profile" build --release
	prints "the program runs after all of them" 49
}

# Only the mount point itself is busy: that must be all that cargo says.
cleans() {
	local rc=0
	check "cargo clean -p" cargo clean -p leaf
	compiled "cargo build after it" "leaf" build
	cargo clean >"$W/clean.out" 2>&1 || rc=$?
	[ -n "$PLAIN" ] || is "$rc $(grep -o '`.*`\|os error .*)' "$W/clean.out" |
		sort -u | tr -d '\n')" "101 \`$W/ws/target\`os error 16)" \
		"cargo clean says that target is busy, and nothing else"
	is "$(ls -A target 2>/dev/null)" "" "cargo clean leaves nothing"
	check "cargo build after cargo clean" cargo build
	prints "the program runs after cargo clean" 49
	[ -z "$PLAIN" ] || return
	check "targetfs run -- cargo clean ends well" \
		"$TARGETFS" run --store "$(store_dir)" -- cargo clean
	is "$(ls -A target)" "" "and leaves nothing"
	check "target is mounted still" is_view "$MNT"
	check "targetfs run -- cargo build" \
		"$TARGETFS" run --store "$(store_dir)" -- cargo build
	prints "the program runs after it" 49
	check "rm -rf of the view's content" rm -rf target/debug target/release
	check "cargo build after rm -rf" cargo build
}

new_layout() {
	local opts=(-Zbuild-dir-new-layout)
	export RUSTC_BOOTSTRAP=1
	rm -rf target/debug target/release
	check "new layout: cargo build" cargo "${opts[@]}" build
	prints "new layout: the program runs" 49
	fresh "new layout: nothing to do" "${opts[@]}" build
	touch leaf/src/lib.rs
	compiled "new layout: touch recompiles one crate" "leaf" \
		"${opts[@]}" build
	check "new layout: cargo test" cargo "${opts[@]}" test
	check "new layout: cargo check" cargo "${opts[@]}" check
	unset RUSTC_BOOTSTRAP
}

body() {
	own_cargo_home
	project "$W/ws" || { nok "make the project" && return; }
	cd "$W/ws" || return
	mount_view || { nok "mount" && return; }
	builds
	if [ -n "$LONG" ] || [ "$MODE" != user ]; then
		checks
		tests
		releases
		several_at_once
	fi
	cleans
	new_layout
	cd "$W" || return
	remount_view "$MNT" || nok "mounts again"
	cd "$W/ws" || return
	RUSTC_BOOTSTRAP=1 fresh "nothing to do after mounting again" \
		-Zbuild-dir-new-layout build
	cd "$W" || return
	check "unmounts" umount_view
	fsck_store "the store is clean"
}

run() {
	need cc jq
	cargo_env
	if [ -n "$LONG" ]; then registry_crates; else no_registry_crates; fi
	MODES=${LONG:+$(modes_here)}
	MODES=${MODES:-default user}
	for_modes body
}
test_main "$@"
