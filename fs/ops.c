/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every request of the kernel comes in here. A handler decodes, calls the
 * do_...() that does the work, and replies; names are below, files in
 * ops_file.c.
 *
 *	a lookup    op_lookup -> do_lookup (namei.c) -> view.c
 *	a write	    op_write -> do_write (open.c) -> content.c -> store/blob.h;
 *		    by passthrough the kernel does not ask at all
 *	a commit    flush.c -> store/views.h -> store/index.h
 *
 * Handlers run in any of libfuse's threads, several at once. What waits for a
 * disk goes to a worker (defer(), reply.h).
 */
#include "config.h"

#include "fs/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/statvfs.h>

#include "fs/dir.h"
#include "fs/handover.h"
#include "fs/host.h"
#include "fs/ops_file.h"
#include "fs/reply.h"
#include "fs/winkin.h"

/* --- the beginning and the end ----------------------------------------- */

#if FUSE_USE_VERSION >= FUSE_MAKE_VERSION(3, 17)
static void want(struct fuse_conn_info *conn, uint64_t cap, bool on)
{
	if (on)
		(void)fuse_set_feature_flag(conn, cap);
	else
		fuse_unset_feature_flag(conn, cap);
}
#else
static void want(struct fuse_conn_info *conn, unsigned cap, bool on)
{
	if (on && conn->capable & cap)
		conn->want |= cap;
	else
		conn->want &= ~cap;
}
#endif

static void want_passthrough(struct mount *m, struct fuse_conn_info *conn)
{
#ifdef HAVE_FUSE_PASSTHROUGH
	if (m->passthrough)
		m->passthrough =
			fuse_set_feature_flag(conn, FUSE_CAP_PASSTHROUGH);
	/* How deep the store's filesystem may be stacked itself. */
	if (m->passthrough)
		conn->max_backing_stack_depth = m->backing_is_stacked ? 1 : 0;
#else
	(void)conn;
	m->passthrough = false;
#endif
}

/* Each entry of a ring holds a buffer of this size, in each cpu's queue. */
#define URING_MAX_WRITE (128 * 1024)

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct mount *m = userdata;

	if (m->uring)
		conn->max_write = MIN(conn->max_write, URING_MAX_WRITE);

	/* Content changes only through this mount: the page cache is right
	 * until an open says otherwise. */
	want(conn, FUSE_CAP_AUTO_INVAL_DATA, false);
	want(conn, FUSE_CAP_EXPLICIT_INVAL_DATA, true);
	/* No set-user-id bits here, so nothing is left to do; without it the
	 * kernel asks for security.capability at every write. */
#ifdef FUSE_CAP_HANDLE_KILLPRIV_V2
	want(conn, FUSE_CAP_HANDLE_KILLPRIV, false);
	want(conn, FUSE_CAP_HANDLE_KILLPRIV_V2, true);
#endif
	want(conn, FUSE_CAP_CACHE_SYMLINKS, true);
	want(conn, FUSE_CAP_ATOMIC_O_TRUNC, true);
	/* It would switch passthrough off, and is slower for cargo. */
	want(conn, FUSE_CAP_WRITEBACK_CACHE, false);
	want(conn, FUSE_CAP_SPLICE_READ, false);
	want(conn, FUSE_CAP_SPLICE_WRITE, false);
	want(conn, FUSE_CAP_SPLICE_MOVE, false);
	want_passthrough(m, conn);
}

/* --- names ------------------------------------------------------------- */

/* A name that is not there may be remembered, unless it is one of a unit:
 * other names are made by the kernel's own requests only. */
static void reply_lookup(fuse_req_t req, struct view *v, int r,
			 const struct entry *e, bool may_come)
{
	struct fuse_entry_param none = { .entry_timeout = may_come ? 0
								   : FOREVER };

	if (r == -ENOENT)
		(void)fuse_reply_entry(req, &none);
	else
		reply_entry(req, v, r, e);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct view *v;
	struct entry e;
	int r;

	if (host_serves(req, parent)) {
		host_lookup(req, parent, name);
		return;
	}
	v = request_view(req, parent, COUNTER_LOOKUP);
	if (!v)
		return;
	r = do_lookup(v, request_ino(parent), name, &e);
	if (r == -ENOENT && winkin_missing(v, request_ino(parent), name,
					   fuse_req_ctx(req)->pid))
		r = do_lookup(v, request_ino(parent), name, &e);
	reply_lookup(req, v, r, &e,
		     r == -ENOENT &&
			     winkin_may_come(v, request_ino(parent), name));
}

static void forget(struct mount *m, fuse_ino_t ino, uint64_t nlookup)
{
	struct view *v = mount_view(m, ino);

	if (!v)
		return;
	view_count(v, COUNTER_FORGET, 1);
	do_forget(v, request_ino(ino), nlookup);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	forget(fuse_req_userdata(req), ino, nlookup);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count,
			    struct fuse_forget_data *f)
{
	for (size_t i = 0; i < count; i++)
		forget(fuse_req_userdata(req), f[i].ino, f[i].nlookup);
	fuse_reply_none(req);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name,
		     mode_t mode, dev_t dev)
{
	struct view *v;
	struct entry e;
	int r;

	(void)dev;
	if (host_refuses(req, parent))
		return;
	v = request_view(req, parent, COUNTER_MKNOD);
	if (!v)
		return;
	r = do_mknod(v, request_ino(parent), name, mode, request_caller(req),
		     &e);
	reply_entry(req, v, r, &e);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name,
		     mode_t mode)
{
	struct view *v;
	struct entry e;
	int r;

	if (host_serves(req, parent)) {
		host_mkdir(req, parent, name, mode);
		return;
	}
	v = request_view(req, parent, COUNTER_MKDIR);
	if (!v)
		return;
	r = do_mkdir(v, request_ino(parent), name, mode, request_caller(req),
		     &e);
	reply_entry(req, v, r, &e);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
		       const char *name)
{
	struct view *v;
	struct entry e;
	int r;

	if (host_refuses(req, parent))
		return;
	v = request_view(req, parent, COUNTER_SYMLINK);
	if (!v)
		return;
	r = do_symlink(v, request_ino(parent), name, target,
		       request_caller(req), &e);
	reply_entry(req, v, r, &e);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent,
		    const char *name)
{
	struct view *v;
	struct entry e;
	int r;

	if (host_refuses(req, parent))
		return;
	v = request_view(req, parent, COUNTER_LINK);
	if (!v)
		return;
	if (mount_view(fuse_req_userdata(req), ino) != v) {
		reply_err(req, -EXDEV);
		return;
	}
	r = do_link(v, request_ino(ino), request_ino(parent), name, &e);
	reply_entry(req, v, r, &e);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct view *v;

	if (host_refuses(req, parent))
		return;
	v = request_view(req, parent, COUNTER_UNLINK);
	if (v)
		reply_err(req, do_unlink(v, request_ino(parent), name));
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct view *v;

	if (host_serves(req, parent)) {
		host_rmdir(req, parent, name);
		return;
	}
	v = request_view(req, parent, COUNTER_RMDIR);
	if (v)
		reply_err(req, do_rmdir(v, request_ino(parent), name));
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
		      fuse_ino_t newparent, const char *newname, unsigned flags)
{
	struct view *v;

	if (host_serves(req, parent) || host_serves(req, newparent)) {
		host_rename(req, parent, name, newparent, newname, flags);
		return;
	}
	v = request_view(req, parent, COUNTER_RENAME);
	if (!v)
		return;
	if (mount_view(fuse_req_userdata(req), newparent) != v) {
		reply_err(req, -EXDEV);
		return;
	}
	reply_err(req, do_rename(v, request_ino(parent), name,
				 request_ino(newparent), newname, flags));
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct view *v = request_view(req, ino, COUNTER_READLINK);
	char target[PATH_MAX];
	int r;

	if (!v)
		return;
	r = do_readlink(v, request_ino(ino), target, sizeof(target));
	if (r < 0)
		reply_err(req, r);
	else
		(void)fuse_reply_readlink(req, target);
}

/* --- attributes -------------------------------------------------------- */

static void op_getattr(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	struct view *v;
	struct entry e;
	int r;

	(void)fi;
	if (host_serves(req, ino)) {
		host_getattr(req, ino);
		return;
	}
	v = request_view(req, ino, COUNTER_GETATTR);
	if (!v)
		return;
	r = do_getattr(v, request_ino(ino), &e);
	reply_attr(req, r, &e);
}

static void op_access(fuse_req_t req, fuse_ino_t ino, int mask)
{
	struct view *v;

	if (host_serves(req, ino)) {
		reply_err(req, 0);
		return;
	}
	v = request_view(req, ino, COUNTER_ACCESS);
	if (v)
		reply_err(req, do_access(v, request_ino(ino), mask));
}

static unsigned set_of(int to_set)
{
	static const struct {
		int fuse;
		unsigned ours;
	} map[] = {
		{ FUSE_SET_ATTR_MODE, SET_MODE },
		{ FUSE_SET_ATTR_UID, SET_UID },
		{ FUSE_SET_ATTR_GID, SET_GID },
		{ FUSE_SET_ATTR_SIZE, SET_SIZE },
		{ FUSE_SET_ATTR_ATIME, SET_ATIME },
		{ FUSE_SET_ATTR_MTIME, SET_MTIME },
		{ FUSE_SET_ATTR_ATIME_NOW, SET_ATIME_NOW },
		{ FUSE_SET_ATTR_MTIME_NOW, SET_MTIME_NOW },
	};
	unsigned set = 0;

	for (size_t i = 0; i < ARRAY_LEN(map); i++)
		if (to_set & map[i].fuse)
			set |= map[i].ours;
	/* The kernel sets both bits of a pair for "now". */
	if (set & SET_ATIME_NOW)
		set &= ~(unsigned)SET_ATIME;
	if (set & SET_MTIME_NOW)
		set &= ~(unsigned)SET_MTIME;
	return set;
}

static void setattr_slowly(struct work *w)
{
	struct slow_request *s = container_of(w, struct slow_request, work);
	struct entry e;
	int r = do_setattr(s->view, s->ino, s->set, &s->st, &e);

	reply_attr(s->req, r, &e);
	free(s);
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st,
		       int to_set, struct fuse_file_info *fi)
{
	unsigned set = set_of(to_set);
	struct view *v;
	struct entry e;
	int r;

	(void)fi;
	if (host_refuses(req, ino))
		return;
	v = request_view(req, ino, COUNTER_SETATTR);
	if (!v)
		return;
	if (set & SET_SIZE) {
		struct slow_request s = { .req = req,
					  .view = v,
					  .ino = request_ino(ino),
					  .set = set,
					  .st = *st };

		defer(&s, setattr_slowly);
		return;
	}
	r = do_setattr(v, request_ino(ino), set, st, &e);
	reply_attr(req, r, &e);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct mount *m = fuse_req_userdata(req);
	struct statvfs st;

	(void)ino;
	if (m->view)
		view_count(m->view, COUNTER_STATFS, 1);
	if (fstatvfs(store_staging_fd(m->store), &st) < 0) {
		reply_err(req, -errno);
		return;
	}
	st.f_namemax = NAME_MAX;
	(void)fuse_reply_statfs(req, &st);
}

static void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
			const char *value, size_t size, int flags)
{
	struct view *v;

	if (host_refuses(req, ino))
		return;
	v = request_view(req, ino, COUNTER_XATTR);
	if (v)
		reply_err(req, do_setxattr(v, request_ino(ino), name, value,
					   size, flags));
}

/* The length when the caller asked for it, else the bytes. */
static void reply_xattr(fuse_req_t req, ssize_t r, const char *buf, size_t size)
{
	if (r < 0)
		reply_err(req, (int)r);
	else if (size == 0)
		(void)fuse_reply_xattr(req, (size_t)r);
	else
		(void)fuse_reply_buf(req, buf, (size_t)r);
}

/* Linux's own limit of a value and of a list. */
#define XATTR_BUF 65536

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
			size_t size)
{
	char buf[XATTR_BUF];
	struct view *v;

	if (host_serves(req, ino)) {
		reply_err(req, -ENODATA);
		return;
	}
	v = request_view(req, ino, COUNTER_XATTR);
	if (!v)
		return;
	size = MIN(size, sizeof(buf));
	reply_xattr(req, do_getxattr(v, request_ino(ino), name, buf, size), buf,
		    size);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	char buf[XATTR_BUF];
	struct view *v;

	if (host_serves(req, ino)) {
		reply_xattr(req, 0, buf, size);
		return;
	}
	v = request_view(req, ino, COUNTER_XATTR);
	if (!v)
		return;
	size = MIN(size, sizeof(buf));
	reply_xattr(req, do_listxattr(v, request_ino(ino), buf, size), buf,
		    size);
}

static void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct view *v;

	if (host_refuses(req, ino))
		return;
	v = request_view(req, ino, COUNTER_XATTR);
	if (v)
		reply_err(req, do_removexattr(v, request_ino(ino), name));
}

/* --- directories ------------------------------------------------------- */

static void op_opendir(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	struct dir_handle *dh;
	struct view *v;
	int r;

	if (host_serves(req, ino)) {
		host_opendir(req, ino, fi);
		return;
	}
	v = request_view(req, ino, COUNTER_OPENDIR);
	if (!v)
		return;
	r = do_opendir(v, request_ino(ino), &dh);
	if (r < 0) {
		reply_err(req, r);
		return;
	}
	fi->fh = hand_over(dh);
	if (fuse_reply_open(req, fi) == -ENOENT)
		do_releasedir(dh);
}

static bool is_dots(const struct dir_entry *de)
{
	return strcmp(de->name, ".") == 0 || strcmp(de->name, "..") == 0;
}

/* Adds one entry; its length, or more than @room when it does not fit. */
static size_t add_entry(fuse_req_t req, char *at, size_t room,
			const struct dir_entry *de, bool plus)
{
	struct fuse_entry_param p;

	if (!plus)
		return fuse_add_direntry(req, at, room, de->name, &de->entry.st,
					 (off_t)de->next);
	fill_entry_param(&de->entry, &p);
	if (is_dots(de))
		p.ino = 0; /* no lookup */
	return fuse_add_direntry_plus(req, at, room, de->name, &p,
				      (off_t)de->next);
}

static void readdir_into(fuse_req_t req, size_t size, off_t off,
			 struct dir_handle *dh, bool plus)
{
	struct view *v = dir_handle_view(dh);
	char *buf = malloc(size);
	struct dir_entry de;
	size_t at = 0;
	int r;

	if (!buf) {
		reply_err(req, -ENOMEM);
		return;
	}
	while ((r = do_readdir(dh, (uint64_t)off, plus ? DIR_LOOKUP : 0, &de)) >
	       0) {
		size_t len = add_entry(req, buf + at, size - at, &de, plus);

		if (len > size - at) {
			if (plus && !is_dots(&de))
				do_forget(v, request_ino(de.entry.st.st_ino),
					  1);
			break;
		}
		at += len;
		off = (off_t)de.next;
	}
	(void)hand_over(dh);
	if (r < 0 && at == 0)
		reply_err(req, r);
	else
		(void)fuse_reply_buf(req, buf, at);
	free(buf);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	if (host_serves(req, ino)) {
		host_readdir(req, size, off, fi);
		return;
	}
	if (request_view(req, ino, COUNTER_READDIR))
		readdir_into(req, size, off, take_back(fi->fh), false);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size,
			   off_t off, struct fuse_file_info *fi)
{
	if (host_serves(req, ino)) {
		host_readdirplus(req, size, off, fi);
		return;
	}
	if (request_view(req, ino, COUNTER_READDIR))
		readdir_into(req, size, off, take_back(fi->fh), true);
}

static void op_releasedir(fuse_req_t req, fuse_ino_t ino,
			  struct fuse_file_info *fi)
{
	if (host_serves(req, ino)) {
		host_releasedir(req, fi);
		return;
	}
	if (!request_view(req, ino, COUNTER_RELEASEDIR))
		return;
	do_releasedir(take_back(fi->fh));
	reply_err(req, 0);
}

const struct fuse_lowlevel_ops ops_table = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.access = op_access,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.open = op_open,
	.create = op_create,
	.read = op_read,
	.write = op_write,
	.release = op_release,
	.fsync = op_fsync,
	.fsyncdir = op_fsyncdir,
	.fallocate = op_fallocate,
	.lseek = op_lseek,
	.copy_file_range = op_copy_file_range,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.releasedir = op_releasedir,
	.statfs = op_statfs,
	.setxattr = op_setxattr,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.removexattr = op_removexattr,
};
