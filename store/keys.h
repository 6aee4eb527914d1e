/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys of the index (grammar: schema.h), built on the caller's stack and taken
 * apart again.
 */
#ifndef STORE_KEYS_H
#define STORE_KEYS_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "store/digest.h"
#include "store/index.h"
#include "store/schema.h"

#define VIEW_KEY_LEN 4
#define NODE_KEY_LEN 12
#define NAME_KEY_MAX (NODE_KEY_LEN + NODE_NAME_MAX)

struct key {
	uint8_t b[NAME_KEY_MAX];
	size_t len;
};

static inline struct span span_of(const void *p, size_t len)
{
	return (struct span){ .p = p, .len = len };
}

static inline struct span span_of_key(const struct key *k)
{
	return span_of(k->b, k->len);
}

static inline struct span span_of_str(const char *s)
{
	return span_of(s, strlen(s));
}

static inline struct span span_of_digest(const struct digest *d)
{
	return span_of(d->b, sizeof(d->b));
}

static inline void view_key(struct key *k, uint32_t view)
{
	uint32_t be = htobe32(view);

	memcpy(k->b, &be, sizeof(be));
	k->len = VIEW_KEY_LEN;
}

/* Of a node; in TABLE_NAMES the prefix of a directory's names. */
static inline void node_key(struct key *k, uint32_t view, uint64_t ino)
{
	uint64_t be = htobe64(ino);

	view_key(k, view);
	memcpy(k->b + VIEW_KEY_LEN, &be, sizeof(be));
	k->len = NODE_KEY_LEN;
}

/* False when the name is too long for a key. */
static inline bool name_key(struct key *k, uint32_t view, uint64_t parent,
			    const void *name, size_t len)
{
	if (!len || len > NODE_NAME_MAX)
		return false;
	node_key(k, view, parent);
	memcpy(k->b + NODE_KEY_LEN, name, len);
	k->len = NODE_KEY_LEN + len;
	return true;
}

static inline bool key_view(struct span key, uint32_t *ret_view)
{
	uint32_t be;

	if (key.len < VIEW_KEY_LEN)
		return false;
	memcpy(&be, key.p, sizeof(be));
	*ret_view = be32toh(be);
	return true;
}

/* The node number of a key of TABLE_NODES, the parent in TABLE_NAMES. */
static inline bool key_node(struct span key, uint64_t *ret_ino)
{
	uint64_t be;

	if (key.len < NODE_KEY_LEN)
		return false;
	memcpy(&be, (const uint8_t *)key.p + VIEW_KEY_LEN, sizeof(be));
	*ret_ino = be64toh(be);
	return true;
}

static inline bool key_name(struct span key, const char **ret_name,
			    size_t *ret_len)
{
	if (key.len <= NODE_KEY_LEN || key.len > NAME_KEY_MAX)
		return false;
	*ret_name = (const char *)key.p + NODE_KEY_LEN;
	*ret_len = key.len - NODE_KEY_LEN;
	return true;
}

static inline bool key_digest(struct span key, struct digest *ret_digest)
{
	if (key.len != DIGEST_LEN)
		return false;
	memcpy(ret_digest->b, key.p, DIGEST_LEN);
	return true;
}

#endif
