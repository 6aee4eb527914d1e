/* SPDX-License-Identifier: Apache-2.0 */
/* fs/cargo/buildout.h: what build scripts print, and the paths in it. */
#include "config.h"

#include "fs/cargo/buildout.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/cargo/utf8.h"
#include "store/base/macros.h"

static int parse(const char *s, struct buildout *ret)
{
	return buildout_parse(s, strlen(s), ret);
}

struct expected {
	const char *line;
	enum buildout_key key;
	const char *name;
	const char *value;
};

static const struct expected table[] = {
	{ "cargo:rerun-if-changed=src/a.c", BUILDOUT_RERUN_IF_CHANGED, "",
	  "src/a.c" },
	{ "cargo::rerun-if-changed=", BUILDOUT_RERUN_IF_CHANGED, "", "" },
	{ "cargo:rerun-if-env-changed=CC", BUILDOUT_RERUN_IF_ENV_CHANGED, "",
	  "CC" },
	{ "cargo::rerun-if-env-changed=CC", BUILDOUT_RERUN_IF_ENV_CHANGED, "",
	  "CC" },
	{ "cargo:rustc-link-search=native=/t/out", BUILDOUT_LINK_SEARCH,
	  "native", "/t/out" },
	{ "cargo:rustc-link-search=/a=b", BUILDOUT_LINK_SEARCH, "", "/a=b" },
	{ "cargo:rustc-link-lib=static=z", BUILDOUT_LINK_LIB, "", "static=z" },
	{ "cargo:rustc-link-arg-bin=b=-s", BUILDOUT_LINK_ARG,
	  "rustc-link-arg-bin", "b=-s" },
	{ "cargo:rustc-flags=-L /x -lz", BUILDOUT_FLAGS, "", "-L /x -lz" },
	{ "cargo:rustc-cfg=feature=\"x\"", BUILDOUT_CFG, "", "feature=\"x\"" },
	{ "cargo::rustc-check-cfg=cfg(x)", BUILDOUT_CHECK_CFG, "", "cfg(x)" },
	{ "cargo:rustc-env=A=b=c", BUILDOUT_ENV, "A", "b=c" },
	{ "cargo:warning=look  here", BUILDOUT_WARNING, "", "look  here" },
	{ "cargo::error=no", BUILDOUT_ERROR, "", "no" },
	{ "cargo::metadata=root=/x", BUILDOUT_METADATA, "root", "/x" },
	/* the old syntax has metadata for any other key */
	{ "cargo:root=/x", BUILDOUT_METADATA, "root", "/x" },
	{ "cargo:error=no", BUILDOUT_METADATA, "error", "no" },
	{ "cargo:metadata=a=b", BUILDOUT_METADATA, "metadata", "a=b" },
	/* white space of ASCII and of Unicode */
	{ "  cargo:rustc-cfg=a \t\r", BUILDOUT_CFG, "", "a" },
	{ "\u00a0\u3000cargo:rustc-cfg=a\u2009", BUILDOUT_CFG, "", "a" },
};

static void assert_span(struct span s, const char *wanted)
{
	assert_int_equal(s.len, strlen(wanted));
	if (s.len)
		assert_memory_equal(s.p, wanted, s.len);
}

static void test_each_instruction(void **state)
{
	struct buildout b;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		print_message("# %s\n", table[i].line);
		assert_int_equal(parse(table[i].line, &b), 0);
		assert_int_equal(b.count, 1);
		assert_int_equal(b.items[0].key, table[i].key);
		assert_span(b.items[0].name, table[i].name);
		assert_span(b.items[0].value, table[i].value);
		buildout_release(&b);
	}
}

static void test_order_and_noise(void **state)
{
	struct buildout b;

	(void)state;
	assert_int_equal(parse("CC = None\ncargo:rustc-cfg=a\n\n"
			       "xcargo:rustc-cfg=no\n\xff cargo:rustc-cfg=no\n"
			       "\xff\ncargo::rustc-cfg=b",
			       &b),
			 0);
	assert_int_equal(b.count, 2);
	assert_span(b.items[0].value, "a");
	assert_span(b.items[1].value, "b");
	assert_false(buildout_has_rerun(&b));
	buildout_release(&b);
	buildout_release(&b);
	assert_int_equal(parse("cargo:warning=x\ncargo:rerun-if-changed=a", &b),
			 0);
	assert_true(buildout_has_rerun(&b));
	buildout_release(&b);
	assert_int_equal(parse("cargo::rerun-if-env-changed=A", &b), 0);
	assert_true(buildout_has_rerun(&b));
	buildout_release(&b);
	assert_int_equal(parse("", &b), 0);
	assert_false(buildout_has_rerun(&b));
	buildout_release(&b);
}

static void test_not_understood(void **state)
{
	static const char *const bad[] = {
		"cargo:rustc-cfg",
		"cargo::rustc-cfg",
		"cargo::unknown=1",
		"cargo:name",
		"cargo:",
		"cargo::",
		"cargo:rustc-env=A",
		"cargo::metadata=a",
	};
	struct buildout b;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		print_message("# %s\n", bad[i]);
		assert_int_equal(parse(bad[i], &b), -EBADMSG);
	}
	assert_int_equal(buildout_parse("", BUILDOUT_MAX + 1, &b), -EFBIG);
}

/* All paths outside of OUT_DIR, one blank apart. */
static char *outside(const char *text, const char *out_dir)
{
	struct buildout_cursor c = { 0 };
	struct buildout_path p;
	struct buildout b;
	char *all = calloc(1, 4096), *at = all;

	assert_non_null(all);
	assert_int_equal(parse(text, &b), 0);
	while (buildout_next_path(&b, span_of(out_dir), &c, &p)) {
		assert_true(at - all + p.path.len + 2 < 4096);
		if (at != all)
			*at++ = ' ';
		memcpy(at, p.path.p, p.path.len);
		at += p.path.len;
	}
	buildout_release(&b);
	return all;
}

static const struct {
	const char *text;
	const char *outside;
} paths[] = {
	{ "cargo:rustc-link-search=native=/t/o/out", "" },
	{ "cargo:rustc-link-search=native=/t/o/out/lib", "" },
	{ "cargo:rustc-link-search=native=/t/o/out2", "/t/o/out2" },
	{ "cargo:rustc-link-search=native=/t/o/out/../x", "/t/o/out/../x" },
	{ "cargo:rustc-link-search=native=/t/o", "/t/o" },
	{ "cargo:rerun-if-changed=/w/a.c", "/w/a.c" },
	{ "cargo:rerun-if-changed=w/a.c", "" },
	{ "cargo:rerun-if-changed=./a.c", "" },
	{ "cargo:rerun-if-env-changed=/w", "" },
	{ "cargo:rustc-flags=-L/w/lib -lz -L /x/lib", "/w/lib /x/lib" },
	{ "cargo:rustc-link-arg=-Wl,-rpath,/w/lib", "/w/lib" },
	{ "cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib", "" },
	{ "cargo:rustc-link-arg=--script=/w/x.ld", "/w/x.ld" },
	{ "cargo:rustc-link-arg=-I/w/a/b", "/w/a/b" },
	{ "cargo:rustc-env=P=/t/o/out:/w/b:/t/o/out/c", "/w/b" },
	{ "cargo:rustc-env=P=a/b/c", "" },
	{ "cargo:rustc-env=P=a//b", "" },
	{ "cargo:rustc-env=P=//w//b", "//w//b" },
	{ "cargo:rustc-env=P=a-/b", "" },
	{ "cargo:rustc-cfg=p=\"/w/a\"", "/w/a" },
	{ "cargo:include=/w/include", "/w/include" },
	{ "cargo:warning=see /w/log, '/w/b'", "/w/log /w/b" },
	{ "printed /w/only", "" },
};

static void test_paths_outside(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		char *got = outside(paths[i].text, "/t/o/out");

		print_message("# %s\n", paths[i].text);
		assert_string_equal(got, paths[i].outside);
		free(got);
	}
}

/* A search that looks back to the word's beginning would take hours. */
static void test_search_is_linear(void **state)
{
	static const char start[] = "cargo:rustc-env=P=";
	size_t len = BUILDOUT_MAX / 4;
	char *text = malloc(len);
	struct buildout_cursor c = { 0 };
	struct buildout_path p;
	struct buildout b;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < len; i++)
		text[i] = i % 2 ? '/' : 'a';
	memcpy(text, start, sizeof(start) - 1);
	assert_int_equal(buildout_parse(text, len, &b), 0);
	while (buildout_next_path(&b, span_of("/t"), &c, &p))
		assert_true(p.path.len > 1);
	buildout_release(&b);
	free(text);
}

static void test_below_a_root(void **state)
{
	struct buildout_cursor c = { 0 };
	struct buildout_path p;
	struct buildout b;

	(void)state;
	assert_int_equal(parse("cargo:rustc-env=A=/h/my work/x", &b), 0);
	assert_true(buildout_next_path(&b, span_of(""), &c, &p));
	assert_true(buildout_path_is_below(&p, span_of("/h/my work")));
	assert_true(buildout_path_is_below(&p, span_of("/h/my work/x")));
	assert_true(buildout_path_is_below(&p, span_of("/h")));
	assert_false(buildout_path_is_below(&p, span_of("/h/my work/x/y")));
	assert_false(buildout_path_is_below(&p, span_of("/h/my wor")));
	assert_false(buildout_path_is_below(&p, span_of("")));
	/* the second slash of the value is another place, not another path */
	assert_false(buildout_next_path(&b, span_of("/h/my work"), &c, &p));
	buildout_release(&b);
}

static void test_utf8(void **state)
{
	static const char *const good[] = { "",		  "a",
					    "\u00e9",	  "\u20ac",
					    "\U0001f600", "\xf4\x8f\xbf\xbf" };
	static const char *const bad[] = {
		"\x80",
		"\xc3",
		"\xc0\x80",
		"\xe2\x82",
		"\xe0\x80\x80",
		"\xed\xa0\x80",
		"\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80",
		"\xc3\x28",
		"\xf0\x80\x80\x80",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(utf8_is_valid(span_of(good[i])));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(utf8_is_valid(span_of(bad[i])));
	assert_span(utf8_trim(span_of(" \t")), "");
	assert_span(utf8_trim(span_of("\u200b")), "\u200b");
	assert_span(utf8_trim(span_of("\u1680a b\xc2\x85")), "a b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_instruction),
		cmocka_unit_test(test_order_and_noise),
		cmocka_unit_test(test_not_understood),
		cmocka_unit_test(test_paths_outside),
		cmocka_unit_test(test_search_is_linear),
		cmocka_unit_test(test_below_a_root),
		cmocka_unit_test(test_utf8),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
