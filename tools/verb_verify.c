/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `targetfs verify`: is what the store has what cargo builds?
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/cargo/layout.h"
#include "fs/units.h"
#include "store/base/macros.h"
#include "store/store.h"
#include "tools/common.h"
#include "tools/json.h"
#include "tools/unit_list.h"
#include "tools/verbs.h"
#include "tools/verify.h"
#include "tools/walk.h"

#define SAMPLE_DEFAULT 20
/* Units, whole, in memory. */
#define SAMPLE_MAX 100000

static bool same_group(const struct verify_unit *a, const struct verify_unit *b)
{
	return strcmp(a->workspace, b->workspace) == 0 &&
	       strcmp(a->target, b->target) == 0 &&
	       strcmp(a->profile, b->profile) == 0;
}

static size_t open_verdicts(const struct verify_unit *u, size_t count)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		n += u[i].verdict == VERDICT_NONE;
	return n;
}

static int rebuild_in(struct store *st, struct verify_unit *u, size_t count,
		      const char *scratch)
{
	static const char *const verbs[] = { "build", "check" };
	int r = 0;

	for (size_t v = 0; r == 0 && v < ARRAY_LEN(verbs); v++) {
		if (open_verdicts(u, count) == 0)
			break;
		say("cargo %s of all targets in '%s' (%s), for %zu unit%s",
		    verbs[v], u->workspace, u->profile, open_verdicts(u, count),
		    open_verdicts(u, count) == 1 ? "" : "s");
		r = verify_build(u, verbs[v], scratch);
		for (size_t i = 0; r == 0 && i < count; i++)
			if (u[i].verdict == VERDICT_NONE)
				verify_compare(st, &u[i], scratch);
	}
	return r;
}

/* Units of one workspace and profile, rebuilt together. */
static int verify_group(struct store *st, struct verify_unit *u, size_t count)
{
	const char *tmp = getenv("TMPDIR");
	_cleanup_free_ char *scratch = NULL;
	int r;

	for (size_t i = 0; i < count; i++)
		verify_inputs(st, &u[i]);
	if (open_verdicts(u, count) == 0)
		return 0;
	if (asprintf(&scratch, "%s/targetfs-verify.XXXXXX",
		     tmp && *tmp ? tmp : "/tmp") < 0) {
		scratch = NULL;
		return -ENOMEM;
	}
	if (!mkdtemp(scratch))
		return say_error(-errno, "cannot make '%s'", scratch);
	r = rebuild_in(st, u, count, scratch);
	for (size_t i = 0; r == 0 && i < count; i++)
		if (u[i].verdict == VERDICT_NONE)
			verify_set(&u[i], VERDICT_GONE,
				   "no build or check of all targets makes it");
	if (tree_remove(scratch, NULL) < 0)
		say("warning: cannot remove '%s'", scratch);
	return r;
}

static int verify_all(struct store *st, struct verify_list *list)
{
	size_t from = 0;
	int r = 0;

	while (r == 0 && from < list->len) {
		size_t to = from + 1;

		while (to < list->len &&
		       same_group(&list->units[from], &list->units[to]))
			to++;
		r = verify_group(st, &list->units[from], to - from);
		from = to;
	}
	return r;
}

static size_t count_of(const struct verify_list *list, enum verdict v)
{
	size_t n = 0;

	for (size_t i = 0; i < list->len; i++)
		n += list->units[i].verdict == v;
	return n;
}

static int print_text(const struct verify_list *list)
{
	static const char *const words[] = {
		[VERDICT_NONE] = "not looked at",
		[VERDICT_SAME] = "same",
		[VERDICT_DIFFERS] = "DIFFERS",
		[VERDICT_GONE] = "cannot be rebuilt",
	};

	for (size_t i = 0; i < list->len; i++) {
		const struct verify_unit *u = &list->units[i];
		char id[UNIT_ID_MAX];

		unit_id(u->package, u->key.hash, id);
		(void)printf("%s %s %s: %s%s%s\n", id, u->kind, u->profile,
			     words[u->verdict], u->detail ? ": " : "",
			     u->detail ? u->detail : "");
	}
	(void)printf("%zu of %" PRIu64
		     " units: %zu same, %zu differ, %zu cannot be rebuilt\n",
		     list->len, list->published, count_of(list, VERDICT_SAME),
		     count_of(list, VERDICT_DIFFERS),
		     count_of(list, VERDICT_GONE));
	return 0;
}

static void json_unit(struct json *j, const struct verify_unit *u)
{
	static const char *const words[] = {
		[VERDICT_NONE] = "none",
		[VERDICT_SAME] = "same",
		[VERDICT_DIFFERS] = "differs",
		[VERDICT_GONE] = "gone",
	};
	char hex[UNIT_HASH_LEN + 1];

	unit_hash_hex(u->key.hash, hex);
	json_object(j, NULL);
	json_str(j, "package", u->package);
	json_str(j, "kind", u->kind);
	json_str(j, "profile", u->profile);
	json_str(j, "hash", hex);
	json_str(j, "workspace", u->workspace);
	json_str(j, "verdict", words[u->verdict]);
	if (u->detail)
		json_str(j, "detail", u->detail);
	else
		json_null(j, "detail");
	json_end(j);
}

static int print_json(const struct verify_list *list)
{
	struct json j = json_on(stdout);

	json_object(&j, NULL);
	json_u64(&j, "published", list->published);
	json_u64(&j, "sampled", list->len);
	json_u64(&j, "same", count_of(list, VERDICT_SAME));
	json_u64(&j, "differs", count_of(list, VERDICT_DIFFERS));
	json_u64(&j, "gone", count_of(list, VERDICT_GONE));
	json_array(&j, "units");
	for (size_t i = 0; i < list->len; i++)
		json_unit(&j, &list->units[i]);
	json_end(&j);
	json_end(&j);
	return json_finish(&j);
}

static int verify(const char *path, size_t max, bool json)
{
	struct verify_list list;
	struct store *st;
	bool differs;
	int r;

	if (store_open_or_say(path, 0, &st) < 0)
		return EXIT_FAILURE;
	r = verify_sample(st, max, &list);
	if (r == 0) {
		r = verify_all(st, &list);
		if (r == 0)
			r = json ? print_json(&list) : print_text(&list);
		differs = count_of(&list, VERDICT_DIFFERS) > 0;
		r = r == 0 && differs ? -EBADMSG : r;
		verify_list_release(&list);
	}
	st = store_close(st);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static bool parse_count(const char *text, size_t *ret_count)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || *end || end == text || *text == '-' || n == 0 ||
	    n > SAMPLE_MAX)
		return false;
	*ret_count = n;
	return true;
}

static int run_verify(const struct verb *self, int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, OPT_HELP },
		{ "json", no_argument, NULL, OPT_JSON },
		{ "sample", required_argument, NULL, OPT_SAMPLE },
		{ "store", required_argument, NULL, OPT_STORE },
		{ NULL, 0, NULL, 0 },
	};
	_cleanup_free_ char *path = NULL;
	size_t max = SAMPLE_DEFAULT;
	const char *store = NULL;
	bool json = false;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == OPT_JSON)
			json = true;
		else if (c == OPT_STORE)
			store = optarg;
		else if (c == 'h' || c == OPT_HELP)
			return verb_show_help(self);
		else if (c != OPT_SAMPLE)
			return verb_usage(self, NULL);
		else if (!parse_count(optarg, &max))
			return verb_usage(self, "--sample %s: from 1 to %d",
					  optarg, SAMPLE_MAX);
	}
	if (optind < argc)
		return verb_usage(self, "unexpected argument '%s'",
				  argv[optind]);
	if (store_choose(store, &path) < 0)
		return EXIT_FAILURE;
	return verify(path, max, json);
}

const struct verb verb_verify = {
	.name = "verify",
	.args = "[--store STORE] [--sample N] [--json]",
	.summary = "rebuild some units and compare them with the store",
	.help = "  --store STORE  the store (default: $TARGETFS_STORE, else\n"
		"                 $XDG_CACHE_HOME/targetfs/store)\n"
		"  --sample N     so many units, at random (default: 20)\n"
		"  --json         print JSON\n\n"
		"Units whose inputs are still as they were, in the workspace "
		"that built them, are\nbuilt again by cargo in a scratch "
		"directory below $TMPDIR. Run it in the\nenvironment of the "
		"builds (CARGO_HOME, toolchain). Exit status 1: one differs.",
	.usage_status = EXIT_USAGE,
	.run = run_verify,
};
