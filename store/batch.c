/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches: a list of operations in memory, encoded one after the other.
 *
 *	ops := { op }
 *	op  := 'N' u64 ino, u32 length, node record     put node
 *	     | 'n' u64 ino                              delete node
 *	     | 'D' u64 parent, str16 name, u64 ino      put name
 *	     | 'd' u64 parent, str16 name               delete name
 *	     | 'I' digest, u32 length, bytes            inline blob
 *	     | 'B' digest, u64 size, u64 staging_id     blob file
 *	     | 'U' u64 staging_id                       drop staging file
 *
 * Invariant: an operation is in the batch whole or not at all, also after
 * -ENOMEM. Never on disk. A batch belongs to one thread at a time.
 */
#include "config.h"

#include "store/batch.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "store/blob.h"
#include "store/schema.h"
#include "store/views.h"

/* Takes back what was appended since @start if anything went wrong. */
static int op_end(struct batch *b, size_t start, int r)
{
	if (r == 0)
		r = b->ops.err;
	if (r < 0) {
		b->ops.len = start;
		b->ops.err = 0;
		return r;
	}
	b->count++;
	return 0;
}

static size_t op_begin(struct batch *b, enum op_kind kind)
{
	size_t start = b->ops.len;

	buf_u8(&b->ops, (uint8_t)kind);
	return start;
}

int batch_put_node(struct batch *b, uint64_t ino, const struct node_rec *rec)
{
	size_t start = op_begin(b, OP_PUT_NODE), at;
	uint32_t len;
	int r;

	buf_u64(&b->ops, ino);
	at = b->ops.len;
	buf_u32(&b->ops, 0);
	r = node_rec_encode(rec, &b->ops);
	if (r == 0) {
		len = htole32((uint32_t)(b->ops.len - at - sizeof(len)));
		memcpy(b->ops.data + at, &len, sizeof(len));
	}
	return op_end(b, start, r);
}

int batch_del_node(struct batch *b, uint64_t ino)
{
	size_t start = op_begin(b, OP_DEL_NODE);

	buf_u64(&b->ops, ino);
	return op_end(b, start, 0);
}

int batch_put_name(struct batch *b, uint64_t parent, const char *name,
		   size_t len, uint64_t ino)
{
	size_t start = b->ops.len;

	if (!len || len > NODE_NAME_MAX)
		return -EINVAL;
	(void)op_begin(b, OP_PUT_NAME);
	buf_u64(&b->ops, parent);
	buf_str16(&b->ops, name, len);
	buf_u64(&b->ops, ino);
	return op_end(b, start, 0);
}

int batch_del_name(struct batch *b, uint64_t parent, const char *name,
		   size_t len)
{
	size_t start = b->ops.len;

	if (!len || len > NODE_NAME_MAX)
		return -EINVAL;
	(void)op_begin(b, OP_DEL_NAME);
	buf_u64(&b->ops, parent);
	buf_str16(&b->ops, name, len);
	return op_end(b, start, 0);
}

int batch_put_inline(struct batch *b, const struct digest *d, const void *p,
		     size_t len)
{
	size_t start = b->ops.len;

	if (len > BLOB_INLINE_MAX)
		return -EINVAL;
	(void)op_begin(b, OP_PUT_INLINE);
	buf_put(&b->ops, d->b, DIGEST_LEN);
	buf_u32(&b->ops, (uint32_t)len);
	buf_put(&b->ops, p, len);
	return op_end(b, start, 0);
}

int batch_put_blob(struct batch *b, const struct digest *d, uint64_t size,
		   uint64_t staging_id)
{
	size_t start = op_begin(b, OP_PUT_BLOB);

	buf_put(&b->ops, d->b, DIGEST_LEN);
	buf_u64(&b->ops, size);
	buf_u64(&b->ops, staging_id);
	return op_end(b, start, 0);
}

int batch_drop_staging(struct batch *b, uint64_t staging_id)
{
	size_t start = op_begin(b, OP_DROP_STAGING);

	buf_u64(&b->ops, staging_id);
	return op_end(b, start, 0);
}

void batch_take_back_node(struct batch *b, uint64_t ino)
{
	struct reader rd = reader_of(b->ops.data, b->ops.len);
	size_t from = 0, to = 0;
	struct batch_op op;

	while (batch_next(&rd, &op) > 0) {
		size_t end = b->ops.len - rd.left;

		if (op.kind == OP_PUT_NODE && op.ino == ino) {
			b->count--;
		} else {
			memmove(b->ops.data + to, b->ops.data + from,
				end - from);
			to += end - from;
		}
		from = end;
	}
	b->ops.len = to;
}

void batch_release(struct batch *b)
{
	buf_release(&b->ops);
	b->count = 0;
}

static void take_digest(struct reader *r, struct digest *ret_digest)
{
	const void *p = take(r, DIGEST_LEN);

	if (p)
		memcpy(ret_digest->b, p, DIGEST_LEN);
}

static bool name_is_bad(const struct batch_op *op)
{
	return !op->len || op->len > NODE_NAME_MAX;
}

int batch_next(struct reader *r, struct batch_op *ret_op)
{
	struct batch_op op = { 0 };
	bool bad = false;

	if (!r->bad && !r->left)
		return 0;
	op.kind = take_u8(r);
	switch (op.kind) {
	case OP_PUT_NODE:
		op.ino = take_u64(r);
		op.len = take_u32(r);
		op.p = take(r, op.len);
		break;
	case OP_DEL_NODE:
		op.ino = take_u64(r);
		break;
	case OP_PUT_NAME:
	case OP_DEL_NAME:
		op.ino = take_u64(r);
		op.p = take_str16(r, &op.len);
		if (op.kind == OP_PUT_NAME)
			op.target = take_u64(r);
		bad = name_is_bad(&op);
		break;
	case OP_PUT_INLINE:
		take_digest(r, &op.digest);
		op.len = take_u32(r);
		op.p = take(r, op.len);
		bad = op.len > BLOB_INLINE_MAX;
		break;
	case OP_PUT_BLOB:
		take_digest(r, &op.digest);
		op.size = take_u64(r);
		op.target = take_u64(r);
		break;
	case OP_DROP_STAGING:
		op.target = take_u64(r);
		break;
	default:
		bad = true;
	}
	if (bad || r->bad)
		return -EBADMSG;
	*ret_op = op;
	return 1;
}
