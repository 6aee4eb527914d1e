/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fsck: the order of its parts, the list of views, and what it tells.
 *
 * A view that somebody has mounted is read as committed and left alone; in a
 * repair we hold the leases of all others, so that none is mounted meanwhile.
 * One thread; other processes may use the store.
 */
#include "config.h"

#include "store/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/macros.h"
#include "store/check_impl.h"
#include "store/keys.h"
#include "store/lease.h"
#include "store/refs.h"
#include "store/store.h"
#include "store/unit_row.h"
#include "store/view_row.h"

/* A longer line is cut. */
#define LINE_MAX_ 512

void check_problem(struct check *c, enum remedy remedy, const char *format, ...)
{
	char line[LINE_MAX_];
	va_list ap;
	int len;

	if (remedy == REMEDY_LEFT_OVER) {
		c->rep.left_over++;
		return;
	}
	c->rep.damaged++;
	if (remedy == REMEDY_WAIT)
		c->rep.skipped++;
	else if (remedy == REMEDY_REPAIR && check_repairs(c))
		c->rep.repaired++;
	va_start(ap, format);
	len = vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	if (!c->say || len < 0)
		return;
	for (char *p = line; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	buf_put(&c->said, line, strlen(line) + 1);
}

void check_tell(struct check *c)
{
	const char *p = (const char *)c->said.data;

	if (!c->say)
		return;
	for (size_t at = 0; at < c->said.len; at += strlen(p + at) + 1)
		c->say(p + at, c->arg);
	buf_reset(&c->said);
}

const struct found_view *check_find_view(const struct check *c, uint32_t id)
{
	const struct found_view *v = ARRAY_OF(&c->views, struct found_view);

	for (size_t i = 0; i < COUNT_OF(&c->views, struct found_view); i++)
		if (v[i].id == id)
			return &v[i];
	return NULL;
}

static int add_view(struct txn *txn, struct span key, struct span value,
		    void *arg)
{
	struct found_view v = { .mounted = true };
	struct check *c = arg;

	(void)txn;
	(void)value;
	if (key.len != VIEW_KEY_LEN || !key_view(key, &v.id))
		return 0;
	buf_put(&c->views, &v, sizeof(v));
	return c->views.err;
}

static int do_list_views(struct txn *txn, void *arg)
{
	struct check *c = arg;

	buf_reset(&c->views);
	return txn_foreach(txn, TABLE_VIEWS, (struct span){ 0 }, add_view, c);
}

static int lease_view(struct check *c, struct found_view *v)
{
	bool held;
	int r;

	if (check_repairs(c)) {
		r = lease_take(c->st, v->id, "", &v->lease, NULL);
		v->mounted = r == -EBUSY;
		return r == -EBUSY ? 0 : r;
	}
	r = lease_peek(c->st, v->id, &held, NULL);
	v->mounted = r == 0 && held;
	return r == -ENOENT ? 0 : r;
}

/* Views that appear after this are not in the list: they count as mounted. */
int check_list_views(struct check *c)
{
	int r;

	r = index_view(store_index(c->st), do_list_views, c);
	for (size_t i = 0; r == 0 && i < COUNT_OF(&c->views, struct found_view);
	     i++)
		r = lease_view(c, &ARRAY_OF(&c->views, struct found_view)[i]);
	return r;
}

/* --- everything in the index --------------------------------------------- */

struct odd {
	struct check *c;
	enum table t;
};

static bool key_is_odd(enum table t, size_t len)
{
	if (t == TABLE_VIEWS)
		return len != VIEW_KEY_LEN;
	if (t == TABLE_NODES)
		return len != NODE_KEY_LEN;
	if (t == TABLE_LISTS)
		return len != UNIT_KEY_LIST;
	if (t == TABLE_UNITS)
		return len != UNIT_KEY_ALL;
	return len <= NODE_KEY_LEN || len > NAME_KEY_MAX;
}

static int check_key(struct txn *txn, struct span key, struct span value,
		     void *arg)
{
	const struct odd *odd = arg;

	(void)value;
	if (!key_is_odd(odd->t, key.len))
		return 0;
	check_problem(odd->c, REMEDY_REPAIR, "a damaged key");
	return check_repairs(odd->c) ? txn_del(txn, odd->t, key) : 0;
}

/* Keys that do not even have the length of a key. */
static int check_keys(struct check *c, struct txn *txn)
{
	static const enum table tables[] = { TABLE_VIEWS, TABLE_NODES,
					     TABLE_NAMES, TABLE_LISTS,
					     TABLE_UNITS };
	struct odd odd = { .c = c };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(tables); i++) {
		odd.t = tables[i];
		r = txn_foreach(txn, tables[i], (struct span){ 0 }, check_key,
				&odd);
	}
	return r;
}

static int take_first_view(struct txn *txn, struct span key, struct span value,
			   void *arg)
{
	uint32_t id;

	(void)txn;
	(void)value;
	if (!key_view(key, &id))
		return 0;
	if (id < *(uint32_t *)arg)
		*(uint32_t *)arg = id;
	return 1;
}

/* The first view from @from that has rows in any table; UINT32_MAX: none. */
static int next_view(struct txn *txn, uint32_t from, uint32_t *ret_id)
{
	static const enum table tables[] = { TABLE_VIEWS, TABLE_NODES,
					     TABLE_NAMES };
	struct key key;
	int r;

	*ret_id = UINT32_MAX;
	view_key(&key, from);
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		r = txn_foreach_from(txn, tables[i], (struct span){ 0 },
				     span_of_key(&key), take_first_view,
				     ret_id);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The counter of ids must be beyond every view that there is. */
static int check_next_id(struct check *c, struct txn *txn, uint32_t last)
{
	uint32_t next = 1;
	int r;

	r = meta_get_u32(txn, META_NEXT_VIEW, &next);
	if ((r == 0 || (r == -ENOENT && !last)) && next > last)
		return 0;
	if (r < 0 && r != -ENOENT && r != -EBADMSG)
		return r;
	check_problem(c, REMEDY_REPAIR, "the number of the next view is wrong");
	return check_repairs(c) ? meta_put_u32(txn, META_NEXT_VIEW, last + 1)
				: 0;
}

static int check_views(struct check *c, struct txn *txn)
{
	uint32_t id, last = 0;
	int r;

	for (;;) {
		r = next_view(txn, last + 1, &id);
		if (r < 0 || id == UINT32_MAX)
			break;
		r = check_view(c, txn, id);
		if (r < 0)
			return r;
		last = id;
	}
	return r < 0 ? r : check_next_id(c, txn, last);
}

struct rows {
	struct check *c;
	struct check_report before; /* what check_files() found */
	size_t said;
};

static int do_check_rows(struct txn *txn, void *arg)
{
	struct rows *rows = arg;
	struct check *c = rows->c;
	int r;

	c->rep = rows->before;
	c->said.len = rows->said;
	r = check_keys(c, txn);
	if (r == 0)
		r = check_collect_refs(c, txn);
	if (r == 0)
		r = check_blobs(c, txn);
	if (r == 0)
		r = check_units(c, txn);
	if (r == 0)
		r = check_views(c, txn);
	if (r == 0 && check_repairs(c))
		r = check_collect_refs(c, txn);
	if (r == 0 && check_repairs(c))
		r = check_settle_blobs(c, txn);
	return r;
}

int check_rows(struct check *c)
{
	struct rows rows = { c, c->rep, c->said.len };
	struct index *idx = store_index(c->st);

	return check_repairs(c) ? index_update(idx, do_check_rows, &rows)
				: index_view(idx, do_check_rows, &rows);
}

void check_release(struct check *c)
{
	struct found_view *v = ARRAY_OF(&c->views, struct found_view);

	for (size_t i = 0; i < COUNT_OF(&c->views, struct found_view); i++)
		v[i].lease = lease_free(v[i].lease);
	buf_release(&c->said);
	buf_release(&c->views);
	buf_release(&c->files);
	buf_release(&c->refs);
	buf_release(&c->lost);
	buf_release(&c->units);
}

int store_check(struct store *st, unsigned flags,
		void (*say)(const char *problem, void *arg), void *arg,
		struct check_report *ret_report)
{
	struct check c = {
		.st = st,
		.flags = flags,
		.say = say,
		.arg = arg,
		.now = now_sec(),
	};
	int r;

	r = index_check_pages(store_index(st));
	if (r == 0)
		r = check_list_views(&c);
	if (r == 0)
		r = check_files(&c);
	if (r == 0)
		r = check_rows(&c);
	if (r == 0) {
		c.rep.views = COUNT_OF(&c.views, struct found_view);
		*ret_report = c.rep;
	}
	/* What was found before an error is worth telling, too. */
	check_tell(&c);
	check_release(&c);
	return r;
}
