/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a file that was made in one checkout would show, in another, where
 * it was made: a search for absolute paths (a workspace's root, a target
 * directory's) in what a compiler, an archiver or a build script wrote.
 *
 * What counts depends on the file:
 *
 *	ELF	what is loaded: allocated sections, and segments. Debug
 *		information, symbols and metadata are harmless.
 *	ar	each member by itself, but for the tables and rustc's
 *		lib.rmeta; so an rlib is its objects
 *	other	every byte
 *
 * An ELF file or an archive that is malformed, or that we do not know well
 * enough, counts with every byte, so that a doubt is never a "clean". What
 * cannot be looked into is SCAN_OPAQUE: LLVM's bitcode, GCC's objects for link
 * time optimization, compressed files. rustc's metadata (.rmeta) always has
 * the paths of a member's sources; there is no sense in asking.
 *
 * A path counts wherever its bytes are: in an object strings follow each other
 * without an end, so "/w" is found in "/work", and a caller that asks for such
 * a path gets too many hits, never too few. Optimizers take strings apart: a
 * constant copied by instructions is there in pieces of 8 bytes, one copied by
 * vectors in pieces of 16 or 32. So the first 8 bytes of a path count in a
 * section of code, and the first N in a section of constants of size N. That
 * covers x86-64 and strings that begin with the path. It does not cover
 * strings that hold it further on, in a linked program whose linker has
 * dropped the string itself, nor machines whose instructions hold 2 bytes.
 * This is the second guard: values of env!() are compared by name (dfile.h),
 * values of build scripts by buildout.h.
 *
 * Cost: each byte is read at most SCAN_PASSES times for each path, by
 * memmem(). Nothing is allocated.
 *
 * Sources: the ELF specification (gABI), ar(5) in the form of GNU and of BSD.
 */
#ifndef CARGO_SCAN_H
#define CARGO_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "fs/cargo/span.h"

/* Sections and segments overlap once; a file where they do more is odd. */
#define SCAN_PASSES 4

enum scan_verdict {
	SCAN_CLEAN,
	SCAN_FOUND,
	SCAN_OPAQUE, /* nothing was found, but not everything could be seen */
};

struct scan_hit {
	size_t path;   /* which of the paths */
	size_t offset; /* where, in the file; of one of its occurrences */
};

/*
 * Searches @len bytes at @p for @count paths; empty ones are left out.
 * *ret_hit is written when the verdict is SCAN_FOUND; it may be NULL.
 */
enum scan_verdict scan_paths(const void *p, size_t len,
			     const struct span *paths, size_t count,
			     struct scan_hit *ret_hit);

/* rustc's metadata in an rlib, for metadata.h. False: there is none. */
bool scan_rlib_metadata(const void *p, size_t len, struct span *ret_metadata);

#endif
