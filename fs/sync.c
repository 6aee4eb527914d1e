/* SPDX-License-Identifier: Apache-2.0 */
/* A whole view made durable; see sync.h. Any thread but the flusher. */
#include "config.h"

#include "fs/sync.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "fs/flush.h"
#include "fs/mount.h"
#include "fs/view.h"
#include "store/base/broken.h"

/* The private files whose bytes may not be on disk, as before the sync. */
struct unsynced {
	size_t count;
	struct unsynced_file {
		uint64_t ino, staging_id;
		uint16_t epoch;
		bool hot;
	} * files;
};

static bool is_unsynced(const struct node *n)
{
	return n->content == CONTENT_STAGING && !(n->flags & NF_SYNCED);
}

/* -ENOMEM */
static int list_unsynced(struct view *v, struct unsynced *u)
{
	lock_acquire(&v->lock);
	u->files = calloc(v->nodes.count, sizeof(*u->files));
	for (size_t i = 0; u->files && i <= v->nodes.mask; i++)
		for (struct node *n = v->nodes.slot[i]; n; n = n->hash_next)
			if (is_unsynced(n))
				u->files[u->count++] = (struct unsynced_file){
					.ino = n->ino,
					.staging_id = n->staging_id,
					.epoch = n->epoch,
					.hot = n->flags & NF_HOT,
				};
	lock_release(&v->lock);
	return u->files ? 0 : -ENOMEM;
}

/* Those that nobody was writing, nor has opened to write since. */
static void mark_synced(struct view *v, const struct unsynced *u)
{
	lock_acquire(&v->lock);
	for (size_t i = 0; i < u->count; i++) {
		const struct unsynced_file *f = &u->files[i];
		struct node *n = node_find_locked(v, f->ino);

		if (!n || !is_unsynced(n) || n->staging_id != f->staging_id ||
		    f->hot || (n->epoch != f->epoch && !broken("sync-recheck")))
			continue;
		node_synced_locked(v, n);
	}
	lock_release(&v->lock);
}

void sync_failed(struct mount *m, int r)
{
	int none = 0;

	(void)__atomic_compare_exchange_n(&m->sync_error, &none, r, false,
					  __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

int sync_bytes_of_all(struct view *v)
{
	struct unsynced u = { 0 };
	int r = list_unsynced(v, &u);

	if (r == 0 && u.count > 0 && !broken("fsync-data") &&
	    syncfs(store_staging_fd(v->store)) < 0)
		sync_failed(v->mount, -errno);
	if (r == 0 && u.count > 0)
		r = __atomic_load_n(&v->mount->sync_error, __ATOMIC_RELAXED);
	if (r == 0)
		mark_synced(v, &u);
	free(u.files);
	return r;
}

int do_fsyncdir(struct view *v, uint64_t ino)
{
	/* Whoever has stopped writing is found out by this one. */
	int r = flush_wait(v);

	if (r < 0 || ino != VIEW_ROOT_INO)
		return r;
	r = sync_bytes_of_all(v);
	return r < 0 ? r : flush_wait(v);
}
