/* SPDX-License-Identifier: Apache-2.0 */
/* Wink-in; see winkin.h. */
#include "config.h"

#include "fs/winkin.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "fs/bind.h"
#include "fs/build.h"
#include "fs/cargo/layout.h"
#include "fs/inputs.h"
#include "fs/mount.h"
#include "fs/repair.h"
#include "fs/unhashed.h"
#include "fs/units.h"
#include "fs/view.h"
#include "fs/why.h"
#include "store/base/broken.h"
#include "store/unit.h"

/* Dependencies of dependencies ...: crates.io has chains of some 60. */
#define DEPTH_MAX 256

struct wink {
	struct view *view;
	struct build *build;
	unsigned depth;
	const char *name; /* what cargo looks for */
};

/* What is looked for, and the best that was found. */
struct search {
	struct wink *wink;
	uint64_t profile; /* number of the profile's directory */
	char profile_path[256];
	size_t profile_path_len;
	struct unit_key key;
	int64_t began; /* before the first look at an input */
	int64_t stamp;
	struct buf object; /* copied; empty: none */
	uint64_t fpr;
	int64_t created;
	struct why_tries tries;
};

static bool winks(const struct view *v)
{
	return v->units && v->mount->wink;
}

static int wink_unit(struct wink *w, uint64_t profile, uint64_t hash);

/* --- inputs ------------------------------------------------------------ */

static int dep_value(struct search *s, const struct unit_input *in,
		     struct digest *ret_value, int64_t *ret_time)
{
	struct wink *w = s->wink;
	struct unit_identity id;
	struct dep_name dep;
	uint64_t profile;
	int r;

	r = dep_name_parse(in->name, &dep);
	if (r < 0)
		return r;
	profile = dep_profile(w->view, s->profile, &dep);
	if (profile == 0)
		return -ENOENT;
	if (!unit_known(w->view, profile, dep.hash, &id)) {
		r = wink_unit(w, profile, dep.hash);
		if (r < 0)
			return r;
		if (!unit_known(w->view, profile, dep.hash, &id))
			return -ENOENT;
	}
	*ret_value = id.recipe;
	*ret_time = id.stamp;
	return 0;
}

/* Guards 2 to 4 are these values: an object is found by them alone. */
static int look_up(struct search *s, const struct unit_list *list,
		   size_t *ret_known)
{
	for (size_t i = 0; i < list->count; i++) {
		struct unit_input *in = &list->inputs[i];
		int64_t time = 0;
		int r;

		*ret_known = i;
		if (in->kind == UNIT_DEP)
			r = dep_value(s, in, &in->value, &time);
		else
			r = input_value(s->wink->view, s->wink->build, in,
					&in->value, &time);
		if (r < 0)
			return r;
		s->stamp = MAX(s->stamp, time);
	}
	*ret_known = list->count;
	return 0;
}

/* --- candidates -------------------------------------------------------- */

/* Profiles share an H where they compile alike, as for the host, or where names
 * have none; the fingerprint has the path of the profile. */
static bool is_profile(const struct search *s, struct span_str profile)
{
	return profile.len == s->profile_path_len &&
	       memcmp(profile.p, s->profile_path, profile.len) == 0;
}

/*
 * Objects of one key differ in cargo's fingerprint only. The newest is the
 * best guess; with a wrong one cargo compiles. Of those that differ in times of
 * sources only the first is as good, and is what most dependants were built
 * with.
 */
static bool is_preferred(const struct search *s, const struct unit_object *obj)
{
	if (obj->flags & UNIT_REPAIR && !(obj->flags & UNIT_UNHASHED))
		return obj->created < s->created;
	return obj->created > s->created;
}

static int on_object(uint64_t fpr, const void *object, size_t len, void *arg)
{
	struct search *s = arg;
	struct unit_object obj;
	bool better;
	int r;

	r = unit_object_decode(object, len, &obj);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	better = is_profile(s, obj.profile) &&
		 (s->object.len == 0 || is_preferred(s, &obj));
	if (better)
		s->created = obj.created;
	unit_object_release(&obj);
	if (!better)
		return 0;
	s->fpr = fpr;
	buf_reset(&s->object);
	buf_put(&s->object, object, len);
	return s->object.err;
}

/* 1: found; other lists are not looked at. */
static int on_list(const struct unit_list *list,
		   const struct digest *list_digest, void *arg)
{
	struct search *s = arg;
	size_t known = 0;
	int r;

	s->stamp = 0;
	r = look_up(s, list, &known);
	if (r == 0) {
		s->key.list = *list_digest;
		r = unit_values_digest(list->inputs, list->count,
				       &s->key.values);
		if (r == 0)
			r = unit_find(s->wink->view->store, &s->key, on_object,
				      s);
		if (r < 0 || s->object.len > 0)
			return r < 0 ? r : 1;
	}
	why_tried(&s->tries, &s->key.scope, list, list_digest, known);
	return 0;
}

static int search_scope(struct search *s, const struct digest *scope)
{
	s->key.scope = *scope;
	return unit_lists(s->wink->view->store, s->key.hash, scope, on_list, s);
}

/*
 * Units that were built against another version of this one must look older
 * than it, or cargo takes them for fresh; they may be any that were there
 * before. An edit in the tick of the clock in which the check began is newer.
 * -EAGAIN: what is compiled or restored today would be older.
 */
static int set_stamp(struct search *s)
{
	struct view *v = s->wink->view;
	bool yet_to_come;

	lock_acquire(&v->lock);
	if (units_older_locked(v, build_number(s->wink->build)) &&
	    !broken("winkin-stamp"))
		s->stamp = MAX(s->stamp, s->began - 1);
	yet_to_come = s->stamp > view_now(v);
	lock_release(&v->lock);
	return yet_to_come && !broken("winkin-future") ? -EAGAIN : 0;
}

static int bind_found(struct search *s)
{
	struct unit_object obj;
	struct unit_identity id;
	int r;

	r = unit_object_decode(s->object.data, s->object.len, &obj);
	if (r < 0)
		return r;
	id = (struct unit_identity){
		.scope = s->key.scope,
		.list = s->key.list,
		.values = s->key.values,
		.recipe = obj.recipe,
		.fpr = s->fpr,
		.here = s->fpr,
		.norm = s->fpr,
		.stamp = s->stamp,
		.flags = obj.flags | UNIT_STORED,
	};
	r = bind_unit(s->wink->view, s->profile, s->key.hash, &obj, &id,
		      s->stamp, s->wink->build);
	if (r == 0)
		why_winked(s->wink->view, &obj);
	if (r == 0 && obj.flags & UNIT_REPAIR)
		(void)repair_unit(s->wink->view, s->wink->build, s->profile,
				  s->key.hash, &obj);
	unit_object_release(&obj);
	return r;
}

static int64_t now(struct view *v)
{
	int64_t t;

	lock_acquire(&v->lock);
	t = view_now(v);
	lock_release(&v->lock);
	return t;
}

static int find_profile(struct search *s)
{
	struct view *v = s->wink->view;
	char path[PATH_MAX];
	struct node *dir;
	int r = -ENOENT;

	lock_acquire(&v->lock);
	dir = node_find_locked(v, s->profile);
	if (dir && dir->names)
		r = name_path_locked(dir->names, path, sizeof(path));
	lock_release(&v->lock);
	if (r == 0 && strlen(path) >= sizeof(s->profile_path))
		r = -ENAMETOOLONG;
	if (r < 0)
		return r;
	s->profile_path_len = strlen(path);
	memcpy(s->profile_path, path, s->profile_path_len + 1);
	return 0;
}

/* Hands over what was tried in vain. */
static int search_and_bind(struct wink *w, uint64_t profile, uint64_t hash,
			   bool replace, struct why_tries *ret_tries)
{
	struct search s = { .wink = w,
			    .profile = profile,
			    .key = { .hash = hash },
			    .began = now(w->view) };
	int r = find_profile(&s);

	for (int i = 0; r == 0 && i < SCOPE_COUNT; i++)
		r = search_scope(&s, build_scope(w->build, (enum scope)i));
	if (r > 0 && set_stamp(&s) < 0)
		r = -EAGAIN;
	if (r > 0 && replace) {
		lock_acquire(&w->view->lock);
		unit_remove_locked(w->view, profile, hash);
		lock_release(&w->view->lock);
	}
	if (r > 0)
		r = bind_found(&s);
	else if (r == 0)
		r = -ENOENT;
	buf_release(&s.object);
	*ret_tries = s.tries;
	return r;
}

static int wink_unit(struct wink *w, uint64_t profile, uint64_t hash)
{
	struct unit_identity id;
	struct why_tries tries = { 0 };
	int r = -ELOOP;

	if (build_has_missed(w->build, profile, hash))
		return -ENOENT;
	if (++w->depth <= DEPTH_MAX)
		r = search_and_bind(w, profile, hash, false, &tries);
	w->depth--;
	/* Another thread was looking for it as well. */
	if (r == -EEXIST && unit_known(w->view, profile, hash, &id))
		return 0;
	if (r < 0) {
		build_missed(w->build, profile, hash);
		view_count(w->view, COUNTER_WINK_MISSES, 1);
		why_missed(w->view, w->build, profile, hash,
			   w->depth == 0 ? w->name : NULL, &tries, r);
	} else {
		view_count(w->view, COUNTER_WINKED_IN, 1);
	}
	why_tries_release(&tries);
	return r;
}

bool winkin_replace(struct view *v, struct build *b, uint64_t profile,
		    uint64_t hash)
{
	struct wink w = { .view = v, .build = b };
	struct why_tries tries = { 0 };
	int r = search_and_bind(&w, profile, hash, true, &tries);

	why_tries_release(&tries);
	if (r < 0)
		return false;
	view_count(v, COUNTER_WINKED_IN, 1);
	return true;
}

/* --- the trigger ------------------------------------------------------- */

/* Whether the view lacks the unit that a name in a directory belongs to. */
static bool lacks(struct view *v, uint64_t parent, const char *name,
		  uint64_t *ret_profile, uint64_t *ret_hash)
{
	struct unit_place place;
	struct unit *u;
	bool lacking = false;

	lock_acquire(&v->lock);
	if (unit_place_locked(v, parent, name, &place)) {
		u = unit_find_locked(v, place.profile, place.hash);
		lacking = !u || u->state == UNIT_OPEN;
		*ret_profile = place.profile;
		*ret_hash = place.hash;
	}
	lock_release(&v->lock);
	return lacking;
}

/* The same of an output without H. */
static bool lacks_crate(struct view *v, uint64_t parent, const char *name,
			uint64_t *ret_profile, struct span *ret_crate)
{
	bool lacking;

	lock_acquire(&v->lock);
	lacking = unit_crate_locked(v, parent, name, ret_profile, ret_crate) &&
		  !unhashed_is_there_locked(v, *ret_profile, *ret_crate);
	lock_release(&v->lock);
	return lacking;
}

bool winkin_may_come(struct view *v, uint64_t parent, const char *name)
{
	uint64_t profile, hash;
	struct span crate;

	return winks(v) && (lacks(v, parent, name, &profile, &hash) ||
			    lacks_crate(v, parent, name, &profile, &crate));
}

struct crate_search {
	struct wink *wink;
	uint64_t profile;
};

static int on_crate(uint64_t hash, void *arg)
{
	struct crate_search *s = arg;
	struct unit *u;
	bool there;

	lock_acquire(&s->wink->view->lock);
	u = unit_find_locked(s->wink->view, s->profile, hash);
	there = u && u->state != UNIT_OPEN;
	lock_release(&s->wink->view->lock);
	return !there && wink_unit(s->wink, s->profile, hash) == 0;
}

/* A dependant asks for an output by its crate's name: any unit that was
 * published with it may be the one. */
static bool wink_crate(struct wink *w, uint64_t profile, struct span crate)
{
	struct crate_search s = { w, profile };
	uint64_t key = unhashed_key(crate);

	if (build_has_missed(w->build, profile, key))
		return false;
	if (unhashed_foreach(w->view->store, crate, on_crate, &s) > 0)
		return true;
	build_missed(w->build, profile, key);
	return false;
}

bool winkin_missing(struct view *v, uint64_t parent, const char *name,
		    pid_t tid)
{
	struct wink w = { .view = v, .name = name };
	uint64_t profile, hash = 0;
	struct span crate;
	bool shown = false;

	if (!winks(v) || (!lacks(v, parent, name, &profile, &hash) &&
			  !lacks_crate(v, parent, name, &profile, &crate)))
		return false;
	w.build = build_of(v, tid);
	if (w.build && hash != 0)
		shown = wink_unit(&w, profile, hash) == 0;
	else if (w.build)
		shown = wink_crate(&w, profile, crate);
	build_unref(w.build);
	return shown;
}
