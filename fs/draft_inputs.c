/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a unit was made from; see draft.h. What rustc has read is in its .d
 * file, what a build script has in what it printed. The rest of this file is
 * about what neither says.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/cargo/buildout.h"
#include "fs/cargo/depinfo.h"
#include "fs/cargo/dfile.h"
#include "fs/cargo/layout.h"
#include "fs/cargo/macros.h"
#include "fs/draft.h"
#include "fs/hashes.h"
#include "fs/inputs.h"
#include "fs/mount.h"
#include "fs/unhashed.h"
#include "fs/view.h"
#include "store/base/broken.h"
#include "store/base/io.h"

/* --- sources ----------------------------------------------------------- */

static bool starts_with(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(path, dir, len) == 0 && path[len] == '/';
}

/* "a/../b" is within, "a/../../b" is not. */
static bool stays_within(const char *path)
{
	int depth = 0;

	for (size_t n; *path && depth >= 0; path += n, path += *path == '/') {
		n = strcspn(path, "/");
		if (n == 2 && memcmp(path, "..", 2) == 0)
			depth--;
		else if (n > 0 && !(n == 1 && *path == '.'))
			depth++;
	}
	return depth >= 0;
}

/* Packages of registries and git never change, as cargo sees it. */
static bool is_immutable(const struct draft *d, const char *path)
{
	const char *home = build_cargo_home(d->build);

	if (!starts_with(path, home))
		return false;
	path += strlen(home);
	if (starts_with(path, "/registry"))
		return stays_within(path + strlen("/registry/"));
	return starts_with(path, "/git") &&
	       stays_within(path + strlen("/git/"));
}

/* What the compiler has read is not known: nothing that is there by the next
 * build is equal to it. */
static int add_unknown(struct draft *d, enum unit_input_kind kind,
		       const char *name)
{
	static const struct digest none;
	int r = draft_add_input(d, kind, name, &none, "");

	return r < 0 ? r : -EPERM;
}

/*
 * The file, or the tree, as it is now, must be what the compiler has read:
 * neither it nor a directory that leads to it was changed since cargo began. A
 * ctime cannot be set back.
 */
static int add_path(struct draft *d, enum unit_input_kind kind,
		    const char *name)
{
	int fd = build_workspace_fd(d->build);
	const char *path = name + input_mark_len(name);
	struct unit_input in = { .kind = kind, .name = { name, strlen(name) } };
	int64_t moved;
	struct hashed h;
	int r;

	r = input_look(d->view, d->build, &in, &h);
	if (r == 0)
		r = hashes_moved(fd, path, &moved);
	if (r < 0)
		return r;
	if (h.ctime >= d->invoked && !broken("publish-changed"))
		return add_unknown(d, kind, name);
	if (moved >= d->invoked && !broken("publish-changed"))
		return -EPERM;
	return draft_add_input(d, kind, name, &h.digest, "");
}

static int copy_path(struct span s, char ret_path[PATH_MAX])
{
	if (s.len == 0 || s.len >= PATH_MAX || memchr(s.p, '\0', s.len))
		return -EBADMSG;
	memcpy(ret_path, s.p, s.len);
	ret_path[s.len] = '\0';
	return 0;
}

/* In OUT_DIR of a script that is among the dependencies, or nowhere. */
static bool is_generated(const struct draft *d, const char *path)
{
	const char *mount = view_mountpoint(d->view);
	size_t len = strlen(d->profile_path);

	if (!starts_with(path, mount))
		return false;
	path += strlen(mount) + 1;
	return strncmp(path, d->profile_path, len) == 0 &&
	       strncmp(path + len, "/build/", 7) == 0 &&
	       strstr(path, "/out/") != NULL;
}

static int add_source(struct draft *d, struct span s)
{
	char path[PATH_MAX];
	int r = copy_path(s, path);

	if (r < 0)
		return r;
	if (view_contains_path(d->view, path))
		return is_generated(d, path) ? 0 : -EPERM;
	if (path[0] == '/' && is_immutable(d, path))
		return 0;
	d->is_local = true;
	/* A macro has named it so, and cargo's own list may, too. */
	if (starts_with(path, d->view->workspace)) {
		r = draft_add_place(d);
		if (r < 0)
			return r;
	}
	return add_path(d, UNIT_SOURCE, path);
}

/* --- the environment --------------------------------------------------- */

static bool says_place(const struct draft *d, struct span value)
{
	const char *ws = d->view->workspace;
	const char *mount = view_mountpoint(d->view);

	return memmem(value.p, value.len, ws, strlen(ws)) ||
	       memmem(value.p, value.len, mount, strlen(mount));
}

int draft_add_place(struct draft *d)
{
	struct digest ws, target;
	int r;

	r = input_place_value(d->view->workspace, &ws);
	if (r == 0)
		r = input_place_value(view_mountpoint(d->view), &target);
	if (r == 0)
		r = draft_add_input(d, UNIT_PLACE, "workspace", &ws,
				    d->view->workspace);
	if (r == 0)
		r = draft_add_input(d, UNIT_PLACE, "target", &target,
				    view_mountpoint(d->view));
	return r;
}

static int add_env(struct draft *d, const char *name, const char *value)
{
	struct digest digest;
	int r = input_env_value(value, &digest);

	return r < 0 ? r
		     : draft_add_input(d, UNIT_ENV, name, &digest,
				       value ? value : "");
}

/* Those that cargo or a build script set are told by the fingerprint and by
 * the script's recipe; the manifest's are in the manifest. */
static int add_variable(struct draft *d, const struct dfile_env *env)
{
	_cleanup_free_ char *name = strndup(env->name.p, env->name.len);
	_cleanup_free_ char *value = NULL;
	const char *now;

	if (!name)
		return -ENOMEM;
	if (env->is_set && says_place(d, env->value) &&
	    !(strcmp(name, "OUT_DIR") == 0 && d->uses_out_dir))
		return draft_add_place(d);
	/* A place that we do not know: by a link, perhaps. */
	if (env->is_set && (strncmp(name, "CARGO_BIN_EXE_", 14) == 0 ||
			    strcmp(name, "CARGO_TARGET_TMPDIR") == 0))
		return -EPERM;
	if (strncmp(name, "CARGO", 5) == 0 || strcmp(name, "OUT_DIR") == 0)
		return 0;
	now = build_getenv(d->build, name);
	if (!env->is_set)
		return now ? -EPERM : add_env(d, name, NULL);
	value = strndup(env->value.p, env->value.len);
	if (!value)
		return -ENOMEM;
	return now && strcmp(now, value) == 0 ? add_env(d, name, value) : 0;
}

/* --- OUT_DIR ----------------------------------------------------------- */

#define SOURCE_MAX ((size_t)16 << 20)

/*
 * Whether OUT_DIR is used to include files only: then its path does not end
 * up in what is compiled. *ret_used: it is named at all; else a macro of
 * another crate has named it.
 */
static bool only_includes(struct draft *d, struct span source, bool *ret_used)
{
	_cleanup_free_ void *text = NULL;
	char path[PATH_MAX];
	size_t len;

	if (copy_path(source, path) < 0)
		return false;
	/* Generated code cannot be read from here, and has no such use that
	 * its own package would not have; in doubt there is none. */
	if (view_contains_path(d->view, path)) {
		struct buf b = { 0 };
		int64_t time;
		bool ok;

		ok = draft_read(d, path + strlen(view_mountpoint(d->view)) + 1,
				SOURCE_MAX, &b, &time) == 0 &&
		     macros_only_include(b.data, b.len, "OUT_DIR");
		*ret_used = *ret_used ||
			    (b.len && memmem(b.data, b.len, "OUT_DIR", 7));
		buf_release(&b);
		return ok;
	}
	if (read_small_file(build_workspace_fd(d->build), path, SOURCE_MAX,
			    &text, &len) < 0)
		return false;
	*ret_used = *ret_used || memmem(text, len, "OUT_DIR", 7);
	return macros_only_include(text, len, "OUT_DIR");
}

static bool out_dir_is_included_only(struct draft *d, const struct dfile *df)
{
	bool used = false, named = false;

	for (size_t i = 0; i < df->env_count; i++)
		used = used || span_is(df->envs[i].name, "OUT_DIR");
	for (size_t i = 0; used && i < df->source_count; i++)
		used = only_includes(d, df->sources[i], &named);
	return used && named;
}

/* --- what the compiler was given --------------------------------------- */

static const char *const kinds[] = { "lib-",	 "bin-",
				     "example-", "integration-test-",
				     "bench-",	 "build-script-",
				     NULL };

/* "test-integration-test-it" -> "it", with the path of its .d */
static int dfile_path(struct draft *d, const char *dir, char ret[PATH_MAX])
{
	const char *name = d->kind, *const * k;
	char hex[UNIT_HASH_LEN + 1], *at;
	int n;

	if (strncmp(name, "test-", 5) == 0)
		name += 5;
	for (k = kinds; *k && strncmp(name, *k, strlen(*k)) != 0; k++)
		;
	if (!*k)
		return -EBADMSG;
	name += strlen(*k);
	unit_hash_hex(d->hash, hex);
	if (strcmp(dir, "build") == 0)
		n = snprintf(ret, PATH_MAX, "%s/build/%s-%s/%s-%s.d",
			     d->profile_path, d->package, hex, name, hex);
	else
		n = snprintf(ret, PATH_MAX, "%s/%s/%s-%s.d", d->profile_path,
			     dir, name, hex);
	if (n < 0 || n >= PATH_MAX)
		return -ENAMETOOLONG;
	/* A crate's name has '_' where a target's has '-'. */
	at = strrchr(ret, '/') + 1;
	for (; at[UNIT_HASH_LEN + 3] != '\0'; at++)
		if (*at == '-')
			*at = '_';
	return 0;
}

/* A dynamic library's, which is named by its crate alone. */
static int read_unhashed_dfile(struct draft *d, struct buf *bytes)
{
	char path[PATH_MAX], crate[NAME_MAX + 1];
	struct unit *u;
	int64_t time;
	bool is_lib;
	int n;

	lock_acquire(&d->view->lock);
	u = unit_find_locked(d->view, d->profile, d->hash);
	is_lib = u && unhashed_crate_locked(d->view, u, crate);
	lock_release(&d->view->lock);
	if (!is_lib)
		return -ENOENT;
	free(d->crate);
	d->crate = strdup(crate);
	if (!d->crate)
		return -ENOMEM;
	n = snprintf(path, sizeof(path), "%s/deps/%s.d", d->profile_path,
		     crate);
	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	return draft_read(d, path, DFILE_MAX, bytes, &time);
}

static int read_dfile(struct draft *d, struct buf *bytes)
{
	static const char *const dirs[] = { "deps", "examples", "build" };
	char path[PATH_MAX];
	int64_t time;
	int r = -ENOENT;

	for (size_t i = 0; r == -ENOENT && i < ARRAY_LEN(dirs); i++) {
		r = dfile_path(d, dirs[i], path);
		if (r == 0)
			r = draft_read(d, path, DFILE_MAX, bytes, &time);
	}
	return r == -ENOENT ? read_unhashed_dfile(d, bytes) : r;
}

static bool is_of_crate(const struct draft *d, struct span output)
{
	const char *slash = memrchr(output.p, '/', output.len);
	const char *base = slash ? slash + 1 : output.p;

	return span_is(layout_crate_of(base,
				       (size_t)(output.p + output.len - base)),
		       d->crate);
}

static bool is_below(struct span path, struct span dir)
{
	return path.len > dir.len && path.p[dir.len] == '/' &&
	       memcmp(path.p, dir.p, dir.len) == 0;
}

static int look_at_outputs(struct draft *d, const struct dfile *df)
{
	struct span mount = span_of(view_mountpoint(d->view));
	char hex[UNIT_HASH_LEN + 1];

	unit_hash_hex(d->hash, hex);
	for (size_t i = 0; i < df->output_count; i++) {
		struct span o = df->outputs[i];

		if (d->crate ? !is_of_crate(d, o)
			     : !memmem(o.p, o.len, hex, UNIT_HASH_LEN))
			return -EPERM;
		/* Cargo knows the mount by another name: its paths are not
		 * those that are searched for. */
		if (!is_below(o, mount) && !broken("publish-alias"))
			return -EPERM;
		if (!span_ends(o, ".d") && !span_ends(o, ".rlib") &&
		    !span_ends(o, ".rmeta"))
			d->is_linked = true;
		/* No macro is without H. */
		if (span_ends(o, ".so") && !d->crate)
			d->is_macro = true;
	}
	return 0;
}

/* The directory of a source's package: the first above it with a manifest. */
static int find_package(struct draft *d, const char *source, char *ret_dir)
{
	char path[PATH_MAX + 16];
	int fd = build_workspace_fd(d->build);
	struct hashed h;
	int r;

	if (strlen(source) >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(ret_dir, source, strlen(source) + 1);
	for (;;) {
		char *slash = strrchr(ret_dir, '/');

		if (slash == ret_dir || strcmp(ret_dir, ".") == 0)
			return -ENOENT;
		if (slash)
			*slash = '\0';
		else
			(void)strcpy(ret_dir, ".");
		(void)snprintf(path, sizeof(path), "%s/Cargo.toml", ret_dir);
		r = hashes_file(d->view->mount->hashes, fd, path, &h);
		if (r != -ENOENT)
			return r;
	}
}

static int add_manifest(struct draft *d, struct span source)
{
	char path[PATH_MAX], name[PATH_MAX + 16];
	int r = copy_path(source, path);

	d->package_dir = calloc(1, PATH_MAX);
	if (!d->package_dir)
		return -ENOMEM;
	if (r == 0)
		r = find_package(d, path, d->package_dir);
	if (r < 0)
		return r;
	(void)snprintf(name, sizeof(name), "%s%s/Cargo.toml", INPUT_UNTRACKED,
		       d->package_dir);
	return add_path(d, UNIT_SOURCE, name);
}

/* All sources, even after an error: they are compared when the next build
 * begins, whatever becomes of the draft. */
static int add_all(struct draft *d, const struct dfile *df)
{
	const struct span *local = NULL;
	int r = 0;

	for (size_t i = 0; i < df->source_count; i++) {
		bool was = d->is_local;
		int s = add_source(d, df->sources[i]);

		if (d->is_local && !was)
			local = &df->sources[i];
		r = r < 0 ? r : s;
	}
	for (size_t i = 0; r == 0 && i < df->env_count; i++)
		r = add_variable(d, &df->envs[i]);
	return r == 0 && local ? add_manifest(d, *local) : r;
}

static int compiled_inputs(struct draft *d)
{
	struct dfile *df = &d->dfile;
	int r;

	dfile_release(df);
	*df = (struct dfile){ 0 };
	buf_reset(&d->dfile_bytes);
	r = read_dfile(d, &d->dfile_bytes);
	if (r == 0)
		r = dfile_parse(d->dfile_bytes.data, d->dfile_bytes.len, df);
	if (r < 0)
		return r;
	d->uses_out_dir = out_dir_is_included_only(d, df);
	r = add_all(d, df);
	return r < 0 ? r : look_at_outputs(d, df);
}

#define RUN_KIND "run-build-script-"

/* --- what a build script looked at ------------------------------------- */

/* Paths outside OUT_DIR are those of its origin for ever. */
static int guard_output(struct draft *d, const struct buildout *bo,
			struct span out_dir)
{
	struct span ws = span_of(d->view->workspace);
	struct span mount = span_of(view_mountpoint(d->view));
	struct buildout_cursor c = { 0 };
	struct buildout_path p;

	while (buildout_next_path(bo, out_dir, &c, &p))
		if (buildout_path_is_below(&p, ws) ||
		    buildout_path_is_below(&p, mount))
			return draft_add_place(d);
	return 0;
}

/* The digest of what it printed, with OUT_DIR wherever that is. */
static int digest_output(struct draft *d, const struct buf *output,
			 struct span out_dir)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	const char *at = (const char *)output->data;
	size_t left = output->len;

	while (left > 0) {
		const char *hit = memmem(at, left, out_dir.p, out_dir.len);
		size_t n = hit ? (size_t)(hit - at) : left;

		buf_put(&b, at, n);
		if (hit) {
			buf_u8(&b, 0);
			n += out_dir.len;
		}
		at += n;
		left -= n;
	}
	return b.err < 0 ? b.err : digest_of(b.data, b.len, &d->outputs);
}

static int run_path(struct draft *d, const char *name, char ret[PATH_MAX])
{
	char hex[UNIT_HASH_LEN + 1];
	int n;

	unit_hash_hex(d->hash, hex);
	n = snprintf(ret, PATH_MAX, "%s/build/%s-%s/%s", d->profile_path,
		     d->package, hex, name);
	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static int look_at_output(struct draft *d, struct buf *output, struct buf *root)
{
	struct span out_dir;
	struct buildout bo;
	char path[PATH_MAX];
	int64_t time;
	int r;

	r = run_path(d, "output", path);
	if (r == 0)
		r = draft_read(d, path, BUILDOUT_MAX, output, &time);
	if (r == 0)
		r = run_path(d, "root-output", path);
	if (r == 0)
		r = draft_read(d, path, PATH_MAX, root, &time);
	if (r < 0 || root->len == 0)
		return r < 0 ? r : -EBADMSG;
	out_dir = (struct span){ (const char *)root->data, root->len };
	if (!is_below(out_dir, span_of(view_mountpoint(d->view))) &&
	    !broken("publish-alias"))
		return -EPERM;
	r = buildout_parse(output->data, output->len, &bo);
	if (r < 0)
		return r;
	r = guard_output(d, &bo, out_dir);
	if (r == 0)
		r = digest_output(d, output, out_dir);
	buildout_release(&bo);
	return r;
}

/* The .d file of a compiled script; -ENOENT: the dependency is none. */
static int read_script_dfile(struct draft *d, const struct draft_dep *dep,
			     struct buf *bytes)
{
	char path[PATH_MAX], hex[UNIT_HASH_LEN + 1];
	int64_t time;
	int n;

	unit_hash_hex(dep->hash, hex);
	n = snprintf(path, sizeof(path), "%s/build/%s-%s/%s-%s.d", dep->path,
		     dep->package, hex, d->kind + strlen(RUN_KIND), hex);
	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	for (char *at = strrchr(path, '/'); at[UNIT_HASH_LEN + 3]; at++)
		if (*at == '-')
			*at = '_';
	return draft_read(d, path, DFILE_MAX, bytes, &time);
}

/*
 * Where the package of a script is: above its source. Among the dependencies
 * of a run are its own compiled script and other packages' runs.
 */
static int script_package_dir(struct draft *d, char ret_dir[PATH_MAX])
{
	_cleanup_(buf_release) struct buf bytes = { 0 };
	char path[PATH_MAX];
	struct draft_dep dep;
	struct dfile df;
	int r = -ENOENT;

	if (strncmp(d->kind, RUN_KIND, strlen(RUN_KIND)) != 0)
		return -EBADMSG;
	for (size_t i = 0; r == -ENOENT && i < d->fp.dep_count; i++) {
		r = draft_find_dep(d, d->fp.deps[i].value, &dep);
		if (r == 0)
			r = strcmp(dep.package, d->package) == 0
				    ? read_script_dfile(d, &dep, &bytes)
				    : -ENOENT;
	}
	if (r == 0)
		r = dfile_parse(bytes.data, bytes.len, &df);
	if (r < 0)
		return r;
	r = df.source_count > 0 ? copy_path(df.sources[0], path) : -EBADMSG;
	if (r == 0) {
		d->is_local = !is_immutable(d, path);
		r = find_package(d, path, ret_dir);
	}
	dfile_release(&df);
	return r;
}

/*
 * What may have been looked at without a word: all variables, and the files of
 * a package in the workspace.
 */
static int add_everything(struct draft *d)
{
	char name[PATH_MAX + 2];
	int r;

	r = draft_add_input(d, UNIT_ENV, INPUT_ENVIRONMENT,
			    build_environment(d->build), "");
	if (r < 0 || !d->package_dir)
		return r;
	(void)snprintf(name, sizeof(name), "%s%s", INPUT_UNTRACKED,
		       d->package_dir);
	return add_path(d, UNIT_TREE, name);
}

/* What a script that says nothing is run again for; and what it may have looked
 * at elsewhere in the workspace, or asked of git. */
static int add_package(struct draft *d)
{
	char name[PATH_MAX + 2];
	struct digest commit;
	int r;

	r = input_commit_value(d->view, &commit);
	if (r == 0 && !broken("silent-commit"))
		r = draft_add_input(d, UNIT_PLACE, INPUT_COMMIT, &commit, "");
	(void)snprintf(name, sizeof(name), "%s%s", INPUT_PACKAGE,
		       d->package_dir);
	if (r == 0 && !broken("silent-package"))
		r = add_path(d, UNIT_TREE, name);
	if (r == 0 && !broken("silent-workspace"))
		r = add_path(d, UNIT_TREE, INPUT_UNTRACKED ".");
	return r;
}

/* A path that the script named, from its package's directory. */
static int add_rerun(struct draft *d, const char *dir, struct span s)
{
	char path[PATH_MAX], rel[PATH_MAX];
	int r = copy_path(s, rel), n;

	if (r < 0)
		return r;
	n = snprintf(path, sizeof(path), "%s%s%s", rel[0] == '/' ? "" : dir,
		     rel[0] == '/' ? "" : "/", rel);
	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	if (view_contains_path(d->view, path))
		return -EPERM;
	if (is_immutable(d, path))
		return 0;
	r = add_path(d, UNIT_SOURCE, path);
	return r == -EISDIR ? add_path(d, UNIT_TREE, path) : r;
}

static bool says_inputs(const struct draft *d)
{
	for (size_t i = 0; i < d->fp.local_count; i++)
		if (d->fp.locals[i].kind == FINGERPRINT_PRECALCULATED)
			return false;
	return true;
}

/*
 * The script's own unit knows where its package is: its source's directory.
 * For a script that did not say what it looks at, cargo compares the time of
 * the package's newest file; what counts here is what is in all of them.
 */
static int run_inputs(struct draft *d)
{
	_cleanup_(buf_release) struct buf output = { 0 }, root = { 0 };
	char dir[PATH_MAX];
	bool silent = false;
	int r;

	r = look_at_output(d, &output, &root);
	if (r == 0)
		r = script_package_dir(d, dir);
	for (size_t i = 0; r == 0 && i < d->fp.local_count; i++) {
		const struct fingerprint_local *l = &d->fp.locals[i];
		struct fingerprint_newest newest;

		silent = silent || (l->kind == FINGERPRINT_PRECALCULATED &&
				    fingerprint_newest_parse(l->text, &newest));
		for (size_t p = 0; r == 0 && p < l->path_count; p++)
			r = add_rerun(d, dir, l->paths[p]);
	}
	if (r < 0)
		return r;
	if (!d->is_local && silent)
		return -EPERM;
	/* Cargo trusts a package of a registry; and one that says what it
	 * looks at is taken at its word. */
	if (!d->is_local)
		return says_inputs(d) ? 0 : add_everything(d);
	d->package_dir = strdup(dir);
	r = d->package_dir ? 0 : -ENOMEM;
	if (r == 0 && silent)
		r = add_package(d);
	return r < 0 ? r : add_everything(d);
}

int draft_impure(struct draft *d)
{
	struct span package = span_of(d->package);

	if (d->is_macro && (d->is_local || !macros_are_pure(package)))
		d->impure = true;
	if (!d->impure || broken("winkin-impure"))
		return 0;
	return d->is_run && d->is_local ? 0 : add_everything(d);
}

int draft_inputs(struct draft *d)
{
	return d->is_run ? run_inputs(d) : compiled_inputs(d);
}
