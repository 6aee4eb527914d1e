/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a path below a target directory is to cargo, told by its name alone.
 * Pure: strings in, decisions out. Nothing is allocated; every pointer that
 * comes back points into the path.
 *
 * Both layouts are known. P is "[triple/]<profile>", H a unit's 16 hex digits,
 * N a crate's name, K the kind of a unit and its name ("lib-serde",
 * "test-integration-test-it", "run-build-script-build-script-build"):
 *
 *	classic		P/.fingerprint/<pkg>-H/{K,K.json,dep-K,output-K,
 *				invoked.timestamp}
 *			P/deps/{N-H,libN-H.rlib,libN-H.rmeta,libN-H.so,N-H.d}
 *			P/deps/{libN.so,libN.a,libN.rlib,N.d}	no H: dylibs,
 *				cdylibs and staticlibs of path packages
 *			P/examples/{N-H,N-H.d,N}
 *			P/build/<pkg>-H/{build-script-build,
 *				build_script_build-H,build_script_build-H.d}
 *			P/build/<pkg>-H/{output,stderr,root-output,
 *				invoked.timestamp,out/...}
 *	per unit	P/build/<pkg>/H/fingerprint/	as .fingerprint/<pkg>-H/
 *			P/build/<pkg>/H/out/		as deps/, or OUT_DIR
 *			P/build/<pkg>/H/run/{stdout,stderr,root-output,
 *				invoked.timestamp}
 *	both		P/{N,libN.rlib,libN.so,...,N.d}		finals
 *			P/incremental/<crate>-<hash>/...
 *			doc/... package/... tmp/...  also below the triple
 *
 * A profile may have any name, so a path of one or two directories and a file
 * is taken for a final; who needs more looks at what is beside it.
 *
 * Source: cargo's src/cargo/core/compiler/layout.rs, versions 1.60 to 1.101,
 * and the files that cargo 1.95 and 1.97 wrote.
 */
#ifndef CARGO_LAYOUT_H
#define CARGO_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>

#include "fs/cargo/span.h"

#define UNIT_HASH_LEN 16

enum layout_kind {
	LAYOUT_OTHER,	    /* not cargo's, or nothing we know */
	LAYOUT_META,	    /* small files that cargo itself writes */
	LAYOUT_ARTIFACT,    /* what compilers, linkers, build scripts write */
	LAYOUT_INCREMENTAL, /* rustc's incremental state: private to a view */
};

enum layout_role {
	ROLE_OTHER, /* nothing below */
	ROLE_TOP,   /* the target directory, a triple's, a profile's */
	ROLE_FRAME, /* CACHEDIR.TAG, lock files, .rustc_info.json */
	/* deps, build, examples, .fingerprint, and layout v2's build/<pkg> */
	ROLE_SECTION,
	/* a unit's directory in layout v2: build/<pkg>/H */
	ROLE_UNIT_DIR,
	/* fingerprints: .fingerprint/<pkg>-H/ or build/<pkg>/H/fingerprint/ */
	ROLE_FP_DIR,
	ROLE_FP_HASH,	 /* K: the u64 in hex */
	ROLE_FP_JSON,	 /* K.json */
	ROLE_FP_DEPINFO, /* dep-K */
	ROLE_FP_OUTPUT,	 /* output-K: rustc's messages */
	ROLE_FP_INVOKED, /* invoked.timestamp */
	/* rustc's outputs; their unit is known, or their name has no H */
	ROLE_RLIB,
	ROLE_RMETA,
	ROLE_DYLIB,	/* .so */
	ROLE_STATICLIB, /* .a */
	ROLE_PROGRAM,	/* no extension */
	ROLE_DFILE,	/* .d, rustc's dependencies of this unit */
	ROLE_SIDECAR,	/* any other extension with the unit's H: .dwp, .o */
	ROLE_TRANSIENT, /* rmetaXXXXXX/ and the like in deps/ */
	/* build/<pkg>-H/ of the classic layout: a compiled script or a run */
	ROLE_SCRIPT_DIR,
	ROLE_SCRIPT, /* build-script-build or build_script_build-H */
	/* a build script's run */
	ROLE_RUN_DIR,	  /* layout v2's run/ */
	ROLE_RUN_OUTPUT,  /* output; v2: run/stdout */
	ROLE_RUN_STDERR,  /* stderr */
	ROLE_RUN_ROOT,	  /* root-output: what OUT_DIR was */
	ROLE_RUN_INVOKED, /* invoked.timestamp */
	ROLE_OUT_DIR,	  /* out/; v2: of either meaning */
	ROLE_OUT_FILE,	  /* below it; v2: an output without H, or OUT_DIR's */
	/* P/<name>: hard links to outputs */
	ROLE_FINAL,
	ROLE_FINAL_DFILE,
	/* never shared */
	ROLE_INCREMENTAL,
	ROLE_DOC,
	ROLE_SCRATCH, /* package/, tmp/ */
};

struct layout {
	enum layout_kind kind;
	enum layout_role role;
	/* build/<pkg>/H/ and below. */
	bool per_unit;
	/* The unit's H inside the path, or NULL: the name tells no unit. */
	const char *unit;
	/* Bytes of the path up to P, without a slash behind it; 0: none. */
	size_t profile_len;
	/* LAYOUT_INCREMENTAL: bytes up to and with <crate>-<hash>, else 0. */
	size_t crate_len;
	/*
	 * The package's name where a directory carries H; else the file's name
	 * up to "-H" or, without H, its first dot ("libx" of "libx.so"). In
	 * layout v2 a package. Empty above units.
	 */
	struct span name;
	/*
	 * K of a fingerprint's file; the path below out/, run/ or the
	 * directory of the unit; else the file's own name. Empty for
	 * directories of a unit and above them.
	 */
	struct span file;
};

/* The directories of a profile where names carry a unit's H. */
#define LAYOUT_UNIT_DIRS 4
extern const char *const layout_unit_dirs[LAYOUT_UNIT_DIRS];

/* @path is relative to the target directory, "debug/deps/libx-H.rlib". */
struct layout layout_classify(const char *path);

/*
 * Whether the component @name (of @len bytes) carries a unit's H: exactly H,
 * or "-H" at its end or before its first dot. Returns H inside it, or NULL.
 */
const char *layout_unit_of(const char *name, size_t len);

/*
 * The crate of an output in deps/ that carries no H: "x" of "libx.so",
 * "libx.rlib", "libx.rmeta", "libx.a" and "x.d". Empty for all other names.
 */
struct span layout_crate_of(const char *name, size_t len);

#endif
