/* SPDX-License-Identifier: Apache-2.0 */
/*
 * depinfo_parse(): no input makes it read outside of it, and what it accepts
 * is written again as the same bytes.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fs/cargo/depinfo.h"
#include "tests/fuzz/hex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf again = { 0 };
	struct depinfo d;
	uint8_t *bytes;
	size_t len;

	bytes = unhex(data, size, &len);
	if (bytes && depinfo_parse(bytes, len, &d) == 0) {
		depinfo_write(&d, &again);
		if (again.err || again.len != len ||
		    memcmp(again.data, bytes, len) != 0)
			abort();
		depinfo_release(&d);
	}
	buf_release(&again);
	free(bytes);
	return 0;
}
