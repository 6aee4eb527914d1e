/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open files. A handle is served in one of two ways, chosen at its open and
 * kept until its release:
 *
 *	passthrough	the kernel reads, writes and maps the backing file and
 *			asks nothing
 *	cached		READ and WRITE requests, with the kernel's page cache
 *			before them
 *
 * The kernel wants all open handles of an inode to be of one kind, and all
 * passthrough handles to carry the same backing id; everything else is EIO in
 * the application. So the first handle decides, until the last is released.
 */
#ifndef FS_OPEN_H
#define FS_OPEN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fs/namei.h"

struct handle {
	struct view *view;
	uint64_t ino;
	bool writes;
	bool passthrough;
};

struct opened {
	struct handle *handle; /* goes to do_release() */
	int32_t backing_id;    /* 0: cached */
	bool keep_cache;       /* the pages that the kernel holds are right */
};

/* Whether do_open() would copy a file or wait for a commit. */
bool open_is_slow(struct view *v, uint64_t ino, int flags);
int do_open(struct view *v, uint64_t ino, int flags, struct opened *ret_opened);
int do_create(struct view *v, uint64_t parent, const char *name, mode_t mode,
	      int flags, struct caller who, struct entry *ret_entry,
	      struct opened *ret_opened);
/* Frees the handle. */
void do_release(struct handle *h);

ssize_t do_read(struct handle *h, void *buf, size_t len, uint64_t off);
int do_write(struct handle *h, const void *buf, size_t len, uint64_t off);
/* Bytes and names of the file are on disk when this returns. */
int do_fsync(struct view *v, uint64_t ino);
/* @mode: FALLOC_FL_KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE; else -EOPNOTSUPP */
int do_fallocate(struct handle *h, int mode, uint64_t off, uint64_t len);
/* SEEK_DATA, SEEK_HOLE: the offset found, or -ENXIO */
off_t do_lseek(struct handle *h, off_t off, int whence);
/* Bytes copied, maybe fewer than @len. */
ssize_t do_copy_range(struct handle *from, uint64_t off_from, struct handle *to,
		      uint64_t off_to, size_t len);

#endif
