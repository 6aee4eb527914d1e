/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blobs and staging files: the bytes of the store.
 *
 * A staging file is private to one view and mutable. It becomes a blob in four
 * steps, the first three for many files at once:
 *
 *	blob_sync_data()   their bytes are durable
 *	blob_link()        each has its digest's name
 *	blob_sync_names()  the names are durable
 *	views_commit()     a batch (views.h) puts the blobs' rows together with
 *	                   the nodes that refer to them
 *
 * The order is the point: whatever happens, SIGKILL and power loss included,
 * no row is committed that lacks its name, and no name is given to bytes that
 * the kernel has not said to be on disk. What has
 * a name and no row yet is left alone by blob_sweep() while its ctime is
 * younger than the grace, and the batch links it again should it be gone;
 * after a crash it is a file left over, which the sweep or fsck removes.
 */
#ifndef STORE_BLOB_H
#define STORE_BLOB_H

#include <stdbool.h>
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
 * Waits until the bytes of these open files are on disk. An error that is
 * returned says nothing of any one of them: try again. An error of a file's
 * own is in @ret_errors, else 0: what is on disk is not what was written, and
 * the kernel will not say so again, whoever asks.
 */
int blob_sync_data(struct store *st, const int *fds, size_t count,
		   int *ret_errors);

/* The names that blob_link() has given and that are to be made durable. Zeros
 * to begin with. */
struct blob_names {
	size_t count;
	bool dirs[256]; /* by the first byte of the digest */
	bool made_dir;	/* one of them is new itself */
};

/*
 * Gives the staging file its blob name, if the blob is not there yet. @fd is
 * the staging file, open for reading; its bytes are durable, and nobody may
 * have it open for writing. Where the blob exists with the same size its ctime
 * is renewed and it is used; the caller no longer needs its own.
 * -ESTALE: the file's size is not @size. A blob file of another size is
 * damaged, and replaced.
 */
int blob_link(struct store *st, struct blob_names *names, uint32_t view,
	      uint64_t id, int fd, const struct digest *d, uint64_t size);
int blob_sync_names(struct store *st, struct blob_names *names);

/*
 * Makes sure that a blob's file is there, linking it again from the staging
 * file if not. For use within a commit, after blob_sync_names(). -ENOENT: neither
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
