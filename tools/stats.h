/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbers of `targetfs stats`: gathered in one go, printed in three forms.
 */
#ifndef TOOLS_STATS_H
#define TOOLS_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/counters.h"
#include "store/index.h"
#include "store/lease.h"
#include "store/views.h"
#include "tools/view_list.h"

struct json;
struct store;

/* Sums over the rows of all blobs. */
struct blob_sums {
	uint64_t count, bytes;
	uint64_t inline_count, inline_bytes; /* of them, in the index */
	uint64_t shared_count; /* of them, of several files in views */
	/* Of them, what units refer to, and nothing else does. */
	uint64_t unit_count, unit_bytes;
	uint64_t dead_count, dead_bytes; /* of them, with none */
	uint64_t damaged;		 /* rows that cannot be read */
};

struct stats {
	const char *store; /* lives as long as the store */
	bool one_view;	   /* only one was asked for: no sums of the store */
	struct view_list views;
	struct view_usage sum; /* over `views`; `blob` per view, not over all */
	uint64_t counters[LEASE_COUNTERS]; /* over `views` */
	struct blob_sums blobs;
	struct index_info index;
};

/* @view NULL: all. Says what goes wrong. */
int stats_gather(struct store *st, const char *view, struct stats *ret_stats);
void stats_release(struct stats *s);
/* Bytes that the store keeps for the views: blobs in use, once each, and
 * private bytes. */
uint64_t stats_stored(const struct stats *s);
/* To standard output: 0 or a negative errno. */
int stats_print_text(const struct stats *s);
int stats_print_json(const struct stats *s);
int stats_print_prometheus(const struct stats *s);

/* --- stats_winkin.c ------------------------------------------------------- */

/* "source"; NULL: it counts no misses by reason. */
const char *stats_miss_reason(enum counter c);
void stats_winkin_json(struct json *j, const uint64_t *counters);
/* Nothing when there was none. */
int stats_winkin_text(const struct stats *s);

#endif
