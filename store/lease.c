/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases. Owns the lock files. Invariant: who has the write lock on byte 0 of
 * the file that has the name now, holds the view.
 *
 * Nothing here is durable, nor has to be: the lock ends with its holder, and a
 * page left behind by SIGKILL or power loss is only read as "not held".
 *
 * Threads: any; the page's counters are atomic.
 */
#include "config.h"

#include "store/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/base/broken.h"
#include "store/base/io.h"
#include "store/base/macros.h"
#include "store/store.h"

#define PAGE_LEN 4096
#define NAME_LEN 8
#define POLL_MSEC 10

_Static_assert(sizeof(struct lease_page) <= PAGE_LEN, "one page");

struct lease {
	int fd;
	struct lease_page *page;
};

static void lease_name(uint32_t view, char name[NAME_LEN + 1])
{
	(void)snprintf(name, NAME_LEN + 1, "%08" PRIx32, view);
}

static struct flock whole_lease(short type)
{
	return (struct flock){
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = 0,
		.l_len = 1,
	};
}

static int read_page(int fd, struct lease_page *ret_page)
{
	struct lease_page page = { 0 };
	size_t len;
	int r;

	r = pread_full(fd, &page, sizeof(page), 0, &len);
	if (r < 0)
		return r;
	if (len < sizeof(page) || page.magic != LEASE_MAGIC)
		memset(&page, 0, sizeof(page)); /* its holder is starting */
	page.mountpoint[sizeof(page.mountpoint) - 1] = '\0';
	*ret_page = page;
	return 0;
}

/* 1: locked, 0: the file was removed meanwhile, try again. */
static int lock_file(struct store *st, const char *name, int fd)
{
	struct flock fl = whole_lease(F_WRLCK);
	struct stat a, b;

	if (!broken("lease-lock") && fcntl(fd, F_OFD_SETLK, &fl) < 0)
		return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
	if (fstat(fd, &a) < 0)
		return -errno;
	if (fstatat(store_lease_fd(st), name, &b, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int map_page(struct lease *l, const char *mountpoint)
{
	static const char zeros[PAGE_LEN];
	struct lease_page *page;
	void *map;
	int r;

	/* Written, not only extended: a full disk has to show here, and not as
	 * SIGBUS when a counter is touched. */
	r = pwrite_full(l->fd, zeros, sizeof(zeros), 0);
	if (r < 0)
		return r;
	map = mmap(NULL, PAGE_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, l->fd,
		   0);
	if (map == MAP_FAILED)
		return -errno;
	page = map;
	page->pid = (uint64_t)getpid();
	page->since = (int64_t)time(NULL);
	strncpy(page->mountpoint, mountpoint, sizeof(page->mountpoint) - 1);
	__atomic_store_n(&page->magic, LEASE_MAGIC, __ATOMIC_RELEASE);
	l->page = page;
	return 0;
}

static int take_lock(struct store *st, uint32_t view, struct lease *l,
		     struct lease_page *ret_holder)
{
	char name[NAME_LEN + 1];
	int r;

	lease_name(view, name);
	do {
		closep(&l->fd);
		l->fd = openat(store_lease_fd(st), name,
			       O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (l->fd < 0)
			return -errno;
		r = lock_file(st, name, l->fd);
	} while (r == 0);
	if (r == -EBUSY && ret_holder)
		(void)read_page(l->fd, ret_holder);
	return MIN(r, 0);
}

int lease_take(struct store *st, uint32_t view, const char *mountpoint,
	       struct lease **ret_lease, struct lease_page *ret_holder)
{
	struct lease *l = malloc(sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	*l = (struct lease){ .fd = -1 };
	r = take_lock(st, view, l, ret_holder);
	if (r == 0)
		r = map_page(l, mountpoint);
	if (r < 0) {
		l = lease_free(l);
		return r;
	}
	*ret_lease = l;
	return 0;
}

struct lease *lease_free(struct lease *l)
{
	if (!l)
		return NULL;
	if (l->page)
		(void)munmap(l->page, PAGE_LEN);
	closep(&l->fd);
	free(l);
	return NULL;
}

struct lease_page *lease_page(struct lease *l)
{
	return l->page;
}

static int peek(int dirfd, uint32_t view, bool *ret_held,
		struct lease_page *ret_page)
{
	struct flock fl = whole_lease(F_WRLCK);
	_cleanup_close_ int fd = -1;
	struct lease_page page;
	char name[NAME_LEN + 1];
	int r;

	lease_name(view, name);
	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fcntl(fd, F_OFD_GETLK, &fl) < 0)
		return -errno;
	r = read_page(fd, &page);
	if (r < 0)
		return r;
	*ret_held = fl.l_type != F_UNLCK;
	if (ret_page)
		*ret_page = page;
	return 0;
}

int lease_peek(struct store *st, uint32_t view, bool *ret_held,
	       struct lease_page *ret_page)
{
	return peek(store_lease_fd(st), view, ret_held, ret_page);
}

int lease_peek_at(const char *store, uint32_t view, bool *ret_held,
		  struct lease_page *ret_page)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int dirfd = -1;

	if (asprintf(&path, "%s/lease", store) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	dirfd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return dirfd < 0 ? -errno : peek(dirfd, view, ret_held, ret_page);
}

int lease_wait(struct store *st, uint32_t view, int msec)
{
	const struct timespec pause = { .tv_nsec = POLL_MSEC * 1000000L };
	bool held;
	int r;

	for (int waited = 0;; waited += POLL_MSEC) {
		r = lease_peek(st, view, &held, NULL);
		if (r == -ENOENT || (r == 0 && !held))
			return 0;
		if (r < 0)
			return r;
		if (waited >= msec)
			return -ETIMEDOUT;
		(void)nanosleep(&pause, NULL);
	}
}
