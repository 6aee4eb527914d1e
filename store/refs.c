/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reference counts of blobs. All state is in the transaction, which belongs to
 * one thread.
 */
#include "config.h"

#include "store/refs.h"

#include <errno.h>
#include <stdbool.h>
#include <time.h>

#include "store/base/broken.h"
#include "store/base/buf.h"
#include "store/base/macros.h"
#include "store/blob.h"
#include "store/keys.h"
#include "store/schema.h"

int64_t now_sec(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec;
}

int blob_row_get(struct txn *txn, const struct digest *d,
		 struct blob_rec *ret_rec)
{
	struct span value = { 0 };
	int r;

	r = txn_get(txn, TABLE_BLOBS, span_of_digest(d), &value);
	if (r < 0)
		return r;
	return blob_rec_decode(value.p, value.len, ret_rec);
}

int blob_row_put(struct txn *txn, const struct digest *d,
		 const struct blob_rec *rec)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	int r;

	r = blob_rec_encode(rec, &b);
	if (r < 0)
		return r;
	return txn_put(txn, TABLE_BLOBS, span_of_digest(d),
		       span_of(b.data, b.len));
}

int dead_decode(struct span value, int64_t *ret_since)
{
	struct reader r = reader_of(value.p, value.len);
	uint8_t version = take_u8(&r);
	int64_t since = (int64_t)take_u64(&r);

	if (r.bad || r.left || version != DEAD_VERSION)
		return -EBADMSG;
	*ret_since = since;
	return 0;
}

int dead_get(struct txn *txn, const struct digest *d, int64_t *ret_since)
{
	struct span value = { 0 };
	int r;

	r = txn_get(txn, TABLE_DEAD, span_of_digest(d), &value);
	return r < 0 ? r : dead_decode(value, ret_since);
}

int dead_put(struct txn *txn, const struct digest *d, int64_t since)
{
	_cleanup_(buf_release) struct buf b = { 0 };

	buf_u8(&b, DEAD_VERSION);
	buf_u64(&b, (uint64_t)since);
	if (b.err)
		return b.err;
	return txn_put(txn, TABLE_DEAD, span_of_digest(d),
		       span_of(b.data, b.len));
}

/* The bytes of a blob about to come back from the dead. */
static int check_bytes(struct store *st, struct txn *txn,
		       const struct digest *d, const struct blob_rec *rec)
{
	struct span value;

	if (rec->tier == BLOB_INLINE)
		return txn_get(txn, TABLE_DATA, span_of_digest(d), &value);
	return blob_exists(st, d, rec->size);
}

/* Counts one in @rec, which is the blob's row. */
static int add(struct store *st, struct txn *txn, const struct digest *d,
	       struct blob_rec *rec, int64_t now)
{
	int r;

	if (!rec->refs) {
		r = broken("revive-check") ? 0 : check_bytes(st, txn, d, rec);
		if (r < 0)
			return r;
		r = txn_del(txn, TABLE_DEAD, span_of_digest(d));
		if (r < 0 && r != -ENOENT)
			return r;
	}
	rec->refs++;
	rec->used = now;
	return blob_row_put(txn, d, rec);
}

int refs_add(struct store *st, struct txn *txn, const struct digest *d,
	     int64_t now)
{
	struct blob_rec rec = { 0 };
	int r;

	r = blob_row_get(txn, d, &rec);
	return r < 0 ? r : add(st, txn, d, &rec, now);
}

int refs_add_unit(struct store *st, struct txn *txn, const struct digest *d,
		  uint64_t size, int64_t now)
{
	struct blob_rec rec = { 0 };
	int r;

	r = blob_row_get(txn, d, &rec);
	if (r == 0 && rec.size != size)
		r = -ENOENT;
	if (r < 0)
		return r;
	rec.units++;
	return add(st, txn, d, &rec, now);
}

static int drop(struct txn *txn, const struct digest *d, bool unit, int64_t now)
{
	struct blob_rec rec = { 0 };
	int r;

	r = blob_row_get(txn, d, &rec);
	if (r < 0)
		return r == -ENOENT || r == -EBADMSG ? 0 : r;
	if (!(unit ? rec.units : rec.refs - rec.units))
		return 0;
	rec.units -= unit;
	rec.refs--;
	r = blob_row_put(txn, d, &rec);
	if (r == 0 && !rec.refs)
		r = dead_put(txn, d, now);
	return r;
}

int refs_drop(struct txn *txn, const struct digest *d, int64_t now)
{
	return drop(txn, d, false, now);
}

int refs_drop_unit(struct txn *txn, const struct digest *d, int64_t now)
{
	return drop(txn, d, true, now);
}
