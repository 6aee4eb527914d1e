/* SPDX-License-Identifier: Apache-2.0 */
/* fs/cargo/dfile.h: .d files as rustc and cargo write them. */
#include "config.h"

#include "fs/cargo/dfile.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "store/base/macros.h"

static int parse(const char *s, struct dfile *ret)
{
	return dfile_parse(s, strlen(s), ret);
}

static void assert_span(struct span s, const char *wanted)
{
	assert_int_equal(s.len, strlen(wanted));
	assert_memory_equal(s.p, wanted, s.len);
}

static void test_of_rustc(void **state)
{
	struct dfile d;

	(void)state;
	assert_int_equal(
		parse("/t/x-1.d: src/lib.rs src/a\\ b.rs c\\d\n"
		      "\n"
		      "/t/lib\\ x: src/lib.rs src/a\\ b.rs c\\d\n"
		      "\n"
		      "src/lib.rs:\n"
		      "src/a\\ b.rs:\n"
		      "c\\d:\n"
		      "\n"
		      "# env-dep:CARGO_MANIFEST_DIR=/home/me/x\n"
		      "# env-dep:OPT\n"
		      "# env-dep:L=a\\nb\\\\c\\rd=e\n"
		      "# checksum:sha256=00ff file_len:71 src/a\\ b.rs\n",
		      &d),
		0);
	assert_int_equal(d.output_count, 2);
	assert_span(d.outputs[0], "/t/x-1.d");
	assert_span(d.outputs[1], "/t/lib x");
	assert_int_equal(d.source_count, 3);
	assert_span(d.sources[0], "src/lib.rs");
	assert_span(d.sources[1], "src/a b.rs");
	assert_span(d.sources[2], "c\\d");
	assert_int_equal(d.env_count, 3);
	assert_span(d.envs[0].name, "CARGO_MANIFEST_DIR");
	assert_true(d.envs[0].is_set);
	assert_span(d.envs[0].value, "/home/me/x");
	assert_span(d.envs[1].name, "OPT");
	assert_false(d.envs[1].is_set);
	assert_span(d.envs[2].name, "L");
	assert_span(d.envs[2].value, "a\nb\\c\rd=e");
	assert_int_equal(d.checksum_count, 1);
	assert_span(d.checksums[0].digest, "sha256=00ff");
	assert_int_equal(d.checksums[0].size, 71);
	assert_span(d.checksums[0].path, "src/a b.rs");
	dfile_release(&d);
	dfile_release(&d);
}

static void test_of_cargo(void **state)
{
	struct dfile d;

	(void)state;
	assert_int_equal(parse("/t/debug/leaf: /w/a.rs /w/b.rs\n", &d), 0);
	assert_int_equal(d.output_count, 1);
	assert_int_equal(d.source_count, 2);
	assert_span(d.sources[1], "/w/b.rs");
	dfile_release(&d);
}

/* An empty value is not an unset one, and a line needs no newline. */
static void test_edges(void **state)
{
	struct dfile d;

	(void)state;
	assert_int_equal(parse("a: b\n# env-dep:E=\n# env-dep:", &d), 0);
	assert_int_equal(d.env_count, 2);
	assert_true(d.envs[0].is_set);
	assert_int_equal(d.envs[0].value.len, 0);
	assert_false(d.envs[1].is_set);
	dfile_release(&d);
	assert_int_equal(parse("a: \\ b\\ \\ c\\ x\n", &d), 0);
	assert_int_equal(d.source_count, 1);
	assert_span(d.sources[0], " b  c x");
	dfile_release(&d);
	assert_int_equal(dfile_parse("", DFILE_MAX + (size_t)1, &d), -EFBIG);
}

static void test_not_understood(void **state)
{
	static const char *const bad[] = {
		"",
		"\n",
		"src/lib.rs:\n",
		"no colon\n",
		"a: b\nno colon\n",
		"a: b c\nd: b\n",
		"a:  b\n",
		"a: b \n",
		": b\n",
		"a: \n",
		"a: b\\\n",
		"a: b\tc\n",
		"a: b\r\n",
		"a: b\n# other\n",
		"a: b\n# env-dep:A=\\\n",
		"a: b\n# env-dep:A\\t=b\n",
		"a: b\n# checksum:sha256=00 file_len:1\n",
		"a: b\n# checksum:sha256=00 file_len:1 \n",
		"a: b\n# checksum:sha256=00 file_len: b\n",
		"a: b\n# checksum:sha256=00 file_len:-1 b\n",
		"a: b\n# checksum:sha256=00 file_len:18446744073709551616 b\n",
	};
	struct dfile d;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		print_message("# %zu\n", i);
		assert_int_equal(parse(bad[i], &d), -EBADMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_of_rustc),
		cmocka_unit_test(test_of_cargo),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_not_understood),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
