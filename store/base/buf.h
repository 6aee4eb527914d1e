/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing byte buffer to encode into, and a bounded reader to decode from.
 * Both keep the first error ("sticky"): callers put or take a whole record
 * and check once at its end. Integers are little-endian.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *data; /* owned; NULL while empty */
	size_t len;    /* bytes used */
	size_t cap;    /* bytes allocated */
	int err;       /* 0, or -ENOMEM once an allocation failed */
};

void buf_release(struct buf *b);
/* Empties the buffer and its error, keeps the allocation. */
void buf_reset(struct buf *b);
/* Appends room for @len bytes and returns it, uninitialised; NULL on error. */
void *buf_grow(struct buf *b, size_t len);
void buf_put(struct buf *b, const void *p, size_t len);
void buf_u8(struct buf *b, uint8_t v);
void buf_u16(struct buf *b, uint16_t v);
void buf_u32(struct buf *b, uint32_t v);
void buf_u64(struct buf *b, uint64_t v);
/* A u16 length and the bytes; len > 65535 sets err to -EINVAL. */
void buf_str16(struct buf *b, const void *p, size_t len);

/* Reads from borrowed memory. */
struct reader {
	const uint8_t *p;
	size_t left;
	bool bad; /* something was taken past the end */
};

static inline struct reader reader_of(const void *p, size_t len)
{
	return (struct reader){ .p = p, .left = len };
}

/* Borrowed pointer to the next @len bytes; NULL (and bad) past the end. */
const void *take(struct reader *r, size_t len);
uint8_t take_u8(struct reader *r);
uint16_t take_u16(struct reader *r);
uint32_t take_u32(struct reader *r);
uint64_t take_u64(struct reader *r);
/* The counterpart of buf_str16: a borrowed pointer, its length in *ret_len. */
const void *take_str16(struct reader *r, size_t *ret_len);

#endif
