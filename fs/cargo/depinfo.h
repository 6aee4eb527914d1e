/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cargo's binary dependency files, ".fingerprint/<pkg>-H/dep-<K>": which
 * files and environment variables a compiled unit was made from. Cargo writes
 * them from rustc's .d file, and decides by them whether a unit is fresh: each
 * file's mtime is to be at most that of the dep- file, each variable is to
 * have the recorded value.
 *
 *	depinfo	= u32 1, u8 255, u8 version (1),
 *		  u32 count, file[count], u32 count, env[count]
 *	file	= u8 root, string path, u8 0
 *		| u8 root, string path, u8 1, u64 size, string checksum
 *	root	= 0 the package's directory, 1 the target's (build) directory;
 *		  an absolute path stands for itself
 *	checksum = "sha256=" hex | "blake3=" hex
 *	env	= string name, u8 0 (unset) | string name, u8 1, string value
 *	string	= u32 length, bytes
 *
 * All integers are little-endian. Files of the registry are not listed. The
 * variables that cargo itself sets for rustc are left out; they are in the .d
 * file (dfile.h).
 *
 * Source: cargo's src/cargo/core/compiler/fingerprint/dep_info.rs, version 1
 * of the format as cargo 1.84 to 1.97 write it. Cargo reads a file with bytes
 * behind its end, other markers and unknown tags; here that is an unknown
 * format, so that what is accepted is written back to the same bytes.
 */
#ifndef CARGO_DEPINFO_H
#define CARGO_DEPINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/cargo/span.h"
#include "store/base/buf.h"

/* A generous limit: 100,000 paths of 160 bytes. rustc itself has about 3,000 */
#define DEPINFO_MAX (16 << 20)

enum depinfo_root {
	DEPINFO_PACKAGE = 0,
	DEPINFO_BUILD = 1,
};

struct depinfo_file {
	enum depinfo_root root;
	struct span path;
	bool has_checksum;
	uint64_t size;	      /* of the file, with has_checksum */
	struct span checksum; /* "sha256=..." */
};

struct depinfo_env {
	struct span name;
	bool is_set;
	struct span value; /* when set */
};

struct depinfo {
	struct depinfo_file *files; /* owned; the spans point into the input */
	size_t file_count;
	struct depinfo_env *envs; /* owned */
	size_t env_count;
};

/*
 * -EBADMSG: not this format; -EFBIG: more than DEPINFO_MAX; -ENOMEM. On
 * success the caller releases *ret, and keeps the input for as long.
 */
int depinfo_parse(const void *p, size_t len, struct depinfo *ret);
void depinfo_release(struct depinfo *d);

/* Appends the file's bytes; errors are the buffer's. */
void depinfo_write(const struct depinfo *d, struct buf *b);

#endif
