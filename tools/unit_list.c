/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gathers units of a store.
 */
#include "config.h"

#include "tools/unit_list.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/cargo/layout.h"
#include "fs/held.h"
#include "fs/unit_kind.h"
#include "fs/units.h"
#include "store/base/macros.h"
#include "store/store.h"
#include "tools/common.h"
#include "tools/view_list.h"

struct loading {
	struct unit_list_items list;
	char *const *patterns;
	size_t count;
	const struct held *held; /* NULL: whoever holds it */
};

static void item_release(struct unit_item *u)
{
	free(u->package);
	free(u->kind);
	free(u->profile);
	free(u->writer);
	free(u->origin);
}

static void count_inputs(struct unit_item *u, const struct unit_object *obj)
{
	for (size_t i = 0; i < obj->input_count; i++) {
		unsigned kind = obj->inputs[i].kind;

		u->sources += kind == UNIT_SOURCE || kind == UNIT_TREE;
		u->variables += kind == UNIT_ENV;
		u->deps += kind == UNIT_DEP;
	}
}

static int item_fill(struct unit_item *u, const struct unit_key *key,
		     const struct unit_object *obj)
{
	struct span_str kind = unit_kind(obj);

	*u = (struct unit_item){
		.key = *key,
		.package = strndup(obj->package.p, obj->package.len),
		.kind = strndup(kind.p, kind.len),
		.profile = strndup(obj->profile.p, obj->profile.len),
		.writer = strndup(obj->writer.p, obj->writer.len),
		.origin = strndup(obj->origin_workspace.p,
				  obj->origin_workspace.len),
		.created = obj->created,
		.compile_msec = obj->compile_msec,
		.flags = obj->flags,
	};
	if (!u->package || !u->kind || !u->profile || !u->writer ||
	    !u->origin) {
		item_release(u);
		return -ENOMEM;
	}
	for (size_t i = 0; i < obj->file_count; i++) {
		u->files += obj->files[i].type == UNIT_REG;
		u->bytes += obj->files[i].type == UNIT_REG ? obj->files[i].size
							   : 0;
	}
	count_inputs(u, obj);
	return 0;
}

void unit_id(const char *package, uint64_t hash, char ret_id[UNIT_ID_MAX])
{
	char hex[UNIT_HASH_LEN + 1];

	unit_hash_hex(hash, hex);
	(void)snprintf(ret_id, UNIT_ID_MAX, "%.*s-%s", UNIT_TEXT_MAX, package,
		       hex);
}

bool unit_matches(const char *package, uint64_t hash, char *const *patterns,
		  size_t count)
{
	char id[UNIT_ID_MAX];

	unit_id(package, hash, id);
	for (size_t i = 0; i < count; i++) {
		const char *p = patterns[i];

		if (fnmatch(p, package, 0) == 0 || fnmatch(p, id, 0) == 0 ||
		    fnmatch(p, id + strlen(id) - UNIT_HASH_LEN, 0) == 0)
			return true;
	}
	return count == 0;
}

static int make_room(struct unit_list_items *list)
{
	size_t cap = list->cap ? list->cap * 2 : 64;
	struct unit_item *items;

	if (list->len < list->cap)
		return 0;
	items = reallocarray(list->items, cap, sizeof(*items));
	if (!items)
		return -ENOMEM;
	list->items = items;
	list->cap = cap;
	return 0;
}

static int on_unit(const struct unit_key *key, const struct unit_object *obj,
		   void *arg)
{
	struct loading *ld = arg;
	struct unit_item u;
	int r;

	/* Without files it only leads to others; see fs/unhashed.h. */
	if (obj->file_count == 0 || (ld->held && !held_has(ld->held, key)))
		return 0;
	r = make_room(&ld->list);
	if (r == 0)
		r = item_fill(&u, key, obj);
	if (r < 0)
		return r;
	if (unit_matches(u.package, key->hash, ld->patterns, ld->count))
		ld->list.items[ld->list.len++] = u;
	else
		item_release(&u);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct unit_item *x = a, *y = b;
	int c = strcmp(x->package, y->package);

	if (c == 0)
		c = strcmp(x->kind, y->kind);
	if (c == 0)
		c = strcmp(x->profile, y->profile);
	if (c == 0)
		c = (x->created > y->created) - (x->created < y->created);
	return c ? c
		 : (x->key.hash > y->key.hash) - (x->key.hash < y->key.hash);
}

static int load(struct store *st, struct loading *ld,
		struct unit_list_items *ret_list)
{
	int r = unit_foreach(st, 0, on_unit, ld);

	if (r < 0) {
		unit_items_release(&ld->list);
		return say_error(r, "cannot list the units of '%s'",
				 store_path(st));
	}
	if (ld->list.len > 0)
		qsort(ld->list.items, ld->list.len, sizeof(*ld->list.items),
		      by_name);
	*ret_list = ld->list;
	return 0;
}

int unit_items_load(struct store *st, const char *view, char *const *patterns,
		    size_t count, struct unit_list_items *ret_list)
{
	struct loading ld = { .patterns = patterns, .count = count };
	struct held held = { 0 };
	struct view_rec rec;
	int r = 0;

	if (view) {
		r = view_find_or_say(st, view, &rec);
		if (r < 0)
			return r;
		r = held_load(st, rec.id, &held);
		if (r < 0)
			return say_error(r, "cannot read the view '%s'",
					 rec.name);
		ld.held = &held;
	}
	r = load(st, &ld, ret_list);
	held_release(&held);
	return r;
}

void unit_items_release(struct unit_list_items *list)
{
	for (size_t i = 0; i < list->len; i++)
		item_release(&list->items[i]);
	free(list->items);
	*list = (struct unit_list_items){ 0 };
}
