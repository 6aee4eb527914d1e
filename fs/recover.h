/* SPDX-License-Identifier: Apache-2.0 */
/* Recovery of a view after a crash; the rules are in attach.h. */
#ifndef FS_RECOVER_H
#define FS_RECOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct view;

/* A file with private bytes, as its row says. */
struct doubt {
	uint64_t ino, staging_id;
	bool flux, unsynced;
};

struct recovery {
	struct doubt *files;
	size_t count, cap;
};

int recovery_add(struct recovery *rv, uint64_t ino, uint64_t staging_id,
		 bool flux, bool unsynced);
void recovery_release(struct recovery *rv);

/*
 * Looks at all of them, drops what cannot be trusted, removes staging files
 * that no row names, sets view.next_staging. All changes are dirty and go with
 * the first flush; a crash before that finds the same again. -EMFILE, -ENFILE,
 * -ENOMEM: not now.
 */
int recover(struct view *v, const struct recovery *rv, bool other_boot);

#endif
