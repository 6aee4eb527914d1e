/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of regular files; see content.h. */
#include "config.h"

#include "fs/content.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/file.h"
#include "fs/flush.h"
#include "fs/hot.h"
#include "fs/replace.h"
#include "fs/view.h"
#include "store/base/broken.h"
#include "store/base/io.h"
#include "store/blob.h"

/* What the store says of a blob's bytes that should be there. */
static int lost(int r)
{
	return r == -ENOENT || r == -EBADMSG ? -EIO : r;
}

/* --- changes of kind --------------------------------------------------- */

/* A staging file of a new id, open for writing. */
static int new_staging(struct view *v, uint64_t *ret_id, int *ret_fd)
{
	lock_acquire(&v->lock);
	*ret_id = v->next_staging++;
	lock_release(&v->lock);
	return staging_create(v->store, v->id, *ret_id, ret_fd);
}

/*
 * The file @id, with @size bytes, holds the content from now on. @fd, its
 * descriptor for writing, is taken over.
 */
static void become_staging(struct view *v, struct node *n, uint64_t id, int fd,
			   uint64_t size)
{
	struct file *f = n->file;

	hot_stamp(fd, n->mtime);
	file_close(v, n);
	lock_acquire(&v->lock);
	node_drop_staging_locked(v, n);
	free(TAKE_PTR(f->mem));
	f->mem_cap = 0;
	n->content = CONTENT_STAGING;
	n->staging_id = id;
	n->size = size;
	n->blocks = (size + 511) / 512; /* until it is looked at */
	n->flags &= ~(unsigned)(NF_STAGING_COMMITTED | NF_FLUX_COMMITTED |
				NF_SYNCED | NF_MEM_ANY);
	/* Whoever asks for it writes: no row may ever say that these bytes are
	 * at rest before the writer is counted. */
	n->flags |= NF_HOT;
	node_dirty_locked(v, n);
	lock_release(&v->lock);
	f->wfd = fd;
}

/* Copies the first @size bytes of the backing file to a new staging file. */
static int copy_bytes(struct view *v, struct node *n, uint64_t size,
		      uint64_t *ret_id, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	uint64_t id;
	int from, r;

	r = file_open(v, n, &from);
	if (r < 0)
		return r;
	r = new_staging(v, &id, &fd);
	if (r < 0)
		return r;
	r = copy_range(from, 0, fd, 0, size, NULL);
	if (r == 0)
		r = ftruncate(fd, (off_t)size) < 0 ? -errno : 0;
	if (r < 0) {
		(void)staging_unlink(v->store, v->id, id);
		return r;
	}
	view_count(v, COUNTER_PRIVATIZED, 1);
	*ret_id = id;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int copy_to_staging(struct view *v, struct node *n, uint64_t size)
{
	uint64_t id;
	int fd, r;

	r = copy_bytes(v, n, size, &id, &fd);
	if (r == 0)
		become_staging(v, n, id, fd, size);
	return r;
}

/*
 * For a file that passthrough readers have open: they keep it, the names get
 * a node with a copy. The copy is whole, whatever of it is wanted: who asked
 * is told to come again, and might not.
 */
static int replace_by_copy(struct view *v, struct node *n)
{
	_cleanup_close_ int fd = -1;
	uint64_t id;
	int r;

	r = copy_bytes(v, n, n->size, &id, &fd);
	return r < 0 ? r : node_replace(v, n, id);
}

/* Loads an inline blob, so that it can be changed in memory. */
static int inline_to_mem(struct view *v, struct node *n)
{
	_cleanup_free_ uint8_t *mem = malloc(MAX(n->size, 1));
	size_t len = 0;
	int r = 0;

	if (!mem)
		return -ENOMEM;
	if (n->size > 0)
		r = blob_read_inline(v->store, &n->digest, 0, mem, n->size,
				     &len);
	if (r < 0)
		return lost(r);
	if (len != n->size)
		return -EIO;
	lock_acquire(&v->lock);
	n->file->mem = TAKE_PTR(mem);
	n->file->mem_cap = MAX(n->size, 1);
	n->content = CONTENT_MEM;
	n->flags &= ~(unsigned)NF_MEM_ANY;
	node_dirty_locked(v, n);
	lock_release(&v->lock);
	return 0;
}

int content_load_staging(struct view *v, struct node *n)
{
	_cleanup_free_ uint8_t *mem = malloc(MAX(n->size, 1));
	size_t len = 0;
	int fd, r;

	if (!mem)
		return -ENOMEM;
	r = file_open(v, n, &fd);
	if (r == 0)
		r = pread_full(fd, mem, n->size, 0, &len);
	if (r == 0 && len != n->size)
		r = -EIO;
	if (r < 0)
		return r;
	file_close(v, n);
	lock_acquire(&v->lock);
	node_drop_staging_locked(v, n);
	n->file->mem = TAKE_PTR(mem);
	n->file->mem_cap = MAX(n->size, 1);
	n->content = CONTENT_MEM;
	n->flags &= ~(unsigned)(NF_MEM_ANY | NF_FLUX_COMMITTED);
	node_dirty_locked(v, n);
	lock_release(&v->lock);
	return 0;
}

int content_to_staging(struct view *v, struct node *n)
{
	_cleanup_close_ int fd = -1;
	uint64_t id;
	int r;

	if (n->content == CONTENT_BLOB && !file_has_backing(n)) {
		r = inline_to_mem(v, n);
		if (r < 0)
			return r;
	}
	r = new_staging(v, &id, &fd);
	if (r == 0 && n->content == CONTENT_MEM)
		r = pwrite_full(fd, n->file->mem, n->size, 0);
	if (r < 0) {
		if (fd >= 0)
			(void)staging_unlink(v->store, v->id, id);
		return r;
	}
	become_staging(v, n, id, TAKE_FD(fd), n->size);
	return 0;
}

/*
 * Rule 2: commits that these bytes may change. The mark comes first: a commit
 * that took the row without it is seen then, and one that comes later takes it
 * along. The other way around, a row might be committed in between that says
 * the bytes are at rest.
 */
static int mark_flux(struct view *v, struct node *n)
{
	bool wait;

	hot_begin(v, n);
	lock_acquire(&v->lock);
	wait = (n->flags & NF_STAGING_COMMITTED) &&
	       !(n->flags & NF_FLUX_COMMITTED) && !broken("flux-mark");
	lock_release(&v->lock);
	return wait ? flush_wait(v) : 0;
}

/*
 * A staging file with a second name may be a blob already: an attempt to
 * share it failed half-way, or a crash came before its commit. Nobody may
 * write it.
 */
static int make_staging_private(struct view *v, struct node *n, uint64_t size)
{
	struct stat st;
	int fd, r;

	r = file_open(v, n, &fd);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (broken("second-name"))
		st.st_nlink = 1;
	if (st.st_nlink > 1 && n->file->passthrough > 0)
		return replace_by_copy(v, n);
	if (st.st_nlink > 1)
		return copy_to_staging(v, n, size);
	return mark_flux(v, n);
}

bool content_is_slow_to_write_locked(const struct node *n)
{
	if (n->content == CONTENT_BLOB)
		return file_has_backing(n);
	return n->content == CONTENT_STAGING &&
	       (n->flags & NF_STAGING_COMMITTED) &&
	       !(n->flags & NF_FLUX_COMMITTED);
}

/* Makes the first @size bytes private; what lies behind may be lost. */
static int make_private(struct view *v, struct node *n, uint64_t size)
{
	if (n->content == CONTENT_STAGING)
		return make_staging_private(v, n, size);
	if (n->content != CONTENT_BLOB)
		return 0;
	if (!file_has_backing(n))
		return inline_to_mem(v, n);
	if (n->file->passthrough > 0)
		return node_replace(v, n, 0);
	if (broken("copy-on-write"))
		return 0;
	return copy_to_staging(v, n, size);
}

int content_make_private(struct view *v, struct node *n)
{
	return make_private(v, n, n->size);
}

/* --- bytes ------------------------------------------------------------- */

/* Room for @size bytes, zeros behind the present end. */
static int mem_resize_locked(struct node *n, uint64_t size)
{
	struct file *f = n->file;

	if (size > f->mem_cap) {
		size_t cap = MAX(size, MIN(f->mem_cap * 2, CONTENT_MEM_MAX));
		uint8_t *p = realloc(f->mem, MAX(cap, 64));

		if (!p)
			return -ENOMEM;
		f->mem = p;
		f->mem_cap = MAX(cap, 64);
	}
	if (size > n->size)
		memset(f->mem + n->size, 0, size - n->size);
	n->content = CONTENT_MEM;
	n->size = size;
	n->flags &= ~(unsigned)NF_MEM_ANY;
	return 0;
}

/* Size or bytes have changed now. */
static void touched_locked(struct view *v, struct node *n)
{
	n->mtime = n->ctime = view_now(v);
	node_dirty_locked(v, n);
}

/* Drops all bytes, without a look at the old ones. */
static void become_empty(struct view *v, struct node *n)
{
	file_close(v, n);
	lock_acquire(&v->lock);
	node_drop_staging_locked(v, n);
	free(TAKE_PTR(n->file->mem));
	n->file->mem_cap = 0;
	n->content = CONTENT_NONE;
	n->size = 0;
	n->flags &= ~(unsigned)(NF_HOT | NF_MEM_ANY | NF_FLUX_COMMITTED);
	touched_locked(v, n);
	lock_release(&v->lock);
}

static int truncate_staging(struct view *v, struct node *n, uint64_t size)
{
	int fd, r;

	r = file_open_writable(v, n, &fd);
	if (r < 0)
		return r;
	if (ftruncate(fd, (off_t)size) < 0)
		return -errno;
	lock_acquire(&v->lock);
	n->size = size;
	node_heat_locked(v, n);
	touched_locked(v, n);
	lock_release(&v->lock);
	return 0;
}

/* True if the file may be kept in memory with this many bytes. */
static bool fits_mem(struct view *v, const struct node *n, uint64_t size)
{
	return size <= CONTENT_MEM_MAX &&
	       (n->content == CONTENT_MEM ||
		(n->content == CONTENT_NONE && file_flags(v, n) & NF_META));
}

/* Whether a mapping that outlived its handle may still write. */
static bool is_mapped(struct view *v, struct node *n)
{
	return file_flags(v, n) & NF_HOT && n->file->writers == 0 &&
	       !hot_try_end(v, n);
}

int content_truncate(struct view *v, struct node *n, uint64_t size)
{
	int r = 0;

	if (size > INT64_MAX)
		return -EFBIG;
	if (broken("truncate-in-place") && n->content == CONTENT_STAGING)
		return truncate_staging(v, n, size);
	if (size == 0 && n->file->passthrough == 0 && !is_mapped(v, n)) {
		become_empty(v, n);
		return 0;
	}
	r = make_private(v, n, MIN(size, n->size));
	if (r < 0)
		return r;
	if (fits_mem(v, n, size)) {
		lock_acquire(&v->lock);
		r = mem_resize_locked(n, size);
		if (r == 0)
			touched_locked(v, n);
		lock_release(&v->lock);
		return r;
	}
	if (n->content != CONTENT_STAGING)
		r = content_to_staging(v, n);
	return r < 0 ? r : truncate_staging(v, n, size);
}

ssize_t content_read(struct view *v, struct node *n, void *buf, size_t len,
		     uint64_t off)
{
	size_t got = 0;
	int fd, r;

	if (file_has_backing(n)) {
		r = file_open(v, n, &fd);
		if (r == 0)
			r = pread_full(fd, buf, len, (off_t)off, &got);
		return r < 0 ? r : (ssize_t)got;
	}
	if (off >= n->size)
		return 0;
	len = MIN(len, n->size - off);
	if (n->content == CONTENT_MEM) {
		memcpy(buf, n->file->mem + off, len);
		return (ssize_t)len;
	}
	r = blob_read_inline(v->store, &n->digest, off, buf, len, &got);
	return r < 0 ? lost(r) : (ssize_t)got;
}

int content_write(struct view *v, struct node *n, const void *buf, size_t len,
		  uint64_t off)
{
	int fd, r = 0;

	if (off > INT64_MAX - len)
		return -EFBIG;
	if (n->content == CONTENT_BLOB)
		r = make_private(v, n, n->size);
	if (r == 0 && fits_mem(v, n, off + len)) {
		lock_acquire(&v->lock);
		r = mem_resize_locked(n, MAX(n->size, off + len));
		if (r == 0) {
			memcpy(n->file->mem + off, buf, len);
			touched_locked(v, n);
		}
		lock_release(&v->lock);
		return r;
	}
	if (r == 0 && n->content != CONTENT_STAGING)
		r = content_to_staging(v, n);
	if (r == 0)
		r = file_open_writable(v, n, &fd);
	if (r == 0)
		r = pwrite_full(fd, buf, len, (off_t)off);
	if (r < 0)
		return r;
	lock_acquire(&v->lock);
	n->size = MAX(n->size, off + len);
	node_heat_locked(v, n);
	lock_release(&v->lock);
	return 0;
}
