/* SPDX-License-Identifier: Apache-2.0 */
/* The run-time state of regular files; see file.h. */
#include "config.h"

#include "fs/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "fs/backing.h"
#include "fs/mount.h"
#include "fs/view.h"
#include "store/blob.h"

/* What the store says of a blob's bytes that should be there. */
static int lost(int r)
{
	return r == -ENOENT || r == -EBADMSG ? -EIO : r;
}

bool file_has_backing(const struct node *n)
{
	return n->content == CONTENT_STAGING ||
	       (n->content == CONTENT_BLOB && n->size > BLOB_INLINE_MAX);
}

/* --- the file state ---------------------------------------------------- */

int file_attach_locked(struct node *n)
{
	struct file *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	r = lock_init(&f->io);
	if (r < 0) {
		free(f);
		return r;
	}
	f->fd = f->wfd = -1;
	f->node = n;
	list_init(&f->lru);
	n->file = f;
	return 0;
}

/*
 * Closing these does no I/O, whatever lock is held: the files keep their
 * names in the store.
 */
static void close_backing(struct view *v, struct file *f)
{
	if (f->backing_id > 0)
		backing_close(v->mount, f->backing_id);
	f->backing_id = 0;
	if (f->wfd >= 0)
		(void)close(f->wfd);
	if (f->fd >= 0)
		(void)close(f->fd);
	f->wfd = f->fd = -1;
}

static void leave_lru_locked(struct view *v, struct file *f)
{
	if (list_empty(&f->lru))
		return;
	list_del(&f->lru);
	(void)__atomic_fetch_sub(&v->fds, 1, __ATOMIC_RELAXED);
	(void)__atomic_fetch_sub(&v->mount->fds, 1, __ATOMIC_RELAXED);
}

static void join_lru_locked(struct view *v, struct file *f)
{
	list_add_tail(&v->lru, &f->lru);
	(void)__atomic_fetch_add(&v->fds, 1, __ATOMIC_RELAXED);
	(void)__atomic_fetch_add(&v->mount->fds, 1, __ATOMIC_RELAXED);
}

void file_forget_locked(struct view *v, struct node *n)
{
	struct file *f = TAKE_PTR(n->file);

	leave_lru_locked(v, f);
	close_backing(v, f);
	free(f->mem);
	lock_destroy(&f->io);
	free(f);
}

/* The bytes are in the index as well: no need to keep them here. */
static void unload_mem_locked(struct node *n)
{
	free(TAKE_PTR(n->file->mem));
	n->file->mem_cap = 0;
	n->content = n->size > 0 ? CONTENT_BLOB : CONTENT_NONE;
	n->flags &= ~(unsigned)NF_MEM_ANY;
}

unsigned file_flags(struct view *v, const struct node *n)
{
	unsigned flags;

	lock_acquire(&v->lock);
	flags = n->flags;
	lock_release(&v->lock);
	return flags;
}

void file_idle_locked(struct view *v, struct node *n)
{
	if (n->content == CONTENT_MEM && n->flags & NF_MEM_COMMITTED)
		unload_mem_locked(n);
	if (n->file->fd < 0 && n->content != CONTENT_MEM &&
	    !(n->flags & NF_HOT) && n->file->successor == 0)
		file_forget_locked(v, n);
}

void file_close(struct view *v, struct node *n)
{
	lock_acquire(&v->lock);
	leave_lru_locked(v, n->file);
	lock_release(&v->lock);
	close_backing(v, n->file);
}

static bool too_many(struct mount *m)
{
	return __atomic_load_n(&m->fds, __ATOMIC_RELAXED) > m->max_fds;
}

/* Views are not freed before the mount's end. */
static struct view *view_with_most(struct mount *m)
{
	struct view *found = NULL;
	size_t most = 0;

	lock_acquire(&m->lock);
	list_foreach(l, &m->views)
	{
		struct view *v = list_entry(l, struct view, link);
		size_t fds = __atomic_load_n(&v->fds, __ATOMIC_RELAXED);

		if (fds > most) {
			most = fds;
			found = v;
		}
	}
	lock_release(&m->lock);
	return found;
}

/* The oldest file whose descriptors can be closed now, with its io lock. */
NO_LOCK_ANALYSIS
static struct node *take_oldest(struct view *v)
{
	struct node *found = NULL;

	lock_acquire(&v->lock);
	list_foreach(l, &v->lru)
	{
		struct file *f = list_entry(l, struct file, lru);

		if (!lock_try(&f->io))
			continue;
		found = f->node;
		found->pins++;
		leave_lru_locked(v, f);
		break;
	}
	lock_release(&v->lock);
	return found;
}

NO_LOCK_ANALYSIS
void file_trim(struct mount *m)
{
	struct view *v;
	struct node *n;

	while (too_many(m) && (v = view_with_most(m)) != NULL &&
	       (n = take_oldest(v)) != NULL) {
		struct file *f = n->file;

		/* The kernel holds a file of its own for open handles. */
		if (f->passthrough == 0 && f->backing_id > 0) {
			backing_close(m, f->backing_id);
			f->backing_id = 0;
		}
		if (f->wfd >= 0)
			(void)close(f->wfd);
		(void)close(f->fd);
		f->fd = f->wfd = -1;
		lock_release(&f->io);
		view_unpin(v, n);
	}
}

/* --- opening the backing file ------------------------------------------ */

static int open_content(struct view *v, const struct node *n, int *ret_fd)
{
	if (n->content == CONTENT_STAGING)
		return lost(staging_open(v->store, v->id, n->staging_id,
					 O_RDONLY, ret_fd));
	if (file_has_backing(n))
		return lost(blob_open(v->store, &n->digest, ret_fd));
	return -EINVAL;
}

int file_open(struct view *v, struct node *n, int *ret_fd)
{
	struct file *f = n->file;
	int r;

	if (f->fd < 0) {
		/* Not left to the caller: the flusher looks at any number of
		 * files in a row. */
		file_trim(v->mount);
		r = open_content(v, n, &f->fd);
		if (r < 0)
			return r;
	}
	lock_acquire(&v->lock);
	leave_lru_locked(v, f);
	join_lru_locked(v, f);
	lock_release(&v->lock);
	*ret_fd = f->fd;
	return 0;
}

int file_open_writable(struct view *v, struct node *n, int *ret_fd)
{
	struct file *f = n->file;
	int fd, r;

	assert(n->content == CONTENT_STAGING);
	r = file_open(v, n, &fd);
	if (r < 0)
		return r;
	if (f->wfd < 0) {
		r = lost(staging_open(v->store, v->id, n->staging_id, O_RDWR,
				      &f->wfd));
		/* An attempt to share it that failed has left it so. */
		if (r == -EACCES && fchmod(fd, 0600) == 0)
			r = lost(staging_open(v->store, v->id, n->staging_id,
					      O_RDWR, &f->wfd));
		if (r < 0)
			return r;
	}
	*ret_fd = f->wfd;
	return 0;
}
