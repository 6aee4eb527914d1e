/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of views: find, make, rename, mark. What is in a view is in
 * views_load.c and views_commit.c.
 *
 * Invariants: an id is never used twice (the counter only grows, and is
 * written in the transaction that uses it); of the views that are not being
 * dropped, no two have one workspace, no two of host mode have one name. All
 * changes are single durable transactions. Any thread.
 */
#include "config.h"

#include "store/views.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "store/base/broken.h"
#include "store/base/macros.h"
#include "store/index.h"
#include "store/keys.h"
#include "store/refs.h"
#include "store/schema.h"
#include "store/store.h"
#include "store/view_row.h"

enum match {
	MATCH_WORKSPACE = 1 << 0,
	MATCH_HOST_NAME = 1 << 1,
	MATCH_NAME = 1 << 2, /* of either kind */
};

struct search {
	unsigned match;
	const char *what;
	struct view_rec rec; /* the last one seen */
	struct view_rec *ret_rec;
	unsigned found;
};

static bool view_matches(const struct view_rec *rec, unsigned match,
			 const char *what)
{
	bool host = rec->flags & VIEW_HOST;

	if (rec->flags & VIEW_DROPPED)
		return false;
	if (match & MATCH_WORKSPACE && !host && !strcmp(rec->workspace, what))
		return true;
	if (match & MATCH_HOST_NAME && host && !strcmp(rec->name, what))
		return true;
	return match & MATCH_NAME && !strcmp(rec->name, what);
}

static int match_row(struct txn *txn, struct span key, struct span value,
		     void *arg)
{
	struct search *s = arg;

	(void)txn;
	/* A damaged row hides its own view only. */
	if (view_row_decode(key, value, &s->rec) < 0 ||
	    !view_matches(&s->rec, s->match, s->what))
		return 0;
	s->found++;
	*s->ret_rec = s->rec;
	return 0;
}

/* Views are few: they are searched, not indexed. -ENOTUNIQ: more than one. */
static int search(struct txn *txn, unsigned match, const char *what,
		  struct view_rec *ret_rec)
{
	_cleanup_free_ struct search *s = malloc(sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->match = match;
	s->what = what;
	s->ret_rec = ret_rec;
	s->found = 0;
	r = txn_foreach(txn, TABLE_VIEWS, (struct span){ 0 }, match_row, s);
	if (r < 0)
		return r;
	if (!s->found)
		return -ENOENT;
	return s->found > 1 ? -ENOTUNIQ : 0;
}

static unsigned match_of(unsigned flags)
{
	return flags & VIEW_HOST ? MATCH_HOST_NAME : MATCH_WORKSPACE;
}

struct request {
	struct store *st;
	unsigned flags;
	const char *key;
	uint32_t id, uid, gid, mode;
	struct view_rec *ret_rec;
};

static int do_find(struct txn *txn, void *arg)
{
	struct request *rq = arg;

	return search(txn, match_of(rq->flags), rq->key, rq->ret_rec);
}

int views_find(struct store *st, unsigned flags, const char *key,
	       struct view_rec *ret_rec)
{
	struct request rq = { .flags = flags, .key = key, .ret_rec = ret_rec };

	return index_view(store_index(st), do_find, &rq);
}

static int check_name(unsigned flags, const char *name)
{
	size_t len = strlen(name);

	if (len > VIEW_NAME_MAX)
		return -ENAMETOOLONG;
	if (flags & VIEW_HOST && name_is_shelf(name, len))
		return -EINVAL;
	return view_name_is_valid(flags, name, len) ? 0 : -EINVAL;
}

static int check_key(unsigned flags, const char *key)
{
	if (flags & VIEW_HOST)
		return check_name(flags, key);
	if (strlen(key) >= PATH_MAX)
		return -ENAMETOOLONG;
	return key[0] == '/' ? 0 : -EINVAL;
}

/* The last component; "root" for what has none. */
static void base_name(const char *path, char ret_name[VIEW_NAME_MAX + 1])
{
	size_t end = strlen(path), start;

	while (end && path[end - 1] == '/')
		end--;
	for (start = end; start && path[start - 1] != '/'; start--)
		;
	(void)snprintf(ret_name, VIEW_NAME_MAX + 1, "%.*s",
		       (int)MIN(end - start, VIEW_NAME_MAX), path + start);
	if (check_name(0, ret_name) < 0)
		(void)snprintf(ret_name, VIEW_NAME_MAX + 1, "root");
}

/* The label of a workspace's view: no other view of either kind has it. */
static int unique_name(struct txn *txn, const char *path,
		       char ret_name[VIEW_NAME_MAX + 1])
{
	_cleanup_free_ struct view_rec *other = malloc(sizeof(*other));
	char base[VIEW_NAME_MAX + 1], suffix[16];
	int r;

	if (!other)
		return -ENOMEM;
	base_name(path, base);
	(void)snprintf(ret_name, VIEW_NAME_MAX + 1, "%s", base);
	for (unsigned n = 2;; n++) {
		r = search(txn, MATCH_NAME, ret_name, other);
		if (r == -ENOENT)
			return 0;
		if (r < 0 && r != -ENOTUNIQ)
			return r;
		(void)snprintf(suffix, sizeof(suffix), "-%u", n);
		(void)snprintf(ret_name, VIEW_NAME_MAX + 1, "%.*s%s",
			       (int)(VIEW_NAME_MAX - strlen(suffix)), base,
			       suffix);
	}
}

static int next_id(struct txn *txn, uint32_t *ret_id)
{
	uint32_t id = 1;
	int r;

	r = meta_get_u32(txn, META_NEXT_VIEW, &id);
	if (r < 0 && r != -ENOENT)
		return r;
	if (!id || id == UINT32_MAX)
		return -ENOSPC;
	*ret_id = id;
	if (broken("view-id"))
		return 0;
	return meta_put_u32(txn, META_NEXT_VIEW, id + 1);
}

static int put_root(struct txn *txn, const struct request *rq, uint32_t id)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	struct node_rec root = {
		.mode = S_IFDIR | (rq->mode & 07777),
		.uid = rq->uid,
		.gid = rq->gid,
		.nlink = 2,
	};
	struct key key;
	int r;

	(void)clock_gettime(CLOCK_REALTIME, &root.ctime);
	root.atime = root.mtime = root.ctime;
	r = node_rec_encode(&root, &b);
	if (r < 0)
		return r;
	node_key(&key, id, VIEW_ROOT_INO);
	return txn_put(txn, TABLE_NODES, span_of_key(&key),
		       span_of(b.data, b.len));
}

static int do_obtain(struct txn *txn, void *arg)
{
	struct request *rq = arg;
	struct view_rec *rec = rq->ret_rec;
	int r;

	r = search(txn, match_of(rq->flags), rq->key, rec);
	if (r != -ENOENT)
		return r;
	*rec = (struct view_rec){
		.flags = rq->flags & VIEW_HOST,
		.next_ino = VIEW_ROOT_INO + 1,
		.created = now_sec(),
	};
	if (rq->flags & VIEW_HOST) {
		(void)snprintf(rec->name, sizeof(rec->name), "%s", rq->key);
	} else {
		(void)snprintf(rec->workspace, sizeof(rec->workspace), "%s",
			       rq->key);
		r = unique_name(txn, rq->key, rec->name);
		if (r < 0)
			return r;
	}
	r = next_id(txn, &rec->id);
	if (r == 0)
		r = view_row_put(txn, rec);
	if (r == 0)
		r = put_root(txn, rq, rec->id);
	return r;
}

int views_obtain(struct store *st, unsigned flags, const char *key,
		 uint32_t uid, uint32_t gid, uint32_t mode,
		 struct view_rec *ret_rec)
{
	_cleanup_free_ struct view_rec *rec = malloc(sizeof(*rec));
	struct request rq = {
		.flags = flags,
		.key = key,
		.uid = uid,
		.gid = gid,
		.mode = mode,
		.ret_rec = rec,
	};
	int r;

	if (!rec)
		return -ENOMEM;
	r = check_key(flags, key);
	if (r < 0)
		return r;
	/* Nearly always it exists, and a reader waits for nobody. */
	r = index_view(store_index(st), do_find, &rq);
	if (r == -ENOENT)
		r = index_update(store_index(st), do_obtain, &rq);
	if (r == 0)
		*ret_rec = *rec;
	return r;
}

/* Eight lower-case hex digits, as in paths of the store, or decimal. */
static bool parse_id(const char *s, uint32_t *ret_id)
{
	bool hex = strlen(s) == 8 && strspn(s, "0123456789abcdef") == 8;
	char *end;
	unsigned long v;

	if (!hex && (!*s || strspn(s, "0123456789") != strlen(s)))
		return false;
	errno = 0;
	v = strtoul(s, &end, hex ? 16 : 10);
	if (errno || *end || v > UINT32_MAX)
		return false;
	*ret_id = (uint32_t)v;
	return true;
}

static int do_resolve(struct txn *txn, void *arg)
{
	struct request *rq = arg;
	uint32_t id;
	int r;

	if (parse_id(rq->key, &id)) {
		r = view_row_get(txn, id, rq->ret_rec);
		if (r != -ENOENT)
			return r;
	}
	r = search(txn, MATCH_NAME, rq->key, rq->ret_rec);
	if (r != -ENOENT)
		return r;
	return search(txn, MATCH_WORKSPACE, rq->key, rq->ret_rec);
}

int views_resolve(struct store *st, const char *what, struct view_rec *ret_rec)
{
	struct request rq = { .key = what, .ret_rec = ret_rec };

	return index_view(store_index(st), do_resolve, &rq);
}

static int copy_row(struct txn *txn, struct span key, struct span value,
		    void *arg)
{
	struct buf *rows = arg;

	(void)txn;
	if (key.len != VIEW_KEY_LEN || !value.p)
		return 0;
	buf_put(rows, key.p, key.len);
	buf_u32(rows, (uint32_t)value.len);
	buf_put(rows, value.p, value.len);
	return rows->err;
}

static int do_copy_rows(struct txn *txn, void *arg)
{
	buf_reset(arg);
	return txn_foreach(txn, TABLE_VIEWS, (struct span){ 0 }, copy_row, arg);
}

/* The rows are copied first, so that @fn may do anything, change views too. */
int views_foreach(struct store *st,
		  int (*fn)(const struct view_rec *rec, void *arg), void *arg)
{
	_cleanup_free_ struct view_rec *rec = malloc(sizeof(*rec));
	_cleanup_(buf_release) struct buf rows = { 0 };
	struct span key, value;
	struct reader rd;
	int r;

	if (!rec)
		return -ENOMEM;
	r = index_view(store_index(st), do_copy_rows, &rows);
	rd = reader_of(rows.data, rows.len);
	while (r == 0 && rd.left) {
		key.len = VIEW_KEY_LEN;
		key.p = take(&rd, key.len);
		value.len = take_u32(&rd);
		value.p = take(&rd, value.len);
		if (view_row_decode(key, value, rec) == 0)
			r = fn(rec, arg);
	}
	return r;
}

static int do_rename(struct txn *txn, void *arg)
{
	struct request *rq = arg;
	struct view_rec *rec = rq->ret_rec;
	int r;

	r = search(txn, MATCH_HOST_NAME, rq->key, rec);
	if (r == 0 || r == -ENOTUNIQ)
		return rec->id == rq->id ? 0 : -EEXIST;
	if (r != -ENOENT)
		return r;
	r = view_row_get(txn, rq->id, rec);
	if (r < 0)
		return r;
	if (rec->flags & VIEW_DROPPED)
		return -ENOENT;
	if (!(rec->flags & VIEW_HOST))
		return -EINVAL;
	(void)snprintf(rec->name, sizeof(rec->name), "%s", rq->key);
	return view_row_put(txn, rec);
}

static int do_touch(struct txn *txn, void *arg)
{
	struct request *rq = arg;
	int r;

	r = view_row_get(txn, rq->id, rq->ret_rec);
	if (r < 0)
		return r;
	if (rq->ret_rec->flags & VIEW_DROPPED)
		return -ENOENT;
	rq->ret_rec->mounted = now_sec();
	return view_row_put(txn, rq->ret_rec);
}

static int change_row(struct store *st, uint32_t id, const char *key, txn_fn fn)
{
	_cleanup_free_ struct view_rec *rec = malloc(sizeof(*rec));
	struct request rq = { .id = id, .key = key, .ret_rec = rec };

	if (!rec)
		return -ENOMEM;
	return index_update(store_index(st), fn, &rq);
}

int views_rename(struct store *st, uint32_t id, const char *name)
{
	int r = check_name(VIEW_HOST, name);

	return r < 0 ? r : change_row(st, id, name, do_rename);
}

int views_touch(struct store *st, uint32_t id)
{
	return change_row(st, id, NULL, do_touch);
}
