/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The views of a store with all that `views` and `stats` say about them,
 * gathered first, as the index must not be asked again from inside a walk.
 */
#ifndef TOOLS_VIEW_LIST_H
#define TOOLS_VIEW_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "store/lease.h"
#include "store/record.h"
#include "store/views.h"

struct store;

struct view_item {
	struct view_rec rec;
	struct view_usage usage;
	bool has_page;		/* it was mounted once */
	bool held;		/* it is mounted now */
	bool workspace_gone;	/* nothing is at its workspace's path */
	struct lease_page page; /* of the present or the last mount */
};

struct view_list {
	struct view_item *items; /* owned */
	size_t len, cap;
};

/* All views in order of id; says what goes wrong. */
int view_list_load(struct store *st, struct view_list *ret_list);
/* The one view that @what names (see views_resolve()); says so if there is
 * none. */
int view_list_load_one(struct store *st, const char *what,
		       struct view_list *ret_list);
void view_list_release(struct view_list *list);

/*
 * views_resolve(), where @what may also be a path relative to the working
 * directory, or a mount point of the view. Says what is wrong.
 */
int view_find_or_say(struct store *st, const char *what,
		     struct view_rec *ret_rec);

#endif
