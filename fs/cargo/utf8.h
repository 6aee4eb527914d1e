/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UTF-8 as Rust's str has it: shortest forms only, no surrogates, up to
 * U+10FFFF. Cargo's parsers skip or refuse what is not, so ours must agree.
 */
#ifndef CARGO_UTF8_H
#define CARGO_UTF8_H

#include <stdbool.h>

#include "fs/cargo/span.h"

bool utf8_is_valid(struct span s);

/*
 * Without Unicode's white space at both ends, as str::trim() has it; @s is
 * valid.
 */
struct span utf8_trim(struct span s);

#endif
