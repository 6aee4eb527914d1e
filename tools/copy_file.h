/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies single files and the attributes of files, across filesystems.
 */
#ifndef TOOLS_COPY_FILE_H
#define TOOLS_COPY_FILE_H

#include <stdbool.h>
#include <sys/stat.h>

/*
 * Makes @to (which must not exist) a copy of @name, a regular file, symbolic
 * link, fifo or socket with the attributes @st: data with its holes, mode,
 * times, user.* attributes, and the owner when @owner. *ret_plain says that
 * special mode bits were refused and left out. On error a part of @to may be
 * there. -EPERM for a device.
 */
int copy_entry(int dirfd, const char *name, const struct stat *st, int to_dir,
	       const char *to, bool owner, bool *ret_plain);
/* Gives the directory @to the attributes of @fd, whose stat is @st. */
int copy_dir_meta(int fd, const struct stat *st, int to_dir, const char *to,
		  bool owner, bool *ret_plain);
/*
 * Is @to, whose stat is @there, a copy of @name? By type, permissions, and
 * size and mtime, or the target of a symbolic link.
 */
bool copy_is_same(int dirfd, const char *name, const struct stat *st,
		  int to_dir, const char *to, const struct stat *there);

#endif
