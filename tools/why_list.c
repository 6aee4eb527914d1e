/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads what a build missed.
 */
#include "config.h"

#include "tools/why_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/macros.h"
#include "tools/common.h"

static int compare(struct span_str a, struct span_str b)
{
	int c = 0;

	if (MIN(a.len, b.len) > 0)
		c = memcmp(a.p, b.p, MIN(a.len, b.len));
	return c ? c : (a.len > b.len) - (a.len < b.len);
}

static int by_unit(const void *a, const void *b)
{
	const struct why_item *x = a, *y = b;
	int c = (x->unit.hash > y->unit.hash) - (x->unit.hash < y->unit.hash);

	if (c == 0)
		c = compare(x->unit.profile, y->unit.profile);
	return c ? c : (x->order > y->order) - (x->order < y->order);
}

static int by_name(const void *a, const void *b)
{
	const struct why_item *x = a, *y = b;
	int c = compare(x->unit.package, y->unit.package);

	if (c == 0)
		c = compare(x->unit.kind, y->unit.kind);
	if (c == 0)
		c = compare(x->unit.profile, y->unit.profile);
	return c ? c : by_unit(a, b);
}

static int add_item(struct why_list *list, const struct why_rec *rec)
{
	if (list->len == list->cap) {
		size_t cap = list->cap ? list->cap * 2 : 64;
		struct why_item *items;

		items = reallocarray(list->items, cap, sizeof(*items));
		if (!items)
			return -ENOMEM;
		list->items = items;
		list->cap = cap;
	}
	list->items[list->len] = (struct why_item){
		.unit = rec->unit,
		.missed = rec->what == WHY_MISSED,
		.compiled = rec->what == WHY_COMPILED,
		.miss = rec->miss,
		.order = list->len,
	};
	list->len++;
	return 0;
}

/* A unit that was compiled knows its names best, one that was missed why. */
static void merge_into(struct why_item *to, const struct why_item *from)
{
	if (from->missed && !to->missed) {
		to->missed = true;
		to->miss = from->miss;
	}
	if (from->compiled || to->unit.kind.len == 0)
		to->unit = from->unit;
	to->compiled = to->compiled || from->compiled;
}

static void merge(struct why_list *list)
{
	size_t n = 0;

	if (list->len == 0)
		return;
	qsort(list->items, list->len, sizeof(*list->items), by_unit);
	for (size_t i = 1; i < list->len; i++) {
		struct why_item *to = &list->items[n], *it = &list->items[i];

		if (to->unit.hash == it->unit.hash &&
		    compare(to->unit.profile, it->unit.profile) == 0)
			merge_into(to, it);
		else
			list->items[++n] = *it;
	}
	list->len = n + 1;
	qsort(list->items, list->len, sizeof(*list->items), by_name);
}

/* 0, or -EBADMSG from the first record that cannot be read on. */
static int read_records(struct why_list *list, size_t len)
{
	struct reader r = reader_of(list->data, len);
	bool begun = false;
	struct why_rec rec;
	int got = 0, e = 0;

	list->complete = true;
	while (e == 0 && (got = why_rec_next(&r, &rec)) > 0) {
		if (rec.what == WHY_BUILD) {
			list->build = rec.build;
			list->len = 0;
			begun = true;
		} else if (rec.what == WHY_FULL) {
			list->complete = false;
		} else {
			e = add_item(list, &rec);
		}
	}
	if (e < 0)
		return e;
	return begun && got == 0 ? 0 : -EBADMSG;
}

int why_list_load(struct store *st, uint32_t view, struct why_list *ret_list)
{
	struct why_list list = { 0 };
	size_t len = 0;
	int r;

	r = why_file_read(st, view, &list.data, &len);
	if (r == -ENOENT || (r == 0 && len == 0)) {
		why_list_release(&list);
		return -ENOENT;
	}
	if (r == 0)
		r = read_records(&list, len);
	if (r < 0) {
		why_list_release(&list);
		return say_error(r, "cannot read what the last build missed");
	}
	merge(&list);
	for (size_t i = 0; i < list.len; i++)
		if (list.items[i].missed &&
		    list.items[i].miss.reason == WHY_SCOPE)
			(void)why_scope_find(st, &list.build, &list.items[i]);
	*ret_list = list;
	return 0;
}

void why_list_release(struct why_list *list)
{
	for (size_t i = 0; i < list->len; i++) {
		free(list->items[i].field);
		free(list->items[i].then);
		free(list->items[i].now);
	}
	free(list->items);
	free(list->data);
	*list = (struct why_list){ 0 };
}
