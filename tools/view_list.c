/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gathers what is known about views.
 */
#include "config.h"

#include "tools/view_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fs/session.h"
#include "store/base/macros.h"
#include "store/store.h"
#include "tools/common.h"
#include "tools/paths.h"

static int add_item(const struct view_rec *rec, void *arg)
{
	struct view_list *list = arg;

	if (list->len == list->cap) {
		size_t cap = list->cap ? list->cap * 2 : 16;
		struct view_item *items;

		items = reallocarray(list->items, cap, sizeof(*items));
		if (!items)
			return -ENOMEM;
		list->items = items;
		list->cap = cap;
	}
	list->items[list->len++] = (struct view_item){ .rec = *rec };
	return 0;
}

static int fill_item(struct store *st, struct view_item *item)
{
	struct stat sb;
	int r;

	/* Of one that is being dropped some rows are gone: it counts nothing. */
	r = item->rec.flags & VIEW_DROPPED
		    ? 0
		    : views_usage(st, item->rec.id, &item->usage);
	if (r < 0)
		return say_error(r, "cannot add up view %u", item->rec.id);
	r = lease_peek(st, item->rec.id, &item->held, &item->page);
	if (r < 0 && r != -ENOENT)
		return say_error(r, "cannot read the lease of view %u",
				 item->rec.id);
	item->has_page = r == 0 && item->page.magic == LEASE_MAGIC;
	item->held = r == 0 && item->held;
	/* Any other error than these leaves it open whether it is there. */
	item->workspace_gone = !(item->rec.flags & VIEW_HOST) &&
			       stat(item->rec.workspace, &sb) < 0 &&
			       (errno == ENOENT || errno == ENOTDIR);
	return 0;
}

static int fill_all(struct store *st, struct view_list *list)
{
	for (size_t i = 0; i < list->len; i++) {
		int r = fill_item(st, &list->items[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

static int finish(struct store *st, int r, struct view_list *list,
		  struct view_list *ret_list)
{
	if (r >= 0)
		r = fill_all(st, list);
	if (r < 0) {
		view_list_release(list);
		return r;
	}
	*ret_list = *list;
	return 0;
}

int view_list_load(struct store *st, struct view_list *ret_list)
{
	struct view_list list = { 0 };
	int r = views_foreach(st, add_item, &list);

	if (r < 0)
		(void)say_error(r, "cannot list the views of '%s'",
				store_path(st));
	return finish(st, r, &list, ret_list);
}

int view_list_load_one(struct store *st, const char *what,
		       struct view_list *ret_list)
{
	struct view_list list = { 0 };
	struct view_rec rec;
	int r = view_find_or_say(st, what, &rec);

	if (r < 0)
		return r;
	r = add_item(&rec, &list);
	return finish(st, r, &list, ret_list);
}

void view_list_release(struct view_list *list)
{
	free(list->items);
	*list = (struct view_list){ 0 };
}

/* The id of the view that is mounted at the path, as text. */
static int id_of_mount(struct store *st, const char *path, char *ret_id,
		       size_t size)
{
	struct mount_info info;
	int r = mount_find(path, &info);

	if (r < 0)
		return r;
	if (info.view == 0 || !path_same(info.store, store_path(st)))
		r = -ENOENT;
	else
		(void)snprintf(ret_id, size, "%u", info.view);
	mount_info_release(&info);
	return r;
}

int view_find_or_say(struct store *st, const char *what,
		     struct view_rec *ret_rec)
{
	_cleanup_free_ char *path = NULL;
	char id[16];
	int r = views_resolve(st, what, ret_rec);

	if (r == -ENOENT && path_resolve(what, &path) == 0) {
		r = views_resolve(st, path, ret_rec);
		if (r == -ENOENT && id_of_mount(st, path, id, sizeof(id)) == 0)
			r = views_resolve(st, id, ret_rec);
	}
	if (r == -ENOENT)
		say("no view '%s' in the store '%s'; 'targetfs views' lists "
		    "them",
		    what, store_path(st));
	else if (r < 0)
		(void)say_error(r, "cannot look up the view '%s'", what);
	return r;
}
