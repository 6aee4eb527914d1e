/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verbs of the command line. Each lives in a file of its own, verb_*.c,
 * parses its own options and returns the exit status; main.c only looks the
 * verb up. argv[0] is the program's name, the options follow.
 */
#ifndef TOOLS_VERBS_H
#define TOOLS_VERBS_H

#include <stddef.h>

struct verb {
	const char *name;
	const char *args;    /* what follows the name in the synopsis */
	const char *summary; /* one line, for the list of verbs */
	const char *help;    /* options and notes, whole lines */
	/* Exit status for a wrong command line; differs for fsck and run. */
	int usage_status;
	int (*run)(const struct verb *self, int argc, char **argv);
};

extern const struct verb verb_mount;
extern const struct verb verb_umount;
extern const struct verb verb_run;
extern const struct verb verb_views;
extern const struct verb verb_units;
extern const struct verb verb_why;
extern const struct verb verb_stats;
extern const struct verb verb_fsck;
extern const struct verb verb_verify;
extern const struct verb verb_drop;
extern const struct verb verb_version;
extern const struct verb verb_help;

/* The table, in the order of `targetfs help`; ends with NULL. */
extern const struct verb *const verb_table[];

/* NULL when there is none of that name. */
const struct verb *verb_find(const char *name);
/* Prints the list of verbs to standard output; returns 0. */
int verb_list(void);
/* Prints the verb's help to standard output; returns 0. */
int verb_show_help(const struct verb *v);
/*
 * Says what is wrong with the command line (NULL: getopt has said it) and
 * where the help is; returns the verb's usage_status.
 */
int verb_usage(const struct verb *v, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Values for getopt_long() of options that have no letter. */
enum long_option {
	OPT_HELP = 256,
	OPT_STORE,
	OPT_WORKSPACE,
	OPT_HOST,
	OPT_FOREGROUND,
	OPT_IMPORT,
	OPT_LAZY,
	OPT_JSON,
	OPT_VIEW,
	OPT_UNIT,
	OPT_PROMETHEUS,
	OPT_SAMPLE,
	OPT_READ_DATA,
	OPT_REPAIR,
};

#endif
