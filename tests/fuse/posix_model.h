/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file and what it must hold: every operation is done to both, and what is
 * read through any descriptor is compared with the model.
 */
#ifndef TESTS_FUSE_POSIX_MODEL_H
#define TESTS_FUSE_POSIX_MODEL_H

#include "tests/fuse/posix.h"

#define MODEL_MAX (2u << 20)

struct model {
	char path[160];
	unsigned char *bytes; /* MODEL_MAX; zero beyond size */
	size_t size;
	struct rnd rnd;
};

void model_init(struct model *m, const char *path, size_t size, uint64_t seed);
void model_release(struct model *m);
/* Random bytes at off, to the file and to the model. */
void model_pwrite(struct model *m, int fd, size_t off, size_t len);
void model_append(struct model *m, int fd, size_t len); /* O_APPEND or at end */
void model_truncate(struct model *m, int fd, size_t size); /* fd -1: by path */
/* The model alone: the caller did it. */
void model_set_size(struct model *m, size_t size);
/* All of the file, or a random range of it, as seen through fd. */
void model_check(const struct model *m, int fd);
void model_check_part(struct model *m, int fd);
void model_check_path(const struct model *m);

#endif
