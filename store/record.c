/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encoding and decoding of the index's records (grammar: schema.h). Invariant:
 * whatever an encoder accepts, its decoder accepts and returns unchanged;
 * whatever a decoder accepts can be encoded again to the same bytes. Pure.
 */
#include "config.h"

#include "store/record.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "store/base/macros.h"
#include "store/base/time.h"
#include "store/schema.h"

static void put_time(struct buf *b, const struct timespec *t)
{
	buf_u64(b, (uint64_t)t->tv_sec);
	buf_u32(b, (uint32_t)t->tv_nsec);
}

static struct timespec take_time(struct reader *r)
{
	struct timespec t;

	t.tv_sec = (time_t)take_u64(r);
	t.tv_nsec = take_u32(r);
	return t;
}

static bool time_is_valid(const struct timespec *t)
{
	return t->tv_nsec >= 0 && t->tv_nsec < NSEC_PER_SEC;
}

int xattr_next(struct reader *r, struct xattr_item *ret_item)
{
	struct xattr_item item;

	if (!r->bad && !r->left)
		return 0;
	item.name = take_str16(r, &item.name_len);
	item.value = take_str16(r, &item.value_len);
	if (r->bad || !item.name_len || item.name_len > NODE_NAME_MAX ||
	    memchr(item.name, '\0', item.name_len))
		return -EBADMSG;
	*ret_item = item;
	return 1;
}

static bool xattrs_are_valid(const struct span_str *x)
{
	struct reader r = reader_of(x->p, x->len);
	struct xattr_item item;
	int n;

	if (x->len > NODE_XATTRS_MAX)
		return false;
	do
		n = xattr_next(&r, &item);
	while (n > 0);
	return n == 0;
}

static bool content_is_valid(const struct node_rec *rec)
{
	switch (rec->content) {
	case CONTENT_NONE:
		return !S_ISLNK(rec->mode) &&
		       (!S_ISREG(rec->mode) || !rec->size);
	case CONTENT_BLOB:
	case CONTENT_STAGING:
		return S_ISREG(rec->mode);
	case CONTENT_SYMLINK:
		return S_ISLNK(rec->mode) && rec->target.len &&
		       rec->target.len <= NODE_TARGET_MAX &&
		       rec->size == rec->target.len &&
		       !memchr(rec->target.p, '\0', rec->target.len);
	default:
		return false;
	}
}

static bool type_is_valid(uint32_t mode)
{
	return !(mode & ~(uint32_t)(S_IFMT | 07777)) &&
	       (S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode) ||
		S_ISFIFO(mode) || S_ISSOCK(mode));
}

static bool node_is_valid(const struct node_rec *rec)
{
	return type_is_valid(rec->mode) && time_is_valid(&rec->atime) &&
	       time_is_valid(&rec->mtime) && time_is_valid(&rec->ctime) &&
	       rec->size <= INT64_MAX &&
	       !(rec->flags & ~(NODE_FLUX | NODE_UNSYNCED)) &&
	       content_is_valid(rec) && xattrs_are_valid(&rec->xattrs);
}

int node_rec_encode(const struct node_rec *rec, struct buf *out)
{
	if (!node_is_valid(rec))
		return -EINVAL;
	buf_u8(out, NODE_VERSION);
	buf_u8(out, rec->flags);
	buf_u8(out, rec->content);
	buf_u32(out, rec->mode);
	buf_u32(out, rec->uid);
	buf_u32(out, rec->gid);
	buf_u32(out, rec->nlink);
	buf_u64(out, rec->size);
	buf_u64(out, rec->blocks);
	put_time(out, &rec->atime);
	put_time(out, &rec->mtime);
	put_time(out, &rec->ctime);
	if (rec->content == CONTENT_BLOB)
		buf_put(out, rec->digest.b, DIGEST_LEN);
	else if (rec->content == CONTENT_STAGING)
		buf_u64(out, rec->staging_id);
	else if (rec->content == CONTENT_SYMLINK)
		buf_str16(out, rec->target.p, rec->target.len);
	buf_u32(out, (uint32_t)rec->xattrs.len);
	buf_put(out, rec->xattrs.p, rec->xattrs.len);
	return out->err;
}

static void take_content(struct reader *r, struct node_rec *rec)
{
	const void *p;

	if (rec->content == CONTENT_BLOB) {
		p = take(r, DIGEST_LEN);
		if (p)
			memcpy(rec->digest.b, p, DIGEST_LEN);
	} else if (rec->content == CONTENT_STAGING) {
		rec->staging_id = take_u64(r);
	} else if (rec->content == CONTENT_SYMLINK) {
		rec->target.p = take_str16(r, &rec->target.len);
	}
	rec->xattrs.len = take_u32(r);
	rec->xattrs.p = take(r, rec->xattrs.len);
}

int node_rec_decode(const void *p, size_t len, struct node_rec *ret_rec)
{
	struct reader r = reader_of(p, len);
	struct node_rec rec = { 0 };

	if (take_u8(&r) != NODE_VERSION)
		return -EBADMSG;
	rec.flags = take_u8(&r);
	rec.content = take_u8(&r);
	rec.mode = take_u32(&r);
	rec.uid = take_u32(&r);
	rec.gid = take_u32(&r);
	rec.nlink = take_u32(&r);
	rec.size = take_u64(&r);
	rec.blocks = take_u64(&r);
	rec.atime = take_time(&r);
	rec.mtime = take_time(&r);
	rec.ctime = take_time(&r);
	take_content(&r, &rec);
	if (r.bad || r.left || !node_is_valid(&rec))
		return -EBADMSG;
	*ret_rec = rec;
	return 0;
}

static bool blob_is_valid(const struct blob_rec *rec)
{
	return rec->tier <= BLOB_FILE && rec->size <= INT64_MAX &&
	       rec->units <= rec->refs;
}

int blob_rec_encode(const struct blob_rec *rec, struct buf *out)
{
	if (!blob_is_valid(rec))
		return -EINVAL;
	buf_u8(out, BLOB_VERSION);
	buf_u8(out, rec->tier);
	buf_u64(out, rec->size);
	buf_u64(out, rec->refs);
	buf_u64(out, rec->units);
	buf_u64(out, (uint64_t)rec->used);
	return out->err;
}

int blob_rec_decode(const void *p, size_t len, struct blob_rec *ret_rec)
{
	struct reader r = reader_of(p, len);
	struct blob_rec rec = { 0 };

	if (take_u8(&r) != BLOB_VERSION)
		return -EBADMSG;
	rec.tier = take_u8(&r);
	rec.size = take_u64(&r);
	rec.refs = take_u64(&r);
	rec.units = take_u64(&r);
	rec.used = (int64_t)take_u64(&r);
	if (r.bad || r.left || !blob_is_valid(&rec))
		return -EBADMSG;
	*ret_rec = rec;
	return 0;
}

bool name_is_shelf(const char *name, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	return len == 2 && memchr(digits, name[0], 16) &&
	       memchr(digits, name[1], 16);
}

/* One file name: what a directory entry may be called. */
static bool name_is_valid(const char *name, size_t len)
{
	if (!len || len > VIEW_NAME_MAX || memchr(name, '/', len) ||
	    memchr(name, '\0', len))
		return false;
	return !(len == 1 && name[0] == '.') &&
	       !(len == 2 && name[0] == '.' && name[1] == '.');
}

bool view_name_is_valid(uint32_t flags, const char *name, size_t len)
{
	const char *slash = memchr(name, '/', len);
	size_t shelf = slash ? (size_t)(slash - name) : 0;

	if (len > VIEW_NAME_MAX)
		return false;
	if (flags & VIEW_HOST && name_is_shelf(name, shelf))
		return name_is_valid(slash + 1, len - shelf - 1);
	return name_is_valid(name, len);
}

/* Absolute, or nothing for a view of host mode. */
static bool workspace_is_valid(uint32_t flags, const char *path, size_t len)
{
	if (flags & VIEW_HOST)
		return !len;
	return len && len < PATH_MAX && path[0] == '/' &&
	       !memchr(path, '\0', len);
}

static bool view_is_valid(const struct view_rec *rec, const char *name,
			  size_t name_len, const char *ws, size_t ws_len)
{
	return !(rec->flags & ~(uint32_t)(VIEW_HOST | VIEW_DROPPED)) &&
	       view_name_is_valid(rec->flags, name, name_len) &&
	       workspace_is_valid(rec->flags, ws, ws_len);
}

int view_rec_encode(const struct view_rec *rec, struct buf *out)
{
	size_t name_len = strnlen(rec->name, sizeof(rec->name));
	size_t ws_len = strnlen(rec->workspace, sizeof(rec->workspace));

	if (!view_is_valid(rec, rec->name, name_len, rec->workspace, ws_len))
		return -EINVAL;
	buf_u8(out, VIEW_VERSION);
	buf_u32(out, rec->flags);
	buf_str16(out, rec->name, name_len);
	buf_str16(out, rec->workspace, ws_len);
	buf_u64(out, rec->next_ino);
	buf_u64(out, rec->seq);
	buf_u64(out, (uint64_t)rec->created);
	buf_u64(out, (uint64_t)rec->mounted);
	buf_put(out, rec->boot_id, BOOT_ID_LEN);
	return out->err;
}

int view_rec_decode(const void *p, size_t len, struct view_rec *ret_rec)
{
	struct reader r = reader_of(p, len);
	struct view_rec rec = { 0 };
	size_t name_len, ws_len;
	const char *name, *ws;
	const void *boot_id;

	if (take_u8(&r) != VIEW_VERSION)
		return -EBADMSG;
	rec.flags = take_u32(&r);
	name = take_str16(&r, &name_len);
	ws = take_str16(&r, &ws_len);
	rec.next_ino = take_u64(&r);
	rec.seq = take_u64(&r);
	rec.created = (int64_t)take_u64(&r);
	rec.mounted = (int64_t)take_u64(&r);
	boot_id = take(&r, BOOT_ID_LEN);
	if (r.bad || r.left || !boot_id ||
	    !view_is_valid(&rec, name, name_len, ws, ws_len))
		return -EBADMSG;
	memcpy(rec.name, name, name_len);
	memcpy(rec.workspace, ws, ws_len);
	memcpy(rec.boot_id, boot_id, BOOT_ID_LEN);
	*ret_rec = rec;
	return 0;
}
