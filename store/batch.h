/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations in a batch (views.h), decoded. Only for store/.
 */
#ifndef STORE_BATCH_H
#define STORE_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "store/base/buf.h"
#include "store/digest.h"

enum op_kind {
	OP_PUT_NODE = 'N',
	OP_DEL_NODE = 'n',
	OP_PUT_NAME = 'D',
	OP_DEL_NAME = 'd',
	OP_PUT_INLINE = 'I',
	OP_PUT_BLOB = 'B',
	OP_DROP_STAGING = 'U',
};

struct batch_op {
	uint8_t kind;	 /* enum op_kind */
	uint64_t ino;	 /* or the parent of a name */
	uint64_t target; /* PUT_NAME: the node; *_BLOB, *_STAGING: staging id */
	uint64_t size;	 /* PUT_BLOB */
	const char *p;	 /* borrowed: the node's record, the name, the bytes */
	size_t len;
	struct digest digest;
};

/* Advances over @r: 1 and the operation, 0 at the end, -EBADMSG. */
int batch_next(struct reader *r, struct batch_op *ret_op);

#endif
