/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The copying of an import: from a plain tree into a mounted view, with hard
 * links, symbolic links, modes, times, user.* attributes and holes, and the
 * owner when root.
 */
#ifndef TOOLS_IMPORT_COPY_H
#define TOOLS_IMPORT_COPY_H

#include <limits.h>
#include <stdint.h>

struct import_sums {
	uint64_t files; /* names of anything but directories */
	uint64_t dirs;
	uint64_t bytes;	      /* of regular files, each inode once */
	uint64_t kept;	      /* names where the view's own file was kept */
	uint64_t plain_modes; /* inodes that lost special mode bits */
	char first_kept[PATH_MAX];
};

/*
 * Copies what is below @src into @dir, compares it, and makes it durable.
 * What is there already is not copied again, and what is there and different
 * is counted as kept. Says what goes wrong; -EINTR after SIGINT, SIGTERM and
 * SIGHUP.
 */
int import_copy(int src, const char *dir, struct import_sums *ret_sums);

#endif
