/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of store/unit*.c: an object with every kind of input and file, and
 * its key. After fixture.h.
 */
#ifndef TESTS_UNIT_UNITS_H
#define TESTS_UNIT_UNITS_H

#include "store/unit.h"

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

#endif
