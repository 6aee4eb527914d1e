/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blobs and staging files: the bytes of the store.
 *
 * A staging file is private to one view and mutable. It becomes a blob in two
 * steps: blob_link() makes it durable under its digest's name, then a batch
 * (views.h) commits the blob's row together with the node that refers to it.
 * Between the two the file has no row; blob_sweep() leaves files alone whose
 * ctime is younger than its grace, and the batch links the file again should
 * it be gone.
 */
#ifndef STORE_BLOB_H
#define STORE_BLOB_H

#include <stddef.h>
#include <stdint.h>

#include "store/digest.h"

struct store;

/* Contents up to this many bytes may live in the index. LMDB stores values up
 * to about half a page in place; larger ones take whole pages of their own,
 * still cheaper than an inode. */
#define BLOB_INLINE_MAX 16384

/*
 * Opens a blob that is a file, O_RDONLY, through blobs_ro. -ENOENT: no such
 * file.
 */
int blob_open(struct store *st, const struct digest *d, int *ret_fd);

/*
 * Reads up to @len bytes at @off of an inline blob, or of one that is a file.
 * -ENOENT: there is no such blob; -EBADMSG: damaged.
 */
int blob_read_inline(struct store *st, const struct digest *d, uint64_t off,
		     void *buf, size_t len, size_t *ret_len);

/*
 * Gives the staging file its blob name, if the blob is not there yet: the
 * file's data and the name are durable when this returns. @fd is the staging
 * file, open for reading; nobody may have it open for writing. Where the blob
 * exists with the same size its ctime is renewed and it is used; the caller
 * no longer needs its own. Survives SIGKILL and power loss at any point:
 * then there is a name without a row, which blob_sweep() or fsck removes.
 * -ESTALE: the file's size is not @size. A blob file of another size is
 * damaged, and replaced.
 */
int blob_link(struct store *st, uint32_t view, uint64_t id, int fd,
	      const struct digest *d, uint64_t size);

/*
 * Makes sure that a blob's file is there, linking it again from the staging
 * file if not. For use within a commit, after blob_link(). -ENOENT: neither
 * is there.
 */
int blob_ensure(struct store *st, uint32_t view, uint64_t id,
		const struct digest *d, uint64_t size);
/* 0: the file is there and has this size. -ENOENT: it is not, or has not. */
int blob_exists(struct store *st, const struct digest *d, uint64_t size);

/*
 * Deletes blobs that nothing refers to: those dead for @grace_sec whose file's
 * ctime is as old, and files without a row (one of the 256 directories per
 * call); at most @max. Says how many bytes came free.
 */
int blob_sweep(struct store *st, unsigned grace_sec, unsigned max,
	       uint64_t *ret_freed);

/* "ab/cdef..." */
#define BLOB_NAME_LEN (DIGEST_HEX_LEN + 1)
void blob_name(const struct digest *d, char ret_name[BLOB_NAME_LEN + 1]);

/* The view's staging directory is made when needed. */
int staging_create(struct store *st, uint32_t view, uint64_t id, int *ret_fd);
/* @flags: O_RDONLY or O_RDWR */
int staging_open(struct store *st, uint32_t view, uint64_t id, int flags,
		 int *ret_fd);
int staging_unlink(struct store *st, uint32_t view, uint64_t id);
/* Calls @fn for each file, until it returns non-zero, which is returned; it
 * may unlink the file. A view without a directory has no files. */
int staging_foreach(struct store *st, uint32_t view,
		    int (*fn)(uint64_t id, void *arg), void *arg);

/* Removes the view's staging directory and all in it. */
int staging_remove(struct store *st, uint32_t view);

#endif
