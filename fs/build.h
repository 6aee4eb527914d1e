/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A build: one process of cargo that works in a view, as far as /proc tells.
 * Units are shown and published for builds only, never for a process that
 * merely looks.
 *
 * A process counts as a build of the view when its name is "cargo", it lives
 * in the daemon's own mount namespace, and the workspace it builds is the
 * view's: a target directory may be given to cargo for another workspace, in
 * which the same names of units stand for other sources. Neither may it have
 * got there by a symbolic link: paths that end up in artifacts are compared
 * with the view's. What cannot be told for certain is no build.
 *
 * What a build brings along, its scope, is part of every unit's identity:
 *
 *	SCOPE_PURE	wrappers of rustc, CARGO_HOME, RUSTC_BOOTSTRAP, cargo's
 *			configuration, the user's view of the toolchain
 *	SCOPE_LINKED	and the system's linker, libc, release and packages
 *	SCOPE_RUN	and the programs that build scripts look for
 */
#ifndef FS_BUILD_H
#define FS_BUILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "store/digest.h"

struct build;
struct builds;
struct view;

enum scope { SCOPE_PURE, SCOPE_LINKED, SCOPE_RUN, SCOPE_COUNT };

/* The builds of one view. NULL: out of memory. */
struct builds *builds_new(void);
struct builds *builds_free(struct builds *bs); /* NULL */

/*
 * The build that the thread @tid belongs to, counted; NULL: none. Reads /proc
 * the first time that a thread is seen. Not under view.lock.
 */
struct build *build_of(struct view *v, pid_t tid);
struct build *build_ref(struct build *b); /* NULL */
void build_unref(struct build *b);	  /* NULL */

const struct digest *build_scope(const struct build *b, enum scope s);
/* Of the environment without what says nothing (terminals, sessions ...). */
const struct digest *build_environment(const struct build *b);
/* The value of a variable, NULL: not set. Lives as long as the build. */
const char *build_getenv(const struct build *b, const char *name);
/* Where cargo was started, and where the mount is: absolute, without links. */
const char *build_cwd(const struct build *b);
const char *build_mountpoint(const struct build *b);
/* The workspace's directory. */
int build_workspace_fd(const struct build *b);
uid_t build_uid(const struct build *b);
gid_t build_gid(const struct build *b);
/* CARGO_HOME, or $HOME/.cargo */
const char *build_cargo_home(const struct build *b);

/* Not that of another build of the view, and larger than those of earlier ones;
 * never 0. */
uint64_t build_number(const struct build *b);

pid_t build_pid(const struct build *b);

/* True the first time. */
bool build_begins(struct build *b);

/*
 * Units that this build looked for in vain: cargo has decided to compile them,
 * and what appears later comes too late.
 */
bool build_has_missed(struct build *b, uint64_t profile, uint64_t hash);
void build_missed(struct build *b, uint64_t profile, uint64_t hash);

#endif
