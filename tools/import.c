/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps of an import around the copying: what may be taken over, and where
 * the old tree is kept meanwhile.
 */
#include "config.h"

#include "tools/import.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "store/base/macros.h"
#include "store/store.h"
#include "store/views.h"
#include "tools/common.h"
#include "tools/import_copy.h"
#include "tools/mounting.h"
#include "tools/paths.h"
#include "tools/table.h"
#include "tools/walk.h"

#define ASIDE_SUFFIX ".import-"

/* @name is "<base>.import-<digits>" */
static bool is_aside_name(const char *name, const char *base)
{
	size_t len = strlen(base);

	if (strncmp(name, base, len) != 0)
		return false;
	name += len;
	if (strncmp(name, ASIDE_SUFFIX, strlen(ASIDE_SUFFIX)) != 0)
		return false;
	name += strlen(ASIDE_SUFFIX);
	return *name && strspn(name, "0123456789") == strlen(name);
}

static int join(const char *dir, const char *name, char **ret_path)
{
	return asprintf(ret_path, "%s/%s", dir, name) < 0 ? -ENOMEM : 0;
}

int import_find(const char *dir, char **ret_aside)
{
	_cleanup_free_ char *parent = NULL;
	_cleanup_free_ char *found = NULL;
	const struct dirent *e;
	DIR *d;
	int r = path_parent(dir, &parent);

	if (r < 0)
		return r;
	d = opendir(parent);
	if (!d)
		return -errno;
	while (r == 0 && (e = readdir(d))) {
		if (!is_aside_name(e->d_name, path_base(dir)))
			continue;
		if (found) {
			say("several interrupted imports lie beside '%s': "
			    "'%s' and '%s'; move all but one away",
			    dir, path_base(found), e->d_name);
			r = -EEXIST;
		} else {
			r = join(parent, e->d_name, &found);
		}
	}
	(void)closedir(d);
	if (r < 0)
		return r;
	*ret_aside = TAKE_PTR(found);
	return *ret_aside ? 0 : -ENOENT;
}

/* The view has to be empty: two trees of builds do not make one. */
static int check_view_free(const struct mount_job *job)
{
	char files[HUMAN_MAX];
	struct view_usage usage;
	struct view_rec rec;
	struct store *st;
	int r;

	if (access(job->store, F_OK) < 0)
		return 0;
	/* Not yet a store, but a directory: the mount says what is wrong. */
	if (path_dir_empty(job->store) == 1)
		return 0;
	r = store_open_or_say(job->store, 0, &st);
	if (r < 0)
		return r;
	r = views_find(st, 0, job->workspace, &rec);
	if (r == 0)
		r = views_usage(st, rec.id, &usage);
	st = store_close(st);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return say_error(r, "cannot look at the view of '%s'",
				 job->workspace);
	if (usage.files + usage.others == 0 && usage.dirs <= 1)
		return 0;
	human_files(usage.files, files);
	say("the view of '%s' already holds %s: to keep those, move "
	    "'%s' away and mount without --import; to replace them, run first: "
	    "targetfs drop '%s'",
	    job->workspace, files, job->mountpoint, job->workspace);
	return -ENOTEMPTY;
}

static bool is_cargo_lock(const char *name)
{
	size_t len = strlen(name);

	return strncmp(name, ".cargo", 6) == 0 && len > 10 &&
	       strcmp(name + len - 4, "lock") == 0;
}

static int survey_file(struct walk *w, int dirfd, const char *name,
		       const struct stat *st)
{
	struct tree_sums *sums = w->arg;

	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
		return -EPERM;
	sums->files++;
	/* A share for each name, so that an inode counts about once. */
	sums->blocks += (uint64_t)st->st_blocks / st->st_nlink;
	if (S_ISREG(st->st_mode))
		sums->bytes += (uint64_t)st->st_size / st->st_nlink;
	if (S_ISREG(st->st_mode) && is_cargo_lock(name)) {
		/* Kept open, and so locked, until the process ends. */
		int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 &&
		    errno == EWOULDBLOCK) {
			(void)close(fd);
			return -EBUSY;
		}
	}
	return 0;
}

static int survey(const char *dir, struct tree_sums *sums)
{
	_cleanup_close_ int fd = -1;
	struct walk w = { .on_file = survey_file, .arg = sums };
	int r;

	fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	r = fd < 0 ? -errno : walk_tree(&w, fd);
	if (r == -EBUSY)
		say("a cargo is at work in '%s'; wait until it ends", dir);
	else if (r == -EXDEV)
		say("'%s/%s' is a mount point; unmount it first", dir, w.path);
	else if (r == -EPERM)
		say("'%s/%s' is a device, which a view cannot hold; remove it "
		    "first",
		    dir, w.path);
	else if (r < 0)
		(void)say_error(r, "cannot read '%s/%s'", dir, w.path);
	return r;
}

/* For the time of the import its bytes exist twice. */
static int check_room(const struct mount_job *job, const struct tree_sums *sums)
{
	_cleanup_free_ char *path = strdup(job->store);
	char need[HUMAN_MAX], have[HUMAN_MAX];
	struct statvfs vfs;
	uint64_t avail;

	if (!path)
		return -ENOMEM;
	while (statvfs(path, &vfs) < 0) {
		char *slash = strrchr(path, '/');

		if (errno != ENOENT || !slash || slash == path)
			return 0;
		*slash = '\0';
	}
	avail = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	if (avail >= sums->blocks * 512)
		return 0;
	human_bytes(sums->blocks * 512, need);
	human_bytes(avail, have);
	say("no space left to take '%s' over: it needs %s, and '%s' has %s; "
	    "make room, or choose another store with --store",
	    job->mountpoint, need, job->store, have);
	return -ENOSPC;
}

int import_prepare(const struct mount_job *job)
{
	struct tree_sums sums = { 0 };
	int r = mount_device_check();

	if (r < 0)
		return r;
	r = check_view_free(job);
	if (r < 0)
		return r;
	r = survey(job->mountpoint, &sums);
	if (r < 0)
		return r;
	return check_room(job, &sums);
}

static int make_in_place(const char *dir, const struct stat *st)
{
	_cleanup_close_ int fd = -1;

	if (mkdir(dir, 0700) < 0)
		return -errno;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* EINVAL: an owner that this user namespace does not know. */
	if (geteuid() == 0 && fchown(fd, st->st_uid, st->st_gid) < 0 &&
	    errno != EINVAL)
		return -errno;
	if (fchmod(fd, st->st_mode & 07777) < 0)
		return -errno;
	return 0;
}

/* The renaming survives a power loss before anything builds on it. */
static int sync_parent(const char *dir)
{
	_cleanup_free_ char *parent = NULL;
	_cleanup_close_ int fd = -1;
	int r = path_parent(dir, &parent);

	if (r < 0)
		return r;
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return fsync(fd) < 0 ? -errno : 0;
}

int import_set_aside(const char *dir, char **ret_aside)
{
	_cleanup_free_ char *aside = NULL;
	struct stat st;
	int r;

	if (asprintf(&aside, "%s" ASIDE_SUFFIX "%d", dir, (int)getpid()) < 0) {
		aside = NULL;
		return -ENOMEM;
	}
	if (stat(dir, &st) < 0)
		return say_error(-errno, "cannot look at '%s'", dir);
	if (renameat2(AT_FDCWD, dir, AT_FDCWD, aside, RENAME_NOREPLACE) < 0) {
		if (errno != EBUSY)
			return say_error(-errno, "cannot rename '%s' to '%s'",
					 dir, aside);
		say("'%s' is a mount point itself and cannot be moved aside; "
		    "copy its files elsewhere and mount over an empty one",
		    dir);
		return -EBUSY;
	}
	r = make_in_place(dir, &st);
	if (r == 0)
		r = sync_parent(dir);
	if (r < 0) {
		import_put_back(dir, aside);
		return say_error(r, "cannot make '%s' anew", dir);
	}
	*ret_aside = TAKE_PTR(aside);
	return 0;
}

void import_put_back(const char *dir, const char *aside)
{
	(void)rmdir(dir);
	if (renameat2(AT_FDCWD, aside, AT_FDCWD, dir, RENAME_NOREPLACE) < 0)
		say("cannot rename '%s' back: %s; your files are in '%s'", dir,
		    strerror(errno), aside);
}

/* The lock that keeps two imports of one tree apart. */
static int lock_aside(const char *aside, int *ret_fd)
{
	int fd = open(aside, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return say_error(-errno, "cannot open '%s'", aside);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		(void)close(fd);
		say("'%s' is being imported by another targetfs; wait for it",
		    aside);
		return -EBUSY;
	}
	*ret_fd = fd;
	return 0;
}

static void say_done(const char *dir, const struct import_sums *sums)
{
	char files[HUMAN_MAX], bytes[HUMAN_MAX];

	human_files(sums->files, files);
	human_bytes(sums->bytes, bytes);
	say("took over %s, %s, into the view at '%s'", files, bytes, dir);
	if (sums->plain_modes > 0)
		say("%llu of them lost their setuid, setgid or sticky bits, "
		    "which a view does not keep",
		    (unsigned long long)sums->plain_modes);
}

int import_take_over(const char *aside, const struct mount_job *job)
{
	_cleanup_free_ char *where = NULL;
	_cleanup_close_ int src = -1;
	struct import_sums sums = { 0 };
	const char *dir = job->mountpoint;
	int r = lock_aside(aside, &src);

	if (r < 0)
		return r;
	r = import_copy(src, dir, &sums);
	if (r < 0) {
		say("nothing is lost: what was not taken over yet is in '%s'; "
		    "the same command goes on from here",
		    aside);
		return r;
	}
	if (sums.kept > 0) {
		say("%llu files differ from those that the view got meanwhile, "
		    "'%s' first; the view's were kept, the others are in "
		    "'%s': remove it when you do not need it",
		    (unsigned long long)sums.kept, sums.first_kept, aside);
		return -EEXIST;
	}
	say_done(dir, &sums);
	r = tree_remove(aside, &where);
	if (r < 0)
		(void)say_error(r,
				"everything is in the view, but '%s' cannot be "
				"removed (at '%s')",
				aside, where ? where : "");
	return r;
}
