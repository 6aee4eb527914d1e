/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `targetfs help [VERB]`, and what every verb says about its command line.
 */
#include "config.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/base/macros.h"
#include "tools/common.h"
#include "tools/verbs.h"

int verb_list(void)
{
	(void)printf("Usage: targetfs VERB [OPTION]... [ARGUMENT]...\n\n"
		     "Presents cargo's target directory as a view over a store "
		     "that keeps\nidentical files of all projects once.\n\n");
	for (size_t i = 0; verb_table[i]; i++)
		(void)printf("  %-9s %s\n", verb_table[i]->name,
			     verb_table[i]->summary);
	(void)printf("\n'targetfs help VERB' tells more; so do the manual "
		     "pages, from targetfs(1) on.\n");
	return 0;
}

int verb_show_help(const struct verb *v)
{
	(void)printf("Usage: targetfs %s %s\n\n%s\n", v->name, v->args,
		     v->help);
	return 0;
}

int verb_usage(const struct verb *v, const char *fmt, ...)
{
	if (fmt) {
		_cleanup_free_ char *text = NULL;
		va_list ap;

		va_start(ap, fmt);
		if (vasprintf(&text, fmt, ap) < 0)
			text = NULL;
		va_end(ap);
		say("%s", text ? text : "wrong usage");
	}
	say("'targetfs help %s' shows how to use it", v->name);
	return v->usage_status;
}

static int run_help(const struct verb *self, int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, OPT_HELP },
		{ NULL, 0, NULL, 0 },
	};
	const struct verb *v;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'h' || c == OPT_HELP)
			return verb_show_help(self);
		return verb_usage(self, NULL);
	}
	if (optind == argc)
		return verb_list();
	if (argc - optind > 1)
		return verb_usage(self, "one verb at a time");
	v = verb_find(argv[optind]);
	if (!v) {
		say("unknown verb '%s'; 'targetfs help' lists them",
		    argv[optind]);
		return EXIT_USAGE;
	}
	return verb_show_help(v);
}

const struct verb verb_help = {
	.name = "help",
	.args = "[VERB]",
	.summary = "show what the verbs do, or how one is used",
	.help = "Without VERB, lists all verbs.",
	.usage_status = EXIT_USAGE,
	.run = run_help,
};
