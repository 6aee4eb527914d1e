# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the scripts of the oracle share, on top of ../cargo/lib.sh.

# shellcheck source-path=SCRIPTDIR source=../cargo/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../cargo/lib.sh"

oracle_env() {
	need cc git python3
	cargo_env
}

# oracle STATUS NAME ARGUMENT...: the oracle ends with that status
oracle() {
	local want=$1 name=$2 rc=0
	shift 2
	python3 "$TESTS/oracle/oracle.py" --work "$W/oracle" "$@" \
		>"$W/oracle.out" 2>&1 || rc=$?
	if [ "$rc" = "$want" ]; then ok "$name"; else
		nok "$name" "status $rc, wanted $want, of: oracle.py $*"
	fi
	tail -n 40 "$W/oracle.out" | sed 's/^/# /'
}

# equal NAME ARGUMENT...: no build differs from a clean one
# differs NAME ARGUMENT...: one does, and the oracle sees it
equal() { oracle 0 "$@"; }
differs() { oracle 1 "$@" --stop; }
