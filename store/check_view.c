/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fsck: the tree of one view. Reads its rows into memory, marks what can stay,
 * and in a repair deletes the rest, so that what stays is a tree:
 *
 *	- the root is there (a lost one is made anew, its names are kept);
 *	- nodes have readable rows, their bytes, and a way to the root;
 *	- names lead from a directory that stays to a node that stays, and a
 *	  directory has one;
 *	- link counts are what the names say (of a directory, 2 and its
 *	  subdirectories);
 *	- numbers are below the view's next number;
 *	- the files in STORE/staging/<view> are those that nodes name
 *	  (check_staging.c).
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "store/base/macros.h"
#include "store/blob.h"
#include "store/check_impl.h"
#include "store/keys.h"
#include "store/store.h"
#include "store/view_row.h"
#include "store/views.h"

struct tree_node {
	uint64_t ino;
	uint64_t staging_id;
	uint32_t mode, nlink;
	uint32_t names, subdirs; /* as counted */
	bool bad;		 /* no readable row, or no bytes */
	bool staging;		 /* CONTENT_STAGING */
	bool reached;
};

struct tree_name {
	uint64_t parent, ino;
	size_t name; /* offset in tree.strings */
	uint16_t len;
	bool bad;
};

struct tree {
	struct check *c;
	struct txn *txn;
	uint32_t id;
	struct view_rec *rec; /* the view's row, if it can be read */
	bool mounted;
	enum remedy remedy;
	bool fix;
	struct buf nodes; /* tree_node, by ino */
	struct buf names; /* tree_name, by parent, in order of their keys */
	struct buf strings;
	struct buf todo; /* inos of directories to walk */
};

#define NODES(t) ARRAY_OF(&(t)->nodes, struct tree_node)
#define NODE_COUNT(t) COUNT_OF(&(t)->nodes, struct tree_node)
#define NAMES(t) ARRAY_OF(&(t)->names, struct tree_name)
#define NAME_COUNT(t) COUNT_OF(&(t)->names, struct tree_name)

#define PROBLEM(t, format, ...)                                         \
	check_problem((t)->c, (t)->remedy, "view %" PRIu32 ": " format, \
		      (t)->id, ##__VA_ARGS__)

static struct tree_node *find_node(const struct tree *t, uint64_t ino)
{
	struct tree_node *nodes = NODES(t);
	size_t from = 0, to = NODE_COUNT(t);

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (nodes[mid].ino == ino)
			return &nodes[mid];
		if (nodes[mid].ino < ino)
			from = mid + 1;
		else
			to = mid;
	}
	return NULL;
}

static struct tree_node *find_good(const struct tree *t, uint64_t ino)
{
	struct tree_node *n = find_node(t, ino);

	return n && !n->bad ? n : NULL;
}

/* --- reading -------------------------------------------------------------- */

static bool is_lost(const struct check *c, uint32_t view, uint64_t ino)
{
	const struct lost_node *lost = ARRAY_OF(&c->lost, struct lost_node);
	size_t from = 0, to = COUNT_OF(&c->lost, struct lost_node);

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (lost[mid].view == view && lost[mid].ino == ino)
			return true;
		if (lost[mid].view < view ||
		    (lost[mid].view == view && lost[mid].ino < ino))
			from = mid + 1;
		else
			to = mid;
	}
	return false;
}

static int read_node(struct txn *txn, struct span key, struct span value,
		     void *arg)
{
	struct tree_node n = { .ino = 0 };
	const char *wrong = NULL;
	struct tree *t = arg;
	struct node_rec rec;
	int r = 0;

	(void)txn;
	if (key.len != NODE_KEY_LEN || !key_node(key, &n.ino))
		return 0; /* told already */
	t->c->rep.nodes++;
	if (!value.p || node_rec_decode(value.p, value.len, &rec) < 0) {
		PROBLEM(t, "node %" PRIu64 ": damaged row", n.ino);
		n.bad = true;
	} else {
		n.mode = rec.mode;
		n.nlink = rec.nlink;
		n.staging = rec.content == CONTENT_STAGING;
		n.staging_id = rec.staging_id;
		n.bad = is_lost(t->c, t->id, n.ino); /* told already */
		/* A mounted view's files are ahead of what it has committed. */
		if (n.staging && !t->mounted)
			r = check_staging(t->c, t->id, &rec, &wrong);
	}
	if (wrong) {
		PROBLEM(t, "node %" PRIu64 ": its staging file %s", n.ino,
			wrong);
		n.bad = true;
	}
	buf_put(&t->nodes, &n, sizeof(n));
	return r < 0 ? r : t->nodes.err;
}

static int read_name(struct txn *txn, struct span key, struct span value,
		     void *arg)
{
	struct tree_name nm = { .name = 0 };
	const char *name = "";
	struct tree *t = arg;
	size_t len = 0;

	(void)txn;
	if (!key_node(key, &nm.parent) || !key_name(key, &name, &len))
		return 0; /* told already */
	nm.name = t->strings.len;
	t->c->rep.names++;
	nm.bad = !value.p || name_row_decode(value, &nm.ino) < 0;
	nm.len = (uint16_t)len;
	if (nm.bad)
		PROBLEM(t, "damaged name in node %" PRIu64, nm.parent);
	buf_put(&t->strings, name, len);
	buf_put(&t->names, &nm, sizeof(nm));
	return t->strings.err ? t->strings.err : t->names.err;
}

static int read_rows(struct tree *t)
{
	struct key prefix;
	int r;

	view_key(&prefix, t->id);
	r = txn_foreach(t->txn, TABLE_NODES, span_of_key(&prefix), read_node,
			t);
	if (r == 0)
		r = txn_foreach(t->txn, TABLE_NAMES, span_of_key(&prefix),
				read_name, t);
	return r;
}

/* --- names and reachability ----------------------------------------------- */

/* What is wrong with a name, or NULL: then its node is not NULL. */
static const char *check_name(const struct tree *t, const struct tree_name *nm,
			      const struct tree_node *n)
{
	const struct tree_node *parent = find_good(t, nm->parent);

	if (!parent || !S_ISDIR(parent->mode))
		return "is in no directory";
	if (!n)
		return "has no node";
	if (nm->ino == VIEW_ROOT_INO)
		return "is the root's";
	if (S_ISDIR(n->mode) && n->names)
		return "is a directory's second";
	return NULL;
}

static void check_names(struct tree *t)
{
	for (size_t i = 0; i < NAME_COUNT(t); i++) {
		struct tree_name *nm = &NAMES(t)[i];
		struct tree_node *n;
		const char *why;

		if (nm->bad)
			continue;
		n = find_good(t, nm->ino);
		why = check_name(t, nm, n);
		if (n && !why) {
			n->names++;
			continue;
		}
		nm->bad = true;
		PROBLEM(t, "name '%.*s' in node %" PRIu64 " %s", (int)nm->len,
			(const char *)t->strings.data + nm->name, nm->parent,
			why);
	}
}

static size_t first_name(const struct tree *t, uint64_t parent)
{
	size_t from = 0, to = NAME_COUNT(t);

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (NAMES(t)[mid].parent < parent)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

static void reach_children(struct tree *t, struct tree_node *dir)
{
	for (size_t i = first_name(t, dir->ino);
	     i < NAME_COUNT(t) && NAMES(t)[i].parent == dir->ino; i++) {
		struct tree_node *n;

		if (NAMES(t)[i].bad)
			continue;
		n = find_node(t, NAMES(t)[i].ino);
		if (!n || n->reached)
			continue;
		n->reached = true;
		if (!S_ISDIR(n->mode))
			continue;
		dir->subdirs++;
		buf_u64(&t->todo, n->ino);
	}
}

static int reach(struct tree *t)
{
	struct tree_node *n = find_good(t, VIEW_ROOT_INO);
	uint64_t ino;

	while (n) {
		n->reached = true;
		reach_children(t, n);
		if (t->todo.err || t->todo.len < sizeof(ino))
			break;
		t->todo.len -= sizeof(ino);
		memcpy(&ino, t->todo.data + t->todo.len, sizeof(ino));
		n = find_node(t, le64toh(ino));
	}
	return t->todo.err;
}

static void tell_unreached(struct tree *t)
{
	for (size_t i = 0; i < NODE_COUNT(t); i++) {
		const struct tree_node *n = &NODES(t)[i];

		if (n->bad || n->reached)
			continue;
		/* Unlinked while somebody had it open: no damage. */
		if (n->nlink == 0 && n->names == 0) {
			if (!t->mounted)
				check_problem(t->c, REMEDY_LEFT_OVER,
					      "view %" PRIu32 ": node %" PRIu64
					      " was unlinked while open",
					      t->id, n->ino);
			continue;
		}
		PROBLEM(t, "node %" PRIu64 " %s", n->ino,
			n->names ? "cannot be reached" : "has no name");
	}
}

/* --- repair --------------------------------------------------------------- */

static int delete_bad_names(struct tree *t)
{
	struct key key;
	int r = 0;

	for (size_t i = 0; r == 0 && i < NAME_COUNT(t); i++) {
		const struct tree_name *nm = &NAMES(t)[i];
		const struct tree_node *dir = find_good(t, nm->parent);

		if (!nm->bad && dir && dir->reached)
			continue;
		if (!name_key(&key, t->id, nm->parent,
			      t->strings.data + nm->name, nm->len))
			continue;
		r = txn_del(t->txn, TABLE_NAMES, span_of_key(&key));
		if (r == -ENOENT)
			r = 0;
	}
	return r;
}

static int delete_bad_nodes(struct tree *t)
{
	struct key key;
	int r = 0;

	for (size_t i = 0; r == 0 && i < NODE_COUNT(t); i++) {
		const struct tree_node *n = &NODES(t)[i];

		if (!n->bad && n->reached)
			continue;
		node_key(&key, t->id, n->ino);
		r = txn_del(t->txn, TABLE_NODES, span_of_key(&key));
		if (r == -ENOENT)
			r = 0;
	}
	return r;
}

static int set_nlink(struct tree *t, const struct tree_node *n, uint32_t nlink)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	struct span value = { 0 };
	struct node_rec rec;
	struct key key;
	int r;

	node_key(&key, t->id, n->ino);
	r = txn_get(t->txn, TABLE_NODES, span_of_key(&key), &value);
	if (r == 0)
		r = node_rec_decode(value.p, value.len, &rec);
	if (r < 0)
		return r;
	rec.nlink = nlink;
	r = node_rec_encode(&rec, &b);
	if (r < 0)
		return r;
	return txn_put(t->txn, TABLE_NODES, span_of_key(&key),
		       span_of(b.data, b.len));
}

/* Names in directories that stay. */
static void count_names(struct tree *t)
{
	for (size_t i = 0; i < NODE_COUNT(t); i++)
		NODES(t)[i].names = 0;
	for (size_t i = 0; i < NAME_COUNT(t); i++) {
		const struct tree_name *nm = &NAMES(t)[i];
		const struct tree_node *dir = find_good(t, nm->parent);
		struct tree_node *n = find_good(t, nm->ino);

		if (!nm->bad && dir && dir->reached && n)
			n->names++;
	}
}

static int check_nlinks(struct tree *t)
{
	int r = 0;

	count_names(t);

	for (size_t i = 0; r == 0 && i < NODE_COUNT(t); i++) {
		const struct tree_node *n = &NODES(t)[i];
		uint32_t nlink = S_ISDIR(n->mode) ? 2 + n->subdirs : n->names;

		if (n->bad || !n->reached || n->nlink == nlink)
			continue;
		PROBLEM(t,
			"node %" PRIu64 ": %" PRIu32 " links counted, %" PRIu32
			" found",
			n->ino, n->nlink, nlink);
		if (t->fix)
			r = set_nlink(t, n, nlink);
	}
	return r;
}

static int make_root(struct tree *t)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	struct node_rec rec = { .mode = S_IFDIR | 0755, .nlink = 2 };
	struct key key;
	int r;

	(void)clock_gettime(CLOCK_REALTIME, &rec.ctime);
	rec.atime = rec.mtime = rec.ctime;
	r = node_rec_encode(&rec, &b);
	if (r < 0)
		return r;
	node_key(&key, t->id, VIEW_ROOT_INO);
	return txn_put(t->txn, TABLE_NODES, span_of_key(&key),
		       span_of(b.data, b.len));
}

/* The root is needed before anything else is judged, in a check as well. */
static int check_root(struct tree *t)
{
	struct tree_node *n = find_node(t, VIEW_ROOT_INO);
	struct tree_node root = {
		.ino = VIEW_ROOT_INO,
		.mode = S_IFDIR,
		.nlink = 2,
	};
	size_t count = NODE_COUNT(t);

	if (n && !n->bad && S_ISDIR(n->mode))
		return 0;
	PROBLEM(t, "no root directory");
	if (n) {
		*n = root;
	} else {
		/* The smallest number, but for a node 0 that is damage. */
		if (!buf_grow(&t->nodes, sizeof(root)))
			return t->nodes.err;
		n = NODES(t);
		if (count && n[0].ino < VIEW_ROOT_INO)
			n++, count--;
		memmove(n + 1, n, count * sizeof(root));
		*n = root;
	}
	return t->fix ? make_root(t) : 0;
}

static int check_next_ino(struct tree *t)
{
	size_t count = NODE_COUNT(t);
	uint64_t last = count ? NODES(t)[count - 1].ino : VIEW_ROOT_INO;

	if (t->rec->next_ino > last)
		return 0;
	PROBLEM(t, "its next node's number is in use");
	if (!t->fix)
		return 0;
	t->rec->next_ino = last + 1;
	return view_row_put(t->txn, t->rec);
}

/* Rerun or not, a node that is deleted in this transaction no longer names its
 * file: should the transaction fail, the file is missing the next time. */
static int check_left_overs(struct tree *t)
{
	_cleanup_(buf_release) struct buf ids = { 0 };

	for (size_t i = 0; i < NODE_COUNT(t); i++) {
		const struct tree_node *n = &NODES(t)[i];

		if (n->staging && !n->bad && (n->reached || !t->fix))
			buf_put(&ids, &n->staging_id, sizeof(uint64_t));
	}
	return check_left_over_staging(t->c, t->id, &ids, t->fix);
}

/* --- a view --------------------------------------------------------------- */

static int check_tree(struct tree *t)
{
	int r;

	r = read_rows(t);
	if (r == 0)
		r = check_root(t);
	if (r < 0)
		return r;
	check_names(t);
	r = reach(t);
	if (r < 0)
		return r;
	tell_unreached(t);
	r = check_nlinks(t);
	if (r == 0)
		r = check_next_ino(t);
	if (r == 0 && t->fix)
		r = delete_bad_names(t);
	if (r == 0 && t->fix)
		r = delete_bad_nodes(t);
	if (r == 0 && !t->mounted)
		r = check_left_overs(t);
	return r;
}

static int delete_rows(struct txn *txn, struct span key, struct span value,
		       void *arg)
{
	(void)value;
	return txn_del(txn, *(const enum table *)arg, key);
}

/* Rows of a view whose own row is gone or unreadable: nobody can find it any
 * more. */
static int check_orphans(struct tree *t, bool row)
{
	enum table tables[] = { TABLE_VIEWS, TABLE_NODES, TABLE_NAMES };
	struct key prefix;
	int r = 0;

	PROBLEM(t, "%s", row ? "damaged row" : "rows without a view");
	if (!t->fix)
		return 0;
	view_key(&prefix, t->id);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(tables); i++)
		r = txn_foreach(t->txn, tables[i], span_of_key(&prefix),
				delete_rows, &tables[i]);
	return r < 0 ? r : staging_remove(t->c->st, t->id);
}

static int check_with_row(struct tree *t)
{
	int r;

	r = view_row_get(t->txn, t->id, t->rec);
	if (r == -ENOENT || r == -EBADMSG)
		return check_orphans(t, r == -EBADMSG);
	if (r < 0 || t->rec->flags & VIEW_DROPPED)
		return r; /* its removal will be resumed */
	return check_tree(t);
}

int check_view(struct check *c, struct txn *txn, uint32_t id)
{
	_cleanup_free_ struct view_rec *rec = malloc(sizeof(*rec));
	struct tree t = { .c = c, .txn = txn, .id = id, .rec = rec };
	const struct found_view *view = check_find_view(c, id);
	int r;

	if (!rec)
		return -ENOMEM;
	/* One that has come since the list was made has no lease of ours. */
	t.mounted = view ? view->mounted
			 : view_row_get(txn, id, rec) != -ENOENT;
	t.remedy = t.mounted ? REMEDY_WAIT : REMEDY_REPAIR;
	t.fix = check_repairs(c) && !t.mounted;
	r = check_with_row(&t);
	buf_release(&t.nodes);
	buf_release(&t.names);
	buf_release(&t.strings);
	buf_release(&t.todo);
	return r;
}
