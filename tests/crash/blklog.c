/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk that remembers: a FUSE file that a loop device is put on, and ext4 on
 * that. Every write, flush and discard of the filesystem above is appended, in
 * order, to a log; blkreplay.py makes of any beginning of the log the disk as
 * a power cut would have left it. It does not need the kernel's device mapper.
 *
 *	blklog IMAGE LOG MOUNTPOINT [option of libfuse...]
 *
 *	MOUNTPOINT/disk	 the disk, as large as IMAGE, which holds its content
 *	MOUNTPOINT/mark	 what is written here goes into the log as a mark
 *	MOUNTPOINT/ctl	 switches faults: "ok", "eio-write", "eio-read",
 *			 "eio-sync", "enospc", "eio-write-after N",
 *			 "eio-sync-after N", "drop" (acknowledge and forget)
 *	MOUNTPOINT/stat	 counters
 *
 * Log: records of struct record (little-endian), each followed by its data if
 * it is a write or a mark. One thread (-s), so that the order of the log is
 * the order on the disk.
 */
#define FUSE_USE_VERSION 31
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define RECORD_MAGIC 0x474f4c42u /* "BLOG" */

enum record_type {
	RECORD_WRITE = 1,
	RECORD_FLUSH = 2,
	RECORD_DISCARD = 3,
	RECORD_MARK = 4,
};

struct record {
	uint32_t magic, type;
	uint64_t off, len;
} __attribute__((packed));

enum fault { NO_FAULT, DROP, EIO_WRITE, EIO_READ, EIO_SYNC, NO_SPACE };
enum file { FILE_DISK = 1, FILE_MARK, FILE_CTL, FILE_STAT };

static int image, log_fd;
static enum fault fault;
static long writes_left = -1, syncs_left = -1; /* until EIO; -1: never */
static uint64_t writes, flushes, discards, marks, errors;

static void append(enum record_type type, uint64_t off, uint64_t len,
		   const void *data)
{
	struct record rec = { RECORD_MAGIC, type, off, len };
	struct iovec v[2] = {
		{ &rec, sizeof(rec) },
		{ (void *)(uintptr_t)data, data ? len : 0 },
	};

	if (writev(log_fd, v, data ? 2 : 1) !=
	    (ssize_t)(sizeof(rec) + v[1].iov_len)) {
		perror("blklog: cannot write the log");
		abort();
	}
}

static enum file file_of(const char *path)
{
	return !strcmp(path, "/disk")	? FILE_DISK
	       : !strcmp(path, "/mark") ? FILE_MARK
	       : !strcmp(path, "/ctl")	? FILE_CTL
	       : !strcmp(path, "/stat") ? FILE_STAT
					: 0;
}

static int op_getattr(const char *path, struct stat *st,
		      struct fuse_file_info *fi)
{
	struct stat of_image;

	(void)fi;
	memset(st, 0, sizeof(*st));
	if (strcmp(path, "/") == 0) {
		st->st_mode = S_IFDIR | 0755;
		st->st_nlink = 2;
		return 0;
	}
	if (!file_of(path))
		return -ENOENT;
	st->st_mode = S_IFREG | 0600;
	st->st_nlink = 1;
	if (file_of(path) == FILE_DISK && fstat(image, &of_image) == 0) {
		st->st_size = of_image.st_size;
		st->st_blocks = of_image.st_blocks;
	}
	if (file_of(path) == FILE_STAT)
		st->st_size = 4096;
	return 0;
}

static int op_readdir(const char *path, void *buf, fuse_fill_dir_t fill,
		      off_t off, struct fuse_file_info *fi,
		      enum fuse_readdir_flags flags)
{
	static const char *const names[] = { ".",    "..",  "disk",
					     "mark", "ctl", "stat" };

	(void)path, (void)off, (void)fi, (void)flags;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		fill(buf, names[i], NULL, 0, 0);
	return 0;
}

static int op_open(const char *path, struct fuse_file_info *fi)
{
	fi->fh = file_of(path);
	if (!fi->fh)
		return -ENOENT;
	if (fi->fh != FILE_DISK)
		fi->direct_io = 1;
	return 0;
}

static int op_truncate(const char *path, off_t size, struct fuse_file_info *fi)
{
	(void)size, (void)fi;
	return file_of(path) == FILE_DISK ? -EPERM : 0;
}

static int read_stat(char *buf, size_t len, off_t off)
{
	char text[256];
	int n = snprintf(text, sizeof(text),
			 "writes %llu flushes %llu discards %llu marks %llu "
			 "errors %llu\n",
			 (unsigned long long)writes,
			 (unsigned long long)flushes,
			 (unsigned long long)discards,
			 (unsigned long long)marks, (unsigned long long)errors);

	if (off >= n)
		return 0;
	if (len > (size_t)(n - off))
		len = (size_t)(n - off);
	memcpy(buf, text + off, len);
	return (int)len;
}

static int op_read(const char *path, char *buf, size_t len, off_t off,
		   struct fuse_file_info *fi)
{
	ssize_t n;

	(void)path;
	if (fi->fh == FILE_STAT)
		return read_stat(buf, len, off);
	if (fi->fh != FILE_DISK)
		return 0;
	if (fault == EIO_READ) {
		errors++;
		return -EIO;
	}
	n = pread(image, buf, len, off);
	return n < 0 ? -errno : (int)n;
}

static void control(const char *text)
{
	static const struct {
		const char *text;
		enum fault fault;
	} faults[] = {
		{ "eio-write", EIO_WRITE }, { "eio-read", EIO_READ },
		{ "eio-sync", EIO_SYNC },   { "enospc", NO_SPACE },
		{ "drop", DROP },
	};

	fault = NO_FAULT;
	writes_left = syncs_left = -1;
	if (sscanf(text, "eio-write-after %ld", &writes_left) == 1 ||
	    sscanf(text, "eio-sync-after %ld", &syncs_left) == 1)
		return;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		if (strncmp(text, faults[i].text, strlen(faults[i].text)) == 0)
			fault = faults[i].fault;
}

static int write_disk(const char *buf, size_t len, off_t off)
{
	ssize_t n;

	if (writes_left >= 0 && writes_left-- == 0)
		fault = EIO_WRITE;
	if (fault == EIO_WRITE || fault == NO_SPACE) {
		errors++;
		return fault == NO_SPACE ? -ENOSPC : -EIO;
	}
	writes++;
	if (fault == DROP)
		return (int)len;
	append(RECORD_WRITE, (uint64_t)off, len, buf);
	n = pwrite(image, buf, len, off);
	return n < 0 ? -errno : (int)n;
}

static int op_write(const char *path, const char *buf, size_t len, off_t off,
		    struct fuse_file_info *fi)
{
	char text[128] = "";

	(void)path;
	switch (fi->fh) {
	case FILE_DISK:
		return write_disk(buf, len, off);
	case FILE_MARK:
		append(RECORD_MARK, 0, len, buf);
		marks++;
		return (int)len;
	case FILE_CTL:
		memcpy(text, buf,
		       len < sizeof(text) - 1 ? len : sizeof(text) - 1);
		control(text);
		return (int)len;
	default:
		return -EBADF;
	}
}

static int op_fsync(const char *path, int datasync, struct fuse_file_info *fi)
{
	(void)path, (void)datasync;
	if (fi->fh != FILE_DISK)
		return 0;
	if (syncs_left >= 0 && syncs_left-- == 0)
		fault = EIO_SYNC;
	if (fault == EIO_SYNC || fault == EIO_WRITE) {
		errors++;
		return -EIO;
	}
	flushes++;
	if (fault != DROP)
		append(RECORD_FLUSH, 0, 0, NULL);
	return 0;
}

static int op_fallocate(const char *path, int mode, off_t off, off_t len,
			struct fuse_file_info *fi)
{
	(void)path;
	if (fi->fh != FILE_DISK ||
	    !(mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)))
		return -EOPNOTSUPP;
	if (fault == EIO_WRITE) {
		errors++;
		return -EIO;
	}
	discards++;
	if (fault == DROP)
		return 0;
	append(RECORD_DISCARD, (uint64_t)off, (uint64_t)len, NULL);
	return fallocate(image, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off,
			 len) < 0
		       ? -errno
		       : 0;
}

static const struct fuse_operations ops = {
	.getattr = op_getattr,
	.readdir = op_readdir,
	.open = op_open,
	.truncate = op_truncate,
	.read = op_read,
	.write = op_write,
	.fsync = op_fsync,
	.fallocate = op_fallocate,
};

int main(int argc, char **argv)
{
	static char one_thread[] = "-s";
	char *args[32];
	int n = 0;

	if (argc < 4 || argc > 30) {
		fprintf(stderr, "usage: blklog IMAGE LOG MOUNTPOINT "
				"[option of libfuse...]\n");
		return 2;
	}
	image = open(argv[1], O_RDWR | O_CLOEXEC);
	log_fd = open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (image < 0 || log_fd < 0) {
		perror("blklog");
		return 2;
	}
	args[n++] = argv[0];
	args[n++] = argv[3];
	args[n++] = one_thread;
	for (int i = 4; i < argc; i++)
		args[n++] = argv[i];
	return fuse_main(n, args, &ops, NULL);
}
