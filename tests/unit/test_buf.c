/* SPDX-License-Identifier: Apache-2.0 */
/* store/base/buf.c */
#include "config.h"

#include "tests/unit/fixture.h"

#include "store/base/buf.h"

static void what_is_put_is_taken(void **state)
{
	struct buf b = { 0 };
	struct reader r;
	const void *p;
	size_t len;

	(void)state;
	buf_u8(&b, 0xfe);
	buf_u16(&b, 0xfedc);
	buf_u32(&b, 0xfedcba98);
	buf_u64(&b, 0xfedcba9876543210);
	buf_str16(&b, "name", 4);
	buf_str16(&b, NULL, 0);
	buf_put(&b, "tail", 4);
	assert_int_equal(b.err, 0);
	assert_int_equal(b.data[1], 0xdc); /* little-endian */
	r = reader_of(b.data, b.len);
	assert_int_equal(take_u8(&r), 0xfe);
	assert_int_equal(take_u16(&r), 0xfedc);
	assert_int_equal(take_u32(&r), 0xfedcba98);
	assert_true(take_u64(&r) == 0xfedcba9876543210);
	p = take_str16(&r, &len);
	assert_int_equal(len, 4);
	assert_memory_equal(p, "name", 4);
	(void)take_str16(&r, &len);
	assert_int_equal(len, 0);
	assert_memory_equal(take(&r, 4), "tail", 4);
	assert_false(r.bad);
	assert_int_equal(r.left, 0);
	buf_release(&b);
}

static void past_the_end_is_bad_for_good(void **state)
{
	struct reader r = reader_of("\1\2\3", 3);
	size_t len = 7;

	(void)state;
	assert_int_equal(take_u32(&r), 0);
	assert_true(r.bad);
	assert_int_equal(take_u8(&r), 0);
	assert_null(take(&r, 0));
	assert_null(take_str16(&r, &len));
	assert_int_equal(len, 0);
	r = reader_of("\5\0ab", 4);
	assert_null(take_str16(&r, &len));
	assert_true(r.bad);
}

static void it_grows_and_errors_stick(void **state)
{
	struct buf b = { 0 };

	(void)state;
	for (unsigned i = 0; i < 10000; i++)
		buf_u32(&b, i);
	assert_int_equal(b.len, 40000);
	assert_null(buf_grow(&b, SIZE_MAX - 100));
	assert_int_equal(b.err, -ENOMEM);
	buf_u8(&b, 1);
	assert_int_equal(b.len, 40000);
	buf_reset(&b);
	assert_int_equal(b.err, 0);
	buf_str16(&b, "x", 65536);
	assert_int_equal(b.err, -EINVAL);
	assert_int_equal(b.len, 0);
	buf_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_put_is_taken),
		cmocka_unit_test(past_the_end_is_bad_for_good),
		cmocka_unit_test(it_grows_and_errors_stick),
	};

	return RUN_TAP(tests);
}
