/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hash of cargo's fingerprints: Rust values are fed to SipHash-1-3 with
 * 128 bits of output and a key of zeros, and the two halves a and b make
 * a * 3 + b. The same on every machine: integers are fed as little-endian, a
 * usize and an isize as if they had 64 bits.
 *
 *	struct stable_hash h;
 *
 *	stable_hash_init(&h);
 *	stable_hash_u64(&h, 7);
 *	value = stable_hash_finish(&h);
 *
 * Source: the crate rustc-stable-hash 0.1 (stable_hasher.rs, sip128.rs), which
 * cargo uses since 1.85, and Hash for str and Path in Rust's library.
 */
#ifndef CARGO_STABLE_HASH_H
#define CARGO_STABLE_HASH_H

#include <stdint.h>

#include "fs/cargo/span.h"

struct stable_hash {
	uint64_t v[4];
	uint64_t tail; /* of the input, below 8 bytes, little-endian */
	uint64_t len;  /* bytes fed so far */
};

void stable_hash_init(struct stable_hash *h);
void stable_hash_bytes(struct stable_hash *h, const void *p, size_t len);
/* A u8, a bool. */
void stable_hash_u8(struct stable_hash *h, uint8_t v);
/* A u64; a usize, as for the length of a Vec. */
void stable_hash_u64(struct stable_hash *h, uint64_t v);
/* An isize of 0 to 254: the number of an enum's variant. */
void stable_hash_variant(struct stable_hash *h, uint8_t v);
/* A str. */
void stable_hash_str(struct stable_hash *h, struct span s);
/*
 * A Path: its components alone, so that "a/./b//c" and "a/b/c" are equal, but
 * "./a" and "a" are not.
 */
void stable_hash_path(struct stable_hash *h, struct span path);
uint64_t stable_hash_finish(const struct stable_hash *h);

#endif
