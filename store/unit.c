/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of units: publishing, finding and forgetting objects.
 *
 * Invariants, at every commit: an object has its list's row, a list has an
 * object; a blob's row counts each file of each object that names it. They
 * hold because both tables are written here alone (and by fsck).
 *
 * Threads: any; transactions exclude each other.
 */
#include "config.h"

#include "store/unit.h"

#include <errno.h>
#include <stdbool.h>

#include "store/base/broken.h"
#include "store/base/macros.h"
#include "store/refs.h"
#include "store/store.h"
#include "store/unit_row.h"

/* --- publishing ----------------------------------------------------------- */

int unit_list_row_put(struct txn *txn, const struct unit_key *key,
		      const struct unit_object *obj)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	struct unit_list list = unit_list_of(obj);
	struct key k;
	int r;

	r = unit_list_encode(&list, &b);
	if (r < 0)
		return r;
	unit_key_put(&k, key, UNIT_KEY_LIST);
	return txn_put(txn, TABLE_LISTS, span_of_key(&k),
		       span_of(b.data, b.len));
}

struct publish {
	struct store *st;
	const struct unit_key *key;
	const struct unit_object *obj;
	struct span value; /* the object, encoded */
	int64_t now;
};

static int add_refs(struct publish *p, struct txn *txn)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < p->obj->file_count; i++) {
		const struct unit_file *f = &p->obj->files[i];

		if (f->type == UNIT_REG && f->size && !broken("unit-refs"))
			r = refs_add_unit(p->st, txn, &f->digest, f->size,
					  p->now);
	}
	return r;
}

static int do_publish(struct txn *txn, void *arg)
{
	struct publish *p = arg;
	struct span value;
	struct key k;
	int r;

	unit_key_put(&k, p->key, UNIT_KEY_ALL);
	r = txn_get(txn, TABLE_UNITS, span_of_key(&k), &value);
	if (r != -ENOENT && r != -EBADMSG)
		return r < 0 ? r : -EEXIST;
	r = add_refs(p, txn);
	if (r == 0)
		r = txn_put(txn, TABLE_UNITS, span_of_key(&k), p->value);
	if (r < 0)
		return r;
	unit_key_put(&k, p->key, UNIT_KEY_LIST);
	r = txn_get(txn, TABLE_LISTS, span_of_key(&k), &value);
	if (r != -ENOENT && r != -EBADMSG)
		return r;
	return unit_list_row_put(txn, p->key, p->obj);
}

int unit_publish(struct store *st, const struct unit_key *key,
		 const struct unit_object *obj)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	struct publish p = { st, key, obj, { 0 }, now_sec() };
	struct unit_key real = { 0 };
	int r;

	r = unit_object_encode(obj, &b);
	if (r == 0)
		r = unit_key_of(obj, &real);
	if (r < 0)
		return r;
	if (!key->hash || !digest_equal(&key->list, &real.list) ||
	    !digest_equal(&key->values, &real.values))
		return -EINVAL;
	p.value = span_of(b.data, b.len);
	return index_update(store_index(st), do_publish, &p);
}

/* --- finding -------------------------------------------------------------- */

/* Rows of a prefix, copied one after the other. */
struct copy {
	struct key prefix;
	struct buf rows; /* { digest list, u32 length, bytes } */
};

static int copy_list(struct txn *txn, struct span key, struct span value,
		     void *arg)
{
	struct copy *c = arg;
	struct unit_key u;

	(void)txn;
	if (!value.p || key.len != UNIT_KEY_LIST || !unit_key_take(key, &u))
		return 0;
	buf_put(&c->rows, u.list.b, DIGEST_LEN);
	buf_u32(&c->rows, (uint32_t)value.len);
	buf_put(&c->rows, value.p, value.len);
	return c->rows.err;
}

static int do_copy_lists(struct txn *txn, void *arg)
{
	struct copy *c = arg;

	return txn_foreach(txn, TABLE_LISTS, span_of_key(&c->prefix), copy_list,
			   c);
}

int unit_lists(struct store *st, uint64_t hash, const struct digest *scope,
	       int (*fn)(const struct unit_list *list,
			 const struct digest *list_digest, void *arg),
	       void *arg)
{
	const struct unit_key key = { .hash = hash, .scope = *scope };
	struct copy c = { .rows = { 0 } };
	struct unit_list list;
	struct reader rows;
	int r;

	unit_key_put(&c.prefix, &key, UNIT_KEY_SCOPE);
	r = index_view(store_index(st), do_copy_lists, &c);
	rows = reader_of(c.rows.data, c.rows.len);
	while (r == 0 && rows.left) {
		const struct digest *d = take(&rows, DIGEST_LEN);
		size_t len = take_u32(&rows);

		r = unit_list_decode(take(&rows, len), len, &list);
		if (r == 0) {
			r = fn(&list, d, arg);
			unit_list_release(&list);
		} else if (r == -EBADMSG) {
			r = 0;
		}
	}
	buf_release(&c.rows);
	return r;
}

/* A walk over TABLE_UNITS. A callback's positive result passes through the
 * transaction as result. */
struct search {
	struct key prefix;
	int (*found)(uint64_t fpr, const void *object, size_t len, void *arg);
	int (*object)(const struct unit_key *key, const struct unit_object *obj,
		      void *arg);
	void *arg;
	int result;
};

static int find_row(struct txn *txn, struct span key, struct span value,
		    void *arg)
{
	struct unit_object obj;
	struct search *s = arg;
	struct unit_key u;
	int r;

	(void)txn;
	if (!value.p || key.len != UNIT_KEY_ALL || !unit_key_take(key, &u))
		return 0;
	if (s->found)
		return s->found(u.fpr, value.p, value.len, s->arg);
	r = unit_object_decode(value.p, value.len, &obj);
	if (r < 0)
		return r == -EBADMSG ? 0 : r;
	r = s->object(&u, &obj, s->arg);
	unit_object_release(&obj);
	return r;
}

static int do_search(struct txn *txn, void *arg)
{
	struct search *s = arg;

	s->result = txn_foreach(txn, TABLE_UNITS, span_of_key(&s->prefix),
				find_row, s);
	return s->result;
}

static int search(struct store *st, struct search *s)
{
	int r = index_view(store_index(st), do_search, s);

	return r < 0 ? r : s->result;
}

int unit_find(struct store *st, const struct unit_key *key,
	      int (*fn)(uint64_t fpr, const void *object, size_t len,
			void *arg),
	      void *arg)
{
	struct search s = { .found = fn, .arg = arg };

	unit_key_put(&s.prefix, key, UNIT_KEY_VALUES);
	return search(st, &s);
}

int unit_foreach(struct store *st, uint64_t hash,
		 int (*fn)(const struct unit_key *key,
			   const struct unit_object *obj, void *arg),
		 void *arg)
{
	struct search s = { .object = fn, .arg = arg };
	const struct unit_key key = { .hash = hash };

	unit_key_put(&s.prefix, &key, UNIT_KEY_HASH);
	if (!hash)
		s.prefix.len = 0;
	return search(st, &s);
}

/* --- forgetting ----------------------------------------------------------- */

static int stop(struct txn *txn, struct span key, struct span value, void *arg)
{
	(void)txn;
	(void)key;
	(void)value;
	(void)arg;
	return 1;
}

int unit_list_is_used(struct txn *txn, const struct unit_key *key)
{
	struct key k;

	unit_key_put(&k, key, UNIT_KEY_LIST);
	return txn_foreach(txn, TABLE_UNITS, span_of_key(&k), stop, NULL);
}

static int drop_refs(struct txn *txn, const struct unit_object *obj,
		     int64_t now)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < obj->file_count; i++) {
		const struct unit_file *f = &obj->files[i];

		if (f->type == UNIT_REG && f->size)
			r = refs_drop_unit(txn, &f->digest, now);
	}
	return r;
}

/* Decodes a copy: what is in the map moves when rows are put. */
static int drop_object(struct txn *txn, struct span value, int64_t now)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	struct unit_object obj;
	int r;

	buf_put(&b, value.p, value.len);
	if (b.err)
		return b.err;
	r = unit_object_decode(b.data, b.len, &obj);
	if (r < 0)
		return r == -EBADMSG ? 0 : r;
	r = drop_refs(txn, &obj, now);
	unit_object_release(&obj);
	return r;
}

static int do_drop(struct txn *txn, void *arg)
{
	const struct unit_key *key = arg;
	struct span value = { 0 };
	struct key k;
	int r;

	unit_key_put(&k, key, UNIT_KEY_ALL);
	r = txn_get(txn, TABLE_UNITS, span_of_key(&k), &value);
	if (r == 0)
		r = drop_object(txn, value, now_sec());
	else if (r == -EBADMSG)
		r = 0;
	if (r == 0)
		r = txn_del(txn, TABLE_UNITS, span_of_key(&k));
	if (r == 0)
		r = unit_list_is_used(txn, key);
	if (r)
		return MIN(r, 0);
	unit_key_put(&k, key, UNIT_KEY_LIST);
	r = txn_del(txn, TABLE_LISTS, span_of_key(&k));
	return r == -ENOENT ? 0 : r;
}

int unit_drop(struct store *st, const struct unit_key *key)
{
	struct unit_key copy = *key;

	return index_update(store_index(st), do_drop, &copy);
}
