/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all verbs share: how to speak to the user, which store is meant, and
 * how to open it.
 *
 * Messages go to standard error, begin with "targetfs: ", and say what is
 * wrong and then what to do. Results go to standard output.
 */
#ifndef TOOLS_COMMON_H
#define TOOLS_COMMON_H

#include <stddef.h>
#include <stdint.h>

struct store;

/* Besides EXIT_SUCCESS and EXIT_FAILURE. */
#define EXIT_USAGE 2

/* "targetfs: MESSAGE\n" */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* "targetfs: MESSAGE: strerror\n"; @r is a negative errno. Returns @r. */
int say_error(int r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Each line of @text as a message of its own; nothing when it is empty. */
void say_lines(const char *text);
/*
 * Writes standard output out and returns @status, or EXIT_FAILURE with a
 * message when that fails and @status was 0 (a full disk, a closed pipe).
 */
int flush_output(int status);

/*
 * Which store is meant: @option (of --store, may be NULL), else
 * $TARGETFS_STORE, else $XDG_CACHE_HOME/targetfs/store, else
 * ~/.cache/targetfs/store. The path is absolute; the store need not exist.
 * Says what is wrong itself.
 */
int store_choose(const char *option, char **ret_path);

/*
 * store_open(), with every error told to the user. Where the index has no
 * reader slot for our pid (-EAGAIN: another PID namespace uses the same) it
 * goes on in a child, whose exit status this process passes on: so call it
 * before output is buffered or threads are started. Opens read-only by itself
 * when the medium is.
 */
int store_open_or_say(const char *path, unsigned flags,
		      struct store **ret_store);
/* The same, but leaves -EBADMSG to the caller unsaid. */
int store_open_damaged(const char *path, unsigned flags,
		       struct store **ret_store);
/* Says why the store at @path could not be opened; the same as text. */
void say_store_error(const char *path, int r);
void store_error_text(const char *path, int r, char *ret_text, size_t size);

#endif
