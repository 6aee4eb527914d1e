/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The unit index: what one compilation of cargo made (a unit object: its
 * files, as blobs) and what it was made from, found again by two steps, as in
 * ccache. The hash in cargo's file names leads to the lists of inputs that
 * were seen with it; a list's inputs, as they are now, lead to the objects
 * made from just these. Grammar of the rows: schema.h.
 *
 * To find an object:
 *
 *	unit_lists(st, hash, &scope, fn)	for each list, in fn:
 *		values of list->inputs[], looked up by the caller
 *		unit_values_digest(...)
 *		unit_find(st, &key, fn)		each object made from these
 *
 * To publish one, once all its blobs are in the store and durable:
 *
 *	unit_key_of(&obj, &key)			lists and values, from inputs
 *	unit_publish(st, &key, &obj)
 *
 * An object holds a reference to each of its blobs, as a node of a view does.
 * A blob that is dropped between unit_find() and the commit of a view that
 * shows it outlives that by the grace of blob_sweep().
 *
 * Threads: any. An object belongs to one thread.
 */
#ifndef STORE_UNIT_H
#define STORE_UNIT_H

#include <stddef.h>
#include <stdint.h>

#include "store/base/buf.h"
#include "store/digest.h"
#include "store/record.h"

struct store;

struct unit_key {
	uint64_t hash;	      /* cargo's, the H in "libx-H.rlib"; never 0 */
	struct digest scope;  /* toolchain, flags, ...: the caller's affair */
	struct digest list;   /* unit_list_digest() */
	struct digest values; /* unit_values_digest() */
	uint64_t fpr;	      /* cargo's fingerprint */
};

enum unit_input_kind {
	UNIT_SOURCE = 1, /* a file: relative to the workspace, or absolute */
	UNIT_ENV = 2,	 /* an environment variable */
	UNIT_DEP = 3,	 /* "<profile directory>/<hash>"; the recipe */
	UNIT_TREE = 4,	 /* a directory with all below it; as UNIT_SOURCE */
	UNIT_PLACE = 5,	 /* where workspace or target are; may be nameless */
};

struct unit_input {
	uint8_t kind;	       /* enum unit_input_kind */
	struct span_str name;  /* not empty, but for UNIT_PLACE */
	struct digest value;   /* of what it was, or is now */
	struct span_str shown; /* the value for human readers, may be empty */
};

/* Of a list, the inputs' kinds and names count; value and shown are zero. */
struct unit_list {
	struct unit_input *inputs;
	size_t count;
};

enum unit_file_type {
	UNIT_REG = 1,
	UNIT_LINK = 2, /* a hard link to a UNIT_REG that comes before it */
	UNIT_SYM = 3,
	UNIT_DIR = 4,
};

struct unit_file {
	uint8_t type; /* enum unit_file_type */
	/*
	 * Permissions and the sticky bit, no more: set-id bits are refused on
	 * files, and a new directory has its parent's. A link has its file's.
	 */
	uint32_t mode;
	/* Relative to the profile directory: "deps/libx-H.rlib". */
	struct span_str path;
	uint64_t size;		/* UNIT_REG */
	struct digest digest;	/* UNIT_REG; of size 0: digest_of_nothing */
	uint32_t link;		/* UNIT_LINK: the file's index */
	struct span_str target; /* UNIT_SYM */
};

struct unit_object {
	uint8_t flags;		 /* the caller's affair */
	struct span_str profile; /* its directory, as "release" */
	struct span_str package; /* "serde" of "serde-H" */
	struct span_str writer;	 /* who has built it */
	int64_t created;	 /* CLOCK_REALTIME seconds */
	uint32_t compile_msec;
	struct span_str origin_workspace; /* absolute, or empty */
	struct span_str origin_target;	  /* absolute, or empty */
	struct digest recipe;
	struct unit_input *inputs;
	size_t input_count;
	struct unit_file *files;
	size_t file_count;
};

extern const struct digest digest_of_nothing;

/* Of a profile, package, writer: two file names and a slash, and to spare. */
#define UNIT_TEXT_MAX 1023
/* Of an input's name: a path, or the name of a variable. */
#define UNIT_NAME_MAX 4095
/* Of what is shown of an input's value; longer ones are the caller's to cut. */
#define UNIT_SHOWN_MAX 1023

/*
 * Encoders append to @out; on error it is as it was. -EINVAL: the decoder
 * would refuse it, as something is too long, or holds a NUL, or is of an
 * unknown kind; a path is not canonical, or absolute, or leads through ".."; a
 * path is there twice, or below one that is no directory. -E2BIG: it does not
 * fit in a row (1 MiB). -ENOMEM.
 *
 * Decoders answer -EBADMSG to what is no such record, or -ENOMEM. Strings are
 * borrowed from @p; the arrays are the result's: unit_*_release().
 */
int unit_object_encode(const struct unit_object *obj, struct buf *out);
int unit_object_decode(const void *p, size_t len, struct unit_object *ret_obj);
void unit_object_release(struct unit_object *obj);
int unit_list_encode(const struct unit_list *list, struct buf *out);
int unit_list_decode(const void *p, size_t len, struct unit_list *ret_list);
void unit_list_release(struct unit_list *list);

/*
 * Of the list's encoding: the order of inputs counts. Publishers sort them, so
 * that equal sets make one list. Errors: as unit_list_encode().
 */
int unit_list_digest(const struct unit_list *list, struct digest *ret_digest);
/* Of the inputs' values, in their order. -ENOMEM */
int unit_values_digest(const struct unit_input *inputs, size_t count,
		       struct digest *ret_digest);
/* Sets key->list and key->values; errors as above. */
int unit_key_of(const struct unit_object *obj, struct unit_key *key);

/*
 * One durable transaction: the object's row, its list's (if that is new), and
 * one reference for each UNIT_REG with bytes. Nothing has changed on
 *	-EEXIST	an object with that key is there;
 *	-ENOENT	a blob is not there, or of another size;
 *	-EINVAL	unit_object_encode() refuses it, the key is not of its inputs,
 *		or the hash is 0; -E2BIG;
 *	and -ENOSPC, -EIO, -EBADMSG, -ENOMEM ... as index.h says.
 * A row that is damaged counts as none, and is replaced.
 * State after SIGKILL or power loss: all of it or nothing.
 */
int unit_publish(struct store *st, const struct unit_key *key,
		 const struct unit_object *obj);

/*
 * Walks end when @fn returns non-zero, which is returned. Rows that are
 * damaged are left out; -EBADMSG is a damaged page.
 *
 * The lists seen with this hash and scope. They are read first, at once: @fn
 * is called outside of any transaction and may do as it likes. The list is
 * gone when it returns.
 */
int unit_lists(struct store *st, uint64_t hash, const struct digest *scope,
	       int (*fn)(const struct unit_list *list,
			 const struct digest *list_digest, void *arg),
	       void *arg);
/*
 * The objects of a key, whatever the fingerprint (key->fpr is not looked at),
 * still encoded. @fn runs within a read transaction: it may not change the
 * store, and copies what it wants to keep.
 */
int unit_find(struct store *st, const struct unit_key *key,
	      int (*fn)(uint64_t fpr, const void *object, size_t len,
			void *arg),
	      void *arg);
/* All objects of a hash, or of all (0), in order of their keys; as
 * unit_find(). */
int unit_foreach(struct store *st, uint64_t hash,
		 int (*fn)(const struct unit_key *key,
			   const struct unit_object *obj, void *arg),
		 void *arg);

/*
 * Forgets an object, and its list with its last object; the blobs lose their
 * references. One durable transaction. -ENOENT. Of an object that is damaged
 * the blobs keep their references until fsck counts anew.
 */
int unit_drop(struct store *st, const struct unit_key *key);

#endif
