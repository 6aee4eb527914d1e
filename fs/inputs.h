/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a unit was made from, as it is now: the values of the inputs on a list
 * (store/unit.h), in a view and for a build.
 *
 *	UNIT_SOURCE	digest of the file's bytes
 *	UNIT_TREE	digest of all below the directory (hashes.h)
 *	UNIT_ENV	digest of the variable's value; "*" is the environment
 *	UNIT_DEP	recipe of the unit, which must be KNOWN in the view
 *	UNIT_PLACE	digest of where "workspace" or "target" is, or of the
 *			workspace's "commit"
 *
 * A source whose name begins with INPUT_UNTRACKED counts, but cargo does not
 * look at its time. A tree whose name begins with INPUT_PACKAGE is a package
 * without those in it, of which cargo knows the newest file (newest.h).
 */
#ifndef FS_INPUTS_H
#define FS_INPUTS_H

#include <stdbool.h>
#include <stdint.h>

#include "store/digest.h"
#include "store/unit.h"

struct build;
struct node;
struct view;

#define INPUT_UNTRACKED "?"
#define INPUT_PACKAGE "^"
#define INPUT_ENVIRONMENT "*"
#define INPUT_COMMIT "commit"
/* Bytes before the path in a name. */
size_t input_mark_len(const char *name);

/* A name of UNIT_DEP: "<profile's path>/<H>", or "./<H>": in the same. */
struct dep_name {
	const char *profile; /* NULL: the same */
	size_t profile_len;
	uint64_t hash;
};
/* -EBADMSG */
int dep_name_parse(struct span_str name, struct dep_name *ret_dep);

/* The number of its directory, for a unit in @own; 0: there is none. */
uint64_t dep_profile(struct view *v, uint64_t own, const struct dep_name *dep);

/* The value of a variable that is not set. */
int input_env_value(const char *value, struct digest *ret_value);
int input_place_value(const char *path, struct digest *ret_value);
int input_commit_value(struct view *v, struct digest *ret_value);

/* Not a part of an untracked tree, for hashes_tree(). */
bool input_is_left_out(int dirfd, const char *name);

/* The same of a source or a tree, with its times. */
struct hashed;
int input_look(struct view *v, struct build *b, const struct unit_input *in,
	       struct hashed *ret_hashed);

/*
 * The value of one input but UNIT_DEP, and the newest time that cargo will
 * compare it with (nsec, 0: none). -ENOENT and others: it has none now.
 */
int input_value(struct view *v, struct build *b, const struct unit_input *in,
		struct digest *ret_value, int64_t *ret_time);

#endif
