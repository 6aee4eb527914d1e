/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8; see utf8.h. */
#include "config.h"

#include "fs/cargo/utf8.h"

#include <stdint.h>

static bool is_continuation(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

/* The code point that @s begins with, its bytes in *ret_len; -1: none. */
static int32_t first_point(struct span s, size_t *ret_len)
{
	static const int32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char c;
	size_t len;
	int32_t v;

	if (!s.len)
		return -1;
	c = (unsigned char)s.p[0];
	len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	if (is_continuation(c) || c > 0xf4 || len > s.len)
		return -1;
	v = len == 1 ? c : c & (0x7f >> len);
	for (size_t i = 1; i < len; i++) {
		c = (unsigned char)s.p[i];
		if (!is_continuation(c))
			return -1;
		v = v << 6 | (c & 0x3f);
	}
	if (v < least[len] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return -1;
	*ret_len = len;
	return v;
}

bool utf8_is_valid(struct span s)
{
	size_t len;

	for (; s.len; s = span_from(s, len))
		if (first_point(s, &len) < 0)
			return false;
	return true;
}

/* Unicode's property White_Space. */
static bool is_white(int32_t c)
{
	switch (c) {
	case 0x20:
	case 0x85:
	case 0xa0:
	case 0x1680:
	case 0x2028:
	case 0x2029:
	case 0x202f:
	case 0x205f:
	case 0x3000:
		return true;
	default:
		return (c >= 0x09 && c <= 0x0d) || (c >= 0x2000 && c <= 0x200a);
	}
}

struct span utf8_trim(struct span s)
{
	size_t len, from;

	while (is_white(first_point(s, &len)))
		s = span_from(s, len);
	while (s.len) {
		from = s.len - 1;
		while (from > 0 && is_continuation((unsigned char)s.p[from]))
			from--;
		if (!is_white(first_point(span_from(s, from), &len)))
			break;
		s.len = from;
	}
	return s;
}
