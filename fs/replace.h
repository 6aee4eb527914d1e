/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regular files whose names change without the kernel's doing: they get a copy
 * beside passthrough readers, or go because the bytes are gone.
 */
#ifndef FS_REPLACE_H
#define FS_REPLACE_H

#include <stdint.h>

struct node;
struct view;

/*
 * Lets all names of @n point to a new node with the same attributes and
 * content, and tells the kernel. The content is @n's blob, or the staging file
 * @staging_id (0: none), which is taken over, also on errors. @n lives on
 * without a name, for those who have it open. -ESTALE, or -ENOMEM. The caller
 * holds n->file->io and a pin.
 */
int node_replace(struct view *v, struct node *n, uint64_t staging_id);
/*
 * The node that has the names of @n now; @n itself if it has not been replaced
 * or if that one is gone. The notification that makes the kernel forget @n's
 * names waits for their directory, so until then, and by a descriptor for as
 * long as that is open, requests for the file come to @n: attributes and links
 * go to its successor as well or instead. What is about its bytes is -ESTALE,
 * upon which the kernel looks the name up again.
 */
struct node *node_current_locked(struct view *v, struct node *n);

/*
 * Removes all names and the row of a file that cannot be committed. Who has it
 * open keeps it. @n may be freed.
 */
void node_lose_locked(struct view *v, struct node *n);

#endif
