/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metadata_names_sources(): no input makes it read outside of it, and what it
 * passes holds the directory nowhere but before a source's name or its end.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>

#include "fs/cargo/metadata.h"
#include "tests/fuzz/hex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WS "/home/me/ws"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct span source = { "a/src/lib.rs", 12 };
	static const struct metadata_paths paths = {
		.dirs = { { WS, sizeof(WS) - 1 } },
		.dir_count = 1,
		.cwd = { WS, sizeof(WS) - 1 },
		.sources = &source,
		.source_count = 1,
	};
	uint8_t *bytes, *at;
	size_t len;

	bytes = unhex(data, size, &len);
	if (!bytes)
		return 0;
	at = bytes;
	if (!metadata_names_sources(bytes, len, &paths))
		at = bytes + len;
	while ((at = memmem(at, len - (size_t)(at - bytes), WS,
			    sizeof(WS) - 1))) {
		size_t left = len - (size_t)(at - bytes);

		at += sizeof(WS) - 1;
		left -= sizeof(WS) - 1;
		if (left == 0 ||
		    (*at != 0xc1 &&
		     (left < 14 || memcmp(at, "/a/src/lib.rs\xc1", 14) != 0)))
			abort();
	}
	free(bytes);
	return 0;
}
