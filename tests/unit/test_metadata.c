/* SPDX-License-Identifier: Apache-2.0 */
/* fs/cargo/metadata.h: strings as rustc 1.95 writes them, and others. */
#include "config.h"

#include "fs/cargo/metadata.h"

#include <string.h>

#include "tests/unit/fixture.h"

#define WS "/home/me/ws"
#define LIB WS "/a/src/lib.rs"
#define GEN WS "/target/debug/build/a-1/out/gen.rs"

static bool clean(const char *p, size_t len)
{
	static const struct span sources[] = {
		{ "a/src/lib.rs", 12 },
		{ GEN, sizeof(GEN) - 1 },
	};
	static const struct metadata_paths paths = {
		.dirs = { { WS, sizeof(WS) - 1 },
			  { WS "/target", sizeof(WS) + 6 } },
		.dir_count = 2,
		.cwd = { WS, sizeof(WS) - 1 },
		.sources = sources,
		.source_count = 2,
	};

	return metadata_names_sources(p, len, &paths);
}

#define CLEAN(s) clean(s, sizeof(s) - 1)
#define HEAD "rust\0\0\0\x0a"

static void sources_are_named(void **state)
{
	(void)state;
	assert_true(CLEAN(""));
	assert_true(CLEAN(HEAD "nothing"));
	assert_true(CLEAN(HEAD "\x0c"
			       "a/src/lib.rs\xc1\x0b" WS "\xc1\x18" LIB
			       "\xc1\0\0"));
	assert_true(CLEAN("\x2d" GEN "\xc1\x0b" WS "\xc1\x2d" GEN "\xc1"));
}

static void anything_else_is_found(void **state)
{
	(void)state;
	/* bytes of a constant, and a string of a macro */
	assert_false(CLEAN(HEAD "\x0b" WS "\0\0\1\x0b"));
	assert_false(CLEAN(HEAD "\x10" WS "/data\0\0"));
	assert_false(CLEAN(HEAD "\x10" WS "/data\xc1"));
	assert_false(CLEAN(HEAD "\x18" LIB "\0"));
	assert_false(CLEAN(HEAD "\x1a" LIB ".x\xc1"));
	assert_false(CLEAN(HEAD "\x1d" WS "/target/debug/out\xc1"));
	/* the directory, with something else behind it */
	assert_false(CLEAN(HEAD WS "\xc1"));
	assert_false(CLEAN(HEAD WS "\xc1\x05"
				   "other\xc1"));
	assert_false(CLEAN(HEAD WS "\xc1\x17" LIB "\xc1"));
	assert_false(CLEAN(HEAD WS "\xc1\xff\xff\xff\xff\xff\x01" LIB "\xc1"));
	/* One right use does not excuse another. */
	assert_false(CLEAN(HEAD WS "\xc1\x18" LIB "\xc1" WS "/x\xc1"));
}

static void metadata_that_ends_early(void **state)
{
	static const char all[] = HEAD WS "\xc1\x98\0" LIB "\xc1";

	(void)state;
	for (size_t i = 0; i < sizeof(all); i++) {
		char *copy = malloc(i ? i : 1);

		assert_non_null(copy);
		memcpy(copy, all, i);
		(void)clean(copy, i);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sources_are_named),
		cmocka_unit_test(anything_else_is_found),
		cmocka_unit_test(metadata_that_ends_early),
	};

	return RUN_TAP(tests);
}
