/* SPDX-License-Identifier: Apache-2.0 */
/* What a build script's run was made from: what it printed, its package, and
 * all that it may have looked at without a word; see draft.h. */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/cargo/buildout.h"
#include "fs/cargo/layout.h"
#include "fs/draft.h"
#include "fs/inputs.h"
#include "fs/view.h"
#include "store/base/broken.h"

#define RUN_KIND "run-build-script-"

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
	if (!span_is_below(out_dir, span_of(view_mountpoint(d->view))) &&
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
	r = df.source_count > 0 ? draft_copy_path(df.sources[0], path)
				: -EBADMSG;
	if (r == 0) {
		d->is_local = !draft_is_immutable(d, path);
		r = draft_find_package(d, path, ret_dir);
	}
	dfile_release(&df);
	return r;
}

/*
 * What may have been looked at without a word: all variables, and the files of
 * a package in the workspace.
 */
int draft_add_everything(struct draft *d)
{
	char name[PATH_MAX + 2];
	int r;

	r = draft_add_input(d, UNIT_ENV, INPUT_ENVIRONMENT,
			    build_environment(d->build), "");
	if (r < 0 || !d->package_dir)
		return r;
	(void)snprintf(name, sizeof(name), "%s%s", INPUT_UNTRACKED,
		       d->package_dir);
	return draft_add_path(d, UNIT_TREE, name);
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
		r = draft_add_path(d, UNIT_TREE, name);
	if (r == 0 && !broken("silent-workspace"))
		r = draft_add_path(d, UNIT_TREE, INPUT_UNTRACKED ".");
	return r;
}

/* A path that the script named, from its package's directory. */
static int add_rerun(struct draft *d, const char *dir, struct span s)
{
	char path[PATH_MAX], rel[PATH_MAX];
	int r = draft_copy_path(s, rel), n;

	if (r < 0)
		return r;
	n = snprintf(path, sizeof(path), "%s%s%s", rel[0] == '/' ? "" : dir,
		     rel[0] == '/' ? "" : "/", rel);
	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	if (view_contains_path(d->view, path))
		return -EPERM;
	if (draft_is_immutable(d, path))
		return 0;
	r = draft_add_path(d, UNIT_SOURCE, path);
	return r == -EISDIR ? draft_add_path(d, UNIT_TREE, path) : r;
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
int draft_run_inputs(struct draft *d)
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
		return says_inputs(d) ? 0 : draft_add_everything(d);
	d->package_dir = strdup(dir);
	r = d->package_dir ? 0 : -ENOMEM;
	if (r == 0 && silent)
		r = add_package(d);
	return r < 0 ? r : draft_add_everything(d);
}
