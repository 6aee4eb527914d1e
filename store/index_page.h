/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pages of an LMDB data file, as bytes: what LMDB itself believes without
 * looking. Pure; accepts anything. The format is that of LMDB 0.9 (mdb.c:
 * MDB_page, MDB_node, MDB_meta, MDB_db), in the host's byte order.
 *
 *	file   := { page }            page n is at n * page size
 *	page   := u64 number, u16 0, u16 kind, then
 *	          branch, leaf: u16 lower, u16 upper, { u16 offset }, free, nodes
 *	          overflow:     u32 pages, one value's bytes over all of them
 *	          meta:         u32, u32 magic, u32 1, u64 address, u64 map size,
 *	                        root free, root main, u64 last page, u64 txn
 *	node   := u16 low, u16 high, u16 flags, u16 key length, key, then
 *	          branch: nothing; the child's number is low, high and flags
 *	          leaf:   the value of (high << 16 | low) bytes, or the number of
 *	                  an overflow page with it
 *	root   := u32 page size, u16 flags, u16 depth, u64 branch pages, u64 leaf
 *	          pages, u64 overflow pages, u64 entries, u64 page or ~0
 *
 * Pages 0 and 1 are metas, the one with the higher txn counts. The main tree
 * holds the tables' roots by their names; the free tree, by txn (as a number),
 * lists of free pages: u64 count, { u64 page } from high to low.
 */
#ifndef STORE_INDEX_PAGE_H
#define STORE_INDEX_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/index.h"

#define PAGE_NONE UINT64_MAX
#define PAGE_HEAD_LEN 16
#define ROOT_LEN 48
#define PAGE_META_LEN (PAGE_HEAD_LEN + 24 + 2 * ROOT_LEN + 16)
#define PAGE_SIZE_MIN 512
#define PAGE_SIZE_MAX 65536 /* as LMDB's */
enum page_kind {
	PAGE_BRANCH = 1,
	PAGE_LEAF = 2,
	PAGE_OVERFLOW = 4,
	PAGE_META = 8,
};

struct page {
	const uint8_t *p;
	size_t size;
	enum page_kind kind;
	unsigned count; /* branch, leaf: of nodes */
	uint32_t pages; /* overflow: of the value */
};

/*
 * -EBADMSG: not a page of this number, or LMDB would leave the page when it
 * follows its header: nodes that overlap, or reach beyond it.
 */
int page_parse(const void *p, size_t size, uint64_t number,
	       struct page *ret_page);

enum node_kind {
	NODE_CHILD, /* of a branch */
	NODE_VALUE,
	NODE_BIG,  /* the value is in overflow pages */
	NODE_ROOT, /* of a table */
};

struct page_node {
	enum node_kind kind;
	struct span key;
	struct span value; /* VALUE, ROOT; of BIG the length only */
	uint64_t number;   /* CHILD: the page. BIG: the first overflow page */
};

/* @i < count, of a parsed branch or leaf. -EBADMSG: flags that are not ours. */
int page_node(const struct page *pg, unsigned i, struct page_node *ret_node);

struct page_root {
	unsigned depth;
	uint64_t branches, leaves, overflows, entries;
	uint64_t number; /* PAGE_NONE: an empty tree */
};

void page_root(const void *p, struct page_root *ret_root);

struct page_meta {
	size_t page_size;
	uint64_t last, txn;
	struct page_root free, main;
};

/* @len bytes of page @number, 0 or 1: -EBADMSG if it is no meta page. */
int page_meta(const void *p, size_t len, uint64_t number,
	      struct page_meta *ret_meta);

/* Pages of the overflow value of @len bytes. */
static inline uint64_t page_overflow_count(size_t page_size, size_t len)
{
	return (PAGE_HEAD_LEN + (uint64_t)len + page_size - 1) / page_size;
}

/*
 * The checksum before each value (schema.h): 0 and the value behind it, or
 * -EBADMSG.
 */
#define VALUE_SUM_LEN sizeof(uint64_t)
uint64_t value_sum(enum table t, struct span key, struct span value);
int value_verify(enum table t, struct span key, struct span stored,
		 struct span *ret_value);

#endif
