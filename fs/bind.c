/* SPDX-License-Identifier: Apache-2.0 */
/* Binding units into a view; see bind.h. */
#include "config.h"

#include "fs/bind.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/build.h"
#include "fs/cargo/layout.h"
#include "fs/namei.h"
#include "fs/units.h"
#include "fs/view.h"
#include "store/base/broken.h"
#include "store/unit.h"

struct binding {
	struct view *view;
	struct node *profile;
	const struct unit_object *obj;
	int64_t stamp, now;
	const struct build *build;
	struct node **nodes; /* of the object's files, in their order */
	struct inos made;    /* directories and files, to undo */
};

/* The part of a path up to its last slash, and what is behind it. */
struct cut_path {
	struct span_str dir, base;
};

static struct cut_path cut(struct span_str path)
{
	const char *slash = memrchr(path.p, '/', path.len);
	size_t n = slash ? (size_t)(slash - path.p) : 0;

	if (!slash)
		return (struct cut_path){ { path.p, 0 }, path };
	return (struct cut_path){ { path.p, n },
				  { slash + 1, path.len - n - 1 } };
}

/* The directory at @path below the profile; NULL: there is none, or no
 * directory (*ret_clash). */
static struct node *walk(struct binding *b, struct span_str path,
			 bool *ret_clash)
{
	struct node *dir = b->profile;

	*ret_clash = false;
	while (path.len > 0) {
		const char *slash = memchr(path.p, '/', path.len);
		size_t n = slash ? (size_t)(slash - path.p) : path.len;
		struct name *nm = name_find_locked(b->view, dir, path.p, n);

		if (!nm)
			return NULL;
		*ret_clash = !node_is_dir(nm->node);
		if (*ret_clash)
			return NULL;
		dir = nm->node;
		n += slash != NULL;
		path = (struct span_str){ path.p + n, path.len - n };
	}
	return dir;
}

/* Before anything is made: no name but of directories may be there. */
static int check_free(struct binding *b)
{
	for (size_t i = 0; i < b->obj->file_count; i++) {
		const struct unit_file *f = &b->obj->files[i];
		struct cut_path p = cut(f->path);
		struct name *nm;
		struct node *dir;
		bool clash;

		dir = walk(b, p.dir, &clash);
		if (clash)
			return -EEXIST;
		nm = dir ? name_find_locked(b->view, dir, p.base.p, p.base.len)
			 : NULL;
		if (nm && !(f->type == UNIT_DIR && node_is_dir(nm->node)))
			return -EEXIST;
	}
	return 0;
}

/* --- making ------------------------------------------------------------ */

static int add_name(struct binding *b, struct node *dir, struct span_str name,
		    struct node *n)
{
	if (!name_add_locked(b->view, dir, name.p, name.len, n))
		return -ENOMEM;
	dir->mtime = dir->ctime = b->now;
	node_dirty_locked(b->view, dir);
	return 0;
}

static int new_node(struct binding *b, struct node *dir, struct span_str name,
		    uint32_t mode, struct node **ret_node)
{
	struct view *v = b->view;
	struct node *n = node_new_locked(v, 0, mode);
	int r;

	if (!n)
		return -ENOMEM;
	r = add_name(b, dir, name, n);
	if (r == 0)
		r = inos_add(&b->made, n->ino);
	if (r < 0 && n->names)
		name_remove_locked(v, n->names);
	if (r < 0) {
		node_check_locked(v, n);
		return r;
	}
	n->uid = build_uid(b->build);
	n->gid = dir->mode & S_ISGID ? dir->gid : build_gid(b->build);
	n->atime = n->mtime = b->stamp;
	n->ctime = b->now;
	n->nlink = S_ISDIR(mode) ? 2 : 1;
	if (S_ISDIR(mode)) {
		n->mode |= dir->mode & S_ISGID;
		dir->nlink++;
	}
	node_dirty_locked(v, n);
	*ret_node = n;
	return 0;
}

static int make_dirs(struct binding *b, struct span_str path,
		     struct node **ret_dir)
{
	struct cut_path p = cut(path);
	struct name *nm;
	struct node *up = b->profile;
	bool clash;
	int r;

	*ret_dir = walk(b, path, &clash);
	if (*ret_dir)
		return 0;
	if (p.dir.len > 0) {
		r = make_dirs(b, p.dir, &up);
		if (r < 0)
			return r;
	}
	nm = name_find_locked(b->view, up, p.base.p, p.base.len);
	if (nm) {
		*ret_dir = nm->node;
		return 0;
	}
	/* As the directory above it: cargo makes them all alike. */
	return new_node(b, up, p.base, S_IFDIR | (up->mode & 0777), ret_dir);
}

static int make_file(struct binding *b, const struct unit_file *f,
		     struct node *dir, struct span_str name,
		     struct node **ret_node)
{
	bool meta = false;
	int r;

	r = new_node(b, dir, name, S_IFREG | (f->mode & 0777), ret_node);
	if (r < 0)
		return r;
	meta = node_is_meta_locked(*ret_node);
	(*ret_node)->size = f->size;
	(*ret_node)->content = f->size > 0 ? CONTENT_BLOB : CONTENT_NONE;
	if (f->size > 0)
		(*ret_node)->digest = f->digest;
	if (meta)
		(*ret_node)->flags |= NF_META;
	return 0;
}

static int make_link(struct binding *b, const struct unit_file *f,
		     struct node *dir, struct span_str name)
{
	struct node *n = b->nodes[f->link];
	int r;

	r = add_name(b, dir, name, n);
	if (r == 0)
		n->nlink++;
	return r;
}

static int make_symlink(struct binding *b, const struct unit_file *f,
			struct node *dir, struct span_str name,
			struct node **ret_node)
{
	char *target = strndup(f->target.p, f->target.len);
	int r;

	if (!target)
		return -ENOMEM;
	r = new_node(b, dir, name, S_IFLNK | 0777, ret_node);
	if (r < 0) {
		free(target);
		return r;
	}
	(*ret_node)->target = target;
	(*ret_node)->size = f->target.len;
	(*ret_node)->content = CONTENT_SYMLINK;
	return 0;
}

static int make(struct binding *b, size_t i)
{
	const struct unit_file *f = &b->obj->files[i];
	struct cut_path p = cut(f->path);
	struct node *dir;
	int r;

	if (broken("bind-whole") && f->type == UNIT_REG &&
	    memmem(f->path.p, f->path.len, "/out/", 5))
		return 0;
	if (f->type == UNIT_DIR)
		return make_dirs(b, f->path, &b->nodes[i]);
	r = make_dirs(b, p.dir, &dir);
	if (r < 0)
		return r;
	switch ((enum unit_file_type)f->type) {
	case UNIT_REG:
		return make_file(b, f, dir, p.base, &b->nodes[i]);
	case UNIT_LINK:
		return make_link(b, f, dir, p.base);
	case UNIT_SYM:
		return make_symlink(b, f, dir, p.base, &b->nodes[i]);
	case UNIT_DIR:
		break;
	}
	return -EINVAL;
}

/* All that was made, newest first: directories are empty by then. */
static void undo(struct binding *b)
{
	struct view *v = b->view;

	for (size_t i = b->made.count; i-- > 0;) {
		struct node *n = node_find_locked(v, b->made.ino[i]);

		if (!n)
			continue;
		while (n->names) {
			if (node_is_dir(n))
				n->names->parent->nlink--;
			name_remove_locked(v, n->names);
		}
		n->nlink = 0;
		node_check_locked(v, n);
	}
}

/* --- the whole --------------------------------------------------------- */

static void note_fingerprint(struct binding *b, struct unit *u)
{
	static const char section[] = ".fingerprint/";
	struct node *dir;
	bool clash;

	for (size_t i = 0; i < b->obj->file_count; i++) {
		const struct unit_file *f = &b->obj->files[i];

		if (f->path.len < sizeof(section) || f->type == UNIT_DIR ||
		    memcmp(f->path.p, section, sizeof(section) - 1) != 0)
			continue;
		dir = walk(b, cut(f->path).dir, &clash);
		if (dir)
			u->fingerprint = dir->ino;
	}
}

static int bind_locked(struct binding *b, uint64_t hash,
		       const struct unit_identity *id)
{
	struct unit *u;
	int r;

	r = check_free(b);
	for (size_t i = 0; r == 0 && i < b->obj->file_count; i++)
		r = make(b, i);
	u = r == 0 ? unit_get_locked(b->view, b->profile->ino, hash) : NULL;
	if (r == 0 && !u)
		r = -ENOMEM;
	if (r == 0) {
		note_fingerprint(b, u);
		r = unit_set_identity_locked(b->view, u, id);
	}
	if (r == 0) {
		unit_begins_locked(b->view, u);
		u->bound_by = build_number(b->build);
	}
	if (r < 0)
		undo(b);
	return r;
}

int bind_unit(struct view *v, uint64_t profile, uint64_t hash,
	      const struct unit_object *obj, const struct unit_identity *id,
	      int64_t stamp, const struct build *build)
{
	struct binding b = {
		.view = v, .obj = obj, .stamp = stamp, .build = build
	};
	int r = -ENOENT;

	b.nodes = calloc(obj->file_count + 1, sizeof(*b.nodes));
	if (!b.nodes)
		return -ENOMEM;
	lock_acquire(&v->lock);
	b.now = view_now(v);
	b.profile = node_find_locked(v, profile);
	if (b.profile && node_is_dir(b.profile) && b.profile->nlink > 0)
		r = bind_locked(&b, hash, id);
	lock_release(&v->lock);
	free(b.nodes);
	free(b.made.ino);
	return r;
}
