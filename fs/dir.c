/* SPDX-License-Identifier: Apache-2.0 */
/* Reading directories; see dir.h. */
#include "config.h"

#include "fs/dir.h"

#include <errno.h>
#include <string.h>

/* Offsets: 1 behind ".", 2 behind "..", 2 + i behind the i-th name. */
#define DOTS 2

struct dir_handle {
	struct view *view;
	uint64_t ino;
	struct lock lock; /* of all below: readers may share a handle */
	bool taken;
	struct buf names; /* NUL-terminated, one behind the other */
	uint32_t *at;	  /* where each begins */
	size_t count;
};

int do_opendir(struct view *v, uint64_t ino, struct dir_handle **ret_dh)
{
	struct dir_handle *dh;
	struct node *n;
	int r;

	dh = calloc(1, sizeof(*dh));
	if (!dh)
		return -ENOMEM;
	r = lock_init(&dh->lock);
	if (r < 0) {
		free(dh);
		return r;
	}
	dh->view = v;
	dh->ino = ino;
	lock_acquire(&v->lock);
	n = node_find_locked(v, ino);
	r = !n ? -ENOENT : !node_is_dir(n) ? -ENOTDIR : 0;
	if (r == 0)
		n->handles++;
	lock_release(&v->lock);
	if (r < 0) {
		lock_destroy(&dh->lock);
		free(dh);
		return r;
	}
	*ret_dh = dh;
	return 0;
}

void do_releasedir(struct dir_handle *dh)
{
	struct view *v = dh->view;
	struct node *n;

	lock_acquire(&v->lock);
	n = node_find_locked(v, dh->ino);
	if (n) {
		n->handles--;
		node_check_locked(v, n);
	}
	lock_release(&v->lock);
	buf_release(&dh->names);
	free(dh->at);
	lock_destroy(&dh->lock);
	free(dh);
}

struct view *dir_handle_view(const struct dir_handle *dh)
{
	return dh->view;
}

static int snapshot_locked(struct dir_handle *dh, const struct node *dir)
{
	size_t i = 0;

	buf_reset(&dh->names);
	free(dh->at);
	dh->count = 0;
	dh->at = malloc(MAX(dir->dir.count, 1) * sizeof(*dh->at));
	if (!dh->at)
		return -ENOMEM;
	for (const struct name *nm = dir->dir.first; nm; nm = nm->next) {
		dh->at[i++] = (uint32_t)dh->names.len;
		buf_put(&dh->names, nm->s, (size_t)nm->len + 1);
	}
	if (dh->names.err < 0 || dh->names.len > UINT32_MAX)
		return -ENOMEM;
	dh->count = i;
	dh->taken = true;
	return 0;
}

static void fill_locked(struct view *v, struct node *n, unsigned flags,
			struct dir_entry *ret_entry)
{
	if (flags & DIR_LOOKUP)
		node_looked_up_locked(n);
	node_stat_locked(v, n, &ret_entry->entry.st);
	ret_entry->entry.timeout = node_timeout_locked(n);
}

/* "." and "..": numbers only, no lookup. */
static void fill_dots_locked(const struct dir_handle *dh, struct node *dir,
			     uint64_t off, struct dir_entry *ret_entry)
{
	struct node *up = dir->names ? dir->names->parent : dir;

	fill_locked(dh->view, off == 0 ? dir : up, 0, ret_entry);
	ret_entry->name = off == 0 ? "." : "..";
	ret_entry->next = off + 1;
}

static int next_locked(struct dir_handle *dh, struct node *dir, uint64_t off,
		       unsigned flags, struct dir_entry *ret_entry)
{
	if (off < DOTS) {
		fill_dots_locked(dh, dir, off, ret_entry);
		return 1;
	}
	for (uint64_t i = off - DOTS; i < dh->count; i++) {
		const char *s = (const char *)dh->names.data + dh->at[i];
		struct name *nm = name_find_locked(dh->view, dir, s, strlen(s));

		if (!nm)
			continue;
		fill_locked(dh->view, nm->node, flags, ret_entry);
		ret_entry->name = s;
		ret_entry->next = i + DOTS + 1;
		return 1;
	}
	return 0;
}

int do_readdir(struct dir_handle *dh, uint64_t off, unsigned flags,
	       struct dir_entry *ret_entry)
{
	struct view *v = dh->view;
	struct node *dir;
	int r = 0;

	lock_acquire(&dh->lock);
	lock_acquire(&v->lock);
	dir = node_find_locked(v, dh->ino);
	if (!dir)
		r = -ENOENT;
	else if (off == 0 || !dh->taken)
		r = snapshot_locked(dh, dir);
	if (r == 0)
		r = next_locked(dh, dir, off, flags, ret_entry);
	lock_release(&v->lock);
	lock_release(&dh->lock);
	return r;
}
