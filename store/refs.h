/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of blobs within a write transaction: reference counts and the list of
 * the dead. Invariant: a blob row with refs 0 has a row in TABLE_DEAD, one
 * with references has none.
 */
#ifndef STORE_REFS_H
#define STORE_REFS_H

#include <stdint.h>

#include "store/digest.h"
#include "store/index.h"
#include "store/record.h"

struct store;

/* -ENOENT, -EBADMSG */
int blob_row_get(struct txn *txn, const struct digest *d,
		 struct blob_rec *ret_rec);
int blob_row_put(struct txn *txn, const struct digest *d,
		 const struct blob_rec *rec);

/*
 * Counts a reference. -ENOENT: there is no such blob; a dead one whose bytes
 * are gone counts as none (a sweep unlinks before it commits).
 */
int refs_add(struct store *st, struct txn *txn, const struct digest *d,
	     int64_t now);
/* Uncounts one; the last makes the blob dead. A blob without a readable row,
 * or without such references, is left alone: fsck finds it. */
int refs_drop(struct txn *txn, const struct digest *d, int64_t now);
/* The same for a file of a unit, where these are for nodes of views. -ENOENT,
 * too, when the blob has another size. */
int refs_add_unit(struct store *st, struct txn *txn, const struct digest *d,
		  uint64_t size, int64_t now);
int refs_drop_unit(struct txn *txn, const struct digest *d, int64_t now);

int dead_get(struct txn *txn, const struct digest *d, int64_t *ret_since);
int dead_put(struct txn *txn, const struct digest *d, int64_t since);
int dead_decode(struct span value, int64_t *ret_since);

/* CLOCK_REALTIME seconds. */
int64_t now_sec(void);

#endif
