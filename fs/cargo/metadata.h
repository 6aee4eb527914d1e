/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a crate's metadata (.rmeta) tells another crate where it was made.
 * Constants, generic and inline functions are in there, with every path that a
 * macro has put into them. Paths are there in any case, too: for each source
 *
 *	string		the source's name, as rustc was given it
 *	string		the directory that rustc ran in
 *	string		the absolute name
 *	string = length (LEB128) bytes 0xc1
 *
 * These are known, and harmless: they name sources. Any other place that holds
 * one of the directories is a find; so a format that is not known is one, too.
 *
 * Source: rustc's compiler/rustc_metadata and rustc_span, and files of rustc
 * 1.95; strings have been so since 1.60.
 */
#ifndef CARGO_METADATA_H
#define CARGO_METADATA_H

#include <stdbool.h>
#include <stddef.h>

#include "fs/cargo/span.h"

struct metadata_paths {
	/* What is searched for: absolute, not empty. */
	struct span dirs[2];
	size_t dir_count;
	/* The directory that rustc ran in. */
	struct span cwd;
	/* Absolute, or from cwd. */
	const struct span *sources;
	size_t source_count;
};

/* False: it says more than where its sources were. */
bool metadata_names_sources(const void *p, size_t len,
			    const struct metadata_paths *paths);

#endif
