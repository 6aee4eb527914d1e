/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading views: whole, and as sums. One read transaction each, so that what
 * is seen is one committed state. Any thread.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/base/macros.h"
#include "store/index.h"
#include "store/keys.h"
#include "store/refs.h"
#include "store/store.h"
#include "store/view_row.h"
#include "store/views.h"

struct load {
	uint32_t id;
	const struct view_loader *ld;
	struct view_rec *rec;
};

static int damaged(const struct load *l, const char *table, struct span key)
{
	char what[64];
	uint64_t ino = 0;

	if (!l->ld->on_damage)
		return -EBADMSG;
	(void)key_node(key, &ino);
	(void)snprintf(what, sizeof(what), "row of %s %" PRIu64, table, ino);
	return l->ld->on_damage(what, l->ld->arg);
}

static int load_node(struct txn *txn, struct span key, struct span value,
		     void *arg)
{
	const struct load *l = arg;
	struct node_rec rec;
	uint64_t ino;

	(void)txn;
	if (key.len != NODE_KEY_LEN || !key_node(key, &ino) || !value.p ||
	    node_rec_decode(value.p, value.len, &rec) < 0)
		return damaged(l, "node", key);
	return l->ld->on_node ? l->ld->on_node(ino, &rec, l->ld->arg) : 0;
}

static int load_name(struct txn *txn, struct span key, struct span value,
		     void *arg)
{
	const struct load *l = arg;
	uint64_t parent, ino;
	const char *name;
	size_t len;

	(void)txn;
	if (!key_node(key, &parent) || !key_name(key, &name, &len) ||
	    !value.p || name_row_decode(value, &ino) < 0)
		return damaged(l, "a name in", key);
	return l->ld->on_name
		       ? l->ld->on_name(parent, name, len, ino, l->ld->arg)
		       : 0;
}

static int check_view(struct txn *txn, uint32_t id, struct view_rec *rec)
{
	int r = view_row_get(txn, id, rec);

	if (r == 0 && rec->flags & VIEW_DROPPED)
		r = -ENOENT;
	return r;
}

/* A callback's positive result passes through a transaction as this. */
struct result {
	struct load load;
	int r;
};

static int do_load(struct txn *txn, void *arg)
{
	struct result *res = arg;
	struct load *l = &res->load;
	struct key prefix;
	int r;

	r = check_view(txn, l->id, l->rec);
	if (r < 0)
		return r;
	view_key(&prefix, l->id);
	r = txn_foreach(txn, TABLE_NODES, span_of_key(&prefix), load_node, l);
	if (r == 0)
		r = txn_foreach(txn, TABLE_NAMES, span_of_key(&prefix),
				load_name, l);
	res->r = r;
	return r;
}

int views_load(struct store *st, uint32_t id, const struct view_loader *ld)
{
	_cleanup_free_ struct view_rec *rec = malloc(sizeof(*rec));
	struct result res = { .load = { id, ld, rec } };
	int r;

	if (!rec)
		return -ENOMEM;
	r = index_view(store_index(st), do_load, &res);
	return r < 0 ? r : res.r;
}

struct used_blob {
	struct digest d;
	uint64_t size;
};

struct sums {
	uint32_t id;
	struct view_usage u;
	struct buf blobs; /* array of used_blob */
	struct view_rec *rec;
};

static int sum_file(struct sums *s, const struct node_rec *rec)
{
	struct used_blob b = { .d = rec->digest, .size = rec->size };

	s->u.files++;
	s->u.logical += rec->size;
	if (rec->content == CONTENT_STAGING)
		s->u.staging += rec->size;
	else if (rec->content == CONTENT_BLOB)
		buf_put(&s->blobs, &b, sizeof(b));
	return s->blobs.err;
}

static int sum_node(struct txn *txn, struct span key, struct span value,
		    void *arg)
{
	struct sums *s = arg;
	struct node_rec rec;

	(void)txn;
	(void)key;
	if (!value.p || node_rec_decode(value.p, value.len, &rec) < 0)
		return 0; /* fsck tells */
	if (S_ISREG(rec.mode))
		return sum_file(s, &rec);
	if (S_ISDIR(rec.mode))
		s->u.dirs++;
	else
		s->u.others++;
	return 0;
}

static int compare_blobs(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_LEN);
}

/* Sorted, so that each digest counts once. */
static void sum_blobs(struct sums *s, struct txn *txn)
{
	size_t count = s->blobs.len / sizeof(struct used_blob);
	struct used_blob *b = (void *)s->blobs.data;
	struct blob_rec rec;

	if (!count)
		return;
	qsort(b, count, sizeof(*b), compare_blobs);
	for (size_t i = 0; i < count; i++) {
		if (i && digest_equal(&b[i].d, &b[i - 1].d))
			continue;
		s->u.blob += b[i].size;
		if (blob_row_get(txn, &b[i].d, &rec) == 0 &&
		    rec.refs - rec.units > 1)
			s->u.shared += b[i].size;
	}
}

static int do_usage(struct txn *txn, void *arg)
{
	struct sums *s = arg;
	struct key prefix;
	int r;

	r = check_view(txn, s->id, s->rec);
	if (r < 0)
		return r;
	s->u = (struct view_usage){ 0 };
	buf_reset(&s->blobs);
	view_key(&prefix, s->id);
	r = txn_foreach(txn, TABLE_NODES, span_of_key(&prefix), sum_node, s);
	if (r == 0)
		sum_blobs(s, txn);
	return r;
}

int views_usage(struct store *st, uint32_t id, struct view_usage *ret_usage)
{
	_cleanup_free_ struct view_rec *rec = malloc(sizeof(*rec));
	struct sums s = { .id = id, .rec = rec };
	int r;

	if (!rec)
		return -ENOMEM;
	r = index_view(store_index(st), do_usage, &s);
	buf_release(&s.blobs);
	if (r == 0)
		*ret_usage = s.u;
	return r;
}
