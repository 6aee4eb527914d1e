/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks and removes directory trees.
 */
#include "config.h"

#include "tools/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/base/io.h"
#include "store/base/macros.h"

static int walk_dir(struct walk *w, int fd);

static int walk_subdir(struct walk *w, int dirfd, const char *name,
		       const struct stat *st)
{
	_cleanup_close_ int fd = -1;
	int r = 0;

	if (st->st_dev != w->dev)
		return -EXDEV;
	if (w->on_enter)
		r = w->on_enter(w, dirfd, name, st);
	if (r < 0)
		return r;
	fd = openat(dirfd, name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = walk_dir(w, fd);
	if (r == 0 && w->on_leave)
		r = w->on_leave(w, dirfd, name, st, fd);
	return r;
}

static int walk_entry(struct walk *w, int dirfd, const char *name)
{
	size_t before = w->len, len = strlen(name);
	struct stat st;
	int r = 0;

	if (before + len + 2 > sizeof(w->path))
		return -ENAMETOOLONG;
	if (before > 0)
		w->path[w->len++] = '/';
	memcpy(w->path + w->len, name, len + 1);
	w->len += len;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		r = walk_subdir(w, dirfd, name, &st);
	else if (w->on_file)
		r = w->on_file(w, dirfd, name, &st);
	if (r < 0)
		return r;
	w->len = before;
	w->path[before] = '\0';
	return 0;
}

static int walk_dir(struct walk *w, int fd)
{
	_cleanup_(closedirp) DIR *d = NULL;
	const struct dirent *e;
	int r;

	/* A description of its own, since the position is part of it. */
	r = dir_open(fd, ".", &d);
	if (r < 0)
		return r;
	for (;;) {
		errno = 0;
		e = readdir(d);
		if (!e)
			return -errno;
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		r = walk_entry(w, fd, e->d_name);
		if (r < 0)
			return r;
	}
}

int walk_tree(struct walk *w, int fd)
{
	struct stat st;

	w->len = 0;
	w->path[0] = '\0';
	if (fstat(fd, &st) < 0)
		return -errno;
	w->dev = st.st_dev;
	return walk_dir(w, fd);
}

static int remove_file(struct walk *w, int dirfd, const char *name,
		       const struct stat *st)
{
	struct tree_sums *sums = w->arg;

	if (unlinkat(dirfd, name, 0) < 0)
		return -errno;
	sums->files++;
	if (S_ISREG(st->st_mode) && st->st_nlink == 1) {
		sums->bytes += (uint64_t)st->st_size;
		sums->blocks += (uint64_t)st->st_blocks;
	}
	return 0;
}

/* A directory without write permission can be emptied by its owner, too. */
static int open_to_remove(struct walk *w, int dirfd, const char *name,
			  const struct stat *st)
{
	(void)w;
	/* Root needs none, and shall not be led to change another's mode. */
	if (geteuid() == 0 || (st->st_mode & 0700) == 0700)
		return 0;
	return fchmodat(dirfd, name, st->st_mode | 0700, 0) < 0 ? -errno : 0;
}

static int remove_dir(struct walk *w, int dirfd, const char *name,
		      const struct stat *st, int fd)
{
	struct tree_sums *sums = w->arg;

	(void)st;
	(void)fd;
	if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0)
		return -errno;
	sums->dirs++;
	return 0;
}

int tree_empty(int fd, struct tree_sums *sums, char **ret_path)
{
	struct tree_sums unused = { 0 };
	struct walk w = {
		.on_file = remove_file,
		.on_enter = open_to_remove,
		.on_leave = remove_dir,
		.arg = sums ? sums : &unused,
	};
	int r = walk_tree(&w, fd);

	if (r < 0 && ret_path)
		*ret_path = strdup(w.path);
	return r;
}

int tree_remove(const char *path, char **ret_path)
{
	_cleanup_close_ int fd = -1;
	int r;

	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = tree_empty(fd, NULL, ret_path);
	if (r < 0)
		return r;
	return rmdir(path) < 0 ? -errno : 0;
}
