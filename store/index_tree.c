/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk over LMDB's file; see index_tree.h. Invariant: a walk visits each
 * page once, so it ends. One thread to a walk; no state beyond it.
 */
#include "config.h"

#include "store/index_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/base/buf.h"
#include "store/base/io.h"
#include "store/base/macros.h"
#include "store/index_page.h"

/* LMDB's own limit, of its cursors. */
#define DEPTH_MAX 32
/* A list of free pages may be longer than any value of ours. */
#define BIG_MAX ((size_t)256 << 20)
/* Linux reads no more ahead at a time than it does for the block device, which
 * is this where nobody has set it. */
#define AHEAD ((off_t)128 << 10)

enum use { USE_UNKNOWN, USE_TREE, USE_FREE };
enum tree { TREE_MAIN, TREE_TABLE, TREE_FREE };

struct walk {
	int fd;
	bool strict; /* damage ends the walk */
	uint64_t damaged;
	size_t page_size;
	uint64_t count; /* of pages */
	bool has_meta;
	struct page_meta meta;
	uint8_t *use;	 /* enum use, of each page */
	uint8_t *levels; /* a page of each level, and one for overflow pages */
	uint8_t *big;	 /* a value out of overflow pages */
	/* Of the tree that is walked. */
	enum tree tree;
	struct page_root seen; /* what was counted */
	struct buf roots;      /* struct page_root, found in the main tree */
	tree_row_fn fn;	       /* NULL: no rows are wanted */
	void *arg;
};

/* Keys of a page: from <= key < to; p == NULL: no bound. */
struct bounds {
	struct span from, to;
};

static int damage(struct walk *w)
{
	w->damaged++;
	return w->strict ? -EBADMSG : 0;
}

/* What the disk does not give back is as good as damaged. */
static bool read_at(const struct walk *w, uint64_t page, size_t skip, void *to,
		    size_t len)
{
	size_t got = 0;

	return page < w->count &&
	       pread_full(w->fd, to, len, (off_t)(page * w->page_size + skip),
			  &got) == 0 &&
	       got == len;
}

static bool read_page(const struct walk *w, uint64_t number, uint8_t *buf,
		      struct page *ret_page)
{
	return read_at(w, number, 0, buf, w->page_size) &&
	       page_parse(buf, w->page_size, number, ret_page) == 0;
}

static bool claim(struct walk *w, uint64_t first, uint64_t pages, enum use use)
{
	if (first < 2 || first >= w->count || pages > w->count - first)
		return false;
	for (uint64_t i = 0; i < pages; i++)
		if (w->use[first + i] != USE_UNKNOWN)
			return false;
	memset(w->use + first, use, pages);
	return true;
}

/* --- values --------------------------------------------------------------- */

/* The checksum tells the table, too. */
static int send_row(struct walk *w, struct span key, struct span stored,
		    enum row_rank rank)
{
	struct span value;

	for (int t = 0; t < TABLE_COUNT; t++)
		if (value_verify((enum table)t, key, stored, &value) == 0)
			return w->fn((enum table)t, key, value, rank, w->arg);
	return rank == ROW_REACHED ? damage(w) : 0;
}

/* Its end may be unused: LMDB reserves lists before it knows their length. */
static int claim_free(struct walk *w, struct span list)
{
	uint64_t count, page;

	if (list.len < sizeof(count))
		return damage(w);
	memcpy(&count, list.p, sizeof(count));
	if (count > list.len / sizeof(page) - 1)
		return damage(w);
	for (uint64_t i = 1; i <= count; i++) {
		memcpy(&page, (const uint8_t *)list.p + i * sizeof(page),
		       sizeof(page));
		if (!claim(w, page, 1, USE_FREE))
			return damage(w);
	}
	return 0;
}

static int take_value(struct walk *w, struct span key, struct span stored)
{
	if (w->tree == TREE_FREE)
		return claim_free(w, stored);
	return w->fn ? send_row(w, key, stored, ROW_REACHED) : 0;
}

/* Points n->value at bytes that live until the next call. -EBADMSG: there are
 * none. */
static int load_big(struct walk *w, struct page_node *n, bool stale)
{
	uint64_t pages = page_overflow_count(w->page_size, n->value.len);
	uint8_t *head = w->levels + DEPTH_MAX * w->page_size;
	struct page pg;

	if (n->value.len > BIG_MAX || !read_page(w, n->number, head, &pg) ||
	    /* More than it needs when the value has become smaller. */
	    pg.kind != PAGE_OVERFLOW || pg.pages < pages ||
	    (!stale && !claim(w, n->number, pg.pages, USE_TREE)))
		return -EBADMSG;
	w->seen.overflows += pg.pages;
	if (!w->fn && w->tree != TREE_FREE)
		return 0;
	free(w->big);
	w->big = malloc(n->value.len);
	if (!w->big)
		return -ENOMEM;
	n->value.p = w->big;
	return read_at(w, n->number, PAGE_HEAD_LEN, w->big, n->value.len)
		       ? 0
		       : -EBADMSG;
}

/* --- trees ---------------------------------------------------------------- */

static int walk_leaf(struct walk *w, const struct page *pg)
{
	struct page_root root;
	struct page_node n;
	int r = 0;

	w->seen.leaves++;
	w->seen.entries += pg->count;
	for (unsigned i = 0; r == 0 && i < pg->count; i++) {
		if (page_node(pg, i, &n) < 0 ||
		    (n.kind == NODE_ROOT) != (w->tree == TREE_MAIN)) {
			r = damage(w);
			continue;
		}
		if (n.kind == NODE_ROOT) {
			page_root(n.value.p, &root);
			buf_put(&w->roots, &root, sizeof(root));
			r = w->roots.err;
			continue;
		}
		if (n.kind == NODE_BIG)
			r = load_big(w, &n, false);
		if (r == 0)
			r = take_value(w, n.key, n.value);
		else if (r == -EBADMSG)
			r = damage(w);
	}
	return r;
}

static int compare_keys(const struct walk *w, struct span a, struct span b)
{
	uint64_t x, y;
	int d;

	if (w->tree == TREE_FREE) {
		memcpy(&x, a.p, sizeof(x));
		memcpy(&y, b.p, sizeof(y));
		return (x > y) - (x < y);
	}
	d = memcmp(a.p, b.p, MIN(a.len, b.len));
	return d ? d : (a.len > b.len) - (a.len < b.len);
}

/* The first key of a branch is not looked at, by LMDB neither. */
static bool is_in_order(const struct walk *w, const struct page *pg,
			const struct bounds *b)
{
	unsigned first = pg->kind == PAGE_BRANCH ? 1 : 0;
	struct span last = b->from;
	struct page_node n;
	int least;

	for (unsigned i = first; i < pg->count; i++) {
		if (page_node(pg, i, &n) < 0 ||
		    (w->tree == TREE_FREE ? n.key.len != sizeof(uint64_t)
					  : !n.key.len))
			return false;
		/* Only a leaf's first may equal the bound. */
		least = i == 0 ? 0 : 1;
		if (last.p && compare_keys(w, n.key, last) < least)
			return false;
		last = n.key;
	}
	return !b->to.p || !last.p || compare_keys(w, last, b->to) < 0;
}

static int walk_page(struct walk *w, uint64_t number, unsigned level,
		     unsigned depth, const struct bounds *b)
{
	uint8_t *buf = w->levels + level * w->page_size;
	struct page_node n, next;
	struct page pg;
	int r = 0;

	if (!read_page(w, number, buf, &pg) ||
	    pg.kind != (level + 1 < depth ? PAGE_BRANCH : PAGE_LEAF) ||
	    !is_in_order(w, &pg, b) || !claim(w, number, 1, USE_TREE))
		return damage(w);
	if (pg.kind == PAGE_LEAF)
		return walk_leaf(w, &pg);
	/* In the free tree one child is enough for LMDB. */
	if (pg.count < 2 && w->tree != TREE_FREE)
		return damage(w);
	w->seen.branches++;
	for (unsigned i = 0; r == 0 && i < pg.count; i++) {
		struct bounds inner = *b;

		if (page_node(&pg, i, &n) < 0)
			return damage(w);
		if (i > 0)
			inner.from = n.key;
		if (i + 1 < pg.count && page_node(&pg, i + 1, &next) == 0)
			inner.to = next.key;
		r = walk_page(w, n.number, level + 1, depth, &inner);
	}
	return r;
}

static int walk_tree(struct walk *w, enum tree tree,
		     const struct page_root *root)
{
	const struct bounds all = { { NULL, 0 }, { NULL, 0 } };
	uint64_t before = w->damaged;
	int r;

	w->tree = tree;
	w->seen = (struct page_root){ 0 };
	if (root->number == PAGE_NONE)
		return root->entries ? damage(w) : 0;
	if (!root->depth || root->depth > DEPTH_MAX)
		return damage(w);
	r = walk_page(w, root->number, 0, root->depth, &all);
	if (r < 0 || w->damaged != before)
		return r;
	if (w->seen.branches != root->branches ||
	    w->seen.leaves != root->leaves ||
	    w->seen.overflows != root->overflows ||
	    w->seen.entries != root->entries)
		return damage(w);
	return 0;
}

static int walk_tables(struct walk *w)
{
	const struct page_root *root;
	size_t count;
	int r;

	r = walk_tree(w, TREE_MAIN, &w->meta.main);
	root = (const struct page_root *)(const void *)w->roots.data;
	count = w->roots.len / sizeof(*root);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = walk_tree(w, TREE_TABLE, &root[i]);
	return r;
}

/* --- beginning and end ---------------------------------------------------- */

static bool read_meta(const struct walk *w, uint64_t number,
		      struct page_meta *ret_meta)
{
	uint8_t buf[PAGE_META_LEN];
	size_t got = 0;

	return pread_full(w->fd, buf, sizeof(buf),
			  (off_t)(number * w->page_size), &got) == 0 &&
	       page_meta(buf, got, number, ret_meta) == 0;
}

/* The meta page of commit @txn, or the last one that is well. */
static void find_meta(struct walk *w, uint64_t txn)
{
	struct page_meta meta;

	w->page_size = (size_t)sysconf(_SC_PAGESIZE);
	for (uint64_t i = 0; i < 2; i++) {
		if (!read_meta(w, i, &meta))
			continue;
		w->page_size = meta.page_size;
		if (txn ? meta.txn != txn
			: w->has_meta && meta.txn < w->meta.txn)
			continue;
		w->meta = meta;
		w->has_meta = true;
	}
}

static int walk_init(struct walk *w, int fd, uint64_t txn)
{
	struct stat s;

	w->fd = fd;
	if (fstat(fd, &s) < 0)
		return -errno;
	find_meta(w, txn);
	w->count = (uint64_t)s.st_size / w->page_size;
	w->use = calloc(w->count + 1, 1);
	w->levels = malloc((DEPTH_MAX + 1) * w->page_size);
	return w->use && w->levels ? 0 : -ENOMEM;
}

static void walk_release(struct walk *w)
{
	buf_release(&w->roots);
	free(w->use);
	free(w->levels);
	free(w->big);
}

/* The walk needs nearly all pages, in no order. */
static void read_ahead(const struct walk *w)
{
	off_t end = (off_t)(w->count * w->page_size);

	for (off_t at = 0; at < end; at += AHEAD)
		(void)posix_fadvise(w->fd, at, AHEAD, POSIX_FADV_WILLNEED);
}

int tree_check(int fd, uint64_t txn)
{
	struct walk w = { .strict = true };
	int r;

	r = walk_init(&w, fd, txn);
	if (r == 0 && !w.has_meta)
		r = -ESTALE;
	if (r == 0 && w.meta.last >= w.count)
		r = -EBADMSG;
	if (r == 0) {
		w.count = w.meta.last + 1;
		read_ahead(&w);
		r = walk_tables(&w);
	}
	if (r == 0)
		r = walk_tree(&w, TREE_FREE, &w.meta.free);
	walk_release(&w);
	return r;
}

/* --- pages that nothing leads to ------------------------------------------ */

static int send_leaf(struct walk *w, const struct page *pg, enum row_rank rank)
{
	struct page_node n;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < pg->count; i++) {
		if (page_node(pg, i, &n) < 0 || n.kind == NODE_ROOT)
			continue;
		if (n.kind == NODE_BIG)
			r = load_big(w, &n, rank == ROW_STALE);
		if (r == 0)
			r = send_row(w, n.key, n.value, rank);
		else if (r == -EBADMSG)
			r = 0;
	}
	return r;
}

/*
 * The pages of LMDB are in a tree or free; what is neither was in a tree whose
 * way there is lost. This needs the whole list of free pages, or old rows
 * would come back.
 */
static int send_others(struct walk *w, enum row_rank rank, bool know_free)
{
	struct page pg;
	int r = 0;

	w->tree = TREE_TABLE;
	for (uint64_t i = 2; r == 0 && i < w->count; i++) {
		bool stray = know_free && w->use[i] == USE_UNKNOWN &&
			     i <= w->meta.last;

		if (w->use[i] == USE_TREE || stray != (rank == ROW_STRAY) ||
		    !read_page(w, i, w->levels, &pg))
			continue;
		/* What is in its pages may look like a leaf. */
		if (pg.kind == PAGE_OVERFLOW && stray)
			(void)claim(w, i, pg.pages, USE_TREE);
		if (pg.kind == PAGE_LEAF)
			r = send_leaf(w, &pg, rank);
	}
	return r;
}

static int send_all(struct walk *w)
{
	uint64_t before;
	int r = 0;

	if (w->has_meta)
		r = walk_tables(w);
	else
		w->damaged++;
	before = w->damaged;
	if (r == 0 && w->has_meta)
		r = walk_tree(w, TREE_FREE, &w->meta.free);
	if (r == 0 && w->damaged)
		r = send_others(w, ROW_STRAY,
				w->has_meta && w->damaged == before);
	if (r == 0 && w->damaged)
		r = send_others(w, ROW_STALE,
				w->has_meta && w->damaged == before);
	return r;
}

int tree_rows(int fd, tree_row_fn fn, void *arg, uint64_t *ret_damaged)
{
	struct walk w = { .fn = fn, .arg = arg };
	int r;

	r = walk_init(&w, fd, 0);
	if (r == 0)
		r = send_all(&w);
	*ret_damaged = w.damaged;
	walk_release(&w);
	return r;
}
