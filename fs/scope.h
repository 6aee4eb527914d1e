/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What makes two builds "the same" beyond what cargo hashes itself: the parts
 * of the environment and of the system that find their way into artifacts.
 * The levels are in build.h.
 */
#ifndef FS_SCOPE_H
#define FS_SCOPE_H

#include <stddef.h>

#include "fs/build.h"

struct buf;

/*
 * An error: something could not be looked at, or leads to another program in
 * another workspace (a wrapper by a relative path); then the build neither
 * finds units nor makes them known.
 */
int scope_digests(const struct build *b,
		  struct digest ret_digests[SCOPE_COUNT]);

/*
 * What the last of them is the digest of, as it is now: u8 version, { str16
 * name, u8 has, str16 value if so }. The fields of each level come behind those
 * of the one below.
 */
int scope_describe(const struct build *b, struct buf *out);

/* Of all variables but those that change from terminal to terminal. */
int scope_of_environment(const char *words, size_t len,
			 struct digest *ret_digest);

#endif
