/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `targetfs fsck`: checks a store, and repairs it. Exit status as of fsck(8).
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/base/macros.h"
#include "store/check.h"
#include "store/store.h"
#include "tools/common.h"
#include "tools/json.h"
#include "tools/table.h"
#include "tools/verbs.h"

enum fsck_status {
	FSCK_CLEAN = 0,
	FSCK_REPAIRED = 1,
	FSCK_LEFT = 4,
	FSCK_FAILED = 8,
	FSCK_USAGE = 16,
};

struct fsck {
	const char *path;
	unsigned flags; /* enum check_flags */
	bool as_json;
	struct json json;
	bool rebuilt; /* the index was */
};

/* Each problem is written as soon as it is found. */
static void tell(const char *problem, void *arg)
{
	struct fsck *f = arg;

	if (f->as_json)
		json_str(&f->json, NULL, problem);
	else
		(void)printf("%s\n", problem);
}

static int rebuild(struct fsck *f, struct check_report *ret_report)
{
	int r = store_rebuild(f->path, tell, f, ret_report);

	f->rebuilt = r == 0;
	if (r == -EBUSY)
		say("the index of '%s' is damaged, and views of it are still "
		    "mounted; unmount them and try again",
		    f->path);
	else if (r < 0)
		(void)say_error(r, "cannot rebuild the index of '%s'", f->path);
	return r;
}

/*
 * The index is beyond a walk: with --repair it is built anew, else that is
 * what there is to report.
 */
static int check_damaged(struct fsck *f, struct check_report *ret_report)
{
	if (f->flags & CHECK_REPAIR)
		return rebuild(f, ret_report);
	tell("the index is damaged; 'targetfs fsck --repair' builds it anew "
	     "from what is on disk",
	     f);
	*ret_report = (struct check_report){ .damaged = 1 };
	return 0;
}

static int check(struct fsck *f, struct store *st,
		 struct check_report *ret_report)
{
	int r = store_check(st, f->flags, tell, f, ret_report);

	st = store_close(st);
	if (r == -EBADMSG)
		return check_damaged(f, ret_report);
	if (r < 0)
		(void)say_error(r, "cannot check the store '%s'", f->path);
	return r;
}

static int status_of(const struct check_report *rep)
{
	if (rep->damaged == 0)
		return FSCK_CLEAN;
	return rep->repaired >= rep->damaged ? FSCK_REPAIRED : FSCK_LEFT;
}

static void print_text(const struct fsck *f, const struct check_report *rep)
{
	char blobs[HUMAN_MAX], nodes[HUMAN_MAX], units[HUMAN_MAX];
	char bytes[HUMAN_MAX];

	human_count(rep->blobs, blobs);
	human_count(rep->nodes, nodes);
	human_count(rep->units, units);
	human_bytes(rep->bytes_read, bytes);
	(void)printf("%s: %" PRIu64
		     " views, %s files and directories, %s blobs, %s units",
		     f->path, rep->views, nodes, blobs, units);
	if (f->flags & CHECK_READ_DATA)
		(void)printf(", read: %s", bytes);
	if (f->rebuilt)
		(void)printf("; index rebuilt");
	if (rep->left_over > 0)
		(void)printf("; in no use any more, and %s: %" PRIu64,
			     f->flags & CHECK_REPAIR ? "removed"
						     : "freed in time",
			     rep->left_over);
	if (rep->damaged == 0) {
		(void)printf("; clean\n");
		return;
	}
	(void)printf("; problems: %" PRIu64 ", repaired: %" PRIu64,
		     rep->damaged, rep->repaired);
	if (rep->skipped > 0)
		(void)printf(", left as they are in mounted views: %" PRIu64,
			     rep->skipped);
	if (!(f->flags & CHECK_REPAIR))
		(void)printf("; 'targetfs fsck --repair' repairs them");
	(void)printf("\n");
}

static void end_json(struct fsck *f, const struct check_report *rep, int status)
{
	struct json *j = &f->json;

	json_end(j);
	json_u64(j, "views", rep->views);
	json_u64(j, "nodes", rep->nodes);
	json_u64(j, "names", rep->names);
	json_u64(j, "blobs", rep->blobs);
	json_u64(j, "units", rep->units);
	json_u64(j, "bytes_read", rep->bytes_read);
	json_u64(j, "damaged", rep->damaged);
	json_u64(j, "repaired", rep->repaired);
	json_u64(j, "skipped", rep->skipped);
	json_u64(j, "left_over", rep->left_over);
	json_bool(j, "index_rebuilt", f->rebuilt);
	json_i64(j, "status", status);
	json_end(j);
	(void)json_finish(j);
}

static int fsck(struct fsck *f)
{
	struct check_report rep = { 0 };
	struct store *st = NULL;
	int status;
	int r = store_open_damaged(f->path, 0, &st);

	if (r < 0 && r != -EBADMSG)
		return FSCK_FAILED;
	if (f->as_json) {
		f->json = json_on(stdout);
		json_object(&f->json, NULL);
		json_str(&f->json, "store", f->path);
		json_array(&f->json, "problems");
	}
	r = r == 0 ? check(f, st, &rep) : check_damaged(f, &rep);
	status = r < 0 ? FSCK_FAILED : status_of(&rep);
	/* A rebuilt index is a repair, were nothing else wrong. */
	if (status == FSCK_CLEAN && f->rebuilt)
		status = FSCK_REPAIRED;
	if (f->as_json)
		end_json(f, &rep, status);
	else if (r == 0)
		print_text(f, &rep);
	if (flush_output(0) != 0)
		return FSCK_FAILED;
	return status;
}

static int run_fsck(const struct verb *self, int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, OPT_HELP },
		{ "json", no_argument, NULL, OPT_JSON },
		{ "read-data", no_argument, NULL, OPT_READ_DATA },
		{ "repair", no_argument, NULL, OPT_REPAIR },
		{ "store", required_argument, NULL, OPT_STORE },
		{ NULL, 0, NULL, 0 },
	};
	_cleanup_free_ char *path = NULL;
	const char *store = NULL;
	struct fsck f = { 0 };
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == OPT_JSON)
			f.as_json = true;
		else if (c == OPT_READ_DATA)
			f.flags |= CHECK_READ_DATA;
		else if (c == OPT_REPAIR)
			f.flags |= CHECK_REPAIR;
		else if (c == OPT_STORE)
			store = optarg;
		else if (c == 'h' || c == OPT_HELP)
			return verb_show_help(self);
		else
			return verb_usage(self, NULL);
	}
	if (optind < argc)
		return verb_usage(self,
				  "unexpected argument '%s' (a store is named "
				  "by --store)",
				  argv[optind]);
	if (store_choose(store, &path) < 0)
		return FSCK_FAILED;
	f.path = path;
	return fsck(&f);
}

const struct verb verb_fsck = {
	.name = "fsck",
	.args = "[--store STORE] [--read-data] [--repair] [--json]",
	.summary = "check the store, and repair it",
	.help = "  --store STORE  the store (default: $TARGETFS_STORE, else\n"
		"                 $XDG_CACHE_HOME/targetfs/store)\n"
		"  --read-data    read every blob and compare its digest\n"
		"  --repair       repair what can be repaired; files whose "
		"bytes are lost are\n"
		"                 removed from their view, and cargo builds "
		"them again\n"
		"  --json         print JSON\n\n"
		"Views that are mounted are checked as last committed, and not "
		"repaired.\n\n"
		"Exit status: 0 clean, 1 all problems repaired, 4 problems "
		"left, 8 could not\ncheck, 16 wrong usage.",
	.usage_status = FSCK_USAGE,
	.run = run_fsck,
};
