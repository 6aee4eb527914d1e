/* SPDX-License-Identifier: Apache-2.0 */
/* Why units were missed; see why.h. Two threads: who asks, and a worker. */
#include "config.h"

#include "fs/why.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "fs/build.h"
#include "fs/cargo/layout.h"
#include "fs/mount.h"
#include "fs/scope.h"
#include "fs/unit_kind.h"
#include "fs/units.h"
#include "fs/view.h"
#include "fs/why_file.h"
#include "fs/worker.h"
#include "store/base/buf.h"
#include "store/base/io.h"
#include "store/base/lock.h"
#include "store/base/macros.h"
#include "store/unit.h"

/* Objects of one hash that are compared: each is another edit of a package. */
#define OBJECTS_MAX 512
/* Of a value that is shown. */
#define SHOWN_MAX 200
#define COMMAND_MAX 4096

struct why {
	struct lock lock; /* I/O on the file is done under it */
	/* protected by lock */
	int fd;
	uint64_t build; /* number of the one that the file is about; 0: none */
	size_t size;
	bool full;
};

struct why *why_new(struct store *st, uint32_t view)
{
	struct why *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	/* A store that cannot be written to explains nothing. */
	if (why_file_open(st, view, &w->fd) < 0)
		w->fd = -1;
	if (lock_init(&w->lock) < 0) {
		closep(&w->fd);
		free(w);
		return NULL;
	}
	return w;
}

struct why *why_free(struct why *w)
{
	if (!w)
		return NULL;
	closep(&w->fd);
	lock_destroy(&w->lock);
	free(w);
	return NULL;
}

/* --- tries ---------------------------------------------------------------- */

void why_tried(struct why_tries *t, const struct digest *scope,
	       const struct unit_list *list, const struct digest *list_digest,
	       size_t known)
{
	struct why_try *try = &t->try[t->count];

	if (t->count == WHY_TRIES_MAX)
		return;
	*try = (struct why_try){ .scope = *scope,
				 .list = *list_digest,
				 .known = known,
				 .count = list->count };
	try->values = calloc(known + 1, sizeof(*try->values));
	if (!try->values)
		return;
	for (size_t i = 0; i < known; i++)
		try->values[i] = list->inputs[i].value;
	t->count++;
}

void why_tries_release(struct why_tries *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->try[i].values);
	*t = (struct why_tries){ 0 };
}

/* --- jobs ----------------------------------------------------------------- */

struct job {
	struct work work;
	struct view *view;
	struct build *build; /* counted */
	enum why_what what;
	uint64_t profile, hash;
	char *package, *kind; /* owned, may be NULL */
	struct why_tries tries;
	int error;
};

static void job_free(struct job *j)
{
	why_tries_release(&j->tries);
	build_unref(j->build);
	free(j->package);
	free(j->kind);
	free(j);
}

/* --- the file ------------------------------------------------------------- */

static void append_locked(struct why *w, const struct why_rec *rec)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	const struct why_rec full = { .what = WHY_FULL };

	if (w->full)
		return;
	why_rec_put(&b, rec);
	w->full = w->size + b.len > WHY_FILE_MAX;
	if (w->full) {
		buf_reset(&b);
		why_rec_put(&b, &full);
	}
	/* A disk that is full takes nothing, and the rest is complete. */
	if (b.err == 0 && write_full(w->fd, b.data, b.len) == 0)
		w->size += b.len;
}

static size_t read_command(pid_t pid, char ret_text[COMMAND_MAX])
{
	_cleanup_close_ int fd = -1;
	char path[64];
	size_t len = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read_full(fd, ret_text, COMMAND_MAX, &len) < 0)
		return 0;
	return len;
}

static void begin_locked(struct why *w, struct build *b)
{
	_cleanup_(buf_release) struct buf fields = { 0 };
	char command[COMMAND_MAX];
	struct why_rec rec = { .what = WHY_BUILD };

	rec.build.started = (int64_t)time(NULL);
	rec.build.pid = (uint64_t)build_pid(b);
	rec.build.command.p = command;
	rec.build.command.len = read_command(build_pid(b), command);
	for (int s = 0; s < SCOPE_COUNT; s++)
		rec.build.scope[s] = *build_scope(b, (enum scope)s);
	(void)scope_describe(b, &fields);
	if (fields.err == 0)
		rec.build.fields = (struct span_str){ (const char *)fields.data,
						      fields.len };
	w->build = build_number(b);
	w->size = 0;
	w->full = ftruncate(w->fd, 0) < 0;
	append_locked(w, &rec);
}

/* The file is about one build: the last to begin. */
static bool is_last_locked(struct why *w, struct build *b)
{
	if (build_number(b) <= w->build)
		return build_number(b) == w->build;
	begin_locked(w, b);
	return true;
}

static void write_record(const struct job *j, const struct why_rec *rec)
{
	struct why *w = j->view->why;

	lock_acquire(&w->lock);
	if (w->fd >= 0 && is_last_locked(w, j->build) && rec->what != WHY_BUILD)
		append_locked(w, rec);
	lock_release(&w->lock);
}

/* --- the nearest object --------------------------------------------------- */

struct nearest {
	const struct job *job;
	struct why_rec *rec; /* its strings are in `strings` */
	struct buf *strings;
	unsigned looked;
	bool found, same_scope;
};

static const struct why_try *try_of(const struct job *j,
				    const struct unit_key *key)
{
	for (size_t i = 0; i < j->tries.count; i++)
		if (digest_equal(&j->tries.try[i].scope, &key->scope) &&
		    digest_equal(&j->tries.try[i].list, &key->list))
			return &j->tries.try[i];
	return NULL;
}

static bool is_own_scope(const struct job *j, const struct unit_key *key)
{
	for (int s = 0; s < SCOPE_COUNT; s++)
		if (digest_equal(build_scope(j->build, (enum scope)s),
				 &key->scope))
			return true;
	return false;
}

/* How many inputs differ, as far as they are known; *ret_first is the first. */
static uint32_t count_differing(const struct why_try *t,
				const struct unit_object *obj,
				size_t *ret_first)
{
	uint32_t n = 0;

	for (size_t i = 0; i < obj->input_count && i <= t->known; i++) {
		if (i < t->known &&
		    digest_equal(&t->values[i], &obj->inputs[i].value))
			continue;
		if (n++ == 0)
			*ret_first = i;
	}
	return n;
}

static enum why_reason reason_of(unsigned kind)
{
	switch ((enum unit_input_kind)kind) {
	case UNIT_SOURCE:
	case UNIT_TREE:
		return WHY_SOURCE;
	case UNIT_ENV:
		return WHY_ENV;
	case UNIT_DEP:
		return WHY_DEP;
	case UNIT_PLACE:
		return WHY_GUARD;
	}
	return WHY_ERROR;
}

static struct span_str text_of(const char *s)
{
	return (struct span_str){ s, s ? strlen(s) : 0 };
}

static struct span_str now_of(const struct job *j, const struct unit_input *in)
{
	char name[PATH_MAX];

	if (in->name.len >= sizeof(name))
		return text_of("");
	memcpy(name, in->name.p, in->name.len);
	name[in->name.len] = '\0';
	if (in->kind == UNIT_ENV)
		return text_of(build_getenv(j->build, name));
	if (in->kind == UNIT_PLACE)
		return text_of(strcmp(name, "workspace") == 0
				       ? j->view->workspace
				       : view_mountpoint(j->view));
	return text_of("");
}

static struct span_str cut(struct span_str s)
{
	s.len = MIN(s.len, (size_t)SHOWN_MAX);
	return s;
}

/* The object is gone when its walk goes on: its strings are copied, and point
 * into the buffer once that has stopped growing. */
static void keep(struct span_str **strings, size_t count, struct buf *b)
{
	size_t at = 0;

	buf_reset(b);
	for (size_t i = 0; i < count; i++)
		buf_put(b, strings[i]->p, strings[i]->len);
	for (size_t i = 0; b->err == 0 && i < count; i++) {
		strings[i]->p = (const char *)b->data + at;
		at += strings[i]->len;
	}
}

static int take_nearest(struct nearest *n, const struct unit_object *obj,
			struct why_miss *miss)
{
	struct why_rec *rec = n->rec;
	struct span_str *strings[] = { &rec->miss.input,   &rec->miss.then,
				       &rec->miss.now,	   &rec->miss.origin,
				       &rec->unit.package, &rec->unit.kind };

	rec->miss = *miss;
	rec->miss.origin = obj->origin_workspace;
	rec->miss.created = obj->created;
	rec->unit.package = obj->package;
	rec->unit.kind = unit_kind(obj);
	keep(strings, ARRAY_LEN(strings), n->strings);
	n->found = true;
	return n->strings->err;
}

/* Fewer differences are nearer, then what is newer; any object of another
 * scope is farther. */
static bool is_nearer(const struct nearest *n, const struct why_miss *miss,
		      int64_t created)
{
	bool same_scope = miss->reason != WHY_SCOPE;

	if (!n->found)
		return true;
	if (same_scope != n->same_scope)
		return same_scope;
	if (miss->differing != n->rec->miss.differing)
		return miss->differing < n->rec->miss.differing;
	return created > n->rec->miss.created;
}

static bool describe(const struct nearest *n, const struct unit_key *key,
		     const struct unit_object *obj, struct why_miss *ret_miss)
{
	const struct job *j = n->job;
	const struct why_try *t = try_of(j, key);
	const struct unit_input *in;
	size_t first = 0;

	*ret_miss = (struct why_miss){ .scope = key->scope };
	if (!t) {
		/* Of a list that was not there yet when cargo looked. */
		ret_miss->reason = WHY_SCOPE;
		return !is_own_scope(j, key);
	}
	ret_miss->differing = count_differing(t, obj, &first);
	if (ret_miss->differing == 0)
		return false;
	in = &obj->inputs[first];
	ret_miss->reason = (uint8_t)reason_of(in->kind);
	ret_miss->kind = in->kind;
	ret_miss->absent = first == t->known;
	ret_miss->input = in->name;
	ret_miss->then = cut(in->shown);
	ret_miss->now = cut(now_of(j, in));
	return true;
}

static int on_object(const struct unit_key *key, const struct unit_object *obj,
		     void *arg)
{
	struct nearest *n = arg;
	struct why_miss miss;

	if (n->looked++ >= OBJECTS_MAX)
		return 1;
	if (!describe(n, key, obj, &miss) || !is_nearer(n, &miss, obj->created))
		return 0;
	n->same_scope = miss.reason != WHY_SCOPE;
	return take_nearest(n, obj, &miss);
}

/* --- the worker ----------------------------------------------------------- */

static void profile_path(const struct job *j, char ret_path[PATH_MAX])
{
	struct view *v = j->view;
	struct node *dir;

	ret_path[0] = '\0';
	lock_acquire(&v->lock);
	dir = node_find_locked(v, j->profile);
	if (dir && dir->names &&
	    name_path_locked(dir->names, ret_path, PATH_MAX) < 0)
		ret_path[0] = '\0';
	lock_release(&v->lock);
}

/* ".fingerprint/<package>-H/<kind>.json" */
static void take_names(struct job *j)
{
	struct view *v = j->view;
	const struct name *nm = NULL;
	struct node *dir = NULL;
	struct unit *u;
	const char *h;

	lock_acquire(&v->lock);
	u = unit_find_locked(v, j->profile, j->hash);
	if (u && u->fingerprint)
		dir = node_find_locked(v, u->fingerprint);
	if (dir && node_is_dir(dir) && dir->names) {
		nm = dir->names;
		h = layout_unit_of(nm->s, nm->len);
		if (h && h > nm->s + 1)
			j->package = strndup(nm->s, (size_t)(h - nm->s) - 1);
		nm = unit_json_locked(dir);
		if (nm)
			j->kind = strndup(nm->s, (size_t)nm->len - 5);
	}
	lock_release(&v->lock);
}

static void count_reason(struct view *v, unsigned reason)
{
	static const enum counter counters[] = {
		[WHY_UNKNOWN] = COUNTER_MISS_UNKNOWN,
		[WHY_SCOPE] = COUNTER_MISS_SCOPE,
		[WHY_SOURCE] = COUNTER_MISS_SOURCE,
		[WHY_ENV] = COUNTER_MISS_ENV,
		[WHY_DEP] = COUNTER_MISS_DEP,
		[WHY_GUARD] = COUNTER_MISS_GUARD,
		[WHY_ERROR] = COUNTER_MISS_ERROR,
	};

	view_count(v, counters[reason], 1);
}

static void explain(const struct job *j, struct why_rec *rec,
		    struct buf *strings)
{
	struct nearest n = { .job = j, .rec = rec, .strings = strings };

	rec->unit.package = text_of(j->package);
	if (j->error != -ENOENT) {
		rec->miss.reason = WHY_ERROR;
		rec->miss.now = text_of(strerror(-j->error));
		return;
	}
	rec->miss.reason = WHY_UNKNOWN;
	(void)unit_foreach(j->view->store, j->hash, on_object, &n);
	if (strings->err < 0)
		rec->miss = (struct why_miss){ .reason = WHY_ERROR };
}

static void run_job(struct work *work)
{
	struct job *j = container_of(work, struct job, work);
	_cleanup_(buf_release) struct buf strings = { 0 };
	char profile[PATH_MAX];
	struct why_rec rec = { .what = (uint8_t)j->what, .unit.hash = j->hash };

	profile_path(j, profile);
	rec.unit.profile = text_of(profile);
	if (j->what == WHY_MISSED) {
		explain(j, &rec, &strings);
		count_reason(j->view, rec.miss.reason);
	} else if (j->what == WHY_COMPILED) {
		take_names(j);
		rec.unit.package = text_of(j->package);
		rec.unit.kind = text_of(j->kind);
	}
	write_record(j, &rec);
	job_free(j);
}

static struct job *job_new(struct view *v, struct build *b, enum why_what what)
{
	struct job *j = NULL;

	if (v->why && b)
		j = calloc(1, sizeof(*j));
	if (!j)
		return NULL;
	j->work.run = run_job;
	j->view = v;
	j->build = build_ref(b);
	j->what = what;
	return j;
}

void why_began(struct view *v, struct build *b)
{
	struct job *j = job_new(v, b, WHY_BUILD);

	if (j)
		worker_submit(v->mount->workers, &j->work);
}

void why_missed(struct view *v, struct build *b, uint64_t profile,
		uint64_t hash, const char *name, struct why_tries *t, int error)
{
	struct job *j = job_new(v, b, WHY_MISSED);
	const char *h;

	if (!j) {
		why_tries_release(t);
		return;
	}
	j->profile = profile;
	j->hash = hash;
	j->error = error;
	j->tries = *t;
	*t = (struct why_tries){ 0 };
	h = name ? layout_unit_of(name, strlen(name)) : NULL;
	if (h && h > name + 1)
		j->package = strndup(name, (size_t)(h - name) - 1);
	worker_submit(v->mount->workers, &j->work);
}

void why_winked(struct view *v, const struct unit_object *obj)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < obj->file_count; i++)
		if (obj->files[i].type == UNIT_REG)
			bytes += obj->files[i].size;
	view_count(v, COUNTER_WINKED_BYTES, bytes);
	view_count(v, COUNTER_SAVED_MSEC, obj->compile_msec);
}

void why_compiled(struct view *v, uint64_t profile, uint64_t hash)
{
	struct build *b = NULL;
	struct unit *u;
	struct job *j;

	lock_acquire(&v->lock);
	u = unit_find_locked(v, profile, hash);
	if (u)
		b = build_ref(u->build);
	lock_release(&v->lock);
	j = job_new(v, b, WHY_COMPILED);
	build_unref(b);
	if (!j)
		return;
	j->profile = profile;
	j->hash = hash;
	worker_submit(v->mount->workers, &j->work);
}
