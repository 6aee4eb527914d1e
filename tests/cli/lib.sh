# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the tests of the command line share, on top of ../lib.sh.

# rustup's cargo looks for these below HOME, which a test does not have.
export CARGO_HOME=${CARGO_HOME:-$HOME/.cargo}
export RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
export CARGO_NET_OFFLINE=true CARGO_TERM_COLOR=never
unset CARGO_TARGET_DIR CARGO_BUILD_TARGET_DIR CARGO_INCREMENTAL

# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
CLI=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)

# tf ARG...: runs the program; sets RC, its output is in $W/out and $W/err
tf() {
	RC=0
	timeout 120 "$TARGETFS" "$@" >"$W/out" 2>"$W/err" </dev/null || RC=$?
}

# gives STATUS NAME ARG...: the program ends with that status
gives() {
	local want=$1 name=$2
	shift 2
	tf "$@"
	if [ "$RC" = "$want" ]; then ok "$name"; else
		nok "$name" "status $RC, wanted $want" \
			"$(cat "$W/out" "$W/err")"
	fi
}

# says NAME TEXT: the last tf had that text in what it told the user
says() {
	if grep -qF -- "$2" "$W/err"; then ok "$1"; else
		nok "$1" "no '$2' in:" "$(cat "$W/err")"
	fi
}

# prints NAME TEXT: ... in its output
prints() {
	if grep -qF -- "$2" "$W/out"; then ok "$1"; else
		nok "$1" "no '$2' in:" "$(cat "$W/out")"
	fi
}

# prefixed NAME: all that the last tf told the user begins as it should
prefixed() {
	if grep -qv '^targetfs: ' "$W/err"; then
		nok "$1" "$(cat "$W/err")"
	else
		ok "$1"
	fi
}

# silent NAME: nothing to complain about (hints about speed aside)
silent() {
	if grep -qiE 'cannot|error|fail' "$W/err"; then
		nok "$1" "$(cat "$W/err")"
	else
		ok "$1"
	fi
}

# json NAME EXPRESSION WANTED: of the last tf's output, as Python sees it in d
json() {
	local got
	got=$(python3 -c 'import json, sys
d = json.load(open(sys.argv[1]))
print(eval(sys.argv[2]))' "$W/out" "$2" 2>&1)
	is "$got" "$3" "$1"
}

# valid_json NAME: the last tf printed JSON, and nothing else
valid_json() {
	check "$1" python3 -m json.tool "$W/out"
}

# A cargo workspace without dependencies: a library, and a program with a
# build script that links to it.
make_project() { # DIR
	mkdir -p "$1/src" "$1/util/src"
	cat >"$1/Cargo.toml" <<-'TXT'
	[workspace]
	members = ["util"]

	[package]
	name = "app"
	version = "0.1.0"
	edition = "2021"

	[dependencies]
	util = { path = "util" }
	TXT
	cat >"$1/util/Cargo.toml" <<-'TXT'
	[package]
	name = "util"
	version = "0.1.0"
	edition = "2021"
	TXT
	echo 'fn main() { println!("cargo:rerun-if-changed=build.rs"); }' >"$1/build.rs"
	echo 'fn main() { println!("{}", util::word()); }' >"$1/src/main.rs"
	echo 'pub fn word() -> &'"'static"' str { "works" }' >"$1/util/src/lib.rs"
}

need_cargo() {
	cargo -V >/dev/null 2>&1 && cc --version >/dev/null 2>&1 ||
		skip_all "needs cargo and cc"
}

# units_built LOG: how many crates a build with -v compiled
units_built() { grep -c '^ *Compiling ' "$1"; }
