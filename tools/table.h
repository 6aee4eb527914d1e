/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Aligned columns for people, by libsmartcols, and numbers as people read
 * them. Errors are sticky: build the whole table and check table_print().
 */
#ifndef TOOLS_TABLE_H
#define TOOLS_TABLE_H

#include <stdint.h>
#include <stdio.h>

struct text_table;

enum table_flags {
	TABLE_RIGHT = 1 << 0, /* of a column: aligned to the right */
	TABLE_PLAIN = 1 << 1, /* of a table: no line of headings */
};

/* NULL when out of memory; the calls below accept NULL. */
struct text_table *table_new(unsigned flags);
struct text_table *table_free(struct text_table *t); /* NULL */
void table_column(struct text_table *t, const char *heading, unsigned flags);
/* Begins a row; the cells follow from left to right. */
void table_row(struct text_table *t);
void table_cell(struct text_table *t, const char *text);
void table_cell_bytes(struct text_table *t, uint64_t bytes);
void table_cell_count(struct text_table *t, uint64_t count);
/* Prints to @f: 0 or a negative errno. */
int table_print(struct text_table *t, FILE *f);

/* Long enough for any of the texts below. */
#define HUMAN_MAX 40

/* "17 B", "1.5 KiB", "23.4 GiB" */
void human_bytes(uint64_t bytes, char ret_text[HUMAN_MAX]);
/* "1,234,567" */
void human_count(uint64_t count, char ret_text[HUMAN_MAX]);
/* "1 file", "2,345 files" */
void human_files(uint64_t count, char ret_text[HUMAN_MAX]);
/* "0.4 s", "12.3 s", "3 min 5 s", "2 h 10 min" */
void human_msec(uint64_t msec, char ret_text[HUMAN_MAX]);
/* "2025-01-31 17:05" in local time, "never" for 0. */
void human_time(int64_t sec, char ret_text[HUMAN_MAX]);

#endif
