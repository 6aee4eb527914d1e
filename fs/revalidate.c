/* SPDX-License-Identifier: Apache-2.0 */
/* Content freshness; see revalidate.h. */
#include "config.h"

#include "fs/revalidate.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/bind.h"
#include "fs/build.h"
#include "fs/cargo/layout.h"
#include "fs/inputs.h"
#include "fs/log.h"
#include "fs/mount.h"
#include "fs/notify.h"
#include "fs/publish.h"
#include "fs/repair.h"
#include "fs/unhashed.h"
#include "fs/units.h"
#include "fs/view.h"
#include "fs/why.h"
#include "fs/winkin.h"
#include "store/base/broken.h"
#include "store/base/buf.h"
#include "store/unit.h"

/* As in winkin.c. */
#define DEPTH_MAX 256
/* Thousands of locks. */
#define LOCKS_MAX ((size_t)1 << 20)

enum forgets { FORGETS_UNKNOWN, FORGETS_YES, FORGETS_NO };

/* One unit of the view, in the order of its hash. */
struct item {
	uint64_t hash, profile;
	struct unit_identity id;      /* of a known one */
	struct unit_sources *sources; /* of one that is not known yet; owned */
	bool seen;
};

struct round {
	struct view *view;
	struct build *build;
	struct item *items;
	size_t count;
	bool changed; /* something that the kernel may remember */
};

/* What a look at the inputs of a unit has found. */
struct verdict {
	bool same;	/* all inputs are as they were */
	bool stale;	/* a tracked one is not */
	int64_t newest; /* time of a source */
	int64_t dep;	/* stamp of a dependency */
};

static int by_hash(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->profile < y->profile ? -1 : x->profile > y->profile;
}

static bool is_looked_at(const struct unit *u)
{
	if (u->state == UNIT_BUILT)
		return u->sources && u->sources->count > 0;
	return u->state == UNIT_KNOWN && u->id.flags & UNIT_LOCAL &&
	       u->id.flags & UNIT_STORED;
}

/* Units that depend on nothing in the workspace are not looked at. */
static int collect(struct round *r)
{
	struct view *v = r->view;
	struct unit *u = NULL;
	size_t n = 0;

	lock_acquire(&v->lock);
	while ((u = units_next_locked(v, u)) != NULL)
		n++;
	r->items = calloc(n + 1, sizeof(*r->items));
	while (r->items && (u = units_next_locked(v, u)) != NULL) {
		if (!is_looked_at(u))
			continue;
		r->items[r->count++] = (struct item){
			.hash = u->hash,
			.profile = u->profile,
			.id = u->id,
			.sources = u->sources ? unit_sources_copy(u->sources)
					      : NULL,
		};
	}
	lock_release(&v->lock);
	if (!r->items)
		return -ENOMEM;
	qsort(r->items, r->count, sizeof(*r->items), by_hash);
	return 0;
}

/* --- one unit ---------------------------------------------------------- */

static void look(struct round *r, struct item *it, unsigned depth);

static void look_at_dep(struct round *r, const struct item *it,
			const struct unit_input *in, struct verdict *out,
			unsigned depth)
{
	struct view *v = r->view;
	struct dep_name dep;
	struct item key = { 0 }, *found;
	struct unit_identity id;

	if (dep_name_parse(in->name, &dep) < 0) {
		out->same = false;
		return;
	}
	key.hash = dep.hash;
	key.profile = dep_profile(v, it->profile, &dep);
	found = bsearch(&key, r->items, r->count, sizeof(key), by_hash);
	if (found)
		look(r, found, depth + 1);
	if (!unit_known(v, key.profile, key.hash, &id)) {
		/* It is compiled anew, and cargo sees that. */
		out->same = false;
		return;
	}
	out->dep = MAX(out->dep, id.stamp);
	if (!digest_equal(&id.recipe, &in->value)) {
		out->same = false;
		out->stale = true;
	}
}

static void look_at_input(struct round *r, const struct unit_input *in,
			  struct verdict *out)
{
	bool tracked = in->kind == UNIT_PLACE ||
		       ((in->kind == UNIT_SOURCE || in->kind == UNIT_TREE) &&
			in->name.p[0] != INPUT_UNTRACKED[0]);
	struct digest now;
	int64_t time;

	if (input_value(r->view, r->build, in, &now, &time) == 0 &&
	    digest_equal(&now, &in->value)) {
		out->newest = MAX(out->newest, time);
		return;
	}
	out->same = false;
	out->stale = out->stale || tracked;
}

struct inputs {
	struct buf bytes;
	uint64_t fpr;
};

static int copy_object(uint64_t fpr, const void *object, size_t len, void *arg)
{
	struct inputs *in = arg;

	if (fpr != in->fpr)
		return 0;
	buf_put(&in->bytes, object, len);
	return in->bytes.err < 0 ? in->bytes.err : 1;
}

static void look_at_inputs(struct round *r, struct item *it,
			   struct verdict *out, unsigned depth)
{
	struct unit_key key = { .hash = it->hash,
				.scope = it->id.scope,
				.list = it->id.list,
				.values = it->id.values };
	struct inputs in = { .fpr = it->id.fpr };
	struct unit_object obj;

	/* Evicted: nothing can be said. */
	if (unit_find(r->view->store, &key, copy_object, &in) <= 0 ||
	    unit_object_decode(in.bytes.data, in.bytes.len, &obj) < 0) {
		out->same = false;
		buf_release(&in.bytes);
		return;
	}
	for (size_t i = 0; i < obj.input_count; i++)
		if (obj.inputs[i].kind == UNIT_DEP)
			look_at_dep(r, it, &obj.inputs[i], out, depth);
		else
			look_at_input(r, &obj.inputs[i], out);
	if (out->same && obj.flags & UNIT_REPAIR &&
	    repair_unit(r->view, r->build, it->profile, it->hash, &obj) > 0)
		r->changed = true;
	unit_object_release(&obj);
	buf_release(&in.bytes);
}

/* Cargo compiles what depends on it, when it is compiled. */
static void look_at_sources(struct round *r, struct item *it)
{
	struct verdict out = { .same = true };

	for (size_t i = 0; i < it->sources->count; i++) {
		const struct unit_source *s = &it->sources->source[i];
		struct unit_input in = { .kind = s->kind,
					 .name = { s->name, strlen(s->name) },
					 .value = s->value };

		look_at_input(r, &in, &out);
	}
	if (out.stale) {
		unit_expire(r->view, it->profile, it->hash);
		r->changed = true;
	}
}

static void look(struct round *r, struct item *it, unsigned depth)
{
	struct verdict out = { .same = true };
	struct view *v = r->view;

	if (it->seen || depth > DEPTH_MAX)
		return;
	it->seen = true;
	if (it->sources) {
		look_at_sources(r, it);
		return;
	}
	look_at_inputs(r, it, &out, depth);
	if (out.same) {
		if (unit_restamp(v, it->profile, it->hash, out.newest, out.dep))
			r->changed = true;
		return;
	}
	if (!out.stale || broken("revalidate-stale"))
		return;
	r->changed = true;
	if (winkin_replace(v, r->build, it->profile, it->hash))
		return;
	unit_expire(v, it->profile, it->hash);
	view_count(v, COUNTER_EXPIRED, 1);
}

/* --- the trigger ------------------------------------------------------- */

/* It is alone when nobody but the asker has it open: then nobody can hold it. */
static bool is_lock_file(struct view *v, uint64_t ino, bool *ret_alone)
{
	struct node *n;
	bool is = false;

	lock_acquire(&v->lock);
	n = v->units ? node_find_locked(v, ino) : NULL;
	for (const struct name *nm = n ? n->names : NULL; nm;
	     nm = nm->node_next)
		is = is || strcmp(nm->s, ".cargo-lock") == 0 ||
		     strcmp(nm->s, ".cargo-build-lock") == 0;
	*ret_alone = n && n->handles <= 1;
	lock_release(&v->lock);
	return is;
}

/* How the kernel names the file in its list. In this way it does not ask the
 * daemon, which is us. */
static bool name_in_locks(struct view *v, uint64_t ino, char ret_name[64])
{
	struct statx st;

	if (statx(AT_FDCWD, view_mountpoint(v),
		  AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC, STATX_TYPE,
		  &st) < 0)
		return false;
	(void)snprintf(ret_name, 64, " %02x:%02x:%" PRIu64 " 0 EOF",
		       st.stx_dev_major, st.stx_dev_minor, v->base | ino);
	return true;
}

/*
 * Another build holds the lock: its units may not change below it. The kernel
 * keeps the locks of this mount, so it is asked. Asking can take 10 ms.
 */
static bool is_held(struct view *v, uint64_t ino)
{
	_cleanup_(buf_release) struct buf locks = { 0 };
	_cleanup_close_ int fd = open("/proc/locks", O_RDONLY | O_CLOEXEC);
	char piece[4096], what[64];
	ssize_t n;

	if (fd < 0 || !name_in_locks(v, ino, what))
		return true;
	while ((n = read(fd, piece, sizeof(piece))) > 0 &&
	       locks.len < LOCKS_MAX)
		buf_put(&locks, piece, (size_t)n);
	buf_u8(&locks, 0);
	return n < 0 || locks.err < 0 ||
	       strstr((const char *)locks.data, what) != NULL;
}

/* What the kernel goes on believing must not change. Tried out once. */
static bool kernel_forgets(struct mount *m)
{
	int forgets = __atomic_load_n(&m->forgets, __ATOMIC_RELAXED);

	if (forgets == FORGETS_UNKNOWN) {
		forgets = notify_changed(m) ? FORGETS_YES : FORGETS_NO;
		__atomic_store_n(&m->forgets, forgets, __ATOMIC_RELAXED);
	}
	return forgets == FORGETS_YES;
}

static void free_items(struct round *r)
{
	for (size_t i = 0; i < r->count; i++)
		unit_sources_free(r->items[i].sources);
	free(r->items);
}

void revalidate_opened(struct view *v, uint64_t ino, pid_t tid)
{
	struct round r = { .view = v };
	bool alone;

	if (!v->mount->wink || !is_lock_file(v, ino, &alone))
		return;
	if (!alone && is_held(v, ino)) {
		log_debug("view %u: another build is going on", v->id);
		return;
	}
	r.build = build_of(v, tid);
	if (!r.build)
		log_debug("view %u: process %d is no build of it", v->id,
			  (int)tid);
	why_began(v, r.build);
	if (r.build && kernel_forgets(v->mount) && build_begins(r.build)) {
		/* What was edited before it could be hashed is seen by that. */
		publish_catch_up(v->mount);
		(void)collect(&r);
		r.changed = unhashed_expire_losers(v);
		for (size_t i = 0; i < r.count; i++)
			look(&r, &r.items[i], 0);
		log_debug("view %u: build %" PRIu64 ": %zu units compared%s",
			  v->id, build_number(r.build), r.count,
			  r.changed ? ", and some changed" : "");
		if (r.changed)
			(void)notify_changed(v->mount);
	}
	free_items(&r);
	build_unref(r.build);
}
