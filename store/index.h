/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index: ordered tables in one LMDB environment, shared by every process
 * that has the store open. index.c is the only file that knows LMDB; no MDB_
 * code leaves it.
 *
 * Every value carries a checksum (XXH3-64) over table, key and value, as LMDB
 * returns damaged pages without complaint. A value that fails it is -EBADMSG.
 *
 * Writers go through index_update(), which runs a function in a write
 * transaction and runs it again from the start when the map had to grow, so
 * the function may have no side effects but those on the transaction (it must
 * set its outputs afresh each time). Write transactions exclude each other
 * across all processes. A commit is durable when index_update() returns.
 *
 * Readers: index_view() runs a function in a read transaction. Pointers
 * returned by txn_get() and the cursor point into the map: valid until the
 * transaction ends and, in a write transaction, until the next put or delete.
 *
 * Open the index after the last fork. A child that inherits it gets -ECHILD
 * from all calls, and may only close it.
 * LMDB must not have one environment open twice in a process: a second open
 * shares the first one's.
 *
 * Damage to pages that LMDB falls over (an assertion, a fault outside of its
 * map) is -EBADMSG, too; for this the index handles SIGSEGV and SIGBUS while a
 * thread is within LMDB, and passes them on otherwise. From then on updates are
 * refused with -EBADMSG in this process. A writer cannot be saved like that, so
 * before the first change in a boot all pages are looked at (index_vet.c), and
 * updates are refused with -EBADMSG when one is damaged.
 *
 * Errors of all calls: -ENOENT, -EEXIST, -EBADMSG (checksum or page damage),
 * -ENOSPC (disk full, or the map cannot grow), -EAGAIN (no reader slot: a
 * process of another PID namespace has our pid; try from another pid), -EIO,
 * -ENOMEM, -EROFS.
 */
#ifndef STORE_INDEX_H
#define STORE_INDEX_H

#include <stddef.h>
#include <stdint.h>

struct index;
struct txn;

enum table {
	TABLE_META,
	TABLE_BLOBS,
	TABLE_DATA,
	TABLE_DEAD,
	TABLE_VIEWS,
	TABLE_NODES,
	TABLE_NAMES,
	TABLE_LISTS,
	TABLE_UNITS,
	TABLE_COUNT,
};

/* LMDB's own limit for a key. */
#define INDEX_KEY_MAX 511

struct span {
	const void *p;
	size_t len;
};

enum index_flags {
	INDEX_CREATE = 1 << 0,
	INDEX_READONLY = 1 << 1,
};

/*
 * @dirfd is the store's root; the environment lives in its directory "index".
 * Checks that the file is not shorter than its pages before it maps them.
 */
int index_open(int dirfd, unsigned flags, struct index **ret_index);
/* The same with another size of the first map than INDEX_MAP_SIZE. */
int index_open_sized(int dirfd, unsigned flags, size_t map_size,
		     struct index **ret_index);
struct index *index_close(struct index *idx); /* NULL */

/*
 * For fsck: -EBUSY when any process has the index open, else keeps all from
 * opening it until *ret_fd is closed. Before that, index_retire() makes those
 * who wait fail, for they have opened the lock file already.
 */
int index_lock_unused(int dirfd, int *ret_fd);
int index_retire(int fd);

/* Address space, not memory nor disk. Doubled when full, up to the maximum. */
#define INDEX_MAP_SIZE ((size_t)1 << 30)
#define INDEX_MAP_MAX ((size_t)1 << 40)

typedef int (*txn_fn)(struct txn *txn, void *arg);
/*
 * Returns @fn's result when negative (and aborts), else 0 or the error of the
 * commit. @fn may not call index_update(); a thread that is within
 * index_view() may call index_view(), but index_update() is -EDEADLK.
 */
int index_update(struct index *idx, txn_fn fn, void *arg);
int index_view(struct index *idx, txn_fn fn, void *arg);

int txn_get(struct txn *txn, enum table t, struct span key,
	    struct span *ret_value);
/* Inserts or replaces. The value may not lie in the map. */
int txn_put(struct txn *txn, enum table t, struct span key, struct span value);
int txn_del(struct txn *txn, enum table t, struct span key);

/*
 * Calls @fn for each row whose key begins with @prefix (an empty one: all), in
 * key order, until it returns non-zero, which is then returned. A row with a
 * bad checksum is passed with value.p == NULL; @fn decides. In a write
 * transaction @fn may put and delete rows: the walk goes on at the first key
 * greater than the current one.
 */
typedef int (*row_fn)(struct txn *txn, struct span key, struct span value,
		      void *arg);
int txn_foreach(struct txn *txn, enum table t, struct span prefix, row_fn fn,
		void *arg);
/* The same, beginning at the first key >= @from (which has the prefix). */
int txn_foreach_from(struct txn *txn, enum table t, struct span prefix,
		     struct span from, row_fn fn, void *arg);

struct index_info {
	uint64_t map_size; /* bytes mapped */
	uint64_t used;	   /* bytes of pages in use */
	uint64_t rows[TABLE_COUNT];
	unsigned readers; /* slots in use */
};
int index_info(struct index *idx, struct index_info *ret_info);
/* For fsck: looks at all pages of the last commit. -EBADMSG: damaged ones. */
int index_check_pages(struct index *idx);
/* Frees the reader slots of dead processes; done at open, too. */
int index_reap(struct index *idx);

#endif
