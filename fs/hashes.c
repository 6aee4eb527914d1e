/* SPDX-License-Identifier: Apache-2.0 */
/* Digests of files outside the mount; see hashes.h. */
#include "config.h"

#include "fs/hashes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include <xxhash.h>

#include "fs/outside.h"
#include "store/base/broken.h"
#include "store/base/buf.h"
#include "store/base/lock.h"
#include "store/base/macros.h"
#include "store/base/time.h"

/* Times of files come from a clock that ticks every few milliseconds; ten
 * ticks of the slowest. */
#define AT_REST_NSEC (100 * 1000000LL)
/* 80 bytes each; when there are more, all are forgotten. */
#define ENTRIES_MAX (1u << 18)
#define TRIES 4

struct entry {
	uint64_t dev, ino, size;
	int64_t mtime, ctime;
	struct digest digest;
	uint32_t next; /* index + 1; 0: none */
};

struct hashes {
	struct lock lock;
	/* protected by lock */
	struct entry *entries;
	uint32_t count, cap;
	uint32_t slot[1 << 12]; /* index + 1 */
};

struct hashes *hashes_new(void)
{
	struct hashes *h = calloc(1, sizeof(*h));

	if (h && lock_init(&h->lock) < 0) {
		free(h);
		return NULL;
	}
	return h;
}

struct hashes *hashes_free(struct hashes *h)
{
	if (!h)
		return NULL;
	lock_destroy(&h->lock);
	free(h->entries);
	free(h);
	return NULL;
}

static int64_t now_nsec(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return nsec_of(t);
}

/* --- what is remembered ------------------------------------------------ */

static bool is_entry_of(const struct entry *e, const struct stat *st)
{
	return e->ino == st->st_ino && e->dev == st->st_dev &&
	       e->size == (uint64_t)st->st_size &&
	       e->mtime == nsec_of(st->st_mtim) &&
	       (e->ctime == nsec_of(st->st_ctim) || broken("hashes-ctime"));
}

static uint32_t *slot_of(struct hashes *h, const struct stat *st)
{
	uint64_t ino = st->st_ino;
	uint64_t x = XXH3_64bits_withSeed(&ino, sizeof(ino), st->st_dev);

	return &h->slot[x % ARRAY_LEN(h->slot)];
}

static bool recall(struct hashes *h, const struct stat *st,
		   struct digest *ret_digest)
{
	bool found = false;

	lock_acquire(&h->lock);
	for (uint32_t i = *slot_of(h, st); i && !found;
	     i = h->entries[i - 1].next) {
		found = is_entry_of(&h->entries[i - 1], st);
		if (found)
			*ret_digest = h->entries[i - 1].digest;
	}
	lock_release(&h->lock);
	return found;
}

/* Without memory nothing is remembered. */
static struct entry *new_entry_locked(struct hashes *h)
{
	if (h->count == ENTRIES_MAX) {
		h->count = 0;
		memset(h->slot, 0, sizeof(h->slot));
	}
	if (h->count == h->cap) {
		uint32_t cap = h->cap ? h->cap * 2 : 256;
		struct entry *p = realloc(h->entries, cap * sizeof(*p));

		if (!p)
			return NULL;
		h->entries = p;
		h->cap = cap;
	}
	return &h->entries[h->count++];
}

static void remember(struct hashes *h, const struct stat *st,
		     const struct digest *digest)
{
	struct entry *e;
	uint32_t *slot;

	lock_acquire(&h->lock);
	e = new_entry_locked(h);
	if (e) {
		slot = slot_of(h, st);
		*e = (struct entry){
			.dev = st->st_dev,
			.ino = st->st_ino,
			.size = (uint64_t)st->st_size,
			.mtime = nsec_of(st->st_mtim),
			.ctime = nsec_of(st->st_ctim),
			.digest = *digest,
			.next = *slot,
		};
		*slot = h->count;
	}
	lock_release(&h->lock);
}

/* --- one file ---------------------------------------------------------- */

/* Ours is the clock of these. */
static bool is_local(int fd)
{
	static const uint32_t remote[] = {
		0x6969,	    0xff534d42, 0xfe534d42, /* NFS, CIFS, SMB 2 */
		0x65735546, 0x01021997, 0x00c36400, /* FUSE, 9P, Ceph */
		0x5346414f, 0x73757245, 0x47504653, /* AFS, Coda, GPFS */
		0x0bd00bd0, 0x01161970, 0x7461636f, /* Lustre, GFS 2, OCFS 2 */
		0x786f4256, 0xbacbacbc,		    /* VirtualBox, VMware */
	};
	struct statfs st;

	if (fstatfs(fd, &st) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(remote); i++)
		if ((uint32_t)st.f_type == remote[i])
			return false;
	return true;
}

static bool same_stat(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev &&
	       a->st_size == b->st_size &&
	       nsec_of(a->st_mtim) == nsec_of(b->st_mtim) &&
	       nsec_of(a->st_ctim) == nsec_of(b->st_ctim);
}

static int hash_open_file(struct hashes *h, int fd, struct hashed *ret_hashed)
{
	struct stat st, after;
	uint64_t len;
	int r;

	for (int i = 0; i < TRIES; i++) {
		int64_t begun = now_nsec();

		if (fstat(fd, &st) < 0)
			return -errno;
		if (!S_ISREG(st.st_mode))
			return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
		if ((uint64_t)st.st_size > HASHED_FILE_MAX)
			return -EFBIG;
		ret_hashed->mtime = nsec_of(st.st_mtim);
		ret_hashed->ctime = nsec_of(st.st_ctim);
		if (recall(h, &st, &ret_hashed->digest))
			return 0;
		if (!is_local(fd))
			return -EREMOTE;
		r = digest_of_fd(fd, NULL, NULL, &ret_hashed->digest, &len);
		if (r < 0)
			return r;
		if (fstat(fd, &after) < 0)
			return -errno;
		if (broken("winkin-source"))
			ret_hashed->digest = (struct digest){ 0 };
		if (!same_stat(&st, &after) || len != (uint64_t)st.st_size)
			continue;
		if (nsec_of(st.st_ctim) + AT_REST_NSEC < begun)
			remember(h, &st, &ret_hashed->digest);
		return 0;
	}
	return -EBUSY;
}

int hashes_file(struct hashes *h, int base_fd, const char *path,
		struct hashed *ret_hashed)
{
	_cleanup_close_ int fd = outside_open(base_fd, path, O_RDONLY);

	return fd < 0 ? fd : hash_open_file(h, fd, ret_hashed);
}

/* Cuts the last component off; false when none is left. */
static bool cut(char *path)
{
	char *slash = strrchr(path, '/');

	if (slash == path || strcmp(path, ".") == 0)
		return false;
	if (slash)
		*slash = '\0';
	else
		(void)strcpy(path, ".");
	return true;
}

int hashes_moved(int base_fd, const char *path, int64_t *ret_nsec)
{
	char dir[PATH_MAX];
	int64_t newest = 0;
	struct stat st;

	if (strlen(path) >= sizeof(dir))
		return -ENAMETOOLONG;
	memcpy(dir, path, strlen(path) + 1);
	while (cut(dir)) {
		_cleanup_close_ int fd =
			outside_open(base_fd, dir, O_PATH | O_DIRECTORY);

		if (fd < 0)
			return fd;
		if (fstat(fd, &st) < 0)
			return -errno;
		newest = MAX(newest, nsec_of(st.st_ctim));
	}
	*ret_nsec = newest;
	return 0;
}

/* --- a tree ------------------------------------------------------------ */

/* Deeper than any source tree; each level holds a descriptor. */
#define DEPTH_MAX 64

struct walk {
	struct hashes *hashes;
	skip_fn skip;
	struct buf seen; /* what the digest is of */
	unsigned count;
	uint64_t bytes;
	int64_t mtime, ctime;
};

static void took(struct walk *w, const struct stat *st)
{
	w->mtime = MAX(w->mtime, nsec_of(st->st_mtim));
	w->ctime = MAX(w->ctime, nsec_of(st->st_ctim));
}

static int walk_dir(struct walk *w, int fd, unsigned depth);

static int walk_subdir(struct walk *w, int dirfd, const char *name,
		       unsigned depth)
{
	int fd;

	if (w->skip && w->skip(dirfd, name))
		return 0;
	buf_u8(&w->seen, 'd');
	buf_str16(&w->seen, name, strlen(name));
	fd = outside_open(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	return fd < 0 ? fd : walk_dir(w, fd, depth + 1);
}

static int walk_file(struct walk *w, int dirfd, const char *name)
{
	_cleanup_close_ int fd =
		outside_open(dirfd, name, O_RDONLY | O_NOFOLLOW);
	struct hashed f;
	int r;

	if (fd < 0)
		return fd;
	r = hash_open_file(w->hashes, fd, &f);
	if (r < 0)
		return r;
	w->mtime = MAX(w->mtime, f.mtime);
	w->ctime = MAX(w->ctime, f.ctime);
	buf_u8(&w->seen, 'f');
	buf_str16(&w->seen, name, strlen(name));
	buf_put(&w->seen, f.digest.b, sizeof(f.digest.b));
	return 0;
}

static int walk_link(struct walk *w, int dirfd, const char *name)
{
	char target[PATH_MAX];
	ssize_t len = readlinkat(dirfd, name, target, sizeof(target));

	if (len < 0)
		return -errno;
	buf_u8(&w->seen, 'l');
	buf_str16(&w->seen, name, strlen(name));
	buf_str16(&w->seen, target, (size_t)len);
	return 0;
}

/* fstatat() that is -EXDEV for a mount point, which is never asked. */
static int stat_entry(int dirfd, const char *name, struct stat *ret_st)
{
	_cleanup_close_ int fd = outside_open(dirfd, name, O_PATH | O_NOFOLLOW);

	if (fd < 0)
		return fd;
	return fstat(fd, ret_st) < 0 ? -errno : 0;
}

static int walk_entry(struct walk *w, int dirfd, const struct dirent *d,
		      unsigned depth)
{
	const char *name = d->d_name;
	struct stat st;
	int r;

	if (++w->count > HASHED_TREE_MAX || depth > DEPTH_MAX)
		return -E2BIG;
	if (d->d_type == DT_DIR)
		return walk_subdir(w, dirfd, name, depth);
	r = stat_entry(dirfd, name, &st);
	if (r < 0)
		return r;
	if (S_ISDIR(st.st_mode))
		return walk_subdir(w, dirfd, name, depth);
	/* A worktree's says where it is. */
	if (w->skip && strcmp(name, ".git") == 0)
		return 0;
	took(w, &st);
	if (S_ISLNK(st.st_mode))
		return walk_link(w, dirfd, name);
	/* Sockets and the like are nobody's input. */
	if (!S_ISREG(st.st_mode))
		return 0;
	w->bytes += (uint64_t)st.st_size;
	if (w->bytes > HASHED_TREE_BYTES)
		return -EFBIG;
	return walk_file(w, dirfd, name);
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_not_dots(const struct dirent *d)
{
	return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

/* Takes @fd. */
static int walk_dir(struct walk *w, int fd, unsigned depth)
{
	_cleanup_close_ int dirfd = fd;
	struct dirent **list;
	struct stat st;
	int n, r = 0;

	if (fstat(dirfd, &st) < 0)
		return -errno;
	took(w, &st);
	n = scandirat(dirfd, ".", &list, is_not_dots, by_bytes);
	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = walk_entry(w, dirfd, list[i], depth);
		free(list[i]);
	}
	free(list);
	buf_u8(&w->seen, '.');
	return r;
}

int hashes_tree(struct hashes *h, int base_fd, const char *path, skip_fn skip,
		struct hashed *ret_hashed)
{
	struct walk w = { .hashes = h, .skip = skip };
	int fd, r;

	fd = outside_open(base_fd, path, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fd;
	r = walk_dir(&w, fd, 0);
	if (r == 0)
		r = w.seen.err;
	if (r == 0)
		r = digest_of(w.seen.data, w.seen.len, &ret_hashed->digest);
	buf_release(&w.seen);
	ret_hashed->mtime = w.mtime;
	ret_hashed->ctime = w.ctime;
	return r;
}
