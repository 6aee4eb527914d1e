/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the request handlers share: where a request goes, and how it is
 * answered. Each request is answered exactly once.
 */
#ifndef FS_REPLY_H
#define FS_REPLY_H

#include "fs/attr.h"
#include "fs/fuse.h"
#include "fs/mount.h"
#include "fs/namei.h"
#include "fs/open.h"

/*
 * libfuse cancels the threads of its rings when a session ends, and a thread
 * that is cancelled inside a handler keeps its locks for ever. So handlers
 * cannot be cancelled; the threads end by the session's own signal.
 */
void request_begins(void);
/*
 * The view that @nodeid belongs to, with the request counted; NULL: there is
 * none, and -ESTALE was replied.
 */
struct view *request_view(fuse_req_t req, fuse_ino_t nodeid, enum counter c);
uint64_t request_ino(fuse_ino_t nodeid);
struct caller request_caller(fuse_req_t req);

/* @r < 0 replies the error; else as the name says. */
void reply_err(fuse_req_t req, int r);
void reply_entry(fuse_req_t req, struct view *v, int r, const struct entry *e);
void reply_attr(fuse_req_t req, int r, const struct entry *e);
/* Undoes the open when the caller has gone. */
void reply_open(fuse_req_t req, int r, const struct fuse_file_info *fi,
		const struct opened *o);
void reply_create(fuse_req_t req, int r, const struct fuse_file_info *fi,
		  const struct entry *e, const struct opened *o);
void fill_entry_param(const struct entry *e, struct fuse_entry_param *ret_p);

/*
 * Lets a worker do what waits for a disk, so that libfuse's threads are free
 * for other requests. A request of the io_uring is served at once instead, by
 * the thread of its ring: libfuse 3.18 corrupts a ring whose requests other
 * threads reply to (it submits without its lock), and then the mount hangs.
 */
void run_slowly(fuse_req_t req, struct work *w);

/* A request that does I/O: @run is called with the arguments and replies. */
struct slow_request {
	struct work work;
	fuse_req_t req;
	struct view *view;
	uint64_t ino;
	unsigned set;		  /* setattr */
	struct stat st;		  /* setattr */
	struct fuse_file_info fi; /* open, fsync ... */
	struct handle *other;	  /* copy_file_range: the target's */
	int mode;		  /* fallocate */
	uint64_t off, other_off, len;
};

/* Copies @args; replies -ENOMEM when it cannot. */
void defer(const struct slow_request *args, void (*run)(struct work *w));

#endif
