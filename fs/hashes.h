/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digests of files outside the mount: sources and whatever else a unit was
 * made from. A digest is remembered as long as the file's device, inode, size,
 * mtime and ctime are the same, and only if the file was at rest when it was
 * read: two changes within one tick of the clock leave equal times behind
 * (git's "racy" entries are the same problem).
 *
 * A lookup in a mount of ours, whose reply might wait for us, is never made:
 * files are opened by outside_open().
 *
 * Any thread; files are read without a lock.
 */
#ifndef FS_HASHES_H
#define FS_HASHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/digest.h"

struct hashes;

struct hashed {
	struct digest digest;
	int64_t mtime; /* nsec since the epoch */
	int64_t ctime;
};

/* NULL: out of memory. */
struct hashes *hashes_new(void);
struct hashes *hashes_free(struct hashes *h); /* NULL */

/*
 * The file at @path, below the directory @base_fd unless @path is absolute.
 * -ENOENT, -EISDIR, -EINVAL for what is no regular file, -EBUSY when it
 * changes all the time, -EFBIG beyond HASHED_FILE_MAX, -EREMOTE on a
 * filesystem whose times another machine's clock may set.
 */
int hashes_file(struct hashes *h, int base_fd, const char *path,
		struct hashed *ret_hashed);

/*
 * The newest ctime of the directories that lead to @path: when one of them may
 * last have been exchanged for another, without a trace on the file.
 */
int hashes_moved(int base_fd, const char *path, int64_t *ret_nsec);

/*
 * All files below a directory, in byte order of their paths: names, types and
 * contents; symbolic links by their target. Directories that @skip (may be NULL)
 * says true of are left out; @dirfd is the one that @name is in. -E2BIG beyond
 * HASHED_TREE_MAX entries, -EFBIG beyond HASHED_TREE_BYTES, -EXDEV at a mount
 * point that is not left out. Both times are the newest of all files and
 * directories.
 */
typedef bool (*skip_fn)(int dirfd, const char *name);
int hashes_tree(struct hashes *h, int base_fd, const char *path, skip_fn skip,
		struct hashed *ret_hashed);

/* Sources are text; larger ones are data that nobody wants hashed in a
 * lookup. */
#define HASHED_FILE_MAX ((uint64_t)256 << 20)
#define HASHED_TREE_MAX 20000
/* A second's work, while cargo waits. */
#define HASHED_TREE_BYTES ((uint64_t)1 << 30)

#endif
