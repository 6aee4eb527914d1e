/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of fsck: runs it, and damages rows of the index, as a writer (the
 * checksum is right) or behind its back. Included once, after fixture.h.
 */
#ifndef TESTS_UNIT_CHECKS_H
#define TESTS_UNIT_CHECKS_H

#include "store/check.h"
#include "store/index.h"
#include "store/keys.h"

/* A store, and what fsck said of it last. */
struct fsck {
	struct place p;
	char text[8192]; /* a line for each problem */
	struct check_report rep;
};

static void note_problem(const char *problem, void *arg)
{
	struct fsck *f = arg;
	size_t len = strlen(f->text);

	(void)snprintf(f->text + len, sizeof(f->text) - len, "%s\n", problem);
}

static void run(struct fsck *f, unsigned flags)
{
	f->text[0] = '\0';
	OK(store_check(f->p.st, flags, note_problem, f, &f->rep));
}

static void expect_clean(struct fsck *f)
{
	run(f, CHECK_READ_DATA);
	if (f->rep.damaged)
		fail_msg("not clean: %s", f->text);
}

/* The damage is found by a check, and mended by a repair. */
static void expect_repaired(struct fsck *f, unsigned flags, const char *what)
{
	uint64_t found;

	run(f, flags);
	found = f->rep.damaged;
	if (!strstr(f->text, what))
		fail_msg("'%s' is not among: %s", what, f->text);
	assert_int_equal(f->rep.repaired, 0);
	run(f, flags | CHECK_REPAIR);
	assert_true(f->rep.damaged >= found);
	assert_int_equal(f->rep.repaired, f->rep.damaged);
}

/* And then it is gone. */
static UNUSED void expect(struct fsck *f, unsigned flags, const char *what)
{
	expect_repaired(f, flags, what);
	expect_clean(f);
}

struct edit {
	enum table t;
	struct span key, value; /* value.p NULL: delete */
};

static int do_edit(struct txn *txn, void *arg)
{
	const struct edit *e = arg;

	return e->value.p ? txn_put(txn, e->t, e->key, e->value)
			  : txn_del(txn, e->t, e->key);
}

static void edit(struct fsck *f, enum table t, struct span key,
		 struct span value)
{
	struct edit e = { t, key, value };

	OK(index_update(store_index(f->p.st), do_edit, &e));
}

static const struct span none;

static UNUSED struct span junk(void)
{
	return span_of_str("not a record");
}

/* Lets change() have the index file's bytes, and opens the store again. */
static UNUSED void
behind_its_back(struct fsck *f,
		void (*change)(uint8_t *data, size_t len, void *arg), void *arg)
{
	char path[160];
	size_t used, len;
	uint8_t *data;
	int fd;

	f->p.st = store_close(f->p.st);
	(void)snprintf(path, sizeof(path), "%s/index/data.mdb", f->p.path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	/* The rest of the file is slack. */
	used = (size_t)lseek(fd, 0, SEEK_HOLE);
	data = malloc(used);
	assert_non_null(data);
	OK(pread_full(fd, data, used, 0, &len));
	change(data, len, arg);
	OK(pwrite_full(fd, data, len, 0));
	OK(close(fd));
	free(data);
	OK(store_open(f->p.path, 0, &f->p.st));
}

#endif
