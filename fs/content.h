/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a regular file's bytes are, and how that changes.
 *
 *	NONE	 empty
 *	MEM	 in file->mem: small files that cargo writes as metadata. The
 *		 flusher commits them as inline blobs.
 *	STAGING	 a private file of the store; all else that is written
 *	BLOB	 shared and immutable, by digest: inline in the index up to
 *		 BLOB_INLINE_MAX bytes, else a file
 *
 *	NONE ──write──► MEM ──grows──► STAGING ──settles──► BLOB (file)
 *	                 └──commit──► BLOB (inline) ──write──► MEM
 *	                 BLOB (file) ──write──► STAGING (a copy)
 *
 * Rules.
 * 1. A blob is never written: bytes are made private first.
 * 2. Bytes that the last commit refers to are not changed before the next one:
 *    truncation to nothing takes a new staging file; any other change first
 *    commits NODE_FLUX, which recovery understands (attach.c).
 * 3. While a passthrough handle is open, the content neither changes its kind
 *    nor its file: the kernel wants one backing file for all of them.
 *
 * All functions but those named _locked need file->io, and may do I/O.
 * Errors: -ENOSPC, -EIO, -ENOMEM, -EFBIG; -ESTALE: the node has been replaced
 * by a copy of another number (see content_make_private); -EBADMSG and
 * -ENOENT from the store are turned into -EIO.
 */
#ifndef FS_CONTENT_H
#define FS_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct node;
struct view;

/* Larger files are not kept in memory. */
#define CONTENT_MEM_MAX BLOB_INLINE_MAX

/* Gives the node a file state. -ENOMEM */
int content_attach_locked(struct node *n);
/* No handle, no pin: frees the file state if it holds nothing. */
void content_idle_locked(struct view *v, struct node *n);
/* Frees the file state, closes its descriptors. */
void content_forget_locked(struct view *v, struct node *n);
/* Closes the descriptors used least lately when there are too many. */
void content_trim(struct view *v);
/* All of them but those of open handles; the settler wants them gone. */
void content_close_backing(struct view *v, struct node *n);

/* True while the bytes are in a file of the store: staging, or a blob. */
bool content_is_file(const struct node *n);
/* Opens the backing file for reading; its descriptor stays the file's own. */
int content_open_backing(struct view *v, struct node *n, int *ret_fd);
/* The same for writing; of a staging file only. */
int content_open_writable(struct view *v, struct node *n, int *ret_fd);

/*
 * Readies the bytes to be changed in place. Copies a blob; commits NODE_FLUX.
 * Where passthrough readers have the blob open, the node's names get a new
 * node with a copy, and -ESTALE makes the kernel look the name up again.
 */
int content_make_private(struct view *v, struct node *n);
/* Whether content_make_private would copy or commit: work for a worker. */
bool content_is_slow_to_write_locked(const struct node *n);
int content_truncate(struct view *v, struct node *n, uint64_t size);
/* Up to the end of the file. */
ssize_t content_read(struct view *v, struct node *n, void *buf, size_t len,
		     uint64_t off);
/* All of it, or an error. The bytes are private already. */
int content_write(struct view *v, struct node *n, const void *buf, size_t len,
		  uint64_t off);
/* Bytes in memory move to a staging file. */
int content_to_staging(struct view *v, struct node *n);
/* Bytes of a small staging file move into memory, and so into the index. */
int content_load_staging(struct view *v, struct node *n);
/* The backing file of a staging file gets the node's mtime. */
void content_set_times(struct view *v, struct node *n);
/* A writer comes: the backing file's times and bytes count from now on. */
void content_heat(struct view *v, struct node *n);

/*
 * Takes size, blocks and times of a hot file over from its backing file.
 * content_refresh() does so with only a pin.
 */
void content_take_over(struct view *v, struct node *n);
void content_refresh(struct view *v, struct node *n);
/*
 * Called when the last writer is gone: once nobody has the backing file open
 * for writing or mapped, the file is no longer hot. True if so.
 */
bool content_try_cool(struct view *v, struct node *n);

#endif
