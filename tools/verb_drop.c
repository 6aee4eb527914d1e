/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `targetfs drop VIEW`: removes views, and the blobs that only they used.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/base/macros.h"
#include "store/blob.h"
#include "store/lease.h"
#include "store/store.h"
#include "store/views.h"
#include "tools/common.h"
#include "tools/table.h"
#include "tools/verbs.h"
#include "tools/view_list.h"

/* So many blobs in one transaction: it takes a fraction of a second, for
 * which the daemons' commits wait. */
#define SWEEP_BATCH 4096

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

/*
 * No grace: should a daemon have linked one of these files just now, its
 * commit links the file again.
 */
static int sweep(struct store *st, uint64_t *freed)
{
	uint64_t some;
	int r;

	do {
		r = blob_sweep(st, 0, SWEEP_BATCH, &some);
		if (r < 0)
			return say_error(r, "cannot remove unused blobs");
		*freed += some;
	} while (some > 0);
	return 0;
}

static int drop_all(const char *path, char **names, int count)
{
	char text[HUMAN_MAX];
	uint64_t freed = 0;
	struct store *st;
	int failed = 0;

	if (store_open_or_say(path, 0, &st) < 0)
		return EXIT_FAILURE;
	for (int i = 0; i < count; i++) {
		if (drop_one(st, names[i], &freed) < 0)
			failed++;
	}
	if (failed < count) {
		if (sweep(st, &freed) < 0)
			failed++;
		human_bytes(freed, text);
		(void)printf("freed %s in the store\n", text);
	}
	st = store_close(st);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run_drop(const struct verb *self, int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, OPT_HELP },
		{ "store", required_argument, NULL, OPT_STORE },
		{ NULL, 0, NULL, 0 },
	};
	_cleanup_free_ char *path = NULL;
	const char *store = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == OPT_STORE)
			store = optarg;
		else if (c == 'h' || c == OPT_HELP)
			return verb_show_help(self);
		else
			return verb_usage(self, NULL);
	}
	if (optind == argc)
		return verb_usage(self, "which VIEW to drop?");
	if (store_choose(store, &path) < 0)
		return EXIT_FAILURE;
	return drop_all(path, argv + optind, argc - optind);
}

const struct verb verb_drop = {
	.name = "drop",
	.args = "[--store STORE] VIEW...",
	.summary = "remove a view and what only it used",
	.help = "  --store STORE  the store (default: $TARGETFS_STORE, else\n"
		"                 $XDG_CACHE_HOME/targetfs/store)\n\n"
		"VIEW is an id, a name or a workspace, as 'targetfs views' "
		"lists them. A view\nthat is mounted is not dropped. Its files "
		"are gone for good; the workspace\nitself is not touched.",
	.usage_status = EXIT_USAGE,
	.run = run_drop,
};
