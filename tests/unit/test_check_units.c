/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store/check_units.c: damage to units and their lists is found; after a
 * repair the store is clean, what could be kept is there, and no blob is
 * referred to that is not.
 */
#include "config.h"

#include "tests/unit/fixture.h"

#include "store/lease.h"
#include "store/refs.h"
#include "store/unit_row.h"
#include "tests/unit/checks.h"
#include "tests/unit/units.h"

/* A store with a view of "one" and "two", a unit of these, and one of the same
 * list that is not to be touched. */
struct world {
	struct fsck f;
	struct made m, other;
	uint64_t one, two;
};

static void enter_world(struct world *w)
{
	memset(w, 0, sizeof(*w));
	enter_store(&w->f.p);
	w->one = add_inline(&w->f.p, "one", "one");
	w->two = add_file(&w->f.p, "two", "two");
	(void)add_file(&w->f.p, "other", "other");
	make_unit(&w->m, HASH, "one", "two");
	OK(unit_publish(w->f.p.st, &w->m.key, &w->m.obj));
	make_unit(&w->other, HASH, "other", "other");
	w->other.inputs[1].value = digest_of_str("another value");
	set_key(&w->other);
	OK(unit_publish(w->f.p.st, &w->other.key, &w->other.obj));
}

/* The whole store is clean, and has so many units and lists. */
static void expect_units(struct world *w, unsigned units, unsigned lists)
{
	unsigned count = 0;

	expect_clean(&w->f);
	assert_int_equal(w->f.rep.units, units);
	OK(unit_foreach(w->f.p.st, 0, count_unit, &count));
	assert_int_equal(count, units);
	count = 0;
	OK(unit_lists(w->f.p.st, HASH, &w->m.key.scope, count_list, &count));
	assert_int_equal(count, lists);
}

static void edit_unit(struct world *w, enum table t, enum unit_key_len len,
		      struct span value)
{
	struct key k;

	unit_key_put(&k, &w->m.key, len);
	edit(&w->f, t, span_of_key(&k), value);
}

static void a_clean_store(void **state)
{
	struct world w;

	(void)state;
	enter_world(&w);
	expect_units(&w, 2, 1);
	run(&w.f, CHECK_REPAIR);
	assert_int_equal(w.f.rep.damaged, 0);
	expect_units(&w, 2, 1);
	leave(&w.f.p);
}

/* --- blobs ---------------------------------------------------------------- */

static void overwrite(struct world *w, const char *bytes, const char *with)
{
	struct digest d = digest_of_str(bytes);
	char path[256];
	int fd;

	blob_path(&w->f.p, &d, path, sizeof(path));
	OK(chmod(path, 0600));
	fd = open(path, O_WRONLY | O_TRUNC);
	OK(write_full(fd, with, strlen(with)));
	OK(close(fd));
}

/* Its object goes, and what else it names loses the reference. */
static void a_missing_blob(void **state)
{
	struct digest d = digest_of_str("two");
	struct world w;
	char path[256];

	(void)state;
	enter_world(&w);
	refs_are(&w.f.p, "one", 2, 1);
	blob_path(&w.f.p, &d, path, sizeof(path));
	OK(unlink(path));
	expect_repaired(&w.f, 0, "unit 00c0ffee00c0ffee: blob ");
	assert_non_null(strstr(w.f.text, "is missing"));
	expect_units(&w, 1, 1);
	refs_are(&w.f.p, "one", 1, 0);
	leave(&w.f.p);
}

static void altered_blobs(void **state)
{
	struct world w;

	(void)state;
	enter_world(&w);
	overwrite(&w, "two", "twO");
	run(&w.f, 0); /* the size is right */
	assert_int_equal(w.f.rep.damaged, 0);
	run(&w.f, CHECK_READ_DATA | CHECK_REPAIR);
	assert_int_equal(w.f.rep.repaired, w.f.rep.damaged);
	assert_non_null(strstr(w.f.text, "unit 00c0ffee00c0ffee: blob "));
	expect_units(&w, 1, 1);
	leave(&w.f.p);
	enter_world(&w);
	overwrite(&w, "two", "tw");
	expect_repaired(&w.f, 0, "unit 00c0ffee00c0ffee: blob ");
	expect_units(&w, 1, 1);
	leave(&w.f.p);
}

/* With its last object a list goes, too. */
static void blobs_that_only_units_keep(void **state)
{
	struct world w;

	(void)state;
	enter_world(&w);
	OK(unit_drop(w.f.p.st, &w.other.key));
	del_file(&w.f.p, "one", w.one);
	del_file(&w.f.p, "two", w.two);
	expect_units(&w, 1, 1);
	overwrite(&w, "two", "");
	expect_repaired(&w.f, 0, "unit 00c0ffee00c0ffee: blob ");
	expect_units(&w, 0, 0);
	leave(&w.f.p);
}

static int do_spoil_row(struct txn *txn, void *arg)
{
	struct digest d = digest_of_str("two");
	struct blob_rec rec = { 0 };
	int r;

	r = blob_row_get(txn, &d, &rec);
	if (r < 0)
		return r;
	switch (*(int *)arg) {
	case 0:
		rec.units = 0;
		break;
	case 1:
		rec.refs = 1;
		break;
	case 2:
		rec.refs = 1;
		rec.units = 0;
		break;
	default:
		return txn_del(txn, TABLE_BLOBS, span_of_digest(&d));
	}
	return blob_row_put(txn, &d, &rec);
}

static void counts(void **state)
{
	static const char *const told[] = {
		"0 references by units counted, 1 found",
		"1 references counted, 2 found",
		"1 references counted, 2 found",
		"no row",
	};
	struct world w;

	(void)state;
	for (int i = 0; i < (int)ARRAY_LEN(told); i++) {
		enter_world(&w);
		OK(index_update(store_index(w.f.p.st), do_spoil_row, &i));
		expect_repaired(&w.f, 0, told[i]);
		expect_units(&w, 2, 1);
		refs_are(&w.f.p, "two", 2, 1);
		leave(&w.f.p);
	}
}

/* A view that is mounted is not repaired; a unit always is. */
static void below_a_mounted_view(void **state)
{
	struct digest d = digest_of_str("two");
	struct lease *lease;
	char path[256];
	struct world w;

	(void)state;
	enter_world(&w);
	OK(lease_take(w.f.p.st, w.f.p.view, "/mnt", &lease, NULL));
	blob_path(&w.f.p, &d, path, sizeof(path));
	OK(unlink(path));
	run(&w.f, CHECK_REPAIR);
	/* A name without its node is the third. */
	assert_int_equal(w.f.rep.damaged, 3);
	assert_int_equal(w.f.rep.repaired, 1);
	assert_int_equal(w.f.rep.skipped, 2);
	run(&w.f, 0);
	assert_int_equal(w.f.rep.units, 1);
	lease = lease_free(lease);
	run(&w.f, CHECK_REPAIR);
	expect_units(&w, 1, 1);
	leave(&w.f.p);
}

/* --- rows ----------------------------------------------------------------- */

static void damaged_objects(void **state)
{
	struct buf b = { 0 };
	struct world w;

	(void)state;
	enter_world(&w);
	edit_unit(&w, TABLE_UNITS, UNIT_KEY_ALL, span_of_str("\1garbage"));
	expect_repaired(&w.f, 0, "unit 00c0ffee00c0ffee: damaged row");
	expect_units(&w, 1, 1);
	leave(&w.f.p);
	/* An object that is one, but was made from something else: it would
	 * be a false hit. */
	enter_world(&w);
	OK(unit_object_encode(&w.other.obj, &b));
	edit_unit(&w, TABLE_UNITS, UNIT_KEY_ALL, span_of(b.data, b.len));
	expect_repaired(&w.f, 0, "unit 00c0ffee00c0ffee: damaged row");
	expect_units(&w, 1, 1);
	refs_are(&w.f.p, "other", 3, 2);
	leave(&w.f.p);
	enter_world(&w);
	w.m.inputs[0].name = STR("src/main.rs");
	buf_reset(&b);
	OK(unit_object_encode(&w.m.obj, &b));
	edit_unit(&w, TABLE_UNITS, UNIT_KEY_ALL, span_of(b.data, b.len));
	expect_repaired(&w.f, 0, "unit 00c0ffee00c0ffee: damaged row");
	expect_units(&w, 1, 1);
	buf_release(&b);
	leave(&w.f.p);
}

/* Written anew, as the objects have all of it. */
static void lists_with_objects(void **state)
{
	struct unit_list shorter;
	struct buf b = { 0 };
	struct world w;

	(void)state;
	enter_world(&w);
	edit_unit(&w, TABLE_LISTS, UNIT_KEY_LIST, none);
	run(&w.f, 0);
	assert_int_equal(w.f.rep.damaged, 1);
	expect_repaired(&w.f, 0, "unit 00c0ffee00c0ffee: no list");
	expect_units(&w, 2, 1);
	edit_unit(&w, TABLE_LISTS, UNIT_KEY_LIST, span_of_str("\1garbage"));
	run(&w.f, 0);
	assert_int_equal(w.f.rep.damaged, 1);
	expect_repaired(&w.f, 0, "unit 00c0ffee00c0ffee: damaged list");
	assert_int_equal(w.f.rep.damaged, 1);
	expect_units(&w, 2, 1);
	/* One that leaves an input out would show what it must not. */
	shorter = (struct unit_list){ w.m.inputs, 4 };
	OK(unit_list_encode(&shorter, &b));
	edit_unit(&w, TABLE_LISTS, UNIT_KEY_LIST, span_of(b.data, b.len));
	expect_repaired(&w.f, 0, "unit 00c0ffee00c0ffee: damaged list");
	expect_units(&w, 2, 1);
	buf_release(&b);
	leave(&w.f.p);
}

static void lists_without_objects(void **state)
{
	struct unit_list list;
	struct buf b = { 0 };
	struct world w;

	(void)state;
	enter_world(&w);
	list = (struct unit_list){ w.m.inputs, 3 };
	OK(unit_list_encode(&list, &b));
	OK(unit_list_digest(&list, &w.m.key.list));
	edit_unit(&w, TABLE_LISTS, UNIT_KEY_LIST, span_of(b.data, b.len));
	expect_repaired(&w.f, 0,
			"unit 00c0ffee00c0ffee: a list without objects");
	expect_units(&w, 2, 1);
	w.m.key.hash++;
	edit_unit(&w, TABLE_LISTS, UNIT_KEY_LIST, span_of_str("\1garbage"));
	expect_repaired(&w.f, 0, "unit 00c0ffee00c0ffef: damaged list");
	expect_units(&w, 2, 1);
	buf_release(&b);
	leave(&w.f.p);
}

static void damaged_keys(void **state)
{
	struct world w;

	(void)state;
	enter_world(&w);
	edit_unit(&w, TABLE_LISTS, UNIT_KEY_SCOPE, span_of_str("x"));
	expect_repaired(&w.f, 0, "a damaged key");
	edit_unit(&w, TABLE_LISTS, UNIT_KEY_ALL, span_of_str("x"));
	expect_repaired(&w.f, 0, "a damaged key");
	edit_unit(&w, TABLE_UNITS, UNIT_KEY_LIST, span_of_str("x"));
	expect_repaired(&w.f, 0, "a damaged key");
	expect_units(&w, 2, 1);
	leave(&w.f.p);
}

struct flip {
	const char *what;
	unsigned places;
};

static void do_flip(uint8_t *data, size_t len, void *arg)
{
	struct flip *f = arg;
	uint8_t *at = data;

	while ((at = memmem(at, len - (size_t)(at - data), f->what,
			    strlen(f->what)))) {
		*at = (uint8_t) ~*at;
		f->places++;
	}
}

/* Inverts a byte in each place where @what is in the index; how many there
 * are. */
static unsigned flip(struct world *w, const char *what)
{
	struct flip f = { .what = what };

	behind_its_back(&w->f, do_flip, &f);
	return f.places;
}

/* On the disk, which checksums are for. */
static void flipped_bits(void **state)
{
	static const struct {
		const char *what, *told;
		unsigned units;
	} cases[] = {
		{ "somebody", "damaged row", 0 }, /* both objects' writer */
		{ "another value", "?", 2 },	  /* only its digest is there */
		{ "deps/so", "damaged row", 0 },
		{ "CARGO_PKG_NAME", "damaged", 0 }, /* the list's, too */
	};
	struct world w;
	unsigned places;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		unsigned count = 0;

		enter_world(&w);
		places = flip(&w, cases[i].what);
		assert_int_equal(places > 0, cases[i].units == 0);
		OK(unit_foreach(w.f.p.st, 0, count_unit, &count));
		assert_int_equal(count, cases[i].units);
		if (places)
			expect_repaired(&w.f, 0, cases[i].told);
		expect_units(&w, cases[i].units, cases[i].units > 0);
		/* They can be published again. */
		if (places)
			OK(unit_publish(w.f.p.st, &w.m.key, &w.m.obj));
		leave(&w.f.p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_clean_store),
		cmocka_unit_test(a_missing_blob),
		cmocka_unit_test(altered_blobs),
		cmocka_unit_test(blobs_that_only_units_keep),
		cmocka_unit_test(counts),
		cmocka_unit_test(below_a_mounted_view),
		cmocka_unit_test(damaged_objects),
		cmocka_unit_test(lists_with_objects),
		cmocka_unit_test(lists_without_objects),
		cmocka_unit_test(damaged_keys),
		cmocka_unit_test(flipped_bits),
	};

	return RUN_TAP(tests);
}
