/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who keeps a mount busy, by a look at /proc.
 */
#ifndef TOOLS_PROC_USERS_H
#define TOOLS_PROC_USERS_H

/*
 * The processes that have their working directory, their root, their program
 * or an open file under @dir, as "cargo (pid 17), bash (pid 4)"; NULL in
 * *ret_text when none is seen (those of other users stay hidden to a plain
 * user). The caller frees it.
 */
int proc_users(const char *dir, char **ret_text);

#endif
