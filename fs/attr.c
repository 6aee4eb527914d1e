/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes; see attr.h. */
#include "config.h"

#include "fs/attr.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "fs/content.h"
#include "fs/file.h"
#include "fs/hot.h"
#include "fs/replace.h"
#include "fs/units.h"
#include "store/base/time.h"

/* Linux's own limits are 64 KiB a value and a list; ext4 holds far less. */
#define XATTRS_MAX (64 * 1024)

int do_getattr(struct view *v, uint64_t ino, struct entry *ret_entry)
{
	struct node *n;
	bool hot;

	lock_acquire(&v->lock);
	n = node_find_locked(v, ino);
	if (!n) {
		lock_release(&v->lock);
		return -ENOENT;
	}
	hot = n->flags & NF_HOT;
	if (hot) {
		n->pins++;
		lock_release(&v->lock);
		hot_refresh(v, n);
		lock_acquire(&v->lock);
	}
	node_stat_locked(v, n, &ret_entry->st);
	ret_entry->timeout = node_timeout_locked(n);
	if (hot) {
		n->pins--;
		node_check_locked(v, n);
	}
	lock_release(&v->lock);
	return 0;
}

int do_access(struct view *v, uint64_t ino, int mask)
{
	struct node *n;
	int r = 0;

	lock_acquire(&v->lock);
	n = node_find_locked(v, ino);
	if (!n)
		r = -ENOENT;
	else if (mask & X_OK && !node_is_dir(n) && !(n->mode & 0111))
		r = -EACCES;
	lock_release(&v->lock);
	return r;
}

static int check_mode(const struct node *n, unsigned set, const struct stat *st)
{
	if (!(set & SET_MODE) || node_is_dir(n))
		return 0;
	return st->st_mode & (S_ISUID | S_ISGID) ? -EPERM : 0;
}

static void set_plain_locked(struct view *v, struct node *n, unsigned set,
			     const struct stat *st)
{
	int64_t now = view_now(v);

	if (set & SET_MODE)
		n->mode = (n->mode & S_IFMT) | (st->st_mode & 07777);
	if (set & SET_UID)
		n->uid = st->st_uid;
	if (set & SET_GID)
		n->gid = st->st_gid;
	if (set & SET_ATIME)
		n->atime = nsec_of(st->st_atim);
	if (set & SET_MTIME)
		n->mtime = nsec_of(st->st_mtim);
	if (set & SET_ATIME_NOW)
		n->atime = now;
	if (set & SET_MTIME_NOW)
		n->mtime = now;
	n->ctime = MAX(n->ctime, now);
	node_dirty_locked(v, n);
}

/* Needs io. */
static int set_size(struct view *v, struct node *n, uint64_t size)
{
	int r;

	lock_acquire(&v->lock);
	units_written_locked(v, n);
	lock_release(&v->lock);
	r = content_truncate(v, n, size);
	if (r == 0 && n->file->writers == 0)
		(void)hot_try_end(v, n);
	return r;
}

#define SET_MTIMES (SET_MTIME | SET_MTIME_NOW)

/* Size first: it sets the times that the others may then set anew. */
static int set_file(struct view *v, uint64_t ino, unsigned set,
		    const struct stat *st)
{
	struct node *n;
	int r;

	r = view_pin_file(v, ino, &n);
	if (r < 0)
		return r;
	r = check_mode(n, set, st);
	if (r == 0 && set & SET_SIZE && n->file->successor != 0)
		r = -ESTALE;
	else if (r == 0 && set & SET_SIZE)
		r = set_size(v, n, (uint64_t)st->st_size);
	if (r == 0) {
		lock_acquire(&v->lock);
		set_plain_locked(v, n, set, st);
		lock_release(&v->lock);
		/* A hot file's mtime is its backing file's. */
		if (set & SET_MTIMES && file_flags(v, n) & NF_HOT)
			hot_set_times(v, n);
	}
	view_unpin_file(v, n);
	return r;
}

/* What of it does no I/O, else *ret_whole_file. */
static int set_locked(struct view *v, struct node *n, unsigned set,
		      const struct stat *st, bool *ret_whole_file)
{
	int r = check_mode(n, set, st);

	if (r == 0 && set & SET_SIZE && !node_is_reg(n))
		r = node_is_dir(n) ? -EISDIR : -EINVAL;
	if (r < 0)
		return r;
	*ret_whole_file = set & SET_SIZE ||
			  (set & SET_MTIMES && n->flags & NF_HOT);
	if (!*ret_whole_file)
		set_plain_locked(v, n, set, st);
	return 0;
}

int do_setattr(struct view *v, uint64_t ino, unsigned set,
	       const struct stat *st, struct entry *ret_entry)
{
	bool whole_file = false;
	uint64_t current = ino;
	struct node *n;
	int r;

	lock_acquire(&v->lock);
	n = node_find_locked(v, ino);
	r = n ? set_locked(v, n, set, st, &whole_file) : -ENOENT;
	if (r == 0)
		current = node_current_locked(v, n)->ino;
	lock_release(&v->lock);
	if (r == 0 && whole_file)
		r = set_file(v, ino, set, st);
	/* Who has it open sees what was set as well as who finds the name. */
	if (r == 0 && current != ino)
		r = do_setattr(v, current, set, st, ret_entry);
	return r < 0 ? r : do_getattr(v, ino, ret_entry);
}

/* --- extended attributes ----------------------------------------------- */

/* They move to the node that has the names. */
static struct node *find_current_locked(struct view *v, uint64_t ino)
{
	struct node *n = node_find_locked(v, ino);

	return n ? node_current_locked(v, n) : NULL;
}

static int check_xattr(const char *name, bool set)
{
	size_t len = strlen(name);

	if (len > XATTR_NAME_MAX)
		return -ERANGE;
	if (strncmp(name, "user.", 5) == 0)
		return len == 5 ? -EINVAL : 0;
	if (strncmp(name, "security.", 9) == 0)
		return set ? -EPERM : -ENODATA;
	return -EOPNOTSUPP;
}

static int find_xattr(const struct node *n, const char *name,
		      struct xattr_item *ret_item)
{
	struct reader r;
	int found;

	if (!n->xattrs)
		return -ENODATA;
	r = reader_of(n->xattrs->data, n->xattrs->len);
	while ((found = xattr_next(&r, ret_item)) > 0)
		if (ret_item->name_len == strlen(name) &&
		    memcmp(ret_item->name, name, ret_item->name_len) == 0)
			return 0;
	return -ENODATA;
}

/* All attributes but @name, then @name with @value if that is not NULL. */
static int rebuild_xattrs(const struct node *n, const char *name,
			  const void *value, size_t len, struct buf *out)
{
	struct xattr_item it;
	struct reader r;

	if (n->xattrs) {
		r = reader_of(n->xattrs->data, n->xattrs->len);
		while (xattr_next(&r, &it) > 0) {
			if (it.name_len == strlen(name) &&
			    memcmp(it.name, name, it.name_len) == 0)
				continue;
			buf_str16(out, it.name, it.name_len);
			buf_str16(out, it.value, it.value_len);
		}
	}
	if (value) {
		buf_str16(out, name, strlen(name));
		buf_str16(out, value, len);
	}
	if (out->err == 0 && out->len > XATTRS_MAX)
		return -ENOSPC;
	return out->err;
}

static int change_xattr_locked(struct view *v, struct node *n, const char *name,
			       const void *value, size_t len)
{
	struct buf *out = calloc(1, sizeof(*out));
	int r;

	if (!out)
		return -ENOMEM;
	r = rebuild_xattrs(n, name, value, len, out);
	if (r < 0) {
		buf_release(out);
		free(out);
		return r;
	}
	if (n->xattrs)
		buf_release(n->xattrs);
	free(n->xattrs);
	n->xattrs = out;
	n->ctime = view_now(v);
	node_dirty_locked(v, n);
	return 0;
}

int do_setxattr(struct view *v, uint64_t ino, const char *name,
		const void *value, size_t len, int flags)
{
	struct xattr_item it;
	struct node *n;
	int r = check_xattr(name, true);

	if (r < 0)
		return r;
	if (len > UINT16_MAX)
		return len > XATTR_SIZE_MAX ? -E2BIG : -ENOSPC;
	lock_acquire(&v->lock);
	n = find_current_locked(v, ino);
	if (!n) {
		r = -ENOENT;
	} else {
		bool there = find_xattr(n, name, &it) == 0;

		if (flags & XATTR_CREATE && there)
			r = -EEXIST;
		else if (flags & XATTR_REPLACE && !there)
			r = -ENODATA;
		else
			r = change_xattr_locked(v, n, name, value ? value : "",
						len);
	}
	lock_release(&v->lock);
	return r;
}

ssize_t do_getxattr(struct view *v, uint64_t ino, const char *name, void *buf,
		    size_t size)
{
	struct xattr_item it;
	struct node *n;
	ssize_t r = check_xattr(name, false);

	if (r < 0)
		return r;
	lock_acquire(&v->lock);
	n = find_current_locked(v, ino);
	r = n ? find_xattr(n, name, &it) : -ENOENT;
	if (r == 0) {
		if (size > 0 && it.value_len > size)
			r = -ERANGE;
		else
			r = (ssize_t)it.value_len;
		if (size > 0 && r >= 0)
			memcpy(buf, it.value, it.value_len);
	}
	lock_release(&v->lock);
	return r;
}

int node_set_identity_locked(struct view *v, struct node *n, const void *value,
			     size_t len)
{
	return change_xattr_locked(v, n, NODE_IDENTITY, value, len);
}

bool node_get_identity_locked(const struct node *n, const void **ret_value,
			      size_t *ret_len)
{
	struct xattr_item it;

	if (find_xattr(n, NODE_IDENTITY, &it) < 0)
		return false;
	*ret_value = it.value;
	*ret_len = it.value_len;
	return true;
}

/* Cut out in place. An item is two lengths of two bytes, name and value. */
void node_drop_identity_locked(struct view *v, struct node *n)
{
	struct xattr_item it;
	uint8_t *begin, *end;

	if (find_xattr(n, NODE_IDENTITY, &it) < 0)
		return;
	begin = n->xattrs->data + ((const uint8_t *)it.name - n->xattrs->data) -
		2;
	end = begin + 4 + it.name_len + it.value_len;
	memmove(begin, end, n->xattrs->len - (size_t)(end - n->xattrs->data));
	n->xattrs->len -= (size_t)(end - begin);
	node_dirty_locked(v, n);
}

static bool is_hidden(const struct xattr_item *it)
{
	return it->name_len == strlen(NODE_IDENTITY) &&
	       memcmp(it->name, NODE_IDENTITY, it->name_len) == 0;
}

/* Names with a NUL each; only the length when @size is 0. */
static ssize_t list_locked(const struct node *n, char *buf, size_t size)
{
	struct xattr_item it;
	struct reader r;
	size_t at = 0;

	if (!n->xattrs)
		return 0;
	r = reader_of(n->xattrs->data, n->xattrs->len);
	while (xattr_next(&r, &it) > 0) {
		if (is_hidden(&it))
			continue;
		if (size > 0 && at + it.name_len + 1 > size)
			return -ERANGE;
		if (size > 0) {
			memcpy(buf + at, it.name, it.name_len);
			buf[at + it.name_len] = '\0';
		}
		at += it.name_len + 1;
	}
	return (ssize_t)at;
}

ssize_t do_listxattr(struct view *v, uint64_t ino, char *buf, size_t size)
{
	struct node *n;
	ssize_t r;

	lock_acquire(&v->lock);
	n = find_current_locked(v, ino);
	r = n ? list_locked(n, buf, size) : -ENOENT;
	lock_release(&v->lock);
	return r;
}

int do_removexattr(struct view *v, uint64_t ino, const char *name)
{
	struct xattr_item it;
	struct node *n;
	int r = check_xattr(name, true);

	if (r < 0)
		return r;
	lock_acquire(&v->lock);
	n = find_current_locked(v, ino);
	r = n ? find_xattr(n, name, &it) : -ENOENT;
	if (r == 0)
		r = change_xattr_locked(v, n, name, NULL, 0);
	lock_release(&v->lock);
	return r;
}
