/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A view in memory: its nodes, its names, and what of them is not committed
 * yet. This is the authority; the index holds what the flusher last committed.
 *
 * node	an inode: attributes, and where its bytes are. Found by number.
 * name	a directory entry: (parent node, string) -> node. A node has as many
 *	names as links; a directory has one.
 * file	the run-time state of a regular file that is, or lately was, open.
 *
 * Numbers. A node's number (ino) is what stat(2) shows; it never changes and
 * is never used again, so FUSE's generation is always 0. The kernel's node id
 * is (slot << 40 | ino): slot 0 is the view of a workspace mount or the list
 * of views in host mode, else it is a view's id.
 *
 * Life of a node. It is freed when it has no name, no open handle, no lookup
 * that the kernel has not forgotten, and no pin. `nlookup` is what the kernel
 * counts, `handles` and `pins` are ours.
 *
 * Locks, in this order:
 *	file.io		one file's backing: opening, copying, truncating. I/O is
 *			done under it.
 *	view.lock	all else in the view. No I/O, no reply to the kernel.
 *	mount.lock	the table of attached views
 * To take a file's io lock: pin its node under view.lock, drop view.lock, lock
 * io. view_pin_file() does it.
 *
 * Functions ending in _locked need view.lock.
 */
#ifndef FS_VIEW_H
#define FS_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "fs/counters.h"
#include "store/base/list.h"
#include "store/base/lock.h"
#include "store/base/slab.h"
#include "store/digest.h"
#include "store/lease.h"
#include "store/record.h"
#include "store/store.h"
#include "store/views.h"

#define SLOT_SHIFT 40
#define INO_MASK ((UINT64_C(1) << SLOT_SHIFT) - 1)

enum node_flag {
	NF_DIRTY = 1 << 0,     /* the next batch has to put its row */
	NF_COMMITTED = 1 << 1, /* the index has a row, or a batch will put it */
	/* A passthrough writer was there; the backing file's size and times
	 * are newer than the node's until the file has settled. */
	NF_HOT = 1 << 2,
	/* The committed row names the present staging file. */
	NF_STAGING_COMMITTED = 1 << 3,
	/* The committed row says NODE_FLUX. */
	NF_FLUX_COMMITTED = 1 << 4,
	/* The staging file's bytes are on disk. */
	NF_SYNCED = 1 << 5,
	/* The bytes in memory are in the last batch. */
	NF_MEM_IN_BATCH = 1 << 6,
	/* The kernel's page cache may be older than the backing file. */
	NF_PAGES_STALE = 1 << 7,
	/* CONTENT_BLOB whose row the next batch has to put, from staging_id. */
	NF_BLOB_NEW = 1 << 8,
	/* In view.hot, or in the settler's queue. */
	NF_HOT_LISTED = 1 << 9,
	NF_SETTLING = 1 << 11,
	/* ... and that batch is committed. */
	NF_MEM_COMMITTED = 1 << 12,
	/* The last batch says NODE_FLUX. */
	NF_FLUX_IN_BATCH = 1 << 13,
	/* Bytes that cargo writes as metadata: kept in memory. */
	NF_META = 1 << 10,
	/* In view.dirty_nodes, dirty or not any more. */
	NF_LISTED = 1 << 14,
	/* No longer a node; its memory waits to be taken off that list. */
	NF_DEAD = 1 << 15,
	/* Of the staging file's bytes some did not reach the disk, and the
	 * kernel says so once: it is never NF_SYNCED nor shared. */
	NF_SYNC_FAILED = 1 << 17,
};

#define NF_MEM_ANY (NF_MEM_IN_BATCH | NF_MEM_COMMITTED)

struct dir {
	struct name *first, *last; /* in order of creation */
	size_t count;
};

struct file {
	struct lock io;
	int fd;		    /* io: O_RDONLY on the backing file, or -1 */
	int wfd;	    /* io: O_RDWR on the staging file, or -1 */
	int32_t backing_id; /* io: the kernel's handle on it, or 0 */
	/* Changed under io and view.lock, read under either: open handles, and
	 * the bytes of a CONTENT_MEM file. */
	uint32_t cached, passthrough, writers;
	uint8_t *mem;
	size_t mem_cap;
	/* io: the backing file as it was when it was last synced */
	struct timespec synced_ctime;
	uint64_t synced_size;
	/* Written under io and view.lock, read under either: the number of the
	 * node that has got all names of this one, or 0. See replace.h. */
	uint64_t successor;
	struct node *node;
	struct list lru; /* view.lock: in view.lru while fd >= 0 */
};

/* In memory only, beside enum content_kind: the bytes are in file->mem. */
#define CONTENT_MEM 16

/*
 * There is one of these for each file of the view, in use or not, and a name
 * or more: keep both small. What only some files need is in struct file.
 */
struct node {
	uint64_t ino;
	struct node *hash_next;
	struct node *dirty_next;     /* in view.dirty_nodes */
	struct name *names;	     /* first of its names */
	struct file *file;	     /* regular files: NULL while not needed */
	struct buf *xattrs;	     /* NULL: none; see record.h */
	int64_t atime, mtime, ctime; /* nsec since the epoch */
	uint64_t size;		     /* bytes */
	uint64_t staging_id;	     /* CONTENT_STAGING, NF_BLOB_NEW */
	union {
		struct digest digest; /* CONTENT_BLOB, NF_MEM_ANY */
		uint64_t blocks;      /* CONTENT_STAGING: of 512 bytes */
		char *target;	      /* symlink; owned, size bytes + NUL */
		struct dir dir;
	};
	uint32_t nlookup; /* UINT32_MAX: no longer counted, never freed */
	uint32_t handles, pins;
	uint32_t flags; /* enum node_flag */
	uint32_t uid, gid;
	uint16_t mode;
	uint16_t nlink;	 /* at most NLINK_MAX */
	uint16_t epoch;	 /* grows when bytes may change */
	uint8_t content; /* enum content_kind, CONTENT_MEM */
};

/* Linux's own limit of ext4. */
#define NLINK_MAX 65000

struct name {
	struct name *hash_next;
	struct name *node_next;	  /* next name of the same node */
	struct name *prev, *next; /* in the parent's list */
	struct name *dirty_next;
	struct node *parent, *node;
	bool dirty : 1;	    /* in view.dirty_names */
	bool committed : 1; /* the index has the row, or a batch will put it */
	bool removed : 1;   /* gone; freed when the flusher meets it */
	uint8_t len;
	char s[]; /* NUL-terminated */
};

/* A growing array of node numbers. */
struct inos {
	uint64_t *ino;
	size_t count, cap;
};

struct table {
	void **slot; /* chains */
	size_t mask; /* number of slots - 1 */
	size_t count;
};

struct builds;
struct mount;
struct units;
struct why;

struct view {
	/* constant after attach */
	struct mount *mount;
	char *workspace; /* NULL in host mode */
	struct builds *builds;
	struct why *why; /* why.h; NULL: nothing is explained */
	struct store *store;
	uint32_t id;
	uint64_t base; /* slot << SLOT_SHIFT */
	struct lease *lease;
	struct lease_page *page; /* counters: atomic */
	int clock_fd;		 /* see view_now() */
	uint8_t boot_id[BOOT_ID_LEN];

	struct lock lock;
	/* protected by lock */
	struct slab slab; /* of the nodes and names */
	struct table nodes, names;
	struct node *root;
	struct units *units; /* units.h; NULL while it is attached */
	uint64_t next_ino, next_staging;
	struct node *dirty_nodes, *dirty_last;
	struct name *dirty_names;
	struct list lru; /* files with a descriptor, oldest first */
	size_t fds;	 /* of them; atomic: read without lock */
	/* Rows and files to remove with the next batch. */
	struct batch gone;
	/* Staging files no commit ever named: unlinked at the next flush. */
	struct inos orphans;
	/* A removal could not be recorded: no commit would be whole again. */
	bool out_of_memory;

	/* flush.c */
	struct cond flushed;
	uint64_t snap_seq, done_seq;
	int flush_error; /* of the commit done_seq */
	bool flush_wanted;

	/* flusher thread only */
	struct batch pending;
	struct inos captured; /* nodes in the pending batch */
	struct inos hot;      /* nodes to look at for having settled */
	struct list link;     /* mount.lock: in mount.views */
};

/* Current time as the kernel would stamp a file now: nsec. */
int64_t view_now(struct view *v);

static inline void view_count(struct view *v, enum counter c, uint64_t n)
{
	__atomic_fetch_add(&v->page->counters[c], n, __ATOMIC_RELAXED);
}

/* --- view.c: nodes and names ------------------------------------------- */

/* -ENOMEM */
int inos_add(struct inos *a, uint64_t ino);

int view_init(struct view *v);
void view_release(struct view *v);

struct node *node_find_locked(struct view *v, uint64_t ino);
struct name *name_find_locked(struct view *v, const struct node *dir,
			      const char *s, size_t len);

/*
 * A node with a number of its own (@ino 0: the next free one), no name and no
 * link. NULL: out of memory.
 */
struct node *node_new_locked(struct view *v, uint64_t ino, uint32_t mode);
/* Adds a name to @dir; nlink is the caller's business. NULL: out of memory. */
struct name *name_add_locked(struct view *v, struct node *dir, const char *s,
			     size_t len, struct node *node);
/* Removes a name, so that the next batch removes its row. */
void name_remove_locked(struct view *v, struct name *nm);
/*
 * The name that lacks its row for the longest or shortest time, NULL: none;
 * and it lacks it no longer.
 */
struct name *name_first_dirty_locked(struct view *v);
void name_clean_locked(struct view *v);
/* Lets a name point to another node. */
void name_repoint_locked(struct view *v, struct name *nm, struct node *to);
/* The node differs from its row. */
void node_dirty_locked(struct view *v, struct node *n);
/*
 * The node that has been dirty for the longest, NULL: none; and it is so no
 * longer.
 */
struct node *node_first_dirty_locked(struct view *v);
void node_clean_locked(struct view *v);
/* The kernel learns of the node; and forgets what it has learnt so often. */
void node_looked_up_locked(struct node *n);
void node_forgotten_locked(struct node *n, uint64_t count);
/* The bytes of its staging file are on disk; or they failed to get there. */
void node_synced_locked(struct view *v, struct node *n);
void node_sync_failed_locked(struct view *v, struct node *n);
/* The bytes of its staging file may change from now on. */
void node_heat_locked(struct view *v, struct node *n);
/* Frees the node if nothing refers to it any more. */
void node_check_locked(struct view *v, struct node *n);
/* Its staging file is no longer its own: removed when no commit names it. */
void node_drop_staging_locked(struct view *v, struct node *n);

static inline bool node_is_dir(const struct node *n)
{
	return S_ISDIR(n->mode);
}

static inline bool node_is_reg(const struct node *n)
{
	return S_ISREG(n->mode);
}

/* --- view.c: pins -------------------------------------------------------- */

/* NULL when there is no such node. */
struct node *view_pin(struct view *v, uint64_t ino);
void view_unpin(struct view *v, struct node *n);
/*
 * Pins a regular file's node, makes its file state and locks file->io.
 * -ENOENT, -EISDIR, -EINVAL (neither), -ENOMEM.
 */
int view_pin_file(struct view *v, uint64_t ino, struct node **ret_node);
void view_unpin_file(struct view *v, struct node *n);

/*
 * The path of a name relative to the view's root, "debug/deps/x.d".
 * -ENAMETOOLONG when it has more than @size bytes.
 */
int name_path_locked(const struct name *nm, char *ret_path, size_t size);
/* The directory at the first @len bytes of such a path; NULL: none. */
struct node *view_walk_locked(struct view *v, const char *path, size_t len);

/*
 * Whether an absolute path leads into the mount, textually; so does the name
 * of its mount point below the workspace.
 */
const char *view_mountpoint(const struct view *v);
bool view_contains_path(const struct view *v, const char *path);

#endif
