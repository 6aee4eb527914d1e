/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wink-in: a unit that cargo looks for, and the view lacks, appears in it when
 * the store holds one that was made from the same inputs.
 *
 * A candidate is shown only if all of this holds; when in doubt, it is not:
 *
 *	1. it was built in the same scope (build.h), for the same H;
 *	2. each file on its list of inputs has the same bytes in this workspace,
 *	   each variable the same value in this build;
 *	3. each unit it depends on is KNOWN in this view, and has the recipe
 *	   that it was built with. One that the view lacks is looked for first;
 *	4. where a path of its origin is in it, this view lies at that path: then
 *	   the place is on its list.
 *
 * All of its files are bound in one step, with one time: the newest of what
 * cargo compares them with. So cargo finds it fresh, and an edit that comes
 * after the check is newer than the unit. (While the view has units from before
 * this build, which may depend on another version of it, the time is when the
 * check began.) One that is yet to come is no time: then nothing is shown.
 *
 * A build asks for each unit once: cargo makes up its mind at the first name
 * that is not there, and what appears later would be in its way.
 */
#ifndef FS_WINKIN_H
#define FS_WINKIN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct build;
struct view;

/*
 * A thread looks for, or is about to make, a name that is not there. True: look
 * again, a unit has appeared. Not under view.lock; reads the index and sources.
 */
bool winkin_missing(struct view *v, uint64_t parent, const char *name,
		    pid_t tid);
/* The unit is there, but made from other inputs: true if the right one has
 * taken its place. */
bool winkin_replace(struct view *v, struct build *b, uint64_t profile,
		    uint64_t hash);
/* Whether the name could be a unit's: its absence may not be remembered. */
bool winkin_may_come(struct view *v, uint64_t parent, const char *name);

#endif
