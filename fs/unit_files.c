/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a unit in its view: removed, dated anew, expired; see units.h. */
#include "config.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "fs/cargo/layout.h"
#include "fs/namei.h"
#include "fs/unhashed.h"
#include "fs/units.h"
#include "fs/view.h"

typedef void (*name_fn)(struct view *v, struct name *nm, void *arg);

/* Each name of the unit, in the directories where units are. */
static void each_name(struct view *v, uint64_t profile, uint64_t hash,
		      name_fn fn, void *arg)
{
	struct node *dir = node_find_locked(v, profile);
	struct unit *u = unit_find_locked(v, profile, hash);
	char crate[NAME_MAX + 1];

	if (!u || !u->unhashed || !unhashed_crate_locked(v, u, crate))
		crate[0] = '\0';
	for (size_t i = 0; dir && i < LAYOUT_UNIT_DIRS; i++) {
		struct name *nm = name_find_locked(v, dir, layout_unit_dirs[i],
						   strlen(layout_unit_dirs[i]));
		struct name *next;

		nm = nm && node_is_dir(nm->node) ? nm->node->dir.first : NULL;
		for (; nm; nm = next) {
			next = nm->next;
			if (name_is_of_unit(nm, hash, crate))
				fn(v, nm, arg);
		}
	}
}

static void remove_one(struct view *v, struct name *nm, void *arg)
{
	(void)arg;
	remove_tree_locked(v, nm);
}

void unit_remove_locked(struct view *v, uint64_t profile, uint64_t hash)
{
	each_name(v, profile, hash, remove_one, NULL);
}

static void oldest(struct view *v, struct name *nm, void *arg)
{
	int64_t *t = arg;

	if (node_is_reg(nm->node))
		*t = MIN(*t, nm->node->mtime);
	else if (node_is_dir(nm->node))
		for (nm = nm->node->dir.first; nm; nm = nm->next)
			oldest(v, nm, arg);
}

/* Times of a hot file are its backing file's; then it is no known unit's. */
static void stamp(struct view *v, struct name *nm, void *arg)
{
	struct node *n = nm->node;

	if (!node_is_dir(n)) {
		n->mtime = *(int64_t *)arg;
		n->ctime = view_now(v);
		node_dirty_locked(v, n);
		return;
	}
	for (nm = n->dir.first; nm; nm = nm->next)
		stamp(v, nm, arg);
}

bool unit_restamp(struct view *v, uint64_t profile, uint64_t hash,
		  int64_t source, int64_t dep)
{
	int64_t first = INT64_MAX, to;
	struct unit_identity id;
	struct unit *u;
	bool done = false;

	lock_acquire(&v->lock);
	u = unit_find_locked(v, profile, hash);
	if (u && u->state == UNIT_KNOWN) {
		each_name(v, profile, hash, oldest, &first);
		to = MAX(u->id.stamp, MAX(source, dep));
		done = (source > first || dep > u->id.stamp) &&
		       to <= view_now(v);
	}
	if (done) {
		id = u->id;
		id.stamp = to;
		done = unit_set_identity_locked(v, u, &id) == 0;
	}
	if (done)
		each_name(v, profile, hash, stamp, &to);
	lock_release(&v->lock);
	return done;
}

static struct name *child(struct view *v, const struct node *dir,
			  const char *prefix, const char *s, size_t len)
{
	char name[NAME_MAX + 1];
	int n = snprintf(name, sizeof(name), "%s%.*s", prefix, (int)len, s);

	if (n < 0 || (size_t)n >= sizeof(name))
		return NULL;
	return name_find_locked(v, dir, name, (size_t)n);
}

/* Cargo takes a unit without its hash file for one to compile, and one without
 * "dep-x" for a reason to compile its dependants, too. */
static void expire_fingerprint(struct view *v, struct node *dir)
{
	struct name *json = unit_json_locked(dir), *hash, *dep;

	if (!json)
		return;
	hash = child(v, dir, "", json->s, (size_t)json->len - 5);
	dep = child(v, dir, "dep-", json->s, (size_t)json->len - 5);
	if (hash)
		remove_tree_locked(v, hash);
	if (dep)
		remove_tree_locked(v, dep);
}

/* A build script's run has no dep-, but an output. */
static void expire_output(struct view *v, struct name *nm, void *arg)
{
	struct name *output;

	(void)arg;
	if (!node_is_dir(nm->node) ||
	    strcmp(nm->parent->names->s, "build") != 0)
		return;
	output = name_find_locked(v, nm->node, "output", strlen("output"));
	if (output)
		remove_tree_locked(v, output);
}

void unit_expire_locked(struct view *v, const struct unit *u)
{
	struct node *dir = unit_fingerprint_locked(v, u);

	if (dir)
		expire_fingerprint(v, dir);
	each_name(v, u->profile, u->hash, expire_output, NULL);
}

void unit_expire(struct view *v, uint64_t profile, uint64_t hash)
{
	struct unit *u;

	lock_acquire(&v->lock);
	u = unit_find_locked(v, profile, hash);
	if (u)
		unit_expire_locked(v, u);
	lock_release(&v->lock);
}
