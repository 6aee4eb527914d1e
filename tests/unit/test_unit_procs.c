/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store/unit.c with several processes: that publish at once, and that are
 * killed. After each test fsck counts anew and has to find nothing.
 */
#include "config.h"

#include "tests/unit/fixture.h"

#include <signal.h>
#include <sys/mman.h>
#include <time.h>

#include "tests/unit/units.h"

#define PROCESSES 4
#define EACH 60

/* Half of the keys are one process's own, half are everyone's. */
static unsigned publish_many(struct place *p, unsigned who)
{
	unsigned won = 0;
	struct made m;
	int r;

	OK(store_open(p->path, 0, &p->st));
	for (unsigned n = 0; n < EACH; n++) {
		make_unit(&m, HASH, "one", "two");
		m.key.fpr = n % 2 ? n : ((uint64_t)who << 32 | n);
		r = unit_publish(p->st, &m.key, &m.obj);
		if (r == 0 && n % 2)
			won++;
		else if (r != -EEXIST)
			OK(r);
	}
	return won;
}

static int count_found(uint64_t fpr, const void *object, size_t len, void *arg)
{
	(void)fpr;
	(void)object;
	(void)len;
	(*(unsigned *)arg)++;
	return 0;
}

static void processes_at_once(void **state)
{
	const unsigned total = EACH / 2 + PROCESSES * EACH / 2;
	pid_t pids[PROCESSES];
	unsigned won = 0;
	unsigned lists = 0, found = 0;
	struct place p;
	struct made m;

	(void)state;
	enter_units(&p);
	p.st = store_close(p.st);
	for (unsigned i = 0; i < PROCESSES; i++) {
		pids[i] = fork_child();
		if (pids[i] == 0)
			_exit((int)publish_many(&p, i));
	}
	for (unsigned i = 0; i < PROCESSES; i++)
		won += (unsigned)wait_for(pids[i]);
	OK(store_open(p.path, 0, &p.st));
	/* Each of the common keys was published by one. */
	assert_int_equal(won, EACH / 2);
	make_unit(&m, HASH, "one", "two");
	OK(unit_lists(p.st, HASH, &m.key.scope, count_list, &lists));
	assert_int_equal(lists, 1);
	OK(unit_find(p.st, &m.key, count_found, &found));
	assert_int_equal(found, total);
	refs_are(&p, "one", total + 1, total);
	check_clean(&p, total);
	leave(&p);
}

/* Publishes 0, 1, 2 ..., and drops the one ten before; each has a list of its
 * own. */
static void number(struct made *m, uint64_t n)
{
	static char name[32];

	make_unit(m, HASH, "one", "two");
	(void)snprintf(name, sizeof(name), "src/%" PRIu64 ".rs", n);
	m->inputs[0].name = (struct span_str){ name, strlen(name) };
	m->key.fpr = n;
	set_key(m);
}

static void publish_for_ever(struct place *p, uint64_t n, uint64_t *done)
{
	struct made m;

	OK(store_open(p->path, 0, &p->st));
	for (;; n++) {
		number(&m, n);
		OK(unit_publish(p->st, &m.key, &m.obj));
		__atomic_store_n(done, n + 1, __ATOMIC_RELEASE);
		if (n < 10)
			continue;
		number(&m, n - 10);
		OK(unit_drop(p->st, &m.key));
	}
}

static int see_last(const struct unit_key *key, const struct unit_object *obj,
		    void *arg)
{
	uint64_t *last = arg;

	(void)obj;
	if (*last == UINT64_MAX || key->fpr > *last)
		*last = key->fpr;
	return 0;
}

static void killed_while_publishing(void **state)
{
	uint64_t *done = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t next = 0, last;
	unsigned count;
	struct place p;

	(void)state;
	enter_units(&p);
	srandom(5);
	for (int i = 0; i < 20; i++) {
		const struct timespec t = { .tv_nsec = random() % 30000000 };
		pid_t pid;

		p.st = store_close(p.st);
		pid = fork_child();
		if (pid == 0)
			publish_for_ever(&p, next, done);
		wait_until(done, next + (uint64_t)(i % 2) * 4);
		(void)nanosleep(&t, NULL);
		OK(kill(pid, SIGKILL));
		assert_int_equal(wait_for(pid), 1000 + SIGKILL);
		OK(store_open(p.path, 0, &p.st));
		last = UINT64_MAX;
		OK(unit_foreach(p.st, HASH, see_last, &last));
		/* What was said to be there is there. */
		assert_true(last + 1 >= *done);
		count = 0;
		OK(unit_foreach(p.st, HASH, count_unit, &count));
		refs_are(&p, "one", count + 1, count);
		check_clean(&p, count);
		next = last + 1;
	}
	assert_true(next > 20);
	OK(munmap(done, 4096));
	leave(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(processes_at_once),
		cmocka_unit_test(killed_while_publishing),
	};

	return RUN_TAP(tests);
}
