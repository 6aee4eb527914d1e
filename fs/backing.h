/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backing ids: the kernel's handles on files that it reads, writes and maps
 * by itself (FUSE_DEV_IOC_BACKING_OPEN, linux/fuse.h, since Linux 6.9).
 *
 * The kernel opens the file anew for each FUSE handle, with that handle's own
 * access mode: the mode of the descriptor given here limits nothing.
 */
#ifndef FS_BACKING_H
#define FS_BACKING_H

#include <stdint.h>

struct mount;

/* An id > 0, or a negative errno: -EPERM without CAP_SYS_ADMIN, -ELOOP on a
 * stacked filesystem. */
int32_t backing_open(struct mount *m, int fd);
void backing_close(struct mount *m, int32_t id);

#endif
