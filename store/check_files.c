/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fsck: the files in blobs/. Each is what its name says, or is set aside under
 * the name of what it really is (".found-" and 64 digits, in any of the 256
 * directories), and put in that blob's place if it is missing: so two swapped
 * files find home. Interrupted, it goes on with what it set aside.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/base/io.h"
#include "store/base/macros.h"
#include "store/blob.h"
#include "store/check_impl.h"
#include "store/store.h"

#define FAN_OUT 256
#define FOUND ".found-"
#define FOUND_LEN (sizeof(FOUND) - 1)
/* "ab/" before it, and the NUL. */
#define FOUND_PATH (3 + FOUND_LEN + DIGEST_HEX_LEN + 1)

static int compare_digests(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_LEN);
}

const struct found_file *check_find_file(const struct check *c,
					 const struct digest *d)
{
	if (!c->files.len)
		return NULL;
	return bsearch(d, c->files.data, COUNT_OF(&c->files, struct found_file),
		       sizeof(struct found_file), compare_digests);
}

static int hash_file(struct check *c, const char *name,
		     struct digest *ret_digest, uint64_t *ret_size)
{
	_cleanup_close_ int fd = -1;
	int r;

	fd = openat(store_blobs_fd(c->st), name,
		    O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	r = digest_of_fd(fd, NULL, NULL, ret_digest, ret_size);
	if (r == 0)
		c->rep.bytes_read += *ret_size;
	return r;
}

int check_file_contents(struct check *c, const struct digest *d,
			bool *ret_right, uint64_t *ret_size)
{
	char name[BLOB_NAME_LEN + 1];
	struct digest real = { { 0 } };
	uint64_t size = 0;
	int r;

	blob_name(d, name);
	r = hash_file(c, name, &real, &size);
	if (r < 0 && r != -EIO)
		return r;
	/* What the disk does not give back is not there. */
	*ret_right = r == 0 && digest_equal(&real, d);
	*ret_size = size;
	return 0;
}

static int set_aside(struct check *c, const char *name,
		     const struct digest *real)
{
	char to[FOUND_PATH], hex[DIGEST_HEX_LEN + 1];
	int blobs = store_blobs_fd(c->st);

	digest_hex(real, hex);
	(void)snprintf(to, sizeof(to), "%.3s" FOUND "%s", name, hex);
	return renameat(blobs, name, blobs, to) < 0 ? -errno : 0;
}

/* Contents against name; sets file->altered. 1: it is not there any more. */
static int check_data(struct check *c, const char *name,
		      struct found_file *file)
{
	struct digest real = { { 0 } };
	uint64_t size;
	int r;

	r = hash_file(c, name, &real, &size);
	if (r == -ENOENT)
		return 1;
	if (r < 0 && r != -EIO)
		return r;
	if (r == 0 && digest_equal(&real, &file->d))
		return 0;
	file->altered = true;
	check_problem(c, REMEDY_REPAIR, "blob '%s': %s", name,
		      r ? "cannot be read" : "its contents are not its name's");
	if (!check_repairs(c))
		return 0;
	if (r == 0)
		return set_aside(c, name, &real) < 0 ? -EIO : 1;
	return unlinkat(store_blobs_fd(c->st), name, 0) < 0 ? -errno : 1;
}

static int add_file(struct check *c, const char *name, const struct digest *d)
{
	struct found_file file = { .d = *d };
	struct stat s;
	int r;

	if (fstatat(store_blobs_fd(c->st), name, &s, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISREG(s.st_mode))
		return 0; /* no blob; its row will miss its file */
	file.size = (uint64_t)s.st_size;
	if (c->flags & CHECK_READ_DATA) {
		r = check_data(c, name, &file);
		if (r)
			return MIN(r, 0);
	}
	c->rep.blobs++;
	buf_put(&c->files, &file, sizeof(file));
	return c->files.err;
}

static int scan_entry(struct check *c, const char *fan_out, const char *entry)
{
	char hex[DIGEST_HEX_LEN + 1], name[BLOB_NAME_LEN + 1];
	size_t len = strlen(entry);
	struct digest d;

	if (len != DIGEST_HEX_LEN - 2)
		return 0;
	(void)snprintf(hex, sizeof(hex), "%.2s%.62s", fan_out, entry);
	if (digest_parse(hex, DIGEST_HEX_LEN, &d) < 0)
		return 0;
	blob_name(&d, name);
	return add_file(c, name, &d);
}

static int scan_dir(struct check *c, const char *fan_out,
		    int (*fn)(struct check *c, const char *fan_out,
			      const char *entry))
{
	_cleanup_(closedirp) DIR *dir = NULL;
	struct dirent *e;
	int r;

	r = dir_open(store_blobs_fd(c->st), fan_out, &dir);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	while (r == 0 && (errno = 0, e = readdir(dir)))
		r = fn(c, fan_out, e->d_name);
	return r == 0 && errno ? -errno : r;
}

/* Gives a file that was set aside the name of its contents. */
static int restore(struct check *c, const char *fan_out, const char *entry)
{
	char from[FOUND_PATH], to[BLOB_NAME_LEN + 1];
	struct found_file file = { 0 };
	int blobs = store_blobs_fd(c->st);
	struct digest real = { { 0 } };
	int r;

	if (strncmp(entry, FOUND, FOUND_LEN) != 0 ||
	    digest_parse(entry + FOUND_LEN, strlen(entry + FOUND_LEN),
			 &file.d) < 0)
		return 0;
	(void)snprintf(from, sizeof(from), "%s/%s", fan_out, entry);
	blob_name(&file.d, to);
	r = hash_file(c, from, &real, &file.size);
	if (r == 0 && digest_equal(&real, &file.d)) {
		(void)mkdirat(blobs, (char[]){ to[0], to[1], 0 }, 0700);
		if (linkat(blobs, from, blobs, to, 0) == 0) {
			c->rep.blobs++;
			buf_put(&c->files, &file, sizeof(file));
		} else if (errno != EEXIST) {
			return -errno;
		}
	}
	(void)unlinkat(blobs, from, 0);
	return c->files.err;
}

static int sync_blobs(struct check *c)
{
	return syncfs(store_blobs_fd(c->st)) < 0 ? -errno : 0;
}

int check_files(struct check *c)
{
	char fan_out[3];
	int r = 0;

	buf_reset(&c->files);
	for (int i = 0; r == 0 && i < FAN_OUT; i++) {
		(void)snprintf(fan_out, sizeof(fan_out), "%02x", (unsigned)i);
		r = scan_dir(c, fan_out, scan_entry);
	}
	for (int i = 0; r == 0 && check_repairs(c) && i < FAN_OUT; i++) {
		(void)snprintf(fan_out, sizeof(fan_out), "%02x", (unsigned)i);
		r = scan_dir(c, fan_out, restore);
	}
	/* No row may come to refer to a name that is not on disk. */
	if (r == 0 && check_repairs(c))
		r = sync_blobs(c);
	if (r == 0 && c->files.len)
		qsort(c->files.data, COUNT_OF(&c->files, struct found_file),
		      sizeof(struct found_file), compare_digests);
	return r;
}
