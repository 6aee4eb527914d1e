/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The copying of an import: two walks over the old tree. The first copies;
 * every file is written under a name of its own at the top of the view and
 * renamed into its place when whole. The second compares each entry with its
 * copy. Then one fsync() of the view's root makes all of it durable.
 */
#include "config.h"

#include "tools/import_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/base/macros.h"
#include "tools/common.h"
#include "tools/copy_file.h"
#include "tools/walk.h"

/* Where files are written before they get their name. One import at a time
 * works on a tree, so one name is enough; a rest of an earlier one is void. */
#define TEMPORARY ".targetfs-import"

struct importer {
	int dst; /* the view's root directory */
	struct import_sums *sums;
	void *links; /* tree of struct link_first */
	bool owner;  /* keep the owner */
};

/* The first name of an inode that has several. */
struct link_first {
	ino_t ino;
	char *path;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	(void)sig;
	interrupted = 1;
}

static void catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	(void)sigaction(SIGINT, &sa, NULL);
	(void)sigaction(SIGTERM, &sa, NULL);
	(void)sigaction(SIGHUP, &sa, NULL);
}

static int compare_links(const void *a, const void *b)
{
	const struct link_first *la = a, *lb = b;

	return (la->ino > lb->ino) - (la->ino < lb->ino);
}

static void free_link(void *p)
{
	struct link_first *l = p;

	free(l->path);
	free(l);
}

/* The path of the inode's first copy; NULL for the first time. */
static const char *find_link(struct importer *im, const struct stat *st)
{
	struct link_first key = { .ino = st->st_ino };
	struct link_first **found;

	if (st->st_nlink < 2)
		return NULL;
	found = tfind(&key, &im->links, compare_links);
	return found ? (*found)->path : NULL;
}

static int remember_link(struct importer *im, const struct stat *st,
			 const char *path)
{
	struct link_first *l;

	if (st->st_nlink < 2)
		return 0;
	l = malloc(sizeof(*l));
	if (!l)
		return -ENOMEM;
	*l = (struct link_first){ .ino = st->st_ino, .path = strdup(path) };
	if (!l->path || !tsearch(l, &im->links, compare_links)) {
		free_link(l);
		return -ENOMEM;
	}
	return 0;
}

static void keep_theirs(struct importer *im, const char *path)
{
	if (im->sums->kept++ == 0)
		(void)snprintf(im->sums->first_kept,
			       sizeof(im->sums->first_kept), "%s", path);
}

/* Gives the finished temporary its name. */
static int publish(struct importer *im, const char *path)
{
	if (renameat2(im->dst, TEMPORARY, im->dst, path, RENAME_NOREPLACE) < 0)
		return -errno;
	return 0;
}

static int copy_new(struct importer *im, int dirfd, const char *name,
		    const struct stat *st, const char *path)
{
	bool plain = false;
	int r;

	if (unlinkat(im->dst, TEMPORARY, 0) < 0 && errno != ENOENT)
		return -errno;
	r = copy_entry(dirfd, name, st, im->dst, TEMPORARY, im->owner, &plain);
	if (r < 0)
		return r;
	im->sums->plain_modes += plain;
	return publish(im, path);
}

static int copy_name(struct walk *w, int dirfd, const char *name,
		     const struct stat *st)
{
	struct importer *im = w->arg;
	const char *first = find_link(im, st);
	struct stat there;
	int r;

	if (interrupted)
		return -EINTR;
	im->sums->files++;
	if (!first && S_ISREG(st->st_mode))
		im->sums->bytes += (uint64_t)st->st_size;
	if (fstatat(im->dst, w->path, &there, AT_SYMLINK_NOFOLLOW) == 0) {
		if (!copy_is_same(dirfd, name, st, im->dst, w->path, &there)) {
			keep_theirs(im, w->path);
			return 0;
		}
		return first ? 0 : remember_link(im, st, w->path);
	}
	if (errno != ENOENT)
		return -errno;
	if (first)
		return linkat(im->dst, first, im->dst, w->path, 0) < 0 ? -errno
								       : 0;
	r = copy_new(im, dirfd, name, st, w->path);
	if (r < 0)
		return r;
	return remember_link(im, st, w->path);
}

static int make_dir(struct walk *w, int dirfd, const char *name,
		    const struct stat *st)
{
	struct importer *im = w->arg;
	struct stat there;

	(void)dirfd;
	(void)name;
	(void)st;
	im->sums->dirs++;
	if (mkdirat(im->dst, w->path, 0700) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	if (fstatat(im->dst, w->path, &there, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	/* Nothing could be put below it: say so rather than skip it all. */
	if (!S_ISDIR(there.st_mode))
		return -ENOTDIR;
	/* A finished copy of an earlier import, which only root may add to. */
	if (!im->owner && (there.st_mode & 0700) != 0700 &&
	    fchmodat(im->dst, w->path, there.st_mode | 0700, 0) < 0)
		return -errno;
	return 0;
}

static int finish_dir(struct walk *w, int dirfd, const char *name,
		      const struct stat *st, int fd)
{
	struct importer *im = w->arg;
	bool plain = false;
	int r;

	(void)dirfd;
	(void)name;
	r = copy_dir_meta(fd, st, im->dst, w->path, im->owner, &plain);
	im->sums->plain_modes += plain;
	return r;
}

/* The temporary changed the top's mtime, too: it comes last. */
static int finish_top(struct importer *im, int src)
{
	struct stat st;
	bool plain = false;

	if (fstat(src, &st) < 0)
		return -errno;
	return copy_dir_meta(src, &st, im->dst, ".", im->owner, &plain);
}

static int copy_tree(struct importer *im, int src)
{
	struct walk w = {
		.on_file = copy_name,
		.on_enter = make_dir,
		.on_leave = finish_dir,
		.arg = im,
	};
	int r = walk_tree(&w, src);

	if (r == -EINTR)
		say("interrupted");
	else if (r < 0)
		(void)say_error(r, "cannot take over '%s'", w.path);
	if (r == 0) {
		r = finish_top(im, src);
		if (r < 0)
			(void)say_error(r, "cannot take over the directory");
	}
	tdestroy(im->links, free_link);
	im->links = NULL;
	return r;
}

/* Of the second walk. */
struct verifier {
	int dst;
	uint64_t files, dirs;
	uint64_t kept; /* those that differ */
};

static int verify_name(struct walk *w, int dirfd, const char *name,
		       const struct stat *st)
{
	struct verifier *v = w->arg;
	struct stat there;

	if (interrupted)
		return -EINTR;
	if (fstatat(v->dst, w->path, &there, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	v->files++;
	if (!copy_is_same(dirfd, name, st, v->dst, w->path, &there))
		v->kept++;
	return 0;
}

static int verify_dir(struct walk *w, int dirfd, const char *name,
		      const struct stat *st)
{
	struct verifier *v = w->arg;
	struct stat there;

	(void)dirfd;
	(void)name;
	(void)st;
	if (fstatat(v->dst, w->path, &there, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	v->dirs++;
	return S_ISDIR(there.st_mode) ? 0 : -ENOTDIR;
}

static int verify_tree(const struct importer *im, int src)
{
	struct verifier v = { .dst = im->dst };
	struct walk w = {
		.on_file = verify_name,
		.on_enter = verify_dir,
		.arg = &v,
	};
	int r = walk_tree(&w, src);

	if (r < 0)
		return say_error(r, "cannot verify '%s'", w.path);
	if (v.files != im->sums->files || v.dirs != im->sums->dirs ||
	    v.kept != im->sums->kept) {
		say("the copy does not equal the original: %llu of %llu files, "
		    "%llu of %llu directories, %llu files differ",
		    (unsigned long long)v.files,
		    (unsigned long long)im->sums->files,
		    (unsigned long long)v.dirs,
		    (unsigned long long)im->sums->dirs,
		    (unsigned long long)v.kept);
		return -EIO;
	}
	/* All of the view: fs/sync.h. */
	if (fsync(im->dst) < 0)
		return say_error(-errno, "cannot sync the view");
	return 0;
}

int import_copy(int src, const char *dir, struct import_sums *ret_sums)
{
	_cleanup_close_ int dst = -1;
	struct importer im = { .sums = ret_sums, .owner = geteuid() == 0 };
	int r;

	dst = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dst < 0)
		return say_error(-errno, "cannot open '%s'", dir);
	im.dst = dst;
	*ret_sums = (struct import_sums){ 0 };
	catch_signals();
	r = copy_tree(&im, src);
	return r < 0 ? r : verify_tree(&im, src);
}
