/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by index.c (the environment: map, transactions, reader slots) and
 * index_txn.c (rows), the only files that know LMDB; no other includes this.
 */
#ifndef STORE_INDEX_LMDB_H
#define STORE_INDEX_LMDB_H

#include <lmdb.h>
#include <setjmp.h>
#include <stdbool.h>
#include <sys/types.h>

#include "store/base/lock.h"
#include "store/index.h"

struct index {
	struct index *next; /* protected by registry */
	unsigned refs;	    /* protected by registry */
	/* Protected by resize. */
	MDB_env *env;
	MDB_dbi dbi[TABLE_COUNT];
	mdb_filehandle_t fd; /* the data file, owned by env */
	/* Constant after open. */
	int dirfd; /* in which the directory "index" is */
	unsigned page_size;
	unsigned flags; /* enum index_flags */
	pid_t pid;
	dev_t dev; /* of the data file */
	ino_t ino;

	struct rwlock resize; /* see index.c */
	size_t map_size;      /* protected by resize */
	unsigned changes;     /* of the map; protected by resize */
	int lost; /* protected by resize: why there is no map any more, or 0 */
	/* Atomic. A page was found damaged: nothing is written any more, as
	 * LMDB writes where a page's header says. */
	bool damaged;
	bool vetted; /* atomic: see index_vet() */
};

struct txn {
	MDB_txn *t;
	struct index *idx;
	bool writes;
	bool full;	       /* MDB_MAP_FULL was seen: run again */
	int err;	       /* of a writer: the first failure, final */
	unsigned long changes; /* puts and deletes so far */
};

/*
 * LMDB follows what is in a page: a damaged one makes it run against an
 * assertion (and abort) or outside of the map (SIGSEGV, SIGBUS; the latter
 * also when the file was cut off below us). Neither may end the mount, so each
 * look at pages is guarded: it is left by longjmp, with INDEX_TRAPPED. LMDB
 * holds no lock in these calls but the writer mutex, which aborting the
 * transaction gives back; it frees its memory then, too.
 */
struct guard {
	jmp_buf jump;
	volatile bool armed;
};
extern _Thread_local struct guard index_guard;

/* Outside LMDB's own codes. */
#define INDEX_TRAPPED (-40000)
/* A value that is there, and damaged. */
#define INDEX_BAD_VALUE (-40001)

#define GUARDED(rc, call)                                        \
	do {                                                     \
		if (_setjmp(index_guard.jump)) {                 \
			(rc) = INDEX_TRAPPED;                    \
		} else {                                         \
			index_guard.armed = true;                \
			__atomic_signal_fence(__ATOMIC_SEQ_CST); \
			(rc) = (call);                           \
			__atomic_signal_fence(__ATOMIC_SEQ_CST); \
			index_guard.armed = false;               \
		}                                                \
	} while (0)

/*
 * Takes over SIGSEGV and SIGBUS for threads in a guarded call; anywhere else
 * they do what they did before. At every open of an index, in case another
 * handler has been set since.
 */
void index_guard_signals(void);
/* For mdb_env_set_assert(). */
void index_on_assert(MDB_env *env, const char *msg);
int index_errno(int rc);
/* No updates any more, from this process; and who opens it next looks at all
 * pages again. */
void index_mark_damaged(struct index *idx);
/*
 * Before the first change that this process makes: once in each boot, all
 * pages of the last commit are checked (index_tree.h), as LMDB would write
 * where a damaged header says. The transaction has changed nothing yet. Fails
 * the transaction.
 */
int index_vet(struct txn *txn);

#endif
