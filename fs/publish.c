/* SPDX-License-Identifier: Apache-2.0 */
/* The publisher; see publish.h. */
#include "config.h"

#include "fs/publish.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fs/draft.h"
#include "fs/log.h"
#include "fs/mount.h"
#include "fs/unhashed.h"
#include "fs/units.h"
#include "fs/view.h"
#include "fs/why.h"
#include "store/base/list.h"
#include "store/base/lock.h"
#include "store/base/time.h"
#include "store/unit.h"

/* Between two looks at what waits for blobs and dependencies. */
#define ROUND_NSEC (NSEC_PER_SEC / 2)
/* A dependency that is not known after this long failed, or never will be. */
#define ROUNDS_MAX 240
/* So many times ROUND_NSEC a build waits for sources to be hashed. */
#define CATCH_UP_WAITS 6

enum stage { STAGE_NEW, STAGE_INPUTS, STAGE_DEPS, STAGE_FILES, STAGE_DONE };

struct job {
	struct list link;
	struct view *view;
	uint64_t profile, hash;
	enum stage stage;
	unsigned rounds;
	struct draft draft;
};

struct publisher {
	pthread_t thread;
	struct lock lock;
	struct cond wake, tried_more;
	/* protected by lock */
	struct list incoming;
	uint64_t queued, taken, tried; /* jobs so far; a round tries all */
	bool stop;
	/* the thread's own */
	struct list jobs;
};

static void enqueue(struct view *v, uint64_t profile, uint64_t hash)
{
	struct publisher *p = v->mount->publisher;
	struct job *j;

	if (!p)
		return;
	j = calloc(1, sizeof(*j));
	/* Without memory the unit stays private. */
	if (!j)
		return;
	j->view = v;
	j->profile = profile;
	j->hash = hash;
	lock_acquire(&p->lock);
	list_add_tail(&p->incoming, &j->link);
	p->queued++;
	cond_signal(&p->wake);
	lock_release(&p->lock);
}

/* --- the trigger ------------------------------------------------------- */

static struct unit *unit_of_json_locked(struct view *v, const struct node *n)
{
	const struct name *nm = n->names;
	struct unit_place place;

	if (!v->units || !nm || nm->len < 6 || !(n->flags & NF_META) ||
	    strcmp(nm->s + nm->len - 5, ".json") != 0 ||
	    !unit_place_locked(v, nm->parent->ino, nm->s, &place))
		return NULL;
	return unit_find_locked(v, place.profile, place.hash);
}

void publish_opened(struct view *v, uint64_t ino, pid_t tid)
{
	struct build *b = NULL;
	struct unit *u = NULL;
	struct node *n;

	if (!v->mount->publisher)
		return;
	lock_acquire(&v->lock);
	n = node_find_locked(v, ino);
	if (n)
		u = unit_of_json_locked(v, n);
	lock_release(&v->lock);
	if (!u)
		return;
	b = build_of(v, tid);
	lock_acquire(&v->lock);
	n = node_find_locked(v, ino);
	u = n ? unit_of_json_locked(v, n) : NULL;
	if (u) {
		struct build *old = u->build;

		u->build = b;
		b = old;
	}
	lock_release(&v->lock);
	build_unref(b);
}

void publish_written(struct view *v, struct node *n)
{
	uint64_t profile = 0, hash = 0;
	struct unit *u;

	lock_acquire(&v->lock);
	u = unit_of_json_locked(v, n);
	if (u && u->state == UNIT_OPEN) {
		u->state = UNIT_BUILT;
		profile = u->profile;
		hash = u->build ? u->hash : 0;
	}
	lock_release(&v->lock);
	if (!hash)
		return;
	enqueue(v, profile, hash);
	why_compiled(v, profile, hash);
}

/* --- one unit ---------------------------------------------------------- */

/* What was published is what the view holds, if nothing has changed since. */
static int make_known(struct job *j)
{
	const struct draft *d = &j->draft;
	struct unit_identity id = {
		.scope = d->key.scope,
		.list = d->key.list,
		.values = d->key.values,
		.recipe = d->recipe,
		.fpr = d->key.fpr,
		.here = d->key.fpr,
		.norm = d->norm,
		.stamp = d->stamp,
		.flags = d->obj.flags | UNIT_STORED,
	};
	struct view *v = j->view;
	struct unit *u;
	int r = -ESTALE;

	lock_acquire(&v->lock);
	u = unit_find_locked(v, j->profile, j->hash);
	if (u && u->state == UNIT_BUILT && u->generation == d->generation)
		r = unit_set_identity_locked(v, u, &id);
	lock_release(&v->lock);
	return r;
}

static int publish(struct job *j)
{
	struct draft *d = &j->draft;
	int r;

	r = draft_finish(d);
	if (r == 0)
		r = unit_publish(j->view->store, &d->key, &d->obj);
	/* Its twin is there already. A blob that is not is on its way. */
	if (r == -EEXIST)
		r = 0;
	else if (r == 0)
		view_count(j->view, COUNTER_PUBLISHED, 1);
	if (r == -ENOENT)
		return -EAGAIN;
	if (r == 0 && d->crate)
		r = unhashed_publish(j->view->store, d->crate, j->hash);
	return r < 0 ? r : make_known(j);
}

/* Without memory cargo alone decides, until the unit is known. */
static void note_sources(struct job *j)
{
	const struct draft *d = &j->draft;
	struct unit_sources *s = unit_sources_new(d->obj.input_count);

	for (size_t i = 0; s && i < s->count; i++) {
		const struct unit_input *in = &d->obj.inputs[i];

		s->source[i].kind = in->kind;
		s->source[i].value = in->value;
		s->source[i].name = strndup(in->name.p, in->name.len);
		if (!s->source[i].name)
			s = unit_sources_free(s);
	}
	if (s)
		unit_set_sources(j->view, j->profile, j->hash, d->generation,
				 s);
}

static int step(struct job *j)
{
	struct draft *d = &j->draft;
	int r;

	switch (j->stage) {
	case STAGE_NEW:
		draft_release(d);
		return draft_begin(d, j->view, j->profile, j->hash);
	case STAGE_INPUTS:
		d->obj.input_count = 0;
		r = draft_inputs(d);
		if (r != -EAGAIN && d->obj.input_count > 0)
			note_sources(j);
		return r;
	case STAGE_DEPS:
		/* -o nopublish: what it was made from is known by now, and so
		 * edits of it are seen. */
		if (!j->view->mount->publish)
			return -EPERM;
		r = draft_deps(d);
		return r < 0 ? r : draft_impure(d);
	case STAGE_FILES:
		r = draft_files(d);
		if (r == 0)
			r = draft_guard(d);
		return r < 0 ? r : publish(j);
	case STAGE_DONE:
		break;
	}
	return 0;
}

/* One step after the other; -EAGAIN waits for the next round. */
static int advance(struct job *j)
{
	int r = 0;

	while (r == 0 && j->stage != STAGE_DONE) {
		r = step(j);
		if (r == 0)
			j->stage++;
	}
	return r;
}

static void job_free(struct job *j)
{
	draft_release(&j->draft);
	free(j);
}

/* A build is kept no longer than it is needed: it holds a descriptor. */
static void forget_build(struct job *j)
{
	struct view *v = j->view;
	struct build *b = NULL;
	struct unit *u;

	lock_acquire(&v->lock);
	u = unit_find_locked(v, j->profile, j->hash);
	/* Another one's is that one's job. */
	if (u && u->state != UNIT_OPEN && u->generation == j->draft.generation)
		b = TAKE_PTR(u->build);
	lock_release(&v->lock);
	build_unref(b);
}

/* True: it is done with, for better or worse. */
static bool run_job(struct job *j)
{
	int r = advance(j);

	if (r == -EAGAIN && ++j->rounds < ROUNDS_MAX)
		return false;
	if (r < 0)
		log_debug("view %u: unit %016llx (%s) is not published, "
			  "stage %d: %s",
			  j->view->id, (unsigned long long)j->hash,
			  j->draft.package ? j->draft.package : "?",
			  (int)j->stage, strerror(-r));
	forget_build(j);
	return true;
}

/* --- the thread -------------------------------------------------------- */

/* Until one round changes nothing: a unit may be what others waited for. */
static void run_round(struct publisher *p)
{
	bool again = true;

	while (again) {
		again = false;
		list_foreach_safe(l, &p->jobs)
		{
			struct job *j = list_entry(l, struct job, link);

			if (!run_job(j))
				continue;
			list_del(&j->link);
			job_free(j);
			again = true;
		}
	}
}

static bool take_incoming(struct publisher *p)
{
	bool stop;

	lock_acquire(&p->lock);
	if (!p->stop && list_empty(&p->incoming)) {
		if (list_empty(&p->jobs))
			cond_wait(&p->wake, &p->lock);
		else
			(void)cond_wait_for(&p->wake, &p->lock, ROUND_NSEC);
	}
	list_foreach_safe(l, &p->incoming)
	{
		list_del(l);
		list_add_tail(&p->jobs, l);
	}
	p->taken = p->queued;
	stop = p->stop;
	lock_release(&p->lock);
	return stop;
}

static void *publisher_run(void *arg)
{
	struct publisher *p = arg;

	while (!take_incoming(p)) {
		run_round(p);
		lock_acquire(&p->lock);
		p->tried = p->taken;
		cond_broadcast(&p->tried_more);
		lock_release(&p->lock);
	}
	run_round(p);
	return NULL;
}

void publish_catch_up(struct mount *m)
{
	struct publisher *p = m->publisher;
	uint64_t until;
	int waits = CATCH_UP_WAITS;

	if (!p)
		return;
	lock_acquire(&p->lock);
	until = p->queued;
	while (p->tried < until && !p->stop && waits-- > 0)
		(void)cond_wait_for(&p->tried_more, &p->lock, ROUND_NSEC);
	lock_release(&p->lock);
}

int publisher_start(struct mount *m, struct publisher **ret_publisher)
{
	struct publisher *p = calloc(1, sizeof(*p));
	int r;

	(void)m;
	if (!p)
		return -ENOMEM;
	list_init(&p->incoming);
	list_init(&p->jobs);
	r = lock_init(&p->lock);
	if (r == 0)
		r = cond_init(&p->wake);
	if (r == 0)
		r = cond_init(&p->tried_more);
	if (r == 0)
		r = -pthread_create(&p->thread, NULL, publisher_run, p);
	if (r < 0) {
		free(p);
		return r;
	}
	*ret_publisher = p;
	return 0;
}

void publisher_stop(struct publisher *p)
{
	if (!p)
		return;
	lock_acquire(&p->lock);
	p->stop = true;
	cond_broadcast(&p->wake);
	lock_release(&p->lock);
	(void)pthread_join(p->thread, NULL);
	list_foreach_safe(l, &p->jobs)
		job_free(list_entry(l, struct job, link));
	list_foreach_safe(l, &p->incoming)
		job_free(list_entry(l, struct job, link));
	cond_destroy(&p->wake);
	cond_destroy(&p->tried_more);
	lock_destroy(&p->lock);
	free(p);
}
