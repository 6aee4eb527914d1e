/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attaching a view: its lease, its tree from the index, and, after a crash,
 * its recovery.
 *
 * What was committed is whole (views.h), but the bytes of staging files may
 * not be what they were at that commit. Two marks tell:
 *
 *	NODE_FLUX	a writer was there, or the disk did not take all
 *			bytes. After a clean end there are only the latter.
 *	NODE_UNSYNCED	bytes may not have reached the disk. They count only
 *			after another boot; the page cache survives a daemon.
 *
 * Such a file cannot be trusted. If its name says that it is cargo's, its unit
 * is removed as a whole (or, of rustc's incremental state, that crate's
 * directory), so that cargo builds it again. Any other file is kept as it is,
 * as ext4 would. A file whose bytes are gone is removed; one whose bytes cannot
 * be got at is not.
 */
#ifndef FS_ATTACH_H
#define FS_ATTACH_H

#include <stdint.h>

#include "store/lease.h"

struct mount;
struct view;
struct view_rec;

/*
 * -EBUSY: another daemon has it; its page is in *ret_holder. -EBADMSG: its
 * rows are damaged. -ESTALE: it is being dropped. -EMFILE, -ENFILE, -ENOMEM.
 */
int view_attach(struct mount *m, const struct view_rec *rec, uint64_t slot,
		struct view **ret_view, struct lease_page *ret_holder);
/*
 * The mount is gone: no handle is open any more, whether or not its release
 * was heard of. Settling can go on.
 */
void view_quiesce(struct view *v);
/* Last commit, lease back, memory free. All threads have ended. */
void view_detach(struct view *v);

#endif
