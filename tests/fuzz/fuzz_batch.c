/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch_next(): no input makes it read outside of it, it always comes to an
 * end, and each operation that it accepts lies within the input.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>

#include "store/batch.h"
#include "store/record.h"
#include "tests/fuzz/hex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_op(const struct batch_op *op, const uint8_t *bytes,
		     size_t len)
{
	const uint8_t *p = (const uint8_t *)op->p;
	struct node_rec rec;

	if (op->len &&
	    (p < bytes || op->len > len || p > bytes + len - op->len))
		abort();
	if (op->kind == OP_PUT_NODE)
		(void)node_rec_decode(op->p, op->len, &rec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct batch_op op;
	struct reader r;
	size_t len, left;
	uint8_t *bytes;
	int n;

	bytes = unhex(data, size, &len);
	if (!bytes)
		return 0;
	r = reader_of(bytes, len);
	left = len;
	while ((n = batch_next(&r, &op)) > 0) {
		check_op(&op, bytes, len);
		if (r.left >= left)
			abort();
		left = r.left;
	}
	if (n == 0 && r.left)
		abort();
	free(bytes);
	return 0;
}
