/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pointers that go through the kernel: what a thread wrote before it replied
 * to an open is seen by the thread that serves the next request on it, as the
 * kernel orders the two. ThreadSanitizer cannot see that, so it is told.
 */
#ifndef FS_HANDOVER_H
#define FS_HANDOVER_H

#include <stdint.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HANDOVER_TSAN 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define HANDOVER_TSAN 1
#endif

#ifdef HANDOVER_TSAN
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
#else
static inline void __tsan_acquire(void *addr)
{
	(void)addr;
}
static inline void __tsan_release(void *addr)
{
	(void)addr;
}
#endif

/*
 * The value for fuse_file_info.fh. Called again at the end of each request
 * that used @p: it is not touched any more by this thread.
 */
static inline uint64_t hand_over(void *p)
{
	__tsan_release(p);
	return (uintptr_t)p;
}

static inline void *take_back(uint64_t fh)
{
	void *p = (void *)(uintptr_t)fh;

	__tsan_acquire(p);
	return p;
}

#endif
