/* SPDX-License-Identifier: Apache-2.0 */
/* Backing ids; see backing.h. */
#include "config.h"

#include "fs/backing.h"

#include <errno.h>
#include <sys/ioctl.h>

#include "fs/fuse.h"
#include "fs/mount.h"

/* linux/fuse.h of the distributions is older than the kernels they run on. */
struct backing_map {
	int32_t fd;
	uint32_t flags;
	uint64_t padding;
};

#define BACKING_OPEN _IOW(229, 1, struct backing_map)
#define BACKING_CLOSE _IOW(229, 2, uint32_t)

/*
 * Under mount.lock, which the end of the session takes away m->se with. These
 * calls of the kernel do no I/O.
 */
static int control(struct mount *m, unsigned long request, void *arg)
{
	int r = -ENODEV;

	lock_acquire(&m->lock);
	if (m->se) {
		r = ioctl(fuse_session_fd(m->se), request, arg);
		if (r < 0)
			r = -errno;
	}
	lock_release(&m->lock);
	return r;
}

int32_t backing_open(struct mount *m, int fd)
{
	struct backing_map map = { .fd = fd };

	return control(m, BACKING_OPEN, &map);
}

void backing_close(struct mount *m, int32_t id)
{
	uint32_t arg = (uint32_t)id;

	/* The end of the session has closed them all. */
	(void)control(m, BACKING_CLOSE, &arg);
}
