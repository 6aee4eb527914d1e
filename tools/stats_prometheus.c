/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `targetfs stats --prometheus`: the text format that Prometheus scrapes, by
 * way of the node exporter's textfile collector for example. All samples of a
 * metric stand together, below its HELP and TYPE. Counters begin anew with each
 * mount, as Prometheus expects of a process that was started again.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "fs/counters.h"
#include "store/base/macros.h"
#include "tools/features.h"
#include "tools/json.h"
#include "tools/stats.h"

static void begin(const char *name, const char *type, const char *help)
{
	(void)printf("# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Names may be any bytes, a label is UTF-8. */
static void print_label(const char *key, const char *value)
{
	const unsigned char *s = (const unsigned char *)value;

	(void)printf("%s=\"", key);
	while (*s) {
		unsigned len = utf8_len(s);

		if (len == 0)
			(void)putchar('?');
		else if (*s == '\n')
			(void)printf("\\n");
		else if (*s == '"' || *s == '\\')
			(void)printf("\\%c", *s);
		else
			(void)fwrite(s, 1, len, stdout);
		s += len ? len : 1;
	}
	(void)putchar('"');
}

/* Two views may have one name, so the id is there, too. */
static void print_labels(const struct view_item *v, const char *key,
			 const char *value)
{
	(void)printf("{id=\"%u\",", v->rec.id);
	print_label("view", v->rec.name);
	if (key) {
		(void)putchar(',');
		print_label(key, value);
	}
	(void)putchar('}');
}

/* --- what views hold ------------------------------------------------------ */

static const struct {
	const char *name, *help;
	size_t offset; /* in struct view_usage */
} usages[] = {
	{ "targetfs_view_files", "Regular files of the view.",
	  offsetof(struct view_usage, files) },
	{ "targetfs_view_directories", "Directories of the view.",
	  offsetof(struct view_usage, dirs) },
	{ "targetfs_view_logical_bytes", "What the files add up to.",
	  offsetof(struct view_usage, logical) },
	{ "targetfs_view_private_bytes", "Of these, the view's own.",
	  offsetof(struct view_usage, staging) },
	{ "targetfs_view_blob_bytes", "Of these, in blobs, each blob once.",
	  offsetof(struct view_usage, blob) },
	{ "targetfs_view_shared_bytes", "Of these, in blobs of several files.",
	  offsetof(struct view_usage, shared) },
};

static void print_usages(const struct stats *s)
{
	for (size_t i = 0; i < ARRAY_LEN(usages); i++) {
		begin(usages[i].name, "gauge", usages[i].help);
		for (size_t v = 0; v < s->views.len; v++) {
			const struct view_item *it = &s->views.items[v];
			uint64_t n;

			memcpy(&n, (const char *)&it->usage + usages[i].offset,
			       sizeof(n));
			(void)printf("%s", usages[i].name);
			print_labels(it, NULL, NULL);
			(void)printf(" %" PRIu64 "\n", n);
		}
	}
	begin("targetfs_view_mounted", "gauge", "Whether a daemon serves it.");
	for (size_t v = 0; v < s->views.len; v++) {
		(void)printf("targetfs_view_mounted");
		print_labels(&s->views.items[v], NULL, NULL);
		(void)printf(" %d\n", s->views.items[v].held);
	}
}

/* --- counters ------------------------------------------------------------- */

static void print_samples(const struct stats *s, const char *name,
			  enum counter c, const char *key, const char *value)
{
	for (size_t i = 0; i < s->views.len; i++) {
		const struct view_item *v = &s->views.items[i];

		if (!v->has_page)
			continue;
		(void)printf("%s", name);
		print_labels(v, key, value);
		if (c == COUNTER_SAVED_MSEC)
			(void)printf(" %.3f\n",
				     (double)v->page.counters[c] / 1000);
		else
			(void)printf(" %" PRIu64 "\n", v->page.counters[c]);
	}
}

static void print_requests(const struct stats *s)
{
	static const char name[] = "targetfs_requests_total";
	char key[COUNTER_KEY_MAX];

	begin(name, "counter", "Requests of the kernel, by type.");
	for (enum counter c = 0; c < COUNTER_COUNT; c++) {
		if (!counter_is_request(c))
			continue;
		counter_key(c, key);
		print_samples(s, name, c, "type", key);
	}
}

static void print_misses(const struct stats *s)
{
	static const char name[] = "targetfs_units_missed_total";

	begin(name, "counter", "Units that a build looked for in vain.");
	for (enum counter c = 0; c < COUNTER_COUNT; c++)
		if (stats_miss_reason(c))
			print_samples(s, name, c, "reason",
				      stats_miss_reason(c));
}

/* A unit at the end of the name, where there is one. */
static void metric_name(enum counter c, char *ret_name, size_t size)
{
	char key[COUNTER_KEY_MAX];

	counter_key(c, key);
	if (c == COUNTER_SAVED_MSEC)
		(void)snprintf(ret_name, size,
			       "targetfs_compile_saved_seconds_total");
	else if (counter_is_bytes(c))
		(void)snprintf(ret_name, size, "targetfs_%s_bytes_total",
			       key + strlen("bytes_"));
	else
		(void)snprintf(ret_name, size, "targetfs_%s_total", key);
}

static void print_counters(const struct stats *s)
{
	char name[COUNTER_KEY_MAX + 32], help[COUNTER_KEY_MAX + 32];

	for (enum counter c = 0; c < COUNTER_COUNT; c++) {
		/* Misses are told by reason, and that is all of them. */
		if (counter_is_request(c) || stats_miss_reason(c) ||
		    c == COUNTER_WINK_MISSES)
			continue;
		metric_name(c, name, sizeof(name));
		(void)snprintf(help, sizeof(help), "%s: %s.", "By the daemon",
			       counter_name(c));
		begin(name, "counter", help);
		print_samples(s, name, c, NULL, NULL);
	}
}

/* --- the store ------------------------------------------------------------ */

static void print_gauge(const char *name, const char *help, uint64_t value)
{
	begin(name, "gauge", help);
	(void)printf("%s %" PRIu64 "\n", name, value);
}

static void print_store(const struct stats *s)
{
	print_gauge("targetfs_store_bytes", "Kept for the files of views.",
		    stats_stored(s));
	print_gauge("targetfs_store_blobs", "Blobs.", s->blobs.count);
	print_gauge("targetfs_store_blob_bytes", "What blobs add up to.",
		    s->blobs.bytes);
	print_gauge("targetfs_store_unused_blob_bytes",
		    "Of these, in blobs that nothing refers to.",
		    s->blobs.dead_bytes);
	print_gauge("targetfs_store_unit_blob_bytes",
		    "Of these, in blobs of units that are in no view.",
		    s->blobs.unit_bytes);
	print_gauge("targetfs_store_damaged_rows", "Rows that need fsck.",
		    s->blobs.damaged);
	print_gauge("targetfs_store_units", "Units that builds can find.",
		    s->index.rows[TABLE_UNITS]);
	print_gauge("targetfs_store_index_bytes", "Of the index, used.",
		    s->index.used);
}

int stats_print_prometheus(const struct stats *s)
{
	print_store(s);
	print_usages(s);
	print_requests(s);
	print_misses(s);
	print_counters(s);
	if (fflush(stdout) != 0)
		return -errno;
	return ferror(stdout) ? -EIO : 0;
}
