/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The json of a fingerprint, exactly as cargo writes it; see fingerprint.h.
 * A general reader of json is not what is wanted here: one that accepts other
 * orders, numbers and escapes would accept what cannot be written back, and
 * few of them have integers of 64 bits without a sign.
 *
 * A parser keeps its first error; what it takes after that is empty.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "fs/cargo/array.h"
#include "fs/cargo/fingerprint.h"
#include "fs/cargo/utf8.h"

struct parser {
	struct span rest;
	struct fingerprint f;
	size_t input_len;
	int err;
};

static void fail(struct parser *p, int err)
{
	if (!p->err)
		p->err = err;
	p->rest.len = 0;
}

/* Whether @s is next; then it is taken. */
static bool next_is(struct parser *p, const char *s)
{
	if (!span_starts(p->rest, s))
		return false;
	p->rest = span_from(p->rest, strlen(s));
	return true;
}

static void expect(struct parser *p, const char *s)
{
	if (!next_is(p, s))
		fail(p, -EBADMSG);
}

static uint64_t take_number(struct parser *p)
{
	struct span s = p->rest;
	uint64_t v = 0;
	size_t n = 0;

	for (; n < s.len && s.p[n] >= '0' && s.p[n] <= '9'; n++)
		if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s.p[n] - '0'), &v))
			fail(p, -EBADMSG);
	if (n == 0 || (n > 1 && s.p[0] == '0'))
		fail(p, -EBADMSG);
	if (p->err)
		return 0;
	p->rest = span_from(s, n);
	return v;
}

static bool take_bool(struct parser *p)
{
	if (next_is(p, "true"))
		return true;
	expect(p, "false");
	return false;
}

/* Those with a letter; the others are "\u00" and two hex digits. */
static const char escapes[] = "\"\\\b\f\n\r\t";
static const char escape_letters[] = "\"\\bfnrt";

/* The character of the escape behind a backslash at *s, which is taken. */
static int take_escape(struct span *s)
{
	static const char digits[] = "0123456789abcdef";
	const char *at, *low;
	int c;

	if (s->len && s->p[0] && (at = strchr(escape_letters, s->p[0]))) {
		c = escapes[at - escape_letters];
		*s = span_from(*s, 1);
		return c;
	}
	if (s->len < 5 || memcmp(s->p, "u00", 3) != 0 ||
	    (s->p[3] != '0' && s->p[3] != '1') || !s->p[4])
		return -1;
	low = strchr(digits, s->p[4]);
	if (!low)
		return -1;
	c = (s->p[3] - '0') << 4 | (int)(low - digits);
	if (c && strchr(escapes, c))
		return -1; /* it has a letter */
	*s = span_from(*s, 5);
	return c;
}

/* The string behind the quote at *s, copied without escapes to @to. */
static int unescape(struct span *s, char *to, size_t *ret_len)
{
	size_t n = 0;
	int c;

	for (;;) {
		if (!s->len)
			return -EBADMSG;
		c = (unsigned char)s->p[0];
		*s = span_from(*s, 1);
		if (c == '"')
			break;
		if (c < 0x20)
			return -EBADMSG;
		if (c == '\\')
			c = take_escape(s);
		if (c < 0)
			return -EBADMSG;
		to[n++] = (char)c;
	}
	*ret_len = n;
	return 0;
}

/* A string without escapes is not copied. */
static struct span take_string(struct parser *p)
{
	struct span s, none = { 0 };
	size_t n;

	expect(p, "\"");
	if (p->err)
		return none;
	s = p->rest;
	for (n = 0; n < s.len && (unsigned char)s.p[n] >= 0x20; n++)
		if (s.p[n] == '"') {
			p->rest = span_from(s, n + 1);
			return span_first(s, n);
		} else if (s.p[n] == '\\') {
			break;
		}
	if (!p->f.room)
		p->f.room = malloc(p->input_len);
	if (!p->f.room) {
		fail(p, -ENOMEM);
		return none;
	}
	s.p = p->f.room + p->f.room_len;
	if (unescape(&p->rest, p->f.room + p->f.room_len, &s.len) < 0) {
		fail(p, -EBADMSG);
		return none;
	}
	p->f.room_len += s.len;
	return s;
}

/*
 * Whether another element of an array follows; *count is how many there were.
 * Makes room for it in *array.
 */
static bool take_element(struct parser *p, void **array, size_t count,
			 size_t size)
{
	void *grown;

	if (p->err || next_is(p, "]"))
		return false;
	if (count > 0)
		expect(p, ",");
	grown = array_room(*array, count, size);
	if (!grown)
		fail(p, -ENOMEM);
	else
		*array = grown;
	return !p->err;
}

/* "[" strings "]" */
static void take_strings(struct parser *p, struct span **ret, size_t *ret_count)
{
	void *array = NULL;
	size_t n = 0;

	expect(p, "[");
	while (take_element(p, &array, n, sizeof(**ret)))
		((struct span *)array)[n++] = take_string(p);
	*ret = array;
	*ret_count = n;
}

static void take_deps(struct parser *p)
{
	void *array = NULL;
	size_t n = 0;

	expect(p, "[");
	while (take_element(p, &array, n, sizeof(*p->f.deps))) {
		struct fingerprint_dep d = { 0 };

		expect(p, "[");
		d.package = take_number(p);
		expect(p, ",");
		d.name = take_string(p);
		expect(p, ",");
		d.is_public = take_bool(p);
		expect(p, ",");
		d.value = take_number(p);
		expect(p, "]");
		((struct fingerprint_dep *)array)[n++] = d;
	}
	p->f.deps = array;
	p->f.dep_count = n;
}

static void take_local(struct parser *p, struct fingerprint_local *l)
{
	if (next_is(p, "{\"Precalculated\":")) {
		l->kind = FINGERPRINT_PRECALCULATED;
		l->text = take_string(p);
	} else if (next_is(p, "{\"CheckDepInfo\":{\"dep_info\":")) {
		l->kind = FINGERPRINT_CHECK_DEP_INFO;
		l->text = take_string(p);
		expect(p, ",\"checksum\":");
		l->checksum = take_bool(p);
		expect(p, "}");
	} else if (next_is(p, "{\"RerunIfChanged\":{\"output\":")) {
		l->kind = FINGERPRINT_RERUN_IF_CHANGED;
		l->text = take_string(p);
		expect(p, ",\"paths\":");
		take_strings(p, &l->paths, &l->path_count);
		expect(p, "}");
	} else if (next_is(p, "{\"RerunIfEnvChanged\":{\"var\":")) {
		l->kind = FINGERPRINT_RERUN_IF_ENV_CHANGED;
		l->text = take_string(p);
		expect(p, ",\"val\":");
		l->is_set = !next_is(p, "null");
		if (l->is_set)
			l->value = take_string(p);
		expect(p, "}");
	} else {
		fail(p, -EBADMSG);
	}
	expect(p, "}");
}

static void take_locals(struct parser *p)
{
	void *array = NULL;
	size_t n = 0;

	expect(p, "[");
	while (take_element(p, &array, n, sizeof(*p->f.locals))) {
		struct fingerprint_local l = { 0 };

		take_local(p, &l);
		((struct fingerprint_local *)array)[n++] = l;
	}
	p->f.locals = array;
	p->f.local_count = n;
}

static void take_fingerprint(struct parser *p)
{
	struct fingerprint *f = &p->f;

	expect(p, "{\"rustc\":");
	f->rustc = take_number(p);
	expect(p, ",\"features\":");
	f->features = take_string(p);
	expect(p, ",\"declared_features\":");
	f->declared_features = take_string(p);
	expect(p, ",\"target\":");
	f->target = take_number(p);
	expect(p, ",\"profile\":");
	f->profile = take_number(p);
	expect(p, ",\"path\":");
	f->path = take_number(p);
	expect(p, ",\"deps\":");
	take_deps(p);
	expect(p, ",\"local\":");
	take_locals(p);
	expect(p, ",\"rustflags\":");
	take_strings(p, &f->rustflags, &f->rustflag_count);
	expect(p, ",\"config\":");
	f->config = take_number(p);
	expect(p, ",\"compile_kind\":");
	f->compile_kind = take_number(p);
	expect(p, "}");
	if (p->rest.len)
		fail(p, -EBADMSG);
}

int fingerprint_parse(const void *json, size_t len, struct fingerprint *ret)
{
	struct parser p = { .rest = { json, len }, .input_len = len };

	if (len > FINGERPRINT_MAX)
		return -EFBIG;
	if (!utf8_is_valid(p.rest))
		return -EBADMSG;
	take_fingerprint(&p);
	if (p.err)
		fingerprint_release(&p.f);
	else
		*ret = p.f;
	return p.err;
}

static void put(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

/* A field's name, in all its punctuation, and its number. */
static void put_number(struct buf *b, const char *field, uint64_t v)
{
	char digits[24];
	int n = snprintf(digits, sizeof(digits), "%" PRIu64, v);

	put(b, field);
	buf_put(b, digits, (size_t)n);
}

static void put_string(struct buf *b, const char *field, struct span s)
{
	char code[8];
	const char *at;
	int n;

	put(b, field);
	buf_u8(b, '"');
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];

		at = c ? strchr(escapes, c) : NULL;
		if (at) {
			buf_u8(b, '\\');
			buf_u8(b, (uint8_t)escape_letters[at - escapes]);
		} else if (c < 0x20) {
			n = snprintf(code, sizeof(code), "\\u%04x", c);
			buf_put(b, code, (size_t)n);
		} else {
			buf_u8(b, c);
		}
	}
	buf_u8(b, '"');
}

static void put_strings(struct buf *b, const char *field, const struct span *s,
			size_t count)
{
	put(b, field);
	for (size_t i = 0; i < count; i++)
		put_string(b, i ? "," : "", s[i]);
	put(b, "]");
}

static void put_local(struct buf *b, const struct fingerprint_local *l)
{
	switch (l->kind) {
	case FINGERPRINT_PRECALCULATED:
		put_string(b, "{\"Precalculated\":", l->text);
		put(b, "}");
		break;
	case FINGERPRINT_CHECK_DEP_INFO:
		put_string(b, "{\"CheckDepInfo\":{\"dep_info\":", l->text);
		put(b, ",\"checksum\":");
		put(b, l->checksum ? "true}}" : "false}}");
		break;
	case FINGERPRINT_RERUN_IF_CHANGED:
		put_string(b, "{\"RerunIfChanged\":{\"output\":", l->text);
		put_strings(b, ",\"paths\":[", l->paths, l->path_count);
		put(b, "}}");
		break;
	case FINGERPRINT_RERUN_IF_ENV_CHANGED:
		put_string(b, "{\"RerunIfEnvChanged\":{\"var\":", l->text);
		if (l->is_set)
			put_string(b, ",\"val\":", l->value);
		else
			put(b, ",\"val\":null");
		put(b, "}}");
		break;
	}
}

void fingerprint_write(const struct fingerprint *f, struct buf *b)
{
	put_number(b, "{\"rustc\":", f->rustc);
	put_string(b, ",\"features\":", f->features);
	put_string(b, ",\"declared_features\":", f->declared_features);
	put_number(b, ",\"target\":", f->target);
	put_number(b, ",\"profile\":", f->profile);
	put_number(b, ",\"path\":", f->path);
	put(b, ",\"deps\":[");
	for (size_t i = 0; i < f->dep_count; i++) {
		const struct fingerprint_dep *d = &f->deps[i];

		put_number(b, i ? ",[" : "[", d->package);
		put_string(b, ",", d->name);
		put(b, d->is_public ? ",true" : ",false");
		put_number(b, ",", d->value);
		put(b, "]");
	}
	put(b, "],\"local\":[");
	for (size_t i = 0; i < f->local_count; i++) {
		put(b, i ? "," : "");
		put_local(b, &f->locals[i]);
	}
	put_strings(b, "],\"rustflags\":[", f->rustflags, f->rustflag_count);
	put_number(b, ",\"config\":", f->config);
	put_number(b, ",\"compile_kind\":", f->compile_kind);
	put(b, "}");
}
