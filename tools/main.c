/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dispatch: `targetfs VERB ...` looks the verb up in the table and runs it.
 */
#include "config.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "tools/common.h"
#include "tools/verbs.h"

const struct verb *const verb_table[] = {
	&verb_mount,   &verb_umount, &verb_run,	 &verb_views,  &verb_units,
	&verb_why,     &verb_stats,  &verb_fsck, &verb_verify, &verb_drop,
	&verb_version, &verb_help,   NULL,
};

const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; verb_table[i]; i++) {
		if (strcmp(verb_table[i]->name, name) == 0)
			return verb_table[i];
	}
	return NULL;
}

/* The usual spellings that begin with a dash. */
static const char *verb_of_option(const char *arg)
{
	if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0)
		return "help";
	if (strcmp(arg, "--version") == 0 || strcmp(arg, "-V") == 0)
		return "version";
	return arg;
}

int main(int argc, char **argv)
{
	static char program[] = "targetfs";
	const struct verb *v;

	(void)setlocale(LC_ALL, "");
	if (argc < 2) {
		say("no verb given; 'targetfs help' lists them");
		return EXIT_USAGE;
	}
	v = verb_find(verb_of_option(argv[1]));
	if (!v) {
		say("unknown verb '%s'; 'targetfs help' lists them", argv[1]);
		return EXIT_USAGE;
	}
	/* getopt begins its messages with it. */
	argv[1] = program;
	return flush_output(v->run(v, argc - 1, argv + 1));
}
