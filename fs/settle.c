/* SPDX-License-Identifier: Apache-2.0 */
/* The settler; see settle.h. */
#include "config.h"

#include "fs/settle.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "fs/cargo/layout.h"
#include "fs/content.h"
#include "fs/file.h"
#include "fs/hot.h"
#include "fs/log.h"
#include "fs/mount.h"
#include "fs/sync.h"
#include "fs/view.h"
#include "store/base/broken.h"
#include "store/base/io.h"
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

enum todo { TODO_NOTHING, TODO_SYNC, TODO_SHARE };

/* What is being settled, and what it was when it was hashed, to see afterwards
 * that it is still the same. */
struct candidate {
	struct job *job;
	struct view *view;
	struct node *node; /* pinned */
	struct settler *settler;
	enum todo todo;
	bool named; /* blob_link() has been called */
	int r;	    /* -EBUSY: in use, try again; else < 0: not to be settled */
	uint64_t staging_id;
	uint16_t epoch;
	int fd;
	struct stat st;
	struct digest digest;
};

struct settler {
	pthread_t thread;
	struct store *store;
	struct lock lock;
	struct cond wake;
	/* protected by lock */
	struct list jobs; /* by due */
	/* written under lock, atomic: also read without */
	bool stop;
	int64_t deadline; /* when stopping: all jobs are due, until then */
	bool may_idle;	  /* constant */
	/* the thread's own */
	int64_t rest; /* until then no round begins */
	struct candidate round[ROUND_FILES];
	size_t count;
};

static int64_t now_msec(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- the queue --------------------------------------------------------- */

static void enqueue(struct settler *s, struct job *j, int64_t rest)
{
	struct list *at;

	j->due = now_msec() + rest;
	lock_acquire(&s->lock);
	for (at = s->jobs.prev; at != &s->jobs; at = at->prev)
		if (list_entry(at, struct job, link)->due <= j->due)
			break;
	/* Behind @at: before its successor. */
	list_add_tail(at->next, &j->link);
	cond_signal(&s->wake);
	lock_release(&s->lock);
}

/* By any of its names: rustc links one file into deps/ and incremental/. */
static enum todo what_to_do_locked(const struct node *n)
{
	enum todo todo = TODO_SYNC;
	char path[PATH_MAX];

	if (n->content != CONTENT_STAGING || n->nlink == 0 ||
	    n->flags & (NF_HOT | NF_SYNC_FAILED))
		return TODO_NOTHING;
	for (const struct name *nm = n->names; nm; nm = nm->node_next) {
		struct layout l;

		if (name_path_locked(nm, path, sizeof(path)) < 0)
			continue;
		l = layout_classify(path);
		if (l.kind == LAYOUT_ARTIFACT || l.kind == LAYOUT_META)
			return TODO_SHARE;
	}
	if (todo == TODO_SYNC && n->flags & NF_SYNCED)
		return TODO_NOTHING;
	return todo;
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
		todo = what_to_do_locked(n);
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

/* --- the steps of one file --------------------------------------------- */

/* Only around work that takes none of our locks: whoever waits for one must
 * not wait for a thread that runs when nobody else wants to. A sync waits for
 * the disk, and what it does itself is little. */
static int set_policy(int policy)
{
	struct sched_param param = { 0 };

	return sched_setscheduler(0, policy, &param);
}

static void be_idle(const struct settler *s, bool idle)
{
	if (s->may_idle)
		(void)set_policy(idle ? SCHED_IDLE : SCHED_OTHER);
	/* IOPRIO_WHO_PROCESS, class idle or none (linux/ioprio.h) */
	(void)syscall(SYS_ioprio_set, 1, 0, idle ? 3 << 13 : 0);
}

/* Without CAP_SYS_NICE a thread may not come back from being idle. One that
 * is not needed any more tries it. */
static void *try_idle(void *arg)
{
	bool *ret_ok = arg;

	*ret_ok = set_policy(SCHED_IDLE) == 0 && set_policy(SCHED_OTHER) == 0;
	return NULL;
}

static bool may_idle(void)
{
	bool ok = false;
	pthread_t t;

	if (pthread_create(&t, NULL, try_idle, &ok) == 0)
		(void)pthread_join(t, NULL);
	return ok;
}

/* Asked while idle: no locks. */
static bool still_wanted(void *arg)
{
	const struct candidate *c = arg;
	struct settler *s = c->settler;

	if (__atomic_load_n(&c->node->epoch, __ATOMIC_RELAXED) != c->epoch)
		return false;
	return !__atomic_load_n(&s->stop, __ATOMIC_RELAXED) ||
	       now_msec() < __atomic_load_n(&s->deadline, __ATOMIC_RELAXED);
}

/* Needs io. -EBUSY: in use; -ECANCELED: nothing to do any more. */
static int choose(struct candidate *c)
{
	struct node *n = c->node;
	int r;

	lock_acquire(&c->view->lock);
	c->todo = what_to_do_locked(n);
	c->staging_id = n->staging_id;
	c->epoch = n->epoch;
	r = c->todo == TODO_NOTHING ? -ECANCELED : 0;
	if (r == 0 && n->handles > 0)
		r = -EBUSY;
	lock_release(&c->view->lock);
	if (r < 0)
		return r;
	r = staging_open(c->view->store, c->view->id, c->staging_id, O_RDONLY,
			 &c->fd);
	if (r == 0 && fstat(c->fd, &c->st) < 0)
		r = -errno;
	return r;
}

/* -EBUSY: it was opened to be written meanwhile, or the end has come. */
static int hash(struct candidate *c)
{
	uint64_t len = (uint64_t)c->st.st_size;
	int r;

	be_idle(c->settler, true);
	r = digest_of_fd(c->fd, still_wanted, c, &c->digest, &len);
	be_idle(c->settler, false);
	if (r == -ECANCELED || (r == 0 && len != (uint64_t)c->st.st_size))
		return -EBUSY;
	return r;
}

/* Needs io, comes back without it. */
NO_LOCK_ANALYSIS
static int prepare(struct candidate *c)
{
	int r = choose(c);

	lock_release(&c->node->file->io);
	return r == 0 && c->todo == TODO_SHARE ? hash(c) : r;
}

/* Its bytes go into the index, with the next commit. */
static bool is_small(const struct candidate *c)
{
	return c->todo == TODO_SHARE && c->st.st_size <= BLOB_INLINE_MAX;
}

/* Nobody has opened or changed it since choose(). */
static bool is_untouched(struct candidate *c)
{
	const struct node *n = c->node;
	bool same;

	if (broken("settle-recheck"))
		return true;
	lock_acquire(&c->view->lock);
	same = n->content == CONTENT_STAGING && n->epoch == c->epoch &&
	       n->staging_id == c->staging_id && n->handles == 0 &&
	       n->nlink > 0;
	lock_release(&c->view->lock);
	return same;
}

/*
 * Needs io, so that nobody opens the file from here on. A mapping or a handle
 * of the kernel's may still write: then no read lease is granted.
 */
static int check_same(struct candidate *c)
{
	struct stat st;

	if (broken("settle-recheck"))
		return 0;
	if (!is_untouched(c) || !hot_try_end(c->view, c->node) ||
	    fstat(c->fd, &st) < 0)
		return -EBUSY;
	if (st.st_size != c->st.st_size ||
	    st.st_ctim.tv_sec != c->st.st_ctim.tv_sec ||
	    st.st_ctim.tv_nsec != c->st.st_ctim.tv_nsec)
		return -EBUSY;
	return 0;
}

static void count_shared(struct candidate *c)
{
	struct stat st;

	view_count(c->view, COUNTER_SETTLED, 1);
	view_count(c->view, COUNTER_SETTLED_BYTES, (uint64_t)c->st.st_size);
	/* Without a second link the blob was another file. */
	if (fstat(c->fd, &st) == 0 && st.st_nlink == 1) {
		view_count(c->view, COUNTER_SHARED, 1);
		view_count(c->view, COUNTER_SHARED_BYTES,
			   (uint64_t)c->st.st_size);
	}
}

static void log_unshared(const struct candidate *c, int r)
{
	log_error("cannot share a file of view %u: %s", c->view->id,
		  strerror(-r));
}

static void mark_synced(struct candidate *c)
{
	lock_acquire(&c->view->lock);
	node_synced_locked(c->view, c->node);
	lock_release(&c->view->lock);
}

/*
 * Once blob_link() has begun, the staging file may be the blob, whatever comes
 * after: content_make_private() sees its second name.
 */
static int give_name(struct candidate *c, struct blob_names *names)
{
	int r;

	c->named = true;
	r = blob_link(c->view->store, names, c->view->id, c->staging_id, c->fd,
		      &c->digest, (uint64_t)c->st.st_size);
	if (r < 0)
		log_unshared(c, r);
	return r;
}

/* Its bytes are durable, where it takes that. */
static int settle(struct candidate *c, struct blob_names *names)
{
	struct lock *io = &c->node->file->io;
	int r;

	lock_acquire(io);
	r = check_same(c);
	if (r == 0 && is_small(c))
		r = content_load_staging(c->view, c->node);
	else if (r == 0 && c->todo == TODO_SHARE)
		r = give_name(c, names);
	else if (r == 0)
		mark_synced(c);
	lock_release(io);
	return r;
}

/* Its name is durable, too. Who has opened it for writing since it has the
 * name has got another staging file. */
static int become_blob(struct candidate *c)
{
	struct lock *io = &c->node->file->io;
	struct view *v = c->view;
	struct node *n = c->node;
	int r = 0;

	lock_acquire(io);
	if (is_untouched(c)) {
		count_shared(c);
		file_close(v, n);
		lock_acquire(&v->lock);
		n->content = CONTENT_BLOB;
		n->digest = c->digest;
		n->flags &=
			~(unsigned)(NF_STAGING_COMMITTED | NF_FLUX_COMMITTED);
		n->flags |= NF_BLOB_NEW;
		node_dirty_locked(v, n);
		lock_release(&v->lock);
	} else {
		r = -EBUSY;
	}
	lock_release(io);
	return r;
}

/* --- a round ----------------------------------------------------------- */

static bool is_stopping(struct settler *s)
{
	bool stop;

	lock_acquire(&s->lock);
	stop = s->stop;
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
		.settler = s,
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
	c->r = prepare(c);
}

/* What is on disk is not what was written; see blob_sync_data(). */
static void bytes_are_lost(struct candidate *c, int r)
{
	log_error("a file of view %u did not reach the disk: %s", c->view->id,
		  strerror(-r));
	lock_acquire(&c->view->lock);
	if (c->node->content == CONTENT_STAGING &&
	    c->node->staging_id == c->staging_id)
		node_sync_failed_locked(c->view, c->node);
	lock_release(&c->view->lock);
	c->r = r;
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
		if (s->round[i].r < 0 || is_small(&s->round[i]))
			continue;
		of[count] = &s->round[i];
		fds[count++] = s->round[i].fd;
	}
	if (count == 0)
		return;
	be_idle(s, true);
	r = blob_sync_data(s->store, fds, count, errors);
	be_idle(s, false);
	r = sync_result(of[0], r);
	for (size_t i = 0; i < count; i++) {
		if (errors[i] < 0)
			bytes_are_lost(of[i], errors[i]);
		else
			of[i]->r = r;
	}
}

static void sync_names(struct settler *s, struct blob_names *names)
{
	int r;

	if (names->count == 0)
		return;
	be_idle(s, true);
	r = blob_sync_names(s->store, names);
	be_idle(s, false);
	r = sync_result(&s->round[0], r);
	for (size_t i = 0; i < s->count; i++) {
		struct candidate *c = &s->round[i];

		if (c->r == 0 && c->named)
			c->r = r < 0 ? r : become_blob(c);
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
	todo = what_to_do_locked(n);
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
			s->round[i].r = settle(&s->round[i], &names);
	sync_names(s, &names);
	for (size_t i = 0; i < s->count; i++)
		end_candidate(s, &s->round[i]);
	s->rest = s->count < ROUND_FILES ? now_msec() + REST_ROUND_MSEC : 0;
	s->count = 0;
}

/* --- the thread -------------------------------------------------------- */

/* The first job if it is due, else NULL and how long to wait. */
static struct job *due_job_locked(struct settler *s, int64_t *ret_wait)
{
	int64_t now = now_msec();
	struct job *j;

	*ret_wait = 60000;
	if (list_empty(&s->jobs) || (s->stop && now >= s->deadline))
		return NULL;
	j = list_entry(s->jobs.next, struct job, link);
	*ret_wait = MAX(j->due, s->rest) - now;
	if (*ret_wait > 0 && !s->stop)
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
	while (!(j = due_job_locked(s, &wait)) && !s->stop)
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
	s->may_idle = may_idle();
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
	__atomic_store_n(&s->deadline, now_msec() + msec, __ATOMIC_RELAXED);
	__atomic_store_n(&s->stop, true, __ATOMIC_RELAXED);
	cond_broadcast(&s->wake);
	lock_release(&s->lock);
	(void)pthread_join(s->thread, NULL);
	list_foreach_safe(l, &s->jobs) free(list_entry(l, struct job, link));
	cond_destroy(&s->wake);
	lock_destroy(&s->lock);
	free(s);
}
