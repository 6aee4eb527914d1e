/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content identity: SHA-256 (FIPS 180-4), by OpenSSL's EVP. OCI registries and
 * the caches of Bazel name blobs by the same digest.
 */
#ifndef STORE_DIGEST_H
#define STORE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_LEN 32
#define DIGEST_HEX_LEN 64

struct digest {
	uint8_t b[DIGEST_LEN];
};

/* 0 or -ENOMEM. Thread-safe. */
int digest_of(const void *p, size_t len, struct digest *ret_digest);
/*
 * Hashes the whole file from offset 0, whatever its file position, and says
 * how many bytes it read. @go_on (may be NULL) is asked between pieces of
 * 1 MiB; false ends with -ECANCELED. Other errors: those of pread(2).
 */
int digest_of_fd(int fd, bool (*go_on)(void *arg), void *arg,
		 struct digest *ret_digest, uint64_t *ret_len);
bool digest_equal(const struct digest *a, const struct digest *b);
/* Writes DIGEST_HEX_LEN lower-case digits and a NUL. */
void digest_hex(const struct digest *d, char ret_hex[DIGEST_HEX_LEN + 1]);
/* Exactly DIGEST_HEX_LEN lower-case digits, or -EINVAL. */
int digest_parse(const char *hex, size_t len, struct digest *ret_digest);

#endif
