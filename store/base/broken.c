/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deliberately broken builds: which rules are left out. Pure, but for the
 * environment in a build with "select"; threads may ask at any time.
 */
#include "config.h"

#include "store/base/broken.h"

#ifdef TARGETFS_BREAK

#include <stdlib.h>
#include <string.h>

static bool listed(const char *names, const char *rule)
{
	size_t len = strlen(rule);

	for (const char *p = names; p && *p;) {
		size_t n = strcspn(p, ",");

		if (n == len && !memcmp(p, rule, n))
			return true;
		p += n;
		p += *p == ',';
	}
	return false;
}

bool broken(const char *rule)
{
	if (!strcmp(TARGETFS_BREAK, "select"))
		return listed(getenv("TARGETFS_BREAK"), rule);
	return listed(TARGETFS_BREAK, rule);
}

#else

/* A translation unit needs a declaration. */
typedef int broken_is_constant;

#endif
