/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file is hot (NF_HOT) from when somebody opens its staging file for writing
 * until it is certain that nobody writes it any more. Meanwhile the kernel may
 * change the staging file without a request, so its size and times are the
 * staging file's, the kernel may not cache them, and a commit marks the node
 * NODE_FLUX.
 *
 * All functions but hot_refresh() need file->io.
 */
#ifndef FS_HOT_H
#define FS_HOT_H

#include <stdbool.h>
#include <stdint.h>

struct node;
struct view;

/* Sets a private file's mtime, through any descriptor. */
void hot_stamp(int fd, int64_t nsec);
/* The backing file of a staging file gets the node's mtime. */
void hot_set_times(struct view *v, struct node *n);
/* A writer comes: the backing file's times and bytes count from now on. */
void hot_begin(struct view *v, struct node *n);

/*
 * Takes size, blocks and times of a hot file over from its backing file.
 * hot_refresh() does so with only a pin.
 */
void hot_take_over(struct view *v, struct node *n);
void hot_refresh(struct view *v, struct node *n);
/*
 * Called when the last writer is gone: once nobody has the backing file open
 * for writing or mapped, the file is no longer hot. True if so.
 */
bool hot_try_end(struct view *v, struct node *n);

/*
 * Whether the filesystem of this directory tells of a shared mapping whose
 * descriptor is closed. Overlayfs does not: the mapping holds a file of the
 * layer below. Where it does not, only the daemon may write staging files.
 */
bool hot_is_seen(int dirfd);

#endif
