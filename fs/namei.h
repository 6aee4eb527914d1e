/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names: everything that changes or walks the tree. Permissions are checked by
 * the kernel (default_permissions) before a request gets here, or there is but
 * root to ask (permission_options() in session.c).
 *
 * Functions that return a node have counted one lookup of the kernel's on it;
 * the caller undoes it with do_forget() when the reply did not get through.
 * All take view.lock by themselves. Names are NUL-terminated; one longer than
 * NAME_MAX is -ENAMETOOLONG.
 */
#ifndef FS_NAMEI_H
#define FS_NAMEI_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fs/view.h"

struct entry {
	struct stat st;
	double timeout; /* seconds its attributes may be cached */
};

/* The caller of a request. */
struct caller {
	uid_t uid;
	gid_t gid;
};

int do_lookup(struct view *v, uint64_t parent, const char *name,
	      struct entry *ret_entry);
void do_forget(struct view *v, uint64_t ino, uint64_t nlookup);
/* Regular files, fifos and sockets; @mode has its type bits. */
int do_mknod(struct view *v, uint64_t parent, const char *name, mode_t mode,
	     struct caller who, struct entry *ret_entry);
int do_mkdir(struct view *v, uint64_t parent, const char *name, mode_t mode,
	     struct caller who, struct entry *ret_entry);
int do_symlink(struct view *v, uint64_t parent, const char *name,
	       const char *target, struct caller who, struct entry *ret_entry);
int do_link(struct view *v, uint64_t ino, uint64_t parent, const char *name,
	    struct entry *ret_entry);
int do_unlink(struct view *v, uint64_t parent, const char *name);
int do_rmdir(struct view *v, uint64_t parent, const char *name);
/* @flags: RENAME_NOREPLACE, RENAME_EXCHANGE */
int do_rename(struct view *v, uint64_t parent, const char *name,
	      uint64_t newparent, const char *newname, unsigned flags);
/* Copies at most @size bytes with a NUL; -ENAMETOOLONG */
int do_readlink(struct view *v, uint64_t ino, char *buf, size_t size);

/* Whether cargo writes a file of this name as metadata. */
bool node_is_meta_locked(const struct node *n);

/* Removes a name and, below it, everything. For recovery. */
void remove_tree_locked(struct view *v, struct name *nm);

/* Fills what stat(2) shows. The node is pinned or view.lock held. */
void node_stat_locked(const struct view *v, const struct node *n,
		      struct stat *ret_st);
/* Seconds the kernel may believe these attributes. */
double node_timeout_locked(const struct node *n);

#define FOREVER 86400.0

#endif
