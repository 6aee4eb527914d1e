#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds on views over one store never show what a clean build does not:
# random workspaces and histories, see oracle.py.
#	oracle.sh [SEED [SECONDS]]
# By default a minute of the same seeds each time; with TARGETFS_LONG
# hours of others each time. With TARGETFS_PLAIN it is cargo alone. Steps are
# of the classes in which a view is as right as cargo in a plain directory; it
# is not when a path is used again ("again").
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
TIMEOUT=${LONG:+7000}
TIMEOUT=${TIMEOUT:-1500}
SEED=${1:-${LONG:+$(date +%s)}}
SEED=${SEED:-1000}
SECONDS_MAX=${2:-${LONG:+4200}}
SECONDS_MAX=${SECONDS_MAX:-60}

run() {
	local side=(--side "${PLAIN:+plain}")
	[ -n "$PLAIN" ] || side=(--side view)
	oracle_env
	equal "honest steps from seed $SEED" "${side[@]}" --seed "$SEED" \
		--seeds 100000 --seconds "$SECONDS_MAX" --steps 10 \
		${LONG:+--crates 12 --steps 40}
	equal "in the new layout, from seed $SEED" "${side[@]}" --seed "$SEED" \
		--seeds 100000 --seconds $((SECONDS_MAX / 3)) --steps 10 \
		--new-layout ${LONG:+--crates 12 --steps 40}
}
test_main "$@"
