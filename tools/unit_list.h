/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The units of a store that `targetfs units` lists and `targetfs drop --unit`
 * removes: one choice for both.
 */
#ifndef TOOLS_UNIT_LIST_H
#define TOOLS_UNIT_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/unit.h"

struct store;

/* "serde-0123456789abcdef" */
#define UNIT_ID_MAX (UNIT_TEXT_MAX + 18)

struct unit_item {
	struct unit_key key;
	/* owned */
	char *package; /* "serde" */
	char *kind;    /* "lib-serde", as cargo names it; "" if unknown */
	char *profile; /* "debug" */
	char *writer;
	char *origin; /* the workspace that built it, or "" */
	uint64_t files, bytes;
	uint64_t sources, variables, deps; /* inputs */
	int64_t created;
	uint32_t compile_msec;
	uint8_t flags; /* enum unit_flag */
};

struct unit_list_items {
	struct unit_item *items;
	size_t len, cap;
};

/*
 * Those that match one of @patterns (all, when @count is 0) and that the view
 * holds (@view NULL: of all), sorted by package, kind, profile and time. A
 * pattern is a shell's, compared with the package, with "package-H" and with H.
 * Says what goes wrong.
 */
int unit_items_load(struct store *st, const char *view, char *const *patterns,
		    size_t count, struct unit_list_items *ret_list);
void unit_items_release(struct unit_list_items *list);

/* package-H */
void unit_id(const char *package, uint64_t hash, char ret_id[UNIT_ID_MAX]);
/* One of the patterns does, or there are none. */
bool unit_matches(const char *package, uint64_t hash, char *const *patterns,
		  size_t count);

#endif
