/* SPDX-License-Identifier: Apache-2.0 */
/* Any path: what comes back lies inside it. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fs/cargo/layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int outside(struct span s, const char *path, size_t size)
{
	return s.p < path || s.p + s.len > path + size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *path = malloc(size + 1);
	struct layout l;

	if (!path)
		return 0;
	memcpy(path, data, size);
	path[size] = '\0';
	l = layout_classify(path);
	size = strlen(path);
	if (l.profile_len > size || l.crate_len > size ||
	    (l.unit &&
	     (l.unit < path || l.unit + UNIT_HASH_LEN > path + size)) ||
	    outside(l.name, path, size) || outside(l.file, path, size))
		__builtin_trap();
	free(path);
	return 0;
}
