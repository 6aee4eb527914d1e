/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of settling one file; see settle_file.h. */
#include "config.h"

#include "fs/settle_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "fs/cargo/layout.h"
#include "fs/content.h"
#include "fs/file.h"
#include "fs/hot.h"
#include "fs/log.h"
#include "store/base/broken.h"
#include "store/base/macros.h"

int64_t settle_msec(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* By any of its names: rustc links one file into deps/ and incremental/. */
enum todo settle_todo_locked(const struct node *n)
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

/* Only around work that takes none of our locks: whoever waits for one must
 * not wait for a thread that runs when nobody else wants to. A sync waits for
 * the disk, and what it does itself is little. */
static int set_policy(int policy)
{
	struct sched_param param = { 0 };

	return sched_setscheduler(0, policy, &param);
}

void settle_be_idle(const struct settle_end *end, bool idle)
{
	if (end->may_idle)
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

bool settle_may_idle(void)
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
	const struct settle_end *end = c->end;

	if (__atomic_load_n(&c->node->epoch, __ATOMIC_RELAXED) != c->epoch)
		return false;
	return !__atomic_load_n(&end->stop, __ATOMIC_RELAXED) ||
	       settle_msec() <
		       __atomic_load_n(&end->deadline, __ATOMIC_RELAXED);
}

/* Needs io. -EBUSY: in use; -ECANCELED: nothing to do any more. */
static int choose(struct candidate *c)
{
	struct node *n = c->node;
	int r;

	lock_acquire(&c->view->lock);
	c->todo = settle_todo_locked(n);
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

	settle_be_idle(c->end, true);
	r = digest_of_fd(c->fd, still_wanted, c, &c->digest, &len);
	settle_be_idle(c->end, false);
	if (r == -ECANCELED || (r == 0 && len != (uint64_t)c->st.st_size))
		return -EBUSY;
	return r;
}

/* Needs io, comes back without it. */
NO_LOCK_ANALYSIS
int candidate_prepare(struct candidate *c)
{
	int r = choose(c);

	lock_release(&c->node->file->io);
	return r == 0 && c->todo == TODO_SHARE ? hash(c) : r;
}

/* Its bytes go into the index, with the next commit. */
bool candidate_is_small(const struct candidate *c)
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
int candidate_settle(struct candidate *c, struct blob_names *names)
{
	struct lock *io = &c->node->file->io;
	int r;

	lock_acquire(io);
	r = check_same(c);
	if (r == 0 && candidate_is_small(c))
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
int candidate_become_blob(struct candidate *c)
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

/* What is on disk is not what was written; see blob_sync_data(). */
void candidate_lost(struct candidate *c, int r)
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
