/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares what was rebuilt with what the store has. What decides how a program
 * behaves must be equal byte for byte:
 *
 *	programs, dynamic and static libraries, what a build script printed and
 *	what it wrote to OUT_DIR, the objects in an rlib
 *
 * What may differ, and is not compared:
 *
 *	cargo's fingerprints, .d files, invoked.timestamp: times and places
 *	a script's stderr; root-output, which is the place
 *	rmeta, also in an rlib: after an edit, an incremental rustc writes
 *		other bytes than a clean one, to the same meaning
 *	the names of an rlib's members, which have a random part, and the two
 *		members that are made from these
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/cargo/layout.h"
#include "fs/units.h"
#include "store/base/io.h"
#include "store/base/macros.h"
#include "store/blob.h"
#include "tools/verify.h"

/* Larger ones are compared by their digests alone. */
#define LOADED_MAX ((uint64_t)512 << 20)

static bool has(struct span_str path, const char *part)
{
	return memmem(path.p, path.len, part, strlen(part)) != NULL;
}

static bool ends_with(struct span_str path, const char *end)
{
	size_t len = strlen(end);

	return path.len >= len &&
	       memcmp(path.p + path.len - len, end, len) == 0;
}

static bool is_compared(const struct unit_file *f)
{
	static const char *const left_out[] = { ".d", ".rmeta", "/stderr",
						"/root-output",
						"/invoked.timestamp" };

	if (f->type != UNIT_REG || (f->path.len > 0 && f->path.p[0] == '.'))
		return false;
	/* OUT_DIR is the script's own. */
	if (has(f->path, "/out/"))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(left_out); i++)
		if (ends_with(f->path, left_out[i]))
			return false;
	return true;
}

/* --- rlibs ---------------------------------------------------------------- */

#define AR_MAGIC "!<arch>\n"
#define AR_HEADER 60
#define AR_NAME 16
#define AR_SIZE_AT 48
#define AR_SIZE 10

struct archive {
	const char *p;
	size_t left;
};

struct member {
	const char *name; /* AR_NAME bytes */
	const char *p;
	size_t len;
};

static bool archive_begin(struct archive *a, const void *p, size_t len)
{
	*a = (struct archive){ p, len };
	if (len < strlen(AR_MAGIC) ||
	    memcmp(p, AR_MAGIC, strlen(AR_MAGIC)) != 0)
		return false;
	a->p += strlen(AR_MAGIC);
	a->left -= strlen(AR_MAGIC);
	return true;
}

/* 1, 0 at the end, -EBADMSG. */
static int archive_next(struct archive *a, struct member *m)
{
	char size[AR_SIZE + 1] = "";
	size_t pad;

	if (a->left == 0)
		return 0;
	if (a->left < AR_HEADER)
		return -EBADMSG;
	memcpy(size, a->p + AR_SIZE_AT, AR_SIZE);
	m->name = a->p;
	m->p = a->p + AR_HEADER;
	m->len = strtoul(size, NULL, 10);
	a->left -= AR_HEADER;
	if (m->len > a->left)
		return -EBADMSG;
	pad = m->len % 2 && m->len < a->left;
	a->p = m->p + m->len + pad;
	a->left -= m->len + pad;
	return 1;
}

static bool is_object(const struct member *m)
{
	static const char *const others[] = { "/ ", "// ", "/SYM64/ ",
					      "lib.rmeta/ " };

	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (memcmp(m->name, others[i], strlen(others[i])) == 0)
			return false;
	return true;
}

static int next_object(struct archive *a, struct member *m)
{
	int r;

	do
		r = archive_next(a, m);
	while (r > 0 && !is_object(m));
	return r;
}

static bool same_objects(const void *x, size_t x_len, const void *y,
			 size_t y_len)
{
	struct archive a, b;
	struct member m, n;
	int r, q;

	if (!archive_begin(&a, x, x_len) || !archive_begin(&b, y, y_len))
		return false;
	for (;;) {
		r = next_object(&a, &m);
		q = next_object(&b, &n);
		if (r <= 0 || q <= 0)
			return r == 0 && q == 0;
		if (m.len != n.len || memcmp(m.p, n.p, m.len) != 0)
			return false;
	}
}

/* --- files ---------------------------------------------------------------- */

static int load_blob(struct store *st, const struct unit_file *f, void *to)
{
	_cleanup_close_ int fd = -1;
	size_t len = 0;
	int r = -ENOENT;

	if (f->size <= BLOB_INLINE_MAX)
		r = blob_read_inline(st, &f->digest, 0, to, f->size, &len);
	if (r == -ENOENT) {
		r = blob_open(st, &f->digest, &fd);
		if (r == 0)
			r = pread_full(fd, to, f->size, 0, &len);
	}
	return r == 0 && len != f->size ? -EBADMSG : r;
}

static bool same_rlib(struct store *st, const struct unit_file *f, int fd,
		      uint64_t size)
{
	_cleanup_free_ void *then = NULL, *now = NULL;
	size_t len;

	if (f->size > LOADED_MAX || size > LOADED_MAX)
		return false;
	then = malloc(f->size + 1);
	now = malloc(size + 1);
	return then && now && load_blob(st, f, then) == 0 &&
	       pread_full(fd, now, size, 0, &len) == 0 && len == size &&
	       same_objects(then, f->size, now, size);
}

static bool same_file(struct store *st, const struct unit_file *f, int dirfd)
{
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];
	struct digest now;
	struct stat sb;
	uint64_t len;

	(void)snprintf(path, sizeof(path), "%.*s", (int)f->path.len, f->path.p);
	fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &sb) < 0 || !S_ISREG(sb.st_mode) ||
	    digest_of_fd(fd, NULL, NULL, &now, &len) < 0)
		return false;
	if (len == f->size && (len == 0 || digest_equal(&now, &f->digest)))
		return true;
	return ends_with(f->path, ".rlib") && same_rlib(st, f, fd, len);
}

static bool is_built(const struct verify_unit *u, int dirfd)
{
	char path[PATH_MAX], hex[UNIT_HASH_LEN + 1];

	unit_hash_hex(u->key.hash, hex);
	(void)snprintf(path, sizeof(path), ".fingerprint/%s-%s/%s", u->package,
		       hex, u->kind);
	return faccessat(dirfd, path, F_OK, 0) == 0;
}

void verify_compare(struct store *st, struct verify_unit *u,
		    const char *scratch)
{
	_cleanup_close_ int dirfd = -1;
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s", scratch, u->profile);
	dirfd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0 || !is_built(u, dirfd))
		return;
	for (size_t i = 0; i < u->obj.file_count; i++) {
		const struct unit_file *f = &u->obj.files[i];

		if (!is_compared(f) || same_file(st, f, dirfd))
			continue;
		verify_set(u, VERDICT_DIFFERS, "%.*s", (int)f->path.len,
			   f->path.p);
		return;
	}
	u->verdict = VERDICT_SAME;
}
