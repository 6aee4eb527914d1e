/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `mount --import`: takes the files of a plain target directory over into the
 * view that is mounted in its place.
 *
 *	import_prepare()	looks, and says what forbids it; touches nothing
 *	import_set_aside()	DIR becomes DIR.import-<pid>; a new, empty DIR
 *	(mount DIR)		when that fails: import_put_back()
 *	import_take_over()	copies, verifies, makes durable, removes
 *
 * The renamed tree is removed last, and only when everything in it is in the
 * view, verified and durable. Whatever happens before - an error, SIGKILL,
 * power loss - it is still there, and the next `mount --import` finds it with
 * import_find() and goes on. A file then counts as taken over when type,
 * size, permissions and mtime are those of the original; each appears in the
 * view under its name only when it is whole. Where the view holds a different
 * file of the name (the user has built meanwhile) that one is kept, and the
 * renamed tree as well.
 */
#ifndef TOOLS_IMPORT_H
#define TOOLS_IMPORT_H

struct mount_job;

/*
 * The tree that an import left beside @dir. -ENOENT: none. -EEXIST: several,
 * which it says.
 */
int import_find(const char *dir, char **ret_aside);
/*
 * Is the view free, the tree one that can be copied, no cargo at work in it,
 * and is there room? Says why not. The locks of cargo are held from here to
 * the end of the process.
 */
int import_prepare(const struct mount_job *job);
int import_set_aside(const char *dir, char **ret_aside);
void import_put_back(const char *dir, const char *aside);
/* Says how it went, and where the rest is. */
int import_take_over(const char *aside, const struct mount_job *job);

#endif
