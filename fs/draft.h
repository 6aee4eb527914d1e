/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A draft of a unit object: what cargo has just compiled in a view, from its
 * own files. In this order:
 *
 *	draft_begin	its place, fingerprint, times; -EAGAIN: it changes
 *	draft_inputs	(draft_inputs.c, draft_run.c) what it was made from. Sources are
 *			hashed now, and must not have changed since cargo began;
 *			those that have not are there after an error, too
 *	draft_deps	its dependencies, by their recipes; -EAGAIN: one is not
 *			known yet
 *	draft_files	its files, as blobs; -EAGAIN: one has not settled
 *	draft_guard	(draft_guard.c) whether its place is in them
 *	draft_finish	key and recipe
 *
 * Other errors: it cannot be described, and is no business of the store's.
 * -EPERM says that it may not be shown elsewhere, for a reason of the rules in
 * winkin.h. Not under view.lock; one thread.
 */
#ifndef FS_DRAFT_H
#define FS_DRAFT_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "fs/build.h"
#include "fs/cargo/dfile.h"
#include "fs/cargo/fingerprint.h"
#include "fs/units.h"
#include "store/base/buf.h"
#include "store/unit.h"

struct view;

struct draft {
	struct view *view;
	struct build *build;
	uint64_t profile, hash, fingerprint;
	uint32_t generation;
	uint64_t begun;	  /* units.h */
	bool is_run;	  /* of a build script */
	bool is_linked;	  /* something that a linker made */
	bool is_local;	  /* of a package in the workspace */
	bool needs_local; /* depends on one */
	bool is_macro;	  /* a library for the compiler to load */
	bool uses_out_dir;
	bool impure;
	int64_t invoked, finished; /* nsec: when cargo began, and ended */
	char *profile_path;	   /* "debug" */
	char *package;		   /* "serde" */
	char *kind;		   /* "lib-serde" */
	char *crate;	   /* of outputs without H (unhashed.h), or NULL */
	char *package_dir; /* is_local: from the workspace; "." is itself */
	struct buf json, hash_file, dfile_bytes;
	struct dfile dfile;    /* points into dfile_bytes; not of a run */
	struct fingerprint fp; /* points into json */
	struct unit_object obj;
	struct unit_key key;
	struct digest recipe, outputs;
	uint64_t *dep_norms, norm; /* fingerprints, as in repair.h */
	int64_t stamp;
	char **strings; /* what obj points to */
	size_t string_count;
};

int draft_begin(struct draft *d, struct view *v, uint64_t profile,
		uint64_t hash);
int draft_inputs(struct draft *d);
int draft_deps(struct draft *d);
int draft_files(struct draft *d);
int draft_guard(struct draft *d);
int draft_finish(struct draft *d);
void draft_release(struct draft *d);

/* For units with macros or scripts that may look at anything. */
int draft_impure(struct draft *d);
/*
 * The unit with this fingerprint, KNOWN: "debug/build/x-H" and the like have
 * its package's name and H. -EAGAIN: none; -EPERM: several, or one that has
 * become another since this one was compiled.
 */
struct draft_dep {
	uint64_t profile, hash;
	struct unit_identity id;
	char path[256]; /* of the profile */
	char package[256];
};
int draft_find_dep(struct draft *d, uint64_t fpr, struct draft_dep *ret_dep);

/* --- for draft*.c -------------------------------------------------------- */

/* A copy that lives as long as the draft; NULL: out of memory. */
const char *draft_string(struct draft *d, const char *s, size_t len);
int draft_add_input(struct draft *d, enum unit_input_kind kind,
		    const char *name, const struct digest *value,
		    const char *shown);
/* It is of use only where it was made: workspace and target are inputs. */
int draft_add_place(struct draft *d);
/* The file or the tree at a path, as it is now. -EPERM: it, or what leads to it,
 * was changed since cargo began. */
int draft_add_path(struct draft *d, enum unit_input_kind kind,
		   const char *name);
/* All variables, and the files of a package in the workspace. */
int draft_add_everything(struct draft *d);
/* -EBADMSG: it is none. */
int draft_copy_path(struct span s, char ret_path[PATH_MAX]);
/* In a package of a registry or of git: cargo trusts that it never changes. */
bool draft_is_immutable(const struct draft *d, const char *path);
/* The directory of the package that a source belongs to: PATH_MAX bytes. */
int draft_find_package(struct draft *d, const char *source, char *ret_dir);
/* draft_inputs() of a build script's run. */
int draft_run_inputs(struct draft *d);
/* A small file of the view; @max bytes at most (-EFBIG). */
int draft_read(struct draft *d, const char *path, size_t max,
	       struct buf *ret_bytes, int64_t *ret_mtime);

#endif
