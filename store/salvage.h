/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads what can be read of a damaged index, in a child process: LMDB may
 * crash on it or never come back. Rows come through a pipe, in no promised
 * order, and are what their checksums (and digests) say.
 */
#ifndef STORE_SALVAGE_H
#define STORE_SALVAGE_H

#include <stdint.h>

#include "store/index.h"

struct salvaged {
	uint64_t rows[TABLE_COUNT];
	uint64_t damaged; /* rows and ranges that could not be read */
};

/*
 * Calls @fn for each row of views, nodes, names and inline contents, until it
 * returns an error, which is returned. That the child dies is no error.
 */
int salvage_index(int dirfd,
		  int (*fn)(enum table t, struct span key, struct span value,
			    void *arg),
		  void *arg, struct salvaged *ret_salvaged);

#endif
