/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mutexes and condition variables that clang's thread-safety analysis
 * understands; gcc sees empty macros. A field's comment says which lock
 * protects it, foo_locked() says REQUIRES(&x->lock).
 *
 * The wrappers cannot fail: the mutexes are of the default kind, and an error
 * of theirs would be a bug of ours (assert).
 */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __clang__
#define TS_ATTR(x) __attribute__((x))
#else
#define TS_ATTR(x)
#endif

#define CAPABILITY(name) TS_ATTR(capability(name))
#define ACQUIRES(...) TS_ATTR(acquire_capability(__VA_ARGS__))
#define ACQUIRES_SHARED(...) TS_ATTR(acquire_shared_capability(__VA_ARGS__))
#define RELEASES(...) TS_ATTR(release_capability(__VA_ARGS__))
#define RELEASES_SHARED(...) TS_ATTR(release_shared_capability(__VA_ARGS__))
#define REQUIRES(...) TS_ATTR(requires_capability(__VA_ARGS__))
#define REQUIRES_SHARED(...) TS_ATTR(requires_shared_capability(__VA_ARGS__))
#define EXCLUDES(...) TS_ATTR(locks_excluded(__VA_ARGS__))
#define TRY_ACQUIRES(...) TS_ATTR(try_acquire_capability(__VA_ARGS__))
#define NO_LOCK_ANALYSIS TS_ATTR(no_thread_safety_analysis)

struct CAPABILITY("mutex") lock {
	pthread_mutex_t m;
};

#define LOCK_INITIALIZER                  \
	{                                 \
		PTHREAD_MUTEX_INITIALIZER \
	}

/* 0 or -ENOMEM, -EAGAIN. */
int lock_init(struct lock *l);
void lock_destroy(struct lock *l);
void lock_acquire(struct lock *l) ACQUIRES(l);
bool lock_try(struct lock *l) TRY_ACQUIRES(true, l);
void lock_release(struct lock *l) RELEASES(l);

/* Readers share, a writer is alone. A thread may read-lock twice: readers go
 * before waiting writers. */
struct CAPABILITY("rwlock") rwlock {
	pthread_rwlock_t l;
};

int rwlock_init(struct rwlock *l);
void rwlock_destroy(struct rwlock *l);
void rwlock_read(struct rwlock *l) ACQUIRES_SHARED(l);
void rwlock_read_done(struct rwlock *l) RELEASES_SHARED(l);
void rwlock_write(struct rwlock *l) ACQUIRES(l);
void rwlock_write_done(struct rwlock *l) RELEASES(l);

/* Timeouts go by CLOCK_MONOTONIC. */
struct cond {
	pthread_cond_t c;
};

int cond_init(struct cond *c);
void cond_destroy(struct cond *c);
void cond_signal(struct cond *c);
void cond_broadcast(struct cond *c);
/* May wake for no reason, as pthread_cond_wait(3). */
void cond_wait(struct cond *c, struct lock *l) REQUIRES(l);
/* False when @nsec have passed since the call. */
bool cond_wait_for(struct cond *c, struct lock *l, int64_t nsec) REQUIRES(l);

#endif
