/* SPDX-License-Identifier: Apache-2.0 */
/* A few threads for requests that do real I/O: copies, commits, syncs. */
#ifndef FS_WORKER_H
#define FS_WORKER_H

struct work {
	struct work *next;
	/* Runs once, in a worker; owns the work from then on. */
	void (*run)(struct work *w);
};

struct worker_pool;

int worker_pool_new(unsigned threads, struct worker_pool **ret_pool);
/*
 * Runs what was submitted and ends the threads; what is submitted after that
 * is never run. Both accept NULL; free stops first.
 */
void worker_pool_stop(struct worker_pool *p);
void worker_pool_free(struct worker_pool *p);
void worker_submit(struct worker_pool *p, struct work *w);

#endif
