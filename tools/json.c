/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The streaming JSON writer (RFC 8259). Errors of the stream are sticky in the
 * FILE and asked for once, in json_finish().
 */
#include "config.h"

#include "tools/json.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

static void indent(struct json *j)
{
	(void)fputc('\n', j->f);
	for (unsigned i = 0; i < j->depth; i++)
		(void)fputs("  ", j->f);
}

/*
 * The length of the UTF-8 sequence at @s (RFC 3629: no overlong forms, no
 * surrogates, up to U+10FFFF), or 0. The terminating NUL ends any sequence.
 */
unsigned utf8_len(const unsigned char *s)
{
	unsigned len, low = 0x80, high = 0xbf;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		len = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		len = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		len = 4;
	else
		return 0;
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (unsigned i = 2; i < len; i++) {
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	}
	return len;
}

static void put_escape(FILE *f, unsigned char c)
{
	static const char letters[] = "\b\t\n\f\r";
	static const char names[] = "btnfr";
	const char *at = strchr(letters, c);

	if (at)
		(void)fprintf(f, "\\%c", names[at - letters]);
	else
		(void)fprintf(f, "\\u%04x", c);
}

static void put_string(FILE *f, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	(void)fputc('"', f);
	while (*s) {
		unsigned len = utf8_len(s);

		if (len == 0) {
			(void)fputs("\xef\xbf\xbd", f);
			s++;
			continue;
		}
		if (*s == '"' || *s == '\\')
			(void)fprintf(f, "\\%c", *s);
		else if (*s < 0x20 || *s == 0x7f)
			put_escape(f, *s);
		else
			(void)fwrite(s, 1, len, f);
		s += len;
	}
	(void)fputc('"', f);
}

/* The comma, the indent and the key of a new member. */
static void begin_member(struct json *j, const char *key)
{
	uint32_t bit = 1U << j->depth;

	if (j->filled & bit)
		(void)fputc(',', j->f);
	j->filled |= bit;
	if (j->depth > 0)
		indent(j);
	/* A key in an object only, and always there. */
	assert(!key == (j->depth == 0 || (j->arrays & bit)));
	if (key) {
		put_string(j->f, key);
		(void)fputs(": ", j->f);
	}
}

static void begin_level(struct json *j, const char *key, bool array)
{
	begin_member(j, key);
	(void)fputc(array ? '[' : '{', j->f);
	j->depth++;
	assert(j->depth < JSON_DEPTH_MAX);
	j->filled &= ~(1U << j->depth);
	if (array)
		j->arrays |= 1U << j->depth;
	else
		j->arrays &= ~(1U << j->depth);
}

void json_object(struct json *j, const char *key)
{
	begin_level(j, key, false);
}

void json_array(struct json *j, const char *key)
{
	begin_level(j, key, true);
}

void json_end(struct json *j)
{
	uint32_t bit = 1U << j->depth;
	bool array = j->arrays & bit;
	bool filled = j->filled & bit;

	assert(j->depth > 0);
	j->depth--;
	if (filled)
		indent(j);
	(void)fputc(array ? ']' : '}', j->f);
}

void json_str(struct json *j, const char *key, const char *s)
{
	begin_member(j, key);
	put_string(j->f, s);
}

void json_u64(struct json *j, const char *key, uint64_t v)
{
	begin_member(j, key);
	(void)fprintf(j->f, "%" PRIu64, v);
}

void json_i64(struct json *j, const char *key, int64_t v)
{
	begin_member(j, key);
	(void)fprintf(j->f, "%" PRId64, v);
}

void json_bool(struct json *j, const char *key, bool v)
{
	begin_member(j, key);
	(void)fputs(v ? "true" : "false", j->f);
}

void json_null(struct json *j, const char *key)
{
	begin_member(j, key);
	(void)fputs("null", j->f);
}

int json_finish(struct json *j)
{
	assert(j->depth == 0);
	(void)fputc('\n', j->f);
	if (fflush(j->f) != 0)
		return -errno;
	return ferror(j->f) ? -EIO : 0;
}
