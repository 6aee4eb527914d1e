/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seeds of binary formats are text: "hex:", then hex digits in pairs, blanks,
 * and comments from '#' to the end of the line. Anything else is taken as it
 * is, so that a fuzzer may go its own way.
 */
#ifndef TESTS_FUZZ_HEX_H
#define TESTS_FUZZ_HEX_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static inline int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* The bytes to decode, in a block of exactly their size; the caller frees. */
static inline uint8_t *unhex(const uint8_t *data, size_t size, size_t *ret_len)
{
	uint8_t *out = calloc(1, size ? size : 1);
	size_t n = 0;
	int high = -1, digit;

	if (!out)
		return NULL;
	if (size < 4 || memcmp(data, "hex:", 4) != 0) {
		if (size)
			memcpy(out, data, size);
		*ret_len = size;
		return out;
	}
	for (size_t i = 4; i < size; i++) {
		if (data[i] == '#')
			while (i < size && data[i] != '\n')
				i++;
		digit = i < size ? hex_digit(data[i]) : -1;
		if (digit < 0)
			continue;
		if (high < 0) {
			high = digit;
		} else {
			out[n++] = (uint8_t)(high << 4 | digit);
			high = -1;
		}
	}
	*ret_len = n;
	return realloc(out, n ? n : 1);
}

#endif
