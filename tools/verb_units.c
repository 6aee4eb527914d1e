/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `targetfs units`: the units that were published in a store.
 */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "fs/cargo/layout.h"
#include "fs/units.h"
#include "store/base/macros.h"
#include "store/store.h"
#include "tools/common.h"
#include "tools/json.h"
#include "tools/table.h"
#include "tools/unit_list.h"
#include "tools/verbs.h"

struct units_args {
	const char *store, *view;
	char *const *patterns;
	size_t count;
	bool json;
};

static void json_hash(struct json *j, const char *key, uint64_t hash)
{
	char hex[UNIT_HASH_LEN + 1];

	unit_hash_hex(hash, hex);
	json_str(j, key, hex);
}

static void json_digest(struct json *j, const char *key, const struct digest *d)
{
	char hex[DIGEST_HEX_LEN + 1];

	digest_hex(d, hex);
	json_str(j, key, hex);
}

static void json_unit(struct json *j, const struct unit_item *u)
{
	json_object(j, NULL);
	json_str(j, "package", u->package);
	json_str(j, "kind", u->kind);
	json_str(j, "profile", u->profile);
	json_hash(j, "hash", u->key.hash);
	json_hash(j, "fingerprint", u->key.fpr);
	json_digest(j, "scope", &u->key.scope);
	json_digest(j, "list", &u->key.list);
	json_digest(j, "values", &u->key.values);
	json_bool(j, "local", u->flags & UNIT_LOCAL);
	json_bool(j, "impure", u->flags & UNIT_IMPURE);
	json_u64(j, "sources", u->sources);
	json_u64(j, "variables", u->variables);
	json_u64(j, "dependencies", u->deps);
	json_u64(j, "files", u->files);
	json_u64(j, "bytes", u->bytes);
	json_i64(j, "built", u->created);
	json_u64(j, "compile_msec", u->compile_msec);
	json_str(j, "writer", u->writer);
	json_str(j, "workspace", u->origin);
	json_end(j);
}

static int print_json(const struct store *st,
		      const struct unit_list_items *list)
{
	struct json j = json_on(stdout);

	json_object(&j, NULL);
	json_str(&j, "store", store_path(st));
	json_array(&j, "units");
	for (size_t i = 0; i < list->len; i++)
		json_unit(&j, &list->items[i]);
	json_end(&j);
	json_end(&j);
	return json_finish(&j);
}

/* Two builds share units only where the scope is the same; its first digits
 * tell scopes apart. */
static void add_row(struct text_table *t, const struct unit_item *u)
{
	char id[UNIT_ID_MAX], text[HUMAN_MAX], scope[DIGEST_HEX_LEN + 1];

	table_row(t);
	unit_id(u->package, u->key.hash, id);
	table_cell(t, id);
	table_cell(t, u->kind);
	table_cell(t, u->profile);
	digest_hex(&u->key.scope, scope);
	scope[8] = '\0';
	table_cell(t, scope);
	table_cell_count(t, u->files);
	table_cell_bytes(t, u->bytes);
	human_msec(u->compile_msec, text);
	table_cell(t, text);
	human_time(u->created, text);
	table_cell(t, text);
	table_cell(t, u->origin);
}

static int print_table(const struct unit_list_items *list)
{
	struct text_table *t = table_new(0);
	int r;

	table_column(t, "UNIT", 0);
	table_column(t, "KIND", 0);
	table_column(t, "PROFILE", 0);
	table_column(t, "SCOPE", 0);
	table_column(t, "FILES", TABLE_RIGHT);
	table_column(t, "BYTES", TABLE_RIGHT);
	table_column(t, "TOOK", TABLE_RIGHT);
	table_column(t, "BUILT", 0);
	table_column(t, "IN", 0);
	for (size_t i = 0; i < list->len; i++)
		add_row(t, &list->items[i]);
	r = table_print(t, stdout);
	t = table_free(t);
	return r;
}

static int show(const char *path, const struct units_args *args)
{
	struct unit_list_items list;
	struct store *st;
	int r;

	if (store_open_or_say(path, 0, &st) < 0)
		return EXIT_FAILURE;
	r = unit_items_load(st, args->view, args->patterns, args->count, &list);
	if (r == 0) {
		if (args->json)
			r = print_json(st, &list);
		else if (list.len == 0)
			(void)printf("no such units in the store %s\n", path);
		else
			r = print_table(&list);
		if (r < 0)
			(void)say_error(r, "cannot print the units");
		unit_items_release(&list);
	}
	st = store_close(st);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run_units(const struct verb *self, int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, OPT_HELP },
		{ "json", no_argument, NULL, OPT_JSON },
		{ "store", required_argument, NULL, OPT_STORE },
		{ "view", required_argument, NULL, OPT_VIEW },
		{ NULL, 0, NULL, 0 },
	};
	_cleanup_free_ char *path = NULL;
	struct units_args args = { 0 };
	int c;

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
	if (store_choose(args.store, &path) < 0)
		return EXIT_FAILURE;
	return show(path, &args);
}

const struct verb verb_units = {
	.name = "units",
	.args = "[--store STORE] [--view VIEW] [--json] [PATTERN]...",
	.summary = "list the units that builds can find in the store",
	.help = "  --store STORE  the store (default: $TARGETFS_STORE, else\n"
		"                 $XDG_CACHE_HOME/targetfs/store)\n"
		"  --view VIEW    only what this view holds: its id, name, "
		"workspace or\n"
		"                 directory\n"
		"  --json         print JSON\n\n"
		"PATTERN is a shell's, for the name of a package ('serde*'), "
		"with the unit's hash\n('serde-0123456789abcdef') or for the "
		"hash alone. TOOK is what compiling took,\nSCOPE tells "
		"toolchains and environments apart.",
	.usage_status = EXIT_USAGE,
	.run = run_units,
};
