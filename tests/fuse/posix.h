/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A test of what programs may expect of a directory: one program, run against
 * any filesystem. On a journaled ext4 all of it passes; that is how the test
 * is tested.
 *
 * TEST(name, flags) { ... } defines and registers a test. Each runs in a
 * child process of its own, in a fresh directory that is its working
 * directory, under a time limit. The first check that fails ends it.
 */
#ifndef TESTS_FUSE_POSIX_H
#define TESTS_FUSE_POSIX_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum test_flags {
	NEEDS_ROOT = 1 << 0,
	NEEDS_VIEW = 1 << 1,   /* what a view refuses by design: -v */
	NEEDS_SETTLE = 1 << 2, /* files that became shared blobs: -s SECONDS */
	HEAVY = 1 << 3,	       /* seconds: -H */
	LONG = 1 << 4,	       /* minutes, gigabytes: -L */
};

struct test {
	const char *name, *file;
	void (*fn)(void);
	unsigned flags;
	struct test *next;
};
void test_register(struct test *t);

#define TEST(id, fl)                                                         \
	static void id(void);                                                \
	__attribute__((constructor)) static void id##_register(void)         \
	{                                                                    \
		static struct test t = {                                     \
			.name = #id, .file = __FILE__, .fn = id, .flags = fl \
		};                                                           \
		test_register(&t);                                           \
	}                                                                    \
	static void id(void)

struct options {
	bool view, heavy, is_long;
	unsigned settle;   /* seconds until a closed file has been hashed */
	unsigned seed;	   /* of whatever is random */
	const char *other; /* a directory of another filesystem */
};
extern struct options opt;

__attribute__((format(printf, 3, 4), noreturn)) void
test_fail(const char *file, int line, const char *fmt, ...);
long long test_ok(const char *file, int line, const char *call, long long r);
__attribute__((noreturn)) void test_skip(const char *why);
__attribute__((format(printf, 1, 2))) void test_note(const char *fmt, ...);

#define FAIL(...) test_fail(__FILE__, __LINE__, __VA_ARGS__)
#define TRUE(cond)                                   \
	do {                                         \
		if (!(cond))                         \
			FAIL("%s is not so", #cond); \
	} while (0)
#define EQ(got, want)                                                        \
	do {                                                                 \
		long long got_ = (long long)(got);                           \
		long long want_ = (long long)(want);                         \
		if (got_ != want_)                                           \
			FAIL("%s is %lld, not %s = %lld", #got, got_, #want, \
			     want_);                                         \
	} while (0)
/* The call must succeed; its value. */
#define OK(call) test_ok(__FILE__, __LINE__, #call, (long long)(call))
/* The call must fail with this errno. */
#define ERR(want, call)                                                        \
	do {                                                                   \
		errno = 0;                                                     \
		long long r_ = (long long)(call);                              \
		if (r_ != -1)                                                  \
			FAIL("%s gave %lld, not %s", #call, r_, #want);        \
		if (errno != (want))                                           \
			FAIL("%s: %s, not %s", #call, strerror(errno), #want); \
	} while (0)
/* It must fail, with either. */
#define ERR2(a, b, call)                                                       \
	do {                                                                   \
		errno = 0;                                                     \
		long long r_ = (long long)(call);                              \
		if (r_ != -1)                                                  \
			FAIL("%s gave %lld, not %s or %s", #call, r_, #a, #b); \
		if (errno != (a) && errno != (b))                              \
			FAIL("%s: %s, not %s or %s", #call, strerror(errno),   \
			     #a, #b);                                          \
	} while (0)

/* --- helpers (posix_main.c) --- */

/* Makes or replaces a file. */
void put(const char *path, const char *text);
void put_bytes(const char *path, const void *p, size_t len);
/* The file holds exactly this. */
#define HAS(path, text) has_bytes(__FILE__, __LINE__, path, text, strlen(text))
#define HAS_BYTES(path, p, len) has_bytes(__FILE__, __LINE__, path, p, len)
void has_bytes(const char *file, int line, const char *path, const void *p,
	       size_t len);
/* All of it, or the test fails. */
void write_all(int fd, const void *p, size_t len);
void pwrite_all(int fd, const void *p, size_t len, off_t off);
/* Reads up to len bytes at off, stopping at the end of the file only. */
size_t pread_full(int fd, void *p, size_t len, off_t off);
/* Fills with bytes that depend on seed and position. */
void pattern(void *p, size_t len, uint64_t seed);

struct stat st_of(const char *path); /* lstat */
struct stat st_fd(int fd);
bool exists(const char *path);
int64_t nsec(struct timespec ts);
/* Lets clocks advance beyond a file timestamp's granularity. */
void tick(void);

/* A generator of its own for each test. */
struct rnd {
	uint64_t s;
};
uint64_t rnd_next(struct rnd *r);
unsigned rnd_below(struct rnd *r, unsigned n);

/* Runs fn in a child; the child's failed checks are the test's. */
void in_child(void (*fn)(void *), const void *arg);
pid_t start_child(void (*fn)(void *), const void *arg);
void end_child(pid_t pid);
/* The same as another user (needs root). */
#define OTHER_UID 54321
void as_user(uid_t uid, gid_t gid, void (*fn)(void *), void *arg);

#endif
