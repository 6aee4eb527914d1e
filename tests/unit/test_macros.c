/* SPDX-License-Identifier: Apache-2.0 */
/* fs/cargo/macros.h: texts as sources have them. */
#include "config.h"

#include "fs/cargo/macros.h"

#include <string.h>

#include "tests/unit/fixture.h"

static bool only(const char *text)
{
	return macros_only_include(text, strlen(text), "OUT_DIR");
}

static void includes_are_seen(void **state)
{
	(void)state;
	assert_true(only(""));
	assert_true(only("fn main() {}"));
	assert_true(only("include!(concat!(env!(\"OUT_DIR\"), \"/a.rs\"));"));
	assert_true(only("x = include_str!( concat!(\n\tenv!( \"OUT_DIR\" ),"
			 " \"/a\"));"));
	assert_true(only("const B: &[u8] = include_bytes!(concat!(env!"
			 "(\"OUT_DIR\"), \"/b\"));"
			 "include!(concat!(env!(\"OUT_DIR\"), \"/a.rs\"));"));
}

static void any_other_use_counts(void **state)
{
	(void)state;
	assert_false(only("const D: &str = env!(\"OUT_DIR\");"));
	assert_false(only("concat!(env!(\"OUT_DIR\"), \"/a\")"));
	assert_false(only("my_include!(concat!(env!(\"OUT_DIR\"), \"/a\"))"));
	assert_false(only("my::include!(concat!(env!(\"OUT_DIR\"), \"/a\"))"));
	assert_false(only("option_env!(\"OUT_DIR\")"));
	assert_false(
		only("include!(concat!(option_env!(\"OUT_DIR\"), \"a\"))"));
	assert_false(only("// OUT_DIR"));
	assert_false(only("OUT_DIR"));
	assert_false(only("\"OUT_DIR"));
	assert_false(only("include!(concat!(env!(\"OUT_DIR_2\"), \"/a\"))"));
	/* One right use does not excuse another. */
	assert_false(only("include!(concat!(env!(\"OUT_DIR\"), \"/a.rs\"));"
			  "env!(\"OUT_DIR\")"));
}

static void a_text_that_ends_early(void **state)
{
	static const char text[] = "include!(concat!(env!(\"OUT_DIR\"), ";

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		(void)macros_only_include(text, i, "OUT_DIR");
	assert_false(macros_only_include(
		text, strlen("include!(concat!(env!(\"OUT_DIR"), "OUT_DIR"));
}

static void pure_packages(void **state)
{
	(void)state;
	assert_true(macros_are_pure(span_of("serde_derive")));
	assert_false(macros_are_pure(span_of("serde_derive2")));
	assert_false(macros_are_pure(span_of("sqlx-macros")));
	assert_false(macros_are_pure(span_of("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(includes_are_seen),
		cmocka_unit_test(any_other_use_counts),
		cmocka_unit_test(a_text_that_ends_early),
		cmocka_unit_test(pure_packages),
	};

	return RUN_TAP(tests);
}
