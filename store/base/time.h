/* SPDX-License-Identifier: Apache-2.0 */
/* Nanoseconds since 1970, in one number, and as the kernel has them. */
#ifndef BASE_TIME_H
#define BASE_TIME_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define NSEC_PER_SEC 1000000000LL

/* The range of an int64_t, to which it is cut: the years 1678 to 2261. */
static inline int64_t nsec_of(struct timespec t)
{
	bool before = t.tv_sec < 0; /* then the rest counts backwards */
	int64_t nsec, rest = t.tv_nsec - (before ? NSEC_PER_SEC : 0);

	if (__builtin_mul_overflow(t.tv_sec + before, NSEC_PER_SEC, &nsec) ||
	    __builtin_add_overflow(nsec, rest, &nsec))
		return before ? INT64_MIN : INT64_MAX;
	return nsec;
}

static inline struct timespec timespec_of(int64_t nsec)
{
	int64_t sec = nsec / NSEC_PER_SEC, rest = nsec % NSEC_PER_SEC;

	if (rest < 0) {
		sec--;
		rest += NSEC_PER_SEC;
	}
	return (struct timespec){ .tv_sec = sec, .tv_nsec = rest };
}

#endif
