/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lease says that a daemon has a view open: an open file description lock
 * (fcntl F_OFD_SETLK) on byte 0 of STORE/lease/<view>, held until the daemon
 * ends, however it ends. Unlike flock(2) it can be tested without being taken,
 * so that looking at a lease never gets in the way of who takes it. The file
 * itself is a page that the daemon maps and others may read: who holds it,
 * where it is mounted, and its counters. The lock works across containers and
 * PID namespaces. Children that inherit the descriptor hold the lease, too.
 *
 * Page layout (little-endian, one page of 4096 bytes): struct lease_page.
 */
#ifndef STORE_LEASE_H
#define STORE_LEASE_H

#include <stdbool.h>
#include <stdint.h>

struct store;

#define LEASE_COUNTERS 64
#define LEASE_MAGIC 0x31305341454c4654ULL /* "TFLEAS01" */

struct lease_page {
	uint64_t magic;
	uint64_t pid;	   /* in the holder's own PID namespace */
	int64_t since;	   /* CLOCK_REALTIME seconds */
	uint64_t features; /* fs/counters.h */
	/* 0 while it is held, and for ever if the holder was killed; 1: it
	 * ended with all committed; else the errno (negative) of its last
	 * commit. */
	int64_t ended;
	/* atomic; the holder adds, others read. fs/counters.h names them. */
	uint64_t counters[LEASE_COUNTERS];
	char mountpoint[2048]; /* NUL-terminated */
};

struct lease;

/*
 * Takes the lease. -EBUSY: another holds it (its page is copied to
 * *ret_holder when that is not NULL).
 */
int lease_take(struct store *st, uint32_t view, const char *mountpoint,
	       struct lease **ret_lease, struct lease_page *ret_holder);
struct lease *lease_free(struct lease *l); /* NULL */
/* The mapped page, for the holder to write. */
struct lease_page *lease_page(struct lease *l);
/*
 * Reads the page of a view. *ret_held says whether someone holds it now.
 * -ENOENT: never mounted. The page is zeros while its holder starts;
 * @ret_page may be NULL.
 */
int lease_peek(struct store *st, uint32_t view, bool *ret_held,
	       struct lease_page *ret_page);
/* The same for who has not opened the store, by its path. */
int lease_peek_at(const char *store, uint32_t view, bool *ret_held,
		  struct lease_page *ret_page);
/* Waits up to @msec for the lease to be given back: 0, or -ETIMEDOUT. */
int lease_wait(struct store *st, uint32_t view, int msec);

#endif
