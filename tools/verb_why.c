/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `targetfs why`: the units that the last build did not find in the store, and
 * the first input by which each differs from the nearest that is there.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/cargo/layout.h"
#include "fs/inputs.h"
#include "fs/units.h"
#include "store/base/macros.h"
#include "store/store.h"
#include "store/unit.h"
#include "store/views.h"
#include "tools/common.h"
#include "tools/json.h"
#include "tools/project.h"
#include "tools/table.h"
#include "tools/unit_list.h"
#include "tools/verbs.h"
#include "tools/view_list.h"
#include "tools/why_list.h"

struct why_args {
	const char *store, *view;
	char *const *patterns;
	size_t count;
	bool json;
};

/* printf's "%.*s" */
#define TEXT(s) (int)(s).len, (s).p ? (s).p : ""

static bool is_wanted(const struct why_args *args, const struct why_item *it)
{
	char package[UNIT_TEXT_MAX + 1];

	(void)snprintf(package, sizeof(package), "%.*s",
		       TEXT(it->unit.package));
	return unit_matches(package, it->unit.hash, args->patterns,
			    args->count);
}

/* --- in words ------------------------------------------------------------- */

/* As cargo was called, for people: blanks in words are not told. */
static void print_command(const struct why_build *b)
{
	for (size_t i = 0; i < b->command.len; i++) {
		char c = b->command.p[i];

		if (c != '\0')
			(void)putchar(c);
		else if (i + 1 < b->command.len)
			(void)putchar(' ');
	}
}

static void print_source(const struct why_miss *m)
{
	struct span_str name = m->input;
	const char *what = m->kind == UNIT_TREE ? "directory" : "file";

	/* Not looked at by cargo itself. */
	if (name.len > 0 && name.p[0] == INPUT_UNTRACKED[0]) {
		name.p++;
		name.len--;
	}
	(void)printf(m->absent ? "%s '%.*s' is not here as in %.*s"
			       : "%s '%.*s' differs from that in %.*s",
		     what, TEXT(name), TEXT(m->origin));
}

static void print_values(const char *then, const char *now,
			 struct span_str where)
{
	if (now)
		(void)printf(" is '%s'", now);
	else
		(void)printf(" is not set");
	if (then)
		(void)printf(", was '%s' in %.*s", then, TEXT(where));
	else
		(void)printf(", was not set in %.*s", TEXT(where));
}

/* An empty value and none look alike in a record. */
static void print_variable(const struct why_miss *m)
{
	_cleanup_free_ char *then = strndup(m->then.p, m->then.len);
	_cleanup_free_ char *now = strndup(m->now.p, m->now.len);

	if (m->input.len == 1 && m->input.p[0] == INPUT_ENVIRONMENT[0]) {
		(void)printf("it may look at any variable, and one differs "
			     "from those in %.*s",
			     TEXT(m->origin));
		return;
	}
	(void)printf("variable %.*s", TEXT(m->input));
	print_values(then && *then ? then : NULL, now && *now ? now : NULL,
		     m->origin);
}

static void print_scope(const struct why_item *it)
{
	const struct why_miss *m = &it->miss;

	if (!it->field) {
		(void)printf("built in %.*s with another toolchain, wrapper, "
			     "linker, CARGO_HOME or system",
			     TEXT(m->origin));
		return;
	}
	(void)printf("scope: %s", it->field);
	print_values(it->then, it->now, m->origin);
}

/* A dependency is shown as its package and its fingerprint. */
static int word_len(struct span_str s)
{
	const char *end = s.len ? memchr(s.p, ' ', s.len) : NULL;

	return (int)(end ? (size_t)(end - s.p) : s.len);
}

static void print_reason(const struct why_item *it)
{
	const struct why_miss *m = &it->miss;

	switch ((enum why_reason)m->reason) {
	case WHY_UNKNOWN:
		(void)printf("not in the store with this version, features, "
			     "profile, flags and dependencies");
		return;
	case WHY_SCOPE:
		print_scope(it);
		return;
	case WHY_SOURCE:
		print_source(m);
		break;
	case WHY_ENV:
		print_variable(m);
		break;
	case WHY_DEP:
		(void)printf(m->absent ? "dependency %.*s was missed"
				       : "dependency %.*s is another than in "
					 "%.*s",
			     word_len(m->then), m->then.p, TEXT(m->origin));
		break;
	case WHY_GUARD:
		(void)printf("guard: it holds the path '%.*s', and here that "
			     "is '%.*s'",
			     TEXT(m->then), TEXT(m->now));
		break;
	case WHY_ERROR:
		(void)printf("it could not be shown: %.*s", TEXT(m->now));
		return;
	}
	if (m->differing > 1)
		(void)printf(" (and %" PRIu32 " more)", m->differing - 1);
}

static void print_item(const struct why_item *it)
{
	char hex[UNIT_HASH_LEN + 1];

	unit_hash_hex(it->unit.hash, hex);
	(void)printf("%.*s-%s", TEXT(it->unit.package), hex);
	if (it->unit.kind.len > 0)
		(void)printf(" %.*s", TEXT(it->unit.kind));
	(void)printf(" %.*s: ", TEXT(it->unit.profile));
	if (it->missed)
		print_reason(it);
	else
		(void)printf("was here, but it or what it depends on has "
			     "changed");
	(void)printf(it->compiled ? "\n" : "; not compiled\n");
}

static int print_text(const struct view_rec *view, const struct why_list *list,
		      const struct why_args *args)
{
	char when[HUMAN_MAX];
	size_t count = 0;

	for (size_t i = 0; i < list->len; i++)
		count += is_wanted(args, &list->items[i]);
	human_time(list->build.started, when);
	(void)printf("# %s, ", when);
	print_command(&list->build);
	(void)printf(", in %s: %zu unit%s not from the store\n",
		     view->workspace, count, count == 1 ? "" : "s");
	for (size_t i = 0; i < list->len; i++)
		if (is_wanted(args, &list->items[i]))
			print_item(&list->items[i]);
	if (!list->complete)
		(void)printf("# and more, which were not written down\n");
	return 0;
}

/* --- as JSON -------------------------------------------------------------- */

static void json_text(struct json *j, const char *key, struct span_str s)
{
	_cleanup_free_ char *text = strndup(s.p ? s.p : "", s.len);

	json_str(j, key, text ? text : "");
}

static const char *reason_name(unsigned reason)
{
	static const char *const names[] = {
		[WHY_UNKNOWN] = "unknown", [WHY_SCOPE] = "scope",
		[WHY_SOURCE] = "source",   [WHY_ENV] = "variable",
		[WHY_DEP] = "dependency",  [WHY_GUARD] = "place",
		[WHY_ERROR] = "error",
	};

	return reason < ARRAY_LEN(names) && names[reason] ? names[reason]
							  : "error";
}

static void json_input(struct json *j, const struct why_item *it)
{
	const struct why_miss *m = &it->miss;

	json_object(j, "input");
	if (it->field) {
		json_str(j, "name", it->field);
		json_str(j, "then", it->then ? it->then : "");
		json_str(j, "now", it->now ? it->now : "");
	} else {
		json_text(j, "name", m->input);
		json_text(j, "then", m->then);
		json_text(j, "now", m->now);
	}
	json_bool(j, "absent", m->absent);
	json_end(j);
	json_u64(j, "differing", m->differing);
}

static void json_item(struct json *j, const struct why_item *it)
{
	char hex[UNIT_HASH_LEN + 1];
	const struct why_miss *m = &it->miss;

	unit_hash_hex(it->unit.hash, hex);
	json_object(j, NULL);
	json_text(j, "package", it->unit.package);
	json_text(j, "kind", it->unit.kind);
	json_text(j, "profile", it->unit.profile);
	json_str(j, "hash", hex);
	json_bool(j, "compiled", it->compiled);
	json_str(j, "reason", it->missed ? reason_name(m->reason) : "changed");
	if (it->missed && m->reason != WHY_UNKNOWN) {
		json_input(j, it);
		json_object(j, "nearest");
		json_text(j, "workspace", m->origin);
		json_i64(j, "built", m->created);
		json_end(j);
	}
	json_end(j);
}

static void json_build(struct json *j, const struct why_build *b)
{
	const char *at = b->command.p, *end = at + b->command.len;

	json_object(j, "build");
	json_i64(j, "started", b->started);
	json_u64(j, "pid", b->pid);
	json_array(j, "command");
	while (at < end) {
		size_t len = strnlen(at, (size_t)(end - at));

		json_text(j, NULL, (struct span_str){ at, len });
		at += len + 1;
	}
	json_end(j);
	json_end(j);
}

static int print_json(const struct view_rec *view, const struct why_list *list,
		      const struct why_args *args)
{
	struct json j = json_on(stdout);

	json_object(&j, NULL);
	json_u64(&j, "view", view->id);
	json_str(&j, "workspace", view->workspace);
	json_build(&j, &list->build);
	json_bool(&j, "complete", list->complete);
	json_array(&j, "units");
	for (size_t i = 0; i < list->len; i++)
		if (is_wanted(args, &list->items[i]))
			json_item(&j, &list->items[i]);
	json_end(&j);
	json_end(&j);
	return json_finish(&j);
}

/* --- the verb ------------------------------------------------------------- */

/* The view of the workspace around the working directory. */
static int find_own(struct store *st, struct view_rec *ret_rec)
{
	static char cargo[] = "cargo";
	char *argv[] = { cargo, NULL };
	struct cargo_args args = cargo_args_of(argv);
	struct project p;
	int r = project_find(argv, &args, &p);

	if (r < 0) {
		say("no cargo project around the working directory; name a "
		    "view with --view");
		return r;
	}
	r = view_find_or_say(st, p.root, ret_rec);
	project_release(&p);
	return r;
}

static int explain(struct store *st, const struct why_args *args)
{
	struct why_list list;
	struct view_rec view;
	int r;

	r = args->view ? view_find_or_say(st, args->view, &view)
		       : find_own(st, &view);
	if (r < 0)
		return r;
	r = why_list_load(st, view.id, &list);
	if (r == -ENOENT)
		say("no build was seen in the view '%s' yet; it has to be "
		    "mounted with -o wink",
		    view.name);
	if (r < 0)
		return r;
	r = args->json ? print_json(&view, &list, args)
		       : print_text(&view, &list, args);
	why_list_release(&list);
	return r < 0 ? say_error(r, "cannot print what was missed") : 0;
}

static int run_why(const struct verb *self, int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, OPT_HELP },
		{ "json", no_argument, NULL, OPT_JSON },
		{ "store", required_argument, NULL, OPT_STORE },
		{ "view", required_argument, NULL, OPT_VIEW },
		{ NULL, 0, NULL, 0 },
	};
	_cleanup_free_ char *path = NULL;
	struct why_args args = { 0 };
	struct store *st;
	int c, r;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == OPT_JSON)
			args.json = true;
		else if (c == OPT_STORE)
			args.store = optarg;
		else if (c == OPT_VIEW)
			args.view = optarg;
		else if (c == 'h' || c == OPT_HELP)
			return verb_show_help(self);
		else
			return verb_usage(self, NULL);
	}
	args.patterns = argv + optind;
	args.count = (size_t)(argc - optind);
	if (store_choose(args.store, &path) < 0 ||
	    store_open_or_say(path, 0, &st) < 0)
		return EXIT_FAILURE;
	r = explain(st, &args);
	st = store_close(st);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

const struct verb verb_why = {
	.name = "why",
	.args = "[--store STORE] [--view VIEW] [--json] [UNIT]...",
	.summary = "tell why the last build did not find units in the store",
	.help = "  --store STORE  the store (default: $TARGETFS_STORE, else\n"
		"                 $XDG_CACHE_HOME/targetfs/store)\n"
		"  --view VIEW    the view's id, name, workspace or directory "
		"(default: that of\n"
		"                 the workspace around the working directory)\n"
		"  --json         print JSON\n\n"
		"A line for each unit that was not there when cargo looked for "
		"it: the nearest\nthat is in the store, and the first of its "
		"inputs that differs. UNIT is a\npackage, 'package-hash' or a "
		"pattern, as of 'targetfs units'. The last build is\nthe one "
		"that began last, in a view mounted with -o wink.",
	.usage_status = EXIT_USAGE,
	.run = run_why,
};
