/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens, makes and closes a store: its directories, its format file, its
 * index. Invariant: a directory with a format file is a whole store, for that
 * file is made last and durably. All fields are constant after open; any
 * thread.
 */
#include "config.h"

#include "store/store_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "store/base/broken.h"
#include "store/base/io.h"
#include "store/base/macros.h"
#include "store/index.h"

#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif

/* Longer than any format line of ours, ever. */
#define FORMAT_MAX 256

struct store {
	char *path;
	int root, blobs, blobs_ro, staging, lease;
	struct index *index;
};

static const char format_line[] = STORE_FORMAT "\n";
static const char *const dirs[] = { "blobs", "staging", "lease" };

/*
 * A second mount of the blobs directory, read-only and detached from every
 * tree, so that it ends with its descriptor. Needs CAP_SYS_ADMIN and a kernel
 * of 5.12; -1 without.
 */
static int clone_readonly(int fd)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
			    (broken("blobs-readonly") ? 0 : MOUNT_ATTR_RDONLY),
	};
	_cleanup_close_ int tree = -1;

	tree = (int)syscall(SYS_open_tree, fd, "",
			    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
				    AT_EMPTY_PATH);
	if (tree < 0)
		return -1;
	if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr,
		    sizeof(attr)) < 0)
		return -1;
	return TAKE_FD(tree);
}

static int open_dir(int dirfd, const char *name, int *ret_fd)
{
	int fd = openat(dirfd, name,
			O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

static int open_dirs(struct store *st)
{
	int *const fds[] = { &st->blobs, &st->staging, &st->lease };
	int r;

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		r = open_dir(st->root, dirs[i], fds[i]);
		/* The format file says that they were there. */
		if (r < 0)
			return r == -ENOENT || r == -ENOTDIR || r == -ELOOP
				       ? -EBADMSG
				       : r;
	}
	st->blobs_ro = clone_readonly(st->blobs);
	return 0;
}

/* As mkdir -p; the last directory is private. */
static int make_path(const char *path)
{
	char part[PATH_MAX];
	size_t len = strlen(path);

	if (len >= sizeof(part))
		return -ENAMETOOLONG;
	memcpy(part, path, len + 1);
	for (size_t i = 1; i < len; i++) {
		if (part[i] != '/' || part[i - 1] == '/')
			continue;
		part[i] = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return -errno;
		part[i] = '/';
	}
	if (mkdir(part, 0700) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

/* What may be in a directory before it is a store: what an interrupted
 * creation left, and what mkfs makes. */
static bool may_be_ours(const char *name)
{
	static const char *const names[] = { ".",	  "..",	   "index",
					     "blobs",	  "lease", "staging",
					     "lost+found" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return !strncmp(name, ".format.", strlen(".format."));
}

static int check_unused(int root)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	struct dirent *e;
	int r;

	r = dir_open(root, ".", &dir);
	if (r < 0)
		return r;
	while (r == 0 && (errno = 0, e = readdir(dir)))
		if (!may_be_ours(e->d_name))
			r = -ENOTEMPTY;
	return r == 0 && errno ? -errno : r;
}

/*
 * 0: a store of our format. -ENOENT: there is no format file.
 */
static int check_format(int root)
{
	_cleanup_free_ void *data = NULL;
	static const char any[] = "targetfs store ";
	size_t len;
	int r;

	r = read_small_file(root, "format", FORMAT_MAX, &data, &len);
	if (r == -EFBIG || r == -EINVAL || r == -ELOOP)
		return -EBADMSG;
	if (r < 0)
		return r;
	if (len == sizeof(format_line) - 1 && !memcmp(data, format_line, len))
		return 0;
	if (len >= sizeof(any) && !memcmp(data, any, sizeof(any) - 1))
		return -ESTALE;
	return -EBADMSG;
}

static int make_dirs(int root)
{
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		if (mkdirat(root, dirs[i], 0700) < 0 && errno != EEXIST)
			return -errno;
	return 0;
}

static int write_format(int root)
{
	return write_file_atomic(root, "format", format_line,
				 sizeof(format_line) - 1, 0600);
}

/*
 * SIGKILL and power loss before the last step leave a directory without a
 * format file, in which the next creation goes on. Two processes may be here
 * at once: each step accepts what the other has done.
 */
static int create(struct store *st)
{
	int r;

	r = check_unused(st->root);
	/* An empty directory of the user's may have had any mode. */
	if (r == 0 && fchmod(st->root, 0700) < 0)
		r = -errno;
	if (r == 0)
		r = make_dirs(st->root);
	if (r < 0)
		return r;
	r = index_open(st->root, INDEX_CREATE, &st->index);
	if (r < 0)
		return r;
	r = sync_dir(st->root, "index");
	if (r == 0)
		r = sync_dir(st->root, ".");
	return r == 0 ? write_format(st->root) : r;
}

static int open_index(struct store *st, unsigned flags)
{
	int r;

	if (st->index)
		return 0;
	r = index_open(st->root, flags & STORE_READONLY ? INDEX_READONLY : 0,
		       &st->index);
	return r == -ENOENT || r == -ENOTDIR ? -EBADMSG : r;
}

static int open_root(struct store *st, const char *path, unsigned flags)
{
	int r;

	if (flags & STORE_CREATE) {
		r = make_path(path);
		if (r < 0)
			return r;
	}
	st->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (st->root < 0)
		return -errno;
	st->path = realpath(path, NULL);
	return st->path ? 0 : -errno;
}

static int open_all(struct store *st, const char *path, unsigned flags)
{
	int r;

	r = open_root(st, path, flags);
	if (r < 0)
		return r;
	r = check_format(st->root);
	if (r == -ENOENT && flags & STORE_CREATE)
		r = create(st);
	if (r == -ENOTEMPTY) {
		/* Another process may have made it a store since. */
		r = check_format(st->root);
		if (r == -ENOENT)
			r = -ENOTEMPTY;
	}
	if (r == 0)
		r = open_dirs(st);
	if (r == 0)
		r = open_index(st, flags);
	return r;
}

static struct store *store_new(void)
{
	struct store *st = malloc(sizeof(*st));

	if (st)
		*st = (struct store){
			.root = -1,
			.blobs = -1,
			.blobs_ro = -1,
			.staging = -1,
			.lease = -1,
		};
	return st;
}

int store_open(const char *path, unsigned flags, struct store **ret_store)
{
	struct store *st = store_new();
	int r;

	if (!st)
		return -ENOMEM;
	if (flags & STORE_READONLY)
		flags &= ~(unsigned)STORE_CREATE;
	r = open_all(st, path, flags);
	if (r < 0) {
		st = store_close(st);
		return r;
	}
	*ret_store = st;
	return 0;
}

/* Something of ours must be there. A format of another version is left to
 * who knows it. */
static int check_damaged(int root)
{
	int r = check_format(root);

	if (r == -ENOENT &&
	    faccessat(root, "blobs", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return -ENOENT;
	return r == -ENOENT || r == -EBADMSG ? 0 : r;
}

int store_open_damaged_dirs(const char *path, struct store **ret_store)
{
	struct store *st = store_new();
	int r;

	if (!st)
		return -ENOMEM;
	r = open_root(st, path, 0);
	if (r == 0)
		r = check_damaged(st->root);
	if (r == 0)
		r = make_dirs(st->root);
	if (r == 0)
		r = open_dirs(st);
	if (r < 0) {
		st = store_close(st);
		return r;
	}
	*ret_store = st;
	return 0;
}

void store_give_index(struct store *st, struct index *idx)
{
	st->index = idx;
}

int store_write_format(struct store *st)
{
	return write_format(st->root);
}

struct store *store_close(struct store *st)
{
	if (!st)
		return NULL;
	(void)index_close(st->index);
	closep(&st->blobs_ro);
	closep(&st->blobs);
	closep(&st->staging);
	closep(&st->lease);
	closep(&st->root);
	free(st->path);
	free(st);
	return NULL;
}

const char *store_path(const struct store *st)
{
	return st->path;
}

struct index *store_index(const struct store *st)
{
	return st->index;
}

int store_root_fd(const struct store *st)
{
	return st->root;
}

int store_blobs_fd(const struct store *st)
{
	return st->blobs;
}

int store_blobs_ro_fd(const struct store *st)
{
	return st->blobs_ro < 0 ? st->blobs : st->blobs_ro;
}

int store_staging_fd(const struct store *st)
{
	return st->staging;
}

int store_lease_fd(const struct store *st)
{
	return st->lease;
}
