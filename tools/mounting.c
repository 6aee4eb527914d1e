/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounting, as `mount` and `run` share it.
 */
#include "config.h"

#include "tools/mounting.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "store/base/macros.h"
#include "store/store.h"
#include "store/views.h"
#include "tools/common.h"
#include "tools/paths.h"

void mount_job_init(struct mount_job *job)
{
	*job = (struct mount_job){ 0 };
	/* Root serves other users as any filesystem would. */
	job->opts.allow_other = geteuid() == 0;
}

void mount_job_release(struct mount_job *job)
{
	free(job->store);
	free(job->workspace);
	free(job->mountpoint);
	*job = (struct mount_job){ 0 };
}

static int set_option(struct session_opts *opts, const char *name, size_t len)
{
	const struct {
		const char *name;
		bool *flag;
		bool value;
		bool *other; /* no longer set then */
	} known[] = {
		{ "nopassthrough", &opts->nopassthrough, true, NULL },
		{ "nouring", &opts->nouring, true, NULL },
		{ "nofastwake", &opts->nofastwake, true, NULL },
		{ "wink", &opts->wink, true, NULL },
		{ "nowink", &opts->wink, false, NULL },
		{ "publish", &opts->publish, true, &opts->nopublish },
		{ "nopublish", &opts->nopublish, true, &opts->publish },
		{ "allow_other", &opts->allow_other, true, NULL },
		{ "noallow_other", &opts->allow_other, false, NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (strlen(known[i].name) == len &&
		    memcmp(known[i].name, name, len) == 0) {
			*known[i].flag = known[i].value;
			if (known[i].other)
				*known[i].other = false;
			return 0;
		}
	}
	return -EINVAL;
}

int mount_job_options(struct mount_job *job, const char *list)
{
	while (*list) {
		size_t len = strcspn(list, ",");

		if (len > 0 && set_option(&job->opts, list, len) < 0) {
			say("unknown option '-o %.*s'; known are: "
			    "nopassthrough, nouring, nofastwake, wink, "
			    "nowink, publish, nopublish, allow_other, "
			    "noallow_other",
			    (int)len, list);
			return -EINVAL;
		}
		list += len;
		list += *list == ',';
	}
	return 0;
}

static int find_workspace(struct mount_job *job, const char *workspace,
			  const char *dir)
{
	struct stat st;
	int r;

	if (job->opts.host)
		return 0;
	r = workspace ? path_resolve(workspace, &job->workspace)
		      : path_parent(dir, &job->workspace);
	if (r < 0)
		return say_error(r, "cannot find the workspace of '%s'", dir);
	if (stat(job->workspace, &st) < 0)
		return say_error(-errno, "cannot find the workspace '%s'",
				 job->workspace);
	if (!S_ISDIR(st.st_mode))
		return say_error(-ENOTDIR, "cannot use the workspace '%s'",
				 job->workspace);
	if (strcmp(job->workspace, "/") == 0) {
		say("'/' is not a workspace; name the one that '%s' is for "
		    "with --workspace",
		    dir);
		return -EINVAL;
	}
	return 0;
}

int mount_job_paths(struct mount_job *job, const char *store,
		    const char *workspace, const char *dir)
{
	struct mount_info around;
	int r = store_choose(store, &job->store);

	if (r < 0)
		return r;
	r = find_workspace(job, workspace, dir);
	if (r < 0)
		return r;
	r = path_resolve(dir, &job->mountpoint);
	if (r < 0)
		return say_error(r, "cannot use '%s' as the mount point", dir);
	if (path_within(job->store, job->mountpoint) ||
	    path_within(job->mountpoint, job->store)) {
		say("the store '%s' and the view '%s' may not lie in each "
		    "other; choose another store with --store",
		    job->store, job->mountpoint);
		return -EINVAL;
	}
	if (mount_find_around(job->store, &around) == 0) {
		say("the store '%s' lies in the view at '%s', and would go "
		    "with it; choose another store with --store",
		    job->store, around.mountpoint);
		mount_info_release(&around);
		return -EINVAL;
	}
	job->opts.store = job->store;
	job->opts.workspace = job->workspace;
	job->opts.mountpoint = job->mountpoint;
	return 0;
}

int mount_device_check(void)
{
	_cleanup_close_ int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return 0;
	switch (errno) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		say("no /dev/fuse here; load the kernel's module ('modprobe "
		    "fuse'), or give the container the device: docker run "
		    "--device /dev/fuse --cap-add SYS_ADMIN");
		return -ENODEV;
	case EACCES:
	case EPERM:
		say("/dev/fuse may not be opened by this user; as root: chmod "
		    "666 /dev/fuse, or in a container: docker run --device "
		    "/dev/fuse --cap-add SYS_ADMIN");
		return -EACCES;
	default:
		return say_error(-errno, "cannot open /dev/fuse");
	}
}

static int look_at_directory(const char *path, enum place *ret_place)
{
	int r = path_dir_empty(path);

	switch (r) {
	case -ENOENT:
		*ret_place = PLACE_ABSENT;
		return 0;
	case -ENOTCONN:
		say("'%s' is the mount of some other daemon that died; run: "
		    "umount '%s'",
		    path, path);
		return r;
	default:
		if (r < 0)
			return say_error(r, "cannot mount at '%s'", path);
		*ret_place = r == 1 ? PLACE_EMPTY : PLACE_FULL;
		return 0;
	}
}

int mount_place(const struct mount_job *job, enum place *ret_place)
{
	struct mount_info info;
	struct statfs fs;
	int r = mount_find(job->mountpoint, &info);

	if (r == -ENOENT)
		return look_at_directory(job->mountpoint, ret_place);
	if (r < 0)
		return say_error(r, "cannot read the table of mounts");
	mount_info_release(&info);
	/* The one question that is never answered from the kernel's cache. */
	*ret_place = statfs(job->mountpoint, &fs) < 0 && errno == ENOTCONN
			     ? PLACE_DEAD
			     : PLACE_OURS;
	return 0;
}

bool mount_is_absent(const struct mount_job *job)
{
	struct mount_info info;
	int r = mount_find(job->mountpoint, &info);

	if (r == 0)
		mount_info_release(&info);
	return r == -ENOENT;
}

int mount_clear(const struct mount_job *job)
{
	int r = mount_remove(job->mountpoint, true);

	if (r < 0 && r != -ENOENT)
		return say_error(r, "cannot clear the dead mount at '%s'",
				 job->mountpoint);
	say("cleared the mount at '%s', whose daemon had died",
	    job->mountpoint);
	return 0;
}

static void cannot_make_text(const char *dir, int r,
			     char ret_message[SESSION_MESSAGE_MAX])
{
	struct stat st;

	if (lstat(dir, &st) == 0 && S_ISLNK(st.st_mode))
		(void)snprintf(ret_message, SESSION_MESSAGE_MAX,
			       "'%s' is a symbolic link to nothing; make the "
			       "directory that it names, or remove it",
			       dir);
	else
		(void)snprintf(ret_message, SESSION_MESSAGE_MAX,
			       "cannot make the directory '%s': %s", dir,
			       strerror(-r));
}

int mount_try(struct mount_job *job, char ret_message[SESSION_MESSAGE_MAX])
{
	bool made = false;
	int r = path_mkdirs(job->mountpoint, 0777, &made);

	ret_message[0] = '\0';
	if (r < 0) {
		cannot_make_text(job->mountpoint, r, ret_message);
		return r;
	}
	r = session_start(&job->opts, ret_message);
	if (r < 0 && !ret_message[0])
		store_error_text(job->store, r, ret_message,
				 SESSION_MESSAGE_MAX);
	if (r < 0 && made)
		(void)rmdir(job->mountpoint);
	/* In the foreground the mount is over: too late for hints. */
	if (r == 0 && job->opts.foreground)
		ret_message[0] = '\0';
	return r;
}

int mount_start(struct mount_job *job)
{
	char message[SESSION_MESSAGE_MAX];
	int r = mount_device_check();

	if (r < 0)
		return r;
	r = mount_try(job, message);
	say_lines(message);
	return r;
}

/* Says of which view the mount is. */
static void say_mounted_view(const struct mount_job *job, struct store *st,
			     uint32_t id)
{
	struct view_rec rec;
	char text[16];

	(void)snprintf(text, sizeof(text), "%u", id);
	if (id == 0)
		say("'%s' already shows all views of the store '%s' (host "
		    "mode); to change that run first: targetfs umount '%s'",
		    job->mountpoint, job->store, job->mountpoint);
	else if (views_resolve(st, text, &rec) == 0)
		say("'%s' is already a mount of the view of '%s'; to change "
		    "that run first: targetfs umount '%s'",
		    job->mountpoint,
		    rec.flags & VIEW_HOST ? rec.name : rec.workspace,
		    job->mountpoint);
	else
		say("'%s' is already a mount of another view; to change that "
		    "run first: targetfs umount '%s'",
		    job->mountpoint, job->mountpoint);
}

static int compare_view(const struct mount_job *job, uint32_t id)
{
	struct view_rec rec;
	struct store *st;
	int r;

	if (job->opts.host && id == 0)
		return 0;
	r = store_open_or_say(job->store, 0, &st);
	if (r < 0)
		return r;
	r = job->opts.host ? -ENOENT : views_find(st, 0, job->workspace, &rec);
	if (r < 0 || rec.id != id) {
		say_mounted_view(job, st, id);
		r = -EEXIST;
	}
	st = store_close(st);
	return r;
}

int mount_compare(const struct mount_job *job)
{
	struct mount_info info;
	int r = mount_find(job->mountpoint, &info);

	if (r < 0)
		return say_error(r, "cannot find the mount at '%s'",
				 job->mountpoint);
	if (path_same(info.store, job->store)) {
		r = compare_view(job, info.view);
	} else {
		say("'%s' is already a mount over the store '%s', not '%s'; to "
		    "change that run first: targetfs umount '%s'",
		    job->mountpoint, info.store, job->store, job->mountpoint);
		r = -EEXIST;
	}
	mount_info_release(&info);
	return r;
}
