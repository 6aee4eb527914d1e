/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of views and names (grammar: schema.h). No state but the transaction.
 */
#include "config.h"

#include "store/view_row.h"

#include <errno.h>

#include "store/base/buf.h"
#include "store/base/macros.h"
#include "store/keys.h"
#include "store/schema.h"

int view_row_decode(struct span key, struct span value,
		    struct view_rec *ret_rec)
{
	uint32_t id;
	int r;

	if (key.len != VIEW_KEY_LEN || !key_view(key, &id) || !value.p)
		return -EBADMSG;
	r = view_rec_decode(value.p, value.len, ret_rec);
	if (r == 0)
		ret_rec->id = id;
	return r;
}

int view_row_get(struct txn *txn, uint32_t id, struct view_rec *ret_rec)
{
	struct span value = { 0 };
	struct key key;
	int r;

	view_key(&key, id);
	r = txn_get(txn, TABLE_VIEWS, span_of_key(&key), &value);
	return r < 0 ? r : view_row_decode(span_of_key(&key), value, ret_rec);
}

int view_row_put(struct txn *txn, const struct view_rec *rec)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	struct key key;
	int r;

	r = view_rec_encode(rec, &b);
	if (r < 0)
		return r;
	view_key(&key, rec->id);
	return txn_put(txn, TABLE_VIEWS, span_of_key(&key),
		       span_of(b.data, b.len));
}

int name_row_decode(struct span value, uint64_t *ret_ino)
{
	struct reader r = reader_of(value.p, value.len);
	uint8_t version = take_u8(&r);
	uint64_t ino = take_u64(&r);

	if (r.bad || r.left || version != NAME_VERSION)
		return -EBADMSG;
	*ret_ino = ino;
	return 0;
}

int name_row_put(struct txn *txn, uint32_t view, uint64_t parent,
		 const char *name, size_t len, uint64_t ino)
{
	uint8_t value[1 + sizeof(uint64_t)] = { NAME_VERSION };
	uint64_t le = htole64(ino);
	struct key key;

	if (!name_key(&key, view, parent, name, len))
		return -EINVAL;
	memcpy(value + 1, &le, sizeof(le));
	return txn_put(txn, TABLE_NAMES, span_of_key(&key),
		       span_of(value, sizeof(value)));
}

int meta_get_u32(struct txn *txn, const char *name, uint32_t *ret_value)
{
	struct span value = { 0 };
	struct reader rd;
	uint32_t v;
	int r;

	r = txn_get(txn, TABLE_META, span_of_str(name), &value);
	if (r < 0)
		return r;
	rd = reader_of(value.p, value.len);
	v = take_u32(&rd);
	if (rd.bad || rd.left)
		return -EBADMSG;
	*ret_value = v;
	return 0;
}

int meta_put_u32(struct txn *txn, const char *name, uint32_t value)
{
	uint32_t le = htole32(value);

	return txn_put(txn, TABLE_META, span_of_str(name),
		       span_of(&le, sizeof(le)));
}
