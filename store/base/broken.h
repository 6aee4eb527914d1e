/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deliberately broken builds, for tests only: a rule that guards against
 * data loss is written
 *
 *	if (!broken("flux-mark"))
 *		...
 *
 * and `configure --enable-break=flux-mark` leaves it out, so that the test of
 * that rule can show that it goes red. With `--enable-break=select` the
 * environment variable TARGETFS_BREAK (names separated by commas) chooses at
 * run time. In every other build broken() is the constant false.
 */
#ifndef BASE_BROKEN_H
#define BASE_BROKEN_H

#include <stdbool.h>

#ifdef TARGETFS_BREAK
bool broken(const char *rule);
#else
static inline bool broken(const char *rule)
{
	(void)rule;
	return false;
}
#endif

#endif
