/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fingerprint_parse(): no input makes it read outside of it, and what it
 * accepts is written again as the same bytes and hashes to the same value.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fs/cargo/fingerprint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_newest(struct span text)
{
	struct fingerprint_newest n, m;
	struct buf b = { 0 };

	if (!fingerprint_newest_parse(text, &n))
		return;
	fingerprint_newest_write(&n, &b);
	if (!b.err &&
	    (!fingerprint_newest_parse((struct span){ (char *)b.data, b.len },
				       &m) ||
	     m.sec != n.sec || m.nsec != n.nsec || !span_eq(m.path, n.path)))
		abort();
	buf_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fingerprint f, g;
	struct buf again = { 0 };

	check_newest((struct span){ (const char *)data, size });
	if (fingerprint_parse(data, size, &f) < 0)
		return 0;
	fingerprint_write(&f, &again);
	if (again.err || again.len != size ||
	    memcmp(again.data, data, size) != 0)
		abort();
	if (fingerprint_parse(again.data, again.len, &g) < 0 ||
	    fingerprint_value(&f) != fingerprint_value(&g))
		abort();
	fingerprint_release(&g);
	fingerprint_release(&f);
	buf_release(&again);
	return 0;
}
