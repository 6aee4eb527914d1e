/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of store/unit*.c: an object with every kind of input and file, and
 * its key; a store for it, and what is counted in there. After fixture.h.
 */
#ifndef TESTS_UNIT_UNITS_H
#define TESTS_UNIT_UNITS_H

#include "store/check.h"
#include "store/refs.h"
#include "store/unit.h"

#define HASH 0x00c0ffee00c0ffeeULL
#define STR(s) ((struct span_str){ s, sizeof(s) - 1 })

/* Arrays of the object; in one place, so that a test can change any. */
struct made {
	struct unit_input inputs[5];
	struct unit_file files[6];
	struct unit_object obj;
	struct unit_key key;
};

static UNUSED void make_inputs(struct made *m)
{
	const struct unit_input inputs[] = {
		{ .kind = UNIT_SOURCE, .name = STR("src/lib.rs") },
		{ .kind = UNIT_ENV,
		  .name = STR("CARGO_PKG_NAME"),
		  .shown = STR("x") },
		{ .kind = UNIT_DEP, .name = STR("release/00c0ffee00c0ffee") },
		{ .kind = UNIT_TREE, .name = STR("/usr/include/x") },
		{ .kind = UNIT_PLACE, .name = STR("") },
	};

	memcpy(m->inputs, inputs, sizeof(inputs));
	for (size_t i = 0; i < ARRAY_LEN(inputs); i++)
		m->inputs[i].value = digest_of_str(i ? "a value" : "a source");
}

/* Two files with bytes, an empty one, a hard link, a symlink, a directory. */
static UNUSED void make_files(struct made *m, const char *one, const char *two)
{
	const struct unit_file files[] = {
		{ .type = UNIT_REG,
		  .mode = 0644,
		  .path = STR("deps/libx-00c0ffee00c0ffee.rlib"),
		  .size = strlen(one),
		  .digest = digest_of_str(one) },
		{ .type = UNIT_REG,
		  .mode = 0755,
		  .path = STR("build/x-00c0ffee00c0ffee/build-script-build"),
		  .size = strlen(two),
		  .digest = digest_of_str(two) },
		{ .type = UNIT_REG,
		  .mode = 0600,
		  .path = STR(".fingerprint/x-00c0ffee00c0ffee/invoked"),
		  .digest = digest_of_nothing },
		{ .type = UNIT_LINK,
		  .mode = 0755,
		  .path = STR("build/x-00c0ffee00c0ffee/script"),
		  .link = 1 },
		{ .type = UNIT_SYM,
		  .mode = 0777,
		  .path = STR("deps/so"),
		  .target = STR("../libx.so") },
		{ .type = UNIT_DIR, .mode = 0755, .path = STR("build") },
	};

	memcpy(m->files, files, sizeof(files));
}

static UNUSED void set_key(struct made *m)
{
	OK(unit_key_of(&m->obj, &m->key));
}

static UNUSED void make_unit(struct made *m, uint64_t hash, const char *one,
			     const char *two)
{
	memset(m, 0, sizeof(*m));
	make_inputs(m);
	make_files(m, one, two);
	m->obj = (struct unit_object){
		.flags = 0x81,
		.profile = STR("release"),
		.package = STR("x"),
		.writer = STR("somebody"),
		.created = 1700000000,
		.compile_msec = 1234,
		.origin_workspace = STR("/work/x"),
		.origin_target = STR("/work/x/target"),
		.recipe = digest_of_str("a recipe"),
		.inputs = m->inputs,
		.input_count = ARRAY_LEN(m->inputs),
		.files = m->files,
		.file_count = ARRAY_LEN(m->files),
	};
	m->key.hash = hash;
	m->key.scope = digest_of_str("a scope");
	m->key.fpr = 0x0123456789abcdef;
	set_key(m);
}

static UNUSED void print_problem(const char *problem, void *arg)
{
	(void)arg;
	print_error("# %s\n", problem);
}

static UNUSED void check_clean(struct place *p, uint64_t units)
{
	struct check_report rep;

	OK(store_check(p->st, CHECK_READ_DATA, print_problem, NULL, &rep));
	assert_int_equal(rep.damaged, 0);
	assert_int_equal(rep.units, units);
}

/* A store with the blobs "one" (inline) and "two" (a file), each in a view. */
static UNUSED void enter_units(struct place *p)
{
	enter_store(p);
	(void)add_inline(p, "one", "one");
	(void)add_file(p, "two", "two");
}

struct blob_row {
	const struct digest *d;
	struct blob_rec rec;
};

static UNUSED int do_get_row(struct txn *txn, void *arg)
{
	struct blob_row *row = arg;

	return blob_row_get(txn, row->d, &row->rec);
}

static UNUSED void refs_are(struct place *p, const char *bytes, uint64_t refs,
			    uint64_t units)
{
	struct digest d = digest_of_str(bytes);
	struct blob_row row = { .d = &d };

	OK(index_view(store_index(p->st), do_get_row, &row));
	assert_int_equal(row.rec.refs, refs);
	assert_int_equal(row.rec.units, units);
}

static UNUSED int count_unit(const struct unit_key *key,
			     const struct unit_object *obj, void *arg)
{
	(void)key;
	(void)obj;
	(*(unsigned *)arg)++;
	return 0;
}

static UNUSED int count_list(const struct unit_list *list,
			     const struct digest *list_digest, void *arg)
{
	(void)list;
	(void)list_digest;
	(*(unsigned *)arg)++;
	return 0;
}

#endif
