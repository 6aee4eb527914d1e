/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of fsck: a store with a bit of everything. Included once, after
 * fixture.h.
 */
#ifndef TESTS_UNIT_CHECK_WORLD_H
#define TESTS_UNIT_CHECK_WORLD_H

#include "store/keys.h"
#include "tests/unit/checks.h"

struct world {
	struct fsck f;
	uint64_t dir, file, other, inlined, staged;
};

static uint64_t put_child(struct place *p, uint64_t parent, const char *name,
			  struct node_rec rec)
{
	struct batch b = { 0 };
	uint64_t ino = p->next++;

	OK(batch_put_node(&b, ino, &rec));
	OK(batch_put_name(&b, parent, name, strlen(name), ino));
	OK(commit(p, &b));
	batch_release(&b);
	return ino;
}

static void enter_world(struct world *w)
{
	struct node_rec rec = dir_node(), root = dir_node();
	struct place *p = &w->f.p;
	struct batch b = { 0 };
	uint64_t id;

	memset(w, 0, sizeof(*w));
	enter_store(p);
	w->file = add_file(p, "file", "bytes of a file");
	(void)add_file(p, "twin", "bytes of a file");
	w->other = add_file(p, "other", "bytes of another");
	w->inlined = add_inline(p, "inline", "bytes inline");
	w->dir = put_child(p, VIEW_ROOT_INO, "dir", rec);
	root.nlink = 3;
	OK(batch_put_node(&b, VIEW_ROOT_INO, &root));
	id = stage(p, "staged bytes");
	rec = empty_node();
	rec.content = CONTENT_STAGING;
	rec.size = 12;
	rec.staging_id = id;
	w->staged = id;
	OK(batch_put_node(&b, id, &rec));
	OK(batch_put_name(&b, w->dir, "staged", 6, id));
	OK(commit(p, &b));
	batch_release(&b);
	del_file(p, "gone", add_file(p, "gone", "a dead blob"));
	rec = empty_node();
	rec.mode = S_IFLNK | 0777;
	rec.content = CONTENT_SYMLINK;
	rec.target = (struct span_str){ "dir/staged", 10 };
	rec.size = 10;
	(void)put_child(p, w->dir, "link", rec);
}

static int do_get_node(struct txn *txn, void *arg)
{
	struct span value;

	return txn_get(txn, TABLE_NODES, span_of_key(arg), &value);
}

static bool file_is_there(struct world *w, uint64_t ino)
{
	struct key key;

	node_key(&key, w->f.p.view, ino);
	return index_view(store_index(w->f.p.st), do_get_node, &key) == 0;
}

#endif
