/* SPDX-License-Identifier: Apache-2.0 */
/* The newest file of a package; see newest.h. */
#include "config.h"

#include "fs/newest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/hashes.h"
#include "fs/outside.h"
#include "store/base/io.h"
#include "store/base/macros.h"
#include "store/base/time.h"

#define DEPTH_MAX 64
#define GITIGNORE_MAX ((size_t)1 << 20)

struct search {
	struct newest *newest;
	char path[PATH_MAX];
	unsigned count;
	bool in_git, lock_is_ignored;
};

static int walk(struct search *s, int fd, size_t len, unsigned depth);

static bool is_left_out(const struct search *s, const char *name,
			unsigned depth)
{
	if (strcmp(name, ".git") == 0 || (name[0] == '.' && !s->in_git))
		return true;
	return depth == 0 &&
	       (strcmp(name, "target") == 0 ||
		(s->lock_is_ignored && strcmp(name, "Cargo.lock") == 0));
}

static int look_at_subdir(struct search *s, int dirfd, const char *name,
			  size_t len, unsigned depth)
{
	int fd = outside_open(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);

	if (fd < 0)
		return fd;
	/* Another package. */
	if (faccessat(fd, "Cargo.toml", F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		(void)close(fd);
		return 0;
	}
	return walk(s, fd, len, depth + 1);
}

/* @s->path is the file's, @name its last part. */
static int look_at_file(struct search *s, int dirfd, const char *name)
{
	_cleanup_close_ int fd = outside_open(dirfd, name, O_PATH);
	struct stat st;
	int64_t time;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -ELOOP;
	time = nsec_of(st.st_mtim);
	if (!S_ISREG(st.st_mode) || time <= s->newest->nsec)
		return 0;
	s->newest->nsec = time;
	memcpy(s->newest->path, s->path, strlen(s->path) + 1);
	return 0;
}

static int look_at(struct search *s, int dirfd, const struct dirent *d,
		   size_t len, unsigned depth)
{
	size_t n = strlen(d->d_name);
	bool is_dir = d->d_type == DT_DIR;
	struct stat st;

	if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0 ||
	    is_left_out(s, d->d_name, depth))
		return 0;
	if (++s->count > HASHED_TREE_MAX || depth > DEPTH_MAX)
		return -E2BIG;
	if (len + n + 2 > sizeof(s->path))
		return -ENAMETOOLONG;
	if (d->d_type == DT_UNKNOWN) {
		if (fstatat(dirfd, d->d_name, &st,
			    AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
			return -errno;
		is_dir = S_ISDIR(st.st_mode);
	}
	memcpy(s->path + len, d->d_name, n + 1);
	if (!is_dir)
		return look_at_file(s, dirfd, d->d_name);
	s->path[len + n] = '/';
	return look_at_subdir(s, dirfd, d->d_name, len + n + 1, depth);
}

/* Takes @fd. In the order of the directory, which is cargo's. */
static int walk(struct search *s, int fd, size_t len, unsigned depth)
{
	DIR *dir = fdopendir(fd);
	const struct dirent *d;
	int r = 0;

	if (!dir) {
		r = -errno;
		(void)close(fd);
		return r;
	}
	while (r == 0 && (d = readdir(dir)) != NULL)
		r = look_at(s, fd, d, len, depth);
	(void)closedir(dir);
	return r;
}

static bool is_in_git(const char *workspace, const char *package)
{
	char path[PATH_MAX * 2 + 16];
	char *slash;
	int n;

	n = snprintf(path, sizeof(path), "%s/%s",
		     package[0] == '/' ? "" : workspace, package);
	if (n < 0 || (size_t)n >= sizeof(path) - sizeof("/.git"))
		return false;
	do {
		slash = path + strlen(path);
		(void)strcpy(slash, "/.git");
		if (access(path, F_OK) == 0)
			return true;
		*slash = '\0';
		slash = strrchr(path, '/');
		if (slash)
			*slash = '\0';
	} while (slash);
	return false;
}

static bool ignores_lock(int base_fd, const char *package)
{
	_cleanup_free_ void *text = NULL;
	char path[PATH_MAX + 16];
	size_t len;

	(void)snprintf(path, sizeof(path), "%s/.gitignore", package);
	if (read_small_file(base_fd, path, GITIGNORE_MAX, &text, &len) < 0)
		return false;
	for (const char *l = text; l; l = strchr(l, '\n')) {
		l += *l == '\n';
		l += *l == '/';
		if (strncmp(l, "Cargo.lock", 10) == 0 &&
		    strchr("\r\n", l[10]) != NULL)
			return true;
	}
	return false;
}

int newest_find(int base_fd, const char *workspace, const char *package,
		struct newest *ret_newest)
{
	struct search s = { .newest = ret_newest,
			    .in_git = is_in_git(workspace, package) };
	int fd = outside_open(base_fd, package, O_RDONLY | O_DIRECTORY);

	if (fd < 0)
		return fd;
	s.lock_is_ignored = s.in_git && ignores_lock(base_fd, package);
	ret_newest->nsec = 0;
	ret_newest->path[0] = '\0';
	return walk(&s, fd, 0, 0);
}
