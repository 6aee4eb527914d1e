/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store/unit_rec.c: the bytes that the grammar in schema.h prescribes, and
 * inputs that have to fail, named by their defect: neither does the encoder
 * accept them, nor the decoder what an encoder without checks made of them.
 */
#include "config.h"

#include "tests/unit/fixture.h"

#include "store/schema.h"
#include "tests/unit/units.h"

/* --- an encoder that checks nothing --------------------------------------- */

static void raw_str(struct buf *b, struct span_str s)
{
	buf_u16(b, (uint16_t)s.len);
	buf_put(b, s.p, s.len);
}

static void raw_file(struct buf *b, const struct unit_file *f)
{
	buf_u8(b, f->type);
	buf_u32(b, f->mode);
	raw_str(b, f->path);
	if (f->type == 1) {
		buf_u64(b, f->size);
		buf_put(b, f->digest.b, 32);
	}
	if (f->type == 2)
		buf_u32(b, f->link);
	if (f->type == 3)
		raw_str(b, f->target);
}

static void raw_object(struct buf *b, const struct unit_object *obj)
{
	buf_u8(b, 1);
	buf_u8(b, obj->flags);
	raw_str(b, obj->profile);
	raw_str(b, obj->package);
	raw_str(b, obj->writer);
	buf_u64(b, (uint64_t)obj->created);
	buf_u32(b, obj->compile_msec);
	raw_str(b, obj->origin_workspace);
	raw_str(b, obj->origin_target);
	buf_put(b, obj->recipe.b, 32);
	buf_u32(b, (uint32_t)obj->input_count);
	for (size_t i = 0; i < obj->input_count; i++) {
		buf_u8(b, obj->inputs[i].kind);
		raw_str(b, obj->inputs[i].name);
		buf_put(b, obj->inputs[i].value.b, 32);
		raw_str(b, obj->inputs[i].shown);
	}
	buf_u32(b, (uint32_t)obj->file_count);
	for (size_t i = 0; i < obj->file_count; i++)
		raw_file(b, &obj->files[i]);
}

static void raw_list(struct buf *b, const struct unit_list *list)
{
	buf_u8(b, 1);
	buf_u32(b, (uint32_t)list->count);
	for (size_t i = 0; i < list->count; i++) {
		buf_u8(b, list->inputs[i].kind);
		raw_str(b, list->inputs[i].name);
	}
}

/* --- what is valid -------------------------------------------------------- */

static void same_bytes(const struct buf *a, const struct buf *b)
{
	assert_int_equal(a->len, b->len);
	assert_memory_equal(a->data, b->data, a->len);
}

static void object_round_trip(void **state)
{
	struct buf raw = { 0 }, one = { 0 }, two = { 0 };
	struct unit_object back;
	struct made m;

	(void)state;
	make_unit(&m, 1, "one", "two");
	raw_object(&raw, &m.obj);
	OK(unit_object_encode(&m.obj, &one));
	same_bytes(&raw, &one);
	OK(unit_object_decode(one.data, one.len, &back));
	assert_int_equal(back.flags, 0x81);
	assert_int_equal(back.created, 1700000000);
	assert_int_equal(back.compile_msec, 1234);
	assert_int_equal(back.input_count, 5);
	assert_int_equal(back.file_count, 6);
	assert_int_equal(back.files[0].size, 3);
	assert_int_equal(back.files[3].link, 1);
	assert_int_equal(back.files[4].target.len, 10);
	assert_memory_equal(back.inputs[1].shown.p, "x", 1);
	OK(unit_object_encode(&back, &two));
	same_bytes(&raw, &two);
	unit_object_release(&back);
	buf_release(&raw);
	buf_release(&one);
	buf_release(&two);
}

static void an_object_of_nothing(void **state)
{
	struct unit_object obj = { 0 }, back;
	struct buf b = { 0 };

	(void)state;
	OK(unit_object_encode(&obj, &b));
	OK(unit_object_decode(b.data, b.len, &back));
	assert_int_equal(back.input_count + back.file_count, 0);
	unit_object_release(&back);
	buf_release(&b);
}

static void list_round_trip(void **state)
{
	struct buf raw = { 0 }, one = { 0 };
	struct unit_list list, back;
	struct made m;

	(void)state;
	make_unit(&m, 1, "one", "two");
	list = (struct unit_list){ m.inputs, 5 };
	raw_list(&raw, &list);
	OK(unit_list_encode(&list, &one));
	same_bytes(&raw, &one);
	OK(unit_list_decode(one.data, one.len, &back));
	assert_int_equal(back.count, 5);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(back.inputs[i].kind, m.inputs[i].kind);
		assert_int_equal(back.inputs[i].name.len, m.inputs[i].name.len);
		assert_int_equal(back.inputs[i].shown.len, 0);
	}
	unit_list_release(&back);
	for (size_t n = 0; n < one.len; n++)
		assert_int_equal(unit_list_decode(one.data, n, &back),
				 -EBADMSG);
	buf_u8(&one, 0);
	assert_int_equal(unit_list_decode(one.data, one.len, &back), -EBADMSG);
	buf_release(&raw);
	buf_release(&one);
}

/* The key is of the names, and of the values, and of nothing else. */
static void digests(void **state)
{
	struct digest real;
	struct made a, b;
	struct buf buf = { 0 };

	(void)state;
	make_unit(&a, 1, "one", "two");
	OK(digest_of("", 0, &real));
	assert_true(digest_equal(&real, &digest_of_nothing));
	raw_list(&buf, &(struct unit_list){ a.inputs, 5 });
	OK(digest_of(buf.data, buf.len, &real));
	assert_true(digest_equal(&real, &a.key.list));
	buf_reset(&buf);
	for (int i = 0; i < 5; i++)
		buf_put(&buf, a.inputs[i].value.b, 32);
	OK(digest_of(buf.data, buf.len, &real));
	assert_true(digest_equal(&real, &a.key.values));
	buf_release(&buf);

	make_unit(&b, 1, "other", "files");
	b.inputs[1].shown = STR("shown otherwise");
	set_key(&b);
	assert_memory_equal(&a.key, &b.key, sizeof(a.key));
	b.inputs[0].name = STR("src/lib.rs~");
	set_key(&b);
	assert_false(digest_equal(&a.key.list, &b.key.list));
	assert_true(digest_equal(&a.key.values, &b.key.values));
	make_inputs(&b);
	b.inputs[4].value = digest_of_str("another value");
	set_key(&b);
	assert_true(digest_equal(&a.key.list, &b.key.list));
	assert_false(digest_equal(&a.key.values, &b.key.values));
}

/* --- what is not ---------------------------------------------------------- */

static void object_is_refused(const struct unit_object *obj, const char *defect)
{
	struct buf b = { 0 }, raw = { 0 };
	struct unit_object back;

	buf_u8(&b, 42);
	if (unit_object_encode(obj, &b) != -EINVAL || b.len != 1 || b.err)
		fail_msg("%s is encoded", defect);
	raw_object(&raw, obj);
	if (unit_object_decode(raw.data, raw.len, &back) != -EBADMSG)
		fail_msg("%s is decoded", defect);
	buf_release(&b);
	buf_release(&raw);
}

static void object_is_accepted(const struct unit_object *obj, const char *what)
{
	struct buf b = { 0 }, again = { 0 };
	struct unit_object back;

	if (unit_object_encode(obj, &b) != 0)
		fail_msg("%s is not encoded", what);
	if (unit_object_decode(b.data, b.len, &back) != 0)
		fail_msg("%s is not decoded", what);
	OK(unit_object_encode(&back, &again));
	same_bytes(&b, &again);
	unit_object_release(&back);
	buf_release(&b);
	buf_release(&again);
}

static char many_a[70000]; /* "aaa..." */

static struct span_str many(size_t len)
{
	memset(many_a, 'a', sizeof(many_a));
	return (struct span_str){ many_a, len };
}

/* "aaa/aaa/...", in components of @each. */
static struct span_str long_path(size_t len, size_t each)
{
	static char path[PATH_MAX + 16];

	memset(path, 'a', sizeof(path));
	for (size_t i = each; i < len; i += each + 1)
		path[i] = '/';
	return (struct span_str){ path, len };
}

static void paths_should_fail(void **state)
{
	static const struct {
		const char *defect;
		struct span_str path;
	} cases[] = {
		{ "path-empty", STR("") },
		{ "path-absolute", STR("/deps/x") },
		{ "path-root", STR("/") },
		{ "path-dot-dot", STR("..") },
		{ "path-dot-dot-first", STR("../x") },
		{ "path-dot-dot-inside", STR("deps/../../x") },
		{ "path-dot-dot-last", STR("deps/..") },
		{ "path-dot", STR(".") },
		{ "path-dot-first", STR("./x") },
		{ "path-dot-inside", STR("deps/./x") },
		{ "path-dot-last", STR("deps/.") },
		{ "path-double-slash", STR("deps//x") },
		{ "path-slash-at-end", STR("deps/") },
		{ "path-with-nul", STR("deps/a\0b") },
		{ "path-nul-at-end", STR("deps/a\0") },
	};
	struct made m;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (size_t f = 0; f < ARRAY_LEN(m.files); f++) {
			make_unit(&m, 1, "one", "two");
			m.files[f].path = cases[i].path;
			object_is_refused(&m.obj, cases[i].defect);
		}
	make_unit(&m, 1, "one", "two");
	m.files[0].path = many(NODE_NAME_MAX + 1);
	object_is_refused(&m.obj, "component-too-long");
	m.files[0].path.len--;
	object_is_accepted(&m.obj, "the longest component");
	m.files[0].path = long_path(PATH_MAX, 100);
	object_is_refused(&m.obj, "path-too-long");
	m.files[0].path.len--;
	object_is_accepted(&m.obj, "the longest path");
	m.files[0].path = STR("...");
	object_is_accepted(&m.obj, "three dots");
	m.files[0].path = STR(".fingerprint/..x");
	object_is_accepted(&m.obj, "two dots and a letter");
}

static void trees_should_fail(void **state)
{
	struct made m;

	(void)state;
	make_unit(&m, 1, "one", "two");
	m.files[4].path = m.files[0].path;
	object_is_refused(&m.obj, "path-twice");
	make_unit(&m, 1, "one", "two");
	m.files[5].path = STR("build/x-00c0ffee00c0ffee");
	m.files[4].path = STR("build");
	object_is_refused(&m.obj, "symlink-with-children");
	make_unit(&m, 1, "one", "two");
	m.files[0].path = STR("build/x-00c0ffee00c0ffee/script/inside");
	object_is_refused(&m.obj, "link-with-children");
	m.files[0].path = STR("build/x-00c0ffee00c0ffee/script-inside");
	object_is_accepted(&m.obj, "a name that begins with another's");
	/* Between them in the order of bytes, but not in ours. */
	make_unit(&m, 1, "one", "two");
	m.files[0].path = STR("a");
	m.files[1].path = STR("a-b");
	m.files[2].path = STR("a/c");
	object_is_refused(&m.obj, "file-with-children");
	m.files[2].path = STR("a\xff/c");
	object_is_accepted(&m.obj, "bytes beyond ASCII");
}

static void files_should_fail(void **state)
{
	struct made m;

	(void)state;
	make_unit(&m, 1, "one", "two");
	m.files[0].type = 0;
	object_is_refused(&m.obj, "type-0");
	m.files[0].type = 5;
	object_is_refused(&m.obj, "unknown-type");
	make_unit(&m, 1, "one", "two");
	m.files[0].mode = 04755;
	object_is_refused(&m.obj, "set-user-id");
	m.files[0].mode = 02755;
	object_is_refused(&m.obj, "set-group-id");
	m.files[0].mode = S_IFREG | 0644;
	object_is_refused(&m.obj, "mode-with-type");
	m.files[0].mode = 01777;
	object_is_accepted(&m.obj, "the sticky bit");
	m.files[5].mode = 02755;
	object_is_refused(&m.obj, "set-group-id-directory");
	make_unit(&m, 1, "one", "two");
	m.files[0].size = (uint64_t)1 << 63;
	object_is_refused(&m.obj, "negative-size");
	m.files[0].size = 0;
	object_is_refused(&m.obj, "size-0-of-something");
	make_unit(&m, 1, "one", "two");
	m.files[3].link = 3;
	object_is_refused(&m.obj, "link-to-itself");
	m.files[3].link = 4;
	object_is_refused(&m.obj, "link-to-later");
	m.files[3].link = UINT32_MAX;
	object_is_refused(&m.obj, "link-beyond-the-end");
	m.files[3].link = 0;
	object_is_refused(&m.obj, "link-of-another-mode");
	m.files[3].mode = 0644;
	object_is_accepted(&m.obj, "a link to the first");
	m.files[0].type = UNIT_DIR;
	object_is_refused(&m.obj, "link-to-directory");
	make_unit(&m, 1, "one", "two");
	m.files[4].target = STR("");
	object_is_refused(&m.obj, "target-empty");
	m.files[4].target = STR("a\0b");
	object_is_refused(&m.obj, "target-with-nul");
	m.files[4].target = many(NODE_TARGET_MAX + 1);
	object_is_refused(&m.obj, "target-too-long");
	m.files[4].target.len--;
	object_is_accepted(&m.obj, "the longest target");
}

static void inputs_should_fail(void **state)
{
	struct made m;

	(void)state;
	make_unit(&m, 1, "one", "two");
	m.inputs[0].kind = 0;
	object_is_refused(&m.obj, "input-kind-0");
	m.inputs[0].kind = 6;
	object_is_refused(&m.obj, "unknown-input-kind");
	for (size_t i = 0; i < 4; i++) {
		make_unit(&m, 1, "one", "two");
		m.inputs[i].name = STR("");
		object_is_refused(&m.obj, "input-name-empty");
		m.inputs[i].name = STR("a\0b");
		object_is_refused(&m.obj, "input-name-with-nul");
		m.inputs[i].name = many(UNIT_NAME_MAX + 1);
		object_is_refused(&m.obj, "input-name-too-long");
		m.inputs[i].name.len--;
		object_is_accepted(&m.obj, "the longest name");
	}
	make_unit(&m, 1, "one", "two");
	m.inputs[1].name = STR("A=B");
	object_is_refused(&m.obj, "env-name-with-equals");
	make_unit(&m, 1, "one", "two");
	m.inputs[2].shown = many(UNIT_SHOWN_MAX + 1);
	object_is_refused(&m.obj, "shown-too-long");
	m.inputs[2].shown.len--;
	object_is_accepted(&m.obj, "the longest that is shown");
	m.inputs[2].shown = STR("a\0b");
	object_is_refused(&m.obj, "shown-with-nul");
}

static void texts_should_fail(void **state)
{
	struct made m;
	struct span_str *texts[] = { &m.obj.profile, &m.obj.package,
				     &m.obj.writer };
	struct span_str *origins[] = { &m.obj.origin_workspace,
				       &m.obj.origin_target };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		make_unit(&m, 1, "one", "two");
		*texts[i] = STR("a\0b");
		object_is_refused(&m.obj, "text-with-nul");
		*texts[i] = many(UNIT_TEXT_MAX + 1);
		object_is_refused(&m.obj, "text-too-long");
		texts[i]->len--;
		object_is_accepted(&m.obj, "the longest text");
	}
	for (size_t i = 0; i < ARRAY_LEN(origins); i++) {
		make_unit(&m, 1, "one", "two");
		*origins[i] = STR("work/x");
		object_is_refused(&m.obj, "origin-relative");
		*origins[i] = STR("/a\0b");
		object_is_refused(&m.obj, "origin-with-nul");
		*origins[i] = long_path(PATH_MAX, 0);
		object_is_refused(&m.obj, "origin-too-long");
		origins[i]->len--;
		object_is_accepted(&m.obj, "the longest origin");
		*origins[i] = STR("");
		object_is_accepted(&m.obj, "no origin");
	}
}

static void truncation_and_tail_fail(void **state)
{
	struct buf b = { 0 };
	struct unit_object back;
	struct made m;

	(void)state;
	make_unit(&m, 1, "one", "two");
	OK(unit_object_encode(&m.obj, &b));
	for (size_t n = 0; n < b.len; n++)
		assert_int_equal(unit_object_decode(b.data, n, &back),
				 -EBADMSG);
	buf_u8(&b, 0);
	assert_int_equal(unit_object_decode(b.data, b.len, &back), -EBADMSG);
	b.data[0] = 2;
	assert_int_equal(unit_object_decode(b.data, b.len - 1, &back),
			 -EBADMSG);
	b.data[0] = 1;
	OK(unit_object_decode(b.data, b.len - 1, &back));
	unit_object_release(&back);
	buf_release(&b);
}

/* A count is not believed: what it would take is not there. */
static void counts_beyond_the_end(void **state)
{
	struct unit_object back, nothing = { 0 };
	struct unit_list list;
	struct buf b = { 0 };

	(void)state;
	OK(unit_object_encode(&nothing, &b));
	memset(b.data + b.len - 4, 0xff, 4);
	assert_int_equal(unit_object_decode(b.data, b.len, &back), -EBADMSG);
	memset(b.data + b.len - 8, 0xff, 4);
	assert_int_equal(unit_object_decode(b.data, b.len, &back), -EBADMSG);
	buf_reset(&b);
	buf_u8(&b, LIST_VERSION);
	buf_u32(&b, UINT32_MAX);
	assert_int_equal(unit_list_decode(b.data, b.len, &list), -EBADMSG);
	buf_release(&b);
}

/* What does not fit in a row is refused, and leaves no half of it. */
static void too_big_for_a_row(void **state)
{
	enum { COUNT = 20000 };
	struct unit_input *inputs = calloc(COUNT, sizeof(*inputs));
	struct buf b = { 0 };
	struct unit_object back;
	struct made m;

	(void)state;
	make_unit(&m, 1, "one", "two");
	for (size_t i = 0; i < COUNT; i++) {
		inputs[i] = m.inputs[0];
		inputs[i].name = STR("src/a/file/of/some/length/lib.rs");
	}
	m.obj.inputs = inputs;
	m.obj.input_count = COUNT;
	buf_u8(&b, 42);
	assert_int_equal(unit_object_encode(&m.obj, &b), -E2BIG);
	assert_true(b.len == 1 && b.err == 0);
	m.obj.input_count = 1 + UINT32_MAX / 2;
	assert_int_equal(unit_object_encode(&m.obj, &b), -E2BIG);
	m.obj.input_count = 10000;
	OK(unit_object_encode(&m.obj, &b));
	OK(unit_object_decode(b.data + 1, b.len - 1, &back));
	assert_int_equal(back.input_count, 10000);
	unit_object_release(&back);
	/* As large as a decoder is never given by the index. */
	memset(buf_grow(&b, INDEX_VALUE_MAX), 0, INDEX_VALUE_MAX);
	assert_int_equal(unit_object_decode(b.data + 1, b.len - 1, &back),
			 -EBADMSG);
	buf_release(&b);
	free(inputs);
}

/* What the decoder accepts encodes to the same bytes. */
static void random_bytes(void **state)
{
	struct buf b = { 0 }, again = { 0 };
	struct unit_object back;
	unsigned accepted = 0;
	struct made m;

	(void)state;
	make_unit(&m, 1, "one", "two");
	srandom(4711);
	for (unsigned i = 0; i < 100000; i++) {
		buf_reset(&b);
		buf_reset(&again);
		OK(unit_object_encode(&m.obj, &b));
		for (int n = (int)(random() % 3); n >= 0; n--)
			b.data[(size_t)random() % b.len] ^=
				(uint8_t)(1 << random() % 8);
		if (unit_object_decode(b.data, b.len, &back) < 0)
			continue;
		accepted++;
		OK(unit_object_encode(&back, &again));
		same_bytes(&b, &again);
		unit_object_release(&back);
	}
	assert_true(accepted > 1000);
	buf_release(&b);
	buf_release(&again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(object_round_trip),
		cmocka_unit_test(an_object_of_nothing),
		cmocka_unit_test(list_round_trip),
		cmocka_unit_test(digests),
		cmocka_unit_test(paths_should_fail),
		cmocka_unit_test(trees_should_fail),
		cmocka_unit_test(files_should_fail),
		cmocka_unit_test(inputs_should_fail),
		cmocka_unit_test(texts_should_fail),
		cmocka_unit_test(truncation_and_tail_fail),
		cmocka_unit_test(counts_beyond_the_end),
		cmocka_unit_test(too_big_for_a_row),
		cmocka_unit_test(random_bytes),
	};

	return RUN_TAP(tests);
}
