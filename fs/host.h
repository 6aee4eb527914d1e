/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host mode: the mount's root lists every host view of the store as a
 * directory. A view is attached when its name is first looked up, made by
 * mkdir, removed by rmdir when it is empty, renamed by rename.
 *
 * A directory whose name is two lower-case hex digits is a shelf (record.h):
 * the views are below it. It is there when a view is on it, or when it was
 * made by mkdir; once seen it stays, empty or not, until rmdir or the mount's
 * end. It cannot be renamed.
 *
 * Nothing else can be made in the root or on a shelf: EPERM.
 */
#ifndef FS_HOST_H
#define FS_HOST_H

#include <stdbool.h>

#include "fs/fuse.h"
#include "fs/mount.h"

int host_new(struct mount *m, struct host **ret_host);
void host_free(struct host *h); /* NULL is fine; after all views are gone */

/* True for the root of a host mount and its shelves. */
bool host_serves(fuse_req_t req, fuse_ino_t nodeid);
/* The same, and EPERM has been replied. */
bool host_refuses(fuse_req_t req, fuse_ino_t nodeid);

void host_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void host_getattr(fuse_req_t req, fuse_ino_t ino);
void host_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name,
		mode_t mode);
void host_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void host_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
		 fuse_ino_t newparent, const char *newname, unsigned flags);
void host_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void host_readdir(fuse_req_t req, size_t size, off_t off,
		  struct fuse_file_info *fi);
void host_readdirplus(fuse_req_t req, size_t size, off_t off,
		      struct fuse_file_info *fi);
void host_releasedir(fuse_req_t req, struct fuse_file_info *fi);

#endif
