/* SPDX-License-Identifier: Apache-2.0 */
/* Changing and walking the tree; see namei.h. */
#include "config.h"

#include "fs/namei.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "fs/cargo/layout.h"
#include "fs/hot.h"
#include "fs/replace.h"
#include "fs/units.h"
#include "store/base/time.h"

void node_stat_locked(const struct view *v, const struct node *n,
		      struct stat *ret_st)
{
	*ret_st = (struct stat){
		.st_ino = v->base | n->ino,
		.st_mode = n->mode,
		.st_nlink = n->nlink,
		.st_uid = n->uid,
		.st_gid = n->gid,
		.st_size = (off_t)n->size,
		.st_blksize = 4096,
		.st_blocks = (blkcnt_t)((n->size + 511) / 512),
		.st_atim = timespec_of(n->atime),
		.st_mtim = timespec_of(n->mtime),
		.st_ctim = timespec_of(n->ctime),
	};
	if (n->content == CONTENT_STAGING)
		ret_st->st_blocks = (blkcnt_t)n->blocks;
	if (node_is_dir(n)) {
		ret_st->st_size = 4096;
		ret_st->st_blocks = 8;
	}
}

double node_timeout_locked(const struct node *n)
{
	return n->flags & NF_HOT ? 0.0 : FOREVER;
}

static void entry_locked(const struct view *v, struct node *n,
			 struct entry *ret_entry)
{
	node_looked_up_locked(n);
	node_stat_locked(v, n, &ret_entry->st);
	ret_entry->timeout = node_timeout_locked(n);
}

/* A directory that still has a place in the tree. */
static int find_dir_locked(struct view *v, uint64_t ino, struct node **ret_dir)
{
	struct node *n = node_find_locked(v, ino);

	if (!n)
		return -ENOENT;
	if (!node_is_dir(n))
		return -ENOTDIR;
	*ret_dir = n;
	return 0;
}

static int check_name(const char *name)
{
	size_t len = strlen(name);

	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	return len == 0 ? -ENOENT : 0;
}

/* -ENOENT for a directory that was removed: nothing can be made in it. */
static int find_free_locked(struct view *v, uint64_t parent, const char *name,
			    struct node **ret_dir)
{
	int r = check_name(name);

	if (r == 0)
		r = find_dir_locked(v, parent, ret_dir);
	if (r < 0)
		return r;
	if ((*ret_dir)->nlink == 0)
		return -ENOENT;
	if (name_find_locked(v, *ret_dir, name, strlen(name)))
		return -EEXIST;
	return 0;
}

static int find_used_locked(struct view *v, uint64_t parent, const char *name,
			    struct node **ret_dir, struct name **ret_name)
{
	int r = check_name(name);

	if (r == 0)
		r = find_dir_locked(v, parent, ret_dir);
	if (r < 0)
		return r;
	*ret_name = name_find_locked(v, *ret_dir, name, strlen(name));
	return *ret_name ? 0 : -ENOENT;
}

/* A directory's list of names has changed. */
static void dir_touched_locked(struct view *v, struct node *dir, int64_t now)
{
	dir->mtime = dir->ctime = now;
	node_dirty_locked(v, dir);
}

static void changed_locked(struct view *v, struct node *n, int64_t now)
{
	n->ctime = now;
	node_dirty_locked(v, n);
}

bool node_is_meta_locked(const struct node *n)
{
	char path[PATH_MAX];

	if (!n->names || name_path_locked(n->names, path, sizeof(path)) < 0)
		return false;
	return layout_classify(path).kind == LAYOUT_META;
}

/* --- lookup ------------------------------------------------------------ */

/*
 * A hot file's attributes have to be read from its backing file, which cannot
 * be done under the lock.
 */
static void refresh_entry(struct view *v, struct node *n,
			  struct entry *ret_entry)
{
	hot_refresh(v, n);
	lock_acquire(&v->lock);
	node_stat_locked(v, n, &ret_entry->st);
	ret_entry->timeout = node_timeout_locked(n);
	n->pins--;
	lock_release(&v->lock);
}

int do_lookup(struct view *v, uint64_t parent, const char *name,
	      struct entry *ret_entry)
{
	struct node *dir, *hot = NULL;
	struct name *nm;
	int r;

	lock_acquire(&v->lock);
	r = find_used_locked(v, parent, name, &dir, &nm);
	if (r == 0) {
		entry_locked(v, nm->node, ret_entry);
		if (nm->node->flags & NF_HOT) {
			hot = nm->node;
			hot->pins++;
		}
	}
	lock_release(&v->lock);
	if (hot)
		refresh_entry(v, hot, ret_entry);
	return r;
}

void do_forget(struct view *v, uint64_t ino, uint64_t nlookup)
{
	struct node *n;

	lock_acquire(&v->lock);
	n = node_find_locked(v, ino);
	if (n) {
		node_forgotten_locked(n, nlookup);
		node_check_locked(v, n);
	}
	lock_release(&v->lock);
}

/* --- making ------------------------------------------------------------ */

static int make_locked(struct view *v, uint64_t parent, const char *name,
		       mode_t mode, struct caller who, struct node **ret_node)
{
	struct node *dir, *n;
	struct name *nm;
	int r;

	r = find_free_locked(v, parent, name, &dir);
	if (r < 0)
		return r;
	if (S_ISDIR(mode) && dir->nlink >= NLINK_MAX)
		return -EMLINK;
	n = node_new_locked(v, 0, mode);
	if (!n)
		return -ENOMEM;
	nm = name_add_locked(v, dir, name, strlen(name), n);
	if (!nm) {
		node_check_locked(v, n);
		return -ENOMEM;
	}
	n->uid = who.uid;
	n->gid = dir->mode & S_ISGID ? dir->gid : who.gid;
	if (S_ISDIR(mode))
		n->mode |= dir->mode & S_ISGID;
	n->atime = n->mtime = n->ctime = view_now(v);
	n->nlink = S_ISDIR(mode) ? 2 : 1;
	if (S_ISDIR(mode))
		dir->nlink++;
	else if (S_ISREG(mode) && node_is_meta_locked(n))
		n->flags |= NF_META;
	node_dirty_locked(v, n);
	dir_touched_locked(v, dir, n->mtime);
	units_changed_locked(v, nm);
	*ret_node = n;
	return 0;
}

static int make(struct view *v, uint64_t parent, const char *name, mode_t mode,
		struct caller who, char *target, struct entry *ret_entry)
{
	struct node *n;
	int r;

	lock_acquire(&v->lock);
	r = make_locked(v, parent, name, mode, who, &n);
	if (r == 0) {
		if (target) {
			n->target = TAKE_PTR(target);
			n->size = strlen(n->target);
			n->content = CONTENT_SYMLINK;
		}
		entry_locked(v, n, ret_entry);
	}
	lock_release(&v->lock);
	free(target);
	return r;
}

int do_mknod(struct view *v, uint64_t parent, const char *name, mode_t mode,
	     struct caller who, struct entry *ret_entry)
{
	if (S_ISBLK(mode) || S_ISCHR(mode))
		return -EPERM;
	if (mode & (S_ISUID | S_ISGID))
		return -EPERM;
	return make(v, parent, name, mode, who, NULL, ret_entry);
}

int do_mkdir(struct view *v, uint64_t parent, const char *name, mode_t mode,
	     struct caller who, struct entry *ret_entry)
{
	mode = S_IFDIR | (mode & 01777);
	return make(v, parent, name, mode, who, NULL, ret_entry);
}

int do_symlink(struct view *v, uint64_t parent, const char *name,
	       const char *target, struct caller who, struct entry *ret_entry)
{
	char *copy;

	if (strlen(target) >= PATH_MAX)
		return -ENAMETOOLONG;
	copy = strdup(target);
	if (!copy)
		return -ENOMEM;
	return make(v, parent, name, S_IFLNK | 0777, who, copy, ret_entry);
}

int do_link(struct view *v, uint64_t ino, uint64_t parent, const char *name,
	    struct entry *ret_entry)
{
	struct node *n, *dir;
	int r;

	lock_acquire(&v->lock);
	n = node_find_locked(v, ino);
	if (n)
		n = node_current_locked(v, n);
	r = n ? find_free_locked(v, parent, name, &dir) : -ENOENT;
	if (r == 0 && node_is_dir(n))
		r = -EPERM;
	else if (r == 0 && n->nlink == 0)
		r = -ENOENT;
	else if (r == 0 && n->nlink >= NLINK_MAX)
		r = -EMLINK;
	if (r == 0 && !name_add_locked(v, dir, name, strlen(name), n))
		r = -ENOMEM;
	if (r == 0) {
		int64_t now = view_now(v);

		n->nlink++;
		changed_locked(v, n, now);
		dir_touched_locked(v, dir, now);
		/* The newest name comes first. */
		units_changed_locked(v, n->names);
		entry_locked(v, n, ret_entry);
	}
	lock_release(&v->lock);
	return r;
}

/* --- removing ---------------------------------------------------------- */

/*
 * The node has lost its last name. If it is in use, its row stays (with nlink
 * 0) until it no longer is: the row keeps the blob that is still read.
 */
static void unlinked_locked(struct view *v, struct node *n)
{
	n->nlink = 0;
	node_dirty_locked(v, n);
	node_check_locked(v, n);
}

/* Takes one link off a node whose name has just been removed. */
static void drop_link_locked(struct view *v, struct node *n, struct node *dir,
			     int64_t now)
{
	if (node_is_dir(n)) {
		dir->nlink--;
		n->nlink = 0;
	} else {
		n->nlink--;
	}
	n->ctime = now;
	if (n->nlink == 0)
		unlinked_locked(v, n);
	else
		node_dirty_locked(v, n);
}

static int remove_(struct view *v, uint64_t parent, const char *name,
		   bool want_dir)
{
	struct node *dir, *n;
	struct name *nm;
	int r;

	lock_acquire(&v->lock);
	r = find_used_locked(v, parent, name, &dir, &nm);
	if (r == 0 && want_dir && !node_is_dir(nm->node))
		r = -ENOTDIR;
	else if (r == 0 && !want_dir && node_is_dir(nm->node))
		r = -EISDIR;
	else if (r == 0 && want_dir && nm->node->dir.count > 0)
		r = -ENOTEMPTY;
	if (r == 0) {
		int64_t now = view_now(v);

		n = nm->node;
		units_removed_locked(v, nm);
		name_remove_locked(v, nm);
		drop_link_locked(v, n, dir, now);
		dir_touched_locked(v, dir, now);
	}
	lock_release(&v->lock);
	return r;
}

void remove_tree_locked(struct view *v, struct name *nm)
{
	struct name *at = nm;

	/* Downwards to the first leaf, remove it, and on from its parent. */
	for (;;) {
		struct node *n = at->node, *dir = at->parent;
		struct name *up = dir->names;
		bool done = at == nm;
		int64_t now;

		if (node_is_dir(n) && n->dir.first) {
			at = n->dir.first;
			continue;
		}
		now = view_now(v);
		units_removed_locked(v, at);
		name_remove_locked(v, at);
		drop_link_locked(v, n, dir, now);
		dir_touched_locked(v, dir, now);
		if (done)
			return;
		at = dir->dir.first ? dir->dir.first : up;
	}
}

int do_unlink(struct view *v, uint64_t parent, const char *name)
{
	return remove_(v, parent, name, false);
}

int do_rmdir(struct view *v, uint64_t parent, const char *name)
{
	return remove_(v, parent, name, true);
}

/* --- rename ------------------------------------------------------------ */

struct rename {
	struct node *from, *to; /* directories */
	struct name *old, *new; /* new: NULL when the name is free */
	const char *newname;
	int64_t now;
};

/* Whether @dir is @n or lies below it. */
static bool is_below_locked(const struct node *dir, const struct node *n)
{
	for (; dir; dir = dir->names ? dir->names->parent : NULL)
		if (dir == n)
			return true;
	return false;
}

/* What the kernel has checked under its own locks, and we do not trust. */
static int rename_check_locked(const struct rename *rn, unsigned flags)
{
	const struct node *n = rn->old->node;
	const struct node *t = rn->new ? rn->new->node : NULL;

	if (flags & RENAME_EXCHANGE && !t)
		return -ENOENT;
	if (flags & RENAME_NOREPLACE && t)
		return -EEXIST;
	if (node_is_dir(n) && is_below_locked(rn->to, n))
		return -EINVAL;
	if (flags & RENAME_EXCHANGE)
		return node_is_dir(t) && is_below_locked(rn->from, t) ? -EINVAL
								      : 0;
	if (!t)
		return rn->to->nlink == 0 ? -ENOENT : 0;
	if (node_is_dir(n) && !node_is_dir(t))
		return -ENOTDIR;
	if (!node_is_dir(n) && node_is_dir(t))
		return -EISDIR;
	if (node_is_dir(t) && t->dir.count > 0)
		return -ENOTEMPTY;
	return 0;
}

/* Whether one of the directories would get more subdirectories than it may. */
static bool rename_is_one_too_many(const struct rename *rn, unsigned flags)
{
	bool old_is_dir = node_is_dir(rn->old->node);
	bool new_is_dir = rn->new &&node_is_dir(rn->new->node);

	if (rn->from == rn->to || old_is_dir == new_is_dir)
		return false;
	if (old_is_dir)
		return rn->to->nlink >= NLINK_MAX;
	return flags & RENAME_EXCHANGE && rn->from->nlink >= NLINK_MAX;
}

static void rename_exchange_locked(struct view *v, const struct rename *rn)
{
	struct node *a = rn->old->node, *b = rn->new->node;

	name_repoint_locked(v, rn->old, b);
	name_repoint_locked(v, rn->new, a);
	if (node_is_dir(a) != node_is_dir(b)) {
		struct node *loses = node_is_dir(a) ? rn->from : rn->to;
		struct node *gains = node_is_dir(a) ? rn->to : rn->from;

		loses->nlink--;
		gains->nlink++;
	}
	changed_locked(v, a, rn->now);
	changed_locked(v, b, rn->now);
}

static int rename_move_locked(struct view *v, const struct rename *rn)
{
	struct node *n = rn->old->node;

	if (rn->new) {
		struct node *t = rn->new->node;

		name_repoint_locked(v, rn->new, n);
		drop_link_locked(v, t, rn->to, rn->now);
	} else {
		struct name *nm = name_add_locked(v, rn->to, rn->newname,
						  strlen(rn->newname), n);

		if (!nm)
			return -ENOMEM;
		units_changed_locked(v, nm);
	}
	name_remove_locked(v, rn->old);
	if (node_is_dir(n)) {
		rn->from->nlink--;
		rn->to->nlink++;
	}
	changed_locked(v, n, rn->now);
	return 0;
}

static int rename_locked(struct view *v, struct rename *rn, unsigned flags)
{
	int r = rename_check_locked(rn, flags);

	if (r < 0)
		return r;
	/* Two names of one file: POSIX wants nothing to happen. */
	if (rn->new && rn->new->node == rn->old->node)
		return 0;
	if (rename_is_one_too_many(rn, flags))
		return -EMLINK;
	rn->now = view_now(v);
	units_removed_locked(v, rn->old);
	if (rn->new)
		units_removed_locked(v, rn->new);
	if (flags & RENAME_EXCHANGE)
		rename_exchange_locked(v, rn);
	else
		r = rename_move_locked(v, rn);
	if (r < 0)
		return r;
	dir_touched_locked(v, rn->from, rn->now);
	dir_touched_locked(v, rn->to, rn->now);
	return 0;
}

int do_rename(struct view *v, uint64_t parent, const char *name,
	      uint64_t newparent, const char *newname, unsigned flags)
{
	struct rename rn = { .newname = newname };
	int r;

	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	lock_acquire(&v->lock);
	r = find_used_locked(v, parent, name, &rn.from, &rn.old);
	if (r == 0) {
		r = find_used_locked(v, newparent, newname, &rn.to, &rn.new);
		if (r == -ENOENT && rn.to)
			r = 0;
	}
	if (r == 0)
		r = rename_locked(v, &rn, flags);
	lock_release(&v->lock);
	return r;
}

int do_readlink(struct view *v, uint64_t ino, char *buf, size_t size)
{
	struct node *n;
	int r = 0;

	lock_acquire(&v->lock);
	n = node_find_locked(v, ino);
	if (!n)
		r = -ENOENT;
	else if (!S_ISLNK(n->mode))
		r = -EINVAL;
	else if (n->size >= size)
		r = -ENAMETOOLONG;
	else
		memcpy(buf, n->target, n->size + 1);
	lock_release(&v->lock);
	return r;
}
