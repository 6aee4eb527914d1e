/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are being written; see hot.h. */
#include "config.h"

#include "fs/hot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/file.h"
#include "fs/view.h"
#include "store/base/broken.h"
#include "store/base/time.h"

/* Only of a private file: times can be set through a descriptor that is open
 * for reading only, so a blob's could be as well. */
void hot_stamp(int fd, int64_t nsec)
{
	const struct timespec t[2] = { { .tv_nsec = UTIME_OMIT },
				       timespec_of(nsec) };

	(void)futimens(fd, t);
}

void hot_set_times(struct view *v, struct node *n)
{
	int64_t mtime;
	int fd;

	if (n->content != CONTENT_STAGING || file_open(v, n, &fd) < 0)
		return;
	lock_acquire(&v->lock);
	mtime = n->mtime;
	lock_release(&v->lock);
	hot_stamp(fd, mtime);
}

void hot_begin(struct view *v, struct node *n)
{
	/* While it was cool its times may have been set on the node alone. */
	if (!(file_flags(v, n) & NF_HOT))
		hot_set_times(v, n);
	lock_acquire(&v->lock);
	node_heat_locked(v, n);
	lock_release(&v->lock);
}

static void take_over_locked(struct view *v, struct node *n,
			     const struct stat *st)
{
	int64_t ctime = nsec_of(st->st_ctim);

	if (n->size == (uint64_t)st->st_size &&
	    n->mtime == nsec_of(st->st_mtim) &&
	    n->blocks == (uint64_t)st->st_blocks)
		return;
	n->size = (uint64_t)st->st_size;
	n->blocks = (uint64_t)st->st_blocks;
	n->mtime = nsec_of(st->st_mtim);
	n->ctime = MAX(n->ctime, ctime);
	node_dirty_locked(v, n);
}

void hot_take_over(struct view *v, struct node *n)
{
	struct stat st;
	int fd;

	if (n->content != CONTENT_STAGING || file_open(v, n, &fd) < 0 ||
	    fstat(fd, &st) < 0)
		return;
	lock_acquire(&v->lock);
	if (n->flags & NF_HOT)
		take_over_locked(v, n, &st);
	lock_release(&v->lock);
}

void hot_refresh(struct view *v, struct node *n)
{
	bool ok;

	lock_acquire(&v->lock);
	ok = (n->flags & NF_HOT) && n->file != NULL;
	lock_release(&v->lock);
	if (!ok)
		return;
	lock_acquire(&n->file->io);
	if (n->file->writers > 0 || !hot_try_end(v, n))
		hot_take_over(v, n);
	lock_release(&n->file->io);
}

/*
 * A read lease is granted only while nobody has the file open for writing.
 * Counting RELEASE requests does not tell: a shared mapping made through a
 * passthrough handle holds the backing file alone and outlives the handle
 * (mold writes its output so).
 */
static bool lease_is_refused(int fd)
{
	if (fcntl(fd, F_SETLEASE, F_RDLCK) < 0)
		return errno == EAGAIN;
	(void)fcntl(fd, F_SETLEASE, F_UNLCK);
	return false;
}

static bool has_writer(int fd)
{
	return !broken("mapped-writer") && lease_is_refused(fd);
}

bool hot_is_seen(int dirfd)
{
	_cleanup_close_ int w = -1, r = -1;
	char path[32];
	void *map;
	bool seen;

	w = openat(dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (w < 0 || ftruncate(w, 1) < 0)
		return false;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", w);
	r = open(path, O_RDONLY | O_CLOEXEC);
	if (r < 0)
		return false;
	map = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, w, 0);
	if (map == MAP_FAILED)
		return false;
	(void)close(TAKE_FD(w));
	seen = lease_is_refused(r);
	(void)munmap(map, 1);
	return seen;
}

static bool is_as_synced(const struct file *f, const struct stat *st)
{
	return f->synced_size == (uint64_t)st->st_size &&
	       f->synced_ctime.tv_sec == st->st_ctim.tv_sec &&
	       f->synced_ctime.tv_nsec == st->st_ctim.tv_nsec;
}

bool hot_try_end(struct view *v, struct node *n)
{
	struct file *f = n->file;
	struct stat st;
	int fd;

	if (n->content != CONTENT_STAGING)
		return true;
	if (f->wfd >= 0)
		(void)close(f->wfd);
	f->wfd = -1;
	if (file_open(v, n, &fd) < 0 || has_writer(fd) || fstat(fd, &st) < 0)
		return false;
	lock_acquire(&v->lock);
	/* A cool file's times are the node's: they may have been set since. */
	if (n->flags & NF_HOT && f->writers == 0) {
		take_over_locked(v, n, &st);
		n->flags &= ~(unsigned)NF_HOT;
		if (is_as_synced(f, &st))
			node_synced_locked(v, n);
		node_dirty_locked(v, n);
	}
	lock_release(&v->lock);
	return f->writers == 0;
}
