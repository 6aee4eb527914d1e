#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds on views over one store never show what a clean build does not:
# random workspaces and histories, see oracle.py.
#	oracle.sh [SEED [SECONDS]]
# By default a minute of the same seeds each time; with TARGETFS_LONG
# hours of others each time. With TARGETFS_PLAIN it is cargo alone. Steps are
# of the classes in which a view is as right as cargo in a plain directory; it
# is not when a path is used again ("again"). With -o wink it is right there,
# too, and in steps that deceive cargo, where it knows the units: the seeds are
# such that it does. The pause is for the store to know them.
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
	[ -z "$PLAIN" ] || return 0
	equal "winked in" "${side[@]}" --mount-options wink --pause 3 \
		--classes honest,again,mtime,untracked --seed 3012 --seeds 2 --steps 10 \
		--need-hits
	[ -z "$LONG" ] ||
		equal "winked in, honest steps from seed $SEED" "${side[@]}" \
			--mount-options wink --pause 3 --need-hits --seed "$SEED" \
			--seeds 100000 --seconds "$SECONDS_MAX" --crates 12 --steps 20
}
test_main "$@"
