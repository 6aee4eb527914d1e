/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths as the user gives them.
 */
#include "config.h"

#include "tools/paths.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/base/macros.h"

/*
 * Splits off the last component: a copy of what is before it ("." when there
 * is nothing) and a pointer to it in @copy, which loses its trailing slashes.
 */
static int split_last(char *copy, char **ret_head, const char **ret_base)
{
	size_t len = strlen(copy);
	char *slash;

	while (len > 1 && copy[len - 1] == '/')
		copy[--len] = '\0';
	slash = strrchr(copy, '/');
	*ret_base = slash ? slash + 1 : copy;
	if (!slash)
		*ret_head = strdup(".");
	else
		*ret_head = strndup(copy,
				    slash == copy ? 1 : (size_t)(slash - copy));
	return *ret_head ? 0 : -ENOMEM;
}

static int join(const char *dir, const char *base, char **ret_path)
{
	const char *sep = strcmp(dir, "/") == 0 ? "" : "/";

	return asprintf(ret_path, "%s%s%s", dir, sep, base) < 0 ? -ENOMEM : 0;
}

static bool is_dots(const char *base)
{
	return !*base || strcmp(base, ".") == 0 || strcmp(base, "..") == 0;
}

int path_resolve(const char *arg, char **ret_path)
{
	_cleanup_free_ char *copy = NULL;
	_cleanup_free_ char *head = NULL;
	_cleanup_free_ char *dir = NULL;
	const char *base;
	char *real;
	int r;

	if (!*arg)
		return -ENOENT;
	real = realpath(arg, NULL);
	if (real) {
		*ret_path = real;
		return 0;
	}
	r = -errno;
	if (r != -ENOENT && r != -ENOTCONN && r != -EACCES && r != -EIO)
		return r;
	copy = strdup(arg);
	if (!copy)
		return -ENOMEM;
	if (split_last(copy, &head, &base) < 0)
		return -ENOMEM;
	if (is_dots(base) || strcmp(head, arg) == 0)
		return r;
	r = path_resolve(head, &dir);
	if (r < 0)
		return r;
	return join(dir, base, ret_path);
}

int path_parent(const char *arg, char **ret_path)
{
	_cleanup_free_ char *copy = NULL;
	_cleanup_free_ char *head = NULL;
	_cleanup_free_ char *up = NULL;
	const char *base;

	copy = strdup(arg);
	if (!copy)
		return -ENOMEM;
	if (split_last(copy, &head, &base) < 0)
		return -ENOMEM;
	if (!is_dots(base))
		return path_resolve(head, ret_path);
	/* "." and "..": the directory above what they name. */
	if (asprintf(&up, "%s/..", arg) < 0) {
		up = NULL;
		return -ENOMEM;
	}
	return path_resolve(up, ret_path);
}

const char *path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

bool path_within(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (strcmp(dir, "/") == 0)
		return true;
	return strncmp(path, dir, len) == 0 &&
	       (path[len] == '\0' || path[len] == '/');
}

bool path_same(const char *a, const char *b)
{
	struct stat sa, sb;

	if (strcmp(a, b) == 0)
		return true;
	return stat(a, &sa) == 0 && stat(b, &sb) == 0 &&
	       sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

int path_mkdirs(const char *path, mode_t mode, bool *ret_made)
{
	_cleanup_free_ char *up = NULL;
	struct stat st;
	bool made;
	int r;

	*ret_made = false;
	if (mkdir(path, mode) == 0) {
		*ret_made = true;
		return 0;
	}
	r = -errno;
	if (r == -EEXIST) {
		if (stat(path, &st) < 0)
			return -errno;
		return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
	}
	if (r != -ENOENT || strcmp(path, "/") == 0)
		return r;
	up = strndup(path, (size_t)(path_base(path) - path));
	if (!up)
		return -ENOMEM;
	if (strlen(up) > 1)
		up[strlen(up) - 1] = '\0';
	r = path_mkdirs(up, mode, &made);
	if (r < 0)
		return r;
	if (mkdir(path, mode) < 0)
		return -errno;
	*ret_made = true;
	return 0;
}

int path_dir_empty(const char *path)
{
	const struct dirent *e;
	DIR *d = opendir(path);
	int r = 1;

	if (!d)
		return -errno;
	errno = 0;
	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") != 0 &&
		    strcmp(e->d_name, "..") != 0) {
			r = 0;
			break;
		}
	}
	if (r == 1 && errno != 0)
		r = -errno;
	(void)closedir(d);
	return r;
}
