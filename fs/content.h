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
 *    commits NODE_FLUX, which recover.c understands.
 * 3. While a passthrough handle is open, the content neither changes its kind
 *    nor its file: the kernel wants one backing file for all of them.
 *
 * All functions but those named _locked need file->io, and may do I/O. What
 * the bytes are read and written through is file.h's, what is said of a file
 * while it is written is hot.h's.
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

/*
 * Readies the bytes to be changed in place. Copies a blob; commits NODE_FLUX.
 * Where passthrough readers have the blob open, or what may have become one,
 * the node's names get a new node with a copy, and -ESTALE makes the kernel
 * look the name up again.
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

#endif
