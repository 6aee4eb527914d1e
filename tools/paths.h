/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths as the user gives them. A mount whose daemon died answers every look
 * at it with ENOTCONN, and a directory to be made is not there yet; both must
 * still have a real path.
 */
#ifndef TOOLS_PATHS_H
#define TOOLS_PATHS_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * The absolute real path of @arg. Components at its end that are absent, or
 * that do not answer, are kept as they are.
 */
int path_resolve(const char *arg, char **ret_path);
/* The real path of the directory that holds @arg's last component; a symbolic
 * link at the end is not followed. */
int path_parent(const char *arg, char **ret_path);
/* The component after the last slash; @path is absolute and real. */
const char *path_base(const char *path);
/* @path is @dir or lies under it; both absolute and real. */
bool path_within(const char *path, const char *dir);
/* The same file by device and inode, or the same string. */
bool path_same(const char *a, const char *b);
/* Makes the directory and its parents; *ret_made says whether @path itself
 * was made. -ENOTDIR when something else is there. */
int path_mkdirs(const char *path, mode_t mode, bool *ret_made);
/* 1 when the directory has no entries, 0 when it has some. */
int path_dir_empty(const char *path);

#endif
