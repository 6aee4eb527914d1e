/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `targetfs drop VIEW` and `targetfs drop --unit PATTERN`: removes views and
 * units, and the blobs that only they used.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "fs/counters.h"
#include "fs/why_file.h"
#include "store/base/macros.h"
#include "store/blob.h"
#include "store/lease.h"
#include "store/store.h"
#include "store/views.h"
#include "tools/common.h"
#include "tools/table.h"
#include "tools/unit_list.h"
#include "tools/verbs.h"
#include "tools/view_list.h"

/* So many blobs in one transaction: it takes a fraction of a second, for
 * which the daemons' commits wait. */
#define SWEEP_BATCH 4096
/* A view that has just shown a unit refers to its blobs a second or two later;
 * until then nothing does, when the unit is dropped. */
#define UNIT_GRACE_SEC 60

struct drop_args {
	const char *store;
	char **units; /* patterns */
	size_t unit_count;
	char **views;
	size_t view_count;
};

static void say_mounted(const char *what, const struct lease_page *page)
{
	if (page->magic == LEASE_MAGIC && page->mountpoint[0])
		say("the view '%s' is mounted at '%s' (pid %" PRIu64 "); run "
		    "first: targetfs umount '%s'",
		    what, page->mountpoint, page->pid, page->mountpoint);
	else
		say("the view '%s' is mounted; unmount it first", what);
}

static int drop_leased(struct store *st, const struct view_rec *rec,
		       struct view_usage *ret_usage)
{
	int r = views_usage(st, rec->id, ret_usage);

	/* A damaged view can be dropped; how much it held stays unknown. */
	if (r < 0)
		*ret_usage = (struct view_usage){ 0 };
	r = views_drop(st, rec->id);
	if (r == -ENOSPC)
		say("no space left to drop the view '%s': that takes a few "
		    "KiB of the store's filesystem itself; free those first",
		    rec->name);
	else if (r < 0)
		(void)say_error(r, "cannot drop the view '%s'", rec->name);
	else
		why_file_remove(st, rec->id);
	return r;
}

static int drop_one(struct store *st, const char *what, uint64_t *freed)
{
	struct lease_page holder = { 0 };
	struct view_usage usage;
	struct view_rec rec;
	struct lease *lease;
	char files[HUMAN_MAX], bytes[HUMAN_MAX];
	int r = view_find_or_say(st, what, &rec);

	if (r < 0)
		return r;
	r = lease_take(st, rec.id, "", &lease, &holder);
	if (r == -EBUSY) {
		say_mounted(rec.name, &holder);
		return r;
	}
	if (r < 0)
		return say_error(r, "cannot lock the view '%s'", rec.name);
	r = drop_leased(st, &rec, &usage);
	lease = lease_free(lease);
	if (r < 0)
		return r;
	*freed += usage.staging;
	human_files(usage.files, files);
	human_bytes(usage.logical, bytes);
	(void)printf("dropped view %u '%s': %s, %s\n", rec.id, rec.name, files,
		     bytes);
	return 0;
}

/* --- units -------------------------------------------------------------- */

static int drop_items(struct store *st, const struct unit_list_items *list)
{
	uint64_t bytes = 0, count = 0;
	char text[HUMAN_MAX];
	int r = 0;

	for (size_t i = 0; r == 0 && i < list->len; i++) {
		r = unit_drop(st, &list->items[i].key);
		if (r == 0) {
			bytes += list->items[i].bytes;
			count++;
		}
		/* Another has dropped it first. */
		if (r == -ENOENT)
			r = 0;
	}
	if (r < 0)
		(void)say_error(r, "cannot drop all units");
	human_bytes(bytes, text);
	(void)printf("dropped %" PRIu64 " unit%s, %s\n", count,
		     count == 1 ? "" : "s", text);
	return r;
}

static int drop_units(struct store *st, const struct drop_args *args)
{
	struct unit_list_items list;
	int r;

	r = unit_items_load(st, NULL, args->units, args->unit_count, &list);
	if (r < 0)
		return r;
	if (list.len == 0) {
		say("no such unit in the store '%s'; 'targetfs units' lists "
		    "them",
		    store_path(st));
		return -ENOENT;
	}
	r = drop_items(st, &list);
	unit_items_release(&list);
	return r;
}

/* --- the end ------------------------------------------------------------ */

static int is_winking(const struct view_rec *rec, void *arg)
{
	struct lease_page page;
	bool held;

	return lease_peek(arg, rec->id, &held, &page) == 0 && held &&
	       page.features & FEATURE_WINK;
}

/*
 * Should a daemon have linked one of these files just now, its commit links
 * the file again. What a view shows of a unit that is gone, it could not: then
 * there is a time of grace.
 */
static int sweep(struct store *st, uint64_t *freed, unsigned *ret_grace)
{
	uint64_t some;
	int r;

	r = views_foreach(st, is_winking, st);
	if (r < 0)
		return say_error(r, "cannot list the views");
	*ret_grace = r > 0 ? UNIT_GRACE_SEC : 0;
	do {
		r = blob_sweep(st, *ret_grace, SWEEP_BATCH, &some);
		if (r < 0)
			return say_error(r, "cannot remove unused blobs");
		*freed += some;
	} while (some > 0);
	return 0;
}

static int sweep_and_say(struct store *st, uint64_t freed)
{
	char text[HUMAN_MAX];
	unsigned grace = 0;

	if (sweep(st, &freed, &grace) < 0)
		return -EIO;
	human_bytes(freed, text);
	(void)printf("freed %s in the store%s\n", text,
		     grace ? "; the rest goes with a later 'targetfs drop', as "
			     "views are mounted that may just have used it"
			   : "");
	return 0;
}

static int drop_all(const char *path, const struct drop_args *args)
{
	uint64_t freed = 0;
	struct store *st;
	size_t wanted = args->view_count + (args->unit_count > 0), failed = 0;

	if (store_open_or_say(path, 0, &st) < 0)
		return EXIT_FAILURE;
	if (args->unit_count > 0 && drop_units(st, args) < 0)
		failed++;
	for (size_t i = 0; i < args->view_count; i++) {
		if (drop_one(st, args->views[i], &freed) < 0)
			failed++;
	}
	if (failed < wanted && sweep_and_say(st, freed) < 0)
		failed++;
	st = store_close(st);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int drop_with(const struct verb *self, struct drop_args *args, int argc,
		     char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, OPT_HELP },
		{ "store", required_argument, NULL, OPT_STORE },
		{ "unit", required_argument, NULL, OPT_UNIT },
		{ NULL, 0, NULL, 0 },
	};
	_cleanup_free_ char *path = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == OPT_STORE)
			args->store = optarg;
		else if (c == OPT_UNIT)
			args->units[args->unit_count++] = optarg;
		else if (c == 'h' || c == OPT_HELP)
			return verb_show_help(self);
		else
			return verb_usage(self, NULL);
	}
	args->views = argv + optind;
	args->view_count = (size_t)(argc - optind);
	if (args->view_count + args->unit_count == 0)
		return verb_usage(self, "which VIEW to drop?");
	if (store_choose(args->store, &path) < 0)
		return EXIT_FAILURE;
	return drop_all(path, args);
}

static int run_drop(const struct verb *self, int argc, char **argv)
{
	struct drop_args args = { 0 };
	int status;

	args.units = calloc((size_t)argc, sizeof(*args.units));
	if (!args.units)
		return EXIT_FAILURE;
	status = drop_with(self, &args, argc, argv);
	free(args.units);
	return status;
}

const struct verb verb_drop = {
	.name = "drop",
	.args = "[--store STORE] [--unit PATTERN]... [VIEW]...",
	.summary = "remove a view or units, and what only they used",
	.help = "  --store STORE   the store (default: $TARGETFS_STORE, else\n"
		"                  $XDG_CACHE_HOME/targetfs/store)\n"
		"  --unit PATTERN  forget the units that 'targetfs units "
		"PATTERN' lists; views\n"
		"                  that show them keep them\n\n"
		"VIEW is an id, a name or a workspace, as 'targetfs views' "
		"lists them. A view\nthat is mounted is not dropped. Its files "
		"are gone for good; the workspace\nitself is not touched.",
	.usage_status = EXIT_USAGE,
	.run = run_drop,
};
