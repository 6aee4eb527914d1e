/* SPDX-License-Identifier: Apache-2.0 */
/* Open files; see open.h. */
#include "config.h"

#include "fs/open.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "fs/backing.h"
#include "fs/content.h"
#include "fs/file.h"
#include "fs/flush.h"
#include "fs/hot.h"
#include "fs/mount.h"
#include "fs/publish.h"
#include "fs/units.h"
#include "store/base/broken.h"
#include "store/blob.h"

/*
 * Files up to this size that are opened to read only go through the kernel's
 * page cache: a passthrough read makes the kernel ask for the attributes
 * again, and cargo reads the same small files in every build.
 */
#define CACHED_MAX (64 * 1024)

static bool wants_write(int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY;
}

bool open_is_slow(struct view *v, uint64_t ino, int flags)
{
	bool slow = false;
	struct node *n;

	if (!wants_write(flags) && !(flags & O_TRUNC))
		return false;
	lock_acquire(&v->lock);
	n = node_find_locked(v, ino);
	if (n && node_is_reg(n))
		slow = content_is_slow_to_write_locked(n);
	lock_release(&v->lock);
	return slow;
}

static bool is_program(struct view *v, const struct node *n)
{
	bool program;

	lock_acquire(&v->lock);
	program = n->mode & 0111;
	lock_release(&v->lock);
	return program;
}

/* Readies the content for this way of opening. Needs io. */
static int prepare(struct view *v, struct node *n, int flags)
{
	int r = 0;

	/* The kernel looks whether the file is being executed only after
	 * this, unless it is opened to write. */
	if (flags & O_TRUNC && !wants_write(flags) && is_program(v, n))
		return -ETXTBSY;
	if (wants_write(flags) || flags & O_TRUNC) {
		lock_acquire(&v->lock);
		units_written_locked(v, n);
		lock_release(&v->lock);
	}
	if (flags & O_TRUNC)
		r = content_truncate(v, n, 0);
	else if (wants_write(flags))
		r = content_make_private(v, n);
	if (r < 0)
		return r;
	/* What is written and is not metadata wants a file from the start. */
	if (wants_write(flags) && n->content == CONTENT_NONE &&
	    !(file_flags(v, n) & NF_META))
		r = content_to_staging(v, n);
	return r;
}

static bool wants_passthrough(struct view *v, const struct node *n, int flags)
{
	const struct file *f = n->file;

	if (f->passthrough > 0)
		return true;
	if (f->cached > 0 || !v->mount->passthrough || !file_has_backing(n))
		return false;
	return wants_write(flags) || n->size > CACHED_MAX ||
	       file_flags(v, n) & NF_HOT;
}

/*
 * The id of the backing file. While passthrough handles are open the file has
 * one, and a new one would be another object to the kernel.
 */
static int get_backing_id(struct view *v, struct node *n)
{
	struct file *f = n->file;
	int fd, r;

	if (f->backing_id > 0)
		return 0;
	r = file_open(v, n, &fd);
	if (r < 0)
		return r;
	f->backing_id = backing_open(v->mount, fd);
	if (f->backing_id > 0)
		return 0;
	r = f->backing_id;
	f->backing_id = 0;
	return r;
}

/* Counts the new handle. Needs io. */
static void account(struct view *v, struct node *n, struct handle *h,
		    struct opened *ret_opened)
{
	struct file *f = n->file;

	if (h->writes && n->content == CONTENT_STAGING)
		hot_begin(v, n);
	lock_acquire(&v->lock);
	n->handles++;
	if (h->passthrough)
		f->passthrough++;
	else
		f->cached++;
	if (h->writes)
		f->writers++;
	if (h->passthrough && h->writes)
		n->flags |= NF_PAGES_STALE;
	ret_opened->keep_cache = !(n->flags & NF_PAGES_STALE);
	if (!h->passthrough)
		n->flags &= ~(unsigned)NF_PAGES_STALE;
	lock_release(&v->lock);
	view_count(v,
		   h->passthrough ? COUNTER_PASSTHROUGH_OPENS
				  : COUNTER_CACHED_OPENS,
		   1);
}

/* Needs io. */
static int open_pinned(struct view *v, struct node *n, int flags,
		       struct opened *ret_opened)
{
	struct handle *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return -ENOMEM;
	h->view = v;
	h->ino = n->ino;
	h->writes = wants_write(flags);
	r = prepare(v, n, flags);
	if (r == 0 && wants_passthrough(v, n, flags)) {
		h->passthrough = true;
		r = get_backing_id(v, n);
		/* Only the first handle may choose the other way. */
		if (r < 0 && n->file->passthrough == 0) {
			h->passthrough = false;
			r = 0;
		}
	}
	if (r < 0) {
		free(h);
		return r;
	}
	account(v, n, h, ret_opened);
	ret_opened->handle = h;
	ret_opened->backing_id = h->passthrough ? n->file->backing_id : 0;
	return 0;
}

int do_open(struct view *v, uint64_t ino, int flags, struct opened *ret_opened)
{
	struct node *n;
	int r;

	r = view_pin_file(v, ino, &n);
	if (r < 0)
		return r;
	/* Another name, which the kernel has not been told of yet, still leads
	 * here: what it would write would be nobody's, what it would read is
	 * old. */
	r = n->file->successor != 0 ? -ESTALE
				    : open_pinned(v, n, flags, ret_opened);
	view_unpin_file(v, n);
	return r;
}

int do_create(struct view *v, uint64_t parent, const char *name, mode_t mode,
	      int flags, struct caller who, struct entry *ret_entry,
	      struct opened *ret_opened)
{
	bool made;
	uint64_t ino;
	int r;

	mode = S_IFREG | (mode & 07777);
	r = do_mknod(v, parent, name, mode, who, ret_entry);
	made = r == 0;
	if (r == -EEXIST && !(flags & O_EXCL))
		r = do_lookup(v, parent, name, ret_entry);
	if (r < 0)
		return r;
	ino = ret_entry->st.st_ino & INO_MASK;
	r = do_open(v, ino, flags, ret_opened);
	if (r < 0) {
		if (made)
			(void)do_unlink(v, parent, name);
		do_forget(v, ino, 1);
		return r;
	}
	if (ret_opened->handle->writes)
		ret_entry->timeout = 0;
	return 0;
}

void do_release(struct handle *h)
{
	struct view *v = h->view;
	struct node *n;
	struct file *f;

	if (view_pin_file(v, h->ino, &n) < 0) {
		free(h);
		return;
	}
	f = n->file;
	lock_acquire(&v->lock);
	n->handles--;
	if (h->passthrough)
		f->passthrough--;
	else
		f->cached--;
	if (h->writes)
		f->writers--;
	lock_release(&v->lock);
	if (h->writes && f->writers == 0) {
		(void)hot_try_end(v, n);
		publish_written(v, n);
	}
	if (f->fd < 0 && f->passthrough == 0)
		file_close(v, n);
	view_unpin_file(v, n);
	free(h);
}

/* --- bytes ------------------------------------------------------------- */

ssize_t do_read(struct handle *h, void *buf, size_t len, uint64_t off)
{
	struct node *n;
	ssize_t r;

	r = view_pin_file(h->view, h->ino, &n);
	if (r < 0)
		return r;
	r = content_read(h->view, n, buf, len, off);
	view_unpin_file(h->view, n);
	return r;
}

int do_write(struct handle *h, const void *buf, size_t len, uint64_t off)
{
	struct node *n;
	int r;

	r = view_pin_file(h->view, h->ino, &n);
	if (r < 0)
		return r;
	r = content_write(h->view, n, buf, len, off);
	view_unpin_file(h->view, n);
	return r;
}

static bool is_staging(struct view *v, const struct node *n, uint64_t id)
{
	bool same;

	lock_acquire(&v->lock);
	same = n->content == CONTENT_STAGING && n->staging_id == id;
	lock_release(&v->lock);
	return same;
}

/*
 * Needs io, comes back with it, lets go of it while it waits for the disk: a
 * stat of the file must not.
 */
NO_LOCK_ANALYSIS
static int sync_bytes(struct view *v, struct node *n)
{
	struct file *f = n->file;
	_cleanup_close_ int own = -1;
	uint64_t staging_id;
	struct stat st;
	int fd, r;

	if (n->content != CONTENT_STAGING)
		return 0;
	r = file_open(v, n, &fd);
	if (r < 0)
		return r;
	own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (own < 0 || fstat(own, &st) < 0)
		return -errno;
	staging_id = n->staging_id;
	lock_release(&f->io);
	r = !broken("fsync-data") && fdatasync(own) < 0 ? -errno : 0;
	lock_acquire(&f->io);
	if (!is_staging(v, n, staging_id))
		return r; /* another has taken its place */
	if (r < 0) {
		lock_acquire(&v->lock);
		node_sync_failed_locked(v, n);
		lock_release(&v->lock);
		return r;
	}
	/* Whoever finds it unchanged knows that it is synced. */
	f->synced_ctime = st.st_ctim;
	f->synced_size = (uint64_t)st.st_size;
	if (f->writers == 0)
		(void)hot_try_end(v, n);
	return 0;
}

int do_fsync(struct view *v, uint64_t ino)
{
	struct node *n;
	int r;

	r = view_pin_file(v, ino, &n);
	if (r < 0)
		return r;
	r = sync_bytes(v, n);
	view_unpin_file(v, n);
	return r < 0 || broken("fsync-commit") ? r : flush_wait(v);
}

/* Needs io. */
static int fallocate_staging(struct view *v, struct node *n, int mode,
			     uint64_t off, uint64_t len)
{
	int fd, r;

	r = content_make_private(v, n);
	if (r == 0 && n->content != CONTENT_STAGING)
		r = content_to_staging(v, n);
	if (r == 0)
		r = file_open_writable(v, n, &fd);
	if (r < 0)
		return r;
	if (fallocate(fd, mode, (off_t)off, (off_t)len) < 0)
		return -errno;
	lock_acquire(&v->lock);
	if (!(mode & FALLOC_FL_KEEP_SIZE))
		n->size = MAX(n->size, off + len);
	node_heat_locked(v, n);
	lock_release(&v->lock);
	return 0;
}

int do_fallocate(struct handle *h, int mode, uint64_t off, uint64_t len)
{
	const int known = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE |
			  FALLOC_FL_ZERO_RANGE;
	struct node *n;
	int r;

	if (mode & ~known)
		return -EOPNOTSUPP;
	if (off > INT64_MAX - len)
		return -EFBIG;
	r = view_pin_file(h->view, h->ino, &n);
	if (r < 0)
		return r;
	r = fallocate_staging(h->view, n, mode, off, len);
	view_unpin_file(h->view, n);
	return r;
}

/* Bytes that are not in a file have no holes. */
static off_t seek_plain(uint64_t size, uint64_t off, int whence)
{
	if (off >= size)
		return -ENXIO;
	return whence == SEEK_DATA ? (off_t)off : (off_t)size;
}

off_t do_lseek(struct handle *h, off_t off, int whence)
{
	struct node *n;
	off_t r;
	int fd;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	if (off < 0)
		return -ENXIO;
	r = view_pin_file(h->view, h->ino, &n);
	if (r < 0)
		return r;
	if (!file_has_backing(n)) {
		r = seek_plain(n->size, (uint64_t)off, whence);
	} else {
		r = file_open(h->view, n, &fd);
		if (r == 0) {
			r = lseek(fd, off, whence);
			if (r < 0)
				r = -errno;
		}
	}
	view_unpin_file(h->view, n);
	return r;
}

/* As much as fits a buffer of the stack; the caller asks again. */
static ssize_t copy_by_buffer(struct handle *from, uint64_t off_from,
			      struct handle *to, uint64_t off_to, size_t len)
{
	char buf[64 * 1024];
	ssize_t got = do_read(from, buf, MIN(len, sizeof(buf)), off_from);
	int r;

	if (got <= 0)
		return got;
	r = do_write(to, buf, (size_t)got, off_to);
	return r < 0 ? r : got;
}

/* A descriptor of our own for the copy, -1 when the bytes are in no file. */
static int open_for_copy(struct handle *h, bool write, int *ret_fd)
{
	struct view *v = h->view;
	struct node *n;
	int fd = -1, r;

	r = view_pin_file(v, h->ino, &n);
	if (r < 0)
		return r;
	if (write && n->content == CONTENT_STAGING)
		r = file_open_writable(v, n, &fd);
	else if (!write && file_has_backing(n))
		r = file_open(v, n, &fd);
	*ret_fd = -1;
	if (r == 0 && fd >= 0) {
		*ret_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		r = *ret_fd < 0 ? -errno : 0;
	}
	view_unpin_file(v, n);
	return r;
}

ssize_t do_copy_range(struct handle *from, uint64_t off_from, struct handle *to,
		      uint64_t off_to, size_t len)
{
	_cleanup_close_ int in = -1, out = -1;
	off_t in_off = (off_t)off_from, out_off = (off_t)off_to;
	ssize_t n;
	int r;

	r = open_for_copy(from, false, &in);
	if (r == 0)
		r = open_for_copy(to, true, &out);
	if (r < 0)
		return r;
	if (in < 0 || out < 0)
		return copy_by_buffer(from, off_from, to, off_to, len);
	n = copy_file_range(in, &in_off, out, &out_off, len, 0);
	if (n < 0 && (errno == EXDEV || errno == EOPNOTSUPP))
		return copy_by_buffer(from, off_from, to, off_to, len);
	return n < 0 ? -errno : n;
}
