/* SPDX-License-Identifier: Apache-2.0 */
/* Request handlers for open files; see ops.c and open.h. */
#include "config.h"

#include "fs/ops_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "fs/handover.h"
#include "fs/host.h"
#include "fs/publish.h"
#include "fs/reply.h"
#include "fs/revalidate.h"
#include "fs/sync.h"

/* The largest READ that is asked for; see max_write in session.c. */
#define READ_MAX (1024 * 1024)

static struct handle *handle_of(const struct fuse_file_info *fi)
{
	return take_back(fi->fh);
}

/* What an open to write says of cargo: a build begins, or a unit is done. */
static void written(struct view *v, uint64_t ino, fuse_req_t req)
{
	pid_t tid = fuse_req_ctx(req)->pid;

	revalidate_opened(v, ino, tid);
	publish_opened(v, ino, tid);
}

static void open_slowly(struct work *w)
{
	struct slow_request *s = container_of(w, struct slow_request, work);
	struct opened o;
	int r = do_open(s->view, s->ino, s->fi.flags, &o);

	/* Only writers wait for a disk. */
	if (r == 0)
		written(s->view, s->ino, s->req);
	reply_open(s->req, r, &s->fi, &o);
	free(s);
}

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct view *v = request_view(req, ino, COUNTER_OPEN);
	struct opened o;
	int r;

	if (!v)
		return;
	if (open_is_slow(v, request_ino(ino), fi->flags)) {
		struct slow_request s = { .req = req,
					  .view = v,
					  .ino = request_ino(ino),
					  .fi = *fi };

		defer(&s, open_slowly);
		return;
	}
	r = do_open(v, request_ino(ino), fi->flags, &o);
	if (r == 0 && (fi->flags & O_ACCMODE) != O_RDONLY)
		written(v, request_ino(ino), req);
	reply_open(req, r, fi, &o);
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi)
{
	struct view *v;
	struct opened o;
	struct entry e;
	int r;

	if (host_refuses(req, parent))
		return;
	v = request_view(req, parent, COUNTER_CREATE);
	if (!v)
		return;
	r = do_create(v, request_ino(parent), name, mode, fi->flags,
		      request_caller(req), &e, &o);
	if (r == 0)
		written(v, request_ino(e.st.st_ino), req);
	reply_create(req, r, fi, &e, &o);
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
	     struct fuse_file_info *fi)
{
	struct view *v = request_view(req, ino, COUNTER_READ);
	char *buf;
	ssize_t r;

	if (!v)
		return;
	size = MIN(size, READ_MAX);
	buf = malloc(size);
	r = buf ? do_read(handle_of(fi), buf, size, (uint64_t)off) : -ENOMEM;
	(void)hand_over(handle_of(fi));
	if (r < 0)
		reply_err(req, (int)r);
	else
		(void)fuse_reply_buf(req, buf, (size_t)r);
	free(buf);
}

void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size,
	      off_t off, struct fuse_file_info *fi)
{
	struct view *v = request_view(req, ino, COUNTER_WRITE);
	int r;

	if (!v)
		return;
	r = do_write(handle_of(fi), buf, size, (uint64_t)off);
	(void)hand_over(handle_of(fi));
	if (r < 0)
		reply_err(req, r);
	else
		(void)fuse_reply_write(req, size);
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	if (!request_view(req, ino, COUNTER_RELEASE))
		return;
	do_release(handle_of(fi));
	reply_err(req, 0);
}

static void fsync_slowly(struct work *w)
{
	struct slow_request *s = container_of(w, struct slow_request, work);

	reply_err(s->req, do_fsync(s->view, s->ino));
	free(s);
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
	      struct fuse_file_info *fi)
{
	struct view *v = request_view(req, ino, COUNTER_FSYNC);
	struct slow_request s = { .req = req,
				  .view = v,
				  .ino = request_ino(ino) };

	(void)datasync;
	(void)fi;
	if (v)
		defer(&s, fsync_slowly);
}

static void fsyncdir_slowly(struct work *w)
{
	struct slow_request *s = container_of(w, struct slow_request, work);

	reply_err(s->req, do_fsyncdir(s->view, s->ino));
	free(s);
}

void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync,
		 struct fuse_file_info *fi)
{
	struct slow_request s = { .req = req, .ino = request_ino(ino) };

	(void)datasync;
	(void)fi;
	if (host_serves(req, ino)) {
		/* The list of views changes in durable steps. */
		reply_err(req, 0);
		return;
	}
	s.view = request_view(req, ino, COUNTER_FSYNCDIR);
	if (s.view)
		defer(&s, fsyncdir_slowly);
}

static void fallocate_slowly(struct work *w)
{
	struct slow_request *s = container_of(w, struct slow_request, work);

	int r = do_fallocate(handle_of(&s->fi), s->mode, s->off, s->len);

	(void)hand_over(handle_of(&s->fi));
	reply_err(s->req, r);
	free(s);
}

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off,
		  off_t len, struct fuse_file_info *fi)
{
	struct view *v = request_view(req, ino, COUNTER_FALLOCATE);
	struct slow_request s = { .req = req,
				  .view = v,
				  .fi = *fi,
				  .mode = mode,
				  .off = (uint64_t)off,
				  .len = (uint64_t)len };

	if (v)
		defer(&s, fallocate_slowly);
}

void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
	      struct fuse_file_info *fi)
{
	off_t r;

	if (!request_view(req, ino, COUNTER_LSEEK))
		return;
	r = do_lseek(handle_of(fi), off, whence);
	(void)hand_over(handle_of(fi));
	if (r < 0)
		reply_err(req, (int)r);
	else
		(void)fuse_reply_lseek(req, r);
}

static void copy_slowly(struct work *w)
{
	struct slow_request *s = container_of(w, struct slow_request, work);
	ssize_t r = do_copy_range(handle_of(&s->fi), s->off, s->other,
				  s->other_off, s->len);

	(void)hand_over(handle_of(&s->fi));
	(void)hand_over(s->other);
	if (r < 0)
		reply_err(s->req, (int)r);
	else
		(void)fuse_reply_write(s->req, (size_t)r);
	free(s);
}

void op_copy_file_range(fuse_req_t req, fuse_ino_t ino, off_t off,
			struct fuse_file_info *fi, fuse_ino_t ino_out,
			off_t off_out, struct fuse_file_info *fi_out,
			size_t len, int flags)
{
	struct view *v = request_view(req, ino, COUNTER_COPY_RANGE);
	struct slow_request s = { .req = req,
				  .view = v,
				  .fi = *fi,
				  .other = handle_of(fi_out),
				  .off = (uint64_t)off,
				  .other_off = (uint64_t)off_out,
				  .len = len };

	(void)ino_out;
	if (!v)
		return;
	if (flags != 0)
		reply_err(req, -EINVAL);
	else
		defer(&s, copy_slowly);
}
