/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `targetfs umount DIR`: ends a mount, and names who is in the way.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "fs/session.h"
#include "store/base/macros.h"
#include "tools/common.h"
#include "tools/paths.h"
#include "tools/proc_users.h"
#include "tools/verbs.h"

static void say_busy(const char *dir)
{
	_cleanup_free_ char *inside = NULL;
	_cleanup_free_ char *who = NULL;

	if (mount_find_below(dir, &inside) == 0)
		say("'%s' is mounted inside of '%s'; unmount that first, or "
		    "detach both at once with 'targetfs umount --lazy'",
		    inside, dir);
	else if (proc_users(dir, &who) == 0 && who)
		say("'%s' is in use by %s; end them, or detach it at once with "
		    "'targetfs umount --lazy'",
		    dir, who);
	else
		say("'%s' is in use; end what runs there, or detach it at once "
		    "with 'targetfs umount --lazy'",
		    dir);
}

/* It could not be unmounted, or was, and its daemon ended with an error. */
static void say_other_error(const char *dir, int r)
{
	struct mount_info info;

	if (mount_find(dir, &info) == 0) {
		mount_info_release(&info);
		(void)say_error(r, "cannot unmount '%s'", dir);
		return;
	}
	say("'%s' is unmounted, but its last changes could not be written to "
	    "the store: %s; the view is as it was before them, and cargo will "
	    "build them again",
	    dir, strerror(-r));
}

static int say_failure(const char *dir, int r)
{
	switch (r) {
	case -ENOENT:
		say("'%s' is not a mounted view; 'targetfs views' shows what "
		    "is mounted where",
		    dir);
		break;
	case -EBUSY:
		say_busy(dir);
		break;
	case -EPERM:
	case -EACCES:
		say("'%s' was mounted by another user, who (or root) has to "
		    "unmount it",
		    dir);
		break;
	case -EOPNOTSUPP:
		say("'%s' is still mounted: fusermount3 needs /etc/mtab, which "
		    "is missing here; as root: ln -s /proc/self/mounts "
		    "/etc/mtab",
		    dir);
		break;
	case -EUSERS:
		say("'%s' is unmounted here, but still mounted elsewhere, as in "
		    "a container that was started meanwhile: until that ends "
		    "the daemon goes on and the view is in use",
		    dir);
		break;
	case -ETIMEDOUT:
		say("'%s' is unmounted, but its daemon is still at work: it "
		    "writes to the store, or a container that was started "
		    "meanwhile has the view mounted; wait before you shut down "
		    "or copy the store",
		    dir);
		break;
	case -ECONNABORTED:
		say("'%s' is unmounted, but its daemon ended before it had "
		    "committed everything; the last second of changes may be "
		    "lost, and cargo will build it again",
		    dir);
		return EXIT_SUCCESS;
	default:
		say_other_error(dir, r);
	}
	return EXIT_FAILURE;
}

static int run_umount(const struct verb *self, int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, OPT_HELP },
		{ "lazy", no_argument, NULL, 'l' },
		{ NULL, 0, NULL, 0 },
	};
	_cleanup_free_ char *dir = NULL;
	bool lazy = false;
	int c, r;

	while ((c = getopt_long(argc, argv, "hl", options, NULL)) != -1) {
		if (c == 'l')
			lazy = true;
		else if (c == 'h' || c == OPT_HELP)
			return verb_show_help(self);
		else
			return verb_usage(self, NULL);
	}
	if (argc - optind != 1)
		return verb_usage(self, optind == argc ? "which DIR to unmount?"
						       : "one DIR at a time");
	r = path_resolve(argv[optind], &dir);
	if (r < 0) {
		(void)say_error(r, "cannot find '%s'", argv[optind]);
		return EXIT_FAILURE;
	}
	r = mount_remove(dir, lazy);
	return r < 0 ? say_failure(dir, r) : EXIT_SUCCESS;
}

const struct verb verb_umount = {
	.name = "umount",
	.args = "[--lazy] DIR",
	.summary = "end a mount; what is in the view stays in the store",
	.help = "  -l, --lazy  detach DIR at once, even while it is in use\n\n"
		"Returns when everything is committed to the store.",
	.usage_status = EXIT_USAGE,
	.run = run_umount,
};
