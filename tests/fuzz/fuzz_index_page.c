/* SPDX-License-Identifier: Apache-2.0 */
/*
 * page_parse(), page_node(), page_meta() and value_verify(): no input makes
 * them read outside of the page, and all that they tell of lies within it, no
 * byte of it twice. The input is page 7, or meta page 0 or 1; one below 512
 * bytes lacks its free space, which is put back behind `lower'.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/macros.h"
#include "store/index_page.h"
#include "tests/fuzz/hex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NUMBER 7
#define LOWER_AT 12 /* in the page's header */

/* A block of exactly the page's size; the caller frees. */
static uint8_t *with_free_space(const uint8_t *bytes, size_t len,
				size_t *ret_size)
{
	size_t size = MAX(len, PAGE_SIZE_MIN), head = len;
	uint8_t *page = calloc(1, size);
	uint16_t lower;

	if (!page)
		return NULL;
	if (len < size && len >= PAGE_HEAD_LEN) {
		memcpy(&lower, bytes + LOWER_AT, sizeof(lower));
		head = MIN(len, MAX(lower, PAGE_HEAD_LEN));
	}
	memcpy(page, bytes, head);
	memcpy(page + size - (len - head), bytes + head, len - head);
	*ret_size = size;
	return page;
}

/* Marks the bytes of @s, which nothing else may have. */
static void take(const struct page *pg, uint8_t *taken, struct span s)
{
	size_t at = (size_t)((const uint8_t *)s.p - pg->p);

	if (at > pg->size || s.len > pg->size - at)
		abort();
	for (size_t i = at; i < at + s.len; i++)
		if (taken[i]++)
			abort();
}

static void check_value(struct span key, struct span stored)
{
	struct span value;
	uint64_t sum;

	for (int t = 0; t < TABLE_COUNT; t++) {
		if (value_verify((enum table)t, key, stored, &value) < 0)
			continue;
		sum = htole64(value_sum((enum table)t, key, value));
		if (value.len + sizeof(sum) != stored.len ||
		    memcmp(stored.p, &sum, sizeof(sum)) != 0)
			abort();
	}
}

static void check_node(const struct page *pg, unsigned i, uint8_t *taken)
{
	struct page_root root;
	struct page_node n;

	if (page_node(pg, i, &n) < 0)
		return;
	if ((n.kind == NODE_CHILD) != (pg->kind == PAGE_BRANCH) ||
	    n.key.len > INDEX_KEY_MAX)
		abort();
	take(pg, taken, n.key);
	if (n.kind != NODE_VALUE && n.kind != NODE_ROOT)
		return;
	take(pg, taken, n.value);
	if (n.kind == NODE_ROOT)
		page_root(n.value.p, &root);
	else
		check_value(n.key, n.value);
}

static void check_page(const uint8_t *bytes, size_t size)
{
	struct page pg = { 0 };
	uint8_t *taken;

	if (page_parse(bytes, size, NUMBER, &pg) < 0)
		return;
	if (page_parse(bytes, size, NUMBER + 1, &pg) == 0)
		abort();
	taken = calloc(1, size);
	for (unsigned i = 0; taken && i < pg.count; i++)
		check_node(&pg, i, taken);
	free(taken);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes, *page = NULL;
	struct page_meta meta;
	size_t len = 0;

	bytes = unhex(data, size, &len);
	if (bytes)
		page = with_free_space(bytes, len, &size);
	if (page)
		check_page(page, size);
	for (uint64_t n = 0; bytes && n < 2; n++)
		if (page_meta(bytes, len, n, &meta) == 0 &&
		    (len < PAGE_META_LEN || meta.page_size < PAGE_SIZE_MIN ||
		     meta.page_size > PAGE_SIZE_MAX))
			abort();
	free(page);
	free(bytes);
	return 0;
}
