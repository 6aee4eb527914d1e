/* SPDX-License-Identifier: Apache-2.0 */
/* Between scan.c and scan_elf.c. */
#ifndef CARGO_SCAN_IMPL_H
#define CARGO_SCAN_IMPL_H

#include <stdbool.h>

#include "fs/cargo/scan.h"

struct scan {
	struct span file;
	const struct span *paths;
	size_t count;
	struct scan_hit hit; /* once something was found */
};

/* Searches @bytes, inside the file, for the first @limit bytes of each path. */
bool scan_bytes(struct scan *s, struct span bytes, size_t limit);
enum scan_verdict scan_whole(struct scan *s, struct span bytes);

/* -EBADMSG: @bytes are no ELF file, or not one that can be relied on. */
int scan_elf(struct scan *s, struct span bytes, enum scan_verdict *ret);

#endif
