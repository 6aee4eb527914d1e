/* SPDX-License-Identifier: Apache-2.0 */
/* store/digest.c: vectors of FIPS 180-4's examples. */
#include "config.h"

#include "tests/unit/fixture.h"

static void check(const char *bytes, const char *hex)
{
	char got[DIGEST_HEX_LEN + 1];
	struct digest d, back;

	OK(digest_of(bytes, strlen(bytes), &d));
	digest_hex(&d, got);
	assert_string_equal(got, hex);
	OK(digest_parse(hex, strlen(hex), &back));
	assert_true(digest_equal(&d, &back));
	back.b[31] ^= 1;
	assert_false(digest_equal(&d, &back));
}

static void vectors(void **state)
{
	(void)state;
	check("", "e3b0c44298fc1c149afbf4c8996fb924"
		  "27ae41e4649b934ca495991b7852b855");
	check("abc", "ba7816bf8f01cfea414140de5dae2223"
		     "b00361a396177a9cb410ff61f20015ad");
	check("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	      "248d6a61d20638b8e5c026930c3e6039"
	      "a33ce45964ff2167f6ecedd419db06c1");
}

static bool two_pieces(void *arg)
{
	return ++*(int *)arg <= 2;
}

static void of_a_file(void **state)
{
	const size_t len = 3 * 1024 * 1024 + 17;
	char *bytes = calloc(1, len);
	struct digest a, b;
	uint64_t got;
	struct place p;
	int fd, asked = 0;

	(void)state;
	enter(&p);
	fd = open(p.dir, O_TMPFILE | O_RDWR, 0600);
	assert_true(fd >= 0);
	for (size_t i = 0; i < len; i++)
		bytes[i] = (char)(i * 7);
	OK(write_full(fd, bytes, len)); /* the position is at the end */
	OK(digest_of(bytes, len, &a));
	OK(digest_of_fd(fd, NULL, NULL, &b, &got));
	assert_true(digest_equal(&a, &b));
	assert_int_equal(got, len);
	assert_int_equal(digest_of_fd(fd, two_pieces, &asked, &b, &got),
			 -ECANCELED);
	OK(ftruncate(fd, 1024 * 1024)); /* exactly one piece */
	OK(digest_of(bytes, 1024 * 1024, &a));
	OK(digest_of_fd(fd, NULL, NULL, &b, &got));
	assert_true(digest_equal(&a, &b));
	assert_int_equal(got, 1024 * 1024);
	OK(close(fd));
	free(bytes);
	leave(&p);
}

static void parse_refuses(void **state)
{
	static const char bad[] = "Ag/:@`\xff";
	char hex[DIGEST_HEX_LEN + 2];
	struct digest d;

	(void)state;
	memset(hex, 'a', sizeof(hex));
	OK(digest_parse(hex, DIGEST_HEX_LEN, &d));
	assert_int_equal(digest_parse(hex, DIGEST_HEX_LEN - 1, &d), -EINVAL);
	assert_int_equal(digest_parse(hex, DIGEST_HEX_LEN + 1, &d), -EINVAL);
	for (size_t i = 0; i < sizeof(bad); i++) {
		hex[9] = bad[i];
		assert_int_equal(digest_parse(hex, DIGEST_HEX_LEN, &d),
				 -EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors),
		cmocka_unit_test(of_a_file),
		cmocka_unit_test(parse_refuses),
	};

	return RUN_TAP(tests);
}
