/* SPDX-License-Identifier: Apache-2.0 */
/* Binding: the files of a unit object become files of a view, by reference. */
#ifndef FS_BIND_H
#define FS_BIND_H

#include <stdint.h>

struct build;
struct unit_identity;
struct unit_object;
struct view;

/*
 * All files of @obj appear below the profile's directory, in one step under
 * view.lock, with all times @stamp (but ctime), owned by the user of @build;
 * the unit is KNOWN. Directories may be there already. -EEXIST: a file of the unit
 * is there, or one of its names; -ENOENT: the profile is gone; -ENOMEM,
 * -EMLINK: then nothing has changed.
 */
int bind_unit(struct view *v, uint64_t profile, uint64_t hash,
	      const struct unit_object *obj, const struct unit_identity *id,
	      int64_t stamp, const struct build *build);

#endif
