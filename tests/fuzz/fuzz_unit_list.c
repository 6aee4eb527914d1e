/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unit_list_decode(): no input makes it read outside of it, and what it
 * accepts is encoded again to the same bytes.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/unit.h"
#include "tests/fuzz/hex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf again = { 0 };
	struct unit_list rec;
	uint8_t *bytes;
	size_t len;

	bytes = unhex(data, size, &len);
	if (bytes && unit_list_decode(bytes, len, &rec) == 0) {
		if (unit_list_encode(&rec, &again) < 0 || again.len != len ||
		    memcmp(again.data, bytes, len) != 0)
			abort();
		unit_list_release(&rec);
	}
	buf_release(&again);
	free(bytes);
	return 0;
}
