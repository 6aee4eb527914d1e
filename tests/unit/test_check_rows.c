/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store/check*.c: each kind of damage to rows of the index is found; a repair
 * leads to a clean second run and a store that works.
 */
#include "config.h"

#include "tests/unit/fixture.h"

#include "store/index_page.h"
#include "store/refs.h"
#include "store/view_row.h"
#include "tests/unit/check_world.h"

static void a_damaged_node(void **state)
{
	struct world w;
	struct key key;

	(void)state;
	enter_world(&w);
	node_key(&key, w.f.p.view, w.file);
	edit(&w.f, TABLE_NODES, span_of_key(&key), junk());
	expect(&w.f, 0, "damaged row");
	assert_false(file_is_there(&w, w.file));
	leave(&w.f.p);
}

static void a_damaged_directory_takes_its_tree(void **state)
{
	struct world w;
	struct key key;

	(void)state;
	enter_world(&w);
	node_key(&key, w.f.p.view, w.dir);
	edit(&w.f, TABLE_NODES, span_of_key(&key), junk());
	expect(&w.f, 0, "is in no directory");
	assert_false(file_is_there(&w, w.staged));
	assert_true(file_is_there(&w, w.file));
	leave(&w.f.p);
}

static void a_lost_root_is_made_anew(void **state)
{
	struct world w;
	struct key key;

	(void)state;
	for (int i = 0; i < 2; i++) {
		enter_world(&w);
		node_key(&key, w.f.p.view, VIEW_ROOT_INO);
		edit(&w.f, TABLE_NODES, span_of_key(&key), i ? junk() : none);
		expect(&w.f, 0, "no root directory");
		assert_int_equal(w.f.rep.nodes, 8);
		leave(&w.f.p);
	}
}

static void damaged_names(void **state)
{
	struct world w;
	struct key key;

	(void)state;
	enter_world(&w);
	assert_true(name_key(&key, w.f.p.view, VIEW_ROOT_INO, "file", 4));
	edit(&w.f, TABLE_NAMES, span_of_key(&key), junk());
	expect(&w.f, 0, "damaged name");
	assert_false(file_is_there(&w, w.file));
	leave(&w.f.p);
}

static int do_put_name(struct txn *txn, void *arg)
{
	struct world *w = arg;

	return name_row_put(txn, w->f.p.view, w->dir, "again", 5, w->dir);
}

static int do_put_ghost(struct txn *txn, void *arg)
{
	struct world *w = arg;

	return name_row_put(txn, w->f.p.view, 999, "a\x1b", 2, w->file);
}

static void names_and_nodes_that_do_not_meet(void **state)
{
	struct world w;
	struct key key;

	(void)state;
	enter_world(&w);
	node_key(&key, w.f.p.view, w.file);
	edit(&w.f, TABLE_NODES, span_of_key(&key), none);
	expect(&w.f, 0, "has no node");
	assert_true(name_key(&key, w.f.p.view, VIEW_ROOT_INO, "other", 5));
	edit(&w.f, TABLE_NAMES, span_of_key(&key), none);
	expect(&w.f, 0, "has no name");
	OK(index_update(store_index(w.f.p.st), do_put_name, &w));
	expect(&w.f, 0, "is a directory's second");
	OK(index_update(store_index(w.f.p.st), do_put_ghost, &w));
	expect(&w.f, 0, "name 'a?' in node 999 is in no directory");
	leave(&w.f.p);
}

/* dir -> staged's parent, with its only name inside itself. */
static void a_loop(void **state)
{
	struct world w;
	struct key key;

	(void)state;
	enter_world(&w);
	assert_true(name_key(&key, w.f.p.view, VIEW_ROOT_INO, "dir", 3));
	edit(&w.f, TABLE_NAMES, span_of_key(&key), none);
	OK(index_update(store_index(w.f.p.st), do_put_name, &w));
	expect(&w.f, 0, "cannot be reached");
	assert_false(file_is_there(&w, w.staged));
	leave(&w.f.p);
}

static void a_wrong_link_count(void **state)
{
	struct digest d = digest_of_str("bytes of a file");
	struct node_rec rec = blob_node(&d, 15);
	struct buf b = { 0 };
	struct world w;
	struct key key;

	(void)state;
	enter_world(&w);
	rec.nlink = 7;
	OK(node_rec_encode(&rec, &b));
	node_key(&key, w.f.p.view, w.file);
	edit(&w.f, TABLE_NODES, span_of_key(&key), span_of(b.data, b.len));
	expect(&w.f, 0, "7 links counted, 1 found");
	buf_release(&b);
	leave(&w.f.p);
}

static void a_node_of_another_size(void **state)
{
	struct digest d = digest_of_str("bytes of a file");
	struct node_rec rec = blob_node(&d, 99);
	struct buf b = { 0 };
	struct world w;
	struct key key;

	(void)state;
	enter_world(&w);
	OK(node_rec_encode(&rec, &b));
	node_key(&key, w.f.p.view, w.file);
	edit(&w.f, TABLE_NODES, span_of_key(&key), span_of(b.data, b.len));
	expect(&w.f, 0, "has another size");
	assert_false(file_is_there(&w, w.file));
	OK(blob_exists(w.f.p.st, &d, 15)); /* the twin's */
	buf_release(&b);
	leave(&w.f.p);
}

static int do_spoil_blob(struct txn *txn, void *arg)
{
	struct digest d = digest_of_str("bytes of a file");
	struct blob_rec rec;
	int r;

	r = blob_row_get(txn, &d, &rec);
	if (r < 0)
		return r;
	switch (*(int *)arg) {
	case 0:
		rec.refs = 1;
		break;
	case 1:
		rec.refs = 0;
		break;
	case 2:
		rec.size = 14;
		break;
	case 3:
		return txn_del(txn, TABLE_BLOBS, span_of_digest(&d));
	case 4:
		return txn_put(txn, TABLE_BLOBS, span_of_digest(&d), junk());
	case 5:
		return dead_put(txn, &d, 1);
	case 6:
		rec.tier = BLOB_INLINE;
		rec.size++;
		break;
	default:
		break;
	}
	return blob_row_put(txn, &d, &rec);
}

static void rows_of_blobs(void **state)
{
	static const char *const told[] = {
		"1 references counted, 2 found",
		"listed as alive",
		"wrong size",
		"no row",
		"damaged row",
		"listed as dead", /* it is, and should not be */
		"wrong size",
	};
	struct world w;

	(void)state;
	for (int i = 0; i < (int)ARRAY_LEN(told); i++) {
		enter_world(&w);
		OK(index_update(store_index(w.f.p.st), do_spoil_blob, &i));
		if (i == 5) {
			run(&w.f, 0);
			assert_int_equal(w.f.rep.damaged, 1);
			run(&w.f, CHECK_REPAIR);
			expect_clean(&w.f);
		} else {
			expect(&w.f, 0, told[i]);
		}
		assert_true(file_is_there(&w, w.file));
		leave(&w.f.p);
	}
}

static void inline_contents(void **state)
{
	struct digest d = digest_of_str("bytes inline");
	struct world w;

	(void)state;
	for (int i = 0; i < 2; i++) {
		enter_world(&w);
		edit(&w.f, TABLE_DATA, span_of_digest(&d),
		     i ? span_of_str("bytes InLine") : none);
		expect(&w.f, 0, "is missing");
		assert_false(file_is_there(&w, w.inlined));
		leave(&w.f.p);
	}
	enter_world(&w);
	d.b[0] ^= 1;
	edit(&w.f, TABLE_DATA, span_of_digest(&d), junk());
	expect(&w.f, 0, "left over in the index");
	edit(&w.f, TABLE_DEAD, span_of_digest(&d), junk());
	expect(&w.f, 0, "left over in the index");
	leave(&w.f.p);
}

static void dead_rows(void **state)
{
	struct digest d = digest_of_str("a dead blob");
	struct world w;

	(void)state;
	for (int i = 0; i < 2; i++) {
		enter_world(&w);
		edit(&w.f, TABLE_DEAD, span_of_digest(&d), i ? junk() : none);
		expect(&w.f, 0, "listed as alive");
		leave(&w.f.p);
	}
}

static void a_damaged_view(void **state)
{
	struct view_rec rec;
	struct world w;
	struct key key;

	(void)state;
	for (int i = 0; i < 2; i++) {
		enter_world(&w);
		view_key(&key, w.f.p.view);
		edit(&w.f, TABLE_VIEWS, span_of_key(&key), i ? junk() : none);
		expect(&w.f, 0, i ? "damaged row" : "rows without a view");
		assert_false(file_is_there(&w, w.file));
		OK(views_obtain(w.f.p.st, 0, "/work/proj", 0, 0, 0755, &rec));
		assert_int_equal(rec.id, 2);
		expect_clean(&w.f);
		leave(&w.f.p);
	}
}

static void counters(void **state)
{
	struct view_state vs = { .next_ino = 3 };
	struct batch b = { 0 };
	struct world w;

	(void)state;
	enter_world(&w);
	OK(views_commit(w.f.p.st, w.f.p.view, &b, &vs));
	expect(&w.f, 0, "its next node's number is in use");
	edit(&w.f, TABLE_META, span_of_str("next-view"),
	     span_of("\1\0\0\0", 4));
	expect(&w.f, 0, "the number of the next view");
	edit(&w.f, TABLE_META, span_of_str("next-view"), junk());
	expect(&w.f, 0, "the number of the next view");
	edit(&w.f, TABLE_NAMES, span_of("ab", 2), junk());
	expect(&w.f, 0, "a damaged key");
	leave(&w.f.p);
}

/* --- values behind their checksums ---------------------------------------- */

/* As LMDB stores it: the checksum, and the value. */
struct stored {
	enum table t;
	struct key key;
	struct buf bytes;
};

static int do_get_stored(struct txn *txn, void *arg)
{
	struct stored *s = arg;
	struct span value, key = span_of_key(&s->key);
	int r;

	r = txn_get(txn, s->t, key, &value);
	if (r < 0)
		return r;
	buf_u64(&s->bytes, value_sum(s->t, key, value));
	buf_put(&s->bytes, value.p, value.len);
	return s->bytes.err;
}

static void replace_all(uint8_t *data, size_t len, const struct stored *a,
			const struct stored *b, uint8_t *out, unsigned *places)
{
	const uint8_t *at = data;

	while ((at = memmem(at, len - (size_t)(at - data), a->bytes.data,
			    a->bytes.len))) {
		memcpy(out + (at - data), b->bytes.data, b->bytes.len);
		at += a->bytes.len;
		(*places)++;
	}
}

static void do_swap(uint8_t *data, size_t len, void *arg)
{
	const struct stored *s = arg;
	uint8_t *out = malloc(len);
	unsigned places[2] = { 0 };

	assert_non_null(out);
	memcpy(out, data, len);
	replace_all(data, len, &s[0], &s[1], out, &places[0]);
	replace_all(data, len, &s[1], &s[0], out, &places[1]);
	assert_true(places[0] > 0 && places[1] > 0);
	memcpy(data, out, len);
	free(out);
}

static void blob_key(struct key *k, const char *bytes)
{
	struct digest d = digest_of_str(bytes);

	memcpy(k->b, d.b, sizeof(d.b));
	k->len = sizeof(d.b);
}

static void swap_stored(struct world *w, struct stored s[2])
{
	for (int i = 0; i < 2; i++)
		OK(index_view(store_index(w->f.p.st), do_get_stored, &s[i]));
	assert_int_equal(s[0].bytes.len, s[1].bytes.len);
	behind_its_back(&w->f, do_swap, s);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(index_view(store_index(w->f.p.st),
					    do_get_stored, &s[i]),
				 -EBADMSG);
		buf_release(&s[i].bytes);
	}
}

/* Each is a whole value with a checksum that was right, but of another key. */
static void swapped_values(void **state)
{
	static const char *const told[] = { "damaged row", "damaged name",
					    "damaged row" };
	struct world w;

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct stored s[2] = { 0 };

		enter_world(&w);
		switch (i) {
		case 0:
			s[0].t = s[1].t = TABLE_NODES;
			node_key(&s[0].key, w.f.p.view, w.file);
			node_key(&s[1].key, w.f.p.view, w.other);
			break;
		case 1:
			s[0].t = s[1].t = TABLE_NAMES;
			assert_true(name_key(&s[0].key, w.f.p.view,
					     VIEW_ROOT_INO, "file", 4));
			assert_true(name_key(&s[1].key, w.f.p.view,
					     VIEW_ROOT_INO, "other", 5));
			break;
		default:
			s[0].t = s[1].t = TABLE_BLOBS;
			blob_key(&s[0].key, "bytes of a file");
			blob_key(&s[1].key, "bytes of another");
		}
		swap_stored(&w, s);
		expect(&w.f, 0, told[i]);
		/* Rows of blobs are made anew from the files. */
		assert_int_equal(file_is_there(&w, w.file), i == 2);
		assert_int_equal(file_is_there(&w, w.other), i == 2);
		assert_true(file_is_there(&w, w.inlined));
		leave(&w.f.p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_damaged_node),
		cmocka_unit_test(a_damaged_directory_takes_its_tree),
		cmocka_unit_test(a_lost_root_is_made_anew),
		cmocka_unit_test(damaged_names),
		cmocka_unit_test(names_and_nodes_that_do_not_meet),
		cmocka_unit_test(a_loop),
		cmocka_unit_test(a_wrong_link_count),
		cmocka_unit_test(a_node_of_another_size),
		cmocka_unit_test(rows_of_blobs),
		cmocka_unit_test(inline_contents),
		cmocka_unit_test(dead_rows),
		cmocka_unit_test(a_damaged_view),
		cmocka_unit_test(counters),
		cmocka_unit_test(swapped_values),
	};

	return RUN_TAP(tests);
}
