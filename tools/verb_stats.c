/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `targetfs stats`: what the views hold, what the store keeps of it, and what
 * the daemons were asked.
 */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/base/macros.h"
#include "store/store.h"
#include "tools/common.h"
#include "tools/stats.h"
#include "tools/verbs.h"

typedef int (*print_fn)(const struct stats *s);

static int show(const char *path, const char *view, print_fn print)
{
	struct stats s;
	struct store *st;
	int r;

	if (store_open_or_say(path, 0, &st) < 0)
		return EXIT_FAILURE;
	r = stats_gather(st, view, &s);
	if (r == 0) {
		r = print(&s);
		if (r < 0)
			(void)say_error(r, "cannot print the statistics");
		stats_release(&s);
	}
	st = store_close(st);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run_stats(const struct verb *self, int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, OPT_HELP },
		{ "json", no_argument, NULL, OPT_JSON },
		{ "prometheus", no_argument, NULL, OPT_PROMETHEUS },
		{ "store", required_argument, NULL, OPT_STORE },
		{ "view", required_argument, NULL, OPT_VIEW },
		{ NULL, 0, NULL, 0 },
	};
	_cleanup_free_ char *path = NULL;
	const char *store = NULL, *view = NULL;
	print_fn print = stats_print_text;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == OPT_JSON)
			print = stats_print_json;
		else if (c == OPT_PROMETHEUS)
			print = stats_print_prometheus;
		else if (c == OPT_STORE)
			store = optarg;
		else if (c == OPT_VIEW)
			view = optarg;
		else if (c == 'h' || c == OPT_HELP)
			return verb_show_help(self);
		else
			return verb_usage(self, NULL);
	}
	if (optind < argc)
		return verb_usage(self, "unexpected argument '%s'",
				  argv[optind]);
	if (store_choose(store, &path) < 0)
		return EXIT_FAILURE;
	return show(path, view, print);
}

const struct verb verb_stats = {
	.name = "stats",
	.args = "[--store STORE] [--view VIEW] [--json | --prometheus]",
	.summary = "show what is stored, shared, saved, and requests served",
	.help = "  --store STORE  the store (default: $TARGETFS_STORE, else\n"
		"                 $XDG_CACHE_HOME/targetfs/store)\n"
		"  --view VIEW    only this view: its id, name, workspace or "
		"directory\n"
		"  --json         print JSON\n"
		"  --prometheus   print the text format of Prometheus\n\n"
		"LOGICAL is what the files of a view add up to. Of these, "
		"PRIVATE bytes are\nthe view's own (incremental state, and "
		"what was written just now), SHARED\nbytes are kept once for "
		"several files. Requests, and what "
		"wink-in did,\nare those of each view's present or last mount.",
	.usage_status = EXIT_USAGE,
	.run = run_stats,
};
