/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `targetfs mount DIR`: a view over DIR.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

#include "store/base/macros.h"
#include "tools/announce.h"
#include "tools/common.h"
#include "tools/import.h"
#include "tools/mounting.h"
#include "tools/verbs.h"

struct mount_args {
	struct mount_job job;
	const char *store, *workspace;
	bool import, help;
};

static void say_full(const struct mount_job *job)
{
	if (job->opts.host)
		say("'%s' is not empty; name an empty or a new directory",
		    job->mountpoint);
	else
		say("'%s' is not empty; to take its files over into the view: "
		    "targetfs mount --import '%s'; or empty it first (cargo "
		    "clean)",
		    job->mountpoint, job->mountpoint);
}

static void say_left_over(const char *dir)
{
	_cleanup_free_ char *aside = NULL;

	if (import_find(dir, &aside) == 0)
		say("an interrupted import is in '%s'; 'targetfs mount "
		    "--import' takes the rest of it over",
		    aside);
}

static int mount_plainly(struct mount_job *job)
{
	say_left_over(job->mountpoint);
	return job->opts.foreground ? announce_and_mount(job)
				    : mount_start(job);
}

static int mount_already(const struct mount_job *job)
{
	int r = mount_compare(job);

	if (r < 0)
		return r;
	if (job->opts.foreground) {
		say("'%s' is already mounted; to serve it from here, run "
		    "first: targetfs umount '%s'",
		    job->mountpoint, job->mountpoint);
		return -EEXIST;
	}
	say("'%s' is already mounted", job->mountpoint);
	return 0;
}

/* The import needs the mount served beside it: by a daemon, for its time. */
static int mount_and_take_over(struct mount_job *job, const char *aside,
			       enum place place)
{
	bool foreground = job->opts.foreground;
	int r;

	if (place == PLACE_OURS)
		r = mount_compare(job);
	else {
		job->opts.foreground = false;
		r = mount_start(job);
		job->opts.foreground = foreground;
	}
	if (r < 0)
		return r;
	r = import_take_over(aside, job);
	if (r < 0 || !foreground)
		return r;
	r = mount_remove(job->mountpoint, false);
	if (r < 0)
		return say_error(r, "cannot unmount '%s' after the import",
				 job->mountpoint);
	return announce_and_mount(job);
}

static int import_full(struct mount_job *job)
{
	_cleanup_free_ char *aside = NULL;
	int r = import_prepare(job);

	if (r < 0)
		return r;
	r = import_set_aside(job->mountpoint, &aside);
	if (r < 0)
		return r;
	r = mount_and_take_over(job, aside, PLACE_EMPTY);
	/* Only what was never mounted can simply be put back. */
	if (r < 0 && mount_is_absent(job))
		import_put_back(job->mountpoint, aside);
	return r;
}

static int mount_importing(struct mount_job *job, enum place place)
{
	_cleanup_free_ char *aside = NULL;
	int r = import_find(job->mountpoint, &aside);

	if (r == 0 && place == PLACE_FULL) {
		say("both '%s' and the interrupted import '%s' hold files; "
		    "move one of them away",
		    job->mountpoint, aside);
		return -ENOTEMPTY;
	}
	if (r == 0)
		return mount_and_take_over(job, aside, place);
	if (r != -ENOENT)
		return r;
	if (place == PLACE_FULL)
		return import_full(job);
	say("nothing to import at '%s'", job->mountpoint);
	return place == PLACE_OURS ? mount_already(job) : mount_plainly(job);
}

static int mount_job_run(struct mount_job *job, bool import)
{
	enum place place;
	int r = mount_place(job, &place);

	if (r < 0)
		return r;
	if (place == PLACE_DEAD) {
		r = mount_clear(job);
		if (r == 0)
			r = mount_place(job, &place);
		if (r < 0)
			return r;
	}
	if (import)
		return mount_importing(job, place);
	if (place == PLACE_OURS)
		return mount_already(job);
	if (place == PLACE_FULL) {
		say_full(job);
		return -ENOTEMPTY;
	}
	return mount_plainly(job);
}

static int mount_with(const struct verb *self, struct mount_args *args,
		      const char *dir)
{
	struct mount_job *job = &args->job;

	if (job->opts.host && (args->workspace || args->import))
		return verb_usage(self, "--host goes without --workspace and "
					"--import");
	if (mount_job_paths(job, args->store, args->workspace, dir) < 0)
		return EXIT_FAILURE;
	return mount_job_run(job, args->import) < 0 ? EXIT_FAILURE
						    : EXIT_SUCCESS;
}

/* -EINVAL: said already what is wrong. */
static int take_option(struct mount_args *args, int c)
{
	switch (c) {
	case 'f':
		args->job.opts.foreground = true;
		args->job.opts.log_path = "-";
		return 0;
	case 'o':
		return mount_job_options(&args->job, optarg);
	case OPT_HOST:
		args->job.opts.host = true;
		return 0;
	case OPT_IMPORT:
		args->import = true;
		return 0;
	case OPT_STORE:
		args->store = optarg;
		return 0;
	case OPT_WORKSPACE:
		args->workspace = optarg;
		return 0;
	case 'h':
	case OPT_HELP:
		args->help = true;
		return 0;
	default:
		return -EINVAL;
	}
}

static int parse_and_mount(const struct verb *self, int argc, char **argv,
			   struct mount_args *args)
{
	static const struct option options[] = {
		{ "foreground", no_argument, NULL, 'f' },
		{ "help", no_argument, NULL, OPT_HELP },
		{ "host", no_argument, NULL, OPT_HOST },
		{ "import", no_argument, NULL, OPT_IMPORT },
		{ "options", required_argument, NULL, 'o' },
		{ "store", required_argument, NULL, OPT_STORE },
		{ "workspace", required_argument, NULL, OPT_WORKSPACE },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "fho:", options, NULL)) != -1) {
		if (take_option(args, c) < 0)
			return verb_usage(self, NULL);
		if (args->help)
			return verb_show_help(self);
	}
	if (argc - optind != 1)
		return verb_usage(self, optind == argc ? "which DIR to mount?"
						       : "one DIR at a time");
	if (!*argv[optind])
		return verb_usage(self, "DIR is empty; which one to mount?");
	return mount_with(self, args, argv[optind]);
}

static int run_mount(const struct verb *self, int argc, char **argv)
{
	struct mount_args args = { 0 };
	int status;

	mount_job_init(&args.job);
	status = parse_and_mount(self, argc, argv, &args);
	mount_job_release(&args.job);
	return status;
}

const struct verb verb_mount = {
	.name = "mount",
	.args = "[--store STORE] [--workspace DIR] [--host] [--import]\n"
		"                      [--foreground] [-o OPTIONS] DIR",
	.summary = "mount the view of a workspace, usually over its target/",
	.help = "  --store STORE    where the bytes are kept (default: "
		"$TARGETFS_STORE, else\n"
		"                   $XDG_CACHE_HOME/targetfs/store)\n"
		"  --workspace DIR  the workspace the view belongs to "
		"(default: the parent\n"
		"                   of the mount point)\n"
		"  --host           show all views of the store as "
		"directories; mkdir makes one\n"
		"  --import         take the files of a target directory over "
		"that is not empty\n"
		"  -f, --foreground serve from this process, until it is "
		"unmounted\n"
		"  -o OPTIONS       separated by commas: nopassthrough, "
		"nouring, nofastwake, wink,\n"
		"                   nowink, publish, nopublish, allow_other, "
		"noallow_other\n\n"
		"The view of a workspace is found again at the next mount, "
		"with everything in\nit. 'cargo clean' empties a mounted "
		"view, but cannot remove the directory, and\nsays so; "
		"'targetfs run -- cargo clean' empties it and succeeds.",
	.usage_status = EXIT_USAGE,
	.run = run_mount,
};
