/* SPDX-License-Identifier: Apache-2.0 */
/* Recovery of a view; see recover.h. One thread, nobody else has the view. */
#include "config.h"

#include "fs/recover.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/cargo/layout.h"
#include "fs/log.h"
#include "fs/namei.h"
#include "fs/view.h"
#include "store/base/broken.h"
#include "store/blob.h"

int recovery_add(struct recovery *rv, uint64_t ino, uint64_t staging_id,
		 bool flux, bool unsynced)
{
	if (rv->count == rv->cap) {
		size_t cap = rv->cap ? rv->cap * 2 : 64;
		struct doubt *p = realloc(rv->files, cap * sizeof(*p));

		if (!p)
			return -ENOMEM;
		rv->files = p;
		rv->cap = cap;
	}
	rv->files[rv->count++] =
		(struct doubt){ ino, staging_id, flux, unsynced };
	return 0;
}

void recovery_release(struct recovery *rv)
{
	free(rv->files);
	*rv = (struct recovery){ 0 };
}

/* --- dropping ---------------------------------------------------------- */

static struct node *subdir(struct view *v, const struct node *dir,
			   const char *name)
{
	struct name *nm = name_find_locked(v, dir, name, strlen(name));

	return nm && node_is_dir(nm->node) ? nm->node : NULL;
}

/* Removes all names in @dir that carry the unit's H. */
static void drop_unit_in(struct view *v, struct node *dir, const char *unit)
{
	struct name *nm = dir->dir.first, *next;

	for (; nm; nm = next) {
		const char *h = layout_unit_of(nm->s, nm->len);

		next = nm->next;
		if (h && memcmp(h, unit, UNIT_HASH_LEN) == 0)
			remove_tree_locked(v, nm);
	}
}

static void drop_unit(struct view *v, const char *path, const struct layout *l)
{
	struct node *profile = view_walk_locked(v, path, l->profile_len);
	struct node *build;

	if (!profile)
		return;
	for (size_t i = 0; i < LAYOUT_UNIT_DIRS; i++) {
		struct node *dir = subdir(v, profile, layout_unit_dirs[i]);

		if (dir)
			drop_unit_in(v, dir, l->unit);
	}
	build = subdir(v, profile, "build");
	for (struct name *nm = build ? build->dir.first : NULL; nm;
	     nm = nm->next)
		if (node_is_dir(nm->node))
			drop_unit_in(v, nm->node, l->unit);
	log_info("view %u: unit %.16s in '%.*s' was being written, dropped",
		 v->id, l->unit, (int)l->profile_len, path);
}

static void drop_path(struct view *v, const char *path, size_t len)
{
	const char *slash = memrchr(path, '/', len);
	size_t dir_len = slash ? (size_t)(slash - path) : 0;
	const char *base = slash ? slash + 1 : path;
	struct node *dir = view_walk_locked(v, path, dir_len);
	struct name *nm = NULL;

	if (dir)
		nm = name_find_locked(v, dir, base,
				      len - (size_t)(base - path));
	if (nm)
		remove_tree_locked(v, nm);
}

/*
 * Drops what this name of an untrusted file belongs to. True: the name itself
 * has to go, if it is still there.
 */
static bool drop_by_path(struct view *v, const char *path)
{
	struct layout l = layout_classify(path);

	if (l.kind == LAYOUT_OTHER)
		return false;
	if (l.kind == LAYOUT_INCREMENTAL && l.crate_len > 0)
		drop_path(v, path, l.crate_len);
	else if (l.unit)
		drop_unit(v, path, &l);
	return true;
}

/*
 * Drops what a file belongs to, name by name: each of them may go on the way,
 * and the node with the last.
 */
static void drop_file(struct view *v, uint64_t ino, bool bytes_gone)
{
	char path[PATH_MAX];
	struct node *n;
	size_t kept = 0;

	while ((n = node_find_locked(v, ino)) != NULL) {
		struct name *nm = n->names;

		for (size_t i = 0; nm && i < kept; i++)
			nm = nm->node_next;
		if (!nm)
			break;
		/* No name of cargo's is as long as that. */
		if (name_path_locked(nm, path, sizeof(path)) < 0) {
			if (bytes_gone)
				remove_tree_locked(v, nm);
			else
				kept++;
			continue;
		}
		if (drop_by_path(v, path) || bytes_gone)
			drop_path(v, path, strlen(path));
		else
			kept++;
	}
}

/* --- looking ----------------------------------------------------------- */

enum state { STATE_RIGHT, STATE_UNTRUSTED, STATE_GONE };

static void take_size(struct view *v, struct node *n, const struct stat *st)
{
	if (n->size == (uint64_t)st->st_size)
		return;
	n->size = (uint64_t)st->st_size;
	n->blocks = (uint64_t)st->st_blocks;
	node_dirty_locked(v, n);
}

/* That of one file is no reason to have no view; these are of all of them, and
 * gone at the next try. */
static bool is_for_want(int r)
{
	return r == -EMFILE || r == -ENFILE || r == -ENOMEM;
}

/* The staging file's attributes; 0, -ENOENT: it is gone, or another error. */
static int stat_staging(struct view *v, const struct node *n,
			struct stat *ret_st)
{
	_cleanup_close_ int fd = -1;
	int r = staging_open(v->store, v->id, n->staging_id, O_RDONLY, &fd);

	if (r == 0 && fstat(fd, ret_st) < 0)
		r = -errno;
	if (r < 0)
		log_error("view %u: file %" PRIu64 " %s: %s", v->id, n->ino,
			  r == -ENOENT ? "is lost" : "cannot be looked at",
			  strerror(-r));
	return r;
}

/* What cannot be looked at is left as it is, for reads to say EIO. */
static int look(struct view *v, struct node *n, const struct doubt *d,
		bool other_boot, enum state *ret_state)
{
	bool trusted;
	struct stat st;
	int r = stat_staging(v, n, &st);

	*ret_state = STATE_GONE;
	if (r == -ENOENT || is_for_want(r))
		return r == -ENOENT ? 0 : r;
	trusted =
		!(d->flux && !broken("flux-recovery")) &&
		!(d->unsynced && other_boot && !broken("unsynced-recovery")) &&
		(r < 0 || (uint64_t)st.st_size == n->size);
	/* From here on its bytes are what they are. */
	if (d->unsynced && other_boot)
		n->flags |= NF_SYNCED;
	if (!trusted && r == 0)
		take_size(v, n, &st);
	if (!trusted || (d->unsynced && other_boot))
		node_dirty_locked(v, n);
	*ret_state = trusted ? STATE_RIGHT : STATE_UNTRUSTED;
	return 0;
}

struct sweep {
	struct view *view;
	const struct recovery *rv;
	struct inos left_over;
};

static int compare_doubts(const void *a, const void *b)
{
	const struct doubt *x = a, *y = b;

	return x->staging_id < y->staging_id ? -1
					     : x->staging_id > y->staging_id;
}

static int on_staging(uint64_t id, void *arg)
{
	struct sweep *s = arg;
	struct doubt key = { .staging_id = id };

	s->view->next_staging = MAX(s->view->next_staging, id + 1);
	if (s->rv->count > 0 && bsearch(&key, s->rv->files, s->rv->count,
					sizeof(key), compare_doubts))
		return 0;
	return inos_add(&s->left_over, id);
}

static int sweep_staging(struct view *v, const struct recovery *rv)
{
	struct sweep s = { .view = v, .rv = rv };
	int r;

	if (rv->count > 0)
		qsort(rv->files, rv->count, sizeof(*rv->files), compare_doubts);
	r = staging_foreach(v->store, v->id, on_staging, &s);
	for (size_t i = 0; r == 0 && i < s.left_over.count; i++)
		(void)staging_unlink(v->store, v->id, s.left_over.ino[i]);
	free(s.left_over.ino);
	return r;
}

int recover(struct view *v, const struct recovery *rv, bool other_boot)
{
	int r = sweep_staging(v, rv);

	for (size_t i = 0; r == 0 && i < rv->count; i++) {
		struct node *n = node_find_locked(v, rv->files[i].ino);
		enum state state;

		if (!n)
			continue;
		r = look(v, n, &rv->files[i], other_boot, &state);
		if (r == 0 && state != STATE_RIGHT)
			drop_file(v, n->ino, state == STATE_GONE);
	}
	return r;
}
