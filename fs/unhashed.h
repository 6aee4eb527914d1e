/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outputs without H. When a package at a path is a dynamic library (dylib,
 * cdylib), cargo names all that its library's unit writes by the crate alone,
 * "libx.so", "libx.rlib", "x.d", and the directory of its fingerprint by the
 * package: debug and release, with these features and with those, share one H.
 * Two versions of the package, or two packages with such a crate, have an H
 * each, and write over one another's files.
 *
 * So a name tells no unit, and the view holds the outputs of one unit at most:
 * the one that wrote them last. Of units with one crate in one profile only one
 * is KNOWN: whatever happens to a file of this name opens it.
 *
 * In the store a crate's name leads to the H's that it was published with.
 *
 * Functions named _locked need view.lock.
 */
#ifndef FS_UNHASHED_H
#define FS_UNHASHED_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "fs/cargo/span.h"

struct name;
struct node;
struct store;
struct unit;
struct view;

/* Of a library's unit, from its fingerprint; false: it is none. */
bool unhashed_crate_locked(struct view *v, const struct unit *u,
			   char ret_crate[NAME_MAX + 1]);

/* Whether a name in a section of a profile is of the unit; @crate is "" when
 * its outputs have H. */
bool name_is_of_unit(const struct name *nm, uint64_t hash, const char *crate);

/* A file of this crate's has changed, or is about to. */
void unhashed_changed_locked(struct view *v, uint64_t profile,
			     struct span crate);

/* Whether the view has a unit of this crate that is complete. */
bool unhashed_is_there_locked(struct view *v, uint64_t profile,
			      struct span crate);

/*
 * Units whose outputs another one has written over: cargo, which compares
 * times only, would take them for fresh. They are expired; true if any were.
 */
bool unhashed_expire_losers(struct view *v);

/* The number that stands for a crate's name, where an H is asked for. */
uint64_t unhashed_key(struct span crate);
/* A unit of this crate was published. Errors: as unit_publish(). */
int unhashed_publish(struct store *st, const char *crate, uint64_t hash);
/* Each H that was published with it, until @fn returns non-zero, which is
 * returned. Outside of any transaction. */
int unhashed_foreach(struct store *st, struct span crate,
		     int (*fn)(uint64_t hash, void *arg), void *arg);

#endif
