/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the parts of fsck (check*.c, rebuild.c); no other includes this.
 *
 * Order of work: files first, outside of any transaction (hashing takes
 * minutes); then everything that is in the index, in one transaction, so that
 * what is compared belongs together. A repair does so in a write transaction:
 * other writers wait for it, some seconds with a million nodes. It may have to
 * run again (index.h), so its findings are kept and told after it.
 */
#ifndef STORE_CHECK_IMPL_H
#define STORE_CHECK_IMPL_H

#include <stdbool.h>
#include <stdint.h>

#include "store/base/buf.h"
#include "store/check.h"
#include "store/digest.h"
#include "store/index.h"
#include "store/record.h"
#include "store/unit.h"

struct lease;
struct store;

struct found_view {
	uint32_t id;
	bool mounted;
	struct lease *lease; /* ours, in a repair */
};

/* A file in blobs/. */
struct found_file {
	struct digest d;
	uint64_t size;
	bool altered; /* its contents are another's */
};

/* A reference to a blob, by a node or by a unit's file. */
struct found_ref {
	struct digest d;
	uint64_t size; /* the node's or file's */
	uint64_t ino;  /* of a unit: its index in check.units */
	uint32_t view;
	bool unit;
};

/* An object. */
struct found_unit {
	struct unit_key key;
	bool bad;      /* no readable row, or one of another key */
	bool lost;     /* a blob of it is */
	bool list_bad; /* the row of its list is damaged */
};

struct lost_node {
	uint32_t view;
	uint64_t ino;
};

struct check {
	struct store *st;
	unsigned flags;
	void (*say)(const char *problem, void *arg);
	void *arg;
	int64_t now;
	struct check_report rep;
	struct buf said; /* lines, each with its NUL */
	/* Arrays, sorted by their first members. */
	struct buf views, files, refs, lost, units;
};

/* Arrays in a struct buf. */
#define ARRAY_OF(b, type) ((type *)(void *)(b)->data)
#define COUNT_OF(b, type) ((b)->len / sizeof(type))

enum remedy {
	REMEDY_REPAIR, /* a repair does away with it */
	REMEDY_WAIT,   /* the view is mounted */
	/* No damage: what a killed daemon leaves behind. Daemons free it in
	 * time, a repair does so now. */
	REMEDY_LEFT_OVER,
};

/* Notes a problem. */
void check_problem(struct check *c, enum remedy remedy, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static inline bool check_repairs(const struct check *c)
{
	return c->flags & CHECK_REPAIR;
}

/* NULL: no row in TABLE_VIEWS. */
const struct found_view *check_find_view(const struct check *c, uint32_t id);

/* check_files.c: fills c->files; in a repair, files that are not what their
 * names say are put where they belong, or removed. */
int check_files(struct check *c);
const struct found_file *check_find_file(const struct check *c,
					 const struct digest *d);
/* Whether the file's contents are the blob's; *ret_size is the file's. */
int check_file_contents(struct check *c, const struct digest *d,
			bool *ret_right, uint64_t *ret_size);

/* check_blobs.c: fills c->refs and c->units; compares rows, references and files, and
 * fills c->lost. */
int check_collect_refs(struct check *c, struct txn *txn);
int check_blobs(struct check *c, struct txn *txn);
/* Makes all rows of blobs what the references and files say. */
int check_settle_blobs(struct check *c, struct txn *txn);

/* check_units.c: part of check_collect_refs(); the problem of one whose blob is
 * lost, told; then, all objects and lists. */
int check_collect_units(struct check *c, struct txn *txn);
int check_lose_unit(struct check *c, const struct found_ref *ref,
		    const char *why);
int check_units(struct check *c, struct txn *txn);

/*
 * check_staging.c: what is wrong with a node's staging file, in *ret_wrong, or
 * NULL; only of a view that is not mounted. And the files that are not among
 * @ids (uint64_t, in any order); @fix removes them.
 */
int check_staging(struct check *c, uint32_t view, const struct node_rec *rec,
		  const char **ret_wrong);
int check_left_over_staging(struct check *c, uint32_t view, struct buf *ids,
			    bool fix);

/* check_view.c: the tree of one view; in a repair, makes it a tree. */
int check_view(struct check *c, struct txn *txn, uint32_t id);

/* check.c: the list of views, with the leases of a repair; everything after
 * check_files(); what was found is told. */
int check_list_views(struct check *c);
int check_rows(struct check *c);
void check_tell(struct check *c);
void check_release(struct check *c);

#endif
