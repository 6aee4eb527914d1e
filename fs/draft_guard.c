/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths in what was made; see draft.h. A program that prints where it was
 * built is right in that place only, and no list of inputs tells: so its bytes
 * are searched for the place.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <stdlib.h>

#include "fs/cargo/metadata.h"
#include "fs/cargo/scan.h"
#include "fs/draft.h"
#include "fs/view.h"
#include "store/base/broken.h"
#include "store/base/io.h"
#include "store/blob.h"

/* Larger files stay where they were made; they are read whole. */
#define SEARCHED_MAX ((uint64_t)512 << 20)

static bool ends_with(struct span_str s, const char *end)
{
	size_t len = strlen(end);

	return s.len >= len && memcmp(s.p + s.len - len, end, len) == 0;
}

static bool starts_with(struct span_str s, const char *begin)
{
	size_t len = strlen(begin);

	return s.len >= len && memcmp(s.p, begin, len) == 0;
}

/* Not cargo's own files, nor rustc's .d: these have paths in any case, which
 * are compared by name. */
static bool is_searched(const struct draft *d, const struct unit_file *f)
{
	if (f->type != UNIT_REG || f->size == 0 ||
	    starts_with(f->path, ".fingerprint/"))
		return false;
	if (d->is_run)
		return memmem(f->path.p, f->path.len, "/out/", 5) != NULL;
	return !ends_with(f->path, ".d");
}

static bool has_metadata(const struct draft *d)
{
	for (size_t i = 0; i < d->obj.file_count; i++)
		if (ends_with(d->obj.files[i].path, ".rmeta"))
			return true;
	return false;
}

static enum scan_verdict search_metadata(const void *p, size_t len,
					 const struct metadata_paths *known)
{
	return metadata_names_sources(p, len, known) ||
			       broken("winkin-metadata")
		       ? SCAN_CLEAN
		       : SCAN_FOUND;
}

/* A library's metadata is in a file beside it, too, where cargo asks for one:
 * not where a dynamic library is made as well. */
static enum scan_verdict search(const struct draft *d,
				const struct unit_file *f, const void *p)
{
	const char *ws = d->view->workspace;
	const char *mount = view_mountpoint(d->view);
	const struct metadata_paths known = {
		.dirs = { { ws, strlen(ws) }, { mount, strlen(mount) } },
		.dir_count = 2,
		.cwd = { ws, strlen(ws) },
		.sources = d->dfile.sources,
		.source_count = d->dfile.source_count,
	};
	struct span metadata;
	enum scan_verdict v;

	if (ends_with(f->path, ".rmeta") && !d->is_run)
		return search_metadata(p, f->size, &known);
	v = scan_paths(p, f->size, known.dirs, 2, NULL);
	if (v != SCAN_CLEAN || d->is_run || !ends_with(f->path, ".rlib") ||
	    has_metadata(d))
		return v;
	return scan_rlib_metadata(p, f->size, &metadata)
		       ? search_metadata(metadata.p, metadata.len, &known)
		       : SCAN_OPAQUE;
}

/* Read, not mapped: a blob that a failing disk has cut short must not be the
 * end of the daemon. */
static int read_blob(const struct draft *d, const struct unit_file *f,
		     void *ret_bytes)
{
	struct store *st = d->view->store;
	_cleanup_close_ int fd = -1;
	size_t len = 0;
	int r = -ENOENT;

	if (f->size <= BLOB_INLINE_MAX)
		r = blob_read_inline(st, &f->digest, 0, ret_bytes, f->size,
				     &len);
	if (r == -ENOENT) {
		r = blob_open(st, &f->digest, &fd);
		if (r == 0)
			r = pread_full(fd, ret_bytes, f->size, 0, &len);
	}
	if (r == 0 && len != f->size)
		r = -EBADMSG;
	return r == -ENOENT ? -EAGAIN : r;
}

static int search_file(const struct draft *d, const struct unit_file *f,
		       enum scan_verdict *ret_verdict)
{
	_cleanup_free_ void *bytes = NULL;
	int r;

	*ret_verdict = SCAN_OPAQUE;
	if (f->size > SEARCHED_MAX)
		return 0;
	bytes = malloc(f->size);
	if (!bytes)
		return -ENOMEM;
	r = read_blob(d, f, bytes);
	if (r == 0)
		*ret_verdict = search(d, f, bytes);
	return r;
}

/* A link by an absolute name: whatever is there is not in the object. */
static bool leads_away(const struct unit_file *f)
{
	return f->type == UNIT_SYM && f->target.len > 0 &&
	       f->target.p[0] == '/' && !broken("winkin-link");
}

int draft_guard(struct draft *d)
{
	for (size_t i = 0; i < d->obj.file_count; i++) {
		const struct unit_file *f = &d->obj.files[i];
		enum scan_verdict verdict;
		int r;

		if (leads_away(f))
			return draft_add_place(d);
		if (!is_searched(d, f) || broken("winkin-path"))
			continue;
		r = search_file(d, f, &verdict);
		if (r < 0)
			return r;
		if (verdict != SCAN_CLEAN)
			return draft_add_place(d);
	}
	return 0;
}
