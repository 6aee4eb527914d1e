/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading directories. The first read after opendir or rewinddir takes a
 * snapshot of the names, so that a reader sees each name that was there all
 * along exactly once, whatever is created or removed meanwhile; names that are
 * gone when their turn comes are left out.
 */
#ifndef FS_DIR_H
#define FS_DIR_H

#include <stdint.h>

#include "fs/namei.h"

struct dir_handle;

int do_opendir(struct view *v, uint64_t ino, struct dir_handle **ret_dh);
void do_releasedir(struct dir_handle *dh);

struct dir_entry {
	const char *name; /* NUL-terminated; until the next call */
	uint64_t next;	  /* the offset behind it */
	struct entry entry;
};

enum dir_flags {
	DIR_LOOKUP = 1 << 0, /* count a lookup on each but "." and ".." */
};

/*
 * The entry at @off (0: the first): 1, or 0 at the end. -ENOMEM, -ENOENT.
 * With DIR_LOOKUP the attributes are whole, without it only st_ino and the
 * type are.
 */
int do_readdir(struct dir_handle *dh, uint64_t off, unsigned flags,
	       struct dir_entry *ret_entry);
struct view *dir_handle_view(const struct dir_handle *dh);

#endif
