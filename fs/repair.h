/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fingerprint repair. The fingerprint of a build script that does not say what
 * it looks at holds the time of its package's newest file, and those of all
 * units that depend on it hold that one: none of them is the same in two
 * checkouts, although what they were made from is. A unit has three values:
 *
 *	fpr	as it was compiled; names the object in the store
 *	norm	without what differs: a part of the unit's recipe
 *	here	what cargo computes in this view, and its files say here
 *
 * An object's inputs say, beside each dependency, which value that had in the
 * object's own json: there today's is put in. The json must be understood to the
 * byte (fingerprint.h), or the unit is left as it is, and cargo compiles it.
 */
#ifndef FS_REPAIR_H
#define FS_REPAIR_H

#include <stddef.h>
#include <stdint.h>

struct build;
struct fingerprint;
struct unit_object;
struct view;

/* What an object shows of a dependency's value: the package, and its
 * fingerprint. */
void repair_show(const char *package, uint64_t fpr, char *ret_shown,
		 size_t size);

/* The fingerprint's norm, with those of its dependencies, in their order.
 * Changes @f. */
uint64_t repair_norm(struct fingerprint *f, const uint64_t *dep_norms);

/*
 * Makes the fingerprint of a KNOWN unit, made from @obj, right for this view;
 * its dependencies are so already. 1: it was not. Not under view.lock. Errors
 * leave the unit to cargo.
 */
int repair_unit(struct view *v, struct build *b, uint64_t profile,
		uint64_t hash, const struct unit_object *obj);

#endif
