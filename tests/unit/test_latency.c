/* SPDX-License-Identifier: Apache-2.0 */
/* fs/latency.h: the real device, which only root may open: skipped without. */
#include "config.h"

#include "fs/latency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define DEVICE "/dev/cpu_dma_latency"

static bool is_held(void)
{
	for (int fd = 3; fd < 64; fd++) {
		char link[32], to[64];
		ssize_t n;

		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, to, sizeof(to) - 1);
		if (n == (ssize_t)strlen(DEVICE) &&
		    memcmp(to, DEVICE, (size_t)n) == 0)
			return true;
	}
	return false;
}

static void pause_msec(long msec)
{
	const struct timespec t = { .tv_nsec = msec * 1000000 };

	(void)nanosleep(&t, NULL);
}

/* Whether it is so within ten seconds, on a busy machine. */
static bool comes(bool held, struct latency *l, int requests)
{
	for (int i = 0; i < 10000; i++) {
		if (is_held() == held)
			return true;
		for (int j = 0; j < requests; j++)
			latency_request(l);
		pause_msec(1);
	}
	return false;
}

static struct latency *start(void)
{
	struct latency *l;

	if (!latency_is_here())
		skip();
	assert_int_equal(latency_start(&l), 0);
	return l;
}

static void held_while_requests_come_fast(void **state)
{
	struct latency *l = start();

	(void)state;
	assert_false(is_held());
	assert_true(comes(true, l, 100));
	assert_true(comes(false, l, 0));
	/* Its thread sleeps by now, and wakes again. */
	pause_msec(300);
	assert_true(comes(true, l, 100));
	latency_stop(l);
	assert_false(is_held());
}

static void not_held_for_a_few(void **state)
{
	struct latency *l = start();

	(void)state;
	for (int i = 0; i < 50; i++) {
		latency_request(l);
		pause_msec(5);
		assert_false(is_held());
	}
	latency_stop(l);
}

static void nothing_without_it(void **state)
{
	(void)state;
	latency_request(NULL);
	latency_stop(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(held_while_requests_come_fast),
		cmocka_unit_test(not_held_for_a_few),
		cmocka_unit_test(nothing_without_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
