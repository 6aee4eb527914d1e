/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records of the index, decoded, and their encoding (grammar: schema.h).
 * Pure: bytes in, bytes out. Decoders accept anything and answer -EBADMSG to
 * what is not a record.
 */
#ifndef STORE_RECORD_H
#define STORE_RECORD_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "store/base/buf.h"
#include "store/digest.h"

/* Where the bytes of a node are. */
enum content_kind {
	CONTENT_NONE = 0,    /* a directory, fifo, socket, or an empty file */
	CONTENT_BLOB = 1,    /* immutable, by digest: inline or a file */
	CONTENT_STAGING = 2, /* private, in STORE/staging/<view>/<id> */
	CONTENT_SYMLINK = 3, /* the target is in the record */
};

enum node_flags {
	/*
	 * The bytes may change without a further commit: a writer was there
	 * when this was committed.
	 */
	NODE_FLUX = 1 << 0,
	/*
	 * The bytes may be in the kernel's page cache only; see view_rec's
	 * boot_id.
	 */
	NODE_UNSYNCED = 1 << 1,
};

struct node_rec {
	uint32_t mode; /* type and permissions, as st_mode */
	uint32_t uid, gid;
	uint32_t nlink;
	uint64_t size;	 /* bytes; of a symlink, the length of its target */
	uint64_t blocks; /* of 512 bytes, for CONTENT_STAGING */
	struct timespec atime, mtime, ctime;
	uint8_t flags;	      /* enum node_flags */
	uint8_t content;      /* enum content_kind */
	struct digest digest; /* CONTENT_BLOB */
	uint64_t staging_id;  /* CONTENT_STAGING */
	struct span_str {
		const char *p; /* borrowed, not terminated */
		size_t len;
	} target;		/* CONTENT_SYMLINK */
	struct span_str xattrs; /* borrowed: see xattr_next(), may be empty */
};

int node_rec_encode(const struct node_rec *rec, struct buf *out);
int node_rec_decode(const void *p, size_t len, struct node_rec *ret_rec);

/* xattrs := { str16 name, str16 value }, sorted by nothing, names unique. */
struct xattr_item {
	const char *name;
	size_t name_len;
	const void *value;
	size_t value_len;
};
/* Advances over @r: 1 and the item, 0 at the end, -EBADMSG. */
int xattr_next(struct reader *r, struct xattr_item *ret_item);

enum blob_tier {
	BLOB_INLINE = 0, /* in TABLE_DATA */
	BLOB_FILE = 1,	 /* STORE/blobs/ab/cdef... */
};

struct blob_rec {
	uint64_t size;
	uint64_t refs;	/* nodes of all views and units' files that name it */
	uint64_t units; /* of refs, the units' files */
	int64_t used;	/* CLOCK_REALTIME seconds of the last known use */
	uint8_t tier;	/* enum blob_tier */
};

int blob_rec_encode(const struct blob_rec *rec, struct buf *out);
int blob_rec_decode(const void *p, size_t len, struct blob_rec *ret_rec);

enum view_flags {
	VIEW_HOST = 1 << 0,    /* made by mkdir in host mode: found by name */
	VIEW_DROPPED = 1 << 1, /* being removed; its rows may be partly gone */
};

#define VIEW_NAME_MAX 255
#define BOOT_ID_LEN 16

/*
 * A shelf is a directory of host mode that is no view but has views below it,
 * named "71/c3...": cargo's {workspace-path-hash} is a path of two components,
 * the first of two lower-case hex digits.
 */
bool name_is_shelf(const char *name, size_t len);
/* One file name; of host mode also one below a shelf. */
bool view_name_is_valid(uint32_t flags, const char *name, size_t len);

struct view_rec {
	uint32_t id;	/* from 1; never used again */
	uint32_t flags; /* enum view_flags */
	char name[VIEW_NAME_MAX + 1];
	char workspace[PATH_MAX]; /* absolute; "" for VIEW_HOST */
	uint64_t next_ino;
	uint64_t seq;		  /* commits so far */
	int64_t created, mounted; /* CLOCK_REALTIME seconds */
	/*
	 * The boot in which nodes were last committed as NODE_UNSYNCED; zeros
	 * when none are. In another boot their bytes cannot be trusted.
	 */
	uint8_t boot_id[BOOT_ID_LEN];
};

/* The id is the row's key and not part of the value: decoded, it is 0. */
int view_rec_encode(const struct view_rec *rec, struct buf *out);
int view_rec_decode(const void *p, size_t len, struct view_rec *ret_rec);

#endif
