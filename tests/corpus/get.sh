#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Real Rust projects to build: pinned, checksummed, as published, each a git
# repository of its own. What is there already is left alone.
#	get.sh DEST [project NAME | workspace | all]
# project    a crate of projects.list, at DEST/NAME
# workspace  DEST/ws: the crates of members.list as path members, and an app
#            that uses a proc-macro and has a build script; branches main, leaf
#            (one string in the app) and core (one function in grep-matcher)
# Build with: cargo build --offline --locked     (ws: add --workspace)
set -euo pipefail
[ $# -ge 1 ] || { sed -n '4,12s/^# \{0,1\}//p' "$0" && exit 2; }
DEST=$1 what=${2:-all}
here=$(cd "$(dirname "$0")" && pwd -P)
mkdir -p "$DEST/dl"
DEST=$(cd "$DEST" && pwd -P)
unset CARGO_NET_OFFLINE

git_as() { git -c user.name=corpus -c user.email=corpus "$@"; }

# fetch NAME VERSION SHA256: prints the path of the .crate. cargo's own client
# downloads it.
fetch() {
	local f=$DEST/dl/$1-$2.crate
	if [ ! -s "$f" ]; then
		(cd / && cargo info -q "$1@$2" >/dev/null)
		cp "${CARGO_HOME:-$HOME/.cargo}"/registry/cache/*/"$1-$2.crate" "$f"
	fi
	echo "$3  $f" | sha256sum -c --quiet - >&2
	echo "$f"
}

# list FILE: its lines without comments
list() { sed '/^#/d; /^$/d' "$here/$1"; }

# Everything gets one mtime, as a fresh checkout has, and a first commit.
begin_repository() {
	echo target >.gitignore
	find . -type f -exec touch {} +
	git init -q -b main
	git_as add -f -A .
	git_as commit -qm "$1"
}

project() { # NAME VERSION SHA256
	local f new=$DEST/new.$$
	[ ! -d "$DEST/$1" ] || return 0
	f=$(fetch "$@")
	mkdir "$new"
	tar -xzf "$f" -C "$new" --strip-components=1
	(
		cd "$new"
		cargo fetch --locked -q
		rm -f .cargo_vcs_info.json
		begin_repository "$1 $2"
	)
	mv "$new" "$DEST/$1"
	echo "$1 $2"
}

member() { # NAME VERSION SHA256
	local f
	f=$(fetch "$@")
	mkdir -p "crates/$1"
	tar -xzf "$f" -C "crates/$1" --strip-components=1
	(
		cd "crates/$1"
		rm -rf Cargo.lock Cargo.toml.orig .cargo_vcs_info.json .github \
			benches examples
		[ "$1" = ripgrep ] || rm -rf tests
	)
}

branch() { # NAME COMMAND...
	git checkout -qb "$1" main
	shift
	"$@"
	git_as commit -qam change
	git checkout -q main
}
change_app() {
	sed -i 's/println!("{GENERATED} {n}")/println!("{GENERATED} leaf {n}")/' \
		app/src/main.rs
}
change_matcher() {
	printf '\n/// branch-only addition\npub fn branch_marker() -> u32 { 1 }\n' \
		>>crates/grep-matcher/src/lib.rs
}

workspace() {
	local new=$DEST/new.$$ nvs registry
	[ ! -d "$DEST/ws" ] || return 0
	mkdir "$new"
	cd "$new"
	while read -ra nvs; do
		member "${nvs[@]}"
	done < <(list members.list)
	python3 "$here/workspace.py" .
	# The registry's name in a lock file is taken from a published one.
	read -ra nvs < <(list projects.list)
	registry=$(tar -xOzf "$(fetch "${nvs[@]}")" --wildcards '*/Cargo.lock' |
		sed -n 's/^source = \("registry+[^"]*"\)$/\1/p' | sort -u)
	sed "/SPDX/d; s|@REGISTRY@|$registry|" "$here/ws-Cargo.lock" >Cargo.lock
	cargo fetch --locked -q
	begin_repository base
	branch leaf change_app
	branch core change_matcher
	cd "$DEST"
	mv "$new" ws
	echo "ws: $(find ws/crates -mindepth 1 -maxdepth 1 | wc -l) path members"
}

trap 'rm -rf "$DEST/new.$$"' EXIT
while read -ra nvs; do
	case $what in
	all) project "${nvs[@]}" ;;
	project) [ "${nvs[0]}" != "${3:-}" ] || project "${nvs[@]}" ;;
	esac
done < <(list projects.list)
case $what in
all | workspace) workspace ;;
esac
