/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of all private files of a view, made durable at once: one sync of
 * the store's filesystem, where fsync(2) of each file would wait for a commit
 * each.
 */
#ifndef FS_SYNC_H
#define FS_SYNC_H

#include <stdint.h>

struct view;

/*
 * What the private files hold now is on disk; the next commit says so of those
 * that nobody writes. The error of the sync, -ENOMEM.
 */
int sync_bytes_of_all(struct view *v);

/*
 * fsync(2) of a directory. Of any: all names of the view are committed. Of the
 * view's root: so are all files, and their bytes are on disk, as if each had
 * been synced. As after fsync(2) of a file, one that still has a writer is
 * marked NODE_FLUX until that is gone.
 */
int do_fsyncdir(struct view *v, uint64_t ino);

#endif
