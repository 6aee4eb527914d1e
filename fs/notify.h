/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling the kernel that names have changed without its doing. Sent from a
 * worker: a notification about a directory in which a LOOKUP is under way
 * waits for that LOOKUP's reply.
 */
#ifndef FS_NOTIFY_H
#define FS_NOTIFY_H

#include <stdbool.h>

struct invalidation;
struct mount;
struct node;
struct view;

/* All names of @n, as they are now. NULL: out of memory. */
struct invalidation *invalidation_new_locked(struct view *v,
					     const struct node *n);
/* Takes ownership. */
void invalidation_send(struct mount *m, struct invalidation *inv);
void invalidation_free(struct invalidation *inv);

/*
 * Names and attributes have changed anywhere: the kernel asks again for each
 * before it uses it. In effect when it returns; may be called from a request's
 * handler. False: this kernel (before 6.16) or libfuse (before 3.18) cannot.
 */
bool notify_changed(struct mount *m);

#endif
