/* SPDX-License-Identifier: Apache-2.0 */
/* SipHash-1-3 of 128 bits over Rust's values; see stable_hash.h. */
#include "config.h"

#include "fs/cargo/stable_hash.h"

#include <endian.h>

/* The words of SipHash's initial state. */
#define INIT_0 UINT64_C(0x736f6d6570736575)
#define INIT_1 UINT64_C(0x646f72616e646f6d)
#define INIT_2 UINT64_C(0x6c7967656e657261)
#define INIT_3 UINT64_C(0x7465646279746573)

/* Says that 128 bits are wanted, at the beginning and before each half. */
#define WIDE 0xee
#define SECOND_HALF 0xdd

static uint64_t rotate_left(uint64_t v, int bits)
{
	return v << bits | v >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotate_left(v[1], 13) ^ v[0];
	v[3] = rotate_left(v[3], 16) ^ v[2];
	v[0] = rotate_left(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotate_left(v[1], 17) ^ v[2];
	v[3] = rotate_left(v[3], 21) ^ v[0];
	v[2] = rotate_left(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	v[0] ^= word;
}

void stable_hash_init(struct stable_hash *h)
{
	*h = (struct stable_hash){
		.v = { INIT_0, INIT_1 ^ WIDE, INIT_2, INIT_3 },
	};
}

void stable_hash_bytes(struct stable_hash *h, const void *p, size_t len)
{
	const unsigned char *at = p;

	for (size_t i = 0; i < len; i++) {
		h->tail |= (uint64_t)at[i] << (8 * (h->len % 8));
		if (++h->len % 8 == 0) {
			sip_word(h->v, h->tail);
			h->tail = 0;
		}
	}
}

void stable_hash_u8(struct stable_hash *h, uint8_t v)
{
	stable_hash_bytes(h, &v, sizeof(v));
}

void stable_hash_u64(struct stable_hash *h, uint64_t v)
{
	v = htole64(v);
	stable_hash_bytes(h, &v, sizeof(v));
}

void stable_hash_variant(struct stable_hash *h, uint8_t v)
{
	stable_hash_u8(h, v);
}

void stable_hash_str(struct stable_hash *h, struct span s)
{
	stable_hash_bytes(h, s.p, s.len);
	stable_hash_u8(h, 0xff);
}

/* Where the component behind a slash begins: a "." there is none. */
static size_t skip_dot(struct span path, size_t at)
{
	if (at < path.len && path.p[at] == '.' &&
	    (at + 1 == path.len || path.p[at + 1] == '/'))
		at++;
	return at;
}

void stable_hash_path(struct stable_hash *h, struct span path)
{
	uint64_t lens = 0; /* tells "ab/c" from "a/bc" */
	size_t from = 0;

	for (size_t i = 0; i <= path.len; i++) {
		if (i < path.len && path.p[i] != '/')
			continue;
		if (i > from) {
			stable_hash_bytes(h, path.p + from, i - from);
			lens = rotate_left(lens + (i - from), 62);
		}
		from = skip_dot(path, i + 1);
	}
	stable_hash_u64(h, lens);
}

uint64_t stable_hash_finish(const struct stable_hash *h)
{
	uint64_t v[4] = { h->v[0], h->v[1], h->v[2], h->v[3] }, half[2];

	sip_word(v, h->tail | h->len << 56);
	v[2] ^= WIDE;
	for (int i = 0; i < 2; i++) {
		if (i)
			v[1] ^= SECOND_HALF;
		sip_round(v);
		sip_round(v);
		sip_round(v);
		half[i] = v[0] ^ v[1] ^ v[2] ^ v[3];
	}
	return half[0] * 3 + half[1];
}
