/* SPDX-License-Identifier: Apache-2.0 */
/* The settler: its queue, its rounds and its thread; see settle.h. The steps of
 * one file are in settle_file.c. */
#include "config.h"

#include "fs/settle.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>

#include "fs/file.h"
#include "fs/log.h"
#include "fs/mount.h"
#include "fs/settle_file.h"
#include "fs/sync.h"
#include "fs/view.h"
#include "store/base/macros.h"
#include "store/blob.h"

/* Rest before artifacts are hashed: a linker's output is often stripped or
 * copied at once. */
#define REST_SHARE_MSEC 2000
/* The kernel writes dirty pages back after 30 s; then a sync is cheap. */
#define REST_SYNC_MSEC 35000
/* Still open somewhere: look again. */
#define REST_BUSY_MSEC 10000
/* Between rounds: what comes meanwhile is made durable together. */
#define REST_ROUND_MSEC 1000
/* Of one round: each file is held open, and nothing of it is shared before all
 * of it is hashed. */
#define ROUND_FILES 64
#define ROUND_BYTES ((uint64_t)256 << 20)

struct job {
	struct list link;
	struct view *view;
	uint64_t ino;
	int64_t due; /* CLOCK_MONOTONIC msec */
};

struct settler {
	pthread_t thread;
	struct store *store;
	struct lock lock;
	struct cond wake;
	/* protected by lock */
	struct list jobs;      /* by due */
	struct settle_end end; /* written under lock; all jobs are due then */
	/* the thread's own */
	int64_t rest; /* until then no round begins */
	struct candidate round[ROUND_FILES];
	size_t count;
};

/* --- the queue --------------------------------------------------------- */

static void enqueue(struct settler *s, struct job *j, int64_t rest)
{
	struct list *at;

	j->due = settle_msec() + rest;
	lock_acquire(&s->lock);
	for (at = s->jobs.prev; at != &s->jobs; at = at->prev)
		if (list_entry(at, struct job, link)->due <= j->due)
			break;
	/* Behind @at: before its successor. */
	list_add_tail(at->next, &j->link);
	cond_signal(&s->wake);
	lock_release(&s->lock);
}

void settle_enqueue(struct view *v, struct node *n)
{
	enum todo todo = TODO_NOTHING;
	struct job *j;

	/* At the end of a mount the next one goes on. */
	if (!v->mount->settler)
		return;
	lock_acquire(&v->lock);
	if (!(n->flags & NF_SETTLING)) {
		todo = settle_todo_locked(n);
		if (todo != TODO_NOTHING)
			n->flags |= NF_SETTLING;
	}
	lock_release(&v->lock);
	if (todo == TODO_NOTHING)
		return;
	j = calloc(1, sizeof(*j));
	if (!j) {
		/* It stays private; the next writer's end tries again. */
		lock_acquire(&v->lock);
		n->flags &= ~(unsigned)NF_SETTLING;
		lock_release(&v->lock);
		return;
	}
	j->view = v;
	j->ino = n->ino;
	enqueue(v->mount->settler, j,
		todo == TODO_SHARE ? REST_SHARE_MSEC : REST_SYNC_MSEC);
}

/* --- a round ----------------------------------------------------------- */

static bool is_stopping(struct settler *s)
{
	bool stop;

	lock_acquire(&s->lock);
	stop = s->end.stop;
	lock_release(&s->lock);
	return stop;
}

static void add_to_round(struct settler *s, struct job *j)
{
	struct candidate *c = &s->round[s->count];
	int r;

	*c = (struct candidate){
		.job = j,
		.view = j->view,
		.end = &s->end,
		.fd = -1,
	};
	r = view_pin_file(j->view, j->ino, &c->node);
	if (r == -ENOMEM && !is_stopping(s)) {
		enqueue(s, j, REST_BUSY_MSEC);
		return;
	}
	if (r < 0) {
		free(j);
		return;
	}
	s->count++;
	c->r = candidate_prepare(c);
}

/* Of a round, nobody knows which: all of it is tried again. */
static int sync_result(struct candidate *c, int r)
{
	if (r == 0)
		return 0;
	log_error("cannot sync the store, will try again: %s", strerror(-r));
	sync_failed(c->view->mount, r);
	return -EBUSY;
}

static void sync_data(struct settler *s)
{
	struct candidate *of[ROUND_FILES];
	int fds[ROUND_FILES], errors[ROUND_FILES], r;
	size_t count = 0;

	for (size_t i = 0; i < s->count; i++) {
		if (s->round[i].r < 0 || candidate_is_small(&s->round[i]))
			continue;
		of[count] = &s->round[i];
		fds[count++] = s->round[i].fd;
	}
	if (count == 0)
		return;
	settle_be_idle(&s->end, true);
	r = blob_sync_data(s->store, fds, count, errors);
	settle_be_idle(&s->end, false);
	r = sync_result(of[0], r);
	for (size_t i = 0; i < count; i++) {
		if (errors[i] < 0)
			candidate_lost(of[i], errors[i]);
		else
			of[i]->r = r;
	}
}

static void sync_names(struct settler *s, struct blob_names *names)
{
	int r;

	if (names->count == 0)
		return;
	settle_be_idle(&s->end, true);
	r = blob_sync_names(s->store, names);
	settle_be_idle(&s->end, false);
	r = sync_result(&s->round[0], r);
	for (size_t i = 0; i < s->count; i++) {
		struct candidate *c = &s->round[i];

		if (c->r == 0 && c->named)
			c->r = r < 0 ? r : candidate_become_blob(c);
	}
}

/*
 * The job is done, or there is more to do, in so many msec. While it was in
 * the round settle_enqueue() has passed the file by, whatever was written and
 * committed meanwhile.
 */
static bool is_done(struct settler *s, struct candidate *c, int64_t *ret_rest)
{
	bool stopping = is_stopping(s);
	struct node *n = c->node;
	enum todo todo;
	bool again;

	lock_acquire(&c->view->lock);
	todo = settle_todo_locked(n);
	*ret_rest = todo == TODO_SHARE ? REST_SHARE_MSEC : REST_SYNC_MSEC;
	/* What failed for a reason of its own waits for its next writer. */
	again = todo != TODO_NOTHING &&
		(c->r >= 0 || c->r == -ECANCELED || n->epoch != c->epoch);
	if (c->r == -EBUSY) {
		*ret_rest = REST_BUSY_MSEC;
		/* At the end of a mount the next one goes on. */
		again = !stopping;
	}
	if (!again)
		n->flags &= ~(unsigned)NF_SETTLING;
	lock_release(&c->view->lock);
	return !again;
}

static void end_candidate(struct settler *s, struct candidate *c)
{
	struct view *v = c->view;
	int64_t rest;
	bool done;

	if (c->fd >= 0)
		(void)close(c->fd);
	done = is_done(s, c, &rest);
	file_trim(v->mount);
	view_unpin(v, c->node);
	if (done)
		free(c->job);
	else
		enqueue(s, c->job, rest);
}

static void end_round(struct settler *s)
{
	struct blob_names names = { 0 };

	sync_data(s);
	for (size_t i = 0; i < s->count; i++)
		if (s->round[i].r == 0)
			s->round[i].r = candidate_settle(&s->round[i], &names);
	sync_names(s, &names);
	for (size_t i = 0; i < s->count; i++)
		end_candidate(s, &s->round[i]);
	s->rest = s->count < ROUND_FILES ? settle_msec() + REST_ROUND_MSEC : 0;
	s->count = 0;
}

/* --- the thread -------------------------------------------------------- */

/* The first job if it is due, else NULL and how long to wait. */
static struct job *due_job_locked(struct settler *s, int64_t *ret_wait)
{
	int64_t now = settle_msec();
	struct job *j;

	*ret_wait = 60000;
	if (list_empty(&s->jobs) || (s->end.stop && now >= s->end.deadline))
		return NULL;
	j = list_entry(s->jobs.next, struct job, link);
	*ret_wait = MAX(j->due, s->rest) - now;
	if (*ret_wait > 0 && !s->end.stop)
		return NULL;
	list_del(&j->link);
	return j;
}

/* The next job that is due, or NULL: stop. */
static struct job *next_job(struct settler *s)
{
	struct job *j;
	int64_t wait;

	lock_acquire(&s->lock);
	while (!(j = due_job_locked(s, &wait)) && !s->end.stop)
		(void)cond_wait_for(&s->wake, &s->lock, wait * 1000000);
	lock_release(&s->lock);
	return j;
}

/* One more for the round; NULL: it is complete. */
static struct job *more_job(struct settler *s)
{
	uint64_t bytes = 0;
	struct job *j;
	int64_t wait;

	for (size_t i = 0; i < s->count; i++)
		bytes += (uint64_t)s->round[i].st.st_size;
	if (s->count == ROUND_FILES || bytes >= ROUND_BYTES)
		return NULL;
	lock_acquire(&s->lock);
	j = due_job_locked(s, &wait);
	lock_release(&s->lock);
	return j;
}

static void *settler_run(void *arg)
{
	struct settler *s = arg;
	struct job *j;

	while ((j = next_job(s)) != NULL) {
		for (; j; j = more_job(s))
			add_to_round(s, j);
		end_round(s);
	}
	return NULL;
}

int settler_start(struct mount *m, struct settler **ret_settler)
{
	struct settler *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->store = m->store;
	list_init(&s->jobs);
	s->end.may_idle = settle_may_idle();
	r = lock_init(&s->lock);
	if (r == 0)
		r = cond_init(&s->wake);
	if (r == 0)
		r = -pthread_create(&s->thread, NULL, settler_run, s);
	if (r < 0) {
		free(s);
		return r;
	}
	*ret_settler = s;
	return 0;
}

void settler_stop(struct settler *s, int msec)
{
	if (!s)
		return;
	lock_acquire(&s->lock);
	__atomic_store_n(&s->end.deadline, settle_msec() + msec,
			 __ATOMIC_RELAXED);
	__atomic_store_n(&s->end.stop, true, __ATOMIC_RELAXED);
	cond_broadcast(&s->wake);
	lock_release(&s->lock);
	(void)pthread_join(s->thread, NULL);
	list_foreach_safe(l, &s->jobs) free(list_entry(l, struct job, link));
	cond_destroy(&s->wake);
	lock_destroy(&s->lock);
	free(s);
}
