/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a unit was not winked in, for `targetfs why`: of a view's last build,
 * that is the one which began last, each unit that it looked for in vain, with
 * the nearest object of the store and the first input that differs.
 *
 * What is found out while cargo waits is only written down, in memory: which
 * lists of inputs were tried, and their values here. A worker compares these
 * with the store's objects, counts the reasons, and appends to the view's file
 * (why_file.h). It sets objects aside that have just these values: they were
 * published since.
 */
#ifndef FS_WHY_H
#define FS_WHY_H

#include <stddef.h>
#include <stdint.h>

#include "store/digest.h"

struct build;
struct store;
struct unit_list;
struct unit_object;
struct view;
struct why;

/* Of one view. NULL: out of memory; all of the rest accepts that. */
struct why *why_new(struct store *st, uint32_t view);
struct why *why_free(struct why *w); /* NULL */

/* --- while a unit is looked for ------------------------------------------- */

/* Lists beyond the first few are not compared. */
#define WHY_TRIES_MAX 8

struct why_try {
	struct digest scope, list;
	struct digest *values; /* owned */
	size_t known, count;   /* values; of the input after them: none here */
};

struct why_tries {
	struct why_try try[WHY_TRIES_MAX];
	size_t count;
};

/* The first @known inputs of the list have values now. */
void why_tried(struct why_tries *t, const struct digest *scope,
	       const struct unit_list *list, const struct digest *list_digest,
	       size_t known);
void why_tries_release(struct why_tries *t);

/* --- what has come of it -------------------------------------------------- */

/* A build has begun; NULL: none has. */
void why_began(struct view *v, struct build *b);
/*
 * It was not there. @name is what cargo looked for, or NULL: another unit's
 * dependency; @error is negative. Takes what @t holds.
 */
void why_missed(struct view *v, struct build *b, uint64_t profile,
		uint64_t hash, const char *name, struct why_tries *t,
		int error);
/* It was there: counts bytes, and time that need not be spent. */
void why_winked(struct view *v, const struct unit_object *obj);
/* Cargo has written a unit's json. */
void why_compiled(struct view *v, uint64_t profile, uint64_t hash);

#endif
