/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store/lease.c
 *
 * Red when broken: "lease-lock" (one_holder).
 */
#include "config.h"

#include "tests/unit/fixture.h"

#include <signal.h>

#include "store/lease.h"

static void one_holder(void **state)
{
	struct lease_page page;
	struct lease *a, *b;
	struct place p;
	bool held;

	(void)state;
	enter_store(&p);
	assert_int_equal(lease_peek(p.st, 1, &held, NULL), -ENOENT);
	OK(lease_take(p.st, 1, "/mnt/x", &a, NULL));
	__atomic_fetch_add(&lease_page(a)->counters[3], 5, __ATOMIC_RELAXED);
	assert_int_equal(lease_take(p.st, 1, "/mnt/y", &b, &page), -EBUSY);
	assert_int_equal(page.pid, getpid());
	assert_string_equal(page.mountpoint, "/mnt/x");
	OK(lease_take(p.st, 2, "/mnt/y", &b, NULL));
	b = lease_free(b);
	OK(lease_peek(p.st, 1, &held, &page));
	assert_true(held);
	assert_int_equal(page.counters[3], 5);
	memset(&page, 0, sizeof(page));
	OK(lease_peek_at(p.path, 1, &held, &page));
	assert_true(held);
	assert_int_equal(page.counters[3], 5);
	assert_int_equal(lease_peek_at("/none", 1, &held, &page), -ENOENT);
	assert_int_equal(lease_wait(p.st, 1, 30), -ETIMEDOUT);
	a = lease_free(a);
	OK(lease_peek(p.st, 1, &held, &page));
	assert_false(held);
	assert_int_equal(page.counters[3], 5);
	OK(lease_wait(p.st, 1, 0));
	OK(lease_wait(p.st, 3, 0));
	OK(lease_take(p.st, 1, "/mnt/z", &a, NULL));
	assert_int_equal(lease_page(a)->counters[3], 0);
	a = lease_free(a);
	leave(&p);
}

/* Looking never takes: a thousand looks do not get in the way of one taker. */
static void looking_is_harmless(void **state)
{
	struct lease *a;
	struct place p;
	bool held;
	pid_t pid;

	(void)state;
	enter_store(&p);
	OK(lease_take(p.st, 1, "", &a, NULL));
	a = lease_free(a);
	pid = fork_child();
	if (pid == 0)
		for (;;)
			(void)lease_peek(p.st, 1, &held, NULL);
	for (int i = 0; i < 2000; i++) {
		OK(lease_take(p.st, 1, "", &a, NULL));
		a = lease_free(a);
	}
	OK(kill(pid, SIGKILL));
	assert_int_equal(wait_for(pid), 1000 + SIGKILL);
	leave(&p);
}

static void it_ends_with_its_holder(void **state)
{
	struct lease *a;
	struct place p;
	pid_t pid;
	int fds[2];
	char c;

	(void)state;
	enter_store(&p);
	OK(pipe(fds));
	pid = fork_child();
	if (pid == 0) {
		int r = lease_take(p.st, 1, "/m", &a, NULL);

		(void)!write(fds[1], "x", r == 0);
		for (;;)
			(void)pause();
	}
	assert_int_equal(read(fds[0], &c, 1), 1);
	assert_int_equal(lease_take(p.st, 1, "/m", &a, NULL), -EBUSY);
	OK(kill(pid, SIGKILL));
	OK(lease_wait(p.st, 1, 5000));
	assert_int_equal(wait_for(pid), 1000 + SIGKILL);
	OK(lease_take(p.st, 1, "/m", &a, NULL));
	a = lease_free(a);
	leave(&p);
}

/* Who waited for the name of a dropped view gets a new file, not the old. */
static void a_removed_file_is_not_taken(void **state)
{
	struct lease *a, *b;
	char path[256];
	struct place p;
	bool held;

	(void)state;
	enter_store(&p);
	OK(lease_take(p.st, 1, "/m", &a, NULL));
	(void)snprintf(path, sizeof(path), "%s/lease/00000001", p.path);
	OK(unlink(path));
	OK(lease_take(p.st, 1, "/n", &b, NULL));
	OK(lease_peek(p.st, 1, &held, NULL));
	assert_true(held);
	a = lease_free(a);
	OK(lease_peek(p.st, 1, &held, NULL));
	assert_true(held);
	b = lease_free(b);
	leave(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_holder),
		cmocka_unit_test(looking_is_harmless),
		cmocka_unit_test(it_ends_with_its_holder),
		cmocka_unit_test(a_removed_file_is_not_taken),
	};

	return RUN_TAP(tests);
}
