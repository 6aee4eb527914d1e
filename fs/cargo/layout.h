/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a path below a target directory is to cargo, told by its name alone.
 * Pure: strings in, decisions out.
 *
 * Both layouts are known. P is "[triple/]<profile>", H a unit's 16 hex digits:
 *
 *	classic		P/deps/<name>-H.<ext>	P/examples/<name>-H
 *			P/build/<pkg>-H/	P/.fingerprint/<pkg>-H/
 *			P/incremental/<crate>-<hash>/
 *	per unit	P/build/<pkg>/<H>/ with fingerprint/, out/, run/, deps/
 *
 * Source: cargo's src/cargo/core/compiler/layout.rs, versions 1.60 to 1.101.
 */
#ifndef CARGO_LAYOUT_H
#define CARGO_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>

#define UNIT_HASH_LEN 16

enum layout_kind {
	LAYOUT_OTHER,	    /* not cargo's, or nothing we know */
	LAYOUT_META,	    /* small files that cargo itself writes */
	LAYOUT_ARTIFACT,    /* what compilers, linkers, build scripts write */
	LAYOUT_INCREMENTAL, /* rustc's incremental state: private to a view */
};

struct layout {
	enum layout_kind kind;
	/* The unit's H inside the path, or NULL: the name tells no unit. */
	const char *unit;
	/* Bytes of the path up to P, without a slash behind it; 0: none. */
	size_t profile_len;
	/* LAYOUT_INCREMENTAL: bytes up to and with <crate>-<hash>, else 0. */
	size_t crate_len;
};

/* @path is relative to the target directory, "debug/deps/libx-H.rlib". */
struct layout layout_classify(const char *path);

/*
 * Whether the component @name (of @len bytes) carries a unit's H: exactly H,
 * or "-H" at its end or before its first dot. Returns H inside it, or NULL.
 */
const char *layout_unit_of(const char *name, size_t len);

#endif
