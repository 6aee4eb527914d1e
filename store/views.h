/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The committed state of views: rows of nodes and names, loaded once when a
 * view is attached, and advanced by batches.
 *
 * A batch is a list of operations that is applied in one transaction: after
 * any crash a view is as it was after some batch, never between two. Building
 * one is memory only (it is done under the view's lock); the commit does all
 * I/O.
 *
 * Names: TABLE_NAMES maps (view, parent, name) to a node number; the root is
 * node 1. Numbers are never used twice in a view.
 */
#ifndef STORE_VIEWS_H
#define STORE_VIEWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/base/buf.h"
#include "store/digest.h"
#include "store/record.h"

struct store;

#define VIEW_ROOT_INO 1

/* By workspace (VIEW_HOST off) or by name (VIEW_HOST on). -ENOENT */
int views_find(struct store *st, unsigned flags, const char *key,
	       struct view_rec *ret_rec);
/*
 * Finds or makes it, in one transaction. A new view has an empty root
 * directory with the given owner and mode (type bits are added). Its name is
 * @key's last component; a workspace's is made unique over all views with "-2",
 * "-3" ... A view that is being dropped is not found. -ENAMETOOLONG, -EINVAL for
 * a key that is no absolute path (for VIEW_HOST: no name that a view can have,
 * see record.h, or a shelf's).
 */
int views_obtain(struct store *st, unsigned flags, const char *key,
		 uint32_t uid, uint32_t gid, uint32_t mode,
		 struct view_rec *ret_rec);
/*
 * By id (decimal, or eight hex digits as in paths of the store), by name, or by
 * workspace path, in this order. -ENOENT; -ENOTUNIQ: a workspace's view and one
 * of host mode have this name.
 */
int views_resolve(struct store *st, const char *what, struct view_rec *ret_rec);
/* In order of id, until @fn returns non-zero, which is returned. @fn may change
 * views; those whose rows are damaged are left out. */
int views_foreach(struct store *st,
		  int (*fn)(const struct view_rec *rec, void *arg), void *arg);
/* VIEW_HOST only: -EEXIST when the new name is taken, -EINVAL as above. */
int views_rename(struct store *st, uint32_t id, const char *name);
/*
 * Removes a view, its nodes, names and staging files; blobs lose their
 * references. The caller holds its lease. Resumable: a crash leaves
 * VIEW_DROPPED, and the next call goes on.
 */
int views_drop(struct store *st, uint32_t id);

/*
 * Reads a whole view: all nodes in order of number, then all names. A row
 * that is damaged is reported by on_damage (may be NULL: then -EBADMSG); a page
 * that is damaged is always -EBADMSG. A callback's non-zero result ends the
 * load and is returned. Callbacks run within a read transaction: they may not
 * change the store.
 */
struct view_loader {
	int (*on_node)(uint64_t ino, const struct node_rec *rec, void *arg);
	int (*on_name)(uint64_t parent, const char *name, size_t len,
		       uint64_t ino, void *arg);
	int (*on_damage)(const char *what, void *arg);
	void *arg;
};
int views_load(struct store *st, uint32_t id, const struct view_loader *ld);

struct batch {
	struct buf ops; /* grammar in batch.c */
	size_t count;
	/* Of the last views_commit(): the node whose blob is not there, which
	 * is why it failed, or 0. */
	uint64_t refused;
};

/*
 * All of these append to the batch and return 0 or -ENOMEM (-EINVAL for a
 * name that is empty or longer than 255, a record that node_rec_encode()
 * refuses, more than BLOB_INLINE_MAX bytes); after an error the batch is as it
 * was. Operations are applied in order, those that bring blobs first.
 * batch_del_*: deleting what is not there is fine.
 */
int batch_put_node(struct batch *b, uint64_t ino, const struct node_rec *rec);
int batch_del_node(struct batch *b, uint64_t ino);
int batch_put_name(struct batch *b, uint64_t parent, const char *name,
		   size_t len, uint64_t ino);
int batch_del_name(struct batch *b, uint64_t parent, const char *name,
		   size_t len);
/* The blob exists inline from here on (nothing happens if it does already).
 * The bytes are copied into the batch. */
int batch_put_inline(struct batch *b, const struct digest *d, const void *p,
		     size_t len);
/* The blob exists as a file from here on; blob_sync_names() has been called
 * after the blob_link() of this staging file. */
int batch_put_blob(struct batch *b, const struct digest *d, uint64_t size,
		   uint64_t staging_id);
/* The staging file is unlinked, after the commit. */
int batch_drop_staging(struct batch *b, uint64_t staging_id);
/* Takes the node's rows out of the batch, but not its names. */
void batch_take_back_node(struct batch *b, uint64_t ino);
void batch_release(struct batch *b);

struct view_state {
	uint64_t next_ino;
	bool unsynced; /* set the record's boot_id to @boot_id, else clear it */
	uint8_t boot_id[BOOT_ID_LEN];
};

/*
 * Applies the batch in one durable transaction. References of blobs are
 * counted here, by comparing each node's old record with its new one; a blob
 * whose count falls to zero goes to TABLE_DEAD. Adds one to the view's seq.
 * On error nothing has changed, and the same batch may be tried again.
 * -ENOSPC, -EIO, -EBADMSG, -ENOENT (a node refers to a blob that is neither
 * there nor in the batch; the view was dropped).
 * State after SIGKILL or power loss: before or after, never between; after a
 * crash between the commit and the unlinking, dropped staging files are left
 * over, and the next attach removes them.
 */
int views_commit(struct store *st, uint32_t id, struct batch *b,
		 const struct view_state *state);

/* Sets `mounted` to now. */
int views_touch(struct store *st, uint32_t id);

/* Sums over a view's rows. */
struct view_usage {
	uint64_t files, dirs, others; /* nodes */
	uint64_t logical; /* bytes of regular files, each inode once */
	uint64_t staging; /* of them, private */
	uint64_t blob;	  /* of them, in blobs, each digest once */
	uint64_t shared;  /* of them, in blobs that other nodes, of this or
			       another view, refer to as well */
};
int views_usage(struct store *st, uint32_t id, struct view_usage *ret_usage);

#endif
