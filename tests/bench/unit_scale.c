/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the unit index does when it is large: what it costs to find a unit by
 * its inputs, not to find one, to publish one, and to forget one.
 *
 *	unit_scale DIRECTORY [UNITS]
 *
 * UNITS (1000000) objects of 20 inputs and 8 files, four for each hash and
 * list: as many edits of one crate. DIRECTORY must not exist; it is left
 * behind, with an index of 5 GiB for a million. One line per measurement:
 * name, microseconds (the median, the 99th percentile).
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/base/macros.h"
#include "store/index.h"
#include "store/refs.h"
#include "store/store.h"
#include "store/unit_row.h"
#include "store/views.h"

#define INPUTS 20
#define FILES 8
#define EDITS 4 /* objects of one list */
#define ROWS_PER_COMMIT 20000
#define FINDS 20000
#define COMMITS 100

struct bench {
	struct store *st;
	uint32_t view;
	uint64_t units;
	uint64_t next; /* to insert, or to publish */
	uint64_t seed;
	uint64_t wanted; /* what is looked for */
	unsigned found;
};

/* An object and what its strings are in. */
struct made {
	char names[INPUTS][40], paths[FILES][64];
	struct unit_input inputs[INPUTS];
	struct unit_file files[FILES];
	struct unit_object obj;
	struct unit_key key;
};

static void check(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "unit_scale: %s: %s\n", what, strerror(-r));
	exit(1);
}

static double now_usec(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure(const char *name, void (*fn)(struct bench *b),
		    struct bench *b, size_t rounds)
{
	double *usec = calloc(rounds, sizeof(*usec));

	check(usec ? 0 : -ENOMEM, name);
	for (size_t i = 0; i < rounds; i++) {
		double start = now_usec();

		fn(b);
		usec[i] = now_usec() - start;
	}
	qsort(usec, rounds, sizeof(usec[0]), compare);
	printf("%-24s %9.1f %9.1f\n", name, usec[rounds / 2],
	       usec[rounds - rounds / 100 - 1]);
	(void)fflush(stdout);
	free(usec);
}

static struct span_str str(const char *s)
{
	return (struct span_str){ s, strlen(s) };
}

static struct digest digest_of_numbers(uint64_t a, uint64_t b)
{
	const uint64_t both[2] = { a, b };
	struct digest d;

	check(digest_of(both, sizeof(both), &d), "digest");
	return d;
}

/* Spread over all keys, as cargo's hashes are. */
static uint64_t hash_of(uint64_t n)
{
	return (n / EDITS + 1) * 0x9e3779b97f4a7c15;
}

static void make_inputs(struct made *m, uint64_t n)
{
	for (unsigned i = 0; i < INPUTS; i++) {
		(void)snprintf(m->names[i], sizeof(m->names[i]),
			       "src/part_%02u/module.rs", i);
		/* The first one is what was edited. */
		m->inputs[i] = (struct unit_input){
			.kind = UNIT_SOURCE,
			.name = str(m->names[i]),
			.value = digest_of_numbers(i, i ? n / EDITS : n),
		};
	}
}

static void make(struct made *m, uint64_t n)
{
	make_inputs(m, n);
	for (unsigned i = 0; i < FILES; i++) {
		(void)snprintf(m->paths[i], sizeof(m->paths[i]),
			       ".fingerprint/some-crate-%016" PRIx64 "/f%u",
			       hash_of(n), i);
		m->files[i] = (struct unit_file){
			.type = UNIT_REG,
			.mode = 0644,
			.path = str(m->paths[i]),
			.size = 100000,
			.digest = digest_of_numbers(FILES, i),
		};
	}
	m->obj = (struct unit_object){
		.profile = str("release"),
		.package = str("some-crate"),
		.writer = str("bench"),
		.origin_workspace = str("/home/user/src/project"),
		.origin_target = str("/home/user/src/project/target"),
		.recipe = digest_of_numbers(INPUTS, n),
		.inputs = m->inputs,
		.input_count = INPUTS,
		.files = m->files,
		.file_count = FILES,
	};
	m->key = (struct unit_key){ .hash = hash_of(n), .fpr = n };
	check(unit_key_of(&m->obj, &m->key), "key");
}

/* --- filling -------------------------------------------------------------- */

static int put_blobs(struct txn *txn, void *arg)
{
	struct blob_rec rec = { .size = 100000, .refs = 1, .tier = BLOB_FILE };
	int r = 0;

	(void)arg;
	for (unsigned i = 0; r == 0 && i < FILES; i++) {
		struct digest d = digest_of_numbers(FILES, i);

		r = blob_row_put(txn, &d, &rec);
	}
	return r;
}

static int put_unit(struct txn *txn, const struct made *m)
{
	struct buf b = { 0 };
	struct key k;
	int r;

	r = unit_object_encode(&m->obj, &b);
	unit_key_put(&k, &m->key, UNIT_KEY_ALL);
	if (r == 0)
		r = txn_put(txn, TABLE_UNITS, span_of_key(&k),
			    span_of(b.data, b.len));
	if (r == 0)
		r = unit_list_row_put(txn, &m->key, &m->obj);
	buf_release(&b);
	return r;
}

static int put_units(struct txn *txn, void *arg)
{
	struct bench *b = arg;
	uint64_t end = MIN(b->next + ROWS_PER_COMMIT, b->units);
	static struct made m;
	int r = 0;

	for (uint64_t n = b->next; r == 0 && n < end; n++) {
		make(&m, n);
		r = put_unit(txn, &m);
	}
	return r;
}

static void build(struct bench *b, const char *path)
{
	struct index *idx;
	struct view_rec rec;

	check(store_open(path, STORE_CREATE, &b->st), path);
	idx = store_index(b->st);
	check(views_obtain(b->st, 0, "/work/project", 0, 0, 0755, &rec),
	      "view");
	b->view = rec.id;
	check(index_update(idx, put_blobs, NULL), "blobs");
	for (b->next = 0; b->next < b->units; b->next += ROWS_PER_COMMIT)
		check(index_update(idx, put_units, b), "units");
	b->next = b->units;
}

/* --- measuring ------------------------------------------------------------ */

/* xorshift64; rand() has too few bits. */
static uint64_t random_number(struct bench *b)
{
	b->seed ^= b->seed << 13;
	b->seed ^= b->seed >> 7;
	b->seed ^= b->seed << 17;
	return b->seed;
}

static int see_object(uint64_t fpr, const void *p, size_t len, void *arg)
{
	struct unit_object obj;
	struct bench *b = arg;

	check(unit_object_decode(p, len, &obj), "decode");
	b->found += fpr == b->wanted && obj.file_count == FILES;
	unit_object_release(&obj);
	return 1;
}

/* Making up the values is in the figure, too: see "make-values". */
static int see_list(const struct unit_list *list,
		    const struct digest *list_digest, void *arg)
{
	static struct made m;
	struct bench *b = arg;
	struct unit_key key = { .list = *list_digest };

	make_inputs(&m, b->wanted);
	key.hash = hash_of(b->wanted);
	check(unit_values_digest(m.inputs, list->count, &key.values), "values");
	return unit_find(b->st, &key, see_object, b);
}

static void find(struct bench *b)
{
	const struct digest scope = { { 0 } };
	int r = unit_lists(b->st, hash_of(b->wanted), &scope, see_list, b);

	check(r, "find");
}

static void find_hit(struct bench *b)
{
	b->wanted = random_number(b) % b->units;
	find(b);
}

static void find_miss(struct bench *b)
{
	b->wanted = b->units + random_number(b) % b->units;
	find(b);
}

static void make_values(struct bench *b)
{
	static struct made m;

	make_inputs(&m, random_number(b) % b->units);
}

static void publish(struct bench *b)
{
	static struct made m;

	make(&m, b->next++);
	check(unit_publish(b->st, &m.key, &m.obj), "publish");
}

static void drop(struct bench *b)
{
	static struct made m;

	make(&m, --b->next);
	check(unit_drop(b->st, &m.key), "drop");
}

static void commit_empty(struct bench *b)
{
	const struct view_state state = { .next_ino = 2 };
	struct batch batch = { .count = 0 };

	check(views_commit(b->st, b->view, &batch, &state), "commit");
}

int main(int argc, char **argv)
{
	struct bench b = { .seed = 0x2545f4914f6cdd1d };
	struct index_info info;

	if (argc < 2) {
		fprintf(stderr, "usage: unit_scale DIRECTORY [UNITS]\n");
		return 2;
	}
	b.units = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
	b.units = MAX(b.units, EDITS);
	build(&b, argv[1]);
	measure("make-values", make_values, &b, FINDS);
	measure("find-hit", find_hit, &b, FINDS);
	if (b.found != FINDS)
		check(-ENOENT, "a unit that is there");
	measure("find-miss", find_miss, &b, FINDS);
	if (b.found != FINDS)
		check(-EEXIST, "a unit that is not there");
	measure("commit-empty", commit_empty, &b, COMMITS);
	measure("publish", publish, &b, COMMITS);
	measure("drop", drop, &b, COMMITS);
	check(index_info(store_index(b.st), &info), "info");
	printf("# index %" PRIu64 " MiB used, %" PRIu64 " units, %" PRIu64
	       " lists\n",
	       info.used >> 20, info.rows[TABLE_UNITS], info.rows[TABLE_LISTS]);
	b.st = store_close(b.st);
	return 0;
}
