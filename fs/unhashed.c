/* SPDX-License-Identifier: Apache-2.0 */
/* Outputs without H; see unhashed.h. */
#include "config.h"

#include "fs/unhashed.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fs/cargo/layout.h"
#include "fs/inputs.h"
#include "fs/units.h"
#include "fs/view.h"
#include "store/base/broken.h"
#include "store/unit.h"

/* --- in a view --------------------------------------------------------- */

#define KIND "lib-"

/* The library's json in a directory of fingerprints; documentation of the
 * package may lie beside it. */
static struct name *find_json(const struct node *dir)
{
	for (struct name *nm = dir->dir.first; nm; nm = nm->next)
		if (strncmp(nm->s, KIND, strlen(KIND)) == 0 && nm->len > 9 &&
		    strcmp(nm->s + nm->len - 5, ".json") == 0)
			return nm;
	return NULL;
}

bool unhashed_crate_locked(struct view *v, const struct unit *u,
			   char ret_crate[NAME_MAX + 1])
{
	struct node *dir = unit_fingerprint_locked(v, u);
	struct name *json = dir ? find_json(dir) : NULL;
	size_t len;

	if (!json)
		return false;
	len = json->len - strlen(KIND) - strlen(".json");
	memcpy(ret_crate, json->s + strlen(KIND), len);
	ret_crate[len] = '\0';
	for (char *c = ret_crate; *c; c++)
		if (*c == '-')
			*c = '_';
	return true;
}

static bool is_of_crate(struct view *v, const struct unit *u, struct span crate)
{
	char own[NAME_MAX + 1];

	return unhashed_crate_locked(v, u, own) && span_is(crate, own);
}

bool name_is_of_unit(const struct name *nm, uint64_t hash, const char *crate)
{
	const char *h = layout_unit_of(nm->s, nm->len);

	if (h)
		return unit_hash_of(h) == hash;
	return crate[0] != '\0' && strcmp(nm->parent->names->s, "deps") == 0 &&
	       span_is(layout_crate_of(nm->s, nm->len), crate);
}

void unhashed_changed_locked(struct view *v, uint64_t profile,
			     struct span crate)
{
	struct unit *u = NULL;

	if (crate.len == 0 || broken("unhashed-owner"))
		return;
	while ((u = units_next_locked(v, u)) != NULL)
		if (u->profile == profile && u->unhashed &&
		    is_of_crate(v, u, crate))
			unit_open_locked(v, u);
}

bool unhashed_is_there_locked(struct view *v, uint64_t profile,
			      struct span crate)
{
	struct unit *u = NULL;

	while ((u = units_next_locked(v, u)) != NULL)
		if (u->profile == profile && u->unhashed &&
		    u->state != UNIT_OPEN && is_of_crate(v, u, crate))
			return true;
	return false;
}

/* --- who wrote them ---------------------------------------------------- */

static struct node *deps_of(struct view *v, uint64_t profile)
{
	struct node *dir = node_find_locked(v, profile);
	struct name *nm = NULL;

	if (dir && node_is_dir(dir))
		nm = name_find_locked(v, dir, "deps", strlen("deps"));
	return nm && node_is_dir(nm->node) ? nm->node : NULL;
}

/* rustc writes it with whatever else it makes. */
static struct node *dfile_of(struct view *v, uint64_t profile,
			     const char *crate)
{
	struct node *deps = deps_of(v, profile);
	char name[NAME_MAX + 1];
	struct name *nm = NULL;
	int n = snprintf(name, sizeof(name), "%s.d", crate);

	if (deps && n > 0 && (size_t)n < sizeof(name))
		nm = name_find_locked(v, deps, name, (size_t)n);
	return nm ? nm->node : NULL;
}

static bool has_own_names(struct view *v, const struct unit *u)
{
	struct node *deps = deps_of(v, u->profile);

	for (struct name *nm = deps ? deps->dir.first : NULL; nm; nm = nm->next)
		if (name_is_of_unit(nm, u->hash, ""))
			return true;
	return false;
}

/* Whether files of this crate without H could be the unit's. */
static bool is_candidate(struct view *v, const struct unit *u,
			 char ret_crate[NAME_MAX + 1])
{
	return unhashed_crate_locked(v, u, ret_crate) &&
	       dfile_of(v, u->profile, ret_crate) &&
	       (u->unhashed || !has_own_names(v, u));
}

static int64_t finished(struct view *v, const struct unit *u)
{
	return find_json(unit_fingerprint_locked(v, u))->node->mtime;
}

/*
 * Among several candidates it is the one that is known, or else the one that
 * cargo finished last, if nothing was written since: a build that fails leaves
 * files, but no fingerprint.
 */
static bool is_loser(struct view *v, const struct unit *u, const char *crate)
{
	struct unit *o = NULL;
	bool alone = true, last = true;
	char other[NAME_MAX + 1];

	if (u->state == UNIT_KNOWN)
		return false;
	while ((o = units_next_locked(v, o)) != NULL) {
		if (o == u || o->profile != u->profile ||
		    !is_candidate(v, o, other) || strcmp(other, crate) != 0)
			continue;
		alone = false;
		last = last && o->state != UNIT_KNOWN &&
		       finished(v, o) < finished(v, u);
	}
	if (alone)
		return false;
	return !last || dfile_of(v, u->profile, crate)->ctime > finished(v, u);
}

bool unhashed_expire_losers(struct view *v)
{
	struct unit *u = NULL;
	bool any = false;

	lock_acquire(&v->lock);
	while ((u = units_next_locked(v, u)) != NULL) {
		char crate[NAME_MAX + 1];

		if (broken("unhashed-loser") || !is_candidate(v, u, crate) ||
		    !is_loser(v, u, crate))
			continue;
		unit_expire_locked(v, u);
		any = true;
	}
	lock_release(&v->lock);
	return any;
}

/* --- in the store ------------------------------------------------------ */

/* Such a row is an object without files. Its only input names the unit, in the
 * profile that asks; nobody asks for its value. */
static int names_scope(struct digest *ret_scope)
{
	static const char scope[] = "crates whose outputs carry no H";

	return digest_of(scope, sizeof(scope), ret_scope);
}

uint64_t unhashed_key(struct span crate)
{
	struct digest d;
	uint64_t key = 0;

	if (digest_of(crate.p, crate.len, &d) == 0)
		memcpy(&key, d.b, sizeof(key));
	return key ? key : 1;
}

int unhashed_publish(struct store *st, const char *crate, uint64_t hash)
{
	char name[UNIT_HASH_LEN + 3] = "./";
	struct unit_input in = { .kind = UNIT_DEP };
	struct unit_object obj = { .inputs = &in, .input_count = 1 };
	struct unit_key key = { .hash = unhashed_key(span_of(crate)) };
	int r;

	unit_hash_hex(hash, name + 2);
	in.name = (struct span_str){ name, strlen(name) };
	obj.package = (struct span_str){ crate, strlen(crate) };
	r = names_scope(&key.scope);
	if (r == 0)
		r = unit_key_of(&obj, &key);
	if (r == 0)
		r = unit_publish(st, &key, &obj);
	return r == -EEXIST ? 0 : r;
}

struct walk {
	int (*fn)(uint64_t hash, void *arg);
	void *arg;
};

static int on_list(const struct unit_list *list, const struct digest *digest,
		   void *arg)
{
	struct walk *w = arg;
	struct dep_name dep;

	(void)digest;
	if (list->count != 1 || dep_name_parse(list->inputs[0].name, &dep) < 0)
		return 0;
	return w->fn(dep.hash, w->arg);
}

int unhashed_foreach(struct store *st, struct span crate,
		     int (*fn)(uint64_t hash, void *arg), void *arg)
{
	struct walk w = { fn, arg };
	struct digest scope;
	int r = names_scope(&scope);

	return r < 0 ? r
		     : unit_lists(st, unhashed_key(crate), &scope, on_list, &w);
}
