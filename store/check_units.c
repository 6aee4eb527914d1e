/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fsck: objects of units and their lists. In a repair, what stays is whole:
 *
 *	- an object's row can be read, its inputs are those of its key, and
 *	  each of its blobs is there;
 *	- a list's row can be read, is the list of its key, and has an object;
 *	- an object has its list; one that is lost is written anew, as the
 *	  object has all of it.
 *
 * An object that goes is a unit that cargo compiles again.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "store/base/macros.h"
#include "store/check_impl.h"
#include "store/unit_row.h"

#define UNITS(c) ARRAY_OF(&(c)->units, struct found_unit)
#define UNIT_COUNT(c) COUNT_OF(&(c)->units, struct found_unit)

/* --- reading -------------------------------------------------------------- */

static int add_refs(struct check *c, const struct unit_object *obj)
{
	struct found_ref ref = { .unit = true, .ino = UNIT_COUNT(c) };

	for (size_t i = 0; i < obj->file_count; i++) {
		const struct unit_file *f = &obj->files[i];

		if (f->type != UNIT_REG || !f->size)
			continue;
		ref.d = f->digest;
		ref.size = f->size;
		buf_put(&c->refs, &ref, sizeof(ref));
	}
	return c->refs.err;
}

/* -EBADMSG: the object is not what its key says. */
static int read_object(struct check *c, const struct unit_key *key,
		       const struct unit_object *obj)
{
	struct unit_key real = { .hash = 0 };
	int r;

	r = unit_key_of(obj, &real);
	if (r < 0)
		return r;
	if (!digest_equal(&real.list, &key->list) ||
	    !digest_equal(&real.values, &key->values))
		return -EBADMSG;
	return add_refs(c, obj);
}

static int read_unit(struct txn *txn, struct span key, struct span value,
		     void *arg)
{
	struct found_unit u = { .bad = false };
	struct unit_object obj;
	struct check *c = arg;
	int r = -EBADMSG;

	(void)txn;
	if (key.len != UNIT_KEY_ALL || !unit_key_take(key, &u.key))
		return 0; /* told already */
	if (value.p)
		r = unit_object_decode(value.p, value.len, &obj);
	if (r == 0) {
		r = read_object(c, &u.key, &obj);
		unit_object_release(&obj);
	}
	if (r < 0 && r != -EBADMSG)
		return r;
	u.bad = r < 0;
	buf_put(&c->units, &u, sizeof(u));
	return c->units.err;
}

int check_collect_units(struct check *c, struct txn *txn)
{
	buf_reset(&c->units);
	return txn_foreach(txn, TABLE_UNITS, (struct span){ 0 }, read_unit, c);
}

int check_lose_unit(struct check *c, const struct found_ref *ref,
		    const char *why)
{
	struct found_unit *u = &UNITS(c)[ref->ino];

	check_problem(c, REMEDY_REPAIR, "unit %016" PRIx64 ": %s", u->key.hash,
		      why);
	u->lost = true;
	return 0;
}

/* --- lists ---------------------------------------------------------------- */

static int compare_lists(const struct unit_key *a, const struct unit_key *b)
{
	int d;

	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	d = memcmp(&a->scope, &b->scope, DIGEST_LEN);
	return d ? d : memcmp(&a->list, &b->list, DIGEST_LEN);
}

/* The first object of a list, and how many there are. */
static struct found_unit *objects_of(const struct check *c,
				     const struct unit_key *list,
				     size_t *ret_count)
{
	size_t from = 0, to = UNIT_COUNT(c), n;

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (compare_lists(&UNITS(c)[mid].key, list) < 0)
			from = mid + 1;
		else
			to = mid;
	}
	for (n = from; n < UNIT_COUNT(c); n++)
		if (compare_lists(&UNITS(c)[n].key, list) != 0)
			break;
	*ret_count = n - from;
	return UNITS(c) + from;
}

/* 0, -EBADMSG, -ENOMEM */
static int read_list(const struct unit_key *key, struct span value)
{
	struct unit_list list;
	struct digest d;
	int r = -EBADMSG;

	if (value.p)
		r = unit_list_decode(value.p, value.len, &list);
	if (r < 0)
		return r;
	r = unit_list_digest(&list, &d);
	unit_list_release(&list);
	if (r < 0)
		return r;
	return digest_equal(&d, &key->list) ? 0 : -EBADMSG;
}

static int check_list(struct txn *txn, struct span key, struct span value,
		      void *arg)
{
	struct check *c = arg;
	struct found_unit *u;
	struct unit_key list;
	bool used = false;
	size_t count;
	int r;

	if (key.len != UNIT_KEY_LIST || !unit_key_take(key, &list))
		return 0; /* told already */
	r = read_list(&list, value);
	if (r < 0 && r != -EBADMSG)
		return r;
	u = objects_of(c, &list, &count);
	for (size_t i = 0; i < count; i++) {
		u[i].list_bad = r < 0;
		used |= !u[i].bad && !u[i].lost;
	}
	if (r == 0 && used)
		return 0;
	check_problem(c, REMEDY_REPAIR, "unit %016" PRIx64 ": %s", list.hash,
		      r < 0 ? "damaged list" : "a list without objects");
	return check_repairs(c) ? txn_del(txn, TABLE_LISTS, key) : 0;
}

static int restore_list(struct txn *txn, const struct unit_key *key)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	struct span value = { 0 };
	struct unit_object obj;
	struct key k;
	int r;

	unit_key_put(&k, key, UNIT_KEY_ALL);
	r = txn_get(txn, TABLE_UNITS, span_of_key(&k), &value);
	if (r < 0)
		return r;
	buf_put(&b, value.p, value.len);
	if (b.err)
		return b.err;
	r = unit_object_decode(b.data, b.len, &obj);
	if (r < 0)
		return r;
	r = unit_list_row_put(txn, key, &obj);
	unit_object_release(&obj);
	return r;
}

/* Of the first object of a list that stays. */
static int check_has_list(struct check *c, struct txn *txn,
			  const struct found_unit *u)
{
	struct span value;
	struct key k;
	int r;

	unit_key_put(&k, &u->key, UNIT_KEY_LIST);
	r = txn_get(txn, TABLE_LISTS, span_of_key(&k), &value);
	if (r != -ENOENT)
		return r == -EBADMSG ? 0 : r; /* told already */
	if (!u->list_bad)
		check_problem(c, REMEDY_REPAIR, "unit %016" PRIx64 ": no list",
			      u->key.hash);
	return check_repairs(c) ? restore_list(txn, &u->key) : 0;
}

/* --- objects -------------------------------------------------------------- */

static int check_object(struct check *c, struct txn *txn,
			const struct found_unit *u)
{
	struct key k;

	c->rep.units++;
	if (u->bad)
		check_problem(c, REMEDY_REPAIR,
			      "unit %016" PRIx64 ": damaged row", u->key.hash);
	if (!check_repairs(c) || (!u->bad && !u->lost))
		return 0;
	unit_key_put(&k, &u->key, UNIT_KEY_ALL);
	return txn_del(txn, TABLE_UNITS, span_of_key(&k));
}

int check_units(struct check *c, struct txn *txn)
{
	const struct found_unit *u = UNITS(c), *last = NULL;
	int r = 0;

	for (size_t i = 0; r == 0 && i < UNIT_COUNT(c); i++)
		r = check_object(c, txn, &u[i]);
	if (r == 0)
		r = txn_foreach(txn, TABLE_LISTS, (struct span){ 0 },
				check_list, c);
	for (size_t i = 0; r == 0 && i < UNIT_COUNT(c); i++) {
		if (u[i].bad || u[i].lost ||
		    (last && compare_lists(&last->key, &u[i].key) == 0))
			continue;
		last = &u[i];
		r = check_has_list(c, txn, last);
	}
	return r;
}
