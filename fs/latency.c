/* SPDX-License-Identifier: Apache-2.0 */
/* Short wake-ups while requests come fast; see latency.h. A thread of its own
 * that sleeps while no requests come. */
#include "config.h"

#include "fs/latency.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/base/lock.h"
#include "store/base/macros.h"

#define DEVICE "/dev/cpu_dma_latency"

#define TICK_NSEC INT64_C(2000000)
/* So many requests in a tick are fast: a cargo with nothing to do makes 20,
 * one that compiles 3 in the mean. */
#define FAST_REQUESTS 6
/* The CPUs may sleep again after so many ticks that were not ... */
#define SLOW_TICKS 10
/* ... and the thread does after so many without a request. */
#define SILENT_TICKS 50

struct latency {
	pthread_t thread;
	uint64_t requests; /* atomic */
	bool awake;	   /* atomic; written under lock */
	struct lock lock;
	struct cond wake;
	bool stop; /* lock */
	/* the thread's own */
	uint64_t seen;
	unsigned slow, silent;
	int fd;
};

bool latency_is_here(void)
{
	return access(DEVICE, W_OK) == 0;
}

static void let_go(struct latency *l)
{
	if (l->fd >= 0)
		(void)close(l->fd);
	l->fd = -1;
}

static void hold(struct latency *l)
{
	static const int32_t usec = 0;

	if (l->fd >= 0)
		return;
	l->fd = open(DEVICE, O_WRONLY | O_CLOEXEC);
	if (l->fd >= 0 && write(l->fd, &usec, sizeof(usec)) < 0)
		let_go(l);
}

/* Without the lock: a request must not wait for the device. False: there has
 * been none for long. */
static bool tick(struct latency *l)
{
	uint64_t now = __atomic_load_n(&l->requests, __ATOMIC_RELAXED);
	uint64_t n = now - l->seen;

	l->seen = now;
	l->slow = n >= FAST_REQUESTS ? 0 : l->slow + 1;
	l->silent = n > 0 ? 0 : l->silent + 1;
	if (l->slow == 0)
		hold(l);
	else if (l->slow >= SLOW_TICKS)
		let_go(l);
	return l->silent < SILENT_TICKS;
}

static void *latency_run(void *arg)
{
	struct latency *l = arg;
	bool awake;

	lock_acquire(&l->lock);
	while (!l->stop) {
		if (!__atomic_load_n(&l->awake, __ATOMIC_RELAXED)) {
			cond_wait(&l->wake, &l->lock);
			l->silent = 0;
			continue;
		}
		(void)cond_wait_for(&l->wake, &l->lock, TICK_NSEC);
		lock_release(&l->lock);
		awake = tick(l);
		lock_acquire(&l->lock);
		if (!awake)
			__atomic_store_n(&l->awake, false, __ATOMIC_RELAXED);
	}
	lock_release(&l->lock);
	let_go(l);
	return NULL;
}

int latency_start(struct latency **ret_latency)
{
	struct latency *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->fd = -1;
	r = lock_init(&l->lock);
	if (r == 0)
		r = cond_init(&l->wake);
	if (r == 0)
		r = -pthread_create(&l->thread, NULL, latency_run, l);
	if (r < 0) {
		free(l);
		return r;
	}
	*ret_latency = l;
	return 0;
}

void latency_stop(struct latency *l)
{
	if (!l)
		return;
	lock_acquire(&l->lock);
	l->stop = true;
	cond_signal(&l->wake);
	lock_release(&l->lock);
	(void)pthread_join(l->thread, NULL);
	cond_destroy(&l->wake);
	lock_destroy(&l->lock);
	free(l);
}

static void wake_thread(struct latency *l)
{
	lock_acquire(&l->lock);
	__atomic_store_n(&l->awake, true, __ATOMIC_RELAXED);
	cond_signal(&l->wake);
	lock_release(&l->lock);
}

void latency_request(struct latency *l)
{
	if (!l)
		return;
	(void)__atomic_fetch_add(&l->requests, 1, __ATOMIC_RELAXED);
	if (!__atomic_load_n(&l->awake, __ATOMIC_RELAXED))
		wake_thread(l);
}
