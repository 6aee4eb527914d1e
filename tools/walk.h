/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks a directory tree by descriptors: no symbolic link is followed, and
 * nobody can lead it elsewhere by swapping a directory meanwhile.
 */
#ifndef TOOLS_WALK_H
#define TOOLS_WALK_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct walk {
	/*
	 * Each may be NULL; a negative result ends the walk. @dirfd and @name
	 * name the entry, w->path is its path from the top of the walk.
	 */
	/* Anything but a directory. */
	int (*on_file)(struct walk *w, int dirfd, const char *name,
		       const struct stat *st);
	/* A directory, before its entries. */
	int (*on_enter)(struct walk *w, int dirfd, const char *name,
			const struct stat *st);
	/* A directory, after its entries; @fd is it. */
	int (*on_leave)(struct walk *w, int dirfd, const char *name,
			const struct stat *st, int fd);
	void *arg;
	/* What follows belongs to the walk. */
	char path[PATH_MAX];
	size_t len;
	dev_t dev;
};

/*
 * Walks what is below @fd, a directory; @fd itself is not reported. -EXDEV
 * for a mount point, -ENAMETOOLONG below PATH_MAX. After an error w->path
 * still names the entry.
 */
int walk_tree(struct walk *w, int fd);

/* What a walk found, or removed. */
struct tree_sums {
	uint64_t files; /* all but directories, by name */
	uint64_t dirs;
	uint64_t bytes;	 /* of regular files, each inode once */
	uint64_t blocks; /* of 512 bytes, likewise */
};

/*
 * Removes all that is below @fd, adding to *sums what is gone (may be NULL).
 * On error *ret_path (freed by the caller; may be NULL) says where it stopped.
 */
int tree_empty(int fd, struct tree_sums *sums, char **ret_path);
/* tree_empty() and the directory itself, by its path. */
int tree_remove(const char *path, char **ret_path);

#endif
