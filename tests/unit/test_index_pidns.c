/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store/index.c between PID namespaces: two processes that are both pid 1, as
 * in two containers that share a store. The second is told -EAGAIN, and gets
 * in from another pid. Needs CLONE_NEWPID.
 */
#include "config.h"

#include "tests/unit/fixture.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

#include "store/index.h"
#include "store/keys.h"

static int put_one(struct txn *txn, void *arg)
{
	return txn_put(txn, TABLE_META, span_of_str(arg), span_of_str("v"));
}

static int get_one(struct txn *txn, void *arg)
{
	struct span v;

	return txn_get(txn, TABLE_META, span_of_str(arg), &v);
}

/* Runs @fn as pid 1 of a new namespace; its result is the exit status. */
static pid_t start_as_one(int (*fn)(const char *path, int to_parent,
				    int from_parent),
			  const char *path, int to_parent, int from_parent)
{
	pid_t pid = fork_child(), inner;

	if (pid != 0)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWPID) < 0)
		_exit(77);
	inner = fork_child();
	if (inner == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(getpid() == 1 ? fn(path, to_parent, from_parent) : 99);
	}
	_exit(wait_for(inner) & 0xff);
}

static int holder(const char *path, int to_parent, int from_parent)
{
	struct index *idx;
	char c = 'o';
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (index_open(dir, 0, &idx) < 0 || write_full(to_parent, &c, 1) < 0 ||
	    read(from_parent, &c, 1) != 1)
		return 1;
	if (index_update(idx, put_one, (char[]){ "first" }) < 0 ||
	    index_view(idx, get_one, (char[]){ "second" }) < 0)
		return 2;
	(void)index_close(idx);
	return 0;
}

static int in_another_pid(const char *path)
{
	struct index *idx;
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (getpid() == 1 || index_open(dir, 0, &idx) < 0)
		return 1;
	if (index_update(idx, put_one, (char[]){ "second" }) < 0 ||
	    index_view(idx, get_one, (char[]){ "second" }) < 0)
		return 2;
	(void)index_close(idx);
	return 0;
}

static int latecomer(const char *path, int to_parent, int from_parent)
{
	struct index *idx;
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	pid_t pid;

	(void)to_parent;
	(void)from_parent;
	if (index_open(dir, 0, &idx) != -EAGAIN)
		return 10;
	pid = fork_child();
	if (pid == 0)
		_exit(in_another_pid(path));
	return wait_for(pid);
}

static void the_second_pid_one_is_told(void **state)
{
	int to[2], from[2], r;
	struct index *idx;
	struct place p;
	pid_t first;
	int dir;
	char c;

	(void)state;
	enter(&p);
	dir = open(p.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	OK(index_open(dir, INDEX_CREATE, &idx));
	(void)index_close(idx);
	OK(pipe2(to, O_CLOEXEC));
	OK(pipe2(from, O_CLOEXEC));
	first = start_as_one(holder, p.dir, from[1], to[0]);
	OK(close(from[1]));
	if (read(from[0], &c, 1) != 1) {
		r = wait_for(first);
		leave(&p);
		if (r == 77)
			skip();
		fail_msg("the first process: %d", r);
	}
	assert_int_equal(wait_for(start_as_one(latecomer, p.dir, -1, -1)), 0);
	OK(write_full(to[1], "g", 1));
	assert_int_equal(wait_for(first), 0);
	OK(index_open(dir, 0, &idx));
	OK(index_view(idx, get_one, (char[]){ "first" }));
	(void)index_close(idx);
	OK(close(dir));
	leave(&p);
}

/* A reader that dies within a transaction leaves its slot; the next open, of
 * another pid, frees it. */
static int die(struct txn *txn, void *arg)
{
	(void)txn;
	(void)arg;
	(void)raise(SIGKILL);
	return 0;
}

static void the_slots_of_the_dead_are_freed(void **state)
{
	struct index_info info;
	struct index *idx;
	struct place p;
	int dir;
	pid_t pid;

	(void)state;
	enter(&p);
	dir = open(p.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	OK(index_open(dir, INDEX_CREATE, &idx));
	(void)index_close(idx);
	for (int i = 0; i < 20; i++) {
		pid = fork_child();
		if (pid == 0) {
			if (index_open(dir, 0, &idx) == 0)
				(void)index_view(idx, die, NULL);
			_exit(1);
		}
		assert_int_equal(wait_for(pid), 1000 + SIGKILL);
	}
	OK(index_open(dir, 0, &idx));
	OK(index_reap(idx));
	OK(index_info(idx, &info));
	assert_true(info.readers <= 2);
	(void)index_close(idx);
	OK(close(dir));
	leave(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_second_pid_one_is_told),
		cmocka_unit_test(the_slots_of_the_dead_are_freed),
	};

	return RUN_TAP(tests);
}
