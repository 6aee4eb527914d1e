/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths that others have chosen, and that may lead anywhere: a thread that
 * serves the mount and looks for something in it waits for itself, for ever.
 */
#ifndef FS_OUTSIDE_H
#define FS_OUTSIDE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Where the absolute @path leads, as realpath(3) says; nothing at or below
 * @mountpoint is touched: -EXDEV. -ELOOP: too many symbolic links, or, without
 * @links, one. Errors of readlink(2). The file itself need not be readable.
 */
int outside_resolve(const char *mountpoint, const char *path, bool links,
		    char ret_real[PATH_MAX]);

/*
 * Opens a file that is no mount's: a path below @base_fd does not leave its
 * mount, an absolute one has no symbolic link and no "..". Others are -EXDEV
 * or -ELOOP. A fifo does not hold us.
 */
int outside_open(int base_fd, const char *path, uint64_t flags);

#endif
