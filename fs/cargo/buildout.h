/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a build script printed: "build/<pkg>-H/output", or "run/stdout" in
 * layout v2. Cargo reads it again in every build.
 *
 *	output	= { [ instruction | anything ] newline }
 *	instruction = "cargo::" key "=" value
 *		| "cargo:" old "=" value	keys of before 1.77, below
 *		| "cargo:" name "=" value	any other name: metadata
 *	key	= old | "error" | "metadata"	metadata's value: name "=" value
 *	old	= "rerun-if-changed" | "rerun-if-env-changed" | "rustc-flags"
 *		| "rustc-link-search" | "rustc-link-lib" | "rustc-link-arg"...
 *		| "rustc-cfg" | "rustc-check-cfg" | "rustc-env" | "warning"
 *
 * White space around a line is no part of it. A line that is not UTF-8 is
 * none of cargo's. "rustc-env"'s value is name "=" value.
 *
 * Cargo replaces, in each value, the OUT_DIR of the run (the file root-output
 * beside it has it) by today's, so that a path inside OUT_DIR is right in
 * another checkout, and any other absolute path is still the origin's:
 * buildout_next_path() finds those.
 *
 * Source: BuildOutput::parse in cargo's src/cargo/core/compiler/
 * custom_build.rs, 1.95 and 1.101.
 */
#ifndef CARGO_BUILDOUT_H
#define CARGO_BUILDOUT_H

#include <stdbool.h>
#include <stddef.h>

#include "fs/cargo/span.h"

/* Scripts print what their tools say, too; the largest seen has 400 KiB. */
#define BUILDOUT_MAX (16 << 20)

enum buildout_key {
	BUILDOUT_RERUN_IF_CHANGED,     /* value: a path, from the package */
	BUILDOUT_RERUN_IF_ENV_CHANGED, /* value: the variable's name */
	BUILDOUT_LINK_SEARCH,	       /* name: native ..., or empty */
	BUILDOUT_LINK_LIB,
	BUILDOUT_LINK_ARG, /* name: the whole key */
	BUILDOUT_FLAGS,	   /* -L and -l */
	BUILDOUT_CFG,
	BUILDOUT_CHECK_CFG,
	BUILDOUT_ENV, /* name and value */
	BUILDOUT_WARNING,
	BUILDOUT_ERROR,
	BUILDOUT_METADATA, /* name and value, for dependants' DEP_... */
};

struct buildout_item {
	enum buildout_key key;
	struct span name;
	struct span value;
	struct span text; /* name and value, as written behind the key */
};

struct buildout {
	struct buildout_item *items; /* owned; spans point into the input */
	size_t count;
};

/*
 * -EBADMSG: an instruction that cargo would refuse, or one we do not know;
 * -EFBIG: more than BUILDOUT_MAX; -ENOMEM. On success the caller releases
 * *ret, and keeps the input as long. Order is kept: later values count.
 */
int buildout_parse(const void *p, size_t len, struct buildout *ret);
void buildout_release(struct buildout *b);

/*
 * Whether the script said what its inputs are. If not, cargo takes every file
 * of the package for one (fingerprint.h, Precalculated).
 */
bool buildout_has_rerun(const struct buildout *b);

/* Where buildout_next_path() is; begins as all zeros. */
struct buildout_cursor {
	size_t item;
	size_t at; /* bytes of the item's text */
};

struct buildout_path {
	const struct buildout_item *item;
	/* To the first character that paths in lists and options end at. */
	struct span path;
	/* From the same place to the end of the text. */
	struct span rest;
};

/*
 * The next absolute path that is not inside @out_dir (absolute, no slash at
 * its end; empty: none is inside). A path with ".." is never inside. The names
 * of rerun-if-env-changed are not searched; messages are, and the item tells
 * which key it was. false: there is no other.
 *
 * A path begins with a slash at the beginning of a text, behind a character
 * that is not part of a name, or behind an option's letters ("-L/x"). So
 * "a/b" has none, and "https://x" has one too many: nothing is missed but
 * what a script puts together from pieces.
 */
bool buildout_next_path(const struct buildout *b, struct span out_dir,
			struct buildout_cursor *c, struct buildout_path *ret);

/* Whether the path is @root or below it; a root with blanks is found too. */
bool buildout_path_is_below(const struct buildout_path *p, struct span root);

#endif
