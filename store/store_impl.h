/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For store_rebuild() alone: a store whose index is missing or damaged.
 */
#ifndef STORE_STORE_IMPL_H
#define STORE_STORE_IMPL_H

#include "store/store.h"

/* Everything but the index; directories that are missing are made, the format
 * file is not. -ENOENT: this was never a store; -ESTALE. */
int store_open_damaged_dirs(const char *path, struct store **ret_store);
/* The store closes it. */
void store_give_index(struct store *st, struct index *idx);
int store_write_format(struct store *st);

#endif
