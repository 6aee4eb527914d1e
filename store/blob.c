/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blob files and staging files. Owns STORE/blobs and STORE/staging.
 *
 * Invariants: a file in blobs/ has the contents its name says, whole and
 * synced, from the moment it has the name; it is never written again. A blob
 * file may exist without a row in the index, a row of tier BLOB_FILE never
 * without its file.
 *
 * Threads: any. No state but in the filesystem.
 */
#include "config.h"

#include "store/blob.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/base/broken.h"
#include "store/base/io.h"
#include "store/base/macros.h"
#include "store/index.h"
#include "store/keys.h"
#include "store/store.h"

/* "%08x/%016x" and its NUL. */
#define STAGING_NAME_LEN 25
#define STAGING_DIR_LEN 8
#define FAN_OUT_LEN 2
/* Each round of blob_link() loses to a sweep that unlinked meanwhile; two in a
 * row do not happen without grace 0. */
#define LINK_ROUNDS 100
/*
 * So many files at once are cheaper made durable by one syncfs(), which also
 * writes what others have left dirty, than one by one. 64 files of 100 KB and
 * their names on ext4: 16 ms against 170 ms.
 */
#define SYNC_ALL_FROM 16

void blob_name(const struct digest *d, char ret_name[BLOB_NAME_LEN + 1])
{
	char hex[DIGEST_HEX_LEN + 1];

	digest_hex(d, hex);
	memcpy(ret_name, hex, FAN_OUT_LEN);
	ret_name[FAN_OUT_LEN] = '/';
	memcpy(ret_name + FAN_OUT_LEN + 1, hex + FAN_OUT_LEN,
	       DIGEST_HEX_LEN - FAN_OUT_LEN + 1);
}

int blob_open(struct store *st, const struct digest *d, int *ret_fd)
{
	char name[BLOB_NAME_LEN + 1];
	int fd;

	blob_name(d, name);
	fd = openat(store_blobs_ro_fd(st), name,
		    O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

struct inline_read {
	const struct digest *d;
	uint64_t off;
	void *buf;
	size_t len;
	size_t *ret_len;
};

static int do_read_inline(struct txn *txn, void *arg)
{
	struct inline_read *rd = arg;
	struct span value = { 0 };
	size_t n = 0;
	int r;

	r = txn_get(txn, TABLE_DATA, span_of_digest(rd->d), &value);
	if (r < 0)
		return r;
	if (rd->off < value.len) {
		n = MIN(rd->len, value.len - (size_t)rd->off);
		memcpy(rd->buf, (const char *)value.p + rd->off, n);
	}
	*rd->ret_len = n;
	return 0;
}

int blob_read_inline(struct store *st, const struct digest *d, uint64_t off,
		     void *buf, size_t len, size_t *ret_len)
{
	struct inline_read rd = { d, off, buf, len, ret_len };
	_cleanup_close_ int fd = -1;
	int r;

	r = index_view(store_index(st), do_read_inline, &rd);
	if (r != -ENOENT || off > INT64_MAX)
		return r;
	/* A small blob may be a file as well: one that an import brought, or
	 * fsck found. */
	r = blob_open(st, d, &fd);
	return r < 0 ? r : pread_full(fd, buf, len, (off_t)off, ret_len);
}

int blob_exists(struct store *st, const struct digest *d, uint64_t size)
{
	char name[BLOB_NAME_LEN + 1];
	struct stat s;

	blob_name(d, name);
	if (fstatat(store_blobs_fd(st), name, &s, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISREG(s.st_mode) || (uint64_t)s.st_size != size)
		return -ENOENT;
	return 0;
}

static void staging_name(uint32_t view, uint64_t id,
			 char name[STAGING_NAME_LEN + 1])
{
	(void)snprintf(name, STAGING_NAME_LEN + 1, "%08" PRIx32 "/%016" PRIx64,
		       view, id);
}

static int make_fan_out(struct store *st, const char *name)
{
	const char dir[FAN_OUT_LEN + 1] = { name[0], name[1] };

	if (mkdirat(store_blobs_fd(st), dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

/*
 * Puts our file in the place of one whose size is wrong: damage, for a blob
 * has its name only when it is whole. Ours was hashed a moment ago.
 */
static int replace(struct store *st, const char *from, const char *name)
{
	int blobs = store_blobs_fd(st), r = 0;
	char temp[BLOB_NAME_LEN + 8];

	(void)snprintf(temp, sizeof(temp), "%.3s.new-%s", name,
		       name + FAN_OUT_LEN + 1);
	if (linkat(store_staging_fd(st), from, blobs, temp, 0) < 0 &&
	    errno != EEXIST)
		return -errno;
	if (renameat(blobs, temp, blobs, name) < 0)
		r = -errno;
	(void)unlinkat(blobs, temp, 0);
	/* Another process may have done the same, or swept the new name. */
	return r == -ENOENT ? -EAGAIN : r;
}

/* Renews the ctime of a blob that is there, so that no sweep takes it before
 * our commit. */
static int adopt(struct store *st, const char *from, const char *name,
		 uint64_t size)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_NOW },
					   { .tv_nsec = UTIME_OMIT } };
	int blobs = store_blobs_fd(st);
	struct stat s;

	if (!broken("adopt-ctime") &&
	    utimensat(blobs, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? -EAGAIN : -errno;
	if (fstatat(blobs, name, &s, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? -EAGAIN : -errno;
	if ((!S_ISREG(s.st_mode) || (uint64_t)s.st_size != size) &&
	    !broken("adopt-size"))
		return replace(st, from, name);
	return 0;
}

/* -EAGAIN: what was there a moment ago is gone, or the reverse. */
static int link_once(struct store *st, const char *from, const char *name,
		     uint64_t size, bool *made_dir)
{
	struct stat s;
	int r;

	if (linkat(store_staging_fd(st), from, store_blobs_fd(st), name, 0) ==
	    0)
		return 0;
	if (errno == EEXIST)
		return adopt(st, from, name, size);
	if (errno != ENOENT)
		return -errno;
	if (fstatat(store_staging_fd(st), from, &s, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	*made_dir = true;
	r = make_fan_out(st, name);
	return r < 0 ? r : -EAGAIN;
}

/* Whether "ab" was made for it is set or left alone. */
static int link_staging(struct store *st, uint32_t view, uint64_t id,
			const char *name, uint64_t size, bool *made_dir)
{
	char from[STAGING_NAME_LEN + 1];
	int r = -EAGAIN;

	staging_name(view, id, from);
	for (int i = 0; r == -EAGAIN && i < LINK_ROUNDS; i++)
		r = link_once(st, from, name, size, made_dir);
	return r;
}

/*
 * syncfs() tells of an error once, to the first who asks, and of everybody's
 * files. Waiting for what is written already does nothing but tell of the
 * file's own.
 */
static int sync_together(struct store *st, const int *fds, size_t count,
			 int *ret_errors)
{
	int r = syncfs(store_staging_fd(st)) < 0 ? -errno : 0;

	for (size_t i = 0; i < count; i++)
		if (sync_file_range(fds[i], 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE) <
		    0)
			ret_errors[i] = -errno;
	return r;
}

int blob_sync_data(struct store *st, const int *fds, size_t count,
		   int *ret_errors)
{
	memset(ret_errors, 0, count * sizeof(*ret_errors));
	if (broken("link-sync"))
		return 0;
	if (count >= SYNC_ALL_FROM)
		return sync_together(st, fds, count, ret_errors);
	/* All are on their way before the first is waited for. */
	for (size_t i = 0; i < count; i++)
		(void)sync_file_range(fds[i], 0, 0, SYNC_FILE_RANGE_WRITE);
	for (size_t i = 0; i < count; i++)
		if (fdatasync(fds[i]) < 0)
			ret_errors[i] = -errno;
	return 0;
}

int blob_link(struct store *st, struct blob_names *names, uint32_t view,
	      uint64_t id, int fd, const struct digest *d, uint64_t size)
{
	char name[BLOB_NAME_LEN + 1];
	struct stat s;
	int r;

	if (fstat(fd, &s) < 0)
		return -errno;
	if ((uint64_t)s.st_size != size && !broken("link-size"))
		return -ESTALE; /* it was written since it was hashed */
	if (fchmod(fd, 0444) < 0)
		return -errno;
	blob_name(d, name);
	r = link_staging(st, view, id, name, size, &names->made_dir);
	if (r < 0)
		return r;
	names->count++;
	names->dirs[d->b[0]] = true;
	return 0;
}

/* Also of names that were there: who made them may not have come to its own
 * sync yet, and our commit must not come before it. */
int blob_sync_names(struct store *st, struct blob_names *names)
{
	char dir[FAN_OUT_LEN + 1];
	int r = 0;

	if (!names->count || broken("link-sync"))
		return 0;
	if (names->count >= SYNC_ALL_FROM)
		return syncfs(store_blobs_fd(st)) < 0 ? -errno : 0;
	for (unsigned i = 0; r == 0 && i < ARRAY_LEN(names->dirs); i++) {
		(void)snprintf(dir, sizeof(dir), "%02x", i);
		if (names->dirs[i])
			r = sync_dir(store_blobs_fd(st), dir);
	}
	if (r == 0 && names->made_dir)
		r = sync_dir(store_blobs_fd(st), ".");
	return r;
}

int blob_ensure(struct store *st, uint32_t view, uint64_t id,
		const struct digest *d, uint64_t size)
{
	struct blob_names names = { .count = 1 };
	char name[BLOB_NAME_LEN + 1];
	int r;

	if (broken("commit-blob-check"))
		return 0;
	if (blob_exists(st, d, size) == 0)
		return 0;
	names.dirs[d->b[0]] = true;
	blob_name(d, name);
	r = link_staging(st, view, id, name, size, &names.made_dir);
	return r < 0 ? r : blob_sync_names(st, &names);
}

int staging_create(struct store *st, uint32_t view, uint64_t id, int *ret_fd)
{
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
	char name[STAGING_NAME_LEN + 1];
	int fd, dir = store_staging_fd(st);

	staging_name(view, id, name);
	fd = openat(dir, name, flags, 0600);
	if (fd < 0 && errno == ENOENT) {
		name[STAGING_DIR_LEN] = '\0';
		if (mkdirat(dir, name, 0700) < 0 && errno != EEXIST)
			return -errno;
		name[STAGING_DIR_LEN] = '/';
		fd = openat(dir, name, flags, 0600);
	}
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int staging_open(struct store *st, uint32_t view, uint64_t id, int flags,
		 int *ret_fd)
{
	char name[STAGING_NAME_LEN + 1];
	int fd;

	staging_name(view, id, name);
	fd = openat(store_staging_fd(st), name, flags | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int staging_unlink(struct store *st, uint32_t view, uint64_t id)
{
	char name[STAGING_NAME_LEN + 1];

	staging_name(view, id, name);
	if (unlinkat(store_staging_fd(st), name, 0) < 0)
		return -errno;
	return 0;
}

/* 16 lower-case hex digits. */
static bool parse_id(const char *name, uint64_t *ret_id)
{
	uint64_t id = 0;

	if (strlen(name) != 16 || strspn(name, "0123456789abcdef") != 16)
		return false;
	for (; *name; name++)
		id = id << 4 |
		     (uint64_t)(*name <= '9' ? *name - '0' : *name - 'a' + 10);
	*ret_id = id;
	return true;
}

int staging_foreach(struct store *st, uint32_t view,
		    int (*fn)(uint64_t id, void *arg), void *arg)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	char name[STAGING_NAME_LEN + 1];
	struct dirent *e;
	uint64_t id;
	int r;

	staging_name(view, 0, name);
	name[STAGING_DIR_LEN] = '\0';
	r = dir_open(store_staging_fd(st), name, &dir);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	while (r == 0 && (errno = 0, e = readdir(dir)))
		if (parse_id(e->d_name, &id))
			r = fn(id, arg);
	return r == 0 && errno ? -errno : r;
}

struct removal {
	struct store *st;
	uint32_t view;
};

static int remove_file(uint64_t id, void *arg)
{
	struct removal *rm = arg;
	int r = staging_unlink(rm->st, rm->view, id);

	return r == -ENOENT ? 0 : r;
}

int staging_remove(struct store *st, uint32_t view)
{
	struct removal rm = { st, view };
	char name[STAGING_NAME_LEN + 1];
	int r;

	r = staging_foreach(st, view, remove_file, &rm);
	if (r < 0)
		return r;
	staging_name(view, 0, name);
	name[STAGING_DIR_LEN] = '\0';
	if (unlinkat(store_staging_fd(st), name, AT_REMOVEDIR) < 0 &&
	    errno != ENOENT)
		return -errno;
	return 0;
}
