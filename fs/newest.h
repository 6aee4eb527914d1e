/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The newest file of a package, as cargo finds it for a build script that does
 * not say what it looks at: fingerprint.h has its time and path as
 * "Precalculated". Of files with one time the first counts, in the order in
 * which the directories list them.
 *
 * Below git cargo takes what git does not ignore, elsewhere what does not begin
 * with a dot; of what is ignored, only an ignored Cargo.lock is known here. A
 * wrong answer makes cargo run the script, no more: whether the package is the
 * same is told by its contents (INPUT_PACKAGE in inputs.h).
 *
 * Source: cargo's src/cargo/sources/path.rs, and tried with 1.95.
 */
#ifndef FS_NEWEST_H
#define FS_NEWEST_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct newest {
	int64_t nsec;	     /* since the epoch */
	char path[PATH_MAX]; /* from the package; "" if there is no file */
};

/*
 * @package is a directory below the workspace, @base_fd is that and @workspace
 * its path; or absolute. -ELOOP, -EXDEV: a symbolic link leads to a directory,
 * or out of the filesystem; -E2BIG: as in hashes.h.
 */
int newest_find(int base_fd, const char *workspace, const char *package,
		struct newest *ret_newest);

#endif
