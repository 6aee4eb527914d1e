/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LMDB's pages as bytes, and the checksums of values; see index_page.h.
 * Invariant: nothing outside of the page is read, whatever is in it. Pure.
 */
#include "config.h"

#include "store/index_page.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <xxhash.h>

#include "store/base/broken.h"
#include "store/schema.h"

#define NODE_LEN 8u
#define META_MAGIC 0xbeefc0deU
#define META_VERSION 1
/* Flags of a leaf's node. */
#define FLAG_BIG 1
#define FLAG_ROOT 2

static uint16_t get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static unsigned node_offset(const struct page *pg, unsigned i)
{
	return get16(pg->p + PAGE_HEAD_LEN + 2 * i);
}

/* In two halves, the lower first or, big-endian, the upper. */
static uint32_t node_low32(const uint8_t *node)
{
	if (BYTE_ORDER == LITTLE_ENDIAN)
		return get16(node) | (uint32_t)get16(node + 2) << 16;
	return get16(node + 2) | (uint32_t)get16(node) << 16;
}

/* Bytes of the node, 0: more than there are. Nodes are of even length. */
static size_t node_len(const struct page *pg, unsigned at)
{
	size_t len, room = pg->size - at;
	const uint8_t *node = pg->p + at;

	if (room < NODE_LEN)
		return 0;
	len = NODE_LEN + get16(node + 6);
	if (pg->kind == PAGE_LEAF)
		len += get16(node + 4) & FLAG_BIG ? sizeof(uint64_t)
						  : node_low32(node);
	len += len & 1;
	return len <= room ? len : 0;
}

/* Nodes fill the page from its end to @upper, none over another. */
static int check_nodes(const struct page *pg, unsigned upper)
{
	uint8_t taken[PAGE_SIZE_MAX / 2 / 8] = { 0 };
	size_t sum = 0;

	for (unsigned i = 0; i < pg->count; i++) {
		unsigned at = node_offset(pg, i);
		size_t len;

		if (at < upper || at >= pg->size || at & 1)
			return -EBADMSG;
		len = node_len(pg, at);
		if (!len)
			return -EBADMSG;
		sum += len;
		for (size_t b = at / 2; b < (at + len) / 2; b++) {
			if (taken[b / 8] & 1 << b % 8)
				return -EBADMSG;
			taken[b / 8] |= (uint8_t)(1 << b % 8);
		}
	}
	return sum == pg->size - upper ? 0 : -EBADMSG;
}

int page_parse(const void *p, size_t size, uint64_t number,
	       struct page *ret_page)
{
	struct page pg = { .p = p, .size = size };
	unsigned lower, upper;
	int r;

	if (size < PAGE_SIZE_MIN || size > PAGE_SIZE_MAX ||
	    get64(pg.p) != number)
		return -EBADMSG;
	pg.kind = (enum page_kind)get16(pg.p + 10);
	lower = get16(pg.p + 12);
	upper = get16(pg.p + 14);
	switch (pg.kind) {
	case PAGE_BRANCH:
	case PAGE_LEAF:
		if (lower < PAGE_HEAD_LEN + 2 || lower & 1 || lower > upper ||
		    upper > size)
			return -EBADMSG;
		pg.count = (lower - PAGE_HEAD_LEN) / 2;
		r = check_nodes(&pg, upper);
		break;
	case PAGE_OVERFLOW:
		pg.pages = get32(pg.p + 12);
		r = pg.pages ? 0 : -EBADMSG;
		break;
	case PAGE_META:
	default:
		r = -EBADMSG;
	}
	if (r == 0)
		*ret_page = pg;
	return r;
}

int page_node(const struct page *pg, unsigned i, struct page_node *ret_node)
{
	const uint8_t *node = pg->p + node_offset(pg, i);
	unsigned flags = get16(node + 4);
	struct page_node n = {
		.key = { node + NODE_LEN, get16(node + 6) },
		.value = { node + NODE_LEN + get16(node + 6),
			   node_low32(node) },
	};

	if (n.key.len > INDEX_KEY_MAX)
		return -EBADMSG;
	if (pg->kind == PAGE_BRANCH) {
		n.kind = NODE_CHILD;
		n.number = n.value.len | (uint64_t)flags << 32;
		n.value.len = 0;
	} else if (flags == FLAG_BIG) {
		n.kind = NODE_BIG;
		n.number = get64(n.value.p);
		n.value.p = NULL;
	} else if (flags == FLAG_ROOT && n.value.len == ROOT_LEN) {
		n.kind = NODE_ROOT;
	} else if (flags == 0) {
		n.kind = NODE_VALUE;
	} else {
		return -EBADMSG;
	}
	*ret_node = n;
	return 0;
}

void page_root(const void *p, struct page_root *ret_root)
{
	const uint8_t *b = p;

	*ret_root = (struct page_root){
		.depth = get16(b + 6),
		.branches = get64(b + 8),
		.leaves = get64(b + 16),
		.overflows = get64(b + 24),
		.entries = get64(b + 32),
		.number = get64(b + 40),
	};
}

int page_meta(const void *p, size_t len, uint64_t number,
	      struct page_meta *ret_meta)
{
	const uint8_t *b = p, *m = b + PAGE_HEAD_LEN;
	struct page_meta meta;

	if (len < PAGE_META_LEN || get64(b) != number ||
	    get16(b + 10) != PAGE_META || get32(m) != META_MAGIC ||
	    get32(m + 4) != META_VERSION)
		return -EBADMSG;
	meta.page_size = get32(m + 24);
	if (meta.page_size < PAGE_SIZE_MIN || meta.page_size > PAGE_SIZE_MAX ||
	    meta.page_size & (meta.page_size - 1))
		return -EBADMSG;
	page_root(m + 24, &meta.free);
	page_root(m + 24 + ROOT_LEN, &meta.main);
	meta.last = get64(m + 24 + 2 * ROOT_LEN);
	meta.txn = get64(m + 32 + 2 * ROOT_LEN);
	*ret_meta = meta;
	return 0;
}

uint64_t value_sum(enum table t, struct span key, struct span value)
{
	XXH64_hash_t seed = XXH3_64bits_withSeed(key.p, key.len, t);

	return XXH3_64bits_withSeed(value.p, value.len, seed);
}

int value_verify(enum table t, struct span key, struct span stored,
		 struct span *ret_value)
{
	struct span value;
	uint64_t sum;

	if (stored.len < VALUE_SUM_LEN ||
	    stored.len - VALUE_SUM_LEN > INDEX_VALUE_MAX)
		return -EBADMSG;
	memcpy(&sum, stored.p, VALUE_SUM_LEN);
	value.p = (const char *)stored.p + VALUE_SUM_LEN;
	value.len = stored.len - VALUE_SUM_LEN;
	if (!broken("index-checksum") &&
	    le64toh(sum) != value_sum(t, key, value))
		return -EBADMSG;
	*ret_value = value;
	return 0;
}
