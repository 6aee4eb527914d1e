/* SPDX-License-Identifier: Apache-2.0 */
/* Notifications to the kernel; see notify.h. */
#include "config.h"

#include "fs/notify.h"

#include <stdlib.h>
#include <string.h>

#include "fs/fuse.h"
#include "fs/mount.h"
#include "fs/view.h"
#include "fs/worker.h"

struct stale_name {
	uint64_t parent; /* node id */
	size_t len;
	char s[NAME_MAX + 1];
};

struct invalidation {
	struct work work;
	struct mount *mount;
	size_t count;
	struct stale_name names[];
};

struct invalidation *invalidation_new_locked(struct view *v,
					     const struct node *n)
{
	struct invalidation *inv;
	size_t count = 0;

	for (const struct name *nm = n->names; nm; nm = nm->node_next)
		count++;
	inv = calloc(1, sizeof(*inv) + count * sizeof(inv->names[0]));
	if (!inv)
		return NULL;
	for (const struct name *nm = n->names; nm; nm = nm->node_next) {
		struct stale_name *s = &inv->names[inv->count++];

		s->parent = v->base | nm->parent->ino;
		s->len = nm->len;
		memcpy(s->s, nm->s, nm->len);
	}
	return inv;
}

static void send_all(struct work *w)
{
	struct invalidation *inv = container_of(w, struct invalidation, work);

	for (size_t i = 0; i < inv->count; i++)
		(void)fuse_lowlevel_notify_inval_entry(inv->mount->se,
						       inv->names[i].parent,
						       inv->names[i].s,
						       inv->names[i].len);
	free(inv);
}

void invalidation_send(struct mount *m, struct invalidation *inv)
{
	inv->mount = m;
	inv->work.run = send_all;
	worker_submit(m->notifier, &inv->work);
}

void invalidation_free(struct invalidation *inv)
{
	free(inv);
}

bool notify_changed(struct mount *m)
{
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 18)
	return fuse_lowlevel_notify_increment_epoch(m->se) == 0;
#else
	(void)m;
	return false;
#endif
}
