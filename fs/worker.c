/* SPDX-License-Identifier: Apache-2.0 */
/* The pool of worker threads; see worker.h. */
#include "config.h"

#include "fs/worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "store/base/lock.h"

#define WORKERS_MAX 16

struct worker_pool {
	struct lock lock;
	struct cond wake;
	/* protected by lock */
	struct work *first, **last;
	bool stop;
	/* constant from start to stop */
	unsigned count;
	pthread_t threads[WORKERS_MAX];
};

static void *work(void *arg)
{
	struct worker_pool *p = arg;

	lock_acquire(&p->lock);
	for (;;) {
		struct work *w = p->first;

		if (!w && p->stop)
			break;
		if (!w) {
			cond_wait(&p->wake, &p->lock);
			continue;
		}
		p->first = w->next;
		if (!p->first)
			p->last = &p->first;
		lock_release(&p->lock);
		w->run(w);
		lock_acquire(&p->lock);
	}
	lock_release(&p->lock);
	return NULL;
}

int worker_pool_new(unsigned threads, struct worker_pool **ret_pool)
{
	struct worker_pool *p;
	int r;

	if (threads == 0 || threads > WORKERS_MAX)
		return -EINVAL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->last = &p->first;
	r = lock_init(&p->lock);
	if (r == 0)
		r = cond_init(&p->wake);
	if (r < 0) {
		free(p);
		return r;
	}
	for (; p->count < threads; p->count++) {
		r = -pthread_create(&p->threads[p->count], NULL, work, p);
		if (r < 0) {
			worker_pool_free(p);
			return r;
		}
	}
	*ret_pool = p;
	return 0;
}

void worker_submit(struct worker_pool *p, struct work *w)
{
	w->next = NULL;
	lock_acquire(&p->lock);
	*p->last = w;
	p->last = &w->next;
	cond_signal(&p->wake);
	lock_release(&p->lock);
}

void worker_pool_stop(struct worker_pool *p)
{
	if (!p)
		return;
	lock_acquire(&p->lock);
	p->stop = true;
	cond_broadcast(&p->wake);
	lock_release(&p->lock);
	for (unsigned i = 0; i < p->count; i++)
		(void)pthread_join(p->threads[i], NULL);
	p->count = 0;
}

void worker_pool_free(struct worker_pool *p)
{
	if (!p)
		return;
	worker_pool_stop(p);
	cond_destroy(&p->wake);
	lock_destroy(&p->lock);
	free(p);
}
