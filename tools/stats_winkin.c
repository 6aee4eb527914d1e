/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What wink-in has done, for `targetfs stats`: in each view's present or last
 * mount, and in all.
 */
#include "config.h"

#include <stdio.h>

#include "fs/counters.h"
#include "store/base/macros.h"
#include "tools/features.h"
#include "tools/json.h"
#include "tools/stats.h"
#include "tools/table.h"

static const struct {
	enum counter counter;
	const char *key;  /* in JSON, and as a label */
	const char *text; /* for people */
} reasons[] = {
	{ COUNTER_MISS_UNKNOWN, "unknown", "not in the store" },
	{ COUNTER_MISS_SCOPE, "scope", "of another scope" },
	{ COUNTER_MISS_SOURCE, "source", "by a source" },
	{ COUNTER_MISS_ENV, "variable", "by a variable" },
	{ COUNTER_MISS_DEP, "dependency", "by a dependency" },
	{ COUNTER_MISS_GUARD, "place", "by the guard" },
	{ COUNTER_MISS_ERROR, "error", "by an error" },
};

const char *stats_miss_reason(enum counter c)
{
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		if (reasons[i].counter == c)
			return reasons[i].key;
	return NULL;
}

void stats_winkin_json(struct json *j, const uint64_t *counters)
{
	json_object(j, "winkin");
	json_u64(j, "published", counters[COUNTER_PUBLISHED]);
	json_u64(j, "winked_in", counters[COUNTER_WINKED_IN]);
	json_u64(j, "missed", counters[COUNTER_WINK_MISSES]);
	json_object(j, "missed_by");
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		json_u64(j, reasons[i].key, counters[reasons[i].counter]);
	json_end(j);
	json_u64(j, "bytes_shared", counters[COUNTER_WINKED_BYTES]);
	json_u64(j, "compile_msec_saved", counters[COUNTER_SAVED_MSEC]);
	json_end(j);
}

static bool is_any(const uint64_t *counters)
{
	for (enum counter c = 0; c < COUNTER_COUNT; c++)
		if (counter_is_winkin(c) && counters[c] > 0)
			return true;
	return false;
}

static void add_row(struct text_table *t, const char *name,
		    const uint64_t *counters)
{
	char saved[HUMAN_MAX];

	table_row(t);
	table_cell(t, name);
	table_cell_count(t, counters[COUNTER_PUBLISHED]);
	table_cell_count(t, counters[COUNTER_WINKED_IN]);
	table_cell_count(t, counters[COUNTER_WINK_MISSES]);
	table_cell_bytes(t, counters[COUNTER_WINKED_BYTES]);
	human_msec(counters[COUNTER_SAVED_MSEC], saved);
	table_cell(t, saved);
}

static void print_reasons(const uint64_t *counters)
{
	const char *before = "Missed   ";
	char count[HUMAN_MAX];

	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		uint64_t n = counters[reasons[i].counter];

		if (n == 0)
			continue;
		human_count(n, count);
		(void)printf("%s%s %s", before, count, reasons[i].text);
		before = ", ";
	}
	if (before[0] == ',')
		(void)printf("; 'targetfs why' tells more\n");
}

int stats_winkin_text(const struct stats *s)
{
	struct text_table *t;
	unsigned rows = 0;
	int r;

	if (!is_any(s->counters))
		return 0;
	(void)printf("\nWink-in\n");
	t = table_new(0);
	table_column(t, "VIEW", 0);
	table_column(t, "PUBLISHED", TABLE_RIGHT);
	table_column(t, "WINKED IN", TABLE_RIGHT);
	table_column(t, "MISSED", TABLE_RIGHT);
	table_column(t, "BYTES", TABLE_RIGHT);
	table_column(t, "SAVED", TABLE_RIGHT);
	for (size_t i = 0; i < s->views.len; i++) {
		const struct view_item *v = &s->views.items[i];

		if (!v->has_page || !is_any(v->page.counters))
			continue;
		add_row(t, v->rec.name, v->page.counters);
		rows++;
	}
	if (rows > 1)
		add_row(t, "all", s->counters);
	r = table_print(t, stdout);
	t = table_free(t);
	print_reasons(s->counters);
	return r;
}
