/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of two scopes differs. A unit knows the digest of its scope only; its
 * fields are in the file of the view whose last build had that scope.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/macros.h"
#include "store/views.h"
#include "tools/why_list.h"

struct search {
	struct store *st;
	const struct why_build *own;
	struct why_item *item;
};

/* One field; scope_describe() says how they are written. */
struct field {
	struct span_str name, value;
	bool has;
};

static bool next_field(struct reader *r, struct field *f)
{
	*f = (struct field){ 0 };
	if (r->left == 0)
		return false;
	f->name.p = take_str16(r, &f->name.len);
	f->has = take_u8(r);
	if (f->has)
		f->value.p = take_str16(r, &f->value.len);
	return !r->bad;
}

static bool equal(struct span_str a, struct span_str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static struct reader fields_of(const struct why_build *b)
{
	struct reader r = reader_of(b->fields.p, b->fields.len);

	(void)take_u8(&r); /* version */
	return r;
}

static int keep(struct why_item *it, const struct field *then,
		const struct field *now)
{
	struct span_str name = now->name.len ? now->name : then->name;

	it->field = strndup(name.p, name.len);
	if (then->has)
		it->then = strndup(then->value.p, then->value.len);
	if (now->has)
		it->now = strndup(now->value.p, now->value.len);
	return it->field ? 0 : -ENOMEM;
}

/* Fields come in one order; a program that only one has shifts the rest, so
 * the first that differs is the one to name. */
static int diff(const struct search *s, const struct why_build *other)
{
	struct reader a = fields_of(other), b = fields_of(s->own);
	struct field then, now;
	bool one, two;

	for (;;) {
		one = next_field(&a, &then);
		two = next_field(&b, &now);
		if (!one && !two)
			return -ENOENT;
		if (!equal(then.name, now.name) || then.has != now.has ||
		    !equal(then.value, now.value))
			return keep(s->item, &then, &now);
	}
}

static bool has_scope(const struct why_build *b, const struct digest *scope)
{
	for (int s = 0; s < SCOPE_COUNT; s++)
		if (digest_equal(&b->scope[s], scope))
			return true;
	return false;
}

/* 1: found. */
static int look_at_view(const struct view_rec *view, void *arg)
{
	const struct search *s = arg;
	_cleanup_free_ void *data = NULL;
	struct why_rec rec;
	struct reader r;
	size_t len = 0;

	if (why_file_read(s->st, view->id, &data, &len) < 0)
		return 0;
	r = reader_of(data, len);
	if (why_rec_next(&r, &rec) <= 0 || rec.what != WHY_BUILD ||
	    !has_scope(&rec.build, &s->item->miss.scope))
		return 0;
	return diff(s, &rec.build) == 0;
}

int why_scope_find(struct store *st, const struct why_build *own,
		   struct why_item *item)
{
	struct search s = { st, own, item };
	int r = views_foreach(st, look_at_view, &s);

	return r > 0 ? 0 : MIN(r, -ENOENT);
}
