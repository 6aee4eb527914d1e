/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mount: what all views behind one FUSE session share. In a workspace mount
 * the one view is slot 0; in host mode slot 0 is the list of views (host.c)
 * and each view has its id for a slot.
 */
#ifndef FS_MOUNT_H
#define FS_MOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/view.h"
#include "fs/worker.h"

struct fuse_session;
struct host;
struct latency;

struct mount {
	/* set before the first request, taken away under lock (session.c) */
	struct fuse_session *se;
	/* constant after start */
	struct store *store;
	const char *mountpoint;
	struct view *view; /* the workspace's; NULL in host mode */
	struct host *host; /* NULL in a workspace mount */
	bool passthrough;  /* set once, by the INIT request */
	bool uring;
	bool backing_is_stacked; /* the store is on overlayfs */
	size_t max_fds;		 /* files that may keep descriptors */
	unsigned features;	 /* enum feature */
	struct worker_pool *workers;
	/* One thread of its own: a notification may wait for a request. */
	struct worker_pool *notifier;
	struct flusher *flusher;
	struct settler *settler;
	struct latency *latency; /* NULL: without */
	struct publisher *publisher;
	struct hashes *hashes; /* of sources */
	bool wink;	       /* show units of the store */
	bool publish;	       /* make known what is built */
	int forgets;	       /* revalidate.c; atomic */

	size_t fds; /* atomic: of them, those of all views together */
	/* atomic: a sync of the store's filesystem has failed. Which file's
	 * bytes are lost is not known, so no later one speaks for all. */
	int sync_error;

	struct lock lock;
	/* protected by lock */
	struct list views; /* all that are attached */
};

/* The view that a node id belongs to; NULL: none, or the list of views. */
struct view *mount_view(struct mount *m, uint64_t nodeid);

#endif
