/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The environment: owns LMDB's map, transactions and reader slots.
 *
 * Invariants: the map is replaced only while no transaction of this process
 * lives (`resize` is held for writing); the data file is never shorter than
 * the pages of the last commit.
 *
 * Threads: any. Lock order: `registry`, then an index's `resize`, then LMDB's
 * own writer mutex.
 *
 * Durability: LMDB writes the new pages, fdatasyncs, then writes a meta page
 * with O_DSYNC. SIGKILL and power loss leave the old or the new commit.
 *
 * MDB_NORDAHEAD stays off: reading a view is a range scan, and the index is
 * small against RAM. MDB_NOMEMINIT stays off: heap contents would reach disk.
 */
#include "config.h"

#include "store/index_lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/base/broken.h"
#include "store/base/io.h"
#include "store/base/macros.h"

#define MAX_READERS 1024
/* The data file is kept this much longer than its pages (sparse): LMDB may
 * commit a last page number whose page it never wrote, because it was freed in
 * the same transaction, and a reader of that page's neighbour then must not
 * run past the end. It also catches reads that a damaged offset or length
 * sends beyond the last page; larger than INDEX_VALUE_MAX for this reason. */
#define FILE_SLACK ((off_t)16 << 20)
/* Rounds of growing the map for one transaction; each doubles it. */
#define MAX_GROWTHS 64
/* Less free space than this turns LMDB's EIO (a short write) into ENOSPC. */
#define NEARLY_FULL (1 << 20)

static const char *const table_names[TABLE_COUNT] = {
	[TABLE_META] = "meta",	 [TABLE_BLOBS] = "blobs",
	[TABLE_DATA] = "data",	 [TABLE_DEAD] = "dead",
	[TABLE_VIEWS] = "views", [TABLE_NODES] = "nodes",
	[TABLE_NAMES] = "names", [TABLE_LISTS] = "lists",
	[TABLE_UNITS] = "units",
};

static struct lock registry = LOCK_INITIALIZER;
static struct index *opened; /* protected by registry */

/* What kind of transaction this thread is in. */
static _Thread_local struct {
	unsigned readers;
	bool writer;
} here;

/* LMDB reports a short write, which is what a filling disk does first, as
 * EIO. */
static int commit_result(const struct index *idx, int rc)
{
	struct statvfs s;

	if (rc == EIO && fstatvfs(idx->fd, &s) == 0 &&
	    (uint64_t)s.f_bavail * s.f_frsize < NEARLY_FULL)
		return -ENOSPC;
	return index_errno(rc);
}

/* What became of a transaction, besides 0 and negative errnos. */
enum outcome {
	OUTCOME_FULL = 1, /* the map is full: grow it and run again */
	OUTCOME_RESIZED,  /* another process grew it: follow and run again */
	OUTCOME_PANIC,	  /* LMDB could not write a meta page: open it anew */
};

static int txn_begin(struct index *idx, unsigned flags, struct txn *txn)
{
	int rc, dead;

	if (idx->pid != getpid())
		return -ECHILD;
	if (idx->lost)
		return idx->lost;
	*txn = (struct txn){ .idx = idx, .writes = !(flags & MDB_RDONLY) };
	rc = mdb_txn_begin(idx->env, NULL, flags, &txn->t);
	if (rc == MDB_READERS_FULL) {
		(void)mdb_reader_check(idx->env, &dead);
		rc = mdb_txn_begin(idx->env, NULL, flags, &txn->t);
	}
	if (rc == MDB_MAP_RESIZED)
		return OUTCOME_RESIZED;
	if (rc == MDB_PANIC)
		return OUTCOME_PANIC;
	/* The lock on "our" byte of the reader table is another's. */
	if (rc == EACCES && (flags & MDB_RDONLY))
		rc = EAGAIN;
	return index_errno(rc);
}

static void txn_abort(struct txn *txn)
{
	int rc;

	GUARDED(rc, (mdb_txn_abort(txn->t), 0));
	(void)rc;
}

/* How much longer the file is than its pages; 0 when that is unknown. */
static off_t file_slack(struct index *idx, off_t *ret_used)
{
	MDB_envinfo info;
	struct stat s;

	(void)mdb_env_info(idx->env, &info);
	*ret_used = (off_t)(info.me_last_pgno + 1) * idx->page_size;
	return fstat(idx->fd, &s) < 0 ? 0 : s.st_size - *ret_used;
}

/* See FILE_SLACK. Only in a write transaction: no other process then writes
 * or extends the file, so that ftruncate cannot cut off another's pages. */
static int extend_file(struct index *idx)
{
	off_t used;

	if (file_slack(idx, &used) >= FILE_SLACK / 2)
		return 0;
	if (ftruncate(idx->fd, used + FILE_SLACK) < 0)
		return -errno;
	return 0;
}

static int update_locked(struct index *idx, txn_fn fn, void *arg)
	REQUIRES_SHARED(&idx->resize)
{
	struct txn txn;
	int r, rc;

	if (__atomic_load_n(&idx->damaged, __ATOMIC_RELAXED))
		return -EBADMSG;
	r = txn_begin(idx, 0, &txn);
	if (r)
		return r;
	r = extend_file(idx);
	if (r == 0)
		r = fn(&txn, arg);
	if (r >= 0 && txn.err)
		r = txn.err;
	if (txn.full || r < 0) {
		txn_abort(&txn);
		return txn.full ? (int)OUTCOME_FULL : r;
	}
	GUARDED(rc, mdb_txn_commit(txn.t));
	if (rc == INDEX_TRAPPED) {
		index_mark_damaged(idx);
		txn_abort(&txn);
	}
	return rc == MDB_MAP_FULL ? (int)OUTCOME_FULL : commit_result(idx, rc);
}

static int view_locked(struct index *idx, txn_fn fn, void *arg)
	REQUIRES_SHARED(&idx->resize)
{
	struct txn txn;
	int r;

	r = txn_begin(idx, MDB_RDONLY, &txn);
	if (r)
		return r;
	r = fn(&txn, arg);
	txn_abort(&txn);
	return MIN(r, 0);
}

/* Reads as well as writes may need a slot of the reader table; whether we get
 * one is known after the first transaction. */
static int do_nothing(struct txn *txn, void *arg)
{
	(void)txn;
	(void)arg;
	return 0;
}

/* A commit that used up the slack: make new slack before its pages' successors
 * are read. SIGKILL before this leaves the file as LMDB would. */
static void restore_slack(struct index *idx) REQUIRES_SHARED(&idx->resize)
{
	off_t used;

	if (file_slack(idx, &used) < FILE_SLACK / 2)
		(void)update_locked(idx, do_nothing, NULL);
}

static int change_map(struct index *idx, enum outcome why, unsigned seen);

int index_update(struct index *idx, txn_fn fn, void *arg)
{
	unsigned seen;
	int r = -ENOSPC;

	if (idx->flags & INDEX_READONLY)
		return -EROFS;
	if (here.writer || here.readers)
		return -EDEADLK;
	for (int i = 0; i < MAX_GROWTHS; i++) {
		rwlock_read(&idx->resize);
		seen = idx->changes;
		here.writer = true;
		r = update_locked(idx, fn, arg);
		if (r == 0)
			restore_slack(idx);
		here.writer = false;
		rwlock_read_done(&idx->resize);
		if (r <= 0)
			return r;
		r = change_map(idx, (enum outcome)r, seen);
		if (r < 0)
			return r;
	}
	return -ENOSPC;
}

int index_view(struct index *idx, txn_fn fn, void *arg)
{
	unsigned seen;
	int r;

	for (int i = 0; i < MAX_GROWTHS; i++) {
		rwlock_read(&idx->resize);
		seen = idx->changes;
		here.readers++;
		r = view_locked(idx, fn, arg);
		here.readers--;
		rwlock_read_done(&idx->resize);
		if (r <= 0)
			return r;
		/* The map cannot move below an outer transaction. */
		if (here.readers || here.writer)
			return -EDEADLK;
		r = change_map(idx, (enum outcome)r, seen);
		if (r < 0)
			return r;
	}
	return -EAGAIN;
}

static int do_info(struct txn *txn, void *arg)
{
	struct index *idx = txn->idx;
	struct index_info *ret = arg;
	struct index_info info = { .map_size = idx->map_size };
	MDB_envinfo env;
	MDB_stat s;
	int rc;

	for (size_t i = 0; i < TABLE_COUNT; i++) {
		rc = mdb_stat(txn->t, idx->dbi[i], &s);
		if (rc)
			return index_errno(rc);
		info.rows[i] = s.ms_entries;
		info.used += (s.ms_branch_pages + s.ms_leaf_pages +
			      s.ms_overflow_pages) *
			     s.ms_psize;
	}
	(void)mdb_env_info(idx->env, &env);
	info.readers = env.me_numreaders;
	*ret = info;
	return 0;
}

int index_info(struct index *idx, struct index_info *ret_info)
{
	return index_view(idx, do_info, ret_info);
}

int index_reap(struct index *idx)
{
	int dead, rc;

	if (idx->pid != getpid())
		return -ECHILD;
	rwlock_read(&idx->resize);
	rc = idx->lost ? 0 : mdb_reader_check(idx->env, &dead);
	rwlock_read_done(&idx->resize);
	return index_errno(rc);
}

static int open_table(struct index *idx, MDB_txn *t, size_t i)
{
	unsigned flags = idx->flags & INDEX_CREATE ? MDB_CREATE : 0;
	int rc;

	GUARDED(rc, mdb_dbi_open(t, table_names[i], flags, &idx->dbi[i]));
	return rc;
}

static int open_tables(struct index *idx)
{
	bool create = idx->flags & INDEX_CREATE;
	MDB_txn *t;
	int rc, dead;

	rc = mdb_txn_begin(idx->env, NULL, create ? 0 : MDB_RDONLY, &t);
	if (rc == MDB_READERS_FULL) {
		(void)mdb_reader_check(idx->env, &dead);
		rc = mdb_txn_begin(idx->env, NULL, MDB_RDONLY, &t);
	}
	if (rc == EACCES && !create)
		return -EAGAIN; /* see txn_begin() */
	if (rc)
		return index_errno(rc);
	for (size_t i = 0; !rc && i < TABLE_COUNT; i++)
		rc = open_table(idx, t, i);
	if (rc) {
		mdb_txn_abort(t);
		rc = rc == MDB_NOTFOUND ? -EBADMSG : index_errno(rc);
		if (rc == -EBADMSG)
			index_mark_damaged(idx);
		return rc;
	}
	return index_errno(mdb_txn_commit(t));
}

/*
 * A file shorter than its pages ends in SIGBUS at the first access beyond its
 * end. LMDB has read only the two meta pages when this is called, and those by
 * pread.
 */
static int check_length(struct index *idx)
{
	MDB_envinfo info;
	MDB_stat stat;
	struct stat s;
	int rc;

	rc = mdb_env_get_fd(idx->env, &idx->fd);
	if (!rc)
		rc = mdb_env_stat(idx->env, &stat);
	if (!rc)
		rc = mdb_env_info(idx->env, &info);
	if (rc)
		return index_errno(rc);
	if (fstat(idx->fd, &s) < 0)
		return -errno;
	idx->page_size = stat.ms_psize;
	idx->map_size = info.me_mapsize;
	idx->dev = s.st_dev;
	idx->ino = s.st_ino;
	if ((uint64_t)s.st_size / idx->page_size <= info.me_last_pgno &&
	    !broken("index-length"))
		return -EBADMSG;
	return 0;
}

/* LMDB holds a read lock on the first byte of its lock file for as long as a
 * process has the environment open, and takes it with waiting. */
static int lock_lock_file(int dirfd, int *ret_fd)
{
	struct flock fl = { .l_type = F_WRLCK, .l_len = 1 };
	_cleanup_close_ int fd = -1;

	fd = openat(dirfd, "index/lock.mdb",
		    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (fcntl(fd, F_OFD_SETLK, &fl) < 0)
		return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* LMDB's lock file is of another version than ours, which it lets live only
 * while somebody has the index open. */
static int version_mismatch(const struct index *idx)
{
	_cleanup_close_ int fd = -1;
	int r = lock_lock_file(idx->dirfd, &fd);

	return r == -EBUSY ? r : -EBADMSG;
}

static int open_env(struct index *idx, size_t map_size)
{
	unsigned flags = MDB_NOTLS;
	char path[64];
	int rc, dead;

	if (idx->flags & INDEX_READONLY)
		flags |= MDB_RDONLY;
	if (broken("index-sync"))
		flags |= MDB_NOSYNC;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/index",
		       idx->dirfd);
	index_guard_signals();
	rc = mdb_env_create(&idx->env);
	if (!rc)
		rc = mdb_env_set_maxreaders(idx->env, MAX_READERS);
	if (!rc)
		rc = mdb_env_set_maxdbs(idx->env, TABLE_COUNT);
	if (!rc)
		rc = mdb_env_set_mapsize(idx->env, map_size);
	if (!rc)
		rc = mdb_env_set_assert(idx->env, index_on_assert);
	if (!rc)
		rc = mdb_env_open(idx->env, path, flags, 0600);
	if (rc == MDB_VERSION_MISMATCH)
		return version_mismatch(idx);
	if (rc)
		return index_errno(rc);
	rc = check_length(idx);
	if (rc < 0)
		return rc;
	(void)mdb_reader_check(idx->env, &dead);
	return open_tables(idx);
}

static int set_map_size(struct index *idx, size_t want) REQUIRES(&idx->resize)
{
	MDB_envinfo info;
	int rc;

	if (want > INDEX_MAP_MAX)
		return -ENOSPC;
	rc = mdb_env_set_mapsize(idx->env, want);
	if (rc) {
		/* The old map is gone as well. */
		idx->lost = rc == ENOMEM ? -ENOSPC : index_errno(rc);
		return idx->lost;
	}
	(void)mdb_env_info(idx->env, &info);
	idx->map_size = info.me_mapsize;
	return 0;
}

static int open_anew(struct index *idx) REQUIRES(&idx->resize)
{
	mdb_env_close(idx->env);
	idx->env = NULL;
	idx->lost = open_env(idx, idx->map_size);
	return idx->lost;
}

/* @seen is the count of changes when the transaction failed: if another thread
 * has made one since, running again is all there is to do. */
static int change_map(struct index *idx, enum outcome why, unsigned seen)
{
	int r;

	rwlock_write(&idx->resize);
	r = idx->lost;
	if (r == 0 && idx->changes == seen) {
		idx->changes++;
		if (why == OUTCOME_PANIC)
			r = open_anew(idx);
		else
			r = set_map_size(idx, why == OUTCOME_FULL
						      ? 2 * idx->map_size
						      : 0);
	}
	rwlock_write_done(&idx->resize);
	return r;
}

static struct index *index_free(struct index *idx)
{
	/* In a child, closing would free the parent's reader slots. */
	if (idx->env && idx->pid == getpid())
		mdb_env_close(idx->env);
	closep(&idx->dirfd);
	rwlock_destroy(&idx->resize);
	free(idx);
	return NULL;
}

static int index_new(int dirfd, unsigned flags, size_t map_size,
		     struct index **ret_index)
{
	struct index *idx = calloc(1, sizeof(*idx));
	int r;

	if (!idx)
		return -ENOMEM;
	r = rwlock_init(&idx->resize);
	if (r < 0) {
		free(idx);
		return r;
	}
	idx->flags = flags;
	idx->pid = getpid();
	idx->refs = 1;
	idx->dirfd = fcntl(dirfd, F_DUPFD_CLOEXEC, 0);
	r = idx->dirfd < 0 ? -errno : open_env(idx, map_size);
	if (r == 0)
		r = index_view(idx, do_nothing, NULL);
	if (r == 0 && !(flags & INDEX_READONLY))
		r = index_update(idx, do_nothing, NULL);
	if (r < 0) {
		idx = index_free(idx);
		return r;
	}
	*ret_index = idx;
	return 0;
}

static struct index *find_opened(const struct stat *s) REQUIRES(&registry)
{
	for (struct index *i = opened; i; i = i->next)
		if (i->dev == s->st_dev && i->ino == s->st_ino &&
		    i->pid == getpid())
			return i;
	return NULL;
}

static int open_locked(int dirfd, unsigned flags, size_t map_size,
		       struct index **ret_index) REQUIRES(&registry)
{
	struct index *idx = NULL;
	struct stat s;
	int r;

	if (fstatat(dirfd, "index/data.mdb", &s, AT_SYMLINK_NOFOLLOW) == 0) {
		/* LMDB would take an empty file for a new environment. */
		if (!s.st_size && !(flags & INDEX_CREATE))
			return -EBADMSG;
		idx = find_opened(&s);
	} else if (errno != ENOENT || !(flags & INDEX_CREATE)) {
		return -errno;
	}
	if (idx) {
		if ((idx->flags ^ flags) & INDEX_READONLY)
			return -EBUSY;
		idx->refs++;
		*ret_index = idx;
		return 0;
	}
	r = index_new(dirfd, flags, map_size, &idx);
	if (r < 0)
		return r;
	idx->next = opened;
	opened = idx;
	*ret_index = idx;
	return 0;
}

int index_open_sized(int dirfd, unsigned flags, size_t map_size,
		     struct index **ret_index)
{
	int r;

	if (flags & INDEX_CREATE && mkdirat(dirfd, "index", 0700) < 0 &&
	    errno != EEXIST)
		return -errno;
	lock_acquire(&registry);
	r = open_locked(dirfd, flags, map_size, ret_index);
	lock_release(&registry);
	return r;
}

int index_open(int dirfd, unsigned flags, struct index **ret_index)
{
	return index_open_sized(dirfd, flags, INDEX_MAP_SIZE, ret_index);
}

struct index *index_close(struct index *idx)
{
	struct index **i;

	if (!idx)
		return NULL;
	lock_acquire(&registry);
	if (--idx->refs == 0) {
		for (i = &opened; *i != idx; i = &(*i)->next)
			;
		*i = idx->next;
		idx = index_free(idx);
	}
	lock_release(&registry);
	return NULL;
}

int index_lock_unused(int dirfd, int *ret_fd)
{
	struct stat s;
	bool ours;

	if (fstatat(dirfd, "index/data.mdb", &s, AT_SYMLINK_NOFOLLOW) == 0) {
		lock_acquire(&registry);
		ours = find_opened(&s) != NULL;
		lock_release(&registry);
		if (ours)
			return -EBUSY;
	} else if (errno != ENOENT && errno != ENOTDIR) {
		return -errno;
	}
	return lock_lock_file(dirfd, ret_fd);
}

int index_retire(int fd)
{
	static const char zeros[64]; /* the file's magic number among them */

	return fd < 0 ? 0 : pwrite_full(fd, zeros, sizeof(zeros), 0);
}
