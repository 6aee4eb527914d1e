/* SPDX-License-Identifier: Apache-2.0 */
/* The units in a view; see units.h. */
#include "config.h"

#include "fs/units.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "fs/attr.h"
#include "fs/cargo/layout.h"
#include "fs/unhashed.h"
#include "fs/view.h"
#include "store/base/buf.h"

#define SLOTS 1024

struct units {
	struct unit *slot[SLOTS];
	struct unit *by_fpr[SLOTS]; /* those that are KNOWN */
	uint64_t events;	    /* see unit.begun */
};

#define IDENTITY_VERSION 2

/* --- the hash ---------------------------------------------------------- */

uint64_t unit_hash_of(const char *hex)
{
	uint64_t h = 0;

	for (int i = 0; i < UNIT_HASH_LEN; i++)
		h = h << 4 | (uint64_t)(hex[i] <= '9' ? hex[i] - '0'
						      : hex[i] - 'a' + 10);
	return h;
}

void unit_hash_hex(uint64_t hash, char ret_hex[UNIT_HASH_LEN + 1])
{
	for (int i = UNIT_HASH_LEN; i-- > 0; hash >>= 4)
		ret_hex[i] = "0123456789abcdef"[hash & 15];
	ret_hex[UNIT_HASH_LEN] = '\0';
}

/* --- the table --------------------------------------------------------- */

/* H is a hash already. */
static struct unit **slot_of(struct view *v, uint64_t hash)
{
	return &v->units->slot[hash % SLOTS];
}

struct unit *unit_find_locked(struct view *v, uint64_t profile, uint64_t hash)
{
	struct unit *u = *slot_of(v, hash);

	while (u && !(u->hash == hash && u->profile == profile))
		u = u->next;
	return u;
}

struct unit *unit_get_locked(struct view *v, uint64_t profile, uint64_t hash)
{
	struct unit *u = unit_find_locked(v, profile, hash), **slot;

	if (u)
		return u;
	u = calloc(1, sizeof(*u));
	if (!u)
		return NULL;
	slot = slot_of(v, hash);
	u->profile = profile;
	u->hash = hash;
	u->next = *slot;
	*slot = u;
	return u;
}

static struct unit **fpr_slot(struct view *v, uint64_t fpr)
{
	return &v->units->by_fpr[fpr % SLOTS];
}

static void set_known(struct view *v, struct unit *u)
{
	struct unit **slot = fpr_slot(v, u->id.here);

	u->state = UNIT_KNOWN;
	u->fpr_next = *slot;
	*slot = u;
}

/* Before its state or its identity changes. */
static void unset_known(struct view *v, struct unit *u)
{
	struct unit **at = fpr_slot(v, u->id.here);

	if (u->state != UNIT_KNOWN)
		return;
	while (*at != u)
		at = &(*at)->fpr_next;
	*at = u->fpr_next;
	u->fpr_next = NULL;
}

struct unit *unit_by_fingerprint_locked(struct view *v, uint64_t fpr,
					unsigned *ret_count)
{
	struct unit *found = NULL;

	*ret_count = 0;
	for (struct unit *u = *fpr_slot(v, fpr); u; u = u->fpr_next) {
		if (u->id.here != fpr)
			continue;
		found = u;
		++*ret_count;
	}
	return found;
}

struct unit *units_next_locked(struct view *v, const struct unit *u)
{
	size_t i = u ? u->hash % SLOTS + 1 : 0;

	if (u && u->next)
		return u->next;
	for (; i < SLOTS; i++)
		if (v->units->slot[i])
			return v->units->slot[i];
	return NULL;
}

/* --- the attribute ----------------------------------------------------- */

struct node *unit_fingerprint_locked(struct view *v, const struct unit *u)
{
	struct node *dir = NULL;

	if (u->fingerprint)
		dir = node_find_locked(v, u->fingerprint);
	return dir && node_is_dir(dir) && dir->names ? dir : NULL;
}

static void encode(const struct unit_identity *id, struct buf *b)
{
	buf_u8(b, IDENTITY_VERSION);
	buf_put(b, id->scope.b, DIGEST_LEN);
	buf_put(b, id->list.b, DIGEST_LEN);
	buf_put(b, id->values.b, DIGEST_LEN);
	buf_put(b, id->recipe.b, DIGEST_LEN);
	buf_u64(b, id->fpr);
	buf_u64(b, id->here);
	buf_u64(b, id->norm);
	buf_u64(b, (uint64_t)id->stamp);
	buf_u32(b, id->flags);
}

static bool take_digest(struct reader *r, struct digest *ret_digest)
{
	const void *p = take(r, DIGEST_LEN);

	if (p)
		memcpy(ret_digest->b, p, DIGEST_LEN);
	return p != NULL;
}

bool unit_identity_decode(const void *p, size_t len,
			  struct unit_identity *ret_id)
{
	struct reader r = reader_of(p, len);

	if (take_u8(&r) != IDENTITY_VERSION)
		return false;
	if (!take_digest(&r, &ret_id->scope) ||
	    !take_digest(&r, &ret_id->list) ||
	    !take_digest(&r, &ret_id->values) ||
	    !take_digest(&r, &ret_id->recipe))
		return false;
	ret_id->fpr = take_u64(&r);
	ret_id->here = take_u64(&r);
	ret_id->norm = take_u64(&r);
	ret_id->stamp = (int64_t)take_u64(&r);
	ret_id->flags = take_u32(&r);
	return !r.bad && r.left == 0;
}

/* --- sources ----------------------------------------------------------- */

struct unit_sources *unit_sources_new(size_t count)
{
	struct unit_sources *s;

	s = calloc(1, sizeof(*s) + count * sizeof(s->source[0]));
	if (s)
		s->count = count;
	return s;
}

struct unit_sources *unit_sources_free(struct unit_sources *s)
{
	for (size_t i = 0; s && i < s->count; i++)
		free(s->source[i].name);
	free(s);
	return NULL;
}

struct unit_sources *unit_sources_copy(const struct unit_sources *s)
{
	struct unit_sources *c = unit_sources_new(s->count);

	for (size_t i = 0; c && i < s->count; i++) {
		c->source[i] = s->source[i];
		c->source[i].name = strdup(s->source[i].name);
		if (!c->source[i].name)
			return unit_sources_free(c);
	}
	return c;
}

void unit_set_sources(struct view *v, uint64_t profile, uint64_t hash,
		      uint32_t generation, struct unit_sources *sources)
{
	struct unit *u;

	lock_acquire(&v->lock);
	u = unit_find_locked(v, profile, hash);
	if (u && u->state == UNIT_BUILT && u->generation == generation) {
		struct unit_sources *old = u->sources;

		u->sources = sources;
		sources = old;
	}
	lock_release(&v->lock);
	unit_sources_free(sources);
}

/* --- changes ----------------------------------------------------------- */

void unit_begins_locked(struct view *v, struct unit *u)
{
	u->begun = ++v->units->events;
}

void unit_open_locked(struct view *v, struct unit *u)
{
	struct node *dir;

	u->generation++;
	u->bound_by = 0;
	if (u->state != UNIT_OPEN)
		unit_begins_locked(v, u);
	unset_known(v, u);
	if (u->state == UNIT_KNOWN) {
		dir = unit_fingerprint_locked(v, u);
		/* Removing needs no memory that could be missing. */
		if (dir)
			node_drop_identity_locked(v, dir);
	}
	u->state = UNIT_OPEN;
	u->sources = unit_sources_free(u->sources);
}

static void open_all(struct view *v)
{
	for (size_t i = 0; i < SLOTS; i++)
		for (struct unit *u = v->units->slot[i]; u; u = u->next)
			unit_open_locked(v, u);
}

/* Whether a directory is @top, or below it. */
static bool is_below(const struct node *dir, const struct node *top)
{
	while (dir && dir != top)
		dir = dir->names ? dir->names->parent : NULL;
	return dir != NULL;
}

/*
 * The units of all profiles below a directory, or of the one that has this
 * section. Not of others: cargo makes a triple's directory by renaming an empty
 * one.
 */
static void open_below(struct view *v, const struct name *nm)
{
	struct unit *u = NULL;

	while ((u = units_next_locked(v, u)) != NULL) {
		const struct node *profile = node_find_locked(v, u->profile);

		if (!profile || profile == nm->parent ||
		    is_below(profile, nm->node))
			unit_open_locked(v, u);
	}
}

/* The directory at the first @len bytes of a name's path. */
static struct node *ancestor(const struct name *nm, const char *path,
			     size_t len)
{
	struct node *dir = nm->parent;

	for (const char *s = path + len; (s = strchr(s + 1, '/')) != NULL;)
		dir = dir->names ? dir->names->parent : dir;
	return dir;
}

/* Whether the name of this role is a part of its unit; finals are cargo's own
 * links, which it makes anew in every build. */
static bool is_part(const struct layout *l)
{
	return l->unit && l->profile_len > 0 && !l->per_unit &&
	       l->role != ROLE_FINAL && l->role != ROLE_FINAL_DFILE;
}

/* Whether it is an output in deps/ whose name has no H. */
static bool is_unhashed(const struct layout *l)
{
	return !l->unit && !l->per_unit && l->profile_len > 0 &&
	       (l->role == ROLE_RLIB || l->role == ROLE_RMETA ||
		l->role == ROLE_DYLIB || l->role == ROLE_STATICLIB ||
		l->role == ROLE_DFILE);
}

static void note_fingerprint(struct unit *u, const struct name *nm,
			     const struct layout *l)
{
	if (l->role == ROLE_FP_DIR)
		u->fingerprint = nm->node->ino;
	else if (l->role == ROLE_FP_HASH || l->role == ROLE_FP_JSON ||
		 l->role == ROLE_FP_INVOKED)
		u->fingerprint = nm->parent->ino;
}

/* What else changes with it is not looked at: true for a directory that whole
 * units lie below. */
static bool change(struct view *v, const struct name *nm)
{
	char path[PATH_MAX];
	struct layout l;
	struct unit *u;

	if (name_path_locked(nm, path, sizeof(path)) < 0)
		return false;
	l = layout_classify(path);
	if (is_unhashed(&l))
		unhashed_changed_locked(v,
					ancestor(nm, path, l.profile_len)->ino,
					layout_crate_of(nm->s, nm->len));
	if (!is_part(&l))
		return l.role == ROLE_TOP || l.role == ROLE_SECTION;
	u = unit_get_locked(v, ancestor(nm, path, l.profile_len)->ino,
			    unit_hash_of(l.unit));
	if (!u) {
		open_all(v);
		return false;
	}
	note_fingerprint(u, nm, &l);
	unit_open_locked(v, u);
	/* Cargo writes it just before it starts the compiler or the script. */
	if (l.role == ROLE_FP_INVOKED || l.role == ROLE_RUN_INVOKED)
		unit_begins_locked(v, u);
	return false;
}

/* What a name in a directory is, or would be. */
static bool classify(struct view *v, uint64_t parent, const char *name,
		     char path[PATH_MAX], struct layout *ret_layout)
{
	struct node *dir = node_find_locked(v, parent);
	size_t len = 0;

	if (!dir || !node_is_dir(dir))
		return false;
	if (dir->names) {
		if (name_path_locked(dir->names, path, PATH_MAX) < 0)
			return false;
		len = strlen(path);
		path[len++] = '/';
	}
	if (len + strlen(name) >= PATH_MAX)
		return false;
	memcpy(path + len, name, strlen(name) + 1);
	*ret_layout = layout_classify(path);
	return true;
}

bool unit_place_locked(struct view *v, uint64_t parent, const char *name,
		       struct unit_place *ret_place)
{
	char path[PATH_MAX];
	struct layout l;
	struct node *dir;

	if (!classify(v, parent, name, path, &l) || !is_part(&l))
		return false;
	dir = view_walk_locked(v, path, l.profile_len);
	if (!dir)
		return false;
	ret_place->profile = dir->ino;
	ret_place->hash = unit_hash_of(l.unit);
	return true;
}

bool unit_crate_locked(struct view *v, uint64_t parent, const char *name,
		       uint64_t *ret_profile, struct span *ret_crate)
{
	char path[PATH_MAX];
	struct layout l;
	struct node *dir;

	if (!classify(v, parent, name, path, &l) || !is_unhashed(&l))
		return false;
	*ret_crate = layout_crate_of(name, strlen(name));
	dir = view_walk_locked(v, path, l.profile_len);
	if (!dir || ret_crate->len == 0)
		return false;
	*ret_profile = dir->ino;
	return true;
}

void units_changed_locked(struct view *v, const struct name *nm)
{
	if (v->units)
		(void)change(v, nm);
}

void units_removed_locked(struct view *v, const struct name *nm)
{
	if (v->units && change(v, nm) && node_is_dir(nm->node))
		open_below(v, nm);
}

void units_written_locked(struct view *v, const struct node *n)
{
	for (const struct name *nm = n->names; nm && v->units;
	     nm = nm->node_next)
		(void)change(v, nm);
}

int unit_set_identity_locked(struct view *v, struct unit *u,
			     const struct unit_identity *id)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	struct node *dir = unit_fingerprint_locked(v, u);
	int r;

	if (!dir)
		return -ENOENT;
	encode(id, &b);
	r = b.err;
	if (r == 0)
		r = node_set_identity_locked(v, dir, b.data, b.len);
	if (r < 0)
		return r;
	unset_known(v, u);
	u->id = *id;
	set_known(v, u);
	u->unhashed = id->flags & UNIT_UNHASHED;
	u->sources = unit_sources_free(u->sources);
	return 0;
}

struct name *unit_json_locked(const struct node *dir)
{
	for (struct name *nm = dir->dir.first; nm; nm = nm->next)
		if (nm->len > 5 && strcmp(nm->s + nm->len - 5, ".json") == 0)
			return nm;
	return NULL;
}

bool units_older_locked(struct view *v, uint64_t build)
{
	struct unit *u = NULL;
	struct node *dir;

	while ((u = units_next_locked(v, u)) != NULL) {
		dir = u->bound_by == build ? NULL
					   : unit_fingerprint_locked(v, u);
		if (dir && unit_json_locked(dir))
			return true;
	}
	return false;
}

/* --- asking ------------------------------------------------------------ */

bool unit_known(struct view *v, uint64_t profile, uint64_t hash,
		struct unit_identity *ret_id)
{
	struct unit *u;
	bool known;

	lock_acquire(&v->lock);
	u = unit_find_locked(v, profile, hash);
	known = u && u->state == UNIT_KNOWN;
	if (known)
		*ret_id = u->id;
	lock_release(&v->lock);
	return known;
}

/* --- attach ------------------------------------------------------------ */

static int load_fingerprint(struct view *v, struct node *dir)
{
	struct name *nm = dir->names;
	struct unit_identity id;
	char path[PATH_MAX];
	const void *value;
	struct layout l;
	struct unit *u;
	size_t len;

	if (!nm || name_path_locked(nm, path, sizeof(path)) < 0)
		return 0;
	l = layout_classify(path);
	if (l.role != ROLE_FP_DIR || !is_part(&l))
		return 0;
	u = unit_get_locked(v, ancestor(nm, path, l.profile_len)->ino,
			    unit_hash_of(l.unit));
	if (!u)
		return -ENOMEM;
	u->fingerprint = dir->ino;
	if (node_get_identity_locked(dir, &value, &len) &&
	    unit_identity_decode(value, len, &id)) {
		u->id = id;
		set_known(v, u);
		u->unhashed = id.flags & UNIT_UNHASHED;
	} else if (unit_json_locked(dir)) {
		u->state = UNIT_BUILT;
	}
	return 0;
}

int units_load_locked(struct view *v)
{
	int r = 0;

	v->units = calloc(1, sizeof(*v->units));
	if (!v->units)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i <= v->nodes.mask; i++)
		for (struct node *n = v->nodes.slot[i]; r == 0 && n;
		     n = n->hash_next)
			if (node_is_dir(n))
				r = load_fingerprint(v, n);
	return r;
}

void units_release(struct view *v)
{
	for (size_t i = 0; v->units && i < SLOTS; i++) {
		struct unit *u = v->units->slot[i], *next;

		for (; u; u = next) {
			next = u->next;
			build_unref(u->build);
			unit_sources_free(u->sources);
			free(u);
		}
	}
	free(TAKE_PTR(v->units));
}
