/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content freshness: when a build begins, the view's known units are compared
 * with the workspace by content, before cargo compares times.
 *
 * - Inputs the same, but newer: the unit gets their time. A touch, a fresh
 *   clone, a branch flipped there and back compile nothing.
 * - Inputs changed, and the store has a unit made from what they are now: that
 *   one takes its place.
 * - Inputs changed, and there is none: the unit's fingerprint goes, so that
 *   cargo compiles it, whatever the times of its sources say. So it is with a
 *   unit that holds the place it was made at, when that was moved.
 *
 * A unit whose untracked inputs (inputs.h) or variables have changed is left
 * to cargo.
 */
#ifndef FS_REVALIDATE_H
#define FS_REVALIDATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct view;

/*
 * A thread opens a file: when it is a build's lock file, and the first time
 * for this build, the view is looked at. Not under view.lock.
 */
void revalidate_opened(struct view *v, uint64_t ino, pid_t tid);

#endif
