/* SPDX-License-Identifier: Apache-2.0 */
/* Drafts of unit objects; see draft.h. What they are made from is in
 * draft_inputs.c. */
#include "config.h"

#include "fs/draft.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "fs/cargo/array.h"
#include "fs/cargo/layout.h"
#include "fs/content.h"
#include "fs/inputs.h"
#include "fs/repair.h"
#include "fs/unhashed.h"
#include "fs/view.h"
#include "store/base/broken.h"

/* --- memory ------------------------------------------------------------ */

const char *draft_string(struct draft *d, const char *s, size_t len)
{
	char **room, *copy;

	room = array_room(d->strings, d->string_count, sizeof(*room));
	copy = room ? strndup(s, len) : NULL;
	if (room)
		d->strings = room;
	if (copy)
		d->strings[d->string_count++] = copy;
	return copy;
}

int draft_add_input(struct draft *d, enum unit_input_kind kind,
		    const char *name, const struct digest *value,
		    const char *shown)
{
	struct unit_object *o = &d->obj;
	struct unit_input *in;

	in = array_room(o->inputs, o->input_count, sizeof(*in));
	if (!in)
		return -ENOMEM;
	o->inputs = in;
	name = draft_string(d, name, strlen(name));
	shown = draft_string(d, shown, strnlen(shown, UNIT_SHOWN_MAX));
	if (!name || !shown)
		return -ENOMEM;
	in[o->input_count++] = (struct unit_input){
		.kind = kind,
		.name = { name, strlen(name) },
		.value = *value,
		.shown = { shown, strlen(shown) },
	};
	return 0;
}

void draft_release(struct draft *d)
{
	for (size_t i = 0; i < d->string_count; i++)
		free(d->strings[i]);
	free(d->strings);
	free(d->profile_path);
	free(d->package);
	free(d->kind);
	free(d->crate);
	free(d->dep_norms);
	free(d->package_dir);
	fingerprint_release(&d->fp);
	dfile_release(&d->dfile);
	buf_release(&d->dfile_bytes);
	buf_release(&d->json);
	buf_release(&d->hash_file);
	unit_object_release(&d->obj);
	build_unref(d->build);
	*d = (struct draft){ 0 };
}

/* --- reading the view -------------------------------------------------- */

static struct node *find_path_locked(struct view *v, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;
	const char *base = slash ? slash + 1 : path;
	struct node *dir = view_walk_locked(v, path, len);
	struct name *nm = NULL;

	if (dir)
		nm = name_find_locked(v, dir, base, strlen(base));
	return nm ? nm->node : NULL;
}

int draft_read(struct draft *d, const char *path, size_t max,
	       struct buf *ret_bytes, int64_t *ret_mtime)
{
	struct view *v = d->view;
	struct node *n;
	uint64_t ino = 0;
	ssize_t got = 0;
	size_t size;
	void *to;
	int r;

	lock_acquire(&v->lock);
	n = find_path_locked(v, path);
	if (n)
		ino = n->ino;
	lock_release(&v->lock);
	r = n ? view_pin_file(v, ino, &n) : -ENOENT;
	if (r < 0)
		return r;
	size = n->size;
	*ret_mtime = n->mtime;
	if (size > max)
		r = -EFBIG;
	to = r == 0 ? buf_grow(ret_bytes, size) : NULL;
	if (to)
		got = content_read(v, n, to, size, 0);
	view_unpin_file(v, n);
	if (r == 0)
		r = ret_bytes->err;
	if (r == 0 && got != (ssize_t)size)
		r = got < 0 ? (int)got : -EAGAIN;
	return r;
}

/* --- the beginning ----------------------------------------------------- */

static int copy_names_locked(struct draft *d, const struct node *dir)
{
	const struct name *nm = dir->names;
	char path[PATH_MAX];
	struct layout l;

	if (!nm || name_path_locked(nm, path, sizeof(path)) < 0)
		return -ENOENT;
	l = layout_classify(path);
	if (l.role != ROLE_FP_DIR)
		return -ENOENT;
	d->profile_path = strndup(path, l.profile_len);
	d->package = strndup(l.name.p, l.name.len);
	for (nm = dir->dir.first; nm; nm = nm->next) {
		if (nm->len <= 5 || strcmp(nm->s + nm->len - 5, ".json") != 0)
			continue;
		/* Units without H share the directory: a library, its
		 * documentation, examples that are libraries. Which of them
		 * the other files are of is not known. */
		if (d->kind)
			return -EPERM;
		d->kind = strndup(nm->s, nm->len - 5);
	}
	if (!d->kind)
		return -ENOENT;
	return d->profile_path && d->package ? 0 : -ENOMEM;
}

static int take_place(struct draft *d)
{
	struct view *v = d->view;
	struct unit *u;
	struct node *dir;
	int r = -ENOENT;

	lock_acquire(&v->lock);
	u = unit_find_locked(v, d->profile, d->hash);
	dir = u && u->state == UNIT_BUILT ? node_find_locked(v, u->fingerprint)
					  : NULL;
	if (dir && node_is_dir(dir) && u->build) {
		d->generation = u->generation;
		d->begun = u->begun;
		d->fingerprint = u->fingerprint;
		d->build = build_ref(u->build);
		r = copy_names_locked(d, dir);
	}
	lock_release(&v->lock);
	return r;
}

static int read_fingerprint(struct draft *d)
{
	char path[PATH_MAX], hex[UNIT_HASH_LEN + 1];
	int64_t time;
	int n, r;

	unit_hash_hex(d->hash, hex);
	n = snprintf(path, sizeof(path), "%s/.fingerprint/%s-%s/%s.json",
		     d->profile_path, d->package, hex, d->kind);
	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	r = draft_read(d, path, FINGERPRINT_MAX, &d->json, &d->finished);
	if (r < 0)
		return r;
	path[n - 5] = '\0'; /* without .json: the hash */
	r = draft_read(d, path, FINGERPRINT_HASH_LEN, &d->hash_file, &time);
	if (r < 0)
		return r;
	return fingerprint_load(d->json.data, d->json.len, d->hash_file.data,
				d->hash_file.len, &d->fp);
}

static int read_invoked(struct draft *d)
{
	char path[PATH_MAX], hex[UNIT_HASH_LEN + 1];
	struct buf bytes = { 0 };
	int n, r;

	unit_hash_hex(d->hash, hex);
	n = snprintf(path, sizeof(path), "%s/%s/%s-%s/invoked.timestamp",
		     d->profile_path, d->is_run ? "build" : ".fingerprint",
		     d->package, hex);
	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	r = draft_read(d, path, 4096, &bytes, &d->invoked);
	buf_release(&bytes);
	return r;
}

int draft_begin(struct draft *d, struct view *v, uint64_t profile,
		uint64_t hash)
{
	int r;

	*d = (struct draft){ .view = v, .profile = profile, .hash = hash };
	r = take_place(d);
	if (r == 0)
		r = read_fingerprint(d);
	if (r < 0)
		return r;
	if (strncmp(d->kind, "doc-", 4) == 0)
		return -EPERM;
	d->is_run = strncmp(d->kind, "run-", 4) == 0;
	d->key.hash = hash;
	d->key.fpr = fingerprint_value(&d->fp);
	return read_invoked(d);
}

/* --- dependencies ------------------------------------------------------ */

static int name_dep_locked(struct view *v, const struct unit *u,
			   struct draft_dep *dep)
{
	struct node *fp = node_find_locked(v, u->fingerprint);
	char path[PATH_MAX];
	struct layout l;

	if (!fp || !fp->names ||
	    name_path_locked(fp->names, path, sizeof(path)) < 0)
		return -EAGAIN;
	l = layout_classify(path);
	if (l.profile_len >= sizeof(dep->path) ||
	    l.name.len >= sizeof(dep->package))
		return -ENAMETOOLONG;
	memcpy(dep->path, path, l.profile_len);
	dep->path[l.profile_len] = '\0';
	memcpy(dep->package, l.name.p, l.name.len);
	dep->package[l.name.len] = '\0';
	return 0;
}

int draft_find_dep(struct draft *d, uint64_t fpr, struct draft_dep *ret_dep)
{
	struct view *v = d->view;
	struct unit *u;
	unsigned count;
	int r = -EPERM;

	lock_acquire(&v->lock);
	u = unit_by_fingerprint_locked(v, fpr, &count);
	if (count == 0)
		r = -EAGAIN;
	else if (count == 1 && (u->begun < d->begun || broken("publish-dep")))
		r = name_dep_locked(v, u, ret_dep);
	if (r == 0) {
		ret_dep->profile = u->profile;
		ret_dep->hash = u->hash;
		ret_dep->id = u->id;
	}
	lock_release(&v->lock);
	return r;
}

static int dep_input(struct draft *d, size_t i)
{
	char name[512], shown[512], hex[UNIT_HASH_LEN + 1];
	struct draft_dep dep;
	int r;

	r = draft_find_dep(d, d->fp.deps[i].value, &dep);
	if (r < 0)
		return r;
	unit_hash_hex(dep.hash, hex);
	(void)snprintf(name, sizeof(name), "%s/%s",
		       dep.profile == d->profile ? "." : dep.path, hex);
	d->impure = d->impure || dep.id.flags & UNIT_IMPURE;
	d->needs_local = d->needs_local || dep.id.flags & UNIT_LOCAL;
	d->stamp = MAX(d->stamp, dep.id.stamp);
	d->dep_norms[i] = dep.id.norm;
	repair_show(dep.package, d->fp.deps[i].value, shown, sizeof(shown));
	return draft_add_input(d, UNIT_DEP, name, &dep.id.recipe, shown);
}

int draft_deps(struct draft *d)
{
	size_t inputs = d->obj.input_count;
	int r = 0;

	if (!d->dep_norms)
		d->dep_norms =
			calloc(d->fp.dep_count + 1, sizeof(*d->dep_norms));
	if (!d->dep_norms)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < d->fp.dep_count; i++)
		r = dep_input(d, i);
	if (r < 0)
		d->obj.input_count = inputs;
	return r;
}

/* --- files ------------------------------------------------------------- */

struct files {
	struct draft *draft;
	const struct node **nodes; /* of obj.files */
	size_t prefix; /* bytes of the profile's path, and a slash */
};

static int set_bytes(struct unit_file *f, const struct node *n)
{
	f->size = n->size;
	if (n->flags & NF_HOT || n->handles > 0)
		return -EAGAIN;
	if (n->size == 0) {
		f->digest = digest_of_nothing;
		return 0;
	}
	if (n->content == CONTENT_BLOB && !(n->flags & NF_BLOB_NEW))
		f->digest = n->digest;
	else if (n->content == CONTENT_MEM && n->flags & NF_MEM_COMMITTED)
		f->digest = n->digest;
	else
		return -EAGAIN;
	return 0;
}

/* A second name of a file that is there already. */
static bool is_link(const struct files *fs, const struct node *n,
		    struct unit_file *f)
{
	for (size_t i = 0; i < fs->draft->obj.file_count; i++) {
		if (fs->nodes[i] != n)
			continue;
		f->type = UNIT_LINK;
		f->link = (uint32_t)i;
		return true;
	}
	return false;
}

static int describe_node(struct files *fs, const struct node *n,
			 struct unit_file *f)
{
	struct draft *d = fs->draft;

	f->mode = n->mode & 0777;
	if (node_is_dir(n)) {
		f->type = UNIT_DIR;
		return 0;
	}
	if (S_ISLNK(n->mode)) {
		f->type = UNIT_SYM;
		f->target.p = draft_string(d, n->target, n->size);
		f->target.len = n->size;
		return f->target.p ? 0 : -ENOMEM;
	}
	if (!node_is_reg(n) || n->xattrs)
		return -EPERM;
	d->stamp = MAX(d->stamp, n->mtime);
	if (n->nlink > 1 && is_link(fs, n, f))
		return 0;
	f->type = UNIT_REG;
	return set_bytes(f, n);
}

static int add_file(struct files *fs, const struct name *nm)
{
	struct unit_object *o = &fs->draft->obj;
	struct unit_file f = { 0 }, *files;
	const struct node **nodes;
	char path[PATH_MAX];
	int r;

	r = name_path_locked(nm, path, sizeof(path));
	if (r < 0)
		return r;
	f.path.len = strlen(path) - fs->prefix;
	f.path.p = draft_string(fs->draft, path + fs->prefix, f.path.len);
	if (!f.path.p)
		return -ENOMEM;
	r = describe_node(fs, nm->node, &f);
	if (r < 0)
		return r;
	files = array_room(o->files, o->file_count, sizeof(*files));
	if (files)
		o->files = files;
	nodes = array_room(fs->nodes, o->file_count, sizeof(*nodes));
	if (nodes)
		fs->nodes = nodes;
	if (!files || !nodes)
		return -ENOMEM;
	fs->nodes[o->file_count] = nm->node;
	o->files[o->file_count++] = f;
	return 0;
}

/* A name and, below a directory, all names: out/ may be deep, but not deeper
 * than a path may be long. */
static int add_tree(struct files *fs, const struct name *nm)
{
	int r = add_file(fs, nm);

	if (!node_is_dir(nm->node))
		return r;
	for (const struct name *c = nm->node->dir.first; r == 0 && c;
	     c = c->next)
		r = add_tree(fs, c);
	return r;
}

/* A file without H is whoever's wrote it last: this unit's if that was while
 * cargo made it. Nobody can set a ctime. */
static bool is_own(const struct draft *d, const struct node *n)
{
	return n->ctime >= d->invoked && n->ctime <= d->finished;
}

static int add_section(struct files *fs, const struct node *profile,
		       const char *section)
{
	const struct draft *d = fs->draft;
	struct view *v = d->view;
	struct name *nm;
	int r = 0;

	nm = name_find_locked(v, profile, section, strlen(section));
	if (!nm || !node_is_dir(nm->node))
		return 0;
	for (nm = nm->node->dir.first; r == 0 && nm; nm = nm->next) {
		if (!name_is_of_unit(nm, d->hash, d->crate ? d->crate : ""))
			continue;
		r = layout_unit_of(nm->s, nm->len) || is_own(d, nm->node)
			    ? add_tree(fs, nm)
			    : -EPERM;
	}
	return r;
}

static int add_all_locked(struct files *fs)
{
	struct draft *d = fs->draft;
	struct node *profile = node_find_locked(d->view, d->profile);
	struct unit *u = unit_find_locked(d->view, d->profile, d->hash);
	int r = 0;

	if (!profile || !u || u->generation != d->generation)
		return -ENOENT;
	/* From now on a change of them is one of the unit's. */
	u->unhashed = d->crate != NULL;
	for (size_t i = 0; r == 0 && i < LAYOUT_UNIT_DIRS; i++)
		r = add_section(fs, profile, layout_unit_dirs[i]);
	return r;
}

int draft_files(struct draft *d)
{
	struct files fs = { .draft = d, .prefix = strlen(d->profile_path) + 1 };
	int64_t stamp = d->stamp;
	int r;

	d->obj.file_count = 0;
	lock_acquire(&d->view->lock);
	r = add_all_locked(&fs);
	lock_release(&d->view->lock);
	free(fs.nodes);
	if (r < 0)
		d->stamp = stamp;
	return r;
}

/* --- the end ----------------------------------------------------------- */

static void put_digest(struct buf *b, const struct digest *d)
{
	buf_put(b, d->b, sizeof(d->b));
}

static void put_string(struct buf *b, const char *s)
{
	buf_str16(b, s ? s : "", s ? strlen(s) : 0);
}

/* A build script's outputs are what dependants were built with, whatever it
 * has looked at. */
static void put_outputs(struct draft *d, struct buf *b)
{
	for (size_t i = 0; i < d->obj.file_count; i++) {
		const struct unit_file *f = &d->obj.files[i];

		if (f->path.len < 6 || memcmp(f->path.p, "build/", 6) != 0 ||
		    f->type != UNIT_REG)
			continue;
		/* It says where it ran. */
		if (memmem(f->path.p, f->path.len, "/root-output", 12) ||
		    memmem(f->path.p, f->path.len, "/output", 7) ||
		    memmem(f->path.p, f->path.len, "/stderr", 7))
			continue;
		buf_str16(b, f->path.p, f->path.len);
		put_digest(b, &f->digest);
	}
	put_digest(b, &d->outputs);
}

/*
 * What a unit is to those that depend on it. rustc puts the workspace's path
 * into a crate's hash, and OUT_DIR where it is used: artifacts of two origins
 * do not go together then, whatever else is equal.
 */
static int make_recipe(struct draft *d)
{
	_cleanup_(buf_release) struct buf b = { 0 };

	buf_u8(&b, 1);
	buf_u64(&b, d->hash);
	buf_u64(&b, d->norm);
	put_digest(&b, &d->key.scope);
	put_digest(&b, &d->key.list);
	put_digest(&b, &d->key.values);
	put_string(&b, d->is_local ? d->view->workspace : NULL);
	put_string(&b, d->uses_out_dir ? view_mountpoint(d->view) : NULL);
	if (d->is_run)
		put_outputs(d, &b);
	if (b.err < 0)
		return b.err;
	return digest_of(b.data, broken("winkin-dep") ? 0 : b.len, &d->recipe);
}

static struct span_str text_of(const char *s)
{
	return (struct span_str){ s, strlen(s) };
}

static int by_kind_and_name(const void *a, const void *b)
{
	const struct unit_input *x = a, *y = b;
	int c = (int)x->kind - (int)y->kind;

	if (c == 0)
		c = memcmp(x->name.p, y->name.p, MIN(x->name.len, y->name.len));
	return c ? c
		 : (x->name.len > y->name.len) - (x->name.len < y->name.len);
}

static void drop_doubles(struct unit_object *o)
{
	size_t n = 0;

	qsort(o->inputs, o->input_count, sizeof(*o->inputs), by_kind_and_name);
	for (size_t i = 0; i < o->input_count; i++)
		if (n == 0 ||
		    by_kind_and_name(&o->inputs[n - 1], &o->inputs[i]) != 0)
			o->inputs[n++] = o->inputs[i];
	o->input_count = n;
}

int draft_finish(struct draft *d)
{
	struct unit_object *o = &d->obj;
	enum scope s = d->is_run      ? SCOPE_RUN
		       : d->is_linked ? SCOPE_LINKED
				      : SCOPE_PURE;
	int64_t msec = (d->finished - d->invoked) / 1000000;
	struct timespec now;
	int r;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	d->key.scope = *build_scope(d->build, s);
	d->norm = repair_norm(&d->fp, d->dep_norms);
	o->flags = (d->norm != d->key.fpr ? UNIT_REPAIR : 0) |
		   (d->impure ? UNIT_IMPURE : 0) |
		   (d->crate ? UNIT_UNHASHED : 0) |
		   (d->is_local || d->needs_local ? UNIT_LOCAL : 0);
	o->profile = text_of(d->profile_path);
	o->package = text_of(d->package);
	o->writer = text_of("user");
	o->created = now.tv_sec;
	o->compile_msec = (uint32_t)MAX(0, MIN(msec, UINT32_MAX));
	o->origin_workspace = text_of(d->view->workspace);
	o->origin_target = text_of(view_mountpoint(d->view));
	drop_doubles(o);
	r = unit_key_of(o, &d->key);
	if (r == 0)
		r = make_recipe(d);
	o->recipe = d->recipe;
	return r;
}
