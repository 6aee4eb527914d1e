/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store on disk:
 *
 *	STORE/format            one line: "targetfs store 2\n"
 *	STORE/index/            the LMDB environment; in "vetted" the boot in
 *	                        which all its pages were last looked at
 *	STORE/blobs/ab/cdef...  immutable bytes, named by SHA-256, mode 0444
 *	STORE/staging/<view>/   private, mutable bytes of a view
 *	STORE/lease/<view>      locked by the daemon that has the view open;
 *	                        <view>.why is fs/why_file.h's
 *
 * <view> is the view's id, 8 lower-case hex digits. STORE is made with mode
 * 0700, and all in it belongs to one user.
 *
 * Any number of processes may have one store open. Open it after the last
 * fork. All functions are thread-safe.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdint.h>

struct index;
struct store;

#define STORE_FORMAT "targetfs store 2"

enum store_flags {
	STORE_CREATE = 1 << 0,	 /* make it (and its parents) when absent */
	STORE_READONLY = 1 << 1, /* for a store on a read-only medium */
};

/*
 * Errors: -ENOENT no store there, -ESTALE a store of another format version,
 * -ENOTEMPTY a directory that is not a store and not empty, -EBADMSG the
 * index is damaged (fsck repairs), -EAGAIN see index.h, -EACCES, -ENOSPC,
 * -EROFS ...
 */
int store_open(const char *path, unsigned flags, struct store **ret_store);
struct store *store_close(struct store *st); /* NULL */

/* The absolute path it was opened by; lives as long as the store. */
const char *store_path(const struct store *st);
struct index *store_index(const struct store *st);
/*
 * Descriptors of the store's directories; owned by the store. blobs_ro is the
 * same directory behind a read-only mount of its own where the kernel lets us
 * make one, so that nothing opened through it can ever be written, by the
 * kernel's passthrough least of all; else it is equal to blobs.
 */
int store_root_fd(const struct store *st);
int store_blobs_fd(const struct store *st);
int store_blobs_ro_fd(const struct store *st);
int store_staging_fd(const struct store *st);
int store_lease_fd(const struct store *st);

#endif
