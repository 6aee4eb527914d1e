/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gathers the numbers of `targetfs stats`, and prints them as JSON.
 */
#include "config.h"

#include "tools/stats.h"

#include <errno.h>
#include <stdio.h>

#include "fs/counters.h"
#include "store/base/macros.h"
#include "store/record.h"
#include "store/store.h"
#include "tools/common.h"
#include "tools/features.h"
#include "tools/json.h"

static int add_blob(struct txn *txn, struct span key, struct span value,
		    void *arg)
{
	struct blob_sums *sums = arg;
	struct blob_rec rec;

	(void)txn;
	(void)key;
	/* fsck is there to say more about it. */
	if (!value.p || blob_rec_decode(value.p, value.len, &rec) < 0) {
		sums->damaged++;
		return 0;
	}
	sums->count++;
	sums->bytes += rec.size;
	if (rec.tier == BLOB_INLINE) {
		sums->inline_count++;
		sums->inline_bytes += rec.size;
	}
	if (rec.refs - rec.units > 1)
		sums->shared_count++;
	if (rec.units && rec.units == rec.refs) {
		sums->unit_count++;
		sums->unit_bytes += rec.size;
	}
	if (rec.refs == 0) {
		sums->dead_count++;
		sums->dead_bytes += rec.size;
	}
	return 0;
}

static int add_blobs(struct txn *txn, void *arg)
{
	struct blob_sums *sums = arg;

	*sums = (struct blob_sums){ 0 };
	return txn_foreach(txn, TABLE_BLOBS, (struct span){ "", 0 }, add_blob,
			   sums);
}

static void add_view(struct stats *s, const struct view_item *v)
{
	s->sum.files += v->usage.files;
	s->sum.dirs += v->usage.dirs;
	s->sum.others += v->usage.others;
	s->sum.logical += v->usage.logical;
	s->sum.staging += v->usage.staging;
	s->sum.blob += v->usage.blob;
	s->sum.shared += v->usage.shared;
	for (size_t i = 0; v->has_page && i < LEASE_COUNTERS; i++)
		s->counters[i] += v->page.counters[i];
}

int stats_gather(struct store *st, const char *view, struct stats *ret_stats)
{
	struct stats s = { .store = store_path(st), .one_view = view };
	int r;

	r = view ? view_list_load_one(st, view, &s.views)
		 : view_list_load(st, &s.views);
	if (r < 0)
		return r;
	for (size_t i = 0; i < s.views.len; i++)
		add_view(&s, &s.views.items[i]);
	r = index_view(store_index(st), add_blobs, &s.blobs);
	if (r == 0)
		r = index_info(store_index(st), &s.index);
	if (r < 0) {
		stats_release(&s);
		return say_error(r, "cannot add up the store '%s'",
				 store_path(st));
	}
	*ret_stats = s;
	return 0;
}

void stats_release(struct stats *s)
{
	view_list_release(&s->views);
}

uint64_t stats_stored(const struct stats *s)
{
	if (s->one_view)
		return s->sum.blob + s->sum.staging;
	return s->blobs.bytes - s->blobs.dead_bytes - s->blobs.unit_bytes +
	       s->sum.staging;
}

static void json_usage(struct json *j, const struct view_usage *u)
{
	json_u64(j, "files", u->files);
	json_u64(j, "directories", u->dirs);
	json_u64(j, "others", u->others);
	json_u64(j, "logical", u->logical);
	json_u64(j, "private", u->staging);
	json_u64(j, "in_blobs", u->blob);
	json_u64(j, "shared", u->shared);
}

static void json_counters(struct json *j, const uint64_t *counters)
{
	char key[COUNTER_KEY_MAX];

	json_object(j, "requests");
	for (enum counter c = 0; c < COUNTER_COUNT; c++) {
		if (!counter_is_request(c))
			continue;
		counter_key(c, key);
		json_u64(j, key, counters[c]);
	}
	json_end(j);
	json_object(j, "daemon");
	for (enum counter c = 0; c < COUNTER_COUNT; c++) {
		if (counter_is_request(c))
			continue;
		counter_key(c, key);
		json_u64(j, key, counters[c]);
	}
	json_end(j);
	stats_winkin_json(j, counters);
}

static void json_view(struct json *j, const struct view_item *v)
{
	json_object(j, NULL);
	json_u64(j, "id", v->rec.id);
	json_str(j, "name", v->rec.name);
	json_usage(j, &v->usage);
	json_bool(j, "mounted", v->held);
	if (v->has_page) {
		features_json(j, "features", (unsigned)v->page.features);
		json_counters(j, v->page.counters);
	}
	json_end(j);
}

static void json_store(struct json *j, const struct stats *s)
{
	json_object(j, "blobs");
	json_u64(j, "count", s->blobs.count);
	json_u64(j, "bytes", s->blobs.bytes);
	json_u64(j, "inline_count", s->blobs.inline_count);
	json_u64(j, "inline_bytes", s->blobs.inline_bytes);
	json_u64(j, "shared_count", s->blobs.shared_count);
	json_u64(j, "unused_count", s->blobs.dead_count);
	json_u64(j, "unused_bytes", s->blobs.dead_bytes);
	json_u64(j, "damaged_rows", s->blobs.damaged);
	json_end(j);
	json_object(j, "units");
	json_u64(j, "count", s->index.rows[TABLE_UNITS]);
	json_u64(j, "lists", s->index.rows[TABLE_LISTS]);
	json_u64(j, "only_count", s->blobs.unit_count);
	json_u64(j, "only_bytes", s->blobs.unit_bytes);
	json_end(j);
	json_object(j, "index");
	json_u64(j, "used", s->index.used);
	json_u64(j, "map_size", s->index.map_size);
	json_u64(j, "readers", s->index.readers);
	json_u64(j, "nodes", s->index.rows[TABLE_NODES]);
	json_u64(j, "names", s->index.rows[TABLE_NAMES]);
	json_end(j);
}

int stats_print_json(const struct stats *s)
{
	struct json j = json_on(stdout);

	json_object(&j, NULL);
	json_str(&j, "store", s->store);
	json_object(&j, "total");
	json_u64(&j, "views", s->views.len);
	json_usage(&j, &s->sum);
	json_u64(&j, "stored", stats_stored(s));
	json_end(&j);
	json_counters(&j, s->counters);
	json_store(&j, s);
	json_array(&j, "views");
	for (size_t i = 0; i < s->views.len; i++)
		json_view(&j, &s->views.items[i]);
	json_end(&j);
	json_end(&j);
	return json_finish(&j);
}
