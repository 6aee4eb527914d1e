/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `targetfs run` has to know of a cargo command line. Pure: words in,
 * words out. What it does not understand it leaves to cargo.
 */
#ifndef TOOLS_CARGO_ARGS_H
#define TOOLS_CARGO_ARGS_H

#include <stdbool.h>

struct cargo_args {
	bool is_cargo;		   /* the program's name is cargo */
	const char *subcommand;	   /* NULL: none; borrowed, as all below */
	const char *manifest_path; /* of --manifest-path, or NULL */
	const char *target_dir;	   /* of --target-dir, or NULL */
	/* `cargo clean` of everything: no package, profile, target ... is
	 * selected, and no option that we do not know. */
	bool cleans_all;
	bool quiet; /* -q */
};

/* @argv ends with NULL, and argv[0] is there. */
struct cargo_args cargo_args_of(char *const *argv);

#endif
