/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growing buffer and bounded reader. Invariant: len <= cap, and after the
 * first failed allocation nothing more is appended, so that a record is either
 * complete or err is set. No threads: a buffer belongs to one caller.
 */
#include "config.h"

#include "store/base/buf.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void buf_release(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ 0 };
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->err = 0;
}

static int buf_reserve(struct buf *b, size_t len)
{
	size_t need, cap;
	uint8_t *p;

	if (__builtin_add_overflow(b->len, len, &need) || need > SIZE_MAX / 2)
		return -ENOMEM;
	if (need <= b->cap)
		return 0;
	cap = b->cap ? b->cap : 256;
	while (cap < need)
		cap *= 2;
	p = realloc(b->data, cap);
	if (!p)
		return -ENOMEM;
	b->data = p;
	b->cap = cap;
	return 0;
}

void *buf_grow(struct buf *b, size_t len)
{
	void *p;

	if (b->err)
		return NULL;
	b->err = buf_reserve(b, len);
	if (b->err || !b->data)
		return NULL;
	p = b->data + b->len;
	b->len += len;
	return p;
}

void buf_put(struct buf *b, const void *p, size_t len)
{
	void *to;

	if (!len)
		return;
	to = buf_grow(b, len);
	if (to)
		memcpy(to, p, len);
}

void buf_u8(struct buf *b, uint8_t v)
{
	buf_put(b, &v, sizeof(v));
}

void buf_u16(struct buf *b, uint16_t v)
{
	v = htole16(v);
	buf_put(b, &v, sizeof(v));
}

void buf_u32(struct buf *b, uint32_t v)
{
	v = htole32(v);
	buf_put(b, &v, sizeof(v));
}

void buf_u64(struct buf *b, uint64_t v)
{
	v = htole64(v);
	buf_put(b, &v, sizeof(v));
}

void buf_str16(struct buf *b, const void *p, size_t len)
{
	if (len > UINT16_MAX) {
		if (!b->err)
			b->err = -EINVAL;
		return;
	}
	buf_u16(b, (uint16_t)len);
	buf_put(b, p, len);
}

const void *take(struct reader *r, size_t len)
{
	const uint8_t *p = r->p;

	if (r->bad || len > r->left) {
		r->bad = true;
		return NULL;
	}
	if (len) {
		r->p += len;
		r->left -= len;
	}
	return p;
}

uint8_t take_u8(struct reader *r)
{
	const uint8_t *p = take(r, 1);

	return p ? *p : 0;
}

uint16_t take_u16(struct reader *r)
{
	const void *p = take(r, sizeof(uint16_t));
	uint16_t v = 0;

	if (p)
		memcpy(&v, p, sizeof(v));
	return le16toh(v);
}

uint32_t take_u32(struct reader *r)
{
	const void *p = take(r, sizeof(uint32_t));
	uint32_t v = 0;

	if (p)
		memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

uint64_t take_u64(struct reader *r)
{
	const void *p = take(r, sizeof(uint64_t));
	uint64_t v = 0;

	if (p)
		memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

const void *take_str16(struct reader *r, size_t *ret_len)
{
	size_t len = take_u16(r);
	const void *p = take(r, len);

	*ret_len = p ? len : 0;
	return p;
}
