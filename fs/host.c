/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root of a host mount and its shelves; see host.h. Attaching, making and
 * dropping views are commits, so they run in a worker, one at a time.
 *
 * A shelf's number is its two digits, and above them how often a shelf of
 * that name was removed: like any number, it is never used again.
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
#include "store/base/time.h"

#define SHELVES 256

struct shelf {
	bool known; /* made, or shown to the kernel: it stays until rmdir */
	uint32_t removed;
};

struct host {
	struct mount *mount;
	uid_t uid;
	gid_t gid;
	int64_t since;	  /* nsec */
	struct lock lock; /* held over a whole job */
	/* protected by lock */
	struct shelf shelves[SHELVES];
};

struct job {
	struct work work;
	fuse_req_t req;
	struct host *host;
	mode_t mode;
	struct caller who;
	fuse_ino_t dir;		  /* of opendir */
	struct fuse_file_info fi; /* of opendir */
	/* Of a view, or a shelf's. */
	char name[VIEW_NAME_MAX + 1];
	char newname[VIEW_NAME_MAX + 1];
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
	h->since = nsec_of(t);
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
	return m->host && nodeid >> SLOT_SHIFT == 0;
}

bool host_refuses(fuse_req_t req, fuse_ino_t nodeid)
{
	if (!host_serves(req, nodeid))
		return false;
	reply_err(req, -EPERM);
	return true;
}

static struct stat dir_stat(const struct host *h, fuse_ino_t ino)
{
	return (struct stat){
		.st_ino = ino,
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

void host_getattr(fuse_req_t req, fuse_ino_t ino)
{
	const struct mount *m = fuse_req_userdata(req);
	struct stat st = dir_stat(m->host, ino);

	(void)fuse_reply_attr(req, &st, FOREVER);
}

/* --- names ------------------------------------------------------------- */

static bool is_shelf(const char *name)
{
	return name_is_shelf(name, strlen(name));
}

static struct shelf *shelf_of(struct host *h, const char *name)
{
	return &h->shelves[strtoul(name, NULL, 16)];
}

static fuse_ino_t shelf_ino(const struct host *h, const struct shelf *s)
{
	return (s->removed + UINT64_C(1)) * SHELVES +
	       (fuse_ino_t)(s - h->shelves);
}

/* The name in the store of what is called @name in this directory. */
static int full_name(fuse_ino_t parent, const char *name,
		     char ret_name[VIEW_NAME_MAX + 1])
{
	char shelf[8] = "";
	int len;

	if (parent != FUSE_ROOT_ID)
		(void)snprintf(shelf, sizeof(shelf), "%02x/",
			       (unsigned)(parent % SHELVES));
	len = snprintf(ret_name, VIEW_NAME_MAX + 1, "%s%s", shelf, name);
	return len > VIEW_NAME_MAX ? -ENAMETOOLONG : 0;
}

/* --- jobs -------------------------------------------------------------- */

static struct job *job_new(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mount *m = fuse_req_userdata(req);
	struct job *j = calloc(1, sizeof(*j));
	int r = j ? full_name(parent, name, j->name) : -ENOMEM;

	if (r < 0) {
		reply_err(req, r);
		free(j);
		return NULL;
	}
	j->req = req;
	j->host = m->host;
	j->who = request_caller(req);
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

/* Ends a job with a view or, @v being NULL, a shelf. */
static void reply_dir(struct job *j, int r, struct view *v, fuse_ino_t shelf)
{
	struct fuse_entry_param p = { .ino = shelf,
				      .attr = dir_stat(j->host, shelf),
				      .attr_timeout = FOREVER,
				      .entry_timeout = FOREVER };

	if (r < 0)
		reply_err(j->req, r);
	else if (v)
		reply_view(j->req, v);
	else
		(void)fuse_reply_entry(j->req, &p);
	free(j);
}

static int find_below(const struct view_rec *rec, void *arg)
{
	const char *shelf = arg;

	return rec->flags & VIEW_HOST && !(rec->flags & VIEW_DROPPED) &&
	       rec->name[2] == '/' && memcmp(rec->name, shelf, 2) == 0;
}

/* Whether there are views on it: 1 or 0. */
static int shelf_is_used(const struct host *h, const char *name)
{
	char shelf[2] = { name[0], name[1] };

	return views_foreach(h->mount->store, find_below, shelf);
}

/* Finds or, @make, makes it. host.lock held. */
static int get_shelf(struct job *j, bool make, fuse_ino_t *ret_ino)
{
	struct shelf *s = shelf_of(j->host, j->name);
	int there = s->known ? 1 : shelf_is_used(j->host, j->name);

	if (there < 0)
		return there;
	if (there == make)
		return make ? -EEXIST : -ENOENT;
	s->known = true;
	*ret_ino = shelf_ino(j->host, s);
	return 0;
}

static int find_view(struct job *j, struct view **ret_view)
{
	struct view_rec rec;
	int r = views_find(j->host->mount->store, VIEW_HOST, j->name, &rec);

	return r < 0 ? r : get_view(j->host, &rec, ret_view);
}

static void lookup_job(struct work *w)
{
	struct job *j = container_of(w, struct job, work);
	struct host *h = j->host;
	struct fuse_entry_param none = { 0 };
	struct view *v = NULL;
	fuse_ino_t shelf = 0;
	int r;

	lock_acquire(&h->lock);
	r = is_shelf(j->name) ? get_shelf(j, false, &shelf) : find_view(j, &v);
	lock_release(&h->lock);
	/* Another daemon may make it at any time: not remembered. */
	if (r != -ENOENT) {
		reply_dir(j, r, v, shelf);
		return;
	}
	(void)fuse_reply_entry(j->req, &none);
	free(j);
}

void host_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct job *j = job_new(req, parent, name);

	if (j)
		submit(j, lookup_job);
}

static int make_view(struct job *j, struct view **ret_view)
{
	struct store *st = j->host->mount->store;
	struct view_rec rec;
	int r = views_find(st, VIEW_HOST, j->name, &rec);

	if (r != -ENOENT)
		return r < 0 ? r : -EEXIST;
	r = views_obtain(st, VIEW_HOST, j->name, j->who.uid, j->who.gid,
			 j->mode & 01777, &rec);
	return r < 0 ? r : get_view(j->host, &rec, ret_view);
}

static void mkdir_job(struct work *w)
{
	struct job *j = container_of(w, struct job, work);
	struct host *h = j->host;
	struct view *v = NULL;
	fuse_ino_t shelf = 0;
	int r;

	lock_acquire(&h->lock);
	r = is_shelf(j->name) ? get_shelf(j, true, &shelf) : make_view(j, &v);
	lock_release(&h->lock);
	reply_dir(j, r, v, shelf);
}

void host_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name,
		mode_t mode)
{
	struct job *j = job_new(req, parent, name);

	if (!j)
		return;
	j->mode = mode;
	submit(j, mkdir_job);
}

/* Takes an empty view out of the mount. Its memory stays until the end: the
 * flusher may be about to visit it. host.lock held. */
static int retire(struct host *h, struct view *v, const char *name)
{
	struct view_rec rec;
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
	/* Once its row says VIEW_DROPPED there is no way back: it is not found. */
	if (r < 0 && views_find(h->mount->store, VIEW_HOST, name, &rec) == 0) {
		lock_acquire(&v->lock);
		v->root->nlink = 2;
		lock_release(&v->lock);
	}
	return r;
}

static int remove_shelf(struct host *h, const char *name)
{
	struct shelf *s = shelf_of(h, name);
	int r = shelf_is_used(h, name);

	if (r != 0)
		return r < 0 ? r : -ENOTEMPTY;
	if (!s->known)
		return -ENOENT;
	s->known = false;
	s->removed++;
	return 0;
}

static int remove_view(struct job *j)
{
	struct view *v;
	int r = find_view(j, &v);

	return r < 0 ? r : retire(j->host, v, j->name);
}

static void rmdir_job(struct work *w)
{
	struct job *j = container_of(w, struct job, work);
	struct host *h = j->host;
	int r;

	lock_acquire(&h->lock);
	r = is_shelf(j->name) ? remove_shelf(h, j->name) : remove_view(j);
	lock_release(&h->lock);
	reply_err(j->req, r);
	free(j);
}

void host_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct job *j = job_new(req, parent, name);

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
	int r;

	if (!host_serves(req, parent) || !host_serves(req, newparent)) {
		reply_err(req, -EXDEV);
		return;
	}
	if (flags & ~(unsigned)RENAME_NOREPLACE) {
		reply_err(req, -EINVAL);
		return;
	}
	j = job_new(req, parent, name);
	if (!j)
		return;
	r = full_name(newparent, newname, j->newname);
	if (r == 0 && (is_shelf(j->name) || is_shelf(j->newname)))
		r = -EPERM;
	if (r == 0) {
		submit(j, rename_job);
		return;
	}
	reply_err(req, r);
	free(j);
}

/* --- listing ----------------------------------------------------------- */

struct listing {
	fuse_ino_t dir;
	bool used[SHELVES]; /* views are on it; of the root's listing */
	size_t count, cap;
	struct {
		char name[NAME_MAX + 1];
		uint64_t ino;
	} * entries;
};

static struct listing *listing_free(struct listing *l)
{
	if (l)
		free(l->entries);
	free(l);
	return NULL;
}

static int list_entry_add(struct listing *l, const char *name, uint64_t ino)
{
	if (l->count == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 16;
		void *p = realloc(l->entries, cap * sizeof(l->entries[0]));

		if (!p)
			return -ENOMEM;
		l->entries = p;
		l->cap = cap;
	}
	(void)snprintf(l->entries[l->count].name, NAME_MAX + 1, "%s", name);
	l->entries[l->count++].ino = ino;
	return 0;
}

static int list_view(const struct view_rec *rec, void *arg)
{
	struct listing *l = arg;
	const char *slash = strchr(rec->name, '/');
	bool in_root = l->dir == FUSE_ROOT_ID;

	if (!(rec->flags & VIEW_HOST) || rec->flags & VIEW_DROPPED)
		return 0;
	if (slash && in_root)
		l->used[strtoul(rec->name, NULL, 16)] = true;
	else if (slash ? strtoul(rec->name, NULL, 16) == l->dir % SHELVES
		       : in_root && !is_shelf(rec->name))
		return list_entry_add(l, slash ? slash + 1 : rec->name,
				      (uint64_t)rec->id << SLOT_SHIFT |
					      VIEW_ROOT_INO);
	return 0;
}

/* host.lock held. */
static int list_shelves(const struct host *h, struct listing *l)
{
	char name[8];
	int r = 0;

	for (size_t i = 0; r == 0 && i < SHELVES; i++) {
		const struct shelf *s = &h->shelves[i];

		(void)snprintf(name, sizeof(name), "%02zx", i);
		if (s->known || l->used[i])
			r = list_entry_add(l, name, shelf_ino(h, s));
	}
	return r;
}

static int list(struct host *h, struct listing *l)
{
	int r;

	lock_acquire(&h->lock);
	r = views_foreach(h->mount->store, list_view, l);
	if (r == 0 && l->dir == FUSE_ROOT_ID)
		r = list_shelves(h, l);
	lock_release(&h->lock);
	return r;
}

static void opendir_job(struct work *w)
{
	struct job *j = container_of(w, struct job, work);
	struct listing *l = calloc(1, sizeof(*l));
	int r = -ENOMEM;

	if (l) {
		l->dir = j->dir;
		r = list(j->host, l);
	}
	j->fi.fh = hand_over(l);
	if (r < 0)
		reply_err(j->req, r);
	else
		r = fuse_reply_open(j->req, &j->fi);
	if (r < 0)
		l = listing_free(l);
	free(j);
}

void host_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct job *j = job_new(req, ino, "");

	if (!j)
		return;
	j->dir = ino;
	j->fi = *fi;
	submit(j, opendir_job);
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
					    : l->entries[i - 2].name;
		uint64_t ino = i == 0	? l->dir
			       : i == 1 ? FUSE_ROOT_ID
					: l->entries[i - 2].ino;
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
	(void)listing_free(take_back(fi->fh));
	reply_err(req, 0);
}
