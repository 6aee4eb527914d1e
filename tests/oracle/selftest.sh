#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The oracle is not blind and does not cry wolf: cargo alone is right after
# honest steps, and is seen to be wrong after the others; one target directory
# for several checkouts, and copies of one, are seen to be wrong after honest
# steps. TARGETFS_LONG: every bait on its own.
# shellcheck source-path=SCRIPTDIR source=lib.sh
export TARGETFS_PLAIN=1
. "$(dirname "$0")/lib.sh"
TIMEOUT=${LONG:+7200}
TIMEOUT=${TIMEOUT:-900}

# Baits that a copy of another checkout's target takes: what cargo does not
# keep in a fingerprint, or not where it would notice a copy.
COPIED='chain modules symlinks data whereami rerun outdir outrun abspath outabs
cc links pm pmfile pmenv cdylib dylib staticlib binexe example doctest slow nap'

run() {
	local bait
	oracle_env
	equal "cargo alone is right after honest steps" --side plain \
		--seed 1 --seeds 2 --steps 6 --crates 4 --classes honest,again
	differs "it is wrong after edits with old timestamps" --side plain \
		--seed 1 --seeds 3 --steps 4 --crates 2 --classes honest,mtime
	differs "... and after what it is not told" --side plain --seed 1 \
		--seeds 4 --steps 4 --bait pmfile --crates 1 \
		--classes honest,untracked
	differs "... and in another checkout's directory" --side plain \
		--seed 4 --seeds 4 --steps 5 --crates 2 --classes honest,borrow
	differs "... and where a checkout was moved" --side plain --seed 3 \
		--seeds 4 --steps 4 --bait whereami --crates 1 \
		--classes honest,moved
	differs "one directory for all is wrong" --side shared --seed 1 \
		--seeds 4 --steps 3 --crates 2
	differs "a copy of a target is wrong" --side copied --seed 1 \
		--seeds 4 --steps 3 --crates 2
	oracle 3 "a run that shares nothing proves nothing" --side plain \
		--seed 1 --steps 1 --crates 1 --need-hits
	for bait in ${LONG:+$COPIED}; do
		differs "a copy takes the bait '$bait'" --side copied --seed 1 \
			--seeds 8 --steps 4 --bait "$bait" --crates 1
	done
}
test_main "$@"
