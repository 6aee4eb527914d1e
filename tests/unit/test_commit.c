/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store/views_commit.c, refs.c against a naive model: random batches over two
 * views, some of which have to fail; after each one all rows of nodes, names,
 * blobs and dead blobs are what the model says.
 *
 * Red when broken: "commit-blob-check" (a_swept_blob_is_linked_again),
 * "dropped-view" (a_dropped_view_takes_no_batch), "damaged-count"
 * (a_damaged_count_frees_nothing).
 */
#include "config.h"

#include "tests/unit/fixture.h"

#include "store/index.h"
#include "store/keys.h"
#include "store/refs.h"
#include "store/view_row.h"

#define VIEWS 2
#define INOS 12
#define NAMES 8
#define BLOBS 10 /* the first half inline */

struct model {
	/* -1: no node, BLOBS: without a blob, else the blob's number. */
	int node[VIEWS][INOS];
	uint64_t name[VIEWS][NAMES]; /* 0: no such name */
	bool known[BLOBS];	     /* has a row */
};

struct world {
	struct place p;
	struct model m;
	uint32_t view[VIEWS];
	struct digest digest[BLOBS];
	char bytes[BLOBS][16];
	unsigned commits, refused, swept;
};

static void enter_world(struct world *w)
{
	struct view_rec rec;

	memset(w, 0, sizeof(*w));
	enter_store(&w->p);
	w->view[0] = w->p.view;
	OK(views_obtain(w->p.st, 0, "/work/second", 0, 0, 0755, &rec));
	w->view[1] = rec.id;
	for (int b = 0; b < BLOBS; b++) {
		(void)snprintf(w->bytes[b], sizeof(w->bytes[b]), "blob %d",
			       b % 100);
		w->digest[b] = digest_of_str(w->bytes[b]);
	}
	for (int v = 0; v < VIEWS; v++)
		for (int i = 0; i < INOS; i++)
			w->m.node[v][i] = -1;
}

static uint64_t ino_of(int i)
{
	return (uint64_t)i + 2;
}

static unsigned refs_of(const struct model *m, int b)
{
	unsigned n = 0;

	for (int v = 0; v < VIEWS; v++)
		for (int i = 0; i < INOS; i++)
			n += m->node[v][i] == b;
	return n;
}

static int row_of_blob(struct txn *txn, void *arg)
{
	struct world *w = arg;
	struct blob_rec rec;
	int64_t since;

	for (int b = 0; b < BLOBS; b++) {
		int r = blob_row_get(txn, &w->digest[b], &rec);
		int dead = dead_get(txn, &w->digest[b], &since);

		if (!w->m.known[b] && r == -ENOENT && dead == -ENOENT)
			continue;
		if (!w->m.known[b] || r < 0 || rec.refs != refs_of(&w->m, b) ||
		    rec.size != strlen(w->bytes[b]) ||
		    rec.tier != (b < BLOBS / 2 ? BLOB_INLINE : BLOB_FILE) ||
		    dead != (rec.refs ? -ENOENT : 0))
			return -EBADMSG;
	}
	return 0;
}

struct seen {
	struct world *w;
	int v;
	unsigned nodes, names;
};

static int see_node(uint64_t ino, const struct node_rec *rec, void *arg)
{
	struct seen *s = arg;
	int b;

	if (ino == VIEW_ROOT_INO)
		return 0;
	b = s->w->m.node[s->v][ino - 2];
	s->nodes++;
	if (b < 0 || (b == BLOBS) != (rec->content == CONTENT_NONE))
		return -EBADMSG;
	return b == BLOBS || digest_equal(&rec->digest, &s->w->digest[b])
		       ? 0
		       : -EBADMSG;
}

static int see_name(uint64_t parent, const char *name, size_t len, uint64_t ino,
		    void *arg)
{
	struct seen *s = arg;

	s->names++;
	return parent == VIEW_ROOT_INO && len == 1 &&
			       s->w->m.name[s->v][name[0] - 'a'] == ino
		       ? 0
		       : -EBADMSG;
}

static void check_view(struct world *w, int v)
{
	struct seen s = { w, v, 0, 0 };
	struct view_loader ld = { see_node, see_name, NULL, &s };
	unsigned nodes = 0, names = 0;

	OK(views_load(w->p.st, w->view[v], &ld));
	for (int i = 0; i < INOS; i++)
		nodes += w->m.node[v][i] >= 0;
	for (int i = 0; i < NAMES; i++)
		names += w->m.name[v][i] != 0;
	assert_int_equal(s.nodes, nodes);
	assert_int_equal(s.names, names);
}

static void put_blob(struct world *w, struct batch *b, struct model *m,
		     int blob, bool after)
{
	uint64_t id;

	m->known[blob] = true;
	if (blob < BLOBS / 2) {
		OK(batch_put_inline(b, &w->digest[blob], w->bytes[blob],
				    strlen(w->bytes[blob])));
		return;
	}
	id = stage_blob(&w->p, w->bytes[blob], &w->digest[blob]);
	OK(batch_put_blob(b, &w->digest[blob], strlen(w->bytes[blob]), id));
	/* Half of them leave the staging file, which is not the point here. */
	if (after)
		OK(batch_drop_staging(b, id));
}

/* False: the batch has to be refused. */
static bool put_node(struct world *w, struct batch *b, struct model *m, int v,
		     int i)
{
	int blob = (int)(random() % (BLOBS + 2));
	bool given = random() % 3, ok = true;
	struct node_rec rec = empty_node();

	if (blob < BLOBS) {
		rec = blob_node(&w->digest[blob], strlen(w->bytes[blob]));
		/* Naming a blob that nobody has put is refused. */
		ok = given || m->known[blob];
		/* Before the node or after it, the batch is one. */
		if (given && blob % 2)
			put_blob(w, b, m, blob, false);
	}
	OK(batch_put_node(b, ino_of(i), &rec));
	if (blob < BLOBS && given && blob % 2 == 0)
		put_blob(w, b, m, blob, true);
	m->node[v][i] = blob < BLOBS ? blob : BLOBS;
	return ok;
}

static bool random_op(struct world *w, struct batch *b, struct model *m, int v)
{
	int i = (int)(random() % INOS), n = (int)(random() % NAMES);
	char name = (char)('a' + n);

	switch (random() % 6) {
	case 0:
		OK(batch_del_node(b, ino_of(i)));
		m->node[v][i] = -1;
		return true;
	case 1:
		OK(batch_put_name(b, VIEW_ROOT_INO, &name, 1, ino_of(i)));
		m->name[v][n] = ino_of(i);
		return true;
	case 2:
		OK(batch_del_name(b, VIEW_ROOT_INO, &name, 1));
		m->name[v][n] = 0;
		return true;
	case 3:
		put_blob(w, b, m, (int)(random() % BLOBS), true);
		return true;
	default:
		return put_node(w, b, m, v, i);
	}
}

static void random_batch(struct world *w)
{
	const struct view_state state = { .next_ino = 1000 };
	int v = (int)(random() % VIEWS), n = (int)(random() % 12), r;
	struct model m = w->m;
	struct batch b = { 0 };
	bool ok = true;

	w->p.view = w->view[v]; /* whose staging files are used */
	for (int i = 0; i < n; i++)
		ok = random_op(w, &b, &m, v) && ok;
	r = views_commit(w->p.st, w->view[v], &b, &state);
	if (r == 0)
		w->m = m;
	if (ok) {
		OK(r);
		w->commits++;
	} else if (r != 0) {
		/* A later operation may have put the blob after all. */
		assert_int_equal(r, -ENOENT);
		w->refused++;
	}
	batch_release(&b);
}

static void random_sweep(struct world *w)
{
	uint64_t freed;

	OK(blob_sweep(w->p.st, 0, 1000, &freed));
	for (int b = 0; b < BLOBS; b++)
		if (!refs_of(&w->m, b))
			w->m.known[b] = false;
	w->swept++;
}

static void random_batches(void **state)
{
	struct world w;

	(void)state;
	enter_world(&w);
	srandom(1234);
	for (int i = 0; i < 1500; i++) {
		if (random() % 20 == 0)
			random_sweep(&w);
		else
			random_batch(&w);
		OK(index_view(store_index(w.p.st), row_of_blob, &w));
		for (int v = 0; v < VIEWS; v++)
			check_view(&w, v);
		if (i % 300 == 299)
			reopen(&w.p);
	}
	printf("# %u commits, %u refused, %u sweeps\n", w.commits, w.refused,
	       w.swept);
	assert_true(w.commits > 300 && w.refused > 20 && w.swept > 30);
	leave(&w.p);
}

static void the_view_row_advances(void **state)
{
	struct view_state vs = { .next_ino = 55, .unsynced = true };
	struct view_rec rec;
	struct batch b = { 0 };
	struct place p;

	(void)state;
	enter_store(&p);
	memset(vs.boot_id, 7, sizeof(vs.boot_id));
	OK(views_commit(p.st, p.view, &b, &vs));
	OK(views_find(p.st, 0, "/work/proj", &rec));
	assert_int_equal(rec.seq, 1);
	assert_int_equal(rec.next_ino, 55);
	assert_memory_equal(rec.boot_id, vs.boot_id, BOOT_ID_LEN);
	vs.unsynced = false;
	OK(views_commit(p.st, p.view, &b, &vs));
	OK(views_find(p.st, 0, "/work/proj", &rec));
	assert_int_equal(rec.seq, 2);
	memset(vs.boot_id, 0, sizeof(vs.boot_id));
	assert_memory_equal(rec.boot_id, vs.boot_id, BOOT_ID_LEN);
	assert_int_equal(views_commit(p.st, 99, &b, &vs), -ENOENT);
	leave(&p);
}

static int mark_dropped(struct txn *txn, void *arg)
{
	struct view_rec rec;
	int r = view_row_get(txn, *(uint32_t *)arg, &rec);

	rec.flags |= VIEW_DROPPED;
	return r < 0 ? r : view_row_put(txn, &rec);
}

/* What views_drop() has begun must not be filled again: its rows would outlive
 * it, and its blobs with them. */
static void a_dropped_view_takes_no_batch(void **state)
{
	struct node_rec rec = empty_node();
	struct batch b = { 0 };
	struct place p;

	(void)state;
	enter_store(&p);
	OK(index_update(store_index(p.st), mark_dropped, &p.view));
	OK(batch_put_node(&b, 5, &rec));
	assert_int_equal(commit(&p, &b), -ENOENT);
	batch_release(&b);
	leave(&p);
}

static void staging_goes_after_the_commit(void **state)
{
	struct node_rec bad;
	struct batch b = { 0 };
	struct digest none = { { 9 } };
	struct place p;
	uint64_t id;
	int fd;

	(void)state;
	enter_store(&p);
	id = stage(&p, "x");
	bad = blob_node(&none, 1);
	OK(batch_drop_staging(&b, id));
	OK(batch_put_node(&b, 5, &bad));
	assert_int_equal(commit(&p, &b), -ENOENT);
	OK(staging_open(p.st, p.view, id, O_RDONLY, &fd));
	OK(close(fd));
	OK(batch_put_inline(&b, &none, "?", 1));
	OK(commit(&p, &b)); /* the same batch, tried again */
	assert_int_equal(staging_open(p.st, p.view, id, O_RDONLY, &fd),
			 -ENOENT);
	batch_release(&b);
	leave(&p);
}

static void a_swept_blob_is_linked_again(void **state)
{
	struct batch b = { 0 };
	struct digest d;
	char path[256];
	struct place p;
	uint64_t id;

	(void)state;
	enter_store(&p);
	id = stage_blob(&p, "blob", &d);
	OK(batch_put_blob(&b, &d, 4, id));
	blob_path(&p, &d, path, sizeof(path));
	OK(unlink(path));
	OK(commit(&p, &b));
	OK(blob_exists(p.st, &d, 4));
	/* Neither there nor in staging. */
	OK(unlink(path));
	OK(staging_unlink(p.st, p.view, id));
	assert_int_equal(commit(&p, &b), -ENOENT);
	batch_release(&b);
	leave(&p);
}

static int spoil_row(struct txn *txn, void *arg)
{
	return txn_put(txn, TABLE_BLOBS, span_of(arg, DIGEST_LEN),
		       span_of_str("no blob row"));
}

/* A damaged count must not bring a blob to zero that others refer to. */
static void a_damaged_count_frees_nothing(void **state)
{
	struct digest d = digest_of_str("shared");
	uint64_t freed, a, b;
	struct place p;

	(void)state;
	enter_store(&p);
	a = add_file(&p, "a", "shared");
	b = add_file(&p, "b", "shared");
	OK(index_update(store_index(p.st), spoil_row, &d));
	del_file(&p, "a", a);
	OK(blob_sweep(p.st, 0, 100, &freed));
	OK(blob_exists(p.st, &d, 6));
	a = add_file(&p, "a", "shared"); /* writes the row anew */
	del_file(&p, "a", a);
	del_file(&p, "b", b);
	OK(blob_sweep(p.st, 0, 100, &freed));
	OK(blob_exists(p.st, &d, 6));
	leave(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_batches),
		cmocka_unit_test(the_view_row_advances),
		cmocka_unit_test(a_dropped_view_takes_no_batch),
		cmocka_unit_test(staging_goes_after_the_commit),
		cmocka_unit_test(a_swept_blob_is_linked_again),
		cmocka_unit_test(a_damaged_count_frees_nothing),
	};

	return RUN_TAP(tests);
}
