/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run-time state of a regular file (struct file, view.h): the descriptors
 * of its backing file, a staging file or a blob. They are kept when the last
 * handle is gone, as long as there are not too many.
 *
 * All functions but file_trim() and those named _locked need file->io.
 * -ENOENT and -EBADMSG of the store come out as -EIO.
 */
#ifndef FS_FILE_H
#define FS_FILE_H

#include <stdbool.h>

struct mount;
struct node;
struct view;

/* Gives the node a file state. -ENOMEM */
int file_attach_locked(struct node *n);
/* No handle, no pin: frees the file state if it holds nothing. */
void file_idle_locked(struct view *v, struct node *n);
/* Frees the file state, closes its descriptors. */
void file_forget_locked(struct view *v, struct node *n);
/*
 * Closes descriptors when the mount's views keep too many together: of the
 * view with the most, those used least lately.
 */
void file_trim(struct mount *m);
/* Closes the file's descriptors, and the kernel's handle on it: no passthrough
 * handle is open. */
void file_close(struct view *v, struct node *n);

/* True while the bytes are in a file of the store: staging, or a blob. */
bool file_has_backing(const struct node *n);
/* Its enum node_flag, for who does not have view.lock. */
unsigned file_flags(struct view *v, const struct node *n);
/* Opens the backing file for reading; its descriptor stays the file's own. */
int file_open(struct view *v, struct node *n, int *ret_fd);
/* The same for writing; of a staging file only. */
int file_open_writable(struct view *v, struct node *n, int *ret_fd);

#endif
