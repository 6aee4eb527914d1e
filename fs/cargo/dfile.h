/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rustc's dependencies in the form of a makefile, "deps/N-H.d": every source
 * file of a compiled unit, included files among them, and every environment
 * variable that it asked for. The latter is what cargo's own dep- files lack:
 * variables that cargo sets, such as CARGO_MANIFEST_DIR and OUT_DIR, are found
 * here alone.
 *
 *	dfile	 = { rule | phony | env | checksum | "" } each and a newline
 *	rule	 = path ": " path { " " path }	one for each output
 *	phony	 = path ":"			one for each source
 *	env	 = "# env-dep:" name [ "=" value ]	without: it was not set
 *	checksum = "# checksum:" algorithm "=" hex " file_len:" size " " path
 *
 * In a path a blank is written as "\ ", and a backslash as itself. In names
 * and values of variables "\\", "\n" and "\r" stand for a backslash, a newline
 * and a carriage return. Paths are relative to the directory that rustc ran
 * in, the workspace's for its members, or absolute.
 *
 * Cargo's P/N.d, beside a final, is one rule in the same form.
 *
 * Source: rustc's compiler/rustc_interface/src/passes.rs, cargo's
 * src/cargo/core/compiler/fingerprint/dep_info.rs and output_depinfo.rs, and
 * files of rustc 1.95. All rules list the same sources; a file where they do
 * not, with another comment, or with a blank other than ' ' is not understood.
 */
#ifndef CARGO_DFILE_H
#define CARGO_DFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/cargo/span.h"

/* Three times the longest line of DEPINFO_MAX: sources are listed thrice. */
#define DFILE_MAX (48 << 20)

struct dfile_env {
	struct span name;
	bool is_set;
	struct span value; /* when set */
};

struct dfile_checksum {
	struct span digest; /* "sha256=..." */
	uint64_t size;	    /* of the file */
	struct span path;
};

/* All without their escapes. Spans point into the input or into room. */
struct dfile {
	struct span *outputs; /* owned, as the other arrays are */
	size_t output_count;
	struct span *sources;
	size_t source_count;
	struct dfile_env *envs;
	size_t env_count;
	struct dfile_checksum *checksums;
	size_t checksum_count;
	char *room; /* owned: what had escapes */
	size_t room_len;
};

/*
 * -EBADMSG: not this format, no rule among it; -EFBIG: more than DFILE_MAX;
 * -ENOMEM. On success the caller releases *ret, and keeps the input as long.
 */
int dfile_parse(const void *p, size_t len, struct dfile *ret);
void dfile_release(struct dfile *d);

#endif
