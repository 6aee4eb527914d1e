/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk that fails in the middle of a commit: in the sync of the pages, and
 * in the write of the meta page, after which LMDB gives up for good. Nothing is
 * half committed, and once the disk is well again commits succeed.
 */
#include "config.h"

#include "tests/unit/fixture.h"

#include <sys/syscall.h>

#include "store/index.h"
#include "store/keys.h"

/* A write smaller than a page is one of a meta page. */
#define META_MAX 4096

static int fail_sync, fail_meta; /* errno, or 0 */

int fdatasync(int fd)
{
	if (fail_sync) {
		errno = fail_sync;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

ssize_t pwrite(int fd, const void *p, size_t len, off_t off)
{
	if (fail_meta && len < META_MAX) {
		errno = fail_meta;
		return -1;
	}
	return syscall(SYS_pwrite64, fd, p, len, off);
}

static int put(struct txn *txn, void *arg)
{
	return txn_put(txn, TABLE_META, span_of_str(arg), span_of_str("v"));
}

static int get(struct txn *txn, void *arg)
{
	struct span v;

	return txn_get(txn, TABLE_META, span_of_str(arg), &v);
}

static void try(int *what, int error, int want)
{
	struct index *idx;
	struct place p;
	int dir;

	enter(&p);
	dir = open(p.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	OK(index_open(dir, INDEX_CREATE, &idx));
	OK(index_update(idx, put, (char[]){ "before" }));
	for (int i = 0; i < 3; i++) {
		*what = error;
		assert_int_equal(index_update(idx, put, (char[]){ "x" }), want);
		*what = 0;
		assert_int_equal(index_view(idx, get, (char[]){ "x" }),
				 -ENOENT);
		OK(index_view(idx, get, (char[]){ "before" }));
	}
	OK(index_update(idx, put, (char[]){ "after" }));
	(void)index_close(idx);
	OK(index_open(dir, 0, &idx));
	OK(index_view(idx, get, (char[]){ "after" }));
	OK(index_view(idx, get, (char[]){ "before" }));
	(void)index_close(idx);
	OK(close(dir));
	leave(&p);
}

static void the_sync_fails(void **state)
{
	(void)state;
	try(&fail_sync, EIO, -EIO);
	try(&fail_sync, ENOSPC, -ENOSPC);
}

static void the_meta_page_fails(void **state)
{
	(void)state;
	try(&fail_meta, EIO, -EIO);
	try(&fail_meta, ENOSPC, -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_sync_fails),
		cmocka_unit_test(the_meta_page_fails),
	};

	return RUN_TAP(tests);
}
