/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fsck: finds what is wrong with a store, and repairs what can be repaired.
 *
 * Found: index values with a bad checksum or encoding; blob files that are
 * missing, truncated, swapped or (with CHECK_READ_DATA) altered; rows without
 * files; wrong reference counts; names without nodes, nodes without names,
 * wrong link counts, loops; units without their blobs or lists, and lists
 * without units; staging files that are missing, or of another size than their
 * node where nothing says that they may be; pages of the index that are not
 * whole.
 * Told, but no damage: blob files without rows and staging files that no node
 * names.
 *
 * Repaired (CHECK_REPAIR): counts; left-overs; rows of blob files that are
 * there; nodes whose bytes are lost are removed from their view together with
 * their names, and so are units (the caller of cargo then compiles again); an
 * index that cannot be opened or walked is moved to
 * STORE/index.damaged-<seconds>, and a new one is built from blobs/, with those
 * views and units whose rows can still be read.
 * A view that is mounted (leased) is checked as committed, never repaired.
 */
#ifndef STORE_CHECK_H
#define STORE_CHECK_H

#include <stdint.h>

struct store;

enum check_flags {
	CHECK_READ_DATA = 1 << 0, /* hash every blob */
	CHECK_REPAIR = 1 << 1,
};

struct check_report {
	uint64_t views, nodes, names, blobs, units, bytes_read;
	uint64_t damaged;  /* problems found */
	uint64_t repaired; /* of them, repaired */
	uint64_t skipped;  /* of them, in views that are mounted */
	/* Files that nothing refers to, as a file removed while it was being
	 * stored leaves one, or a killed daemon. No damage, and not told:
	 * daemons free them in time; a repair does so now. */
	uint64_t left_over;
};

/*
 * Each problem is told to @say as one line of text without newline (may be
 * NULL). Returns 0 when the walk came to its end, whatever it found. -EBADMSG:
 * the index cannot be walked; close the store, then store_rebuild().
 * A repair keeps other writers of the index waiting while it compares rows:
 * some seconds with a million nodes. @say is called after that.
 */
int store_check(struct store *st, unsigned flags,
		void (*say)(const char *problem, void *arg), void *arg,
		struct check_report *ret_report);

/*
 * For a store that store_open() or store_check() refuses with -EBADMSG: moves
 * the damaged index away and rebuilds it. Nobody may have the store open
 * (-EBUSY), this process neither. Hashes every blob.
 *
 * A view survives without the files whose rows cannot be read; rows are found
 * without the pages that lead to them, as long as the list of free pages is
 * whole. If one of the two meta pages is lost, the last commit may be; with
 * both of them all views are lost, and the blobs are kept.
 */
int store_rebuild(const char *path, void (*say)(const char *problem, void *arg),
		  void *arg, struct check_report *ret_report);

#endif
