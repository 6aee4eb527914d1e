/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blob_sweep(): deletes blobs that nothing refers to.
 *
 * Why nothing is lost. References are counted, and files unlinked, only within
 * write transactions, and those exclude each other over all processes: while
 * we unlink, nobody can be committing a reference. Who commits one later finds
 * the file missing: views_commit() looks for the file of each blob that a
 * batch declares, and of each dead one that it revives, and links it again
 * from staging or fails. Grace is for references that exist in memory only and
 * reach the index a second later: blob_link() renews the file's ctime, and a
 * blob that a mounted view has dropped is not touched before it was dead for
 * as long.
 *
 * Order: unlink, then commit. After SIGKILL between the two, and after power
 * loss with any subset of the unlinks on disk, there are dead rows without
 * files, which the next sweep deletes, and files without rows, which it finds
 * as such. The reverse order would have to unlink outside the transaction.
 *
 * Threads: any.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/base/broken.h"
#include "store/base/buf.h"
#include "store/base/io.h"
#include "store/base/macros.h"
#include "store/blob.h"
#include "store/index.h"
#include "store/keys.h"
#include "store/refs.h"
#include "store/store.h"

/* Blobs per write transaction: other writers wait for the unlinks of one. */
#define PIECE 256
#define FAN_OUT 256
/* A file under a temporary name lives for microseconds; see replace(). */
#define TEMP_GRACE 3600

struct sweep {
	struct store *st;
	int64_t now;
	unsigned grace;
	unsigned max;
	struct buf found; /* digests */
	size_t from, to;  /* of found: the piece in hand */
	uint64_t freed;	  /* by committed pieces */
	uint64_t piece_freed;
};

static size_t found_count(const struct sweep *sw)
{
	return sw->found.len / DIGEST_LEN;
}

static struct digest found_at(const struct sweep *sw, size_t i)
{
	struct digest d;

	memcpy(d.b, sw->found.data + i * DIGEST_LEN, DIGEST_LEN);
	return d;
}

static bool is_old(const struct sweep *sw, int64_t since)
{
	/* A clock that went back makes nothing old. */
	return broken("sweep-grace") || sw->now - since >= (int64_t)sw->grace;
}

static int find_dead(struct txn *txn, struct span key, struct span value,
		     void *arg)
{
	struct sweep *sw = arg;
	int64_t since;

	(void)txn;
	if (key.len != DIGEST_LEN || !value.p ||
	    dead_decode(value, &since) < 0 || !is_old(sw, since))
		return 0;
	buf_put(&sw->found, key.p, key.len);
	if (sw->found.err)
		return sw->found.err;
	return found_count(sw) >= sw->max;
}

static int do_find(struct txn *txn, void *arg)
{
	struct sweep *sw = arg;

	buf_reset(&sw->found);
	return txn_foreach(txn, TABLE_DEAD, (struct span){ 0 }, find_dead, sw);
}

/* 1: the file is gone, 0: it is too young. *ret_size is what it was. */
static int unlink_old(struct sweep *sw, const struct digest *d,
		      uint64_t *ret_size)
{
	int blobs = store_blobs_fd(sw->st);
	char name[BLOB_NAME_LEN + 1];
	struct stat s;

	*ret_size = 0;
	blob_name(d, name);
	if (fstatat(blobs, name, &s, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 1 : -errno;
	if (!is_old(sw, s.st_ctim.tv_sec))
		return 0;
	if (unlinkat(blobs, name, 0) < 0 && errno != ENOENT)
		return -errno;
	*ret_size = (uint64_t)s.st_size;
	return 1;
}

static int delete_rows(struct txn *txn, const struct digest *d)
{
	static const enum table tables[] = { TABLE_DATA, TABLE_DEAD,
					     TABLE_BLOBS };
	int r;

	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		r = txn_del(txn, tables[i], span_of_digest(d));
		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}

/* All that was known may have changed since it was found. */
static int sweep_dead(struct sweep *sw, struct txn *txn, const struct digest *d)
{
	struct blob_rec rec = { 0 };
	uint64_t size;
	int64_t since = 0;
	int r;

	r = broken("sweep-recheck") ? 0 : dead_get(txn, d, &since);
	if (r < 0)
		return r == -ENOENT || r == -EBADMSG ? 0 : r;
	r = blob_row_get(txn, d, &rec);
	if (r == -EBADMSG || !is_old(sw, since) ||
	    (r == 0 && rec.refs && !broken("sweep-recheck")))
		return 0; /* fsck decides */
	if (r < 0 && r != -ENOENT)
		return r;
	r = unlink_old(sw, d, &size);
	if (r <= 0)
		return r;
	sw->piece_freed += rec.size;
	return delete_rows(txn, d);
}

static int do_sweep_dead(struct txn *txn, void *arg)
{
	struct sweep *sw = arg;
	struct digest d;
	int r = 0;

	sw->piece_freed = 0;
	for (size_t i = sw->from; r == 0 && i < sw->to; i++) {
		d = found_at(sw, i);
		r = sweep_dead(sw, txn, &d);
	}
	return r;
}

static int do_sweep_rowless(struct txn *txn, void *arg)
{
	struct sweep *sw = arg;
	struct blob_rec rec;
	struct digest d;
	uint64_t size;
	int r;

	sw->piece_freed = 0;
	for (size_t i = sw->from; i < sw->to; i++) {
		d = found_at(sw, i);
		if (blob_row_get(txn, &d, &rec) != -ENOENT)
			continue;
		r = unlink_old(sw, &d, &size);
		if (r < 0)
			return r;
		sw->piece_freed += size;
	}
	return 0;
}

static int in_pieces(struct sweep *sw, txn_fn fn)
{
	size_t count = found_count(sw);
	int r = 0;

	for (sw->from = 0; r == 0 && sw->from < count; sw->from = sw->to) {
		sw->to = MIN(sw->from + PIECE, count);
		r = index_update(store_index(sw->st), fn, sw);
		if (r == 0)
			sw->freed += sw->piece_freed;
	}
	return r;
}

struct scan {
	struct sweep *sw;
	DIR *dir;
	char fan_out[3];
};

static void remove_temp(struct scan *sc, const char *name)
{
	struct stat s;

	if (fstatat(dirfd(sc->dir), name, &s, AT_SYMLINK_NOFOLLOW) == 0 &&
	    sc->sw->now - s.st_ctim.tv_sec >= TEMP_GRACE)
		(void)unlinkat(dirfd(sc->dir), name, 0);
}

static int do_scan(struct txn *txn, void *arg)
{
	struct scan *sc = arg;
	char hex[DIGEST_HEX_LEN + 1];
	struct blob_rec rec;
	struct digest d;
	struct dirent *e;

	buf_reset(&sc->sw->found);
	rewinddir(sc->dir);
	while (found_count(sc->sw) < sc->sw->max && (e = readdir(sc->dir))) {
		if (!strncmp(e->d_name, ".new-", 5))
			remove_temp(sc, e->d_name);
		if (strlen(e->d_name) != DIGEST_HEX_LEN - 2)
			continue;
		(void)snprintf(hex, sizeof(hex), "%.2s%.62s", sc->fan_out,
			       e->d_name);
		if (digest_parse(hex, DIGEST_HEX_LEN, &d) < 0 ||
		    blob_row_get(txn, &d, &rec) != -ENOENT)
			continue;
		buf_put(&sc->sw->found, d.b, DIGEST_LEN);
	}
	return sc->sw->found.err;
}

/* Files without rows, in the next of the 256 directories. */
static int sweep_rowless(struct sweep *sw)
{
	static unsigned next; /* atomic; where a process begins is no matter */
	_cleanup_(closedirp) DIR *dir = NULL;
	struct scan sc = { .sw = sw };
	int r;

	(void)snprintf(sc.fan_out, sizeof(sc.fan_out), "%02x",
		       __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED) %
			       FAN_OUT);
	r = dir_open(store_blobs_fd(sw->st), sc.fan_out, &dir);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	sc.dir = dir;
	r = index_view(store_index(sw->st), do_scan, &sc);
	return r < 0 ? r : in_pieces(sw, do_sweep_rowless);
}

int blob_sweep(struct store *st, unsigned grace_sec, unsigned max,
	       uint64_t *ret_freed)
{
	struct sweep sw = { .st = st, .now = now_sec(), .grace = grace_sec };
	size_t done;
	int r;

	sw.max = max;
	r = index_view(store_index(st), do_find, &sw);
	if (r == 0)
		r = in_pieces(&sw, do_sweep_dead);
	done = found_count(&sw);
	if (r == 0 && done < max) {
		sw.max = max - (unsigned)done;
		r = sweep_rowless(&sw);
	}
	buf_release(&sw.found);
	*ret_freed = sw.freed;
	return r;
}
