/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The units of cargo in a view, and what they were made from.
 *
 * A unit is found by the directory of its profile ("debug") and its H. While
 * its files are being written, or after anybody has changed one of them, it is
 * OPEN: nothing is known of it. Cargo writes a unit's json last: then it is
 * BUILT, and publish.c finds out what it was made from. With that, or when it
 * was bound from the store, it is KNOWN: its identity says what its files are,
 * and units that depend on it may be looked for.
 *
 * A unit's identity lies in an extended attribute of its fingerprint's
 * directory, which programs neither see nor set. It is written and dropped
 * under view.lock, together with the changes it speaks of, so each commit has
 * both or neither.
 *
 * Functions named _locked need view.lock, the others take it.
 */
#ifndef FS_UNITS_H
#define FS_UNITS_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/build.h"
#include "fs/cargo/span.h"
#include "store/digest.h"

struct name;
struct node;
struct view;

enum unit_state { UNIT_OPEN, UNIT_BUILT, UNIT_KNOWN };

enum unit_flag {
	/* Made with a proc-macro, or by a build script, that may have looked
	 * at more than it says. */
	UNIT_IMPURE = 1 << 0,
	/* The store has it: the key finds the object. */
	UNIT_STORED = 1 << 1,
	/* It, or something it depends on, is of the workspace. */
	UNIT_LOCAL = 1 << 2,
	/* Its outputs carry no H; see unhashed.h. */
	UNIT_UNHASHED = 1 << 3,
	/* Its fingerprint differs from checkout to checkout; see repair.h. */
	UNIT_REPAIR = 1 << 4,
};

struct unit_identity {
	struct digest scope, list, values; /* with H and fpr: its key */
	struct digest recipe; /* all of the above, and its dependencies' */
	uint64_t fpr;	      /* cargo's fingerprint, in the store */
	uint64_t here, norm;  /* in this view, and in none: see repair.h */
	int64_t stamp;	      /* its newest file: dependants may not be older */
	uint32_t flags;	      /* enum unit_flag */
};

/* What a unit was compiled from, as far as cargo compares it: known at once,
 * while the rest of the identity waits for blobs and dependencies. */
struct unit_source {
	char *name; /* owned; as in store/unit.h */
	uint8_t kind;
	struct digest value;
};

struct unit_sources {
	size_t count;
	struct unit_source source[];
};

struct unit {
	struct unit *next;
	struct unit *fpr_next; /* UNIT_KNOWN: of those with an equal one */
	uint64_t profile;      /* number of the profile's directory */
	uint64_t hash;
	uint64_t fingerprint; /* number of its directory, or 0 */
	enum unit_state state;
	/* Outputs without H: set while it is KNOWN, or about to be. */
	bool unhashed;
	/* Grows whenever something of it changes. */
	uint32_t generation;
	/*
	 * When it began to be what it is, in the view's count of such events:
	 * its compiler was started, or it was bound. What it was compiled
	 * against has begun before. 0: when the view was attached.
	 */
	uint64_t begun;
	uint64_t bound_by; /* number of the build it was bound for, or 0 */
	struct unit_identity id;      /* UNIT_KNOWN */
	struct unit_sources *sources; /* UNIT_BUILT, owned; NULL: not known */
	struct build *build; /* that compiles or compiled it, counted */
};

struct unit *unit_find_locked(struct view *v, uint64_t profile, uint64_t hash);
/* Makes it, UNIT_OPEN, when there is none. NULL: out of memory. */
struct unit *unit_get_locked(struct view *v, uint64_t profile, uint64_t hash);

/*
 * Whether the view has a whole unit that was not bound for this build. It may
 * depend on anything.
 */
bool units_older_locked(struct view *v, uint64_t build);

/* The KNOWN unit with this fingerprint, and how many have it; NULL: none. */
struct unit *unit_by_fingerprint_locked(struct view *v, uint64_t fpr,
					unsigned *ret_count);

/* All of them, in no order: NULL begins, and is the end. */
struct unit *units_next_locked(struct view *v, const struct unit *u);

/* The directory of its fingerprint, NULL: there is none. */
struct node *unit_fingerprint_locked(struct view *v, const struct unit *u);
/* The name of the first json in such a directory; NULL: there is none. */
struct name *unit_json_locked(const struct node *dir);
/* Something of it has changed: nothing is known of it any more. */
void unit_open_locked(struct view *v, struct unit *u);

/*
 * The unit that a name in a directory belongs to, or would. False: none that
 * could be shared.
 */
struct unit_place {
	uint64_t profile, hash;
};
bool unit_place_locked(struct view *v, uint64_t parent, const char *name,
		       struct unit_place *ret_place);
/* The same of an output without H: its profile, and the crate it is of. */
bool unit_crate_locked(struct view *v, uint64_t parent, const char *name,
		       uint64_t *ret_profile, struct span *ret_crate);

/*
 * What was made, or may be written from now on, has this name: the unit it
 * belongs to is open. Without memory for that, all units are.
 */
void units_changed_locked(struct view *v, const struct name *nm);
/* The same when the name is about to go. A directory above units takes them
 * all with it. */
void units_removed_locked(struct view *v, const struct name *nm);
/* The same for all names of a file. */
void units_written_locked(struct view *v, const struct node *n);

/* From now on it is another, as when its compiler is started. */
void unit_begins_locked(struct view *v, struct unit *u);

/* What the attribute says. False: it is none, or of another version. */
bool unit_identity_decode(const void *p, size_t len,
			  struct unit_identity *ret_id);

/* The unit is known from now on. -ENOMEM; -ENOENT: it has no fingerprint. */
int unit_set_identity_locked(struct view *v, struct unit *u,
			     const struct unit_identity *id);

/* Takes @sources over, if the unit is still the same. */
void unit_set_sources(struct view *v, uint64_t profile, uint64_t hash,
		      uint32_t generation, struct unit_sources *sources);
/* NULL: too little memory. */
struct unit_sources *unit_sources_new(size_t count);
struct unit_sources *unit_sources_copy(const struct unit_sources *s);
struct unit_sources *unit_sources_free(struct unit_sources *s); /* NULL */

/* False: it is not known. */
bool unit_known(struct view *v, uint64_t profile, uint64_t hash,
		struct unit_identity *ret_id);
/*
 * Gives all files of a known unit one time, if one of them is older than
 * @source, or all are older than @dep, and neither is yet to come. True if so.
 */
bool unit_restamp(struct view *v, uint64_t profile, uint64_t hash,
		  int64_t source, int64_t dep);
/* Removes what says that it was compiled, so that cargo compiles it and all
 * that depends on it. */
void unit_expire(struct view *v, uint64_t profile, uint64_t hash);
void unit_expire_locked(struct view *v, const struct unit *u);
/* Removes all its files. */
void unit_remove_locked(struct view *v, uint64_t profile, uint64_t hash);

/* Fills the table, when a view is attached: what is written whole but not
 * known is BUILT. */
int units_load_locked(struct view *v);
void units_release(struct view *v);

/* The hash in 16 hex digits, and back; @hex need not end. */
uint64_t unit_hash_of(const char *hex);
void unit_hash_hex(uint64_t hash, char ret_hex[17]);

#endif
