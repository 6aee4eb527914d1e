/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks LMDB's data file without LMDB, which aborts, faults or writes over
 * the heap when it follows a damaged page. Only pread(): nothing in the file
 * can crash it, nor keep it for ever. Works beside readers and writers as long
 * as the caller's transaction pins the commit that it looks at.
 *
 *	tree_check()   is a commit whole? All pages, in detail.
 *	tree_rows()    for salvage: all rows that can be read.
 */
#ifndef STORE_INDEX_TREE_H
#define STORE_INDEX_TREE_H

#include <stdint.h>

#include "store/index.h"

/*
 * Whether each page of commit @txn is what LMDB believes it to be: kinds,
 * order of keys, counts; no page in two places, none in use and free.
 * -EBADMSG: it is not. -ESTALE: there is no such commit any more.
 */
int tree_check(int fd, uint64_t txn);

/* Why a row is believed to be of the last commit. */
enum row_rank {
	ROW_REACHED, /* the trees lead to it */
	/* On a page that nothing leads to and that is not free: the way to it
	 * was lost. */
	ROW_STRAY,
	/* On a page that is or may be free. It was true once. */
	ROW_STALE,
};

/*
 * Calls @fn for each row with a right checksum, all of one rank before the
 * next, until it returns an error, which is returned. Rows that are not
 * reached come only if something is damaged. *ret_damaged counts pages and
 * rows that should be there and are not.
 */
typedef int (*tree_row_fn)(enum table t, struct span key, struct span value,
			   enum row_rank rank, void *arg);
int tree_rows(int fd, tree_row_fn fn, void *arg, uint64_t *ret_damaged);

#endif
