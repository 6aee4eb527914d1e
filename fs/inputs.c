/* SPDX-License-Identifier: Apache-2.0 */
/* Inputs of units; see inputs.h. */
#include "config.h"

#include "fs/inputs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fs/build.h"
#include "fs/cargo/layout.h"
#include "fs/commit.h"
#include "fs/hashes.h"
#include "fs/mount.h"
#include "fs/outside.h"
#include "fs/units.h"
#include "fs/view.h"
#include "store/base/broken.h"
#include "store/base/macros.h"

int dep_name_parse(struct span_str name, struct dep_name *ret_dep)
{
	size_t len;

	if (name.len < UNIT_HASH_LEN + 2)
		return -EBADMSG;
	len = name.len - UNIT_HASH_LEN - 1;
	if (name.p[len] != '/' ||
	    !layout_unit_of(name.p + len + 1, UNIT_HASH_LEN))
		return -EBADMSG;
	ret_dep->profile = len == 1 && name.p[0] == '.' ? NULL : name.p;
	ret_dep->profile_len = len;
	ret_dep->hash = unit_hash_of(name.p + len + 1);
	return 0;
}

uint64_t dep_profile(struct view *v, uint64_t own, const struct dep_name *dep)
{
	struct node *dir;
	uint64_t ino;

	if (!dep->profile)
		return own;
	lock_acquire(&v->lock);
	dir = view_walk_locked(v, dep->profile, dep->profile_len);
	ino = dir ? dir->ino : 0;
	lock_release(&v->lock);
	return ino;
}

int input_env_value(const char *value, struct digest *ret_value)
{
	if (!value || broken("winkin-env"))
		return digest_of("unset", sizeof("unset"), ret_value);
	return digest_of(value, strlen(value), ret_value);
}

int input_place_value(const char *path, struct digest *ret_value)
{
	if (broken("winkin-place"))
		path = "";
	return path ? digest_of(path, strlen(path), ret_value) : -ENOENT;
}

int input_commit_value(struct view *v, struct digest *ret_value)
{
	char commit[COMMIT_MAX];
	int r = commit_of(v->workspace, view_mountpoint(v), commit);

	return r < 0 ? r : digest_of(commit, strlen(commit), ret_value);
}

/* Names in a list have no NUL, and more than PATH_MAX bytes never. */
static int copy_name(struct span_str name, char ret_name[PATH_MAX])
{
	if (name.len >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(ret_name, name.p, name.len);
	ret_name[name.len] = '\0';
	return 0;
}

/*
 * Build output below a package's directory, and what is no part of it. A
 * mount point is a view's, or another's; a module may be called "target", too.
 */
bool input_is_left_out(int dirfd, const char *name)
{
	_cleanup_close_ int fd = -1;

	if (strcmp(name, ".git") == 0)
		return true;
	if (strcmp(name, "target") != 0)
		return false;
	fd = outside_open(dirfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW);
	return fd == -EXDEV || (fd >= 0 && faccessat(fd, "CACHEDIR.TAG", F_OK,
						     AT_SYMLINK_NOFOLLOW) == 0);
}

/* Packages within the package are none of its own. */
static bool is_not_of_package(int dirfd, const char *name)
{
	char path[NAME_MAX + 16];

	if (input_is_left_out(dirfd, name))
		return true;
	(void)snprintf(path, sizeof(path), "%s/Cargo.toml", name);
	return faccessat(dirfd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

size_t input_mark_len(const char *name)
{
	return name[0] == INPUT_UNTRACKED[0] || name[0] == INPUT_PACKAGE[0];
}

int input_look(struct view *v, struct build *b, const struct unit_input *in,
	       struct hashed *ret_hashed)
{
	struct hashes *hashes = v->mount->hashes;
	char name[PATH_MAX], *path = name;
	int r;

	r = copy_name(in->name, name);
	if (r < 0)
		return r;
	path += input_mark_len(name);
	/* What the view holds is known by its unit, and cannot be read here. */
	if (view_contains_path(v, path))
		return -EXDEV;
	if (in->kind == UNIT_TREE)
		return hashes_tree(hashes, build_workspace_fd(b), path,
				   path == name ? NULL
				   : name[0] == INPUT_PACKAGE[0]
					   ? is_not_of_package
					   : input_is_left_out,
				   ret_hashed);
	return hashes_file(hashes, build_workspace_fd(b), path, ret_hashed);
}

static int file_value(struct view *v, struct build *b,
		      const struct unit_input *in, struct digest *ret_value,
		      int64_t *ret_time)
{
	struct hashed h;
	int r = input_look(v, b, in, &h);

	if (r < 0)
		return r;
	*ret_value = h.digest;
	*ret_time = input_mark_len(in->name.p) > 0 ? 0 : h.mtime;
	return 0;
}

int input_value(struct view *v, struct build *b, const struct unit_input *in,
		struct digest *ret_value, int64_t *ret_time)
{
	char name[PATH_MAX];
	int r;

	*ret_time = 0;
	r = copy_name(in->name, name);
	if (r < 0)
		return r;
	switch ((enum unit_input_kind)in->kind) {
	case UNIT_SOURCE:
	case UNIT_TREE:
		return file_value(v, b, in, ret_value, ret_time);
	case UNIT_ENV:
		if (strcmp(name, INPUT_ENVIRONMENT) == 0) {
			*ret_value = *build_environment(b);
			return 0;
		}
		return input_env_value(build_getenv(b, name), ret_value);
	case UNIT_PLACE:
		if (strcmp(name, INPUT_COMMIT) == 0)
			return input_commit_value(v, ret_value);
		return input_place_value(strcmp(name, "workspace") == 0
						 ? v->workspace
						 : v->mount->mountpoint,
					 ret_value);
	case UNIT_DEP:
		break;
	}
	return -EINVAL;
}
