/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing views: commits of batches, and the drop of a whole view.
 *
 * Invariant, at every commit: the count of a blob's row is the number of node
 * rows that name it, over all views, and of the units' files (unit.c). It holds
 * because node rows are written here and nowhere else, each by put_node() or
 * drop_node(), which compare the old record with the new one.
 *
 * Threads: any; transactions exclude each other.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/base/broken.h"
#include "store/base/macros.h"
#include "store/batch.h"
#include "store/blob.h"
#include "store/index.h"
#include "store/keys.h"
#include "store/refs.h"
#include "store/store.h"
#include "store/view_row.h"
#include "store/views.h"

/* Rows of a dropped view per transaction: some 10 MiB of dirty pages, and
 * other writers wait for a tenth of a second. */
#define DROP_PIECE 20000
#define REFS_UNKNOWN ((uint64_t)1 << 32)

struct commit {
	struct store *st;
	uint32_t id;
	struct batch *b;
	const struct view_state *state;
	struct view_rec *rec;
	int64_t now;
};

/* The digest that a node's row names, if it names one. A damaged row names
 * none: its blob's count stays too high until fsck counts anew. */
static int old_digest(struct txn *txn, const struct key *key,
		      struct digest *ret_digest)
{
	struct span value = { 0 };
	struct node_rec rec;
	int r;

	r = txn_get(txn, TABLE_NODES, span_of_key(key), &value);
	if (r == 0)
		r = node_rec_decode(value.p, value.len, &rec);
	if (r == -ENOENT || r == -EBADMSG)
		return 0;
	if (r < 0)
		return r;
	if (rec.content != CONTENT_BLOB)
		return 0;
	*ret_digest = rec.digest;
	return 1;
}

/* The new reference is counted before the old one is dropped: a blob that
 * moves between nodes may pass through zero only if nothing names it. */
static int put_node(struct commit *c, struct txn *txn,
		    const struct batch_op *op)
{
	struct digest old = { 0 };
	struct node_rec rec = { 0 };
	struct key key;
	bool names;
	int had, r;

	r = node_rec_decode(op->p, op->len, &rec);
	if (r < 0)
		return -EINVAL;
	node_key(&key, c->id, op->ino);
	had = old_digest(txn, &key, &old);
	if (had < 0)
		return had;
	names = rec.content == CONTENT_BLOB;
	if (!(had && names && digest_equal(&old, &rec.digest))) {
		r = names ? refs_add(c->st, txn, &rec.digest, c->now) : 0;
		if (r == -ENOENT || r == -EBADMSG)
			c->b->refused = op->ino;
		if (r == 0 && had)
			r = refs_drop(txn, &old, c->now);
		if (r < 0)
			return r;
	}
	return txn_put(txn, TABLE_NODES, span_of_key(&key),
		       span_of(op->p, op->len));
}

static int drop_node(struct txn *txn, const struct key *key, int64_t now)
{
	struct digest old = { 0 };
	int had, r;

	had = old_digest(txn, key, &old);
	if (had < 0)
		return had;
	r = had ? refs_drop(txn, &old, now) : 0;
	if (r == 0)
		r = txn_del(txn, TABLE_NODES, span_of_key(key));
	return r == -ENOENT ? 0 : r;
}

static int del_name(struct commit *c, struct txn *txn,
		    const struct batch_op *op)
{
	struct key key;
	int r;

	if (!name_key(&key, c->id, op->ino, op->p, op->len))
		return -EINVAL;
	r = txn_del(txn, TABLE_NAMES, span_of_key(&key));
	return r == -ENOENT ? 0 : r;
}

static int new_blob(struct commit *c, struct txn *txn,
		    const struct batch_op *op, uint8_t tier, uint64_t size,
		    bool damaged)
{
	struct blob_rec rec = {
		.size = size,
		.used = c->now,
		.tier = tier,
	};

	/* A row that failed its checksum is written anew, with a count that
	 * does not come down to zero before fsck has counted. */
	if (damaged && !broken("damaged-count"))
		rec.refs = REFS_UNKNOWN;
	return blob_row_put(txn, &op->digest, &rec);
}

static int put_inline(struct commit *c, struct txn *txn,
		      const struct batch_op *op)
{
	struct blob_rec rec = { 0 };
	struct span value;
	int r;

	r = blob_row_get(txn, &op->digest, &rec);
	if (r == -ENOENT || r == -EBADMSG)
		r = new_blob(c, txn, op, BLOB_INLINE, op->len, r == -EBADMSG);
	else if (r == 0 && rec.tier != BLOB_INLINE)
		return 0;
	if (r < 0)
		return r;
	/* The bytes are at hand: damaged ones are replaced. */
	r = txn_get(txn, TABLE_DATA, span_of_digest(&op->digest), &value);
	if (r == -ENOENT || r == -EBADMSG)
		r = txn_put(txn, TABLE_DATA, span_of_digest(&op->digest),
			    span_of(op->p, op->len));
	return r;
}

/* A side effect in a transaction, and harmless: a link that no commit follows
 * is a file without a row. */
static int put_blob(struct commit *c, struct txn *txn,
		    const struct batch_op *op)
{
	struct blob_rec rec = { 0 };
	int r;

	r = blob_row_get(txn, &op->digest, &rec);
	if (r == 0 && rec.tier == BLOB_INLINE)
		return 0;
	if (r == -ENOENT || r == -EBADMSG)
		r = new_blob(c, txn, op, BLOB_FILE, op->size, r == -EBADMSG);
	if (r < 0)
		return r;
	return blob_ensure(c->st, c->id, op->target, &op->digest, op->size);
}

/* Blobs first, wherever they are in the batch. */
static int apply_blob(struct commit *c, struct txn *txn,
		      const struct batch_op *op)
{
	if (op->kind == OP_PUT_INLINE)
		return put_inline(c, txn, op);
	if (op->kind == OP_PUT_BLOB)
		return put_blob(c, txn, op);
	return 0;
}

static int apply_node(struct commit *c, struct txn *txn,
		      const struct batch_op *op)
{
	struct key key;

	switch (op->kind) {
	case OP_PUT_NODE:
		return put_node(c, txn, op);
	case OP_DEL_NODE:
		node_key(&key, c->id, op->ino);
		return drop_node(txn, &key, c->now);
	case OP_PUT_NAME:
		return name_row_put(txn, c->id, op->ino, op->p, op->len,
				    op->target);
	case OP_DEL_NAME:
		return del_name(c, txn, op);
	default:
		return 0;
	}
}

/* A new blob that no node of the batch has come to name is born dead. */
static int bury_unused(struct commit *c, struct txn *txn,
		       const struct batch_op *op)
{
	struct blob_rec rec = { 0 };
	int64_t since;
	int r;

	if (op->kind != OP_PUT_INLINE && op->kind != OP_PUT_BLOB)
		return 0;
	r = blob_row_get(txn, &op->digest, &rec);
	if (r < 0 || rec.refs)
		return r;
	r = dead_get(txn, &op->digest, &since);
	if (r == -ENOENT || r == -EBADMSG)
		r = dead_put(txn, &op->digest, c->now);
	return r;
}

typedef int (*op_fn)(struct commit *c, struct txn *txn,
		     const struct batch_op *op);

static int each_op(struct commit *c, struct txn *txn, op_fn fn)
{
	struct reader rd = reader_of(c->b->ops.data, c->b->ops.len);
	struct batch_op op;
	int r;

	while ((r = batch_next(&rd, &op)) > 0) {
		r = fn(c, txn, &op);
		if (r < 0)
			return r;
	}
	return r < 0 ? -EINVAL : 0;
}

static int update_view(struct commit *c, struct txn *txn)
{
	struct view_rec *rec = c->rec;

	rec->seq++;
	rec->next_ino = c->state->next_ino;
	if (c->state->unsynced)
		memcpy(rec->boot_id, c->state->boot_id, BOOT_ID_LEN);
	else
		memset(rec->boot_id, 0, BOOT_ID_LEN);
	return view_row_put(txn, rec);
}

static int do_commit(struct txn *txn, void *arg)
{
	static const op_fn passes[] = { apply_blob, apply_node, bury_unused };
	struct commit *c = arg;
	int r;

	r = view_row_get(txn, c->id, c->rec);
	if (r == 0 && c->rec->flags & VIEW_DROPPED && !broken("dropped-view"))
		r = -ENOENT;
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(passes); i++)
		r = each_op(c, txn, passes[i]);
	return r == 0 ? update_view(c, txn) : r;
}

/* After the commit: nothing that is on disk refers to them any more. A crash
 * here leaves files behind, which the next attach removes. */
static void drop_staging(struct store *st, uint32_t id, const struct batch *b)
{
	struct reader rd = reader_of(b->ops.data, b->ops.len);
	struct batch_op op;

	while (batch_next(&rd, &op) > 0)
		if (op.kind == OP_DROP_STAGING)
			(void)staging_unlink(st, id, op.target);
}

int views_commit(struct store *st, uint32_t id, struct batch *b,
		 const struct view_state *state)
{
	_cleanup_free_ struct view_rec *rec = malloc(sizeof(*rec));
	struct commit c = {
		.st = st,
		.id = id,
		.b = b,
		.state = state,
		.rec = rec,
		.now = now_sec(),
	};
	int r;

	if (!rec)
		return -ENOMEM;
	b->refused = 0;
	if (broken("commit-order"))
		drop_staging(st, id, b);
	r = index_update(store_index(st), do_commit, &c);
	if (r == 0)
		drop_staging(st, id, b);
	return r;
}

struct drop {
	uint32_t id;
	unsigned left; /* rows that this transaction may still delete */
	bool done;
	int64_t now;
	struct view_rec *rec;
};

static int do_mark(struct txn *txn, void *arg)
{
	struct drop *d = arg;
	int r;

	r = view_row_get(txn, d->id, d->rec);
	if (r < 0 || d->rec->flags & VIEW_DROPPED)
		return r;
	d->rec->flags |= VIEW_DROPPED;
	return view_row_put(txn, d->rec);
}

static int drop_name_row(struct txn *txn, struct span key, struct span value,
			 void *arg)
{
	struct drop *d = arg;
	int r;

	(void)value;
	r = txn_del(txn, TABLE_NAMES, key);
	if (r < 0)
		return r;
	return --d->left == 0;
}

static int drop_node_row(struct txn *txn, struct span key, struct span value,
			 void *arg)
{
	struct drop *d = arg;
	struct key k;
	int r;

	(void)value;
	k.len = MIN(key.len, sizeof(k.b));
	memcpy(k.b, key.p, k.len);
	r = drop_node(txn, &k, d->now);
	if (r < 0)
		return r;
	return --d->left == 0;
}

static int do_drop_rows(struct txn *txn, void *arg)
{
	struct drop *d = arg;
	struct key prefix;
	int r;

	d->left = DROP_PIECE;
	view_key(&prefix, d->id);
	r = txn_foreach(txn, TABLE_NAMES, span_of_key(&prefix), drop_name_row,
			d);
	if (r == 0)
		r = txn_foreach(txn, TABLE_NODES, span_of_key(&prefix),
				drop_node_row, d);
	d->done = r == 0;
	return MIN(r, 0);
}

static int do_drop_view(struct txn *txn, void *arg)
{
	struct drop *d = arg;
	struct key key;
	int r;

	view_key(&key, d->id);
	r = txn_del(txn, TABLE_VIEWS, span_of_key(&key));
	return r == -ENOENT ? 0 : r;
}

/*
 * Each step is durable before the next, and finds nothing to do when it is
 * repeated: the mark; the rows, piece by piece; the staging files, which
 * nothing names any more; the view's own row, last.
 */
int views_drop(struct store *st, uint32_t id)
{
	_cleanup_free_ struct view_rec *rec = malloc(sizeof(*rec));
	struct drop d = { .id = id, .now = now_sec(), .rec = rec };
	struct index *idx = store_index(st);
	char name[9];
	int r;

	if (!rec)
		return -ENOMEM;
	r = index_update(idx, do_mark, &d);
	while (r == 0 && !d.done)
		r = index_update(idx, do_drop_rows, &d);
	if (r == 0)
		r = staging_remove(st, id);
	if (r == 0)
		r = index_update(idx, do_drop_view, &d);
	if (r < 0)
		return r;
	/* The id is never used again, and its holder is our caller. */
	(void)snprintf(name, sizeof(name), "%08" PRIx32, id);
	(void)unlinkat(store_lease_fd(st), name, 0);
	return 0;
}
