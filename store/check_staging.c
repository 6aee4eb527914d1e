/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fsck: the files in STORE/staging/<view>, of a view that is not mounted. They
 * are those that its nodes name, and as long as these say. Their bytes have no
 * digest yet.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "store/base/io.h"
#include "store/base/macros.h"
#include "store/blob.h"
#include "store/check_impl.h"

int check_staging(struct check *c, uint32_t view, const struct node_rec *rec,
		  const char **ret_wrong)
{
	_cleanup_close_ int fd = -1;
	struct stat s;
	int r;

	r = staging_open(c->st, view, rec->staging_id, O_RDONLY, &fd);
	if (r == 0 && fstat(fd, &s) < 0)
		r = -errno;
	/* No fault of the file's. */
	if (r == -ENOMEM || r == -EMFILE || r == -ENFILE)
		return r;
	/* A file that a killed daemon or a power cut has left in another size
	 * is marked, and the next mount does what has to be done. */
	if (r < 0)
		*ret_wrong = "is missing";
	else if (!(rec->flags & (NODE_FLUX | NODE_UNSYNCED)) &&
		 (uint64_t)s.st_size != rec->size)
		*ret_wrong = "has another size";
	else
		*ret_wrong = NULL;
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

struct left_over {
	struct check *c;
	uint32_t view;
	bool fix;
	const struct buf *ids; /* in use */
};

static int check_one(uint64_t id, void *arg)
{
	struct left_over *lo = arg;
	int r;

	if (lo->ids->len &&
	    bsearch(&id, lo->ids->data, COUNT_OF(lo->ids, uint64_t),
		    sizeof(uint64_t), compare_ids))
		return 0;
	check_problem(lo->c, REMEDY_LEFT_OVER,
		      "view %" PRIu32 ": staging file %016" PRIx64
		      " is left over",
		      lo->view, id);
	r = lo->fix ? staging_unlink(lo->c->st, lo->view, id) : 0;
	return r == -ENOENT ? 0 : r;
}

int check_left_over_staging(struct check *c, uint32_t view, struct buf *ids,
			    bool fix)
{
	struct left_over lo = { .c = c, .view = view, .fix = fix, .ids = ids };
	int r;

	if (ids->err)
		return ids->err;
	if (ids->len)
		qsort(ids->data, COUNT_OF(ids, uint64_t), sizeof(uint64_t),
		      compare_ids);
	r = staging_foreach(c->st, view, check_one, &lo);
	return MIN(r, 0);
}
