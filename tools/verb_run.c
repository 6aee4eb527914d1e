/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `targetfs run -- cargo build`: the command, with the view of the workspace
 * mounted over its target directory. A build never fails because of us:
 * whatever goes wrong here is a warning, and the command runs.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fs/counters.h"
#include "store/base/macros.h"
#include "store/lease.h"
#include "tools/cargo_args.h"
#include "tools/common.h"
#include "tools/mounting.h"
#include "tools/project.h"
#include "tools/run_child.h"
#include "tools/table.h"
#include "tools/verbs.h"
#include "tools/walk.h"

/* As env(1), nohup(1) and their like end. */
enum run_status {
	RUN_USAGE = 125,
	RUN_CANNOT = 126,
	RUN_NOT_FOUND = 127,
};

/* How long to wait for another `run` that is mounting the same view. */
#define BUSY_TRIES 300
#define BUSY_NSEC 100000000L

static bool is_mounted(const struct mount_job *job)
{
	struct mount_info info;

	if (mount_find(job->mountpoint, &info) < 0)
		return false;
	mount_info_release(&info);
	return true;
}

/*
 * Two commands that start together both find nothing mounted, and the one that
 * comes second finds the view's lease taken, or the view in its way: then it
 * waits for the first.
 */
static int mount_or_wait(struct mount_job *job)
{
	const struct timespec pause = { .tv_nsec = BUSY_NSEC };
	char message[SESSION_MESSAGE_MAX];
	int r = mount_device_check();

	if (r < 0)
		return r;
	r = mount_try(job, message);
	if (r < 0 && is_mounted(job))
		return 0;
	for (int i = 0; r == -EBUSY && i < BUSY_TRIES; i++) {
		(void)nanosleep(&pause, NULL);
		if (is_mounted(job))
			return 0;
	}
	say_lines(message);
	return r;
}

static int ensure_mounted(struct mount_job *job)
{
	enum place place;
	int r;

	r = mount_place(job, &place);
	if (r == 0 && place == PLACE_DEAD) {
		r = mount_clear(job);
		if (r == 0)
			r = mount_place(job, &place);
	}
	if (r < 0 || place == PLACE_OURS)
		return r;
	/* Another has mounted it since, and what was found is the view's. */
	if (place == PLACE_FULL && is_mounted(job))
		return 0;
	if (place == PLACE_FULL) {
		say("'%s' is not empty; 'targetfs mount --import %s' takes its "
		    "files over into a view",
		    job->mountpoint, job->mountpoint);
		return -ENOTEMPTY;
	}
	return mount_or_wait(job);
}

/* 1 when a view is at the project's target directory, else 0, after a
 * warning. */
static int mount_project(struct mount_job *job, const char *store,
			 const struct project *p)
{
	int r = mount_job_paths(job, store, p->root, p->target);

	if (r == 0)
		r = ensure_mounted(job);
	if (r < 0)
		say("warning: going on without a view");
	return r < 0 ? 0 : 1;
}

/*
 * cargo removes the target directory itself at the end, which the kernel
 * refuses for a mount point. So this empties the view in its place.
 */
static int clean_view(const struct mount_job *job, bool quiet)
{
	_cleanup_free_ char *where = NULL;
	_cleanup_close_ int fd = -1;
	struct tree_sums sums = { 0 };
	char files[HUMAN_MAX], bytes[HUMAN_MAX];
	int r;

	fd = open(job->mountpoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = fd < 0 ? -errno : tree_empty(fd, &sums, &where);
	if (r < 0) {
		(void)say_error(r, "cannot remove '%s/%s'", job->mountpoint,
				where ? where : "");
		return EXIT_FAILURE;
	}
	human_files(sums.files, files);
	human_bytes(sums.bytes, bytes);
	if (!quiet)
		say("removed %s, %s, from the view at '%s', which stays "
		    "mounted",
		    files, bytes, job->mountpoint);
	return EXIT_SUCCESS;
}

static int execute(char **argv)
{
	int r;

	(void)execvp(argv[0], argv);
	r = -errno;
	(void)say_error(r, "cannot run '%s'", argv[0]);
	return r == -ENOENT ? RUN_NOT_FOUND : RUN_CANNOT;
}

/* --- what it got from the store ------------------------------------------- */

/* The view's counters before the command. */
struct before {
	uint32_t view;
	char *store; /* owned */
	struct lease_page page;
};

static bool look(struct before *b, struct lease_page *ret_page)
{
	bool held;

	return lease_peek_at(b->store, b->view, &held, ret_page) == 0 && held &&
	       ret_page->magic == LEASE_MAGIC;
}

static bool asks_for_quiet(const struct cargo_args *args)
{
	const char *env = getenv("CARGO_TERM_QUIET");

	return args->quiet || (env && strcmp(env, "true") == 0);
}

/* Whether there can be anything to say at the end. */
static bool look_before(const struct mount_job *job,
			const struct cargo_args *args, struct before *b)
{
	struct mount_info info;
	bool wink;

	if (!args->is_cargo || asks_for_quiet(args) ||
	    mount_find(job->mountpoint, &info) < 0)
		return false;
	b->view = info.view;
	b->store = strdup(info.store);
	mount_info_release(&info);
	wink = b->store && look(b, &b->page) && b->page.features & FEATURE_WINK;
	if (!wink)
		free(TAKE_PTR(b->store));
	return wink;
}

static void say_saved(const void *arg)
{
	struct before b = *(const struct before *)arg;
	const uint64_t *old = b.page.counters;
	struct lease_page now;
	char count[HUMAN_MAX], saved[HUMAN_MAX];
	uint64_t units;

	/* Of another mount they would have begun anew. */
	if (!look(&b, &now) || now.pid != b.page.pid ||
	    now.since != b.page.since)
		return;
	units = now.counters[COUNTER_WINKED_IN] - old[COUNTER_WINKED_IN];
	if (units == 0)
		return;
	human_count(units, count);
	human_msec(now.counters[COUNTER_SAVED_MSEC] - old[COUNTER_SAVED_MSEC],
		   saved);
	say("%s unit%s fresh from the store, %s of compiling saved", count,
	    units == 1 ? "" : "s", saved);
}

/* Where there may be something to say afterwards, the command gets a process of
 * its own, else ours. */
static int execute_and_say(const struct mount_job *job,
			   const struct cargo_args *args, char **argv)
{
	struct before b = { 0 };
	int status = -ENOENT;

	if (look_before(job, args, &b))
		status = run_child(execute, argv, say_saved, &b);
	free(b.store);
	return status < 0 ? execute(argv) : status;
}

static int run_command(struct mount_job *job, const char *store, char **argv)
{
	struct cargo_args args = cargo_args_of(argv);
	struct project project = { 0 };
	int mounted = 0;
	int r = project_find(argv, &args, &project);

	if (r == 0) {
		mounted = mount_project(job, store, &project);
		project_release(&project);
	} else {
		say("warning: no cargo project around the working directory; "
		    "going on without a view");
	}
	if (mounted && args.cleans_all)
		return clean_view(job, args.quiet);
	return mounted ? execute_and_say(job, &args, argv) : execute(argv);
}

static int run_run(const struct verb *self, int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, OPT_HELP },
		{ "options", required_argument, NULL, 'o' },
		{ "store", required_argument, NULL, OPT_STORE },
		{ NULL, 0, NULL, 0 },
	};
	const char *store = NULL;
	struct mount_job job;
	int c, status;

	mount_job_init(&job);
	/* '+': the command's own options are not ours. */
	while ((c = getopt_long(argc, argv, "+ho:", options, NULL)) != -1) {
		if (c == OPT_STORE)
			store = optarg;
		else if (c == 'h' || c == OPT_HELP)
			return verb_show_help(self);
		else if (c != 'o' || mount_job_options(&job, optarg) < 0)
			return verb_usage(self, NULL);
	}
	if (optind == argc)
		return verb_usage(self, "which command to run?");
	status = run_command(&job, store, argv + optind);
	mount_job_release(&job);
	return status;
}

const struct verb verb_run = {
	.name = "run",
	.args = "[--store STORE] [-o OPTIONS] [--] COMMAND [ARGUMENT]...",
	.summary = "run a command with the view mounted over target/",
	.help = "  --store STORE  the store (default: $TARGETFS_STORE, else\n"
		"                 $XDG_CACHE_HOME/targetfs/store)\n"
		"  -o OPTIONS     as of 'targetfs mount'\n\n"
		"Mounts the view of the workspace around the working directory "
		"over its target\ndirectory ($CARGO_TARGET_DIR and "
		"$CARGO_BUILD_TARGET_DIR count; build.target-dir\nin a file "
		"does not), unless it is mounted. It stays mounted. What "
		"stands in the\nway is a warning: the command is run in any "
		"case, and its exit status is\npassed on (125 to 127 as of "
		"env(1)). 'cargo clean' without a selection empties\nthe view "
		"and leaves it mounted.\n\n"
		"With -o wink a last line says how many units were in the "
		"store, and what compiling\nthem took where they were built; "
		"not with -q.",
	.usage_status = RUN_USAGE,
	.run = run_run,
};
