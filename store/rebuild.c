/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_rebuild(): a new index from what is left of the old one and from the
 * files in blobs/.
 *
 * The new index grows in STORE/rebuild/index, and changes places with the old
 * one by one renameat2(RENAME_EXCHANGE). SIGKILL and power loss before that
 * leave the damaged store as it was, and the next try begins anew; after it,
 * the store is whole, and the old index is in STORE/rebuild, from where the
 * next rebuild moves it away.
 *
 * One process: it holds the lock on the store's directory, and the one that
 * keeps LMDB from opening the old index.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/base/io.h"
#include "store/base/macros.h"
#include "store/blob.h"
#include "store/check_impl.h"
#include "store/index_tree.h"
#include "store/keys.h"
#include "store/refs.h"
#include "store/schema.h"
#include "store/store_impl.h"
#include "store/view_row.h"
#include "store/views.h"

#define REBUILD "rebuild"
/* Salvaged bytes per transaction. */
#define PIECE ((size_t)8 << 20)
#define ROWS_PER_PIECE 50000

struct rebuild {
	struct check c;
	struct index *idx;	     /* the new one; the store owns it */
	int dir;		     /* STORE/rebuild */
	int lock;		     /* of the old index */
	struct buf rows;	     /* salvaged, not yet put */
	uint64_t found[TABLE_COUNT]; /* rows salvaged */
	struct view_rec view;	     /* scratch */
	uint32_t last_view;	     /* the highest id that was ever seen */
	size_t next_file;
};

__attribute__((format(printf, 2, 3))) static void note(struct rebuild *rb,
						       const char *format, ...)
{
	char line[256];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	buf_put(&rb->c.said, line, strlen(line) + 1);
}

/* --- salvaged rows -------------------------------------------------------- */

/* Contents prove themselves, whatever page they are from. */
static int put_data(struct txn *txn, struct span key, struct span value,
		    int64_t now)
{
	struct blob_rec rec = { .size = value.len, .used = now };
	struct digest d, real;
	int r;

	r = digest_of(value.p, value.len, &real);
	if (r < 0)
		return r;
	if (!key_digest(key, &d) || !digest_equal(&d, &real))
		return 0;
	r = txn_put(txn, TABLE_DATA, key, value);
	return r < 0 ? r : blob_row_put(txn, &d, &rec);
}

/*
 * The newest row of a view is the one that counts most commits. An old one is
 * better than none, for a view that has files: it still says whose it is. A
 * view without files was dropped.
 */
static int put_old_view(struct rebuild *rb, struct txn *txn, struct span key,
			struct span value)
{
	struct view_rec *rec = &rb->view;
	struct span there;
	struct key root;
	uint64_t seq;
	uint32_t id;
	int r;

	if (!key_view(key, &id) || view_rec_decode(value.p, value.len, rec) < 0)
		return 0;
	seq = rec->seq;
	node_key(&root, id, VIEW_ROOT_INO);
	r = txn_get(txn, TABLE_NODES, span_of_key(&root), &there);
	if (r == 0)
		r = view_row_get(txn, id, rec);
	else if (r == -ENOENT)
		return 0;
	if (r == -ENOENT || (r == 0 && rec->seq < seq))
		r = txn_put(txn, TABLE_VIEWS, key, value);
	return r;
}

/* Of the other tables an old row is worse than none: a file that is missing is
 * built anew, an old one beside newer ones may be believed. */
static int put_row(struct rebuild *rb, struct txn *txn, enum table t,
		   enum row_rank rank, struct span key, struct span value)
{
	struct span there;
	int r;

	if (t == TABLE_DATA)
		return put_data(txn, key, value, rb->c.now);
	if (rank == ROW_STALE)
		return t == TABLE_VIEWS ? put_old_view(rb, txn, key, value) : 0;
	if (t != TABLE_VIEWS && t != TABLE_NODES && t != TABLE_NAMES &&
	    t != TABLE_LISTS && t != TABLE_UNITS)
		return 0; /* made anew */
	r = txn_get(txn, t, key, &there);
	return r == -ENOENT ? txn_put(txn, t, key, value) : r;
}

static int do_put_rows(struct txn *txn, void *arg)
{
	struct rebuild *rb = arg;
	struct reader rd = reader_of(rb->rows.data, rb->rows.len);
	struct span key, value;
	int r = 0;

	while (r == 0 && rd.left) {
		enum table t = (enum table)take_u8(&rd);
		enum row_rank rank = (enum row_rank)take_u8(&rd);

		key.len = take_u32(&rd);
		key.p = take(&rd, key.len);
		value.len = take_u32(&rd);
		value.p = take(&rd, value.len);
		r = put_row(rb, txn, t, rank, key, value);
	}
	return r;
}

static int put_rows(struct rebuild *rb)
{
	int r = rb->rows.err;

	if (r == 0 && rb->rows.len)
		r = index_update(rb->idx, do_put_rows, rb);
	buf_reset(&rb->rows);
	return r;
}

static int keep_row(enum table t, struct span key, struct span value,
		    enum row_rank rank, void *arg)
{
	struct rebuild *rb = arg;
	bool of_view = t == TABLE_VIEWS || t == TABLE_NODES || t == TABLE_NAMES;
	uint32_t view;

	if (of_view && key_view(key, &view) && view < UINT32_MAX)
		rb->last_view = MAX(rb->last_view, view);
	if (rank != ROW_STALE)
		rb->found[t]++;
	buf_u8(&rb->rows, (uint8_t)t);
	buf_u8(&rb->rows, (uint8_t)rank);
	buf_u32(&rb->rows, (uint32_t)key.len);
	buf_put(&rb->rows, key.p, key.len);
	buf_u32(&rb->rows, (uint32_t)value.len);
	buf_put(&rb->rows, value.p, value.len);
	return rb->rows.len >= PIECE ? put_rows(rb) : rb->rows.err;
}

static int salvage(struct rebuild *rb)
{
	_cleanup_close_ int fd = -1;
	uint64_t damaged = 1;
	int r = 0;

	fd = openat(store_root_fd(rb->c.st), "index/data.mdb",
		    O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0)
		r = tree_rows(fd, keep_row, rb, &damaged);
	if (r == 0)
		r = put_rows(rb);
	if (r < 0)
		return r;
	note(rb,
	     "index: %" PRIu64 " views, %" PRIu64 " nodes, %" PRIu64
	     " names, %" PRIu64 " small blobs, %" PRIu64 " units could be read",
	     rb->found[TABLE_VIEWS], rb->found[TABLE_NODES],
	     rb->found[TABLE_NAMES], rb->found[TABLE_DATA],
	     rb->found[TABLE_UNITS]);
	if (damaged)
		check_problem(&rb->c, REMEDY_REPAIR,
			      "index: %" PRIu64 " places could not be read",
			      damaged);
	return 0;
}

/* --- blobs and ids -------------------------------------------------------- */

static int do_put_files(struct txn *txn, void *arg)
{
	struct rebuild *rb = arg;
	const struct found_file *f = ARRAY_OF(&rb->c.files, struct found_file);
	size_t end = MIN(rb->next_file + ROWS_PER_PIECE,
			 COUNT_OF(&rb->c.files, struct found_file));
	int r = 0;

	for (size_t i = rb->next_file; r == 0 && i < end; i++) {
		struct blob_rec rec = {
			.size = f[i].size,
			.used = rb->c.now,
			.tier = BLOB_FILE,
		};

		r = blob_row_put(txn, &f[i].d, &rec);
	}
	return r;
}

static int put_files(struct rebuild *rb)
{
	size_t count = COUNT_OF(&rb->c.files, struct found_file);
	int r = 0;

	for (; r == 0 && rb->next_file < count; rb->next_file += ROWS_PER_PIECE)
		r = index_update(rb->idx, do_put_files, rb);
	return r;
}

/* Of its lease, and of its directory of staging files. */
static bool view_of_name(const char *name, uint32_t *ret_id)
{
	if (strlen(name) != 8 || strspn(name, "0123456789abcdef") != 8)
		return false;
	*ret_id = (uint32_t)strtoul(name, NULL, 16);
	return true;
}

/* A view that is lost altogether may have left its number in a name. */
static int see_ids(struct rebuild *rb, int dirfd)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	struct dirent *e;
	uint32_t id;
	int r;

	r = dir_open(dirfd, ".", &dir);
	while (r == 0 && (e = readdir(dir)))
		if (view_of_name(e->d_name, &id) && id < UINT32_MAX)
			rb->last_view = MAX(rb->last_view, id);
	return r;
}

static int do_settle(struct txn *txn, void *arg)
{
	struct rebuild *rb = arg;
	int r;

	r = meta_put_u32(txn, META_NEXT_VIEW, rb->last_view + 1);
	if (r == 0)
		r = check_collect_refs(&rb->c, txn);
	return r < 0 ? r : check_settle_blobs(&rb->c, txn);
}

/* Staging files of views that are lost: their bytes are nobody's any more. */
static int remove_stray_staging(struct rebuild *rb)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	struct dirent *e;
	uint32_t id;
	int r;

	r = dir_open(store_staging_fd(rb->c.st), ".", &dir);
	while (r == 0 && (e = readdir(dir)))
		if (view_of_name(e->d_name, &id) &&
		    !check_find_view(&rb->c, id))
			r = staging_remove(rb->c.st, id);
	return r;
}

static int fill(struct rebuild *rb)
{
	struct store *st = rb->c.st;
	int r;

	r = salvage(rb);
	if (r == 0)
		r = see_ids(rb, store_lease_fd(st));
	if (r == 0)
		r = see_ids(rb, store_staging_fd(st));
	if (r == 0)
		r = check_files(&rb->c);
	if (r == 0)
		r = put_files(rb);
	/* Leases need the views, counts need the leases. */
	if (r == 0)
		r = check_list_views(&rb->c);
	if (r == 0)
		r = index_update(rb->idx, do_settle, rb);
	if (r == 0)
		r = check_rows(&rb->c);
	return r < 0 ? r : remove_stray_staging(rb);
}

/* --- the exchange --------------------------------------------------------- */

static void remove_dir(int dirfd, const char *name)
{
	int fd = openat(dirfd, name,
			O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return;
	(void)unlinkat(fd, "data.mdb", 0);
	(void)unlinkat(fd, "lock.mdb", 0);
	(void)unlinkat(fd, "vetted", 0);
	(void)close(fd);
	(void)unlinkat(dirfd, name, AT_REMOVEDIR);
}

/* "index.damaged-<seconds>", and a number if there is one already. */
static int quarantine(struct rebuild *rb, int dirfd, const char *name)
{
	int root = store_root_fd(rb->c.st);
	char to[64];

	for (int n = 0; n < 1000; n++) {
		(void)snprintf(to, sizeof(to),
			       n ? "index.damaged-%" PRId64 "-%d"
				 : "index.damaged-%" PRId64,
			       rb->c.now, n);
		if (renameat2(dirfd, name, root, to, RENAME_NOREPLACE) == 0) {
			note(rb, "the damaged index is in '%s'", to);
			return 0;
		}
		if (errno != EEXIST)
			return errno == ENOENT ? 0 : -errno;
	}
	return -EEXIST;
}

/* What an earlier rebuild left in STORE/rebuild: an index in the making, or,
 * if it came as far as the exchange, the damaged one. Which of the two is told
 * by the file that is written before the exchange. */
static int clear_rebuild(struct rebuild *rb)
{
	int r = 0;

	if (faccessat(rb->dir, "done", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		r = quarantine(rb, rb->dir, "index");
	else
		remove_dir(rb->dir, "index");
	(void)unlinkat(rb->dir, "done", 0);
	return r;
}

static int open_rebuild_dir(struct rebuild *rb)
{
	int root = store_root_fd(rb->c.st);

	if (mkdirat(root, REBUILD, 0700) < 0 && errno != EEXIST)
		return -errno;
	rb->dir = openat(root, REBUILD,
			 O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return rb->dir < 0 ? -errno : clear_rebuild(rb);
}

static int exchange(struct rebuild *rb)
{
	int root = store_root_fd(rb->c.st), r;

	r = sync_dir(rb->dir, "index");
	if (r == 0)
		r = write_file_atomic(rb->dir, "done", "", 0, 0600);
	if (r == 0)
		r = index_retire(rb->lock);
	if (r < 0)
		return r;
	if (renameat2(rb->dir, "index", root, "index", RENAME_EXCHANGE) < 0 &&
	    (errno != ENOENT || renameat(rb->dir, "index", root, "index") < 0))
		return -errno;
	r = sync_dir(root, ".");
	if (r == 0)
		r = store_write_format(rb->c.st);
	if (r == 0)
		r = clear_rebuild(rb);
	if (r == 0)
		(void)unlinkat(root, REBUILD, AT_REMOVEDIR);
	return r < 0 ? r : sync_dir(root, ".");
}

static int lock_store(struct rebuild *rb)
{
	int root = store_root_fd(rb->c.st), r;

	if (flock(root, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	r = index_lock_unused(root, &rb->lock);
	/* No index at all: nobody can have it open. */
	return r == -ENOENT || r == -ENOTDIR ? 0 : r;
}

static int do_rebuild(struct rebuild *rb)
{
	int r;

	r = lock_store(rb);
	if (r == 0)
		r = open_rebuild_dir(rb);
	if (r == 0)
		r = index_open(rb->dir, INDEX_CREATE, &rb->idx);
	if (r < 0)
		return r;
	store_give_index(rb->c.st, rb->idx);
	r = fill(rb);
	return r < 0 ? r : exchange(rb);
}

int store_rebuild(const char *path, void (*say)(const char *problem, void *arg),
		  void *arg, struct check_report *ret_report)
{
	struct rebuild rb = {
		.c = { .flags = CHECK_REPAIR | CHECK_READ_DATA,
		       .say = say,
		       .arg = arg,
		       .now = now_sec() },
		.dir = -1,
		.lock = -1,
	};
	int r;

	r = store_open_damaged_dirs(path, &rb.c.st);
	if (r < 0)
		return r;
	r = do_rebuild(&rb);
	if (r == 0) {
		rb.c.rep.views = COUNT_OF(&rb.c.views, struct found_view);
		*ret_report = rb.c.rep;
	}
	check_tell(&rb.c);
	check_release(&rb.c);
	buf_release(&rb.rows);
	closep(&rb.lock);
	closep(&rb.dir);
	rb.c.st = store_close(rb.c.st);
	return r;
}
