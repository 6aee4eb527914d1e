/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of views, nodes and names within a transaction. Only for store/.
 */
#ifndef STORE_VIEW_ROW_H
#define STORE_VIEW_ROW_H

#include <stdbool.h>
#include <stdint.h>

#include "store/index.h"
#include "store/record.h"

/* -ENOENT, -EBADMSG. Dropped views are found, too. */
int view_row_get(struct txn *txn, uint32_t id, struct view_rec *ret_rec);
int view_row_put(struct txn *txn, const struct view_rec *rec);
/* A row of TABLE_VIEWS, as txn_foreach() shows it. */
int view_row_decode(struct span key, struct span value,
		    struct view_rec *ret_rec);

/* The value of a row of TABLE_NAMES. */
int name_row_decode(struct span value, uint64_t *ret_ino);
int name_row_put(struct txn *txn, uint32_t view, uint64_t parent,
		 const char *name, size_t len, uint64_t ino);

/* A number in TABLE_META. */
int meta_get_u32(struct txn *txn, const char *name, uint32_t *ret_value);
int meta_put_u32(struct txn *txn, const char *name, uint32_t value);

#endif
