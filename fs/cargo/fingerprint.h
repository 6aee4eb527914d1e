/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cargo's fingerprint of a unit: "<K>.json", and its u64 in the file "<K>"
 * beside it. Cargo computes the u64 of today's build from what is in memory
 * and compares it with that file; the json is read only to say what differs.
 * The u64 is a function of the json, so a fingerprint can be moved to another
 * checkout: change what is to differ, compute it again, and do the same with
 * the values of its dependants.
 *
 *	json	= '{"rustc":' u64 ',"features":' string
 *		  ',"declared_features":' string ',"target":' u64
 *		  ',"profile":' u64 ',"path":' u64 ',"deps":[' deps ']'
 *		  ',"local":[' locals '],"rustflags":[' strings ']'
 *		  ',"config":' u64 ',"compile_kind":' u64 '}'
 *	dep	= '[' u64 of the package ',' string ',' bool ',' its u64 ']'
 *	local	= '{"Precalculated":' string '}'
 *		| '{"CheckDepInfo":{"dep_info":' path ',"checksum":' bool '}}'
 *		| '{"RerunIfChanged":{"output":' path ',"paths":[' paths ']}}'
 *		| '{"RerunIfEnvChanged":{"var":' string
 *			',"val":' ( string | 'null' ) '}}'
 *	hash	= 16 lower-case hex digits, of the u64's bytes from the lowest
 *
 * That is all of it, to the byte: no white space, fields in this order,
 * strings escaped as serde_json does. Whatever else is there is an unknown
 * format, and so is a json whose u64 is not that of its hash file. Cargo
 * changes the format without notice: 1.95 and 1.97 write this one; 1.101 has
 * another CheckDepInfo, and is refused.
 *
 * Source: cargo's src/cargo/core/compiler/fingerprint/mod.rs (1.95).
 */
#ifndef CARGO_FINGERPRINT_H
#define CARGO_FINGERPRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/cargo/span.h"
#include "store/base/buf.h"

/* web-sys with all its 1,600 features declared takes 60 KiB. */
#define FINGERPRINT_MAX (4 << 20)
#define FINGERPRINT_HASH_LEN 16

/* As cargo numbers them in the hash. */
enum fingerprint_local_kind {
	FINGERPRINT_PRECALCULATED = 0,
	FINGERPRINT_CHECK_DEP_INFO = 1,
	FINGERPRINT_RERUN_IF_CHANGED = 2,
	FINGERPRINT_RERUN_IF_ENV_CHANGED = 3,
};

struct fingerprint_local {
	enum fingerprint_local_kind kind;
	/*
	 * The precalculated value; or a path from the target directory, of the
	 * dep- file or of the script's output; or the variable's name.
	 */
	struct span text;
	bool checksum;	    /* CHECK_DEP_INFO */
	struct span *paths; /* RERUN_IF_CHANGED: from the package; owned */
	size_t path_count;
	bool is_set; /* RERUN_IF_ENV_CHANGED */
	struct span value;
};

struct fingerprint_dep {
	uint64_t package;
	struct span name; /* as extern crate has it */
	bool is_public;
	uint64_t value; /* the u64 of the dependency's fingerprint */
};

/*
 * Spans point into the input or into room. A caller may put others there, of
 * memory that lives as long as the fingerprint.
 */
struct fingerprint {
	uint64_t rustc;
	struct span features;
	struct span declared_features;
	uint64_t target;
	uint64_t profile;
	uint64_t path; /* fingerprint_path_hash() of the root source file */
	struct fingerprint_dep *deps; /* owned, as the other arrays are */
	size_t dep_count;
	struct fingerprint_local *locals;
	size_t local_count;
	struct span *rustflags;
	size_t rustflag_count;
	uint64_t config;
	uint64_t compile_kind;
	char *room; /* owned: strings that had escapes */
	size_t room_len;
};

/*
 * The json alone. -EBADMSG: not this format; -EFBIG: more than
 * FINGERPRINT_MAX; -ENOMEM. On success the caller releases *ret, and keeps
 * the input as long.
 */
int fingerprint_parse(const void *json, size_t len, struct fingerprint *ret);
void fingerprint_release(struct fingerprint *f);

/*
 * The json and the hash file, which must agree: what this accepts is
 * understood. -EBADMSG also when they do not, or when the last build of the
 * unit failed (an empty hash file).
 */
int fingerprint_load(const void *json, size_t len, const void *hash,
		     size_t hash_len, struct fingerprint *ret);

uint64_t fingerprint_value(const struct fingerprint *f);
/* Appends the json; errors are the buffer's. */
void fingerprint_write(const struct fingerprint *f, struct buf *b);

/* The content of a hash file. */
void fingerprint_hash_write(uint64_t value, char ret[FINGERPRINT_HASH_LEN]);
int fingerprint_hash_parse(const void *p, size_t len, uint64_t *ret);

/* --- to move one --------------------------------------------------------- */

/*
 * The field "path" for a root source file: of a workspace's member the path
 * from the workspace's root ("leaf/src/lib.rs"), of any other package the
 * absolute one.
 */
uint64_t fingerprint_path_hash(struct span path);

/*
 * Says that the root source file is now at @is, where it was at @was.
 * -ESTALE, and nothing is changed: it was not.
 */
int fingerprint_move(struct fingerprint *f, struct span was, struct span is);

/* Puts @is where a dependency has the value @was; returns in how many. */
size_t fingerprint_replace_dep(struct fingerprint *f, uint64_t was,
			       uint64_t is);

/*
 * The value of Precalculated for a package at a path: a build script that
 * prints no rerun-if, and documentation. It names the newest file:
 *
 *	seconds "." nanoseconds of 9 digits "s (" path ")"
 *
 * with the path from the package's directory. Packages of the registry have
 * their version there, of git their revision: false, and they are the same
 * everywhere.
 */
struct fingerprint_newest {
	int64_t sec;
	uint32_t nsec;
	struct span path;
};

bool fingerprint_newest_parse(struct span text, struct fingerprint_newest *ret);
void fingerprint_newest_write(const struct fingerprint_newest *n,
			      struct buf *b);

#endif
