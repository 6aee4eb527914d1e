/* SPDX-License-Identifier: Apache-2.0 */
/* Names that get another node, or lose theirs; see replace.h. */
#include "config.h"

#include "fs/replace.h"

#include <errno.h>

#include "fs/mount.h"
#include "fs/notify.h"
#include "fs/units.h"
#include "fs/view.h"

static struct node *copy_locked(struct view *v, const struct node *n)
{
	struct node *c = node_new_locked(v, 0, n->mode);

	if (!c)
		return NULL;
	c->uid = n->uid;
	c->gid = n->gid;
	c->nlink = n->nlink;
	c->atime = n->atime;
	c->mtime = n->mtime;
	c->ctime = n->ctime;
	c->size = n->size;
	c->flags = n->flags & NF_META;
	return c;
}

/* Without memory the file stays, and the next attach removes it. */
static void give_back_locked(struct view *v, uint64_t staging_id)
{
	if (staging_id != 0)
		(void)inos_add(&v->orphans, staging_id);
}

/* What @n holds, or a staging file with the same bytes. */
static void set_content_locked(const struct node *n, struct node *c,
			       uint64_t staging_id)
{
	c->content = n->content;
	c->digest = n->digest;
	c->staging_id = n->staging_id;
	/* A blob that is not committed yet is brought by both rows: whichever
	 * goes first, or changes its mind, the other's must not be refused.
	 * Both operations may be repeated. */
	c->flags |= n->flags & NF_BLOB_NEW;
	if (staging_id == 0)
		return;
	c->content = CONTENT_STAGING;
	c->staging_id = staging_id;
	c->blocks = (n->size + 511) / 512; /* until it is looked at */
}

int node_replace(struct view *v, struct node *n, uint64_t staging_id)
{
	struct node *c = NULL;
	struct invalidation *inv;

	lock_acquire(&v->lock);
	inv = invalidation_new_locked(v, n);
	if (inv && n->nlink > 0)
		c = copy_locked(v, n);
	if (!c) {
		give_back_locked(v, staging_id);
		lock_release(&v->lock);
		invalidation_free(inv);
		return inv ? -ESTALE : -ENOMEM;
	}
	set_content_locked(n, c, staging_id);
	c->xattrs = TAKE_PTR(n->xattrs);
	while (n->names)
		name_repoint_locked(v, n->names, c);
	n->file->successor = c->ino;
	node_dirty_locked(v, c);
	/* Its row keeps what is being read. */
	n->nlink = 0;
	node_dirty_locked(v, n);
	node_check_locked(v, n);
	lock_release(&v->lock);
	invalidation_send(v->mount, inv);
	return -ESTALE;
}

struct node *node_current_locked(struct view *v, struct node *n)
{
	while (n->file && n->file->successor != 0) {
		struct node *next = node_find_locked(v, n->file->successor);

		if (!next)
			break;
		n = next;
	}
	return n;
}

/* Without a notifier the kernel does not know the names yet, or any more. */
static void tell_kernel(struct view *v, struct invalidation *inv)
{
	if (inv && v->mount->notifier)
		invalidation_send(v->mount, inv);
	else
		invalidation_free(inv);
}

void node_lose_locked(struct view *v, struct node *n)
{
	struct invalidation *inv = invalidation_new_locked(v, n);
	int64_t now = view_now(v);

	while (n->names) {
		struct node *dir = n->names->parent;

		units_removed_locked(v, n->names);
		name_remove_locked(v, n->names);
		dir->mtime = dir->ctime = now;
		node_dirty_locked(v, dir);
	}
	n->nlink = 0;
	if (batch_del_node(&v->gone, n->ino) < 0)
		v->out_of_memory = true;
	n->flags &= ~(unsigned)(NF_COMMITTED | NF_DIRTY);
	node_check_locked(v, n);
	tell_kernel(v, inv);
}
