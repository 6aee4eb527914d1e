/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `targetfs views`: the views of a store.
 */
#include "config.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/base/macros.h"
#include "store/store.h"
#include "tools/common.h"
#include "tools/json.h"
#include "tools/table.h"
#include "tools/verbs.h"
#include "tools/view_list.h"

static void json_view(struct json *j, const struct view_item *v)
{
	json_object(j, NULL);
	json_u64(j, "id", v->rec.id);
	json_str(j, "name", v->rec.name);
	json_bool(j, "host", v->rec.flags & VIEW_HOST);
	if (v->rec.flags & VIEW_HOST)
		json_null(j, "workspace");
	else
		json_str(j, "workspace", v->rec.workspace);
	json_bool(j, "workspace_gone", v->workspace_gone);
	json_bool(j, "being_dropped", v->rec.flags & VIEW_DROPPED);
	json_u64(j, "files", v->usage.files);
	json_u64(j, "directories", v->usage.dirs);
	json_u64(j, "bytes", v->usage.logical);
	json_i64(j, "created", v->rec.created);
	json_i64(j, "last_mounted", v->rec.mounted);
	if (v->held) {
		json_object(j, "mounted");
		json_str(j, "directory", v->page.mountpoint);
		json_u64(j, "pid", v->page.pid);
		json_i64(j, "since", v->page.since);
		json_end(j);
	} else {
		json_null(j, "mounted");
	}
	json_end(j);
}

static int print_json(const struct store *st, const struct view_list *list)
{
	struct json j = json_on(stdout);

	json_object(&j, NULL);
	json_str(&j, "store", store_path(st));
	json_array(&j, "views");
	for (size_t i = 0; i < list->len; i++)
		json_view(&j, &list->items[i]);
	json_end(&j);
	json_end(&j);
	return json_finish(&j);
}

static void add_state(struct text_table *t, const struct view_item *v)
{
	char when[HUMAN_MAX];
	char *text = NULL;

	if (v->rec.flags & VIEW_DROPPED) {
		table_cell(t, "being dropped");
	} else if (v->held) {
		if (asprintf(&text, "%s (pid %" PRIu64 ")", v->page.mountpoint,
			     v->page.pid) < 0)
			text = NULL;
		table_cell(t, text);
		free(text);
	} else {
		human_time(v->rec.mounted, when);
		if (asprintf(&text, "no; last %s", when) < 0)
			text = NULL;
		table_cell(t, v->rec.mounted ? text : "never yet");
		free(text);
	}
}

static void add_row(struct text_table *t, const struct view_item *v)
{
	char id[16];
	char *text = NULL;

	(void)snprintf(id, sizeof(id), "%u", v->rec.id);
	table_row(t);
	table_cell(t, id);
	table_cell(t, v->rec.name);
	table_cell_count(t, v->usage.files);
	table_cell_bytes(t, v->usage.logical);
	if (v->rec.flags & VIEW_HOST) {
		table_cell(t, "(host mode)");
	} else if (v->workspace_gone) {
		if (asprintf(&text, "%s (gone)", v->rec.workspace) < 0)
			text = NULL;
		table_cell(t, text);
		free(text);
	} else {
		table_cell(t, v->rec.workspace);
	}
	add_state(t, v);
}

static int print_table(const struct view_list *list)
{
	struct text_table *t = table_new(0);
	int r;

	table_column(t, "ID", TABLE_RIGHT);
	table_column(t, "NAME", 0);
	table_column(t, "FILES", TABLE_RIGHT);
	table_column(t, "BYTES", TABLE_RIGHT);
	table_column(t, "WORKSPACE", 0);
	table_column(t, "MOUNTED", 0);
	for (size_t i = 0; i < list->len; i++)
		add_row(t, &list->items[i]);
	r = table_print(t, stdout);
	t = table_free(t);
	return r;
}

static int show(const char *path, bool json)
{
	struct view_list list;
	struct store *st;
	int r;

	if (store_open_or_say(path, 0, &st) < 0)
		return EXIT_FAILURE;
	r = view_list_load(st, &list);
	if (r == 0) {
		if (json)
			r = print_json(st, &list);
		else if (list.len == 0)
			(void)printf("no views in the store %s\n", path);
		else
			r = print_table(&list);
		if (r < 0)
			(void)say_error(r, "cannot print the views");
		view_list_release(&list);
	}
	st = store_close(st);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run_views(const struct verb *self, int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, OPT_HELP },
		{ "json", no_argument, NULL, OPT_JSON },
		{ "store", required_argument, NULL, OPT_STORE },
		{ NULL, 0, NULL, 0 },
	};
	_cleanup_free_ char *path = NULL;
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
		else
			return verb_usage(self, NULL);
	}
	if (optind < argc)
		return verb_usage(self, "unexpected argument '%s'",
				  argv[optind]);
	if (store_choose(store, &path) < 0)
		return EXIT_FAILURE;
	return show(path, json);
}

const struct verb verb_views = {
	.name = "views",
	.args = "[--store STORE] [--json]",
	.summary = "list the views of the store and where they are mounted",
	.help = "  --store STORE  the store (default: $TARGETFS_STORE, else\n"
		"                 $XDG_CACHE_HOME/targetfs/store)\n"
		"  --json         print JSON\n\n"
		"BYTES counts each file once, however many names it has and "
		"whether or not\nother views share it. '(gone)' marks "
		"workspaces that do not exist any more:\n'targetfs drop' "
		"frees what they hold.",
	.usage_status = EXIT_USAGE,
	.run = run_views,
};
