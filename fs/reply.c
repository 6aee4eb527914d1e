/* SPDX-License-Identifier: Apache-2.0 */
/* Answers to the kernel; see reply.h. Any thread. */
#include "config.h"

#include "fs/reply.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "fs/handover.h"
#include "fs/latency.h"

struct view *mount_view(struct mount *m, uint64_t nodeid)
{
	uint64_t slot = nodeid >> SLOT_SHIFT;
	struct view *found = NULL;

	if (m->view)
		return slot == 0 ? m->view : NULL;
	lock_acquire(&m->lock);
	list_foreach(l, &m->views)
	{
		struct view *v = list_entry(l, struct view, link);

		if (v->id == slot)
			found = v;
	}
	lock_release(&m->lock);
	return found;
}

void request_begins(void)
{
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
}

struct view *request_view(fuse_req_t req, fuse_ino_t nodeid, enum counter c)
{
	struct mount *m = fuse_req_userdata(req);
	struct view *v = mount_view(m, nodeid);

	request_begins();
	latency_request(m->latency);
	if (v)
		view_count(v, c, 1);
	else
		(void)fuse_reply_err(req, ESTALE);
	return v;
}

uint64_t request_ino(fuse_ino_t nodeid)
{
	return nodeid & INO_MASK;
}

struct caller request_caller(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	return (struct caller){ ctx->uid, ctx->gid };
}

void reply_err(fuse_req_t req, int r)
{
	(void)fuse_reply_err(req, r < 0 ? -r : 0);
}

void fill_entry_param(const struct entry *e, struct fuse_entry_param *ret_p)
{
	*ret_p = (struct fuse_entry_param){
		.ino = e->st.st_ino,
		.attr = e->st,
		.attr_timeout = e->timeout,
		.entry_timeout = FOREVER,
	};
}

void reply_entry(fuse_req_t req, struct view *v, int r, const struct entry *e)
{
	struct fuse_entry_param p;

	if (r < 0) {
		reply_err(req, r);
		return;
	}
	fill_entry_param(e, &p);
	if (fuse_reply_entry(req, &p) == -ENOENT)
		do_forget(v, request_ino(p.ino), 1);
}

void reply_attr(fuse_req_t req, int r, const struct entry *e)
{
	if (r < 0)
		reply_err(req, r);
	else
		(void)fuse_reply_attr(req, &e->st, e->timeout);
}

static void fill_file_info(const struct opened *o, struct fuse_file_info *fi)
{
	fi->fh = hand_over(o->handle);
	fi->noflush = 1;
	fi->keep_cache = o->keep_cache;
#ifdef HAVE_FUSE_PASSTHROUGH
	fi->backing_id = o->backing_id;
	if (o->backing_id > 0)
		fi->keep_cache = 0;
#endif
}

void reply_open(fuse_req_t req, int r, const struct fuse_file_info *fi,
		const struct opened *o)
{
	struct fuse_file_info out = *fi;

	if (r < 0) {
		reply_err(req, r);
		return;
	}
	fill_file_info(o, &out);
	if (fuse_reply_open(req, &out) == -ENOENT)
		do_release(o->handle);
}

void reply_create(fuse_req_t req, int r, const struct fuse_file_info *fi,
		  const struct entry *e, const struct opened *o)
{
	struct fuse_file_info out = *fi;
	struct fuse_entry_param p;

	if (r < 0) {
		reply_err(req, r);
		return;
	}
	fill_file_info(o, &out);
	fill_entry_param(e, &p);
	if (fuse_reply_create(req, &p, &out) == -ENOENT) {
		struct view *v = o->handle->view;

		do_release(o->handle);
		do_forget(v, request_ino(p.ino), 1);
	}
}

void run_slowly(fuse_req_t req, struct work *w)
{
	struct mount *m = fuse_req_userdata(req);

#ifdef HAVE_FUSE_URING
	if (fuse_req_is_uring(req)) {
		w->run(w);
		return;
	}
#endif
	worker_submit(m->workers, w);
}

void defer(const struct slow_request *args, void (*run)(struct work *w))
{
	struct slow_request *copy = malloc(sizeof(*copy));

	if (!copy) {
		reply_err(args->req, -ENOMEM);
		return;
	}
	*copy = *args;
	copy->work.run = run;
	run_slowly(args->req, &copy->work);
}
