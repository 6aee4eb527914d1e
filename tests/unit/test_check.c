/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store/check*.c: each kind of damage is found; a repair leads to a clean
 * second run and a store that works.
 */
#include "config.h"

#include "tests/unit/fixture.h"

#include "store/check.h"
#include "store/index.h"
#include "store/keys.h"
#include "store/lease.h"
#include "store/refs.h"
#include "store/view_row.h"

struct problems {
	char text[8192];
};

static void note_problem(const char *problem, void *arg)
{
	struct problems *p = arg;
	size_t len = strlen(p->text);

	(void)snprintf(p->text + len, sizeof(p->text) - len, "%s\n", problem);
}

/* A store with a bit of everything. */
struct world {
	struct place p;
	struct problems problems;
	struct check_report rep;
	uint64_t dir, file, inlined, staged;
};

static uint64_t put_child(struct place *p, uint64_t parent, const char *name,
			  struct node_rec rec)
{
	struct batch b = { 0 };
	uint64_t ino = p->next++;

	OK(batch_put_node(&b, ino, &rec));
	OK(batch_put_name(&b, parent, name, strlen(name), ino));
	OK(commit(p, &b));
	batch_release(&b);
	return ino;
}

static void enter_world(struct world *w)
{
	struct node_rec rec = dir_node(), root = dir_node();
	struct place *p = &w->p;
	struct batch b = { 0 };
	uint64_t id;

	memset(w, 0, sizeof(*w));
	enter_store(p);
	w->file = add_file(p, "file", "bytes of a file");
	(void)add_file(p, "twin", "bytes of a file");
	(void)add_file(p, "other", "bytes of another");
	w->inlined = add_inline(p, "inline", "bytes inline");
	w->dir = put_child(p, VIEW_ROOT_INO, "dir", rec);
	root.nlink = 3;
	OK(batch_put_node(&b, VIEW_ROOT_INO, &root));
	id = stage(p, "staged bytes");
	rec = empty_node();
	rec.content = CONTENT_STAGING;
	rec.size = 12;
	rec.staging_id = id;
	w->staged = id;
	OK(batch_put_node(&b, id, &rec));
	OK(batch_put_name(&b, w->dir, "staged", 6, id));
	OK(commit(p, &b));
	batch_release(&b);
	del_file(p, "gone", add_file(p, "gone", "a dead blob"));
	rec = empty_node();
	rec.mode = S_IFLNK | 0777;
	rec.content = CONTENT_SYMLINK;
	rec.target = (struct span_str){ "dir/staged", 10 };
	rec.size = 10;
	(void)put_child(p, w->dir, "link", rec);
}

static void run(struct world *w, unsigned flags)
{
	w->problems.text[0] = '\0';
	OK(store_check(w->p.st, flags, note_problem, &w->problems, &w->rep));
}

static void expect_clean(struct world *w)
{
	run(w, CHECK_READ_DATA);
	if (w->rep.damaged)
		fail_msg("not clean: %s", w->problems.text);
}

/* The damage is found by a check, mended by a repair, and gone. */
static void expect(struct world *w, unsigned flags, const char *what)
{
	uint64_t found;

	run(w, flags);
	found = w->rep.damaged;
	if (!strstr(w->problems.text, what))
		fail_msg("'%s' is not among: %s", what, w->problems.text);
	assert_int_equal(w->rep.repaired, 0);
	run(w, flags | CHECK_REPAIR);
	assert_true(w->rep.damaged >= found);
	assert_int_equal(w->rep.repaired, w->rep.damaged);
	expect_clean(w);
}

/* No damage, but told; a repair frees it. */
static void expect_left_over(struct world *w)
{
	run(w, 0);
	assert_int_equal(w->rep.damaged, 0);
	assert_int_equal(w->rep.left_over, 1);
	assert_string_equal(w->problems.text, "");
	run(w, CHECK_REPAIR);
	assert_int_equal(w->rep.damaged, 0);
	run(w, 0);
	assert_int_equal(w->rep.left_over, 0);
}

static void a_clean_store(void **state)
{
	struct world w;

	(void)state;
	enter_world(&w);
	expect_clean(&w);
	assert_int_equal(w.rep.views, 1);
	assert_int_equal(w.rep.nodes, 8);
	assert_int_equal(w.rep.names, 7);
	assert_int_equal(w.rep.blobs, 3);
	assert_true(w.rep.bytes_read == 15 + 16 + 11);
	run(&w, 0);
	assert_int_equal(w.rep.damaged, 0);
	run(&w, CHECK_REPAIR);
	assert_int_equal(w.rep.damaged, 0);
	expect_clean(&w);
	leave(&w.p);
}

/* --- blob files ----------------------------------------------------------- */

static bool file_is_there(struct world *w, uint64_t ino);

static void path_of(struct world *w, const char *bytes, char path[256])
{
	struct digest d = digest_of_str(bytes);

	blob_path(&w->p, &d, path, 256);
}

static void overwrite(const char *path, off_t at, const char *bytes)
{
	int fd;

	OK(chmod(path, 0600));
	fd = open(path, O_WRONLY);
	OK(pwrite_full(fd, bytes, strlen(bytes), at));
	OK(close(fd));
}

static void every_flipped_byte(void **state)
{
	struct world w;
	char path[256];

	(void)state;
	for (off_t at = 0; at < 15; at++) {
		enter_world(&w);
		path_of(&w, "bytes of a file", path);
		overwrite(path, at, "!");
		run(&w, 0); /* sizes are right */
		assert_int_equal(w.rep.damaged, 0);
		expect(&w, CHECK_READ_DATA, "contents are not its name's");
		assert_false(file_is_there(&w, w.file));
		assert_true(file_is_there(&w, w.inlined));
		leave(&w.p);
	}
}

static void every_truncation(void **state)
{
	struct world w;
	char path[256];

	(void)state;
	for (off_t len = 0; len < 15; len++) {
		enter_world(&w);
		path_of(&w, "bytes of a file", path);
		OK(chmod(path, 0600));
		OK(truncate(path, len));
		if (len % 2)
			expect(&w, CHECK_READ_DATA, "not its name's");
		else
			expect(&w, 0, "is missing");
		assert_false(file_is_there(&w, w.file));
		leave(&w.p);
	}
}

static void a_missing_file(void **state)
{
	struct world w;
	char path[256];

	(void)state;
	enter_world(&w);
	path_of(&w, "bytes of a file", path);
	OK(unlink(path));
	expect(&w, 0, "is missing");
	assert_false(file_is_there(&w, w.file));
	leave(&w.p);
}

static void a_missing_dead_file(void **state)
{
	struct world w;
	char path[256];

	(void)state;
	enter_world(&w);
	path_of(&w, "a dead blob", path);
	OK(unlink(path));
	expect(&w, 0, "a row without bytes");
	leave(&w.p);
}

/* Nothing is lost: each file finds its name. */
static void swapped_files(void **state)
{
	char a[256], b[256], c[256];
	struct world w;

	(void)state;
	enter_world(&w);
	path_of(&w, "bytes of a file", a);
	path_of(&w, "bytes of another", b);
	(void)snprintf(c, sizeof(c), "%s/c", w.p.dir);
	OK(rename(a, c));
	OK(rename(b, a));
	OK(rename(c, b));
	expect(&w, CHECK_READ_DATA, "contents are not its name's");
	assert_true(file_is_there(&w, w.file));
	assert_int_equal(w.rep.nodes, 8);
	leave(&w.p);
}

static void a_file_without_a_row(void **state)
{
	struct world w;
	struct digest d;

	(void)state;
	enter_world(&w);
	OK(staging_unlink(w.p.st, w.p.view, stage_blob(&w.p, "stray", &d)));
	expect_left_over(&w);
	assert_int_equal(blob_exists(w.p.st, &d, 5), -ENOENT);
	leave(&w.p);
}

static void staging_files(void **state)
{
	struct world w;

	(void)state;
	enter_world(&w);
	(void)stage(&w.p, "left over");
	expect_left_over(&w);
	OK(staging_unlink(w.p.st, w.p.view, w.staged));
	expect(&w, 0, "its staging file is missing");
	assert_false(file_is_there(&w, w.staged));
	leave(&w.p);
}

/* --- rows ----------------------------------------------------------------- */

struct edit {
	enum table t;
	struct span key, value;
};

static int do_edit(struct txn *txn, void *arg)
{
	const struct edit *e = arg;

	return e->value.p ? txn_put(txn, e->t, e->key, e->value)
			  : txn_del(txn, e->t, e->key);
}

static void edit(struct world *w, enum table t, struct span key,
		 struct span value)
{
	struct edit e = { t, key, value };

	OK(index_update(store_index(w->p.st), do_edit, &e));
}

static int do_get_node(struct txn *txn, void *arg)
{
	struct span value;

	return txn_get(txn, TABLE_NODES, span_of_key(arg), &value);
}

static bool file_is_there(struct world *w, uint64_t ino)
{
	struct key key;

	node_key(&key, w->p.view, ino);
	return index_view(store_index(w->p.st), do_get_node, &key) == 0;
}

static const struct span none;

static struct span junk(void)
{
	return span_of_str("not a record");
}

static void a_damaged_node(void **state)
{
	struct world w;
	struct key key;

	(void)state;
	enter_world(&w);
	node_key(&key, w.p.view, w.file);
	edit(&w, TABLE_NODES, span_of_key(&key), junk());
	expect(&w, 0, "damaged row");
	assert_false(file_is_there(&w, w.file));
	leave(&w.p);
}

static void a_damaged_directory_takes_its_tree(void **state)
{
	struct world w;
	struct key key;

	(void)state;
	enter_world(&w);
	node_key(&key, w.p.view, w.dir);
	edit(&w, TABLE_NODES, span_of_key(&key), junk());
	expect(&w, 0, "is in no directory");
	assert_false(file_is_there(&w, w.staged));
	assert_true(file_is_there(&w, w.file));
	leave(&w.p);
}

static void a_lost_root_is_made_anew(void **state)
{
	struct world w;
	struct key key;

	(void)state;
	for (int i = 0; i < 2; i++) {
		enter_world(&w);
		node_key(&key, w.p.view, VIEW_ROOT_INO);
		edit(&w, TABLE_NODES, span_of_key(&key), i ? junk() : none);
		expect(&w, 0, "no root directory");
		assert_int_equal(w.rep.nodes, 8);
		leave(&w.p);
	}
}

static void damaged_names(void **state)
{
	struct world w;
	struct key key;

	(void)state;
	enter_world(&w);
	assert_true(name_key(&key, w.p.view, VIEW_ROOT_INO, "file", 4));
	edit(&w, TABLE_NAMES, span_of_key(&key), junk());
	expect(&w, 0, "damaged name");
	assert_false(file_is_there(&w, w.file));
	leave(&w.p);
}

static int do_put_name(struct txn *txn, void *arg)
{
	struct world *w = arg;

	return name_row_put(txn, w->p.view, w->dir, "again", 5, w->dir);
}

static int do_put_ghost(struct txn *txn, void *arg)
{
	struct world *w = arg;

	return name_row_put(txn, w->p.view, 999, "a\x1b", 2, w->file);
}

static void names_and_nodes_that_do_not_meet(void **state)
{
	struct world w;
	struct key key;

	(void)state;
	enter_world(&w);
	node_key(&key, w.p.view, w.file);
	edit(&w, TABLE_NODES, span_of_key(&key), none);
	expect(&w, 0, "has no node");
	assert_true(name_key(&key, w.p.view, VIEW_ROOT_INO, "other", 5));
	edit(&w, TABLE_NAMES, span_of_key(&key), none);
	expect(&w, 0, "has no name");
	OK(index_update(store_index(w.p.st), do_put_name, &w));
	expect(&w, 0, "is a directory's second");
	OK(index_update(store_index(w.p.st), do_put_ghost, &w));
	expect(&w, 0, "name 'a?' in node 999 is in no directory");
	leave(&w.p);
}

/* dir -> staged's parent, with its only name inside itself. */
static void a_loop(void **state)
{
	struct world w;
	struct key key;

	(void)state;
	enter_world(&w);
	assert_true(name_key(&key, w.p.view, VIEW_ROOT_INO, "dir", 3));
	edit(&w, TABLE_NAMES, span_of_key(&key), none);
	OK(index_update(store_index(w.p.st), do_put_name, &w));
	expect(&w, 0, "cannot be reached");
	assert_false(file_is_there(&w, w.staged));
	leave(&w.p);
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
	node_key(&key, w.p.view, w.file);
	edit(&w, TABLE_NODES, span_of_key(&key), span_of(b.data, b.len));
	expect(&w, 0, "7 links counted, 1 found");
	buf_release(&b);
	leave(&w.p);
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
	node_key(&key, w.p.view, w.file);
	edit(&w, TABLE_NODES, span_of_key(&key), span_of(b.data, b.len));
	expect(&w, 0, "has another size");
	assert_false(file_is_there(&w, w.file));
	OK(blob_exists(w.p.st, &d, 15)); /* the twin's */
	buf_release(&b);
	leave(&w.p);
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
		OK(index_update(store_index(w.p.st), do_spoil_blob, &i));
		if (i == 5) {
			run(&w, 0);
			assert_int_equal(w.rep.damaged, 1);
			run(&w, CHECK_REPAIR);
			expect_clean(&w);
		} else {
			expect(&w, 0, told[i]);
		}
		assert_true(file_is_there(&w, w.file));
		leave(&w.p);
	}
}

static void inline_contents(void **state)
{
	struct digest d = digest_of_str("bytes inline");
	struct world w;

	(void)state;
	for (int i = 0; i < 2; i++) {
		enter_world(&w);
		edit(&w, TABLE_DATA, span_of_digest(&d),
		     i ? span_of_str("bytes InLine") : none);
		expect(&w, 0, "is missing");
		assert_false(file_is_there(&w, w.inlined));
		leave(&w.p);
	}
	enter_world(&w);
	d.b[0] ^= 1;
	edit(&w, TABLE_DATA, span_of_digest(&d), junk());
	expect(&w, 0, "left over in the index");
	edit(&w, TABLE_DEAD, span_of_digest(&d), junk());
	expect(&w, 0, "left over in the index");
	leave(&w.p);
}

static void dead_rows(void **state)
{
	struct digest d = digest_of_str("a dead blob");
	struct world w;

	(void)state;
	for (int i = 0; i < 2; i++) {
		enter_world(&w);
		edit(&w, TABLE_DEAD, span_of_digest(&d), i ? junk() : none);
		expect(&w, 0, "listed as alive");
		leave(&w.p);
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
		view_key(&key, w.p.view);
		edit(&w, TABLE_VIEWS, span_of_key(&key), i ? junk() : none);
		expect(&w, 0, i ? "damaged row" : "rows without a view");
		assert_false(file_is_there(&w, w.file));
		OK(views_obtain(w.p.st, 0, "/work/proj", 0, 0, 0755, &rec));
		assert_int_equal(rec.id, 2);
		expect_clean(&w);
		leave(&w.p);
	}
}

static void counters(void **state)
{
	struct view_state vs = { .next_ino = 3 };
	struct batch b = { 0 };
	struct world w;

	(void)state;
	enter_world(&w);
	OK(views_commit(w.p.st, w.p.view, &b, &vs));
	expect(&w, 0, "its next node's number is in use");
	edit(&w, TABLE_META, span_of_str("next-view"), span_of("\1\0\0\0", 4));
	expect(&w, 0, "the number of the next view");
	edit(&w, TABLE_META, span_of_str("next-view"), junk());
	expect(&w, 0, "the number of the next view");
	edit(&w, TABLE_NAMES, span_of("ab", 2), junk());
	expect(&w, 0, "a damaged key");
	leave(&w.p);
}

static void a_mounted_view_is_left_alone(void **state)
{
	struct lease *lease;
	char path[256];
	struct world w;
	struct key key;

	(void)state;
	enter_world(&w);
	OK(lease_take(w.p.st, w.p.view, "/mnt", &lease, NULL));
	path_of(&w, "bytes of a file", path);
	OK(unlink(path));
	node_key(&key, w.p.view, w.dir);
	edit(&w, TABLE_NODES, span_of_key(&key), junk());
	OK(staging_unlink(w.p.st, w.p.view, w.staged));
	run(&w, CHECK_REPAIR);
	assert_true(w.rep.damaged >= 3);
	assert_int_equal(w.rep.skipped, w.rep.damaged);
	assert_int_equal(w.rep.repaired, 0);
	assert_true(file_is_there(&w, w.file));
	lease = lease_free(lease);
	run(&w, CHECK_REPAIR);
	assert_int_equal(w.rep.skipped, 0);
	expect_clean(&w);
	leave(&w.p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_clean_store),
		cmocka_unit_test(every_flipped_byte),
		cmocka_unit_test(every_truncation),
		cmocka_unit_test(a_missing_file),
		cmocka_unit_test(a_missing_dead_file),
		cmocka_unit_test(swapped_files),
		cmocka_unit_test(a_file_without_a_row),
		cmocka_unit_test(staging_files),
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
		cmocka_unit_test(a_mounted_view_is_left_alone),
	};

	return RUN_TAP(tests);
}
