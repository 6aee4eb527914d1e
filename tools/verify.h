/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rebuilds units from what they were made from, where that is still there, and
 * compares what comes out with what the store has: `targetfs verify`.
 *
 *	verify_sample		some units, of workspaces that still exist
 *	verify_inputs		are their inputs still as recorded?
 *	verify_build		cargo builds the whole workspace once more, in a
 *				scratch directory on plain disk that takes the
 *				place of its target directory: paths that end up
 *				in artifacts are the same
 *	verify_compare		file by file
 *
 * Cargo itself decides what a unit is made from. What no build or check of all
 * targets of the workspace makes cannot be rebuilt.
 */
#ifndef TOOLS_VERIFY_H
#define TOOLS_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/base/buf.h"
#include "store/unit.h"

struct store;

enum verdict {
	VERDICT_NONE,	 /* not looked at yet */
	VERDICT_SAME,	 /* but for what may differ, see verify_compare.c */
	VERDICT_DIFFERS, /* `detail` is the file */
	VERDICT_GONE,	 /* cannot be rebuilt; `detail` says why */
};

struct verify_unit {
	struct unit_key key;
	struct buf bytes; /* the object, encoded */
	struct unit_object obj;
	/* owned */
	char *package, *kind, *profile, *workspace, *target;
	enum verdict verdict;
	char *detail; /* owned, or NULL */
};

struct verify_list {
	struct verify_unit *units;
	size_t len;
	uint64_t published; /* in the store */
};

/* @max units at random. Says what goes wrong. */
int verify_sample(struct store *st, size_t max, struct verify_list *ret_list);
void verify_list_release(struct verify_list *list);

void verify_set(struct verify_unit *u, enum verdict verdict, const char *fmt,
		...) __attribute__((format(printf, 3, 4)));
void verify_inputs(struct store *st, struct verify_unit *u);
/*
 * Runs `cargo @verb` for all targets of the unit's workspace and profile, with
 * @scratch in the place of its target directory. 0, also when cargo fails: what
 * it has made until then is there. -EPERM: no mount can be made here.
 */
int verify_build(const struct verify_unit *u, const char *verb,
		 const char *scratch);
/* Leaves the verdict open when the unit is not in @scratch. */
void verify_compare(struct store *st, struct verify_unit *u,
		    const char *scratch);

#endif
