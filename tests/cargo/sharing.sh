#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Two checkouts of one project, both compiled: what is equal in both occupies
# the disk once, a little later and by itself. The quick form has them at equal
# paths, as containers do, where all artifacts are equal; the long one has them
# beside each other, where those of the registry's crates are.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
TIMEOUT=900

# Bytes of all regular files of the two views, and of those that differ; what
# the store keeps private for incremental data and .d files is counted as is.
sums() {
	python3 - "$@" <<-'TXT'
		import hashlib, os, sys
		total, unique, seen = 0, 0, set()
		for top in sys.argv[1:]:
		    for d, _, files in os.walk(top):
		        for n in files:
		            path = os.path.join(d, n)
		            st = os.lstat(path)
		            if st.st_nlink > 1 and (top, st.st_ino) in seen:
		                continue
		            seen.add((top, st.st_ino))
		            digest = hashlib.sha256(open(path, "rb").read()).digest()
		            total += st.st_size
		            if digest not in seen:
		                seen.add(digest)
		                unique += st.st_size
		print(total, unique)
	TXT
}

used() { du -s -B1 "$(store_dir)" | cut -f1; }

equal_paths() {
	local i bytes=() left
	export CARGO_INCREMENTAL=0
	own_cargo_home
	for i in 1 2; do
		mkdir -p "$W/checkout$i"
		project "$W/src" || { nok "make the project" && return; }
		mount_view "$W/src/target" --workspace "$W/checkout$i" ||
			{ nok "mount" && return; }
		is "$(ls -A "$MNT")" "" "checkout $i begins with nothing"
		check "cargo build in checkout $i" \
			cargo build --manifest-path "$W/src/Cargo.toml"
		settle 60
		check "the program of checkout $i runs" "$MNT/debug/leaf"
		bytes[i]=$(used)
		artifacts "$MNT/debug" >"$W/artifacts$i"
		check "unmounts $i" umount_view
		rm -rf "$W/src"
	done
	check "both have the same artifacts" diff "$W/artifacts1" "$W/artifacts2"
	left=$((bytes[2] - bytes[1]))
	say "the store takes $((bytes[1] >> 10)) KiB, and with the second" \
		"checkout $((left >> 10)) KiB more"
	check "the second costs a twentieth at most" \
		test $((left * 20)) -le "${bytes[1]}"
	check "stats say so" test "$(stat_of .total.shared)" -gt 1000000
	fsck_store "the store is clean"
}

side_by_side() {
	local total unique used
	export CARGO_INCREMENTAL=0
	own_cargo_home
	for i in 1 2; do
		project "$W/checkout$i" || { nok "make the project" && return; }
		mount_view "$W/checkout$i/target" || { nok "mount" && return; }
		check "cargo build in checkout $i" \
			cargo build --manifest-path "$W/checkout$i/Cargo.toml"
	done
	settle 60
	read -r total unique < <(sums "$W"/checkout?/target)
	used=$(used)
	say "two views of $((total >> 10)) KiB, $((unique >> 10)) KiB of them" \
		"different; the store takes $((used >> 10)) KiB"
	if [ "$used" -le $((unique * 115 / 100 + (6 << 20))) ]; then
		ok "equal artifacts occupy the disk once"
	else
		nok "equal artifacts occupy the disk once" \
			"$("$TARGETFS" stats --store "$(store_dir)")"
	fi
	[ -z "${REGISTRY:-}" ] || check "there was something to share" \
		test $((unique * 100)) -lt $((total * 80))
	check "stats say so" test "$(stat_of .total.shared)" -gt 1000000
	fresh "nothing to do in checkout 1" build \
		--manifest-path "$W/checkout1/Cargo.toml"
	check "the first runs" "$W/checkout1/target/debug/leaf"
	touch "$W/checkout2/core_m/src/lib.rs"
	echo '// changed' >>"$W/checkout2/leaf/src/main.rs"
	check "an edit in checkout 2" \
		cargo build --manifest-path "$W/checkout2/Cargo.toml"
	fresh "nothing to do in checkout 1 after it" build \
		--manifest-path "$W/checkout1/Cargo.toml"
	check "unmounts 1" umount_view "$W/checkout1/target"
	check "unmounts 2" umount_view "$W/checkout2/target"
	fsck_store "the store is clean"
}

run() {
	[ -z "$PLAIN" ] || skip_all "of a view only"
	need cc jq
	cargo_env
	if [ -n "$LONG" ]; then
		registry_crates
		MODES=$(modes_here)
		for_modes side_by_side
	else
		no_registry_crates
		MODES=default
		for_modes equal_paths
	fi
}
test_main "$@"
