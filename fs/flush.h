/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flusher: about once a second it takes what has changed in each view, as
 * one batch, and commits it. Requests do not wait for it, but for fsync(2) and
 * for the rule that committed bytes are marked before they change.
 *
 * A batch is taken under view.lock in one go, so what is committed is always
 * the view as it was at one moment. A commit that fails is tried again with
 * the next batch behind it.
 */
#ifndef FS_FLUSH_H
#define FS_FLUSH_H

struct flusher;
struct mount;
struct view;

int flusher_start(struct mount *m, struct flusher **ret_flusher);
/* Ends the thread; NULL is fine. Views may be flushed by flush_now() then. */
void flusher_stop(struct flusher *f);

/*
 * Waits until everything that has changed so far is committed: 0, or the
 * error of that commit. Not from the flusher itself. file->io may be held.
 */
int flush_wait(struct view *v);

/* Flushes in the calling thread. The flusher has stopped, or not begun. */
int flush_now(struct view *v);

#endif
