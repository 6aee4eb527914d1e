/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds of units; see unit_kind.h. */
#include "config.h"

#include "fs/unit_kind.h"

#include <string.h>

#include "store/unit.h"

#define FINGERPRINT ".fingerprint/"
#define JSON ".json"

/* ".fingerprint/x-H/lib-x.json" */
struct span_str unit_kind(const struct unit_object *obj)
{
	for (size_t i = 0; i < obj->file_count; i++) {
		struct span_str p = obj->files[i].path;
		const char *slash = memrchr(p.p, '/', p.len);
		size_t len = slash ? p.len - (size_t)(slash + 1 - p.p) : 0;

		if (p.len > strlen(FINGERPRINT) && len > strlen(JSON) &&
		    memcmp(p.p, FINGERPRINT, strlen(FINGERPRINT)) == 0 &&
		    memcmp(p.p + p.len - strlen(JSON), JSON, strlen(JSON)) == 0)
			return (struct span_str){ slash + 1,
						  len - strlen(JSON) };
	}
	return (struct span_str){ "", 0 };
}
