/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole reads and writes, copies, atomic files. No state; any thread.
 */
#include "config.h"

#include "store/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/base/macros.h"

/* Large enough that the system call does not count, small enough for a heap
 * under pressure. */
#define COPY_PIECE (256 * 1024)

int read_full(int fd, void *p, size_t len, size_t *ret_len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, (char *)p + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	*ret_len = done;
	return 0;
}

int pread_full(int fd, void *p, size_t len, off_t off, size_t *ret_len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, (char *)p + done, len - done,
				  off + (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	*ret_len = done;
	return 0;
}

int write_full(int fd, const void *p, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = write(fd, (const char *)p + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		done += (size_t)n;
	}
	return 0;
}

int pwrite_full(int fd, const void *p, size_t len, off_t off)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pwrite(fd, (const char *)p + done, len - done,
				   off + (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		done += (size_t)n;
	}
	return 0;
}

static int copy_by_hand(int in, off_t in_off, int out, off_t out_off,
			uint64_t len, uint64_t *ret_done)
{
	_cleanup_free_ char *piece = malloc(COPY_PIECE);
	uint64_t done = 0;
	int r;

	if (!piece)
		return -ENOMEM;
	while (done < len) {
		size_t n = (size_t)MIN(len - done, COPY_PIECE), got;

		r = pread_full(in, piece, n, in_off + (off_t)done, &got);
		if (r < 0)
			return r;
		r = pwrite_full(out, piece, got, out_off + (off_t)done);
		if (r < 0)
			return r;
		done += got;
		if (got < n)
			break;
	}
	*ret_done = done;
	return 0;
}

/* Errors by which a kernel or filesystem says that it cannot copy this pair
 * of files, as opposed to failing at it. */
static int cannot_copy(int err)
{
	return err == EXDEV || err == EINVAL || err == ENOSYS ||
	       err == EOPNOTSUPP || err == EPERM || err == EBADF;
}

static int copy_data(int in, off_t in_off, int out, off_t out_off, uint64_t len,
		     uint64_t *ret_done)
{
	uint64_t done = 0, rest = 0;
	int r;

	while (done < len) {
		off_t from = in_off + (off_t)done, to = out_off + (off_t)done;
		size_t want = (size_t)MIN(len - done, SSIZE_MAX);
		ssize_t n = copy_file_range(in, &from, out, &to, want, 0);

		if (n > 0) {
			done += (uint64_t)n;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && !cannot_copy(errno))
			return -errno;
		/* 0 is the end of the file, or a filesystem that has nothing
		 * to say (procfs): reading tells them apart. */
		r = copy_by_hand(in, in_off + (off_t)done, out,
				 out_off + (off_t)done, len - done, &rest);
		if (r < 0)
			return r;
		done += rest;
		break;
	}
	*ret_done = done;
	return 0;
}

/* The range reads as zeros afterwards; it may lie past the end of the file. */
static int clear_range(int fd, off_t off, off_t len)
{
	static const char zeros[4096];
	struct stat s;
	int r;

	if (fstat(fd, &s) < 0)
		return -errno;
	if (off >= s.st_size)
		return 0;
	len = MIN(len, s.st_size - off);
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off,
		      len) == 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != ENOSYS)
		return -errno;
	for (off_t done = 0; done < len;) {
		size_t n = (size_t)MIN(len - done, (off_t)sizeof(zeros));

		r = pwrite_full(fd, zeros, n, off + done);
		if (r < 0)
			return r;
		done += (off_t)n;
	}
	return 0;
}

/* The extent of data at or after @off, within @end; start == @end: only a
 * hole is left. */
static int next_data(int fd, off_t off, off_t end, off_t *ret_start,
		     off_t *ret_end)
{
	off_t start = lseek(fd, off, SEEK_DATA), hole;

	if (start < 0 && errno == ENXIO) {
		*ret_start = *ret_end = end;
		return 0;
	}
	if (start < 0 && errno != EINVAL && errno != ESPIPE)
		return -errno;
	if (start < 0) {
		*ret_start = off;
		*ret_end = end;
		return 0;
	}
	hole = lseek(fd, start, SEEK_HOLE);
	*ret_start = MIN(start, end);
	*ret_end = hole < 0 || hole > end ? end : hole;
	return 0;
}

/* A hole at the end of the copy has to be made visible by the size. */
static int size_at_least(int fd, off_t size)
{
	struct stat s;

	if (fstat(fd, &s) < 0)
		return -errno;
	if (S_ISREG(s.st_mode) && s.st_size < size && ftruncate(fd, size) < 0)
		return -errno;
	return 0;
}

int copy_range(int in, off_t in_off, int out, off_t out_off, uint64_t len,
	       uint64_t *ret_copied)
{
	off_t delta = out_off - in_off, end, off = in_off, data = 0, hole = 0;
	uint64_t done = 0;
	struct stat s;
	int r;

	if (fstat(in, &s) < 0)
		return -errno;
	if (in_off < 0 || out_off < 0)
		return -EINVAL;
	end = in_off < s.st_size ? s.st_size : in_off;
	if (len < (uint64_t)(end - in_off))
		end = in_off + (off_t)len;
	while (off < end) {
		r = next_data(in, off, end, &data, &hole);
		if (r < 0)
			return r;
		if (data > off) {
			r = clear_range(out, off + delta, data - off);
			if (r < 0)
				return r;
		}
		off = data;
		if (data >= end)
			break;
		r = copy_data(in, data, out, data + delta,
			      (uint64_t)(hole - data), &done);
		if (r < 0)
			return r;
		off += (off_t)done;
		if (off < hole)
			break; /* it became shorter meanwhile */
	}
	if (off > in_off) {
		r = size_at_least(out, off + delta);
		if (r < 0)
			return r;
	}
	if (ret_copied)
		*ret_copied = (uint64_t)(off - in_off);
	return 0;
}

int read_small_file(int dirfd, const char *name, size_t max, void **ret_data,
		    size_t *ret_len)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *data = NULL;
	struct stat s;
	size_t len;
	int r;

	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &s) < 0)
		return -errno;
	if (!S_ISREG(s.st_mode))
		return -EINVAL;
	if (s.st_size < 0 || (uint64_t)s.st_size > max)
		return -EFBIG;
	/* One byte more than its size tells a file that grew. */
	data = malloc((size_t)s.st_size + 1);
	if (!data)
		return -ENOMEM;
	r = pread_full(fd, data, (size_t)s.st_size + 1, 0, &len);
	if (r < 0)
		return r;
	if (len > (size_t)s.st_size)
		return -EAGAIN;
	data[len] = '\0';
	*ret_data = TAKE_PTR(data);
	*ret_len = len;
	return 0;
}

static int create_temp(int dirfd, const char *name, mode_t mode, char *temp,
		       size_t temp_size)
{
	uint64_t salt;
	int fd;

	for (;;) {
		if (getrandom(&salt, sizeof(salt), 0) != sizeof(salt))
			return -EIO;
		if ((size_t)snprintf(temp, temp_size, ".%s.%016" PRIx64, name,
				     salt) >= temp_size)
			return -ENAMETOOLONG;
		fd = openat(dirfd, temp,
			    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
		if (fd >= 0)
			return fd;
		if (errno != EEXIST)
			return -errno;
	}
}

int write_file_atomic(int dirfd, const char *name, const void *p, size_t len,
		      mode_t mode)
{
	char temp[NAME_MAX + 1];
	_cleanup_close_ int fd = -1;
	int r;

	fd = create_temp(dirfd, name, mode, temp, sizeof(temp));
	if (fd < 0)
		return fd;
	r = write_full(fd, p, len);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && renameat(dirfd, temp, dirfd, name) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlinkat(dirfd, temp, 0);
		return r;
	}
	return sync_dir(dirfd, ".");
}

int dir_open(int dirfd, const char *name, DIR **ret_dir)
{
	_cleanup_close_ int fd = -1;
	DIR *dir;

	fd = openat(dirfd, name,
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir)
		return -errno;
	(void)TAKE_FD(fd);
	*ret_dir = dir;
	return 0;
}

int sync_dir(int dirfd, const char *name)
{
	_cleanup_close_ int fd = -1;

	fd = openat(dirfd, name,
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}
