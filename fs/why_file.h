/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the last build in a view looked for in vain, and why: the file
 * STORE/lease/<view>.why, written by the view's daemon, read by `targetfs why`.
 * It is of its owner alone, as the store is. Nothing rests on it: it is not
 * synced, and what cannot be read of it is left out.
 *
 *	file    := { u32 length, body }
 *	body    := u8 what, by what:
 *	build   := u8 WHY_VERSION, i64 started, u64 pid, str16 command,
 *	           3 digest scope, str16 fields
 *	missed  := unit, u8 reason, u8 kind, u8 absent, str16 input, str16 then,
 *	           str16 now, str16 origin, i64 created, u32 differing,
 *	           digest scope
 *	compiled := unit
 *	full    := nothing: there was more than WHY_FILE_MAX
 *	unit    := u64 hash, str16 profile, str16 package, str16 kind
 *
 * The first record is the build, which empties the file.
 */
#ifndef FS_WHY_FILE_H
#define FS_WHY_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/build.h"
#include "store/base/buf.h"
#include "store/digest.h"
#include "store/record.h"

struct store;

#define WHY_VERSION 1
/* Some 10,000 units. */
#define WHY_FILE_MAX ((size_t)2 << 20)

enum why_what {
	WHY_BUILD = 1,
	WHY_MISSED = 2,
	WHY_COMPILED = 3, /* cargo has compiled it, missed or not */
	WHY_FULL = 4,
};

enum why_reason {
	WHY_UNKNOWN = 1, /* the store has none of this hash */
	WHY_SCOPE = 2,	 /* only such as were built in another scope */
	WHY_SOURCE = 3,	 /* a file or directory differs */
	WHY_ENV = 4,	 /* a variable does */
	WHY_DEP = 5,	 /* a unit that it depends on does, or was missed */
	WHY_GUARD = 6,	 /* it holds the path of where it was built */
	WHY_ERROR = 7,	 /* it could not be shown; `now` says why */
};

struct why_build {
	int64_t started;	 /* CLOCK_REALTIME seconds */
	uint64_t pid;		 /* in the daemon's PID namespace */
	struct span_str command; /* its words, with a NUL each */
	struct digest scope[SCOPE_COUNT];
	struct span_str fields; /* scope_describe() */
};

struct why_unit {
	uint64_t hash;
	struct span_str profile; /* "debug" */
	struct span_str package; /* or a crate, where that is all we know */
	struct span_str kind;	 /* "lib-serde"; empty: not known */
};

/* From `input` on: of the nearest candidate. */
struct why_miss {
	uint8_t reason;		/* enum why_reason */
	uint8_t kind;		/* enum unit_input_kind of the input */
	bool absent;		/* there is no such input here */
	struct span_str input;	/* the first that differs; as store/unit.h */
	struct span_str then;	/* what it was there, for people */
	struct span_str now;	/* what it is here */
	struct span_str origin; /* the workspace that built it */
	int64_t created;
	uint32_t differing; /* inputs, as far as we know */
	struct digest scope;
};

struct why_rec {
	uint8_t what; /* enum why_what */
	struct why_build build;
	struct why_unit unit;
	struct why_miss miss;
};

/* Appends; errors are the buffer's. Strings that are too long are cut. */
void why_rec_put(struct buf *out, const struct why_rec *rec);
/*
 * Advances over @r: 1 and the record, whose strings are borrowed, or 0 at the
 * end, which an incomplete record is as well. -EBADMSG.
 */
int why_rec_next(struct reader *r, struct why_rec *ret_rec);

/* For the daemon, which appends; made when absent. */
int why_file_open(struct store *st, uint32_t view, int *ret_fd);
/* All of it; -ENOENT: no build was ever seen. */
int why_file_read(struct store *st, uint32_t view, void **ret_data,
		  size_t *ret_len);
void why_file_remove(struct store *st, uint32_t view);

#endif
