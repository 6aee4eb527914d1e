/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store/record.c: round trips, random records, and inputs that have to fail,
 * named by their defect.
 */
#include "config.h"

#include "tests/unit/fixture.h"

#include "store/schema.h"

static struct node_rec full_node(uint8_t content)
{
	static const char xattrs[] = "\6\0user.a\3\0val\6\0user.b\0\0";
	struct node_rec rec = {
		.mode = S_IFREG | 0755,
		.uid = 1000,
		.gid = 1001,
		.nlink = 2,
		.size = 12345678901,
		.blocks = 99,
		.atime = { -1, 999999999 },
		.mtime = { 1700000000, 1 },
		.ctime = { 1, 0 },
		.flags = NODE_FLUX | NODE_UNSYNCED,
		.content = content,
		.xattrs = { xattrs, sizeof(xattrs) - 1 },
	};

	if (content == CONTENT_BLOB)
		rec.digest = digest_of_str("x");
	if (content == CONTENT_STAGING)
		rec.staging_id = UINT64_MAX;
	if (content == CONTENT_NONE)
		rec.size = 0;
	if (content == CONTENT_SYMLINK) {
		rec.mode = S_IFLNK | 0777;
		rec.target = (struct span_str){ "../dest", 7 };
		rec.size = 7;
	}
	return rec;
}

static void same_time(struct timespec a, struct timespec b)
{
	assert_true(a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec);
}

static void same_str(struct span_str a, struct span_str b)
{
	assert_int_equal(a.len, b.len);
	if (a.len)
		assert_memory_equal(a.p, b.p, a.len);
}

static void node_round_trip(void **state)
{
	(void)state;
	for (uint8_t c = CONTENT_NONE; c <= CONTENT_SYMLINK; c++) {
		struct node_rec a = full_node(c), b;
		struct buf one = { 0 }, two = { 0 };

		OK(node_rec_encode(&a, &one));
		OK(node_rec_decode(one.data, one.len, &b));
		assert_int_equal(a.mode, b.mode);
		assert_int_equal(a.uid, b.uid);
		assert_int_equal(a.gid, b.gid);
		assert_int_equal(a.nlink, b.nlink);
		assert_int_equal(a.size, b.size);
		assert_int_equal(a.blocks, b.blocks);
		same_time(a.atime, b.atime);
		same_time(a.mtime, b.mtime);
		same_time(a.ctime, b.ctime);
		assert_int_equal(a.flags, b.flags);
		assert_int_equal(a.content, b.content);
		assert_true(digest_equal(&a.digest, &b.digest));
		assert_true(a.staging_id == b.staging_id);
		same_str(a.target, b.target);
		same_str(a.xattrs, b.xattrs);
		OK(node_rec_encode(&b, &two));
		assert_int_equal(one.len, two.len);
		assert_memory_equal(one.data, two.data, one.len);
		buf_release(&one);
		buf_release(&two);
	}
}

static void truncation_and_tail_fail(void **state)
{
	struct buf b = { 0 };
	struct node_rec rec;

	(void)state;
	for (uint8_t c = CONTENT_NONE; c <= CONTENT_SYMLINK; c++) {
		struct node_rec a = full_node(c);

		buf_reset(&b);
		OK(node_rec_encode(&a, &b));
		for (size_t n = 0; n < b.len; n++)
			assert_int_equal(node_rec_decode(b.data, n, &rec),
					 -EBADMSG);
		buf_u8(&b, 0);
		assert_int_equal(node_rec_decode(b.data, b.len, &rec),
				 -EBADMSG);
	}
	buf_release(&b);
}

/* Offsets by the grammar in schema.h. */
enum {
	AT_VERSION = 0,
	AT_FLAGS = 1,
	AT_CONTENT = 2,
	AT_MODE = 3,
	AT_SIZE = 19,
	AT_NSEC = 43,
	AT_BODY = 71
};

static int decode_with(uint8_t content, size_t at, const char *bytes,
		       size_t len)
{
	struct node_rec a = full_node(content), b;
	struct buf buf = { 0 };
	int r;

	OK(node_rec_encode(&a, &buf));
	assert_true(at + len <= buf.len);
	memcpy(buf.data + at, bytes, len);
	r = node_rec_decode(buf.data, buf.len, &b);
	buf_release(&buf);
	return r;
}

static void node_should_fail(void **state)
{
	static const struct {
		const char *defect;
		uint8_t content;
		size_t at;
		const char *bytes;
		size_t len;
	} cases[] = {
		{ "version-0", CONTENT_BLOB, AT_VERSION, "\0", 1 },
		{ "version-from-the-future", CONTENT_BLOB, AT_VERSION, "\2",
		  1 },
		{ "unknown-flag", CONTENT_BLOB, AT_FLAGS, "\4", 1 },
		{ "unknown-content", CONTENT_BLOB, AT_CONTENT, "\4", 1 },
		{ "device-node", CONTENT_NONE, AT_MODE, "\0\x20\0\0", 4 },
		{ "no-type", CONTENT_NONE, AT_MODE, "\0\0\0\0", 4 },
		{ "mode-beyond-16-bits", CONTENT_BLOB, AT_MODE + 2, "\1", 1 },
		{ "directory-with-blob", CONTENT_BLOB, AT_MODE, "\0\x40", 2 },
		{ "symlink-with-blob", CONTENT_BLOB, AT_MODE, "\xff\xa1", 2 },
		{ "negative-size", CONTENT_BLOB, AT_SIZE + 7, "\x80", 1 },
		{ "empty-file-with-size", CONTENT_NONE, AT_SIZE, "\1", 1 },
		{ "symlink-size-differs", CONTENT_SYMLINK, AT_SIZE, "\6", 1 },
		{ "a-second-of-nanoseconds", CONTENT_BLOB, AT_NSEC,
		  "\x00\xca\x9a\x3b", 4 },
		{ "target-too-long", CONTENT_SYMLINK, AT_BODY, "\xff\xff", 2 },
		{ "target-empty", CONTENT_SYMLINK, AT_BODY, "\0\0", 2 },
		{ "target-with-nul", CONTENT_SYMLINK, AT_BODY + 4, "\0", 1 },
		{ "xattrs-past-the-end", CONTENT_NONE, AT_BODY, "\x18", 1 },
		{ "xattrs-too-short", CONTENT_NONE, AT_BODY, "\x16", 1 },
		{ "xattrs-length-huge", CONTENT_NONE, AT_BODY + 3, "\xff", 1 },
		{ "xattr-name-empty", CONTENT_NONE, AT_BODY + 4, "\0", 1 },
		{ "xattr-name-too-long", CONTENT_NONE, AT_BODY + 5, "\1", 1 },
		{ "xattr-name-with-nul", CONTENT_NONE, AT_BODY + 8, "\0", 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int r = decode_with(cases[i].content, cases[i].at,
				    cases[i].bytes, cases[i].len);

		if (r != -EBADMSG)
			fail_msg("%s is accepted", cases[i].defect);
	}
}

static void encoder_refuses_what_decoder_would(void **state)
{
	static char big[NODE_XATTRS_MAX + 8], target[NODE_TARGET_MAX + 1];
	struct node_rec rec = full_node(CONTENT_NONE);
	struct buf b = { 0 };

	(void)state;
	rec.size = 1;
	assert_int_equal(node_rec_encode(&rec, &b), -EINVAL);
	rec = full_node(CONTENT_NONE);
	rec.mode = S_IFCHR | 0600;
	assert_int_equal(node_rec_encode(&rec, &b), -EINVAL);
	rec = full_node(CONTENT_NONE);
	memset(big, 'a', sizeof(big));
	rec.xattrs = (struct span_str){ big, sizeof(big) };
	assert_int_equal(node_rec_encode(&rec, &b), -EINVAL);
	rec = full_node(CONTENT_SYMLINK);
	memset(target, 'a', sizeof(target));
	rec.target = (struct span_str){ target, NODE_TARGET_MAX };
	rec.size = NODE_TARGET_MAX;
	OK(node_rec_encode(&rec, &b));
	rec.target.len = rec.size = NODE_TARGET_MAX + 1;
	assert_int_equal(node_rec_encode(&rec, &b), -EINVAL);
	buf_release(&b);
}

/* What the decoder accepts encodes to the same bytes. */
static void random_bytes(void **state)
{
	struct buf b = { 0 }, again = { 0 };
	struct node_rec rec;
	unsigned accepted = 0;

	(void)state;
	srandom(4711);
	for (unsigned i = 0; i < 200000; i++) {
		struct node_rec a = full_node((uint8_t)(i % 4));

		buf_reset(&b);
		buf_reset(&again);
		OK(node_rec_encode(&a, &b));
		for (int n = (int)(random() % 3); n >= 0; n--)
			b.data[(size_t)random() % b.len] ^=
				(uint8_t)(1 << random() % 8);
		if (node_rec_decode(b.data, b.len, &rec) < 0)
			continue;
		accepted++;
		OK(node_rec_encode(&rec, &again));
		assert_int_equal(b.len, again.len);
		assert_memory_equal(b.data, again.data, b.len);
	}
	assert_true(accepted > 1000);
	buf_release(&b);
	buf_release(&again);
}

static void blob_round_trip(void **state)
{
	struct blob_rec a = {
		.size = 1,
		.refs = UINT64_MAX,
		.units = 7,
		.used = -5,
		.tier = BLOB_FILE,
	};
	struct blob_rec back;
	struct buf b = { 0 };

	(void)state;
	OK(blob_rec_encode(&a, &b));
	OK(blob_rec_decode(b.data, b.len, &back));
	assert_true(back.size == 1 && back.refs == UINT64_MAX &&
		    back.units == 7 && back.used == -5 &&
		    back.tier == BLOB_FILE);
	for (size_t n = 0; n < b.len; n++)
		assert_int_equal(blob_rec_decode(b.data, n, &back), -EBADMSG);
	b.data[1] = 2;
	assert_int_equal(blob_rec_decode(b.data, b.len, &back), -EBADMSG);
	b.data[1] = 1;
	b.data[9] = 0x80;
	assert_int_equal(blob_rec_decode(b.data, b.len, &back), -EBADMSG);
	buf_reset(&b);
	a.refs = 6;
	assert_int_equal(blob_rec_encode(&a, &b), -EINVAL);
	a.refs = 7;
	OK(blob_rec_encode(&a, &b));
	b.data[10]--;
	assert_int_equal(blob_rec_decode(b.data, b.len, &back), -EBADMSG);
	buf_release(&b);
}

static void view_round_trip(void **state)
{
	struct view_rec a = { .id = 4, .name = "proj", .workspace = "/w/proj" };
	struct view_rec back;
	struct buf b = { 0 };

	(void)state;
	a.next_ino = 17;
	a.seq = 18;
	a.created = -19;
	a.mounted = 20;
	memset(a.boot_id, 0xee, sizeof(a.boot_id));
	OK(view_rec_encode(&a, &b));
	OK(view_rec_decode(b.data, b.len, &back));
	back.id = 4;
	assert_memory_equal(&a, &back, sizeof(a));
	for (size_t n = 0; n < b.len; n++)
		assert_int_equal(view_rec_decode(b.data, n, &back), -EBADMSG);
	buf_u8(&b, 0);
	assert_int_equal(view_rec_decode(b.data, b.len, &back), -EBADMSG);
	buf_release(&b);
}

static void view_should_fail(void **state)
{
	static const struct {
		const char *defect, *name, *workspace;
		uint32_t flags;
	} cases[] = {
		{ "name-empty", "", "/w", 0 },
		{ "name-with-slash", "a/b", "/w", 0 },
		{ "name-dot", ".", "/w", 0 },
		{ "name-dot-dot", "..", "/w", 0 },
		{ "shelf-of-a-workspace", "71/a", "/w", 0 },
		{ "shelf-of-other-digits", "7G/a", "", VIEW_HOST },
		{ "shelf-with-nothing", "71/", "", VIEW_HOST },
		{ "shelf-below-a-shelf", "71/71/a", "", VIEW_HOST },
		{ "workspace-relative", "a", "w", 0 },
		{ "workspace-empty", "a", "", 0 },
		{ "host-with-workspace", "a", "/w", VIEW_HOST },
		{ "unknown-flag", "a", "/w", 4 },
	};
	struct view_rec rec, back;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf b = { 0 };

		memset(&rec, 0, sizeof(rec));
		strcpy(rec.name, cases[i].name);
		strcpy(rec.workspace, cases[i].workspace);
		rec.flags = cases[i].flags;
		if (view_rec_encode(&rec, &b) != -EINVAL)
			fail_msg("%s is encoded", cases[i].defect);
		buf_reset(&b);
		buf_u8(&b, VIEW_VERSION);
		buf_u32(&b, rec.flags);
		buf_str16(&b, rec.name, strlen(rec.name));
		buf_str16(&b, rec.workspace, strlen(rec.workspace));
		memset(buf_grow(&b, 48), 0, 48);
		if (view_rec_decode(b.data, b.len, &back) != -EBADMSG)
			fail_msg("%s is decoded", cases[i].defect);
		buf_release(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(node_round_trip),
		cmocka_unit_test(truncation_and_tail_fail),
		cmocka_unit_test(node_should_fail),
		cmocka_unit_test(encoder_refuses_what_decoder_would),
		cmocka_unit_test(random_bytes),
		cmocka_unit_test(blob_round_trip),
		cmocka_unit_test(view_round_trip),
		cmocka_unit_test(view_should_fail),
	};

	return RUN_TAP(tests);
}
