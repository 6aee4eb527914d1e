/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies single files, across filesystems.
 */
#include "config.h"

#include "tools/copy_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "store/base/macros.h"

#define COPY_BUFFER (1U << 20)

/* Linux's limits for a list of names and for one value (xattr(7)). */
#define XATTR_MAX 65536

static int copy_xattr(int from, int to, const char *name)
{
	_cleanup_free_ char *value = malloc(XATTR_MAX);
	ssize_t n;

	if (!value)
		return -ENOMEM;
	n = fgetxattr(from, name, value, XATTR_MAX);
	if (n < 0)
		return -errno;
	return fsetxattr(to, name, value, (size_t)n, 0) < 0 ? -errno : 0;
}

static int copy_xattrs(int from, int to)
{
	_cleanup_free_ char *names = NULL;
	ssize_t len = flistxattr(from, NULL, 0);

	/* Most files have none; nothing is allocated for them. */
	if (len == 0 || (len < 0 && errno == EOPNOTSUPP))
		return 0;
	names = malloc(XATTR_MAX);
	if (!names)
		return -ENOMEM;
	len = flistxattr(from, names, XATTR_MAX);
	if (len < 0)
		return -errno;
	for (const char *n = names; n < names + len; n += strlen(n) + 1) {
		int r = 0;

		if (strncmp(n, "user.", 5) == 0)
			r = copy_xattr(from, to, n);
		if (r < 0)
			return r;
	}
	return 0;
}

static int write_all(int fd, const char *p, size_t len, off_t off)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, p, len, off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		off += n;
		len -= (size_t)n;
	}
	return 0;
}

static int copy_range(int from, int to, off_t off, off_t end, char *buf)
{
	while (off < end) {
		size_t want = (size_t)MIN(end - off, (off_t)COPY_BUFFER);
		ssize_t n = pread(from, buf, want, off);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		/* It was cut short meanwhile. */
		if (n == 0)
			return -ESTALE;
		r = write_all(to, buf, (size_t)n, off);
		if (r < 0)
			return r;
		off += n;
	}
	return 0;
}

static int copy_data(int from, int to, off_t size)
{
	_cleanup_free_ char *buf = malloc(COPY_BUFFER);
	off_t off = 0, end = 0; /* the end of what was written */

	if (!buf)
		return -ENOMEM;
	while (off < size) {
		off_t data = lseek(from, off, SEEK_DATA);
		off_t hole;
		int r;

		if (data < 0 && errno == ENXIO)
			break;
		/* A filesystem that knows no holes. */
		if (data < 0 && errno == EINVAL)
			data = off;
		if (data < 0)
			return -errno;
		hole = lseek(from, data, SEEK_HOLE);
		if (hole < 0 || hole > size)
			hole = size;
		r = copy_range(from, to, data, hole, buf);
		if (r < 0)
			return r;
		off = hole;
		end = hole;
	}
	/* A hole at the end. */
	return end < size && ftruncate(to, size) < 0 ? -errno : 0;
}

static int set_mode(int fd, mode_t mode, bool *ret_plain)
{
	if (fchmod(fd, mode & 07777) == 0)
		return 0;
	if (!(mode & 07000))
		return -errno;
	*ret_plain = true;
	return fchmod(fd, mode & 0777) < 0 ? -errno : 0;
}

/* Owner, then mode (chown clears bits of it), then times: they come last. */
static int copy_meta(int from, const struct stat *st, int to, bool owner,
		     bool *ret_plain)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };
	int r;

	/* EINVAL: an owner that this user namespace does not know. */
	if (owner && fchown(to, st->st_uid, st->st_gid) < 0 && errno != EINVAL)
		return -errno;
	r = copy_xattrs(from, to);
	if (r < 0)
		return r;
	r = set_mode(to, st->st_mode, ret_plain);
	if (r < 0)
		return r;
	return futimens(to, times) < 0 ? -errno : 0;
}

static int copy_regular(int dirfd, const char *name, const struct stat *st,
			int to_dir, const char *to, bool owner, bool *ret_plain)
{
	_cleanup_close_ int from = -1;
	_cleanup_close_ int fd = -1;
	int r;

	from = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (from < 0)
		return -errno;
	fd = openat(to_dir, to,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = copy_data(from, fd, st->st_size);
	if (r < 0)
		return r;
	r = copy_meta(from, st, fd, owner, ret_plain);
	if (r < 0)
		return r;
	return close(TAKE_FD(fd)) < 0 ? -errno : 0;
}

/* What has no data: attributes go by name. */
static int copy_special_meta(const struct stat *st, int to_dir, const char *to,
			     bool owner)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	if (owner &&
	    fchownat(to_dir, to, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) <
		    0 &&
	    errno != EINVAL)
		return -errno;
	if (!S_ISLNK(st->st_mode) &&
	    fchmodat(to_dir, to, st->st_mode & 0777, 0) < 0)
		return -errno;
	return utimensat(to_dir, to, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno
								     : 0;
}

static int read_link(int dirfd, const char *name, char target[PATH_MAX])
{
	ssize_t n = readlinkat(dirfd, name, target, PATH_MAX);

	if (n < 0)
		return -errno;
	if (n == PATH_MAX)
		return -ENAMETOOLONG;
	target[n] = '\0';
	return 0;
}

static int copy_symlink(int dirfd, const char *name, int to_dir, const char *to)
{
	char target[PATH_MAX];
	int r = read_link(dirfd, name, target);

	if (r < 0)
		return r;
	return symlinkat(target, to_dir, to) < 0 ? -errno : 0;
}

int copy_entry(int dirfd, const char *name, const struct stat *st, int to_dir,
	       const char *to, bool owner, bool *ret_plain)
{
	int r;

	*ret_plain = false;
	if (S_ISREG(st->st_mode))
		return copy_regular(dirfd, name, st, to_dir, to, owner,
				    ret_plain);
	if (S_ISLNK(st->st_mode))
		r = copy_symlink(dirfd, name, to_dir, to);
	else if (S_ISFIFO(st->st_mode) || S_ISSOCK(st->st_mode))
		r = mknodat(to_dir, to, (st->st_mode & S_IFMT) | 0600, 0) < 0
			    ? -errno
			    : 0;
	else
		r = -EPERM;
	if (r < 0)
		return r;
	return copy_special_meta(st, to_dir, to, owner);
}

int copy_dir_meta(int fd, const struct stat *st, int to_dir, const char *to,
		  bool owner, bool *ret_plain)
{
	_cleanup_close_ int dir = -1;

	*ret_plain = false;
	dir = openat(to_dir, to,
		     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	return copy_meta(fd, st, dir, owner, ret_plain);
}

static bool same_target(int dirfd, const char *name, int to_dir, const char *to)
{
	char a[PATH_MAX], b[PATH_MAX];

	return read_link(dirfd, name, a) == 0 &&
	       read_link(to_dir, to, b) == 0 && strcmp(a, b) == 0;
}

bool copy_is_same(int dirfd, const char *name, const struct stat *st,
		  int to_dir, const char *to, const struct stat *there)
{
	if ((st->st_mode & S_IFMT) != (there->st_mode & S_IFMT))
		return false;
	if (S_ISLNK(st->st_mode))
		return same_target(dirfd, name, to_dir, to);
	/* Special bits may have been refused. */
	if ((st->st_mode & 0777) != (there->st_mode & 0777))
		return false;
	return !S_ISREG(st->st_mode) ||
	       (st->st_size == there->st_size &&
		st->st_mtim.tv_sec == there->st_mtim.tv_sec &&
		st->st_mtim.tv_nsec == there->st_mtim.tv_nsec);
}
