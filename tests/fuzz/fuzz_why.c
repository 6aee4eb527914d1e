/* SPDX-License-Identifier: Apache-2.0 */
/*
 * why_rec_next(): no input makes it read outside of it, and the records that
 * it accepts are written again as the same bytes.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fs/why_file.h"
#include "tests/fuzz/hex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf again = { 0 };
	struct why_rec rec;
	struct reader r;
	uint8_t *bytes;
	size_t len = 0;

	bytes = unhex(data, size, &len);
	if (!bytes)
		return 0;
	r = reader_of(bytes, len);
	while (why_rec_next(&r, &rec) > 0)
		why_rec_put(&again, &rec);
	if (again.err < 0 || again.len > len ||
	    (again.len > 0 && memcmp(again.data, bytes, again.len) != 0))
		abort();
	buf_release(&again);
	free(bytes);
	return 0;
}
