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

struct role {
	const char *path;
	enum layout_role role;
	const char *name;
	const char *file;
};

#define FP "debug/.fingerprint/my-pkg-" H
#define SCRIPT "debug/build/my-pkg-" H
#define UNIT "t/my-profile/build/my-pkg/" H
#define OTHER_H "fedcba9876543210"

static const struct role roles[] = {
	/* the top */
	{ "", ROLE_TOP, "", "" },
	{ "debug", ROLE_TOP, "", "" },
	{ ".rustc_info.json", ROLE_FRAME, "", "" },
	{ "t/release/.cargo-lock", ROLE_FRAME, "", ".cargo-lock" },
	{ "doc/serde/index.html", ROLE_DOC, "", "" },
	{ "t/doc/serde/index.html", ROLE_DOC, "", "" },
	{ "tmp/x/y", ROLE_SCRATCH, "", "" },
	/* finals */
	{ "debug/app", ROLE_FINAL, "app", "app" },
	{ "debug/doc", ROLE_FINAL, "doc", "doc" },
	{ "debug/libx.so", ROLE_FINAL, "libx", "libx.so" },
	{ "t/release/app.d", ROLE_FINAL_DFILE, "app", "app.d" },
	{ "debug/examples/ex", ROLE_FINAL, "ex", "ex" },
	{ "debug/examples/ex.d", ROLE_FINAL_DFILE, "ex", "ex.d" },
	/* fingerprints */
	{ "debug/.fingerprint", ROLE_SECTION, "", "" },
	{ FP, ROLE_FP_DIR, "my-pkg", "" },
	{ FP "/lib-my_pkg", ROLE_FP_HASH, "my-pkg", "lib-my_pkg" },
	{ FP "/lib-my_pkg.json", ROLE_FP_JSON, "my-pkg", "lib-my_pkg" },
	{ FP "/dep-lib-my_pkg", ROLE_FP_DEPINFO, "my-pkg", "lib-my_pkg" },
	{ FP "/output-lib-my_pkg", ROLE_FP_OUTPUT, "my-pkg", "lib-my_pkg" },
	{ FP "/invoked.timestamp", ROLE_FP_INVOKED, "my-pkg",
	  "invoked.timestamp" },
	{ FP "/x/y", ROLE_OTHER, "my-pkg", "x/y" },
	/* outputs */
	{ "debug/deps", ROLE_SECTION, "", "" },
	{ "debug/deps/libx-" H ".rlib", ROLE_RLIB, "libx", "libx-" H ".rlib" },
	{ "debug/deps/libx-" H ".rmeta", ROLE_RMETA, "libx",
	  "libx-" H ".rmeta" },
	{ "debug/deps/libx-" H ".so", ROLE_DYLIB, "libx", "libx-" H ".so" },
	{ "debug/deps/libx-" H ".a", ROLE_STATICLIB, "libx", "libx-" H ".a" },
	{ "debug/deps/x-" H, ROLE_PROGRAM, "x", "x-" H },
	{ "debug/deps/x-" H ".d", ROLE_DFILE, "x", "x-" H ".d" },
	{ "debug/deps/x-" H ".0.rcgu.o", ROLE_SIDECAR, "x",
	  "x-" H ".0.rcgu.o" },
	{ "debug/deps/libx.so", ROLE_DYLIB, "libx", "libx.so" },
	{ "debug/deps/libx.a", ROLE_STATICLIB, "libx", "libx.a" },
	{ "debug/deps/libx.rlib", ROLE_RLIB, "libx", "libx.rlib" },
	{ "debug/deps/x.d", ROLE_DFILE, "x", "x.d" },
	{ "debug/deps/rmetaAbCdEf", ROLE_TRANSIENT, "rmetaAbCdEf",
	  "rmetaAbCdEf" },
	{ "debug/deps/rmetaAbCdEf/full.rmeta", ROLE_TRANSIENT, "rmetaAbCdEf",
	  "rmetaAbCdEf/full.rmeta" },
	{ "debug/deps/.tmpAbCdEf.temp-archive/tmp.a", ROLE_TRANSIENT, "",
	  ".tmpAbCdEf.temp-archive/tmp.a" },
	{ "debug/examples/ex-" H, ROLE_PROGRAM, "ex", "ex-" H },
	/* build scripts */
	{ SCRIPT, ROLE_SCRIPT_DIR, "my-pkg", "" },
	{ SCRIPT "/build-script-build", ROLE_SCRIPT, "my-pkg",
	  "build-script-build" },
	{ SCRIPT "/build_script_build-" H, ROLE_SCRIPT, "my-pkg",
	  "build_script_build-" H },
	{ SCRIPT "/build_script_build-" H ".d", ROLE_DFILE, "my-pkg",
	  "build_script_build-" H ".d" },
	{ SCRIPT "/output", ROLE_RUN_OUTPUT, "my-pkg", "output" },
	{ SCRIPT "/stderr", ROLE_RUN_STDERR, "my-pkg", "stderr" },
	{ SCRIPT "/root-output", ROLE_RUN_ROOT, "my-pkg", "root-output" },
	{ SCRIPT "/invoked.timestamp", ROLE_RUN_INVOKED, "my-pkg",
	  "invoked.timestamp" },
	{ SCRIPT "/out", ROLE_OUT_DIR, "my-pkg", "" },
	{ SCRIPT "/out/a/b/output", ROLE_OUT_FILE, "my-pkg", "a/b/output" },
	{ SCRIPT "/out/x-" H, ROLE_OUT_FILE, "my-pkg", "x-" H },
	{ SCRIPT "/other/output", ROLE_OTHER, "my-pkg", "other/output" },
	/* one directory for each unit */
	{ "t/my-profile/build/my-pkg", ROLE_SECTION, "my-pkg", "" },
	{ "t/my-profile/build/my-pkg/x", ROLE_OTHER, "my-pkg", "" },
	{ UNIT, ROLE_UNIT_DIR, "my-pkg", "" },
	{ UNIT "/.lock", ROLE_FRAME, "my-pkg", ".lock" },
	{ UNIT "/fingerprint", ROLE_FP_DIR, "my-pkg", "" },
	{ UNIT "/fingerprint/dep-bin-b", ROLE_FP_DEPINFO, "my-pkg", "bin-b" },
	{ UNIT "/out", ROLE_OUT_DIR, "my-pkg", "" },
	{ UNIT "/out/libx-" H ".rmeta", ROLE_RMETA, "my-pkg",
	  "libx-" H ".rmeta" },
	{ UNIT "/out/x-" H ".d", ROLE_DFILE, "my-pkg", "x-" H ".d" },
	{ UNIT "/out/x-" OTHER_H ".d", ROLE_OUT_FILE, "my-pkg",
	  "x-" OTHER_H ".d" },
	{ UNIT "/out/build_script_build-" H, ROLE_SCRIPT, "my-pkg",
	  "build_script_build-" H },
	{ UNIT "/out/libx.so", ROLE_OUT_FILE, "my-pkg", "libx.so" },
	{ UNIT "/out/gen/a.rs", ROLE_OUT_FILE, "my-pkg", "gen/a.rs" },
	{ UNIT "/run", ROLE_RUN_DIR, "my-pkg", "" },
	{ UNIT "/run/stdout", ROLE_RUN_OUTPUT, "my-pkg", "stdout" },
	{ UNIT "/run/root-output", ROLE_RUN_ROOT, "my-pkg", "root-output" },
	/* private */
	{ "debug/incremental/x-1a2b3c/s-h-w/dep-graph.bin", ROLE_INCREMENTAL,
	  "", "" },
};

static void test_roles(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		const struct role *e = &roles[i];
		struct layout l = layout_classify(e->path);

		print_message("# %s\n", e->path);
		assert_int_equal(l.role, e->role);
		assert_int_equal(l.name.len, strlen(e->name));
		assert_memory_equal(l.name.p, e->name, l.name.len);
		assert_int_equal(l.file.len, strlen(e->file));
		assert_memory_equal(l.file.p, e->file, l.file.len);
		assert_int_equal(l.per_unit, strstr(e->path, UNIT) != NULL);
	}
}

static void test_crate_of_a_name(void **state)
{
	static const struct {
		const char *name, *crate;
	} names[] = {
		{ "libx_1.so", "x_1" },
		{ "libx.rlib", "x" },
		{ "libx.rmeta", "x" },
		{ "libx.a", "x" },
		{ "x.d", "x" },
		{ "libx.d", "libx" },
		{ "x.so", "" },
		{ "lib.so", "" },
		{ ".d", "" },
		{ "libx", "" },
		{ "libx.so.1", "" },
		{ "lib.x.so", "" },
		{ "x.y.d", "" },
		{ "libx-" H ".so", "" },
		{ "x-" H ".d", "" },
		{ "libx-y.so", "" },
		{ H ".d", "" },
		{ "rmetaAbc123", "" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct span s =
			layout_crate_of(names[i].name, strlen(names[i].name));

		print_message("# %s\n", names[i].name);
		assert_int_equal(s.len, strlen(names[i].crate));
		assert_memory_equal(s.p, names[i].crate, s.len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_roles),
		cmocka_unit_test(test_unit_of_a_name),
		cmocka_unit_test(test_crate_of_a_name),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
