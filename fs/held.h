/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The units that a view holds, as its committed rows say: of a view that is
 * mounted, as it was about a second ago. For those who look at a store from
 * outside of a daemon.
 */
#ifndef FS_HELD_H
#define FS_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;
struct unit_key;

/* In the order of their hashes. */
struct held {
	struct held_unit *units;
	size_t count;
};

/* As views_load(); what is damaged is left out. */
int held_load(struct store *st, uint32_t view, struct held *ret_held);
/* Whether the view's unit of that hash is this object. */
bool held_has(const struct held *h, const struct unit_key *key);
void held_release(struct held *h);

#endif
