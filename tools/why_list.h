/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the last build in a view missed, read from the view's file
 * (fs/why_file.h): one item for each unit.
 */
#ifndef TOOLS_WHY_LIST_H
#define TOOLS_WHY_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/why_file.h"

struct store;

/* Strings point into the list's data. */
struct why_item {
	struct why_unit unit;
	bool missed, compiled;
	struct why_miss miss; /* if missed */
	/* WHY_SCOPE: the first field that differs, where that can be told;
	 * owned */
	char *field, *then, *now;
	size_t order; /* in the file */
};

struct why_list {
	void *data;
	struct why_build build;
	struct why_item *items; /* by package, kind and profile */
	size_t len, cap;
	bool complete; /* there was no more */
};

/* -ENOENT: no build was seen in this view, unsaid. Says all else that goes
 * wrong. */
int why_list_load(struct store *st, uint32_t view, struct why_list *ret_list);
void why_list_release(struct why_list *list);

/*
 * Finds the field of the scope by which a build in another view differed, if
 * that view's last build is still the one; -ENOENT: it is not.
 */
int why_scope_find(struct store *st, const struct why_build *own,
		   struct why_item *item);

#endif
