/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settler: a thread that takes files which nobody writes any more, hashes
 * what cargo's tools have written, and makes shared blobs of it, so that equal
 * artifacts of any view occupy disk once. Other private files are only synced,
 * so that they survive a power loss from then on.
 *
 * It works a while after the last writer has gone, hashes at idle priority,
 * and gives a file up as soon as somebody opens it for writing. It works in
 * rounds: the files that are due are hashed one by one, made durable together
 * and shared together (store/blob.h).
 */
#ifndef FS_SETTLE_H
#define FS_SETTLE_H

struct mount;
struct node;
struct settler;
struct view;

int settler_start(struct mount *m, struct settler **ret_settler);
/*
 * Settles what is still queued, for @msec at most, and ends the thread. NULL
 * is fine.
 */
void settler_stop(struct settler *s, int msec);

/*
 * Any node; it is passed by unless there is something to settle. The caller
 * has pinned it, or it is not freed for another reason, and does not hold
 * view.lock.
 */
void settle_enqueue(struct view *v, struct node *n);

#endif
