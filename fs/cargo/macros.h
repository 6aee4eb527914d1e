/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a source uses macros of the compiler, and what is known of some
 * procedural macros. Text in, decisions out: this is no parser of Rust, and
 * what it does not recognise counts as the worst.
 */
#ifndef CARGO_MACROS_H
#define CARGO_MACROS_H

#include <stdbool.h>
#include <stddef.h>

#include "fs/cargo/span.h"

/*
 * Whether each occurrence of the variable's name @var in the text is
 *
 *	include!(concat!(env!("VAR") ...
 *
 * or the same with include_str or include_bytes: the value leads to a file,
 * and does not itself become a part of the program. True for a text without
 * any.
 */
bool macros_only_include(const void *text, size_t len, const char *var);

/*
 * Whether the package of this name, from a registry, holds procedural macros
 * that look at nothing but their input. Not so are those that read files, the
 * environment, or the time; most are not known.
 */
bool macros_are_pure(struct span package);

#endif
