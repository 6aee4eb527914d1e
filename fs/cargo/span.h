/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Borrowed bytes inside somebody else's memory: not terminated, and with any
 * byte in them. What a parser of fs/cargo/ returns points into its input (or
 * into a block that its structure owns) and lives as long as that does.
 */
#ifndef CARGO_SPAN_H
#define CARGO_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct span {
	const char *p;
	size_t len;
};

static inline struct span span_of(const char *s)
{
	return (struct span){ s, strlen(s) };
}

static inline bool span_eq(struct span a, struct span b)
{
	return a.len == b.len && (!a.len || memcmp(a.p, b.p, a.len) == 0);
}

static inline bool span_is(struct span a, const char *s)
{
	return span_eq(a, span_of(s));
}

static inline bool span_starts(struct span a, const char *s)
{
	size_t len = strlen(s);

	return a.len >= len && memcmp(a.p, s, len) == 0;
}

static inline bool span_ends(struct span a, const char *s)
{
	size_t len = strlen(s);

	return a.len >= len && memcmp(a.p + a.len - len, s, len) == 0;
}

/* What is behind the first @n bytes, n <= a.len. */
static inline struct span span_from(struct span a, size_t n)
{
	return (struct span){ a.p + n, a.len - n };
}

static inline struct span span_first(struct span a, size_t n)
{
	return (struct span){ a.p, n };
}

/* Where @c is first, or a.len. */
static inline size_t span_find(struct span a, char c)
{
	const char *at = a.len ? memchr(a.p, c, a.len) : NULL;

	return at ? (size_t)(at - a.p) : a.len;
}

/*
 * Cuts the first line off *rest, without its newline; false: nothing is left.
 * Bytes behind the last newline are a line too.
 */
static inline bool span_line(struct span *rest, struct span *ret_line)
{
	size_t n = span_find(*rest, '\n');

	if (!rest->len)
		return false;
	*ret_line = span_first(*rest, n);
	*rest = span_from(*rest, n < rest->len ? n + 1 : n);
	return true;
}

/* Whether a path is below a directory, textually. */
static inline bool span_is_below(struct span path, struct span dir)
{
	return path.len > dir.len && path.p[dir.len] == '/' &&
	       memcmp(path.p, dir.p, dir.len) == 0;
}

#endif
