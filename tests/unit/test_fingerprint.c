/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs/cargo/fingerprint.h: fingerprints that cargo 1.95 wrote. What it wrote
 * for whole projects is read by tests/cargo/knowledge.sh.
 */
#include "config.h"

#include "fs/cargo/fingerprint.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "store/base/macros.h"

struct real {
	const char *json;
	const char *hash;
};

/* Each kind of local, escapes, flags, a public dependency. */
static const struct real run = {
	"{\"rustc\":7458672600737419911,\"features\":\"\","
	"\"declared_features\":\"\",\"target\":0,\"profile\":0,\"path\":0,"
	"\"deps\":[[5809591119570025077,\"build_script_build\",false,"
	"8455725115680194675]],\"local\":[{\"RerunIfChanged\":{\"output\":"
	"\"debug/build/bs_rerun-9045e65f6c1e678b/output\",\"paths\":["
	"\"data.txt\",\"build.rs\"]}},{\"RerunIfEnvChanged\":{\"var\":"
	"\"TFS_ENV\",\"val\":null}}],\"rustflags\":[],\"config\":0,"
	"\"compile_kind\":0}",
	"62cdd08c5eb8531d",
};
static const struct real doc = {
	"{\"rustc\":7458672600737419911,\"features\":\"[]\","
	"\"declared_features\":\"[]\",\"target\":13210070291667661224,"
	"\"profile\":4625255726265738819,\"path\":7692984754215012149,"
	"\"deps\":[[7015142513193608087,\"build_script_build\",false,"
	"8747909477642807519]],\"local\":[{\"Precalculated\":"
	"\"1795794626.711707517s (src/lib.rs)\"}],\"rustflags\":[],"
	"\"config\":8247474407144887393,\"compile_kind\":0}",
	"a470e1519ba5fe3f",
};
static const struct real registry = {
	"{\"rustc\":7458672600737419911,\"features\":\"[\\\"libc\\\", "
	"\\\"static\\\"]\",\"declared_features\":\"[\\\"asm\\\", "
	"\\\"cmake\\\", \\\"default\\\", \\\"libc\\\", \\\"static\\\", "
	"\\\"stock-zlib\\\", \\\"zlib-ng\\\", "
	"\\\"zlib-ng-no-cmake-experimental-community-maintained\\\"]\","
	"\"target\":15399044329794920278,\"profile\":15061564788955476790,"
	"\"path\":1854673795115080481,\"deps\":[[10477053256041566722,"
	"\"build_script_build\",false,9759323600671511871],"
	"[18070707816531966863,\"libc\",false,1381066054765617764]],"
	"\"local\":[{\"CheckDepInfo\":{\"dep_info\":\"debug/.fingerprint/"
	"libz-sys-33f033541862a7be/dep-lib-libz_sys\",\"checksum\":false}}],"
	"\"rustflags\":[],\"config\":8247474407144887393,\"compile_kind\":0}",
	"bf46798245f61b21",
};
static const struct real member = {
	"{\"rustc\":7458672600737419911,\"features\":\"[]\","
	"\"declared_features\":\"[]\",\"target\":10614186600016193328,"
	"\"profile\":8731458305071235362,\"path\":47945440854497315,\"deps\":"
	"[[5809591119570025077,\"bs_rerun\",true,8758760265991922897],"
	"[6745940733742144717,\"pm\",false,4048308075642185142],"
	"[7015142513193608087,\"bs_norerun\",false,9964893998495309398],"
	"[8444510389456896959,\"core_m\",false,16596305667469673221],"
	"[10477053256041566722,\"libz_sys\",false,15251294555518940099]],"
	"\"local\":[{\"CheckDepInfo\":{\"dep_info\":\"debug/.fingerprint/"
	"leaf-f54e19008202c33c/dep-lib-leaf\",\"checksum\":true}}],"
	"\"rustflags\":[\"-Copt-level=1\",\"--cfg=x=\\\"y\\\"\"],"
	"\"config\":8247474407144887393,\"compile_kind\":0}",
	"9c6de24bcb1d7f18",
};
static const struct real *const all[] = { &run, &doc, &registry, &member };

static struct fingerprint load(const struct real *r)
{
	struct fingerprint f;

	assert_int_equal(fingerprint_load(r->json, strlen(r->json), r->hash,
					  strlen(r->hash), &f),
			 0);
	return f;
}

static void assert_hash(const struct fingerprint *f, const char *wanted)
{
	char hash[FINGERPRINT_HASH_LEN];

	fingerprint_hash_write(fingerprint_value(f), hash);
	assert_memory_equal(hash, wanted, sizeof(hash));
}

static void test_value_and_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct fingerprint f = load(all[i]);
		struct buf b = { 0 };

		assert_hash(&f, all[i]->hash);
		fingerprint_write(&f, &b);
		assert_int_equal(b.err, 0);
		assert_int_equal(b.len, strlen(all[i]->json));
		assert_memory_equal(b.data, all[i]->json, b.len);
		buf_release(&b);
		fingerprint_release(&f);
		fingerprint_release(&f);
	}
}

static void test_fields(void **state)
{
	struct fingerprint f = load(&run);

	(void)state;
	assert_int_equal(f.dep_count, 1);
	assert_true(span_is(f.deps[0].name, "build_script_build"));
	assert_int_equal(f.local_count, 2);
	assert_int_equal(f.locals[0].kind, FINGERPRINT_RERUN_IF_CHANGED);
	assert_int_equal(f.locals[0].path_count, 2);
	assert_true(span_is(f.locals[0].paths[1], "build.rs"));
	assert_int_equal(f.locals[1].kind, FINGERPRINT_RERUN_IF_ENV_CHANGED);
	assert_true(span_is(f.locals[1].text, "TFS_ENV"));
	assert_false(f.locals[1].is_set);
	fingerprint_release(&f);
	f = load(&member);
	assert_true(f.deps[0].is_public);
	assert_int_equal(f.locals[0].kind, FINGERPRINT_CHECK_DEP_INFO);
	assert_true(f.locals[0].checksum);
	assert_int_equal(f.rustflag_count, 2);
	assert_true(span_is(f.rustflags[1], "--cfg=x=\"y\""));
	assert_int_equal(f.deps[4].value, UINT64_C(15251294555518940099));
	fingerprint_release(&f);
}

/* Any one byte of a json or of a hash changed is noticed. */
static void test_one_byte_changed(void **state)
{
	char json[2048], hash[FINGERPRINT_HASH_LEN];
	size_t len = strlen(member.json);
	struct fingerprint f;

	(void)state;
	memcpy(hash, member.hash, sizeof(hash));
	for (size_t i = 0; i < len; i++) {
		memcpy(json, member.json, len);
		json[i] ^= 1;
		assert_int_equal(fingerprint_load(json, len, hash, sizeof(hash),
						  &f),
				 -EBADMSG);
		assert_int_equal(fingerprint_load(member.json, i, hash,
						  sizeof(hash), &f),
				 -EBADMSG);
	}
	for (size_t i = 0; i < sizeof(hash); i++) {
		memcpy(hash, member.hash, sizeof(hash));
		hash[i] ^= 1;
		assert_int_equal(fingerprint_load(member.json, len, hash,
						  sizeof(hash), &f),
				 -EBADMSG);
	}
}

#define JSON(features, deps, local, flags)                                    \
	"{\"rustc\":1,\"features\":" features                                 \
	",\"declared_features\":\"\",\"target\":0,\"profile\":0,"             \
	"\"path\":18446744073709551615,\"deps\":[" deps "],\"local\":[" local \
	"],\"rustflags\":[" flags "],\"config\":0,\"compile_kind\""           \
	":0}"

static void test_not_understood(void **state)
{
	static const char *const bad[] = {
		"",
		"{}",
		" " JSON("\"\"", "", "", ""),
		JSON("\"\"", "", "", "") "\n",
		JSON("\"a", "", "", ""),
		JSON("1", "", "", ""),
		JSON("\"\\u0041\"", "", "", ""),
		JSON("\"\\u001F\"", "", "", ""),
		JSON("\"\\u000a\"", "", "", ""),
		JSON("\"\\u00\"", "", "", ""),
		JSON("\"\\/\"", "", "", ""),
		JSON("\"\\\"", "", "", ""),
		JSON("\"\t\"", "", "", ""),
		JSON("\"\xff\"", "", "", ""),
		JSON("\"\"", "[1,\"a\",false]", "", ""),
		JSON("\"\"", "[1,\"a\",0,1]", "", ""),
		JSON("\"\"", "[01,\"a\",true,1]", "", ""),
		JSON("\"\"", "[-1,\"a\",true,1]", "", ""),
		JSON("\"\"", "[18446744073709551616,\"a\",true,1]", "", ""),
		JSON("\"\"", "[1,\"a\",true,1],", "", ""),
		JSON("\"\"", "", "{\"Other\":\"\"}", ""),
		JSON("\"\"", "",
		     "{\"CheckDepInfo\":{\"dep_info\":\"x\","
		     "\"fingerprint\":\"mtime\"}}",
		     ""),
		JSON("\"\"", "",
		     "{\"RerunIfChanged\":{\"output\":\"x\","
		     "\"paths\":[\"a\",]}}",
		     ""),
		JSON("\"\"", "", "", "1"),
		JSON("\"\"", "", "", "\"a\" ,\"b\""),
	};
	struct fingerprint f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		print_message("# %s\n", bad[i]);
		assert_int_equal(fingerprint_parse(bad[i], strlen(bad[i]), &f),
				 -EBADMSG);
	}
	assert_int_equal(fingerprint_parse("", FINGERPRINT_MAX + 1, &f),
			 -EFBIG);
}

static void test_escapes(void **state)
{
	static const char json[] =
		JSON("\"\\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\u00e9/\"", "",
		     "{\"RerunIfEnvChanged\":{\"var\":\"A\",\"val\":\"\"}}",
		     "\"\",\"\\\\\"");
	static const char features[] = "\"\\\b\f\n\r\t\0\x1f\x7f\u00e9/";
	struct buf b = { 0 };
	struct fingerprint f;

	(void)state;
	assert_int_equal(fingerprint_parse(json, sizeof(json) - 1, &f), 0);
	assert_int_equal(f.features.len, sizeof(features) - 1);
	assert_memory_equal(f.features.p, features, f.features.len);
	assert_int_equal(f.path, UINT64_MAX);
	assert_true(f.locals[0].is_set);
	assert_int_equal(f.locals[0].value.len, 0);
	assert_int_equal(f.rustflags[0].len, 0);
	assert_true(span_is(f.rustflags[1], "\\"));
	fingerprint_write(&f, &b);
	assert_int_equal(b.len, sizeof(json) - 1);
	assert_memory_equal(b.data, json, b.len);
	buf_release(&b);
	fingerprint_release(&f);
}

static void test_hash_file(void **state)
{
	char hash[FINGERPRINT_HASH_LEN];
	uint64_t v = 1;

	(void)state;
	fingerprint_hash_write(UINT64_C(0x0123456789abcdef), hash);
	assert_memory_equal(hash, "efcdab8967452301", sizeof(hash));
	assert_int_equal(fingerprint_hash_parse(hash, sizeof(hash), &v), 0);
	assert_int_equal(v, UINT64_C(0x0123456789abcdef));
	assert_int_equal(fingerprint_hash_parse("", 0, &v), -EBADMSG);
	assert_int_equal(fingerprint_hash_parse("EFCDAB8967452301", 16, &v),
			 -EBADMSG);
	assert_int_equal(fingerprint_hash_parse("efcdab8967452301\n", 17, &v),
			 -EBADMSG);
}

static void test_path(void **state)
{
	struct span file = span_of("leaf/src/lib.rs"), other = span_of("/x/y");
	struct fingerprint f = load(&member);
	uint64_t was = f.path;

	(void)state;
	assert_int_equal(fingerprint_path_hash(file), was);
	assert_int_equal(fingerprint_path_hash(span_of("leaf/.//src/lib.rs/.")),
			 was);
	assert_true(fingerprint_path_hash(span_of("./leaf/src/lib.rs")) != was);
	assert_true(fingerprint_path_hash(span_of("leafsrc/lib.rs")) != was);
	assert_true(fingerprint_path_hash(span_of("leaf/src/.lib.rs")) != was);
	assert_int_equal(fingerprint_move(&f, other, file), -ESTALE);
	assert_int_equal(f.path, was);
	assert_int_equal(fingerprint_move(&f, file, other), 0);
	assert_true(f.path != was);
	assert_int_equal(fingerprint_move(&f, other, file), 0);
	assert_hash(&f, member.hash);
	fingerprint_release(&f);
}

static void test_replace_dep(void **state)
{
	struct fingerprint f = load(&member);
	uint64_t was = f.deps[1].value;

	(void)state;
	assert_int_equal(fingerprint_replace_dep(&f, 17, 18), 0);
	assert_hash(&f, member.hash);
	assert_int_equal(fingerprint_replace_dep(&f, was, 17), 1);
	assert_int_equal(f.deps[1].value, 17);
	assert_int_equal(fingerprint_replace_dep(&f, 17, was), 1);
	assert_hash(&f, member.hash);
	fingerprint_release(&f);
}

static void test_newest(void **state)
{
	static const char *const no[] = {
		"",
		"1.0.210",
		"1.000000000s",
		"1.00000000s (a)",
		"1.0000000000s (a)",
		".000000000s (a)",
		"1.000000000s (a",
		"1.000000000s a)",
		"9223372036854775808.000000000s (a)",
		"4f1d98451",
	};
	struct fingerprint f = load(&doc);
	struct fingerprint_newest n;
	struct buf b = { 0 };

	(void)state;
	assert_true(fingerprint_newest_parse(f.locals[0].text, &n));
	assert_int_equal(n.sec, 1795794626);
	assert_int_equal(n.nsec, 711707517);
	assert_true(span_is(n.path, "src/lib.rs"));
	fingerprint_newest_write(&n, &b);
	assert_int_equal(b.len, f.locals[0].text.len);
	assert_memory_equal(b.data, f.locals[0].text.p, b.len);
	buf_reset(&b);
	n = (struct fingerprint_newest){ 5, 7, span_of("a) (b") };
	fingerprint_newest_write(&n, &b);
	f.locals[0].text = (struct span){ (char *)b.data, b.len };
	assert_true(span_is(f.locals[0].text, "5.000000007s (a) (b)"));
	assert_true(fingerprint_newest_parse(f.locals[0].text, &n));
	assert_true(span_is(n.path, "a) (b"));
	buf_release(&b);
	fingerprint_release(&f);
	assert_true(fingerprint_newest_parse(span_of("-1.999999999s ()"), &n));
	assert_int_equal(n.sec, -1);
	for (size_t i = 0; i < ARRAY_LEN(no); i++)
		assert_false(fingerprint_newest_parse(span_of(no[i]), &n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_value_and_bytes),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_one_byte_changed),
		cmocka_unit_test(test_not_understood),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_hash_file),
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_replace_dep),
		cmocka_unit_test(test_newest),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
