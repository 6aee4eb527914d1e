/* SPDX-License-Identifier: Apache-2.0 */
/* fs/cargo/layout.h: paths as cargo's versions write them. */
#include "config.h"

#include "fs/cargo/layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "store/base/macros.h"

#define H "0123456789abcdef"

struct expected {
	const char *path;
	enum layout_kind kind;
	bool unit;
	const char *profile; /* "" for none */
	const char *crate;   /* of incremental state, or NULL */
};

static const struct expected table[] = {
	/* the top */
	{ "", LAYOUT_OTHER, false, "", NULL },
	{ "CACHEDIR.TAG", LAYOUT_META, false, "", NULL },
	{ ".rustc_info.json", LAYOUT_META, false, "", NULL },
	{ "notes.txt", LAYOUT_OTHER, false, "", NULL },
	{ "doc/serde/index.html", LAYOUT_OTHER, false, "", NULL },
	{ "tmp/x", LAYOUT_OTHER, false, "", NULL },
	{ "package/x-1.0.0.crate", LAYOUT_OTHER, false, "", NULL },
	/* a profile */
	{ "debug/.cargo-lock", LAYOUT_META, false, "debug", NULL },
	{ "debug/app", LAYOUT_ARTIFACT, false, "debug", NULL },
	{ "debug/app.d", LAYOUT_META, false, "debug", NULL },
	{ "x86_64-unknown-linux-gnu/release/app.d", LAYOUT_META, false,
	  "x86_64-unknown-linux-gnu/release", NULL },
	/* classic */
	{ "debug/deps/libx-" H ".rlib", LAYOUT_ARTIFACT, true, "debug", NULL },
	{ "debug/deps/x-" H ".d", LAYOUT_META, true, "debug", NULL },
	{ "debug/deps/x-" H ".x.f00-cgu.0.rcgu.o", LAYOUT_ARTIFACT, true,
	  "debug", NULL },
	{ "debug/deps/libx.so", LAYOUT_ARTIFACT, false, "debug", NULL },
	{ "debug/deps/rmetaAbCdEf/full.rmeta", LAYOUT_ARTIFACT, false, "debug",
	  NULL },
	{ "debug/examples/e-" H, LAYOUT_ARTIFACT, true, "debug", NULL },
	{ "debug/.fingerprint/x-" H "/lib-x.json", LAYOUT_META, true, "debug",
	  NULL },
	{ "debug/build/x-" H "/output", LAYOUT_META, true, "debug", NULL },
	{ "debug/build/x-" H "/out/output", LAYOUT_ARTIFACT, true, "debug",
	  NULL },
	{ "debug/build/x-" H "/build_script_build-" H, LAYOUT_ARTIFACT, true,
	  "debug", NULL },
	{ "debug/build/x-" H "/build_script_build-" H ".d", LAYOUT_META, true,
	  "debug", NULL },
	{ "debug/incremental/x-1a2b3c/s-h-w/dep-graph.bin", LAYOUT_INCREMENTAL,
	  false, "debug", "debug/incremental/x-1a2b3c" },
	{ "t/release/deps/libx-" H ".rmeta", LAYOUT_ARTIFACT, true, "t/release",
	  NULL },
	/* one directory for each unit */
	{ "debug/build/x/" H "/fingerprint/lib-x", LAYOUT_META, true, "debug",
	  NULL },
	{ "debug/build/x/" H "/out/libx.rlib", LAYOUT_ARTIFACT, true, "debug",
	  NULL },
	{ "debug/build/x/" H "/run/stdout", LAYOUT_META, true, "debug", NULL },
	/* nearly, but not */
	{ "debug/deps/libx-0123456789abcde.rlib", LAYOUT_ARTIFACT, false,
	  "debug", NULL },
	{ "debug/deps/libx-0123456789ABCDEF.rlib", LAYOUT_ARTIFACT, false,
	  "debug", NULL },
	{ "debug/deps/x0123456789abcdef.d", LAYOUT_META, false, "debug", NULL },
	{ "deps/libx-" H ".rlib", LAYOUT_ARTIFACT, false, "deps", NULL },
};

static void test_paths(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		const struct expected *e = &table[i];
		struct layout l = layout_classify(e->path);

		print_message("# %s\n", e->path);
		assert_int_equal(l.kind, e->kind);
		assert_int_equal(l.unit != NULL, e->unit);
		if (l.unit)
			assert_memory_equal(l.unit, H, UNIT_HASH_LEN);
		assert_int_equal(l.profile_len, strlen(e->profile));
		assert_memory_equal(e->path, e->profile, l.profile_len);
		assert_int_equal(l.crate_len, e->crate ? strlen(e->crate) : 0);
		if (e->crate)
			assert_memory_equal(e->path, e->crate, l.crate_len);
	}
}

static void test_unit_of_a_name(void **state)
{
	(void)state;
	assert_non_null(layout_unit_of(H, 16));
	assert_non_null(layout_unit_of("x-" H, 18));
	assert_non_null(layout_unit_of("x-" H ".a.b", 22));
	assert_null(layout_unit_of("", 0));
	assert_null(layout_unit_of("-", 1));
	assert_null(layout_unit_of("x-" H "0", 19));
	assert_null(layout_unit_of("x.y-" H, 20));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_unit_of_a_name),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
