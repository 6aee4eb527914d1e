/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `targetfs stats` for people: the store, its views, then what was asked of
 * their daemons.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>

#include "fs/counters.h"
#include "store/base/macros.h"
#include "tools/features.h"
#include "tools/stats.h"
#include "tools/table.h"

static void print_blobs(const struct blob_sums *b)
{
	char count[HUMAN_MAX], bytes[HUMAN_MAX];

	human_count(b->count, count);
	human_bytes(b->bytes, bytes);
	(void)printf("Blobs    %s, %s", count, bytes);
	human_count(b->inline_count, count);
	human_bytes(b->inline_bytes, bytes);
	(void)printf("; of these %s (%s) in the index", count, bytes);
	human_count(b->shared_count, count);
	(void)printf(", %s shared", count);
	if (b->dead_count > 0) {
		human_count(b->dead_count, count);
		human_bytes(b->dead_bytes, bytes);
		(void)printf(", %s (%s) unused", count, bytes);
	}
	(void)printf("\n");
	if (b->damaged > 0)
		(void)printf("         %" PRIu64
			     " damaged: run 'targetfs fsck'\n",
			     b->damaged);
}

static void print_units(const struct stats *s)
{
	char count[HUMAN_MAX], bytes[HUMAN_MAX];

	human_count(s->index.rows[TABLE_UNITS], count);
	(void)printf("Units    %s", count);
	human_count(s->blobs.unit_count, count);
	human_bytes(s->blobs.unit_bytes, bytes);
	(void)printf("; %s blobs (%s) are in no view\n", count, bytes);
}

static void print_store(const struct stats *s)
{
	char used[HUMAN_MAX], map[HUMAN_MAX];

	(void)printf("Store    %s\n", s->store);
	human_bytes(s->index.used, used);
	human_bytes(s->index.map_size, map);
	(void)printf("Index    %s used of %s mapped; readers: %u\n", used, map,
		     s->index.readers);
	print_blobs(&s->blobs);
	if (s->index.rows[TABLE_UNITS] > 0)
		print_units(s);
}

static void usage_row(struct text_table *t, const char *name,
		      const struct view_usage *u)
{
	table_row(t);
	table_cell(t, name);
	table_cell_count(t, u->files);
	table_cell_bytes(t, u->logical);
	table_cell_bytes(t, u->staging);
	table_cell_bytes(t, u->blob);
	table_cell_bytes(t, u->shared);
}

static int print_views(const struct stats *s)
{
	struct text_table *t = table_new(0);
	int r;

	table_column(t, "VIEW", 0);
	table_column(t, "FILES", TABLE_RIGHT);
	table_column(t, "LOGICAL", TABLE_RIGHT);
	table_column(t, "PRIVATE", TABLE_RIGHT);
	table_column(t, "BLOBS", TABLE_RIGHT);
	table_column(t, "SHARED", TABLE_RIGHT);
	for (size_t i = 0; i < s->views.len; i++)
		usage_row(t, s->views.items[i].rec.name,
			  &s->views.items[i].usage);
	if (s->views.len > 1)
		usage_row(t, "all", &s->sum);
	r = table_print(t, stdout);
	t = table_free(t);
	return r;
}

static void print_summary(const struct stats *s)
{
	uint64_t stored = stats_stored(s);
	char logical[HUMAN_MAX], text[HUMAN_MAX];

	human_bytes(s->sum.logical, logical);
	human_bytes(stored, text);
	(void)printf("\nStored   %s for %s of files", text, logical);
	if (s->sum.logical > stored)
		(void)printf(": %.0f %% saved",
			     100.0 * (double)(s->sum.logical - stored) /
				     (double)s->sum.logical);
	(void)printf("\n");
}

/* One table of two columns; nothing when all are zero. */
static int print_counters(const uint64_t *counters, bool requests)
{
	struct text_table *t = table_new(TABLE_PLAIN);
	unsigned rows = 0;
	int r = 0;

	table_column(t, "WHAT", 0);
	table_column(t, "COUNT", TABLE_RIGHT);
	for (enum counter c = 0; c < COUNTER_COUNT; c++) {
		if (counter_is_request(c) != requests || counter_is_winkin(c) ||
		    counters[c] == 0)
			continue;
		table_row(t);
		table_cell(t, counter_name(c));
		if (counter_is_bytes(c))
			table_cell_bytes(t, counters[c]);
		else
			table_cell_count(t, counters[c]);
		rows++;
	}
	if (rows > 0) {
		(void)printf("\n%s\n", requests ? "Requests served"
						: "Done by the daemons");
		r = table_print(t, stdout);
	}
	t = table_free(t);
	return r;
}

int stats_print_text(const struct stats *s)
{
	int r;

	print_store(s);
	if (s->views.len == 0) {
		(void)printf("Views    none\n");
		return 0;
	}
	(void)printf("\n");
	r = print_views(s);
	if (r < 0)
		return r;
	print_summary(s);
	r = stats_winkin_text(s);
	if (r < 0)
		return r;
	r = print_counters(s->counters, true);
	if (r < 0)
		return r;
	return print_counters(s->counters, false);
}
