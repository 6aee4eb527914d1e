/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of units within a transaction. Only for store/.
 */
#ifndef STORE_UNIT_ROW_H
#define STORE_UNIT_ROW_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "store/keys.h"
#include "store/unit.h"

/* A key's beginnings; each is a prefix of the next. TABLE_LISTS has keys of
 * UNIT_KEY_LIST bytes, TABLE_UNITS of UNIT_KEY_ALL. */
enum unit_key_len {
	UNIT_KEY_HASH = 8,
	UNIT_KEY_SCOPE = UNIT_KEY_HASH + DIGEST_LEN,
	UNIT_KEY_LIST = UNIT_KEY_SCOPE + DIGEST_LEN,
	UNIT_KEY_VALUES = UNIT_KEY_LIST + DIGEST_LEN,
	UNIT_KEY_ALL = UNIT_KEY_VALUES + 8,
};

static inline void unit_key_put(struct key *k, const struct unit_key *u,
				enum unit_key_len len)
{
	uint64_t hash = htobe64(u->hash), fpr = htobe64(u->fpr);

	memcpy(k->b, &hash, sizeof(hash));
	memcpy(k->b + UNIT_KEY_HASH, u->scope.b, DIGEST_LEN);
	memcpy(k->b + UNIT_KEY_SCOPE, u->list.b, DIGEST_LEN);
	memcpy(k->b + UNIT_KEY_LIST, u->values.b, DIGEST_LEN);
	memcpy(k->b + UNIT_KEY_VALUES, &fpr, sizeof(fpr));
	k->len = len;
}

/* Of a key of either table; in TABLE_LISTS, values and fpr are zero. */
static inline bool unit_key_take(struct span key, struct unit_key *ret_key)
{
	struct key k = { .len = 0 };
	uint64_t hash, fpr;

	if (key.len != UNIT_KEY_LIST && key.len != UNIT_KEY_ALL)
		return false;
	memcpy(k.b, key.p, key.len);
	memcpy(&hash, k.b, sizeof(hash));
	memcpy(&fpr, k.b + UNIT_KEY_VALUES, sizeof(fpr));
	ret_key->hash = be64toh(hash);
	memcpy(ret_key->scope.b, k.b + UNIT_KEY_HASH, DIGEST_LEN);
	memcpy(ret_key->list.b, k.b + UNIT_KEY_SCOPE, DIGEST_LEN);
	memcpy(ret_key->values.b, k.b + UNIT_KEY_LIST, DIGEST_LEN);
	ret_key->fpr = be64toh(fpr);
	return true;
}

/* The list of an object, without values. */
static inline struct unit_list unit_list_of(const struct unit_object *obj)
{
	return (struct unit_list){ obj->inputs, obj->input_count };
}

/* Writes the row of the object's list. */
int unit_list_row_put(struct txn *txn, const struct unit_key *key,
		      const struct unit_object *obj);
/* Whether a list has an object. 1, 0 or an error. */
int unit_list_is_used(struct txn *txn, const struct unit_key *key);

#endif
