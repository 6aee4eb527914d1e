/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan_paths(): no input makes it read outside of it; what it finds is in the
 * input; and a path that is nowhere in it is never found.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>

#include "fs/cargo/scan.h"
#include "tests/fuzz/hex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The least that counts of a path. */
#define PIECE 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct span paths[] = {
		{ "/home/me/ws", 11 },
		{ "/t", 2 },
	};
	enum scan_verdict v;
	struct scan_hit hit;
	uint8_t *bytes;
	size_t len;

	bytes = unhex(data, size, &len);
	if (!bytes)
		return 0;
	v = scan_paths(bytes, len, paths, 2, &hit);
	if (v == SCAN_FOUND) {
		size_t least = paths[hit.path].len;

		if (least > PIECE)
			least = PIECE;
		if (hit.path > 1 || hit.offset > len ||
		    least > len - hit.offset ||
		    memcmp(bytes + hit.offset, paths[hit.path].p, least) != 0)
			abort();
	} else if ((len < 4 || memcmp(bytes, "\177ELF", 4) != 0) &&
		   (len < 8 || memcmp(bytes, "!<arch>\n", 8) != 0) &&
		   memmem(bytes, len, "/t", 2)) {
		abort(); /* every byte of another file counts */
	}
	free(bytes);
	return 0;
}
