/* SPDX-License-Identifier: Apache-2.0 */
/* Units of a view that nobody need have open; see held.h. */
#include "config.h"

#include "fs/held.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/attr.h"
#include "fs/cargo/layout.h"
#include "fs/units.h"
#include "store/unit.h"
#include "store/views.h"

struct held_unit {
	uint64_t ino; /* of the fingerprint's directory, which is named by H */
	uint64_t hash;
	struct unit_identity id;
};

static int add(struct held *h, size_t *cap, const struct held_unit *u)
{
	if (h->count == *cap) {
		size_t n = *cap ? *cap * 2 : 64;
		struct held_unit *units;

		units = reallocarray(h->units, n, sizeof(*units));
		if (!units)
			return -ENOMEM;
		h->units = units;
		*cap = n;
	}
	h->units[h->count++] = *u;
	return 0;
}

struct loading {
	struct held held;
	size_t cap;
};

static int on_node(uint64_t ino, const struct node_rec *rec, void *arg)
{
	struct loading *ld = arg;
	struct held_unit u = { .ino = ino };
	struct reader r = reader_of(rec->xattrs.p, rec->xattrs.len);
	struct xattr_item it;

	while (xattr_next(&r, &it) > 0)
		if (it.name_len == strlen(NODE_IDENTITY) &&
		    memcmp(it.name, NODE_IDENTITY, it.name_len) == 0 &&
		    unit_identity_decode(it.value, it.value_len, &u.id))
			return add(&ld->held, &ld->cap, &u);
	return 0;
}

static int by_ino(const void *a, const void *b)
{
	const struct held_unit *x = a, *y = b;

	return (x->ino > y->ino) - (x->ino < y->ino);
}

static int by_hash(const void *a, const void *b)
{
	const struct held_unit *x = a, *y = b;

	return (x->hash > y->hash) - (x->hash < y->hash);
}

/* Nodes come before names, and in the order of their numbers. */
static int on_name(uint64_t parent, const char *name, size_t len, uint64_t ino,
		   void *arg)
{
	struct loading *ld = arg;
	struct held_unit key = { .ino = ino }, *u;
	const char *h;

	(void)parent;
	u = ld->held.count ? bsearch(&key, ld->held.units, ld->held.count,
				     sizeof(key), by_ino)
			   : NULL;
	h = u ? layout_unit_of(name, len) : NULL;
	if (h)
		u->hash = unit_hash_of(h);
	return 0;
}

static int on_damage(const char *what, void *arg)
{
	(void)what;
	(void)arg;
	return 0;
}

int held_load(struct store *st, uint32_t view, struct held *ret_held)
{
	struct loading ld = { .held = { 0 } };
	const struct view_loader loader = { .on_node = on_node,
					    .on_name = on_name,
					    .on_damage = on_damage,
					    .arg = &ld };
	int r = views_load(st, view, &loader);

	if (r < 0) {
		held_release(&ld.held);
		return r;
	}
	if (ld.held.count > 0)
		qsort(ld.held.units, ld.held.count, sizeof(*ld.held.units),
		      by_hash);
	*ret_held = ld.held;
	return 0;
}

static bool is_object(const struct held_unit *u, const struct unit_key *key)
{
	return u->id.flags & UNIT_STORED && u->id.fpr == key->fpr &&
	       digest_equal(&u->id.scope, &key->scope) &&
	       digest_equal(&u->id.list, &key->list) &&
	       digest_equal(&u->id.values, &key->values);
}

/* Two profiles' directories may hold one hash. */
bool held_has(const struct held *h, const struct unit_key *key)
{
	size_t from = 0, to = h->count;

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (h->units[mid].hash < key->hash)
			from = mid + 1;
		else
			to = mid;
	}
	for (; from < h->count && h->units[from].hash == key->hash; from++)
		if (is_object(&h->units[from], key))
			return true;
	return false;
}

void held_release(struct held *h)
{
	free(h->units);
	*h = (struct held){ 0 };
}
