/* SPDX-License-Identifier: Apache-2.0 */
/* store/batch.c: what is put in comes out, and what is no batch does not. */
#include "config.h"

#include "tests/unit/fixture.h"

#include "store/batch.h"

static void round_trip(void **state)
{
	struct digest d = digest_of_str("x");
	struct node_rec rec = blob_node(&d, 9), back;
	struct batch b = { 0 };
	struct batch_op op;
	struct reader r;

	(void)state;
	OK(batch_put_node(&b, 7, &rec));
	OK(batch_del_node(&b, 8));
	OK(batch_put_name(&b, 1, "name", 4, 7));
	OK(batch_del_name(&b, 2, "other", 5));
	OK(batch_put_inline(&b, &d, "bytes", 5));
	OK(batch_put_inline(&b, &d, NULL, 0));
	OK(batch_put_blob(&b, &d, 1ULL << 40, 11));
	OK(batch_drop_staging(&b, 12));
	assert_int_equal(b.count, 8);
	r = reader_of(b.ops.data, b.ops.len);
	assert_int_equal(batch_next(&r, &op), 1);
	assert_true(op.kind == OP_PUT_NODE && op.ino == 7);
	OK(node_rec_decode(op.p, op.len, &back));
	assert_true(digest_equal(&back.digest, &d));
	assert_int_equal(batch_next(&r, &op), 1);
	assert_true(op.kind == OP_DEL_NODE && op.ino == 8);
	assert_int_equal(batch_next(&r, &op), 1);
	assert_true(op.kind == OP_PUT_NAME && op.ino == 1 && op.target == 7 &&
		    op.len == 4 && !memcmp(op.p, "name", 4));
	assert_int_equal(batch_next(&r, &op), 1);
	assert_true(op.kind == OP_DEL_NAME && op.ino == 2 && op.len == 5);
	assert_int_equal(batch_next(&r, &op), 1);
	assert_true(op.kind == OP_PUT_INLINE && op.len == 5 &&
		    digest_equal(&op.digest, &d));
	assert_int_equal(batch_next(&r, &op), 1);
	assert_true(op.kind == OP_PUT_INLINE && op.len == 0);
	assert_int_equal(batch_next(&r, &op), 1);
	assert_true(op.kind == OP_PUT_BLOB && op.size == 1ULL << 40 &&
		    op.target == 11);
	assert_int_equal(batch_next(&r, &op), 1);
	assert_true(op.kind == OP_DROP_STAGING && op.target == 12);
	assert_int_equal(batch_next(&r, &op), 0);
	assert_int_equal(batch_next(&r, &op), 0);
	batch_release(&b);
}

static void refused_operations_leave_no_trace(void **state)
{
	static char big[BLOB_INLINE_MAX + 1];
	struct digest d = { { 0 } };
	struct node_rec bad = empty_node();
	struct batch b = { 0 };

	(void)state;
	bad.size = 1; /* an empty file has none */
	assert_int_equal(batch_put_node(&b, 1, &bad), -EINVAL);
	assert_int_equal(batch_put_name(&b, 1, "", 0, 2), -EINVAL);
	assert_int_equal(batch_put_name(&b, 1, big, 256, 2), -EINVAL);
	assert_int_equal(batch_del_name(&b, 1, big, 256), -EINVAL);
	assert_int_equal(batch_put_inline(&b, &d, big, sizeof(big)), -EINVAL);
	assert_int_equal(b.count, 0);
	assert_int_equal(b.ops.len, 0);
	OK(batch_put_name(&b, 1, big, 255, 2));
	OK(batch_put_inline(&b, &d, big, BLOB_INLINE_MAX));
	batch_release(&b);
}

static void what_is_no_batch(void **state)
{
	static const struct {
		const char *defect, *bytes;
		size_t len;
	} cases[] = {
		{ "unknown-op", "x", 1 },
		{ "number-cut", "n1234567", 8 },
		{ "node-past-the-end", "N12345678\4\0\0\0abc", 16 },
		{ "node-length-huge", "N12345678\xff\xff\xff\xff", 13 },
		{ "name-empty", "d12345678\0\0", 11 },
		{ "name-too-long", "d12345678\0\1", 11 },
		{ "name-without-node", "D12345678\1\0a", 12 },
		{ "digest-cut", "I0123456789012345678901234567890", 32 },
		{ "inline-too-long", "I01234567890123456789012345678901\1\x40",
		  35 },
	};
	struct batch_op op;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct reader r = reader_of(cases[i].bytes, cases[i].len);

		if (batch_next(&r, &op) != -EBADMSG)
			fail_msg("%s is accepted", cases[i].defect);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(refused_operations_leave_no_trace),
		cmocka_unit_test(what_is_no_batch),
	};

	return RUN_TAP(tests);
}
