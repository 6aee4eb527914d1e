/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the store's index does when it is large: builds one with many blobs and
 * views, then measures opening it, loading a view and committing to it.
 *
 *	store_scale DIRECTORY [BLOBS [VIEWS [NODES]]]
 *
 * BLOBS (1000000) rows of blobs, VIEWS (200) views of NODES (5000) files, each
 * of which names a blob; a view more of 10000 files for the measurements.
 * DIRECTORY must not exist; it is left behind. One line per measurement:
 * name, milliseconds (the median of several, and the worst). "check-pages" is
 * the look at all pages before the first write in a boot, with the index in the
 * page cache and without.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "store/base/macros.h"
#include "store/blob.h"
#include "store/index.h"
#include "store/refs.h"
#include "store/store.h"
#include "store/views.h"

#define ROUNDS 9
#define BIG_VIEW 10000
#define COMMIT_OPS 5000
#define ROWS_PER_COMMIT 20000

struct bench {
	const char *path;
	struct store *st;
	uint64_t blobs, views, nodes;
	uint32_t big;  /* the view for measurements */
	uint64_t next; /* blob to insert next */
};

static void check(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "store_scale: %s: %s\n", what, strerror(-r));
	exit(1);
}

static double now_msec(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* @before is not measured, and may be NULL. */
static void measure_after(const char *name, void (*before)(struct bench *b),
			  void (*fn)(struct bench *b, int round),
			  struct bench *b)
{
	double msec[ROUNDS], start;

	for (int i = 0; i < ROUNDS; i++) {
		if (before)
			before(b);
		start = now_msec();
		fn(b, i);
		msec[i] = now_msec() - start;
	}
	qsort(msec, ROUNDS, sizeof(msec[0]), compare);
	printf("%-24s %9.2f %9.2f\n", name, msec[ROUNDS / 2], msec[ROUNDS - 1]);
	(void)fflush(stdout);
}

static void measure(const char *name, void (*fn)(struct bench *b, int round),
		    struct bench *b)
{
	measure_after(name, NULL, fn, b);
}

static struct digest digest_of_number(uint64_t n)
{
	struct digest d;

	check(digest_of(&n, sizeof(n), &d), "digest");
	return d;
}

/* Rows as if files were there: nothing here looks at them. */
static int put_blob_rows(struct txn *txn, void *arg)
{
	struct bench *b = arg;
	struct blob_rec rec = { .size = 100000, .refs = 1, .tier = BLOB_FILE };
	uint64_t end = MIN(b->next + ROWS_PER_COMMIT, b->blobs);
	int r = 0;

	for (uint64_t n = b->next; r == 0 && n < end; n++) {
		struct digest d = digest_of_number(n);

		r = blob_row_put(txn, &d, &rec);
	}
	return r;
}

static void put_file(struct batch *b, uint64_t ino, uint64_t blob,
		     int64_t mtime)
{
	struct node_rec rec = {
		.mode = S_IFREG | 0644,
		.nlink = 1,
		.size = 100000,
		.mtime = { mtime, 0 },
		.content = CONTENT_BLOB,
	};
	char name[64];
	int len;

	rec.digest = digest_of_number(blob);
	len = snprintf(name, sizeof(name), "libsome_crate-%016" PRIx64 ".rmeta",
		       ino);
	check(batch_put_node(b, ino, &rec), "batch");
	check(batch_put_name(b, ino / 100 + 1, name, (size_t)len, ino),
	      "batch");
}

static void commit(struct bench *b, uint32_t view, struct batch *batch)
{
	const struct view_state state = { .next_ino = 1 << 30 };

	check(views_commit(b->st, view, batch, &state), "commit");
	batch_release(batch);
}

static uint32_t make_view(struct bench *b, uint64_t v, uint64_t nodes)
{
	struct batch batch = { 0 };
	struct view_rec rec;
	char ws[64];

	(void)snprintf(ws, sizeof(ws), "/work/proj-%" PRIu64, v);
	check(views_obtain(b->st, 0, ws, 0, 0, 0755, &rec), "obtain");
	for (uint64_t n = 0; n < nodes; n++)
		put_file(&batch, n + 2, (v * nodes + n) % b->blobs, 0);
	commit(b, rec.id, &batch);
	return rec.id;
}

static void build(struct bench *b)
{
	double start = now_msec();

	check(store_open(b->path, STORE_CREATE, &b->st), b->path);
	for (b->next = 0; b->next < b->blobs; b->next += ROWS_PER_COMMIT)
		check(index_update(store_index(b->st), put_blob_rows, b),
		      "blobs");
	for (uint64_t v = 0; v < b->views; v++)
		(void)make_view(b, v, b->nodes);
	b->big = make_view(b, b->views, BIG_VIEW);
	printf("%-24s %9.2f\n", "build", now_msec() - start);
}

static void do_open(struct bench *b, int round)
{
	(void)round;
	b->st = store_close(b->st);
	check(store_open(b->path, 0, &b->st), "open");
}

static int on_node(uint64_t ino, const struct node_rec *rec, void *arg)
{
	*(uint64_t *)arg += ino + rec->size;
	return 0;
}

static int on_name(uint64_t parent, const char *name, size_t len, uint64_t ino,
		   void *arg)
{
	*(uint64_t *)arg += parent + len + ino + (uint64_t)name[0];
	return 0;
}

static void do_load(struct bench *b, int round)
{
	uint64_t sum = 0;
	const struct view_loader ld = { on_node, on_name, NULL, &sum };

	(void)round;
	check(views_load(b->st, b->big, &ld), "load");
}

/* Existing files get another blob: the counts of two change for each. */
static void do_rebind(struct bench *b, int round)
{
	struct batch batch = { 0 };

	for (uint64_t n = 0; n < COMMIT_OPS; n++)
		put_file(&batch, n + 2,
			 (n * 7919 + (uint64_t)round * 31) % b->blobs, round);
	commit(b, b->big, &batch);
}

static void do_times(struct bench *b, int round)
{
	struct batch batch = { 0 };

	for (uint64_t n = COMMIT_OPS; n < 2 * COMMIT_OPS; n++)
		put_file(&batch, n + 2, (b->views * BIG_VIEW + n) % b->blobs,
			 round + 1);
	commit(b, b->big, &batch);
}

static void do_one(struct bench *b, int round)
{
	struct batch batch = { 0 };

	put_file(&batch, 2, 5, round);
	commit(b, b->big, &batch);
}

static void do_empty(struct bench *b, int round)
{
	struct batch batch = { 0 };

	(void)round;
	commit(b, b->big, &batch);
}

static void do_find(struct bench *b, int round)
{
	struct view_rec rec;

	(void)round;
	check(views_find(b->st, 0, "/work/proj-7", &rec), "find");
}

static void do_usage(struct bench *b, int round)
{
	struct view_usage u;

	(void)round;
	check(views_usage(b->st, b->big, &u), "usage");
}

static void do_check(struct bench *b, int round)
{
	(void)round;
	check(index_check_pages(store_index(b->st)), "check");
}

/* Drops the index out of the page cache, which keeps what is mapped. */
static void forget(struct bench *b)
{
	char path[PATH_MAX];
	int fd;

	b->st = store_close(b->st);
	(void)snprintf(path, sizeof(path), "%s/index/data.mdb", b->path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fdatasync(fd) < 0)
		check(-errno, path);
	check(-posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), path);
	(void)close(fd);
	check(store_open(b->path, 0, &b->st), "open");
}

static uint64_t number(int argc, char **argv, int i, uint64_t otherwise)
{
	return argc > i ? strtoull(argv[i], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
	struct bench b = { 0 };
	struct index_info info;

	if (argc < 2) {
		fprintf(stderr, "usage: store_scale DIRECTORY "
				"[BLOBS [VIEWS [NODES]]]\n");
		return 2;
	}
	b.path = argv[1];
	b.blobs = MAX(number(argc, argv, 2, 1000000), BIG_VIEW);
	b.views = number(argc, argv, 3, 200);
	b.nodes = number(argc, argv, 4, 5000);
	build(&b);
	measure("open", do_open, &b);
	measure("find", do_find, &b);
	measure("load-10000", do_load, &b);
	measure("usage-10000", do_usage, &b);
	measure("commit-empty", do_empty, &b);
	measure("commit-one", do_one, &b);
	measure("commit-5000-times", do_times, &b);
	measure("commit-5000-rebind", do_rebind, &b);
	measure("check-pages", do_check, &b);
	measure_after("check-pages-cold", forget, do_check, &b);
	check(index_info(store_index(b.st), &info), "info");
	printf("# index %" PRIu64 " MiB used, %" PRIu64 " nodes, %" PRIu64
	       " blobs\n",
	       info.used >> 20, info.rows[TABLE_NODES], info.rows[TABLE_BLOBS]);
	b.st = store_close(b.st);
	return 0;
}
