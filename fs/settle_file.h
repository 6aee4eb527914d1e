/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What settling does to one file: it is looked at and hashed, then made durable
 * or given to the store as a blob, if it is still the same. The settler
 * (settle.c) does each step for a round of files at once. Its thread only.
 */
#ifndef FS_SETTLE_FILE_H
#define FS_SETTLE_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "fs/view.h"
#include "store/blob.h"

struct job;

enum todo { TODO_NOTHING, TODO_SYNC, TODO_SHARE };

/* How the settler ends, and what its thread may do. */
struct settle_end {
	bool stop;	  /* atomic */
	int64_t deadline; /* atomic: CLOCK_MONOTONIC msec, once it stops */
	bool may_idle;	  /* constant: settle_may_idle() */
};

/* What is being settled, and what it was when it was hashed, to see afterwards
 * that it is still the same. */
struct candidate {
	struct job *job;
	struct view *view;
	struct node *node; /* pinned */
	const struct settle_end *end;
	enum todo todo;
	bool named; /* blob_link() has been called */
	int r;	    /* -EBUSY: in use, try again; else < 0: not to be settled */
	uint64_t staging_id;
	uint16_t epoch;
	int fd;
	struct stat st;
	struct digest digest;
};

int64_t settle_msec(void); /* CLOCK_MONOTONIC */

/* What settling @n would do. */
enum todo settle_todo_locked(const struct node *n);

/* Whether this process may come back from being idle. */
bool settle_may_idle(void);
void settle_be_idle(const struct settle_end *end, bool idle);

/*
 * Looks at the file and hashes what is to be shared. Needs the file's io, comes
 * back without it. -EBUSY: in use; -ECANCELED: nothing to do any more.
 */
int candidate_prepare(struct candidate *c);
/* Its bytes go into the index, with the next commit. */
bool candidate_is_small(const struct candidate *c);
/*
 * Once its bytes are durable, where it takes that: small ones are loaded, large
 * ones get the blob's name, in @names to be synced, others are marked. -EBUSY:
 * it has changed.
 */
int candidate_settle(struct candidate *c, struct blob_names *names);
/* Once the name is durable, too. -EBUSY: it has changed. */
int candidate_become_blob(struct candidate *c);
/* What is on disk is not what was written; see blob_sync_data(). */
void candidate_lost(struct candidate *c, int r);

#endif
