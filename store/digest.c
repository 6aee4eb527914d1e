/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 by OpenSSL. The algorithm is fetched once per process and never
 * freed: fetching costs 400 ns, more than a small digest. Any thread.
 */
#include "config.h"

#include "store/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

#include "store/base/io.h"
#include "store/base/macros.h"

#define PIECE (1024 * 1024)

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256; /* constant after once */

static void fetch(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

static const EVP_MD *algorithm(void)
{
	(void)pthread_once(&once, fetch);
	return sha256;
}

int digest_of(const void *p, size_t len, struct digest *ret_digest)
{
	const EVP_MD *md = algorithm();

	if (!md || !EVP_Digest(p, len, ret_digest->b, NULL, md, NULL))
		return -ENOMEM;
	return 0;
}

static void ctx_freep(EVP_MD_CTX **ctx)
{
	EVP_MD_CTX_free(*ctx);
}

int digest_of_fd(int fd, bool (*go_on)(void *arg), void *arg,
		 struct digest *ret_digest, uint64_t *ret_len)
{
	_cleanup_(ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	_cleanup_free_ void *piece = malloc(PIECE);
	const EVP_MD *md = algorithm();
	uint64_t len = 0;
	size_t got = PIECE;
	int r;

	if (!ctx || !piece || !md || !EVP_DigestInit_ex2(ctx, md, NULL))
		return -ENOMEM;
	while (got == PIECE) {
		if (go_on && !go_on(arg))
			return -ECANCELED;
		r = pread_full(fd, piece, PIECE, (off_t)len, &got);
		if (r < 0)
			return r;
		if (!EVP_DigestUpdate(ctx, piece, got))
			return -ENOMEM;
		len += got;
	}
	if (!EVP_DigestFinal_ex(ctx, ret_digest->b, NULL))
		return -ENOMEM;
	*ret_len = len;
	return 0;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return !memcmp(a->b, b->b, DIGEST_LEN);
}

void digest_hex(const struct digest *d, char ret_hex[DIGEST_HEX_LEN + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < DIGEST_LEN; i++) {
		ret_hex[2 * i] = digits[d->b[i] >> 4];
		ret_hex[2 * i + 1] = digits[d->b[i] & 15];
	}
	ret_hex[DIGEST_HEX_LEN] = '\0';
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int digest_parse(const char *hex, size_t len, struct digest *ret_digest)
{
	struct digest d;

	if (len != DIGEST_HEX_LEN)
		return -EINVAL;
	for (size_t i = 0; i < DIGEST_LEN; i++) {
		int hi = nibble(hex[2 * i]), lo = nibble(hex[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return -EINVAL;
		d.b[i] = (uint8_t)(hi << 4 | lo);
	}
	*ret_digest = d;
	return 0;
}
