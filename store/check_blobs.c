/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fsck: rows of blobs against the nodes and units that refer to them and
 * against their bytes. check_blobs() tells what is wrong, check_settle_blobs()
 * writes what is right, whatever was wrong; after it check_blobs() finds
 * nothing, but for what mounted views refer to in vain.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/base/macros.h"
#include "store/blob.h"
#include "store/check_impl.h"
#include "store/keys.h"
#include "store/refs.h"
#include "store/store.h"

/* While some view is mounted: a file may be linked and its row not committed
 * yet. */
#define ROWLESS_GRACE 3600

static int compare_refs(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_LEN);
}

static int add_ref(struct txn *txn, struct span key, struct span value,
		   void *arg)
{
	struct found_ref ref = { .view = 0 };
	struct check *c = arg;
	struct node_rec rec;

	(void)txn;
	if (key.len != NODE_KEY_LEN || !value.p ||
	    node_rec_decode(value.p, value.len, &rec) < 0 ||
	    rec.content != CONTENT_BLOB)
		return 0;
	(void)key_view(key, &ref.view);
	(void)key_node(key, &ref.ino);
	ref.d = rec.digest;
	ref.size = rec.size;
	buf_put(&c->refs, &ref, sizeof(ref));
	return c->refs.err;
}

int check_collect_refs(struct check *c, struct txn *txn)
{
	int r;

	buf_reset(&c->refs);
	r = txn_foreach(txn, TABLE_NODES, (struct span){ 0 }, add_ref, c);
	if (r == 0)
		r = check_collect_units(c, txn);
	if (r == 0 && c->refs.len)
		qsort(c->refs.data, COUNT_OF(&c->refs, struct found_ref),
		      sizeof(struct found_ref), compare_refs);
	return r;
}

/* --- one blob ------------------------------------------------------------- */

/* What is known of a blob. */
struct blob_state {
	struct digest d;
	const struct found_ref *refs;
	size_t count; /* of refs */
	size_t units; /* of them, by units */
	int row;      /* 0, -ENOENT, -EBADMSG */
	struct blob_rec rec;
	bool bytes; /* there, and right as far as was looked */
	uint8_t tier;
	uint64_t size;
};

static bool any_mounted(const struct check *c)
{
	const struct found_view *v = ARRAY_OF(&c->views, struct found_view);

	for (size_t i = 0; i < COUNT_OF(&c->views, struct found_view); i++)
		if (v[i].mounted)
			return true;
	return false;
}

static bool is_mounted(const struct check *c, uint32_t view)
{
	const struct found_view *v = check_find_view(c, view);

	return v ? v->mounted : false;
}

/* Bytes in the index. A damaged row is no bytes. */
static int find_inline(struct txn *txn, struct blob_state *b)
{
	struct digest real = { { 0 } };
	struct span value = { 0 };
	int r;

	r = txn_get(txn, TABLE_DATA, span_of_digest(&b->d), &value);
	if (r == -ENOENT || r == -EBADMSG)
		return 0;
	if (r == 0)
		r = digest_of(value.p, value.len, &real);
	if (r < 0 || !digest_equal(&real, &b->d))
		return r;
	b->bytes = true;
	b->tier = BLOB_INLINE;
	b->size = value.len;
	return 0;
}

/* A file whose size nobody expects is read: either it or they are wrong. */
static int find_file(struct check *c, struct blob_state *b, uint64_t expected)
{
	const struct found_file *file = check_find_file(c, &b->d);
	bool right = true;
	int r;

	b->tier = BLOB_FILE;
	if (file && file->altered) {
		/* Told already, and a repair may still find its bytes. */
		b->size = expected;
	} else if (file) {
		b->size = file->size;
		right = c->flags & CHECK_READ_DATA || b->size == expected;
	}
	/* One that was linked since, or is of another size. */
	if (!file || !right) {
		r = check_file_contents(c, &b->d, &right, &b->size);
		if (r == -ENOENT || r == -ELOOP || r == -EISDIR)
			return 0;
		if (r < 0)
			return r;
	}
	b->bytes = right;
	return 0;
}

static int find_bytes(struct check *c, struct txn *txn, struct blob_state *b)
{
	uint64_t expected = 0;
	int r;

	if (b->row == 0)
		expected = b->rec.size;
	else if (b->count)
		expected = b->refs[0].size;
	if (b->row != 0 || b->rec.tier == BLOB_INLINE) {
		r = find_inline(txn, b);
		if (r < 0 || b->bytes)
			return r;
	}
	return find_file(c, b, expected);
}

static int look(struct check *c, struct txn *txn, const struct digest *d,
		const struct found_ref *refs, size_t count,
		struct blob_state *ret_state)
{
	struct blob_state b = { .d = *d, .refs = refs, .count = count };
	int r;

	for (size_t i = 0; i < count; i++)
		b.units += refs[i].unit;
	b.row = blob_row_get(txn, d, &b.rec);
	if (b.row < 0 && b.row != -ENOENT && b.row != -EBADMSG)
		return b.row;
	r = find_bytes(c, txn, &b);
	*ret_state = b;
	return r;
}

typedef int (*blob_fn)(struct check *c, struct txn *txn,
		       const struct blob_state *b);

/* Rows and references, merged by digest. */
struct merge {
	struct check *c;
	blob_fn fn;
	size_t next; /* of c->refs */
};

static size_t same_blob(const struct check *c, size_t from)
{
	const struct found_ref *refs = ARRAY_OF(&c->refs, struct found_ref);
	size_t n = from, count = COUNT_OF(&c->refs, struct found_ref);

	while (n < count && digest_equal(&refs[n].d, &refs[from].d))
		n++;
	return n - from;
}

/* The next blob of the references, up to @d (NULL: all); 0: none. */
static int merge_refs(struct merge *m, struct txn *txn, const struct digest *d)
{
	const struct found_ref *refs = ARRAY_OF(&m->c->refs, struct found_ref);
	size_t count = COUNT_OF(&m->c->refs, struct found_ref), n;
	struct blob_state b;
	int r = 0;

	while (r == 0 && m->next < count) {
		const struct found_ref *first = &refs[m->next];

		if (d && memcmp(&first->d, d, DIGEST_LEN) >= 0)
			break;
		n = same_blob(m->c, m->next);
		m->next += n;
		r = look(m->c, txn, &first->d, first, n, &b);
		if (r == 0)
			r = m->fn(m->c, txn, &b);
	}
	return r;
}

static int merge_row(struct txn *txn, struct span key, struct span value,
		     void *arg)
{
	const struct found_ref *refs;
	struct merge *m = arg;
	struct blob_state b;
	struct digest d;
	size_t n = 0;
	int r;

	(void)value;
	if (!key_digest(key, &d))
		return 0;
	r = merge_refs(m, txn, &d);
	if (r < 0)
		return r;
	refs = ARRAY_OF(&m->c->refs, struct found_ref);
	if (m->next < COUNT_OF(&m->c->refs, struct found_ref)) {
		refs += m->next;
		n = digest_equal(&refs->d, &d) ? same_blob(m->c, m->next) : 0;
	}
	m->next += n;
	r = look(m->c, txn, &d, refs, n, &b);
	return r < 0 ? r : m->fn(m->c, txn, &b);
}

static int merge(struct check *c, struct txn *txn, blob_fn fn)
{
	struct merge m = { .c = c, .fn = fn };
	int r;

	r = txn_foreach(txn, TABLE_BLOBS, (struct span){ 0 }, merge_row, &m);
	return r < 0 ? r : merge_refs(&m, txn, NULL);
}

/* --- telling -------------------------------------------------------------- */

static int lose(struct check *c, const struct found_ref *ref, const char *why)
{
	struct lost_node lost = { .view = ref->view, .ino = ref->ino };

	if (ref->unit)
		return check_lose_unit(c, ref, why);
	check_problem(c, is_mounted(c, ref->view) ? REMEDY_WAIT : REMEDY_REPAIR,
		      "view %" PRIu32 ": node %" PRIu64 ": %s", ref->view,
		      ref->ino, why);
	buf_put(&c->lost, &lost, sizeof(lost));
	return c->lost.err;
}

/* Nodes and units whose bytes are not there, or not as many as they say. */
static int tell_lost(struct check *c, const struct blob_state *b,
		     const char *name)
{
	char why[BLOB_NAME_LEN + 32];
	int r = 0;

	(void)snprintf(why, sizeof(why), "blob '%s' %s", name,
		       b->bytes ? "has another size" : "is missing");
	for (size_t i = 0; r == 0 && i < b->count; i++)
		if (!b->bytes || b->refs[i].size != b->size)
			r = lose(c, &b->refs[i], why);
	return r;
}

static int tell_blob(struct check *c, struct txn *txn,
		     const struct blob_state *b)
{
	char name[BLOB_NAME_LEN + 1];
	int64_t since;
	int dead;

	blob_name(&b->d, name);
	if (b->row == -EBADMSG)
		check_problem(c, REMEDY_REPAIR, "blob '%s': damaged row", name);
	else if (b->row == -ENOENT && b->bytes)
		check_problem(c, REMEDY_REPAIR, "blob '%s': no row", name);
	else if (b->row == 0 && b->bytes && b->rec.size != b->size)
		check_problem(c, REMEDY_REPAIR, "blob '%s': wrong size", name);
	else if (b->row == 0 && b->rec.refs != b->count)
		check_problem(c, REMEDY_REPAIR,
			      "blob '%s': %" PRIu64 " references counted, %zu "
			      "found",
			      name, b->rec.refs, b->count);
	else if (b->row == 0 && b->rec.units != b->units)
		check_problem(c, REMEDY_REPAIR,
			      "blob '%s': %" PRIu64 " references by units "
			      "counted, %zu found",
			      name, b->rec.units, b->units);
	if (b->row == 0 && !b->bytes && !b->count)
		check_problem(c, REMEDY_REPAIR,
			      "blob '%s': a row without bytes", name);
	if (b->row == 0) {
		dead = dead_get(txn, &b->d, &since);
		if (dead != (b->rec.refs ? -ENOENT : 0))
			check_problem(c, REMEDY_REPAIR,
				      "blob '%s': listed as %s", name,
				      b->rec.refs ? "dead" : "alive");
	}
	return tell_lost(c, b, name);
}

/* --- what has no row ------------------------------------------------------ */

/* A row of DATA or DEAD for which there is none in BLOBS. */
static int check_left_over(struct txn *txn, struct span key, struct span value,
			   void *arg)
{
	char name[BLOB_NAME_LEN + 1] = "?";
	struct check *c = arg;
	struct blob_rec rec;
	struct digest d;

	(void)value;
	if (key_digest(key, &d)) {
		if (blob_row_get(txn, &d, &rec) != -ENOENT)
			return 0;
		blob_name(&d, name);
	}
	check_problem(c, REMEDY_REPAIR, "blob '%s': left over in the index",
		      name);
	return 0;
}

static bool is_rowless(struct check *c, struct txn *txn,
		       const struct found_file *file, unsigned grace)
{
	char name[BLOB_NAME_LEN + 1];
	struct blob_rec rec;
	struct stat s;
	int r;

	r = blob_row_get(txn, &file->d, &rec);
	if (r != -ENOENT && (r != 0 || rec.tier == BLOB_FILE))
		return false;
	blob_name(&file->d, name);
	return fstatat(store_blobs_fd(c->st), name, &s, AT_SYMLINK_NOFOLLOW) ==
		       0 &&
	       c->now - s.st_ctim.tv_sec >= (int64_t)grace;
}

static void tell_rowless(struct check *c, struct txn *txn)
{
	const struct found_file *f = ARRAY_OF(&c->files, struct found_file);
	const struct found_ref *refs = ARRAY_OF(&c->refs, struct found_ref);
	unsigned grace = any_mounted(c) ? ROWLESS_GRACE : 0;
	char name[BLOB_NAME_LEN + 1];

	for (size_t i = 0; i < COUNT_OF(&c->files, struct found_file); i++) {
		if (!is_rowless(c, txn, &f[i], grace))
			continue;
		/* With references, tell_blob() has told it. */
		if (refs &&
		    bsearch(&f[i].d, refs, COUNT_OF(&c->refs, struct found_ref),
			    sizeof(*refs), compare_refs))
			continue;
		blob_name(&f[i].d, name);
		check_problem(c, REMEDY_LEFT_OVER,
			      "blob '%s': a file left over", name);
	}
}

static int compare_lost(const void *a, const void *b)
{
	const struct lost_node *x = a, *y = b;

	if (x->view != y->view)
		return x->view < y->view ? -1 : 1;
	return (x->ino > y->ino) - (x->ino < y->ino);
}

int check_blobs(struct check *c, struct txn *txn)
{
	int r;

	buf_reset(&c->lost);
	r = merge(c, txn, tell_blob);
	if (r == 0)
		r = txn_foreach(txn, TABLE_DATA, (struct span){ 0 },
				check_left_over, c);
	if (r == 0)
		r = txn_foreach(txn, TABLE_DEAD, (struct span){ 0 },
				check_left_over, c);
	if (r == 0)
		tell_rowless(c, txn);
	if (r == 0 && c->lost.len)
		qsort(c->lost.data, COUNT_OF(&c->lost, struct lost_node),
		      sizeof(struct lost_node), compare_lost);
	return r;
}

/* --- settling ------------------------------------------------------------- */

static int delete_row(struct txn *txn, enum table t, const struct digest *d)
{
	int r = txn_del(txn, t, span_of_digest(d));

	return r == -ENOENT ? 0 : r;
}

static int forget_blob(struct check *c, struct txn *txn,
		       const struct blob_state *b)
{
	char name[BLOB_NAME_LEN + 1];
	int r;

	/* A file that is there has wrong contents. */
	blob_name(&b->d, name);
	(void)unlinkat(store_blobs_fd(c->st), name, 0);
	r = delete_row(txn, TABLE_BLOBS, &b->d);
	if (r == 0)
		r = delete_row(txn, TABLE_DATA, &b->d);
	return r < 0 ? r : delete_row(txn, TABLE_DEAD, &b->d);
}

static bool same_rec(const struct blob_rec *a, const struct blob_rec *b)
{
	return a->size == b->size && a->refs == b->refs &&
	       a->units == b->units && a->used == b->used && a->tier == b->tier;
}

static int settle_blob(struct check *c, struct txn *txn,
		       const struct blob_state *b)
{
	struct blob_rec rec = b->rec;
	int64_t since;
	int r;

	if (!b->bytes)
		/* Mounted views may still name it; they learn by reading. */
		return b->count ? 0 : forget_blob(c, txn, b);
	if (b->row != 0)
		rec.used = c->now;
	rec.size = b->size;
	rec.tier = b->tier;
	rec.refs = b->count;
	rec.units = b->units;
	if (b->row != 0 || !same_rec(&rec, &b->rec)) {
		r = blob_row_put(txn, &b->d, &rec);
		if (r < 0)
			return r;
	}
	if (rec.tier == BLOB_FILE) {
		r = delete_row(txn, TABLE_DATA, &b->d);
		if (r < 0)
			return r;
	}
	if (rec.refs)
		return delete_row(txn, TABLE_DEAD, &b->d);
	return dead_get(txn, &b->d, &since) == 0 ? 0
						 : dead_put(txn, &b->d, c->now);
}

static int delete_left_over(struct txn *txn, enum table t, struct span key)
{
	struct blob_rec rec;
	struct digest d;

	if (key_digest(key, &d) && blob_row_get(txn, &d, &rec) != -ENOENT)
		return 0;
	return txn_del(txn, t, key);
}

static int delete_data(struct txn *txn, struct span key, struct span value,
		       void *arg)
{
	(void)value;
	(void)arg;
	return delete_left_over(txn, TABLE_DATA, key);
}

static int delete_dead(struct txn *txn, struct span key, struct span value,
		       void *arg)
{
	(void)value;
	(void)arg;
	return delete_left_over(txn, TABLE_DEAD, key);
}

static void unlink_rowless(struct check *c, struct txn *txn)
{
	const struct found_file *f = ARRAY_OF(&c->files, struct found_file);
	unsigned grace = any_mounted(c) ? ROWLESS_GRACE : 0;
	char name[BLOB_NAME_LEN + 1];

	for (size_t i = 0; i < COUNT_OF(&c->files, struct found_file); i++) {
		if (!is_rowless(c, txn, &f[i], grace))
			continue;
		blob_name(&f[i].d, name);
		(void)unlinkat(store_blobs_fd(c->st), name, 0);
	}
}

int check_settle_blobs(struct check *c, struct txn *txn)
{
	int r;

	r = merge(c, txn, settle_blob);
	if (r == 0)
		r = txn_foreach(txn, TABLE_DATA, (struct span){ 0 },
				delete_data, c);
	if (r == 0)
		r = txn_foreach(txn, TABLE_DEAD, (struct span){ 0 },
				delete_dead, c);
	if (r == 0)
		unlink_rowless(c, txn);
	return r;
}
