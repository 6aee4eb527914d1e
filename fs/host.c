/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root of a host mount; see host.h. Attaching, making and dropping views
 * are commits, so they run in a worker, one at a time.
 */
#include "config.h"

#include "fs/host.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fs/attach.h"
#include "fs/flush.h"
#include "fs/log.h"
#include "fs/handover.h"
#include "fs/reply.h"

struct host {
	struct mount *mount;
	uid_t uid;
	gid_t gid;
	int64_t since;	  /* nsec */
	struct lock lock; /* held over a whole job */
};

struct job {
	struct work work;
	fuse_req_t req;
	struct host *host;
	mode_t mode;
	unsigned flags;
	struct caller who;
	char name[NAME_MAX + 1];
	char newname[NAME_MAX + 1];
};

int host_new(struct mount *m, struct host **ret_host)
{
	struct host *h = calloc(1, sizeof(*h));
	struct timespec t;
	int r;

	if (!h)
		return -ENOMEM;
	r = lock_init(&h->lock);
	if (r < 0) {
		free(h);
		return r;
	}
	(void)clock_gettime(CLOCK_REALTIME, &t);
	h->since = t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
	h->mount = m;
	h->uid = geteuid();
	h->gid = getegid();
	*ret_host = h;
	return 0;
}

void host_free(struct host *h)
{
	if (!h)
		return;
	lock_destroy(&h->lock);
	free(h);
}

bool host_serves(fuse_req_t req, fuse_ino_t nodeid)
{
	const struct mount *m = fuse_req_userdata(req);

	request_begins();
	return m->host && nodeid == FUSE_ROOT_ID;
}

bool host_refuses(fuse_req_t req, fuse_ino_t nodeid)
{
	if (!host_serves(req, nodeid))
		return false;
	reply_err(req, -EPERM);
	return true;
}

static struct stat root_stat(const struct host *h)
{
	return (struct stat){
		.st_ino = FUSE_ROOT_ID,
		.st_mode = S_IFDIR | 01777,
		.st_nlink = 2,
		.st_uid = h->uid,
		.st_gid = h->gid,
		.st_size = 4096,
		.st_blksize = 4096,
		.st_mtim.tv_sec = h->since / NSEC_PER_SEC,
		.st_ctim.tv_sec = h->since / NSEC_PER_SEC,
		.st_atim.tv_sec = h->since / NSEC_PER_SEC,
	};
}

void host_getattr(fuse_req_t req)
{
	const struct mount *m = fuse_req_userdata(req);
	struct stat st = root_stat(m->host);

	(void)fuse_reply_attr(req, &st, FOREVER);
}

/* --- jobs -------------------------------------------------------------- */

static struct job *job_new(fuse_req_t req, const char *name)
{
	struct mount *m = fuse_req_userdata(req);
	struct job *j;

	if (strlen(name) > NAME_MAX) {
		reply_err(req, -ENAMETOOLONG);
		return NULL;
	}
	j = calloc(1, sizeof(*j));
	if (!j) {
		reply_err(req, -ENOMEM);
		return NULL;
	}
	j->req = req;
	j->host = m->host;
	j->who = request_caller(req);
	memcpy(j->name, name, strlen(name) + 1);
	return j;
}

static void submit(struct job *j, void (*run)(struct work *w))
{
	j->work.run = run;
	run_slowly(j->req, &j->work);
}

/* The attached view, attaching it when needed. host.lock held. */
static int get_view(struct host *h, const struct view_rec *rec,
		    struct view **ret_view)
{
	struct lease_page holder;
	int r;

	*ret_view = mount_view(h->mount, (uint64_t)rec->id << SLOT_SHIFT);
	if (*ret_view)
		return 0;
	r = view_attach(h->mount, rec, rec->id, ret_view, &holder);
	if (r == -EBUSY)
		log_error("view '%s' is mounted at '%s' by another daemon",
			  rec->name, holder.mountpoint);
	else if (r < 0)
		log_error("cannot attach view '%s': %s", rec->name,
			  strerror(-r));
	return r;
}

/* Replies the root of the view. */
static void reply_view(fuse_req_t req, struct view *v)
{
	struct entry e;

	lock_acquire(&v->lock);
	node_looked_up_locked(v->root);
	node_stat_locked(v, v->root, &e.st);
	e.timeout = FOREVER;
	lock_release(&v->lock);
	reply_entry(req, v, 0, &e);
}

static void lookup_job(struct work *w)
{
	struct job *j = container_of(w, struct job, work);
	struct host *h = j->host;
	struct fuse_entry_param none = { 0 };
	struct view_rec rec;
	struct view *v = NULL;
	int r;

	lock_acquire(&h->lock);
	r = views_find(h->mount->store, VIEW_HOST, j->name, &rec);
	if (r == 0)
		r = get_view(h, &rec, &v);
	lock_release(&h->lock);
	/* Another daemon may make it at any time: not remembered. */
	if (r == -ENOENT)
		(void)fuse_reply_entry(j->req, &none);
	else if (r < 0)
		reply_err(j->req, r);
	else
		reply_view(j->req, v);
	free(j);
}

void host_lookup(fuse_req_t req, const char *name)
{
	struct job *j = job_new(req, name);

	if (j)
		submit(j, lookup_job);
}

static void mkdir_job(struct work *w)
{
	struct job *j = container_of(w, struct job, work);
	struct host *h = j->host;
	struct view_rec rec;
	struct view *v = NULL;
	int r;

	lock_acquire(&h->lock);
	r = views_find(h->mount->store, VIEW_HOST, j->name, &rec);
	if (r == 0)
		r = -EEXIST;
	else if (r == -ENOENT)
		r = views_obtain(h->mount->store, VIEW_HOST, j->name,
				 j->who.uid, j->who.gid, j->mode & 01777, &rec);
	if (r == 0)
		r = get_view(h, &rec, &v);
	lock_release(&h->lock);
	if (r < 0)
		reply_err(j->req, r);
	else
		reply_view(j->req, v);
	free(j);
}

void host_mkdir(fuse_req_t req, const char *name, mode_t mode)
{
	struct job *j = job_new(req, name);

	if (!j)
		return;
	j->mode = mode;
	submit(j, mkdir_job);
}

/* Takes an empty view out of the mount. Its memory stays until the end: the
 * flusher may be about to visit it. host.lock held. */
static int retire(struct host *h, struct view *v)
{
	bool empty;
	int r;

	lock_acquire(&v->lock);
	empty = v->root->dir.count == 0;
	if (empty)
		v->root->nlink = 0; /* nothing can be made in it any more */
	lock_release(&v->lock);
	if (!empty)
		return -ENOTEMPTY;
	r = views_drop(h->mount->store, v->id);
	if (r < 0) {
		lock_acquire(&v->lock);
		v->root->nlink = 2;
		lock_release(&v->lock);
	}
	return r;
}

static void rmdir_job(struct work *w)
{
	struct job *j = container_of(w, struct job, work);
	struct host *h = j->host;
	struct view_rec rec;
	struct view *v;
	int r;

	lock_acquire(&h->lock);
	r = views_find(h->mount->store, VIEW_HOST, j->name, &rec);
	if (r == 0)
		r = get_view(h, &rec, &v);
	if (r == 0)
		r = retire(h, v);
	lock_release(&h->lock);
	reply_err(j->req, r);
	free(j);
}

void host_rmdir(fuse_req_t req, const char *name)
{
	struct job *j = job_new(req, name);

	if (j)
		submit(j, rmdir_job);
}

static void rename_job(struct work *w)
{
	struct job *j = container_of(w, struct job, work);
	struct host *h = j->host;
	struct view_rec rec;
	int r;

	lock_acquire(&h->lock);
	r = views_find(h->mount->store, VIEW_HOST, j->name, &rec);
	if (r == 0)
		r = views_rename(h->mount->store, rec.id, j->newname);
	lock_release(&h->lock);
	reply_err(j->req, r);
	free(j);
}

void host_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
		 fuse_ino_t newparent, const char *newname, unsigned flags)
{
	struct job *j;

	if (parent != newparent) {
		reply_err(req, -EXDEV);
		return;
	}
	if (flags & ~(unsigned)RENAME_NOREPLACE || strlen(newname) > NAME_MAX) {
		reply_err(req, flags ? -EINVAL : -ENAMETOOLONG);
		return;
	}
	j = job_new(req, name);
	if (!j)
		return;
	memcpy(j->newname, newname, strlen(newname) + 1);
	submit(j, rename_job);
}

/* --- listing ----------------------------------------------------------- */

struct listing {
	size_t count, cap;
	struct {
		char name[NAME_MAX + 1];
		uint64_t ino;
	} * views;
	int err;
};

static int list_view(const struct view_rec *rec, void *arg)
{
	struct listing *l = arg;

	if (!(rec->flags & VIEW_HOST) || rec->flags & VIEW_DROPPED)
		return 0;
	if (l->count == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 16;
		void *p = realloc(l->views, cap * sizeof(l->views[0]));

		if (!p)
			return -ENOMEM;
		l->views = p;
		l->cap = cap;
	}
	memcpy(l->views[l->count].name, rec->name, sizeof(rec->name));
	l->views[l->count].ino = (uint64_t)rec->id << SLOT_SHIFT |
				 VIEW_ROOT_INO;
	l->count++;
	return 0;
}

void host_opendir(fuse_req_t req, struct fuse_file_info *fi)
{
	struct mount *m = fuse_req_userdata(req);
	struct listing *l = calloc(1, sizeof(*l));
	int r = l ? views_foreach(m->store, list_view, l) : -ENOMEM;

	if (r < 0) {
		reply_err(req, r);
		if (l)
			free(l->views);
		free(l);
		return;
	}
	fi->fh = hand_over(l);
	if (fuse_reply_open(req, fi) == -ENOENT) {
		free(l->views);
		free(l);
	}
}

static size_t add(fuse_req_t req, char *at, size_t room, const char *name,
		  uint64_t ino, off_t next, bool plus)
{
	struct fuse_entry_param p = { .attr = { .st_ino = ino,
						.st_mode = S_IFDIR } };

	/* Without a node id it is a name only: listing the views must not
	 * attach them. */
	if (plus)
		return fuse_add_direntry_plus(req, at, room, name, &p, next);
	return fuse_add_direntry(req, at, room, name, &p.attr, next);
}

static void list_into(fuse_req_t req, size_t size, off_t off, struct listing *l,
		      bool plus)
{
	char *buf = malloc(size);
	size_t at = 0;

	if (!buf) {
		reply_err(req, -ENOMEM);
		return;
	}
	for (uint64_t i = (uint64_t)off; i < l->count + 2; i++) {
		const char *name = i == 0   ? "."
				   : i == 1 ? ".."
					    : l->views[i - 2].name;
		uint64_t ino = i < 2 ? FUSE_ROOT_ID : l->views[i - 2].ino;
		size_t len = add(req, buf + at, size - at, name, ino,
				 (off_t)i + 1, plus);

		if (len > size - at)
			break;
		at += len;
	}
	(void)hand_over(l);
	(void)fuse_reply_buf(req, buf, at);
	free(buf);
}

void host_readdir(fuse_req_t req, size_t size, off_t off,
		  struct fuse_file_info *fi)
{
	list_into(req, size, off, take_back(fi->fh), false);
}

void host_readdirplus(fuse_req_t req, size_t size, off_t off,
		      struct fuse_file_info *fi)
{
	list_into(req, size, off, take_back(fi->fh), true);
}

void host_releasedir(fuse_req_t req, struct fuse_file_info *fi)
{
	struct listing *l = take_back(fi->fh);

	free(l->views);
	free(l);
	reply_err(req, 0);
}
