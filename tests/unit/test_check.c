/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store/check*.c: each kind of damage to files is found; a repair leads to a
 * clean second run and a store that works. (Damage to rows: test_check_rows.c.)
 */
#include "config.h"

#include "tests/unit/fixture.h"

#include "store/lease.h"
#include "tests/unit/check_world.h"

/* No damage, but told; a repair frees it. */
static void expect_left_over(struct fsck *f)
{
	run(f, 0);
	assert_int_equal(f->rep.damaged, 0);
	assert_int_equal(f->rep.left_over, 1);
	assert_string_equal(f->text, "");
	run(f, CHECK_REPAIR);
	assert_int_equal(f->rep.damaged, 0);
	run(f, 0);
	assert_int_equal(f->rep.left_over, 0);
}

static void a_clean_store(void **state)
{
	struct world w;

	(void)state;
	enter_world(&w);
	expect_clean(&w.f);
	assert_int_equal(w.f.rep.views, 1);
	assert_int_equal(w.f.rep.nodes, 8);
	assert_int_equal(w.f.rep.names, 7);
	assert_int_equal(w.f.rep.blobs, 3);
	assert_true(w.f.rep.bytes_read == 15 + 16 + 11);
	run(&w.f, 0);
	assert_int_equal(w.f.rep.damaged, 0);
	run(&w.f, CHECK_REPAIR);
	assert_int_equal(w.f.rep.damaged, 0);
	expect_clean(&w.f);
	leave(&w.f.p);
}

/* --- blob files ----------------------------------------------------------- */

static void path_of(struct world *w, const char *bytes, char path[256])
{
	struct digest d = digest_of_str(bytes);

	blob_path(&w->f.p, &d, path, 256);
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
		run(&w.f, 0); /* sizes are right */
		assert_int_equal(w.f.rep.damaged, 0);
		expect(&w.f, CHECK_READ_DATA, "contents are not its name's");
		assert_false(file_is_there(&w, w.file));
		assert_true(file_is_there(&w, w.inlined));
		leave(&w.f.p);
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
			expect(&w.f, CHECK_READ_DATA, "not its name's");
		else
			expect(&w.f, 0, "is missing");
		assert_false(file_is_there(&w, w.file));
		leave(&w.f.p);
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
	expect(&w.f, 0, "is missing");
	assert_false(file_is_there(&w, w.file));
	leave(&w.f.p);
}

static void a_missing_dead_file(void **state)
{
	struct world w;
	char path[256];

	(void)state;
	enter_world(&w);
	path_of(&w, "a dead blob", path);
	OK(unlink(path));
	expect(&w.f, 0, "a row without bytes");
	leave(&w.f.p);
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
	(void)snprintf(c, sizeof(c), "%s/c", w.f.p.dir);
	OK(rename(a, c));
	OK(rename(b, a));
	OK(rename(c, b));
	expect(&w.f, CHECK_READ_DATA, "contents are not its name's");
	assert_true(file_is_there(&w, w.file));
	assert_int_equal(w.f.rep.nodes, 8);
	leave(&w.f.p);
}

static void a_file_without_a_row(void **state)
{
	struct world w;
	struct digest d;

	(void)state;
	enter_world(&w);
	OK(staging_unlink(w.f.p.st, w.f.p.view,
			  stage_blob(&w.f.p, "stray", &d)));
	expect_left_over(&w.f);
	assert_int_equal(blob_exists(w.f.p.st, &d, 5), -ENOENT);
	leave(&w.f.p);
}

/* --- staging files -------------------------------------------------------- */

static void staging_files(void **state)
{
	struct world w;

	(void)state;
	enter_world(&w);
	(void)stage(&w.f.p, "left over");
	expect_left_over(&w.f);
	OK(staging_unlink(w.f.p.st, w.f.p.view, w.staged));
	expect(&w.f, 0, "its staging file is missing");
	assert_false(file_is_there(&w, w.staged));
	leave(&w.f.p);
}

/* The node of "staged", with these of enum node_flags. */
static void mark_staged(struct world *w, uint8_t flags)
{
	struct node_rec rec = empty_node();
	struct batch b = { 0 };

	rec.content = CONTENT_STAGING;
	rec.size = 12;
	rec.staging_id = w->staged;
	rec.flags = flags;
	OK(batch_put_node(&b, w->staged, &rec));
	OK(commit(&w->f.p, &b));
	batch_release(&b);
}

static void resize_staged(struct world *w, off_t len)
{
	int fd;

	OK(staging_open(w->f.p.st, w->f.p.view, w->staged, O_RDWR, &fd));
	OK(ftruncate(fd, len));
	OK(close(fd));
}

static void staging_files_of_another_size(void **state)
{
	static const off_t sizes[] = { 0, 1, 11, 13 };
	struct world w;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		enter_world(&w);
		resize_staged(&w, sizes[i]);
		expect(&w.f, 0, "its staging file has another size");
		assert_false(file_is_there(&w, w.staged));
		assert_true(file_is_there(&w, w.dir));
		leave(&w.f.p);
	}
}

/* The commit that named the file has said that its bytes are not to be trusted:
 * the next mount decides what becomes of it, and cargo builds it again. */
static void marked_staging_files_are_left_to_the_mount(void **state)
{
	static const uint8_t marks[] = { NODE_FLUX, NODE_UNSYNCED };
	struct world w;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
		enter_world(&w);
		mark_staged(&w, marks[i]);
		resize_staged(&w, 5);
		expect_clean(&w.f);
		run(&w.f, CHECK_REPAIR);
		assert_true(file_is_there(&w, w.staged));
		mark_staged(&w, 0);
		expect(&w.f, 0, "its staging file has another size");
		leave(&w.f.p);
	}
}

/* --- leases --------------------------------------------------------------- */

/* Each mount makes its own. */
static void missing_lease_files(void **state)
{
	struct lease *lease;
	char path[256];
	struct world w;
	bool held;

	(void)state;
	enter_world(&w);
	OK(lease_take(w.f.p.st, w.f.p.view, "/mnt", &lease, NULL));
	lease = lease_free(lease);
	OK(lease_peek(w.f.p.st, w.f.p.view, &held, NULL));
	OK(unlinkat(store_lease_fd(w.f.p.st), "00000001", 0));
	assert_int_equal(lease_peek(w.f.p.st, w.f.p.view, &held, NULL),
			 -ENOENT);
	expect_clean(&w.f);
	path_of(&w, "bytes of a file", path);
	OK(unlink(path));
	expect(&w.f, 0, "is missing");
	OK(lease_take(w.f.p.st, w.f.p.view, "/mnt", &lease, NULL));
	lease = lease_free(lease);
	expect_clean(&w.f);
	leave(&w.f.p);
}

static void a_mounted_view_is_left_alone(void **state)
{
	struct lease *lease;
	char path[256];
	struct world w;
	struct key key;

	(void)state;
	enter_world(&w);
	OK(lease_take(w.f.p.st, w.f.p.view, "/mnt", &lease, NULL));
	path_of(&w, "bytes of a file", path);
	OK(unlink(path));
	node_key(&key, w.f.p.view, w.dir);
	edit(&w.f, TABLE_NODES, span_of_key(&key), junk());
	OK(staging_unlink(w.f.p.st, w.f.p.view, w.staged));
	run(&w.f, CHECK_REPAIR);
	assert_true(w.f.rep.damaged >= 3);
	assert_int_equal(w.f.rep.skipped, w.f.rep.damaged);
	assert_int_equal(w.f.rep.repaired, 0);
	assert_true(file_is_there(&w, w.file));
	lease = lease_free(lease);
	run(&w.f, CHECK_REPAIR);
	assert_int_equal(w.f.rep.skipped, 0);
	expect_clean(&w.f);
	leave(&w.f.p);
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
		cmocka_unit_test(staging_files_of_another_size),
		cmocka_unit_test(marked_staging_files_are_left_to_the_mount),
		cmocka_unit_test(missing_lease_files),
		cmocka_unit_test(a_mounted_view_is_left_alone),
	};

	return RUN_TAP(tests);
}
