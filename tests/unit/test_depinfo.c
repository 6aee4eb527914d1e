/* SPDX-License-Identifier: Apache-2.0 */
/* fs/cargo/depinfo.h: cargo's dep- files. */
#include "config.h"

#include "fs/cargo/depinfo.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "store/base/macros.h"

/* Literals of bytes, without the NUL at their end. */
#define BYTES(s) (s), sizeof(s) - 1

#define HEAD "\1\0\0\0\377\1"
#define SUM                                                        \
	"sha256=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca" \
	"495991b7852b855"

static const char whole[] = HEAD "\3\0\0\0"
				 "\0\12\0\0\0src/lib.rs\0"
				 "\1\11\0\0\0out/gen.r\1"
				 "\7\0\0\0\0\0\0\0\107\0\0\0" SUM
				 "\1\4\0\0\0/a b\0"
				 "\2\0\0\0"
				 "\1\0\0\0A\1\3\0\0\0x=y"
				 "\2\0\0\0BC\0";

static void test_all_there_is(void **state)
{
	struct depinfo d;
	struct buf b = { 0 };

	(void)state;
	assert_int_equal(depinfo_parse(BYTES(whole), &d), 0);
	assert_int_equal(d.file_count, 3);
	assert_int_equal(d.files[0].root, DEPINFO_PACKAGE);
	assert_true(span_is(d.files[0].path, "src/lib.rs"));
	assert_false(d.files[0].has_checksum);
	assert_int_equal(d.files[1].root, DEPINFO_BUILD);
	assert_true(d.files[1].has_checksum);
	assert_int_equal(d.files[1].size, 7);
	assert_true(span_is(d.files[1].checksum, SUM));
	assert_true(span_is(d.files[2].path, "/a b"));
	assert_int_equal(d.env_count, 2);
	assert_true(span_is(d.envs[0].name, "A"));
	assert_true(d.envs[0].is_set);
	assert_true(span_is(d.envs[0].value, "x=y"));
	assert_true(span_is(d.envs[1].name, "BC"));
	assert_false(d.envs[1].is_set);

	depinfo_write(&d, &b);
	assert_int_equal(b.err, 0);
	assert_int_equal(b.len, sizeof(whole) - 1);
	assert_memory_equal(b.data, whole, b.len);
	buf_release(&b);
	depinfo_release(&d);
	depinfo_release(&d);
}

static void test_of_a_registry_unit(void **state)
{
	struct depinfo d;

	(void)state;
	assert_int_equal(depinfo_parse(BYTES(HEAD "\0\0\0\0\0\0\0\0"), &d), 0);
	assert_int_equal(d.file_count, 0);
	assert_int_equal(d.env_count, 0);
	depinfo_release(&d);
}

static void test_cut_anywhere(void **state)
{
	struct depinfo d;

	(void)state;
	for (size_t len = 0; len < sizeof(whole) - 1; len++)
		assert_int_equal(depinfo_parse(whole, len, &d), -EBADMSG);
}

static void test_unknown_formats(void **state)
{
	static const struct {
		const char *p;
		size_t len;
	} bad[] = {
		/* another marker, version 0, version 2 */
		{ BYTES("\2\0\0\0\377\1\0\0\0\0\0\0\0\0") },
		{ BYTES("\1\0\0\0\0\0\0\0\0\0\0\0\0\0") },
		{ BYTES("\1\0\0\0\377\2\0\0\0\0\0\0\0\0") },
		/* a root of 2, a checksum tag of 2, a checksum of md5 */
		{ BYTES(HEAD "\1\0\0\0\2\1\0\0\0a\0\0\0\0\0") },
		{ BYTES(HEAD "\1\0\0\0\0\1\0\0\0a\2\0\0\0\0") },
		{ BYTES(HEAD "\1\0\0\0\0\1\0\0\0a\1\0\0\0\0\0\0\0\0"
			     "\5\0\0\0md5=0\0\0\0\0") },
		/* an env tag of 2, a byte too many, counts beyond the end */
		{ BYTES(HEAD "\0\0\0\0\1\0\0\0\1\0\0\0A\2") },
		{ BYTES(HEAD "\0\0\0\0\0\0\0\0\0") },
		{ BYTES(HEAD "\377\377\377\377\0\0\0\0") },
		{ BYTES(HEAD "\0\0\0\0\377\377\377\177") },
		{ BYTES(HEAD "\1\0\0\0\0\377\377\377\377a\0\0\0\0\0") },
	};
	struct depinfo d;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(depinfo_parse(bad[i].p, bad[i].len, &d),
				 -EBADMSG);
	assert_int_equal(depinfo_parse(whole, DEPINFO_MAX + 1, &d), -EFBIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_there_is),
		cmocka_unit_test(test_of_a_registry_unit),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_unknown_formats),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
