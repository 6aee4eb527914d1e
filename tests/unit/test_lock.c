/* SPDX-License-Identifier: Apache-2.0 */
/* store/base/lock.c, broken.c: the little that can be tested of them. */
#include "config.h"

#include "tests/unit/fixture.h"

#include <pthread.h>

#include "store/base/broken.h"
#include "store/base/lock.h"

struct shared {
	struct lock lock;
	struct cond cond;
	int turns; /* protected by lock */
};

static void *take_turns(void *arg)
{
	struct shared *s = arg;

	for (int i = 0; i < 1000; i++) {
		lock_acquire(&s->lock);
		while (s->turns % 2 == 0)
			cond_wait(&s->cond, &s->lock);
		s->turns++;
		cond_broadcast(&s->cond);
		lock_release(&s->lock);
	}
	return NULL;
}

static void two_threads_take_turns(void **state)
{
	struct shared s = { .turns = 0 };
	pthread_t other;

	(void)state;
	OK(lock_init(&s.lock));
	OK(cond_init(&s.cond));
	OK(pthread_create(&other, NULL, take_turns, &s));
	for (int i = 0; i < 1000; i++) {
		lock_acquire(&s.lock);
		while (s.turns % 2)
			cond_wait(&s.cond, &s.lock);
		s.turns++;
		cond_signal(&s.cond);
		lock_release(&s.lock);
	}
	OK(pthread_join(other, NULL));
	assert_int_equal(s.turns, 2000);
	cond_destroy(&s.cond);
	lock_destroy(&s.lock);
}

static void waiting_ends(void **state)
{
	struct lock l = LOCK_INITIALIZER;
	struct cond c;
	bool woken;

	(void)state;
	OK(cond_init(&c));
	lock_acquire(&l);
	woken = cond_wait_for(&c, &l, 20000000);
	lock_release(&l);
	assert_false(woken);
	if (lock_try(&l))
		lock_release(&l);
	else
		fail_msg("the lock is taken");
	cond_destroy(&c);
	lock_destroy(&l);
}

static void rules_are_broken_by_name(void **state)
{
	(void)state;
#ifdef TARGETFS_BREAK
	if (strcmp(TARGETFS_BREAK, "select") != 0)
		skip();
	OK(setenv("TARGETFS_BREAK", "one,two-more", 1));
	assert_true(broken("one"));
	assert_true(broken("two-more"));
	assert_false(broken("two"));
	assert_false(broken("one,two-more"));
	OK(unsetenv("TARGETFS_BREAK"));
#endif
	assert_false(broken("one"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_threads_take_turns),
		cmocka_unit_test(waiting_ends),
		cmocka_unit_test(rules_are_broken_by_name),
	};

	return RUN_TAP(tests);
}
