/* SPDX-License-Identifier: Apache-2.0 */
/* A workspace's commit; see commit.h and gitrepository-layout(5). */
#include "config.h"

#include "fs/commit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/outside.h"
#include "store/base/io.h"
#include "store/base/macros.h"

/* Repositories with 100,000 packed refs have about 8 MiB of them. */
#define FILE_MAX ((size_t)64 << 20)

static int join(char ret[PATH_MAX], const char *dir, const char *path)
{
	int n = path[0] == '/' ? snprintf(ret, PATH_MAX, "%s", path)
			       : snprintf(ret, PATH_MAX, "%s/%s", dir, path);

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static int read_text(const char *mountpoint, const char *dir, const char *name,
		     void **ret_text)
{
	char path[PATH_MAX], real[PATH_MAX];
	size_t len;
	int r;

	r = join(path, dir, name);
	if (r == 0)
		r = outside_resolve(mountpoint, path, true, real);
	return r < 0 ? r
		     : read_small_file(AT_FDCWD, real, FILE_MAX, ret_text,
				       &len);
}

/* The first line, behind @prefix; -ENOENT: it begins otherwise. */
static int read_line(const char *mountpoint, const char *dir, const char *name,
		     const char *prefix, char ret[PATH_MAX])
{
	_cleanup_free_ void *text = NULL;
	const char *s;
	size_t len;
	int r;

	r = read_text(mountpoint, dir, name, &text);
	if (r < 0)
		return r;
	s = text;
	if (strncmp(s, prefix, strlen(prefix)) != 0)
		return -ENOENT;
	s += strlen(prefix);
	len = strcspn(s, "\r\n");
	if (len >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(ret, s, len);
	ret[len] = '\0';
	return 0;
}

/* ".git" of the workspace or above it, or what a file of that name leads to;
 * "": there is none. */
static int find_repository(const char *workspace, const char *mountpoint,
			   char ret_dir[PATH_MAX])
{
	char dir[PATH_MAX], git[PATH_MAX], real[PATH_MAX], path[PATH_MAX];
	char *slash;
	struct stat st;
	int r;

	r = join(dir, "", workspace);
	for (; r == 0; *slash = '\0') {
		r = join(git, dir, ".git");
		if (r == 0)
			r = outside_resolve(mountpoint, git, true, real);
		if (r == 0) {
			if (stat(real, &st) < 0)
				return -errno;
			if (S_ISDIR(st.st_mode))
				return join(ret_dir, "", real);
			r = read_line(mountpoint, dir, ".git",
				      "gitdir: ", path);
			return r < 0 ? r : join(ret_dir, dir, path);
		}
		if (r != -ENOENT)
			return r;
		r = 0;
		slash = strrchr(dir, '/');
		if (!slash)
			break;
	}
	ret_dir[0] = '\0';
	return r;
}

static int find_packed(const char *mountpoint, const char *dir, const char *ref,
		       char ret_commit[PATH_MAX])
{
	_cleanup_free_ void *text = NULL;
	size_t n = strlen(ref);
	int r;

	r = read_text(mountpoint, dir, "packed-refs", &text);
	if (r < 0)
		return r;
	for (const char *l = text; l; l = strchr(l, '\n')) {
		size_t hash;

		l += *l == '\n';
		hash = strcspn(l, " \n");
		if (hash >= COMMIT_MAX || l[hash] != ' ' ||
		    strncmp(l + hash + 1, ref, n) != 0 ||
		    (l[hash + 1 + n] != '\n' && l[hash + 1 + n] != '\0'))
			continue;
		memcpy(ret_commit, l, hash);
		ret_commit[hash] = '\0';
		return 0;
	}
	return -ENOENT;
}

/* A worktree has its own HEAD, and shares the branches. */
static int find_ref(const char *mountpoint, const char *dir, const char *ref,
		    char ret_commit[PATH_MAX])
{
	char common[PATH_MAX], path[PATH_MAX];
	int r;

	r = read_line(mountpoint, dir, "commondir", "", path);
	if (r == 0)
		r = join(common, dir, path);
	else if (r == -ENOENT)
		r = join(common, "", dir);
	if (r == 0)
		r = read_line(mountpoint, common, ref, "", ret_commit);
	return r == -ENOENT ? find_packed(mountpoint, common, ref, ret_commit)
			    : r;
}

int commit_of(const char *workspace, const char *mountpoint,
	      char ret_commit[COMMIT_MAX])
{
	char dir[PATH_MAX], ref[PATH_MAX], commit[PATH_MAX] = "";
	int r;

	r = find_repository(workspace, mountpoint, dir);
	if (r == 0 && dir[0] != '\0') {
		r = read_line(mountpoint, dir, "HEAD", "ref: ", ref);
		if (r == 0)
			r = find_ref(mountpoint, dir, ref, commit);
		else if (r == -ENOENT)
			r = read_line(mountpoint, dir, "HEAD", "", commit);
	}
	if (r < 0)
		return r;
	if (strlen(commit) >= COMMIT_MAX)
		return -EBADMSG;
	memcpy(ret_commit, commit, strlen(commit) + 1);
	return 0;
}
