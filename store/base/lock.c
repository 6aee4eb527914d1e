/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wrappers of lock.h. glibc's functions carry no annotations, so the
 * analysis is off inside them.
 */
#include "config.h"

#include "store/base/lock.h"

#include <assert.h>
#include <errno.h>
#include <time.h>

#include "store/base/macros.h"
#include "store/base/time.h"

/* An error here is a bug of ours. */
static inline void must(int rc)
{
	assert(rc == 0);
	(void)rc;
}

int lock_init(struct lock *l)
{
	return -pthread_mutex_init(&l->m, NULL);
}

void lock_destroy(struct lock *l)
{
	must(pthread_mutex_destroy(&l->m));
}

NO_LOCK_ANALYSIS
void lock_acquire(struct lock *l)
{
	must(pthread_mutex_lock(&l->m));
}

NO_LOCK_ANALYSIS
bool lock_try(struct lock *l)
{
	return pthread_mutex_trylock(&l->m) == 0;
}

NO_LOCK_ANALYSIS
void lock_release(struct lock *l)
{
	must(pthread_mutex_unlock(&l->m));
}

int rwlock_init(struct rwlock *l)
{
	return -pthread_rwlock_init(&l->l, NULL);
}

void rwlock_destroy(struct rwlock *l)
{
	must(pthread_rwlock_destroy(&l->l));
}

NO_LOCK_ANALYSIS
void rwlock_read(struct rwlock *l)
{
	must(pthread_rwlock_rdlock(&l->l));
}

NO_LOCK_ANALYSIS
void rwlock_read_done(struct rwlock *l)
{
	must(pthread_rwlock_unlock(&l->l));
}

NO_LOCK_ANALYSIS
void rwlock_write(struct rwlock *l)
{
	must(pthread_rwlock_wrlock(&l->l));
}

NO_LOCK_ANALYSIS
void rwlock_write_done(struct rwlock *l)
{
	must(pthread_rwlock_unlock(&l->l));
}

int cond_init(struct cond *c)
{
	pthread_condattr_t attr;
	int rc = pthread_condattr_init(&attr);

	if (rc)
		return -rc;
	rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	if (!rc)
		rc = pthread_cond_init(&c->c, &attr);
	(void)pthread_condattr_destroy(&attr);
	return -rc;
}

void cond_destroy(struct cond *c)
{
	must(pthread_cond_destroy(&c->c));
}

void cond_signal(struct cond *c)
{
	must(pthread_cond_signal(&c->c));
}

void cond_broadcast(struct cond *c)
{
	must(pthread_cond_broadcast(&c->c));
}

void cond_wait(struct cond *c, struct lock *l)
{
	must(pthread_cond_wait(&c->c, &l->m));
}

bool cond_wait_for(struct cond *c, struct lock *l, int64_t nsec)
{
	struct timespec until;
	int rc;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	nsec += until.tv_nsec;
	until.tv_sec += nsec / NSEC_PER_SEC;
	until.tv_nsec = nsec % NSEC_PER_SEC;
	rc = pthread_cond_timedwait(&c->c, &l->m, &until);
	assert(rc == 0 || rc == ETIMEDOUT);
	return rc == 0;
}
