/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which workspace does cargo build? It is told by where cargo was started, and
 * by the manifests from there upwards. Only one answer is needed: whether it
 * is certainly the one at a given place.
 */
#ifndef FS_WORKSPACE_H
#define FS_WORKSPACE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Whether cargo, started in the directory @dir, builds the workspace whose root
 * is @root. Both are absolute and have no symbolic links. A manifest that
 * cannot be read, or says what we do not understand, makes it false.
 */
bool workspace_is_built_in(const char *root, const char *dir);

/*
 * Finds where a command line of cargo starts: @argv of @len bytes, each word
 * ends with a NUL. *ret_manifest is the value of --manifest-path or NULL.
 * False: no subcommand that compiles the workspace in place.
 */
bool workspace_command(const char *argv, size_t len, const char **ret_manifest);

#endif
