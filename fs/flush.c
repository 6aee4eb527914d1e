/* SPDX-License-Identifier: Apache-2.0 */
/* The flusher; see flush.h. */
#include "config.h"

#include "fs/flush.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "fs/hot.h"
#include "fs/log.h"
#include "fs/mount.h"
#include "fs/replace.h"
#include "fs/settle.h"
#include "fs/view.h"
#include "store/base/broken.h"
#include "store/base/time.h"
#include "store/blob.h"

#define FLUSH_INTERVAL_NSEC NSEC_PER_SEC

/* Blobs are swept every so many rounds, so many at once, when nothing has
 * referred to them for so long. */
#define SWEEP_EVERY 60
#define SWEEP_MAX 256
#define SWEEP_GRACE_SEC 600

struct flusher {
	struct mount *mount;
	pthread_t thread;
	struct lock lock;
	struct cond wake;
	bool wanted, stop; /* protected by lock */
};

/* --- one batch --------------------------------------------------------- */

static struct node_rec record_of(const struct node *n)
{
	struct node_rec rec = {
		.mode = n->mode,
		.uid = n->uid,
		.gid = n->gid,
		.nlink = n->nlink,
		.size = n->size,
		.atime = timespec_of(n->atime),
		.mtime = timespec_of(n->mtime),
		.ctime = timespec_of(n->ctime),
		.content = n->content,
	};

	if (n->xattrs) {
		rec.xattrs.p = (const char *)n->xattrs->data;
		rec.xattrs.len = n->xattrs->len;
	}
	return rec;
}

/* Bytes in memory go into the index with the record. */
static int put_mem_locked(struct view *v, struct node *n, struct node_rec *rec)
{
	int r;

	if (n->size == 0) {
		rec->content = CONTENT_NONE;
		n->flags |= NF_MEM_IN_BATCH;
		return 0;
	}
	r = digest_of(n->file->mem, n->size, &n->digest);
	if (r == 0)
		r = batch_put_inline(&v->pending, &n->digest, n->file->mem,
				     n->size);
	if (r < 0)
		return r;
	n->flags |= NF_MEM_IN_BATCH;
	rec->content = CONTENT_BLOB;
	rec->digest = n->digest;
	return 0;
}

static int put_blob_locked(struct view *v, struct node *n, struct node_rec *rec)
{
	int r;

	rec->digest = n->digest;
	if (!(n->flags & NF_BLOB_NEW))
		return 0;
	r = batch_put_blob(&v->pending, &n->digest, n->size, n->staging_id);
	if (r == 0)
		r = batch_drop_staging(&v->pending, n->staging_id);
	if (r < 0)
		return r;
	n->staging_id = 0;
	n->flags &= ~(unsigned)NF_BLOB_NEW;
	return 0;
}

static void put_staging_locked(struct node *n, struct node_rec *rec)
{
	rec->staging_id = n->staging_id;
	rec->blocks = n->blocks;
	if (n->flags & (NF_HOT | NF_SYNC_FAILED))
		rec->flags |= NODE_FLUX;
	if (!(n->flags & NF_SYNCED) && !broken("unsynced-mark"))
		rec->flags |= NODE_UNSYNCED;
	n->flags |= NF_STAGING_COMMITTED;
	n->flags &= ~(unsigned)NF_FLUX_COMMITTED;
	if (n->flags & NF_HOT)
		n->flags |= NF_FLUX_IN_BATCH;
}

static int put_node_locked(struct view *v, struct node *n)
{
	struct node_rec rec = record_of(n);
	int r = 0;

	n->flags &= ~(unsigned)NF_FLUX_IN_BATCH;
	if (n->content == CONTENT_MEM) {
		r = put_mem_locked(v, n, &rec);
	} else if (n->content == CONTENT_BLOB) {
		r = put_blob_locked(v, n, &rec);
	} else if (n->content == CONTENT_STAGING) {
		put_staging_locked(n, &rec);
	} else if (n->content == CONTENT_SYMLINK) {
		rec.target.p = n->target;
		rec.target.len = n->size;
	}
	if (r == 0)
		r = batch_put_node(&v->pending, n->ino, &rec);
	if (r == 0)
		r = inos_add(&v->captured, n->ino);
	if (r == 0 && n->flags & NF_HOT && !(n->flags & NF_HOT_LISTED)) {
		r = inos_add(&v->hot, n->ino);
		if (r == 0)
			n->flags |= NF_HOT_LISTED;
	}
	n->flags |= NF_COMMITTED;
	return r;
}

static int put_nodes_locked(struct view *v)
{
	struct node *n;

	while ((n = node_first_dirty_locked(v)) != NULL) {
		int r = put_node_locked(v, n);

		if (r < 0)
			return r;
		node_clean_locked(v);
	}
	return 0;
}

static int put_names_locked(struct view *v)
{
	struct name *nm;

	while ((nm = name_first_dirty_locked(v)) != NULL) {
		int r = batch_put_name(&v->pending, nm->parent->ino, nm->s,
				       nm->len, nm->node->ino);

		if (r < 0)
			return r;
		name_clean_locked(v);
	}
	return 0;
}

/*
 * Appends all that has changed to the pending batch: removals first, as a
 * name may have been removed and made again. When it cannot (-ENOMEM), what
 * has been taken stays in the batch, what has not stays dirty, and the next
 * flush goes on: nothing is committed before all of it is taken.
 */
static int take_batch_locked(struct view *v)
{
	int r;

	if (v->out_of_memory)
		return -ENOMEM;
	buf_put(&v->pending.ops, v->gone.ops.data, v->gone.ops.len);
	r = v->pending.ops.err;
	v->pending.ops.err = 0;
	if (r == 0) {
		v->pending.count += v->gone.count;
		buf_reset(&v->gone.ops);
		v->gone.count = 0;
		r = put_nodes_locked(v);
	}
	if (r == 0)
		r = put_names_locked(v);
	return r;
}

/* --- before and after a commit ----------------------------------------- */

/* Looks at files that were written lately: sizes, times, and whether the last
 * writer has gone. One whose io is busy is looked at the next time. */
static void look_at_hot(struct view *v)
{
	size_t kept = 0;

	for (size_t i = 0; i < v->hot.count; i++) {
		struct node *n = view_pin(v, v->hot.ino[i]);
		bool hot;

		if (!n)
			continue;
		if (n->file && lock_try(&n->file->io)) {
			hot_take_over(v, n);
			if (n->file->writers == 0)
				(void)hot_try_end(v, n);
			lock_release(&n->file->io);
		}
		lock_acquire(&v->lock);
		hot = n->flags & NF_HOT;
		if (!hot)
			n->flags &= ~(unsigned)NF_HOT_LISTED;
		lock_release(&v->lock);
		if (hot)
			v->hot.ino[kept++] = n->ino;
		view_unpin(v, n);
	}
	v->hot.count = kept;
}

static void committed_locked(struct view *v)
{
	for (size_t i = 0; i < v->captured.count; i++) {
		struct node *n = node_find_locked(v, v->captured.ino[i]);

		if (!n)
			continue;
		if (n->flags & NF_FLUX_IN_BATCH) {
			n->flags &= ~(unsigned)NF_FLUX_IN_BATCH;
			n->flags |= NF_FLUX_COMMITTED;
		}
		if (n->flags & NF_MEM_IN_BATCH)
			n->flags |= NF_MEM_COMMITTED;
		node_check_locked(v, n);
	}
	buf_reset(&v->pending.ops);
	v->pending.count = 0;
}

/* Private files that are committed and that nobody writes may settle. */
static void settle_captured(struct view *v)
{
	for (size_t i = 0; i < v->captured.count; i++) {
		struct node *n = view_pin(v, v->captured.ino[i]);

		if (!n)
			continue;
		settle_enqueue(v, n);
		view_unpin(v, n);
	}
	v->captured.count = 0;
}

static int commit(struct view *v, uint64_t next_ino)
{
	struct view_state state = { .next_ino = next_ino, .unsynced = true };

	if (v->pending.count == 0)
		return 0;
	memcpy(state.boot_id, v->boot_id, sizeof(state.boot_id));
	view_count(v, COUNTER_COMMITS, 1);
	return views_commit(v->store, v->id, &v->pending, &state);
}

/*
 * The batch without the row that was refused, and with all that has changed
 * since. Unless its file has changed, too, it is lost without its blob: it
 * goes, so that cargo makes it again.
 */
static int take_batch_without_refused(struct view *v, uint64_t *ret_next_ino,
				      int *ret_lost)
{
	uint64_t ino = v->pending.refused;
	struct node *n;
	bool lost;
	int r;

	batch_take_back_node(&v->pending, ino);
	lock_acquire(&v->lock);
	n = node_find_locked(v, ino);
	lost = n && !(n->flags & NF_DIRTY);
	if (lost)
		node_lose_locked(v, n);
	r = take_batch_locked(v);
	*ret_next_ino = v->next_ino;
	lock_release(&v->lock);
	if (lost) {
		log_error("view %u: file %" PRIu64 " is lost: no blob", v->id,
			  ino);
		*ret_lost = -EIO;
	}
	return r;
}

/* One file that cannot be committed does not hold up all others. *ret_lost:
 * -EIO if there was one; who waits for a commit may have waited for it. */
static int commit_what_can_be(struct view *v, uint64_t next_ino, int *ret_lost)
{
	int r;

	while ((r = commit(v, next_ino)) < 0 && v->pending.refused != 0) {
		r = take_batch_without_refused(v, &next_ino, ret_lost);
		if (r < 0)
			break;
	}
	return r;
}

static void unlink_orphans(struct view *v, struct inos *orphans)
{
	for (size_t i = 0; i < orphans->count; i++)
		(void)staging_unlink(v->store, v->id, orphans->ino[i]);
	free(orphans->ino);
}

static bool nothing_to_do_locked(const struct view *v)
{
	if (v->root->nlink == 0)
		return !v->flush_wanted;
	return !v->flush_wanted && !v->dirty_nodes && !v->dirty_names &&
	       v->gone.count == 0 && v->pending.count == 0 &&
	       v->orphans.count == 0;
}

static void report(struct view *v, int r)
{
	if (r < 0)
		view_count(v, COUNTER_COMMIT_ERRORS, 1);
	if (r != v->flush_error && r < 0)
		log_error("cannot commit view %u, will try again: %s", v->id,
			  strerror(-r));
	else if (r != v->flush_error)
		log_info("view %u commits again", v->id);
}

int flush_now(struct view *v)
{
	struct inos orphans;
	uint64_t next_ino, seq;
	int r, lost = 0;

	look_at_hot(v);
	lock_acquire(&v->lock);
	if (nothing_to_do_locked(v)) {
		lock_release(&v->lock);
		return 0;
	}
	v->flush_wanted = false;
	seq = ++v->snap_seq;
	/* A host view that was removed has no rows any more. */
	r = v->root->nlink == 0 ? -ENOENT : take_batch_locked(v);
	next_ino = v->next_ino;
	orphans = v->orphans;
	v->orphans = (struct inos){ 0 };
	lock_release(&v->lock);

	unlink_orphans(v, &orphans);
	if (r == 0)
		r = commit_what_can_be(v, next_ino, &lost);

	lock_acquire(&v->lock);
	if (r == 0)
		committed_locked(v);
	if (v->root->nlink > 0)
		report(v, r);
	v->flush_error = r < 0 ? r : lost;
	v->done_seq = seq;
	cond_broadcast(&v->flushed);
	lock_release(&v->lock);
	if (r == 0)
		settle_captured(v);
	return r < 0 ? r : lost;
}

/* --- the thread -------------------------------------------------------- */

static void flush_all(struct mount *m)
{
	struct view *v;

	/* Views are added at the end and not freed before the mount's end. */
	lock_acquire(&m->lock);
	list_foreach(l, &m->views)
	{
		v = list_entry(l, struct view, link);
		lock_release(&m->lock);
		(void)flush_now(v);
		lock_acquire(&m->lock);
	}
	lock_release(&m->lock);
}

/* Blobs that nothing refers to any more, of this and other views. */
static void sweep(struct mount *m)
{
	uint64_t freed;
	int r = blob_sweep(m->store, SWEEP_GRACE_SEC, SWEEP_MAX, &freed);

	if (r < 0 && r != -EROFS)
		log_error("cannot free unused blobs: %s", strerror(-r));
}

static void *flusher_run(void *arg)
{
	struct flusher *f = arg;
	unsigned rounds = 0;

	lock_acquire(&f->lock);
	while (!f->stop) {
		if (!f->wanted)
			(void)cond_wait_for(&f->wake, &f->lock,
					    FLUSH_INTERVAL_NSEC);
		f->wanted = false;
		lock_release(&f->lock);
		flush_all(f->mount);
		if (++rounds % SWEEP_EVERY == 0)
			sweep(f->mount);
		lock_acquire(&f->lock);
	}
	lock_release(&f->lock);
	return NULL;
}

int flusher_start(struct mount *m, struct flusher **ret_flusher)
{
	struct flusher *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	f->mount = m;
	r = lock_init(&f->lock);
	if (r == 0)
		r = cond_init(&f->wake);
	if (r == 0)
		r = -pthread_create(&f->thread, NULL, flusher_run, f);
	if (r < 0) {
		free(f);
		return r;
	}
	*ret_flusher = f;
	return 0;
}

void flusher_stop(struct flusher *f)
{
	if (!f)
		return;
	lock_acquire(&f->lock);
	f->stop = f->wanted = true;
	cond_broadcast(&f->wake);
	lock_release(&f->lock);
	(void)pthread_join(f->thread, NULL);
	cond_destroy(&f->wake);
	lock_destroy(&f->lock);
	free(f);
}

static void flusher_kick(struct flusher *f)
{
	lock_acquire(&f->lock);
	f->wanted = true;
	cond_signal(&f->wake);
	lock_release(&f->lock);
}

int flush_wait(struct view *v)
{
	uint64_t target;
	int r;

	if (!v->mount->flusher)
		return flush_now(v);
	lock_acquire(&v->lock);
	target = v->snap_seq + 1;
	v->flush_wanted = true;
	lock_release(&v->lock);
	flusher_kick(v->mount->flusher);
	lock_acquire(&v->lock);
	while (v->done_seq < target)
		cond_wait(&v->flushed, &v->lock);
	r = v->flush_error;
	lock_release(&v->lock);
	return r;
}
