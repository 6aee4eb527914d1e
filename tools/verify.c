/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chooses units to verify, and looks at their inputs.
 */
#include "config.h"

#include "tools/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/hashes.h"
#include "fs/inputs.h"
#include "fs/scope.h"
#include "fs/unit_kind.h"
#include "fs/units.h"
#include "store/base/macros.h"
#include "store/store.h"
#include "tools/common.h"

static void unit_release(struct verify_unit *u)
{
	unit_object_release(&u->obj);
	buf_release(&u->bytes);
	free(u->package);
	free(u->kind);
	free(u->profile);
	free(u->workspace);
	free(u->target);
	free(u->detail);
}

void verify_list_release(struct verify_list *list)
{
	for (size_t i = 0; i < list->len; i++)
		unit_release(&list->units[i]);
	free(list->units);
	*list = (struct verify_list){ 0 };
}

void verify_set(struct verify_unit *u, enum verdict verdict, const char *fmt,
		...)
{
	va_list ap;

	free(u->detail);
	u->verdict = verdict;
	va_start(ap, fmt);
	if (vasprintf(&u->detail, fmt, ap) < 0)
		u->detail = NULL;
	va_end(ap);
}

/* --- the sample ----------------------------------------------------------- */

struct sampling {
	struct verify_list list;
	size_t max;
	uint64_t seen;
};

static uint64_t random_below(uint64_t n)
{
	uint64_t r = 0;

	/* Of a sample nobody minds the bias of some 2^-40. */
	if (getrandom(&r, sizeof(r), 0) != (ssize_t)sizeof(r))
		r = (uint64_t)random();
	return r % n;
}

static int unit_copy(struct verify_unit *u, const struct unit_key *key,
		     const struct unit_object *obj)
{
	struct span_str kind = unit_kind(obj);

	*u = (struct verify_unit){ .key = *key };
	u->package = strndup(obj->package.p, obj->package.len);
	u->kind = strndup(kind.p, kind.len);
	u->profile = strndup(obj->profile.p, obj->profile.len);
	u->workspace =
		strndup(obj->origin_workspace.p, obj->origin_workspace.len);
	u->target = strndup(obj->origin_target.p, obj->origin_target.len);
	if (!u->package || !u->kind || !u->profile || !u->workspace ||
	    !u->target)
		return -ENOMEM;
	return unit_object_encode(obj, &u->bytes);
}

/* Each unit is in the sample with the same probability (algorithm R). */
static int on_unit(const struct unit_key *key, const struct unit_object *obj,
		   void *arg)
{
	struct sampling *s = arg;
	struct verify_unit *to;
	uint64_t at = s->seen++;

	if (at >= s->max)
		at = random_below(s->seen);
	if (at >= s->max)
		return 0;
	to = &s->list.units[at];
	if (at < s->list.len)
		unit_release(to);
	else
		s->list.len++;
	return unit_copy(to, key, obj);
}

static int by_group(const void *a, const void *b)
{
	const struct verify_unit *x = a, *y = b;
	int c = strcmp(x->workspace, y->workspace);

	if (c == 0)
		c = strcmp(x->target, y->target);
	if (c == 0)
		c = strcmp(x->profile, y->profile);
	return c ? c : strcmp(x->package, y->package);
}

static int decode_all(struct verify_list *list)
{
	int r = 0;

	if (list->len > 0)
		qsort(list->units, list->len, sizeof(*list->units), by_group);
	for (size_t i = 0; r == 0 && i < list->len; i++) {
		struct verify_unit *u = &list->units[i];

		r = unit_object_decode(u->bytes.data, u->bytes.len, &u->obj);
	}
	return r;
}

int verify_sample(struct store *st, size_t max, struct verify_list *ret_list)
{
	struct sampling s = { .max = max };
	int r = -ENOMEM;

	s.list.units = calloc(max, sizeof(*s.list.units));
	if (s.list.units)
		r = unit_foreach(st, 0, on_unit, &s);
	if (r == 0)
		r = decode_all(&s.list);
	if (r < 0) {
		verify_list_release(&s.list);
		return say_error(r, "cannot read the units of '%s'",
				 store_path(st));
	}
	s.list.published = s.seen;
	*ret_list = s.list;
	return 0;
}

/* --- inputs --------------------------------------------------------------- */

static int environment_now(struct digest *ret_digest)
{
	_cleanup_(buf_release) struct buf b = { 0 };

	for (char **e = environ; *e; e++)
		buf_put(&b, *e, strlen(*e) + 1);
	return b.err < 0 ? b.err
			 : scope_of_environment((const char *)b.data, b.len,
						ret_digest);
}

static int file_now(struct hashes *h, int fd, unsigned kind, const char *name,
		    struct digest *ret_digest)
{
	bool untracked = name[0] == INPUT_UNTRACKED[0];
	struct hashed found;
	int r;

	name += untracked;
	if (kind == UNIT_TREE)
		r = hashes_tree(h, fd, name,
				untracked ? input_is_left_out : NULL, &found);
	else
		r = hashes_file(h, fd, name, &found);
	if (r == 0)
		*ret_digest = found.digest;
	return r;
}

/* A walk over a unit's inputs, and those of all local units below it: cargo
 * would build these from what they are now. */
struct look {
	struct store *st;
	struct verify_unit *unit;
	struct hashes *hashes;
	int fd;		 /* the workspace */
	struct buf seen; /* recipes */
};

static bool is_as_recorded(const struct look *l, const struct unit_input *in,
			   const char *name)
{
	struct digest now;
	int r = 0;

	switch ((enum unit_input_kind)in->kind) {
	case UNIT_SOURCE:
	case UNIT_TREE:
		r = file_now(l->hashes, l->fd, in->kind, name, &now);
		break;
	case UNIT_ENV:
		r = strcmp(name, INPUT_ENVIRONMENT) == 0
			    ? environment_now(&now)
			    : input_env_value(getenv(name), &now);
		break;
	case UNIT_DEP:
	case UNIT_PLACE:
		return true;
	}
	return r == 0 && digest_equal(&now, &in->value);
}

static bool was_seen(struct look *l, const struct digest *recipe)
{
	for (size_t at = 0; at < l->seen.len; at += DIGEST_LEN)
		if (memcmp(l->seen.data + at, recipe->b, DIGEST_LEN) == 0)
			return true;
	buf_put(&l->seen, recipe->b, DIGEST_LEN);
	return false;
}

struct wanted {
	const struct digest *recipe;
	struct buf bytes;
};

static int copy_if_wanted(const struct unit_key *key,
			  const struct unit_object *obj, void *arg)
{
	struct wanted *w = arg;
	int r;

	(void)key;
	if (!digest_equal(&obj->recipe, w->recipe))
		return 0;
	r = unit_object_encode(obj, &w->bytes);
	return r < 0 ? r : 1;
}

static void look_at_dep(struct look *l, const struct unit_input *in);

/* Crates of a registry or of git never change: they end the walk. */
static void look_at(struct look *l, const struct unit_object *obj)
{
	for (size_t i = 0; i < obj->input_count; i++) {
		const struct unit_input *in = &obj->inputs[i];
		char name[PATH_MAX];

		(void)snprintf(name, sizeof(name), "%.*s", (int)in->name.len,
			       in->name.p);
		if (is_as_recorded(l, in, name))
			continue;
		verify_set(l->unit, VERDICT_GONE, "inputs gone: %s",
			   name + (name[0] == INPUT_UNTRACKED[0]));
		return;
	}
	for (size_t i = 0; obj->flags & UNIT_LOCAL && i < obj->input_count; i++)
		if (obj->inputs[i].kind == UNIT_DEP)
			look_at_dep(l, &obj->inputs[i]);
}

static void look_at_dep(struct look *l, const struct unit_input *in)
{
	struct wanted w = { .recipe = &in->value };
	struct unit_object obj;
	struct dep_name dep;

	if (l->unit->verdict != VERDICT_NONE || was_seen(l, &in->value))
		return;
	if (l->seen.err == 0 && dep_name_parse(in->name, &dep) == 0 &&
	    unit_foreach(l->st, dep.hash, copy_if_wanted, &w) > 0 &&
	    unit_object_decode(w.bytes.data, w.bytes.len, &obj) == 0) {
		look_at(l, &obj);
		unit_object_release(&obj);
	} else {
		/* Dropped, or published by another checkout first. */
		verify_set(l->unit, VERDICT_GONE,
			   "inputs gone: the unit of %.*s that it was built "
			   "with",
			   (int)in->shown.len, in->shown.p);
	}
	buf_release(&w.bytes);
}

void verify_inputs(struct store *st, struct verify_unit *u)
{
	struct look l = { .st = st, .unit = u, .hashes = hashes_new() };
	struct stat sb;

	l.fd = open(u->workspace, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (l.fd < 0)
		verify_set(u, VERDICT_GONE, "inputs gone: workspace %s",
			   u->workspace);
	else if (stat(u->target, &sb) < 0 || !S_ISDIR(sb.st_mode))
		verify_set(u, VERDICT_GONE, "inputs gone: directory %s",
			   u->target);
	else if (!l.hashes)
		verify_set(u, VERDICT_GONE, "out of memory");
	else
		look_at(&l, &u->obj);
	l.hashes = hashes_free(l.hashes);
	buf_release(&l.seen);
	closep(&l.fd);
}
