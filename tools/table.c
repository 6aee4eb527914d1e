/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Aligned columns, by libsmartcols: the one file that knows it.
 */
#include "config.h"

#include "tools/table.h"

#include <errno.h>
#include <inttypes.h>
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct text_table {
	struct libscols_table *tb;  /* one reference */
	struct libscols_line *line; /* owned by tb */
	size_t cell;		    /* the next cell of that line */
	int err;		    /* the first error, negative */
};

struct text_table *table_new(unsigned flags)
{
	struct text_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->tb = scols_new_table();
	if (!t->tb) {
		free(t);
		return NULL;
	}
	t->err = scols_table_set_column_separator(t->tb, "  ");
	if (flags & TABLE_PLAIN)
		(void)scols_table_enable_noheadings(t->tb, 1);
	return t;
}

struct text_table *table_free(struct text_table *t)
{
	if (!t)
		return NULL;
	scols_unref_table(t->tb);
	free(t);
	return NULL;
}

void table_column(struct text_table *t, const char *heading, unsigned flags)
{
	int fl = flags & TABLE_RIGHT ? SCOLS_FL_RIGHT : 0;

	if (t && !scols_table_new_column(t->tb, heading, 0, fl) && !t->err)
		t->err = -ENOMEM;
}

void table_row(struct text_table *t)
{
	if (!t)
		return;
	t->line = scols_table_new_line(t->tb, NULL);
	t->cell = 0;
	if (!t->line && !t->err)
		t->err = -ENOMEM;
}

void table_cell(struct text_table *t, const char *text)
{
	int r;

	if (!t || !t->line)
		return;
	r = scols_line_set_data(t->line, t->cell++, text);
	if (r < 0 && !t->err)
		t->err = r;
}

void table_cell_bytes(struct text_table *t, uint64_t bytes)
{
	char text[HUMAN_MAX];

	human_bytes(bytes, text);
	table_cell(t, text);
}

void table_cell_count(struct text_table *t, uint64_t count)
{
	char text[HUMAN_MAX];

	human_count(count, text);
	table_cell(t, text);
}

int table_print(struct text_table *t, FILE *f)
{
	int r;

	if (!t)
		return -ENOMEM;
	if (t->err)
		return t->err;
	(void)scols_table_set_stream(t->tb, f);
	r = scols_print_table(t->tb);
	return r > 0 ? -r : r;
}

void human_bytes(uint64_t bytes, char ret_text[HUMAN_MAX])
{
	static const char *const units[] = { "KiB", "MiB", "GiB",
					     "TiB", "PiB", "EiB" };
	double v = (double)bytes / 1024;
	size_t i = 0;

	if (bytes < 1024) {
		(void)snprintf(ret_text, HUMAN_MAX, "%" PRIu64 " B", bytes);
		return;
	}
	/* What would be printed as 1024.0 belongs to the next unit. */
	while (v >= 1023.95 && i + 1 < sizeof(units) / sizeof(units[0])) {
		v /= 1024;
		i++;
	}
	(void)snprintf(ret_text, HUMAN_MAX, "%.1f %s", v, units[i]);
}

void human_count(uint64_t count, char ret_text[HUMAN_MAX])
{
	char digits[HUMAN_MAX];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, count);
	char *out = ret_text;

	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			*out++ = ',';
		*out++ = digits[i];
	}
	*out = '\0';
}

void human_files(uint64_t count, char ret_text[HUMAN_MAX])
{
	human_count(count, ret_text);
	(void)strcat(ret_text, count == 1 ? " file" : " files");
}

void human_msec(uint64_t msec, char ret_text[HUMAN_MAX])
{
	uint64_t sec = (msec + 500) / 1000;

	/* What would be printed as 60.0 belongs to the next unit. */
	if (msec < 59950)
		(void)snprintf(ret_text, HUMAN_MAX, "%.1f s",
			       (double)msec / 1000);
	else if (sec < 3600)
		(void)snprintf(ret_text, HUMAN_MAX,
			       "%" PRIu64 " min %" PRIu64 " s", sec / 60,
			       sec % 60);
	else
		(void)snprintf(ret_text, HUMAN_MAX,
			       "%" PRIu64 " h %" PRIu64 " min", sec / 3600,
			       sec / 60 % 60);
}

void human_time(int64_t sec, char ret_text[HUMAN_MAX])
{
	time_t t = (time_t)sec;
	struct tm tm;

	if (sec == 0 || !localtime_r(&t, &tm) ||
	    strftime(ret_text, HUMAN_MAX, "%Y-%m-%d %H:%M", &tm) == 0)
		(void)snprintf(ret_text, HUMAN_MAX, "never");
}
