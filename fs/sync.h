/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of all private files of a view, made durable at once: one sync of
 * the store's filesystem, where fsync(2) of each file would wait for a commit
 * each.
 */
#ifndef FS_SYNC_H
#define FS_SYNC_H

#include <stdint.h>

struct mount;
struct view;

/*
 * What the private files hold now is on disk; the next commit says so of those
 * that nobody writes. The error of the sync, -ENOMEM.
 *
 * The kernel tells of an error once: when a sync has failed in this mount, its
 * error is that of all that come later, and they mark nothing.
 */
int sync_bytes_of_all(struct view *v);
/* One has, elsewhere. */
void sync_failed(struct mount *m, int r);

/*
 * fsync(2) of a directory. Of any: all names of the view are committed. Of the
 * view's root: so are all files, and their bytes are on disk, as if each had
 * been synced. As after fsync(2) of a file, one that still has a writer is
 * marked NODE_FLUX until that is gone.
 */
int do_fsyncdir(struct view *v, uint64_t ino);

#endif
