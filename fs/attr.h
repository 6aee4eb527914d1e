/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attributes: stat, chmod, chown, utimens, truncate, extended attributes.
 *
 * The set-user-id and set-group-id bits of what is no directory are refused
 * with EPERM: artifacts are shared, and a privilege must not be.
 * Extended attributes are those of the user namespace; trusted.* and others
 * are EOPNOTSUPP, security.* is never there and cannot be set.
 */
#ifndef FS_ATTR_H
#define FS_ATTR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fs/namei.h"

int do_getattr(struct view *v, uint64_t ino, struct entry *ret_entry);

/*
 * access(2), @mask of R_OK, W_OK, X_OK: asked only where the kernel does not
 * check permissions, that is of root, whom nothing stops but to execute what
 * nobody may. -EACCES
 */
int do_access(struct view *v, uint64_t ino, int mask);

enum set_what {
	SET_MODE = 1 << 0,
	SET_UID = 1 << 1,
	SET_GID = 1 << 2,
	SET_SIZE = 1 << 3,
	SET_ATIME = 1 << 4,
	SET_MTIME = 1 << 5,
	SET_ATIME_NOW = 1 << 6,
	SET_MTIME_NOW = 1 << 7,
};

/* What @set says, from @st. SET_SIZE does I/O. */
int do_setattr(struct view *v, uint64_t ino, unsigned set,
	       const struct stat *st, struct entry *ret_entry);

/* All of a directory's names and a file's bytes; see do_fsync(). */
int do_setxattr(struct view *v, uint64_t ino, const char *name,
		const void *value, size_t len, int flags);
/* The length; with @size > 0 also the value, or -ERANGE. -ENODATA */
ssize_t do_getxattr(struct view *v, uint64_t ino, const char *name, void *buf,
		    size_t size);
ssize_t do_listxattr(struct view *v, uint64_t ino, char *buf, size_t size);
int do_removexattr(struct view *v, uint64_t ino, const char *name);

/*
 * The identity of a unit (units.h): an attribute that programs neither see nor
 * set. -ENOMEM; dropping needs no memory.
 */
#define NODE_IDENTITY "targetfs.unit" /* in no namespace of Linux's */
int node_set_identity_locked(struct view *v, struct node *n, const void *value,
			     size_t len);
void node_drop_identity_locked(struct view *v, struct node *n);
bool node_get_identity_locked(const struct node *n, const void **ret_value,
			      size_t *ret_len);

#endif
