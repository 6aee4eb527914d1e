/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store/index.c, index_txn.c: rows, growth of the map by this and by another
 * process, and the rules of who may call what where.
 *
 * Red when broken: "index-sync" (a_commit_is_on_the_disk).
 */
#include "config.h"

#include "tests/unit/fixture.h"

#include <pthread.h>
#include <sys/syscall.h>

#include "store/index.h"
#include "store/keys.h"

/* Four pages above LMDB's minimum: every test here outgrows it. */
#define TINY ((size_t)128 * 1024)

struct env {
	struct place p;
	int dir;
	struct index *idx;
};

static void enter_index(struct env *e)
{
	enter(&e->p);
	e->dir = open(e->p.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	OK(index_open_sized(e->dir, INDEX_CREATE, TINY, &e->idx));
}

static void leave_index(struct env *e)
{
	e->idx = index_close(e->idx);
	OK(close(e->dir));
	leave(&e->p);
}

struct rows {
	uint32_t from, to;
	unsigned runs;
	uint32_t seen;
	size_t len;
};

static struct span number(uint32_t *be, uint32_t n)
{
	*be = htobe32(n);
	return span_of(be, sizeof(*be));
}

static int put_rows(struct txn *txn, void *arg)
{
	char value[2000];
	struct rows *rows = arg;
	uint32_t be;
	int r = 0;

	rows->runs++;
	for (uint32_t n = rows->from; r == 0 && n < rows->to; n++) {
		memset(value, (int)n, sizeof(value));
		r = txn_put(txn, TABLE_NODES, number(&be, n),
			    span_of(value, rows->len ? rows->len : 100));
	}
	return r;
}

static int check_row(struct txn *txn, struct span key, struct span value,
		     void *arg)
{
	struct rows *rows = arg;
	uint32_t be;

	(void)txn;
	memcpy(&be, key.p, sizeof(be));
	if (be32toh(be) != rows->seen++ || !value.p)
		return -EBADMSG;
	return ((const uint8_t *)value.p)[value.len - 1] == (be >> 24)
		       ? 0
		       : -EBADMSG;
}

static int check_rows(struct txn *txn, void *arg)
{
	struct rows *rows = arg;

	rows->runs++;
	rows->seen = rows->from;
	return txn_foreach(txn, TABLE_NODES, span_of(NULL, 0), check_row, rows);
}

static void put_get_del(void **state)
{
	struct env e;
	struct index_info info;
	struct rows rows = { .to = 1000 };

	(void)state;
	enter_index(&e);
	OK(index_update(e.idx, put_rows, &rows));
	OK(index_view(e.idx, check_rows, &rows));
	assert_int_equal(rows.seen, 1000);
	OK(index_info(e.idx, &info));
	assert_int_equal(info.rows[TABLE_NODES], 1000);
	assert_int_equal(info.rows[TABLE_NAMES], 0);
	assert_true(info.used >= 100000 && info.used < info.map_size);
	leave_index(&e);
}

static void the_map_grows_and_the_function_runs_again(void **state)
{
	struct rows rows = { .to = 20000 };
	struct index_info info;
	struct env e;

	(void)state;
	enter_index(&e);
	OK(index_update(e.idx, put_rows, &rows));
	assert_true(rows.runs > 3);
	OK(index_view(e.idx, check_rows, &rows));
	assert_int_equal(rows.seen, 20000);
	OK(index_info(e.idx, &info));
	assert_true(info.map_size >= 16 * TINY);
	leave_index(&e);
}

/* A reader whose map is too small, and a writer that finds it grown. */
static void another_process_grows_the_map(void **state)
{
	struct rows rows = { .to = 10000 }, more = { 10000, 20000, 0, 0, 0 };
	int to[2], from[2];
	struct env e;
	char c;
	pid_t pid;

	(void)state;
	enter_index(&e);
	e.idx = index_close(e.idx);
	OK(pipe(to));
	OK(pipe(from));
	pid = fork_child();
	if (pid == 0) {
		int r = index_open_sized(e.dir, 0, TINY, &e.idx);

		r = r ? r : write_full(from[1], "o", 1);
		(void)!read(to[0], &c, 1);
		/* The parent has put rows 0 to 9999. */
		r = r ? r : index_view(e.idx, check_rows, &rows);
		r = r || rows.seen != 10000 || rows.runs < 1;
		r = r ? r : index_update(e.idx, put_rows, &more);
		_exit(r != 0);
	}
	(void)!read(from[0], &c, 1);
	OK(index_open_sized(e.dir, 0, TINY, &e.idx));
	OK(index_update(e.idx, put_rows, &rows));
	OK(write_full(to[1], "g", 1));
	assert_int_equal(wait_for(pid), 0);
	/* Writing without having read: the writer follows, too. */
	more.from = more.to;
	more.to += 10;
	OK(index_update(e.idx, put_rows, &more));
	OK(index_view(e.idx, check_rows, &rows));
	assert_int_equal(rows.seen, 20010);
	leave_index(&e);
}

struct counter {
	struct env *e;
	int failed;
};

static int add_one(struct txn *txn, void *arg)
{
	struct span v = { 0 };
	uint64_t n = 0;
	char row[300];
	int r;

	(void)arg;
	r = txn_get(txn, TABLE_META, span_of_str("n"), &v);
	if (r == 0)
		memcpy(&n, v.p, sizeof(n));
	else if (r != -ENOENT)
		return r;
	n++;
	memset(row, 'r', sizeof(row));
	r = txn_put(txn, TABLE_DATA, span_of(&n, sizeof(n)),
		    span_of(row, sizeof(row)));
	return r < 0 ? r
		     : txn_put(txn, TABLE_META, span_of_str("n"),
			       span_of(&n, sizeof(n)));
}

static int get_count(struct txn *txn, void *arg)
{
	struct span v = { 0 };
	int r = txn_get(txn, TABLE_META, span_of_str("n"), &v);

	if (r == 0)
		memcpy(arg, v.p, sizeof(uint64_t));
	return r;
}

static void *count(void *arg)
{
	struct counter *c = arg;
	uint64_t n;

	for (int i = 0; i < 100; i++) {
		if (index_update(c->e->idx, add_one, NULL) < 0)
			c->failed++;
		if (index_view(c->e->idx, get_count, &n) < 0)
			c->failed++;
	}
	return NULL;
}

/* Two processes of two threads each; nothing is lost while the map grows. */
static void threads_and_processes_exclude_each_other(void **state)
{
	struct env e;
	struct counter c = { &e, 0 };
	pthread_t threads[2];
	uint64_t n = 0;
	pid_t pid;

	(void)state;
	enter_index(&e);
	e.idx = index_close(e.idx);
	pid = fork_child();
	if (index_open_sized(e.dir, 0, TINY, &e.idx) < 0)
		c.failed = 1;
	for (int i = 0; i < 2; i++)
		c.failed += pthread_create(&threads[i], NULL, count, &c);
	for (int i = 0; i < 2; i++)
		c.failed += pthread_join(threads[i], NULL);
	if (pid == 0)
		_exit(c.failed != 0);
	assert_int_equal(wait_for(pid), 0);
	assert_int_equal(c.failed, 0);
	OK(index_view(e.idx, get_count, &n));
	assert_int_equal(n, 400);
	leave_index(&e);
}

static int delete_even(struct txn *txn, struct span key, struct span value,
		       void *arg)
{
	uint32_t be;

	(void)value;
	(*(unsigned *)arg)++;
	memcpy(&be, key.p, sizeof(be));
	return be32toh(be) % 2 ? 0 : txn_del(txn, TABLE_NODES, key);
}

static int do_delete_even(struct txn *txn, void *arg)
{
	*(unsigned *)arg = 0;
	return txn_foreach(txn, TABLE_NODES, span_of(NULL, 0), delete_even,
			   arg);
}

static void a_walk_survives_deletes(void **state)
{
	struct rows rows = { .to = 5000 };
	struct index_info info;
	unsigned seen = 0;
	struct env e;

	(void)state;
	enter_index(&e);
	OK(index_update(e.idx, put_rows, &rows));
	OK(index_update(e.idx, do_delete_even, &seen));
	assert_int_equal(seen, 5000);
	OK(index_info(e.idx, &info));
	assert_int_equal(info.rows[TABLE_NODES], 2500);
	OK(index_update(e.idx, do_delete_even, &seen));
	assert_int_equal(seen, 2500);
	leave_index(&e);
}

static int count_row(struct txn *txn, struct span key, struct span value,
		     void *arg)
{
	(void)txn;
	(void)key;
	(void)value;
	return ++*(int *)arg == 3 ? 17 : 0;
}

static int walk_prefix(struct txn *txn, void *arg)
{
	int *n = arg, r;

	*n = -1000;
	r = txn_foreach(txn, TABLE_NODES, span_of("\0\0\1", 3), count_row, n);
	if (r != 0 || *n != -1000 + 256)
		return -EBADMSG;
	*n = -1000;
	r = txn_foreach_from(txn, TABLE_NODES, span_of("\0\0\1", 3),
			     span_of("\0\0\1\xfd", 4), count_row, n);
	if (r != 0 || *n != -1000 + 3)
		return -EBADMSG;
	*n = 0;
	r = txn_foreach(txn, TABLE_NODES, span_of("\0\0\1", 3), count_row, n);
	return r == 17 ? 0 : -EBADMSG;
}

static void a_walk_keeps_to_its_prefix(void **state)
{
	struct rows rows = { .to = 1000 };
	struct env e;
	int n;

	(void)state;
	enter_index(&e);
	OK(index_update(e.idx, put_rows, &rows));
	OK(index_view(e.idx, walk_prefix, &n));
	leave_index(&e);
}

static int put_and_return(struct txn *txn, void *arg)
{
	struct rows rows = { .to = 10 };

	return put_rows(txn, &rows) < 0 ? -EIO : *(int *)arg;
}

static void a_failed_update_changes_nothing(void **state)
{
	struct index_info info;
	struct env e;
	int r = -EXDEV;

	(void)state;
	enter_index(&e);
	assert_int_equal(index_update(e.idx, put_and_return, &r), -EXDEV);
	OK(index_info(e.idx, &info));
	assert_int_equal(info.rows[TABLE_NODES], 0);
	r = 5; /* positive is success */
	OK(index_update(e.idx, put_and_return, &r));
	OK(index_info(e.idx, &info));
	assert_int_equal(info.rows[TABLE_NODES], 10);
	leave_index(&e);
}

static int update_within(struct txn *txn, void *arg)
{
	struct rows rows = { .to = 10 };

	(void)txn;
	return index_update(arg, put_rows, &rows);
}

static int view_within(struct txn *txn, void *arg)
{
	struct rows rows = { .to = 10 };

	(void)txn;
	return index_view(arg, check_rows, &rows);
}

static void nesting(void **state)
{
	struct env e;

	(void)state;
	enter_index(&e);
	assert_int_equal(index_update(e.idx, update_within, e.idx), -EDEADLK);
	assert_int_equal(index_view(e.idx, update_within, e.idx), -EDEADLK);
	OK(index_view(e.idx, view_within, e.idx));
	OK(index_update(e.idx, view_within, e.idx));
	leave_index(&e);
}

static void a_second_open_shares(void **state)
{
	struct rows rows = { .to = 10 };
	struct index *other;
	struct env e;

	(void)state;
	enter_index(&e);
	OK(index_open(e.dir, 0, &other));
	assert_ptr_equal(other, e.idx);
	assert_int_equal(index_open(e.dir, INDEX_READONLY, &other), -EBUSY);
	(void)index_close(e.idx);
	e.idx = other;
	e.idx = index_close(e.idx);
	OK(index_open(e.dir, 0, &e.idx));
	OK(index_update(e.idx, put_rows, &rows));
	leave_index(&e);
}

static void a_child_may_not_use_its_parents(void **state)
{
	struct rows rows = { .to = 10 };
	struct env e;
	pid_t pid;

	(void)state;
	enter_index(&e);
	OK(index_update(e.idx, put_rows, &rows));
	pid = fork_child();
	if (pid == 0) {
		int bad = index_view(e.idx, check_rows, &rows) != -ECHILD;

		bad |= index_update(e.idx, put_rows, &rows) != -ECHILD;
		bad |= index_reap(e.idx) != -ECHILD;
		(void)index_close(e.idx);
		/* Its own is another one. */
		bad |= index_open(e.dir, 0, &e.idx) != 0;
		bad |= index_view(e.idx, check_rows, &rows) != 0;
		(void)index_close(e.idx);
		_exit(bad);
	}
	assert_int_equal(wait_for(pid), 0);
	OK(index_view(e.idx, check_rows, &rows));
	leave_index(&e);
}

static void readonly(void **state)
{
	struct rows rows = { .to = 10 };
	struct env e;

	(void)state;
	enter_index(&e);
	OK(index_update(e.idx, put_rows, &rows));
	e.idx = index_close(e.idx);
	OK(index_open(e.dir, INDEX_READONLY, &e.idx));
	OK(index_view(e.idx, check_rows, &rows));
	assert_int_equal(index_update(e.idx, put_rows, &rows), -EROFS);
	leave_index(&e);
}

static int bad_keys(struct txn *txn, void *arg)
{
	static char big[INDEX_VALUE_MAX + 1];
	struct span v;

	(void)arg;
	if (txn_get(txn, TABLE_META, span_of("", 0), &v) != -EINVAL ||
	    txn_put(txn, TABLE_META, span_of(big, INDEX_KEY_MAX + 1),
		    span_of("", 0)) != -EINVAL ||
	    txn_put(txn, TABLE_META, span_of_str("x"),
		    span_of(big, sizeof(big))) != -EINVAL)
		return -EBADMSG;
	if (txn_put(txn, TABLE_META, span_of(big, INDEX_KEY_MAX),
		    span_of(big, INDEX_VALUE_MAX)) != 0)
		return -ENOSPC;
	return txn_del(txn, TABLE_META, span_of_str("none")) == -ENOENT
		       ? 0
		       : -EBADMSG;
}

static void limits(void **state)
{
	struct env e;

	(void)state;
	enter_index(&e);
	e.idx = index_close(e.idx);
	OK(index_open(e.dir, 0, &e.idx));
	OK(index_update(e.idx, bad_keys, NULL));
	leave_index(&e);
}

/* LMDB's as well. */
static unsigned syncs;

int fdatasync(int fd)
{
	(void)__atomic_add_fetch(&syncs, 1, __ATOMIC_RELAXED);
	return (int)syscall(SYS_fdatasync, fd);
}

static void a_commit_is_on_the_disk(void **state)
{
	struct rows rows = { .to = 3 };
	unsigned before;
	struct env e;

	(void)state;
	enter_index(&e);
	before = syncs;
	OK(index_update(e.idx, put_rows, &rows));
	assert_true(syncs > before);
	leave_index(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(put_get_del),
		cmocka_unit_test(the_map_grows_and_the_function_runs_again),
		cmocka_unit_test(another_process_grows_the_map),
		cmocka_unit_test(threads_and_processes_exclude_each_other),
		cmocka_unit_test(a_walk_survives_deletes),
		cmocka_unit_test(a_walk_keeps_to_its_prefix),
		cmocka_unit_test(a_failed_update_changes_nothing),
		cmocka_unit_test(nesting),
		cmocka_unit_test(a_second_open_shares),
		cmocka_unit_test(a_child_may_not_use_its_parents),
		cmocka_unit_test(readonly),
		cmocka_unit_test(limits),
		cmocka_unit_test(a_commit_is_on_the_disk),
	};

	return RUN_TAP(tests);
}
