/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a unit was made from; see draft.h. What rustc has read is in its .d
 * file; what a build script has is in draft_run.c. The rest of this file is
 * about what neither says.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
bool draft_is_immutable(const struct draft *d, const char *path)
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
int draft_add_path(struct draft *d, enum unit_input_kind kind, const char *name)
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

int draft_copy_path(struct span s, char ret_path[PATH_MAX])
{
	if (s.len == 0 || s.len >= PATH_MAX || memchr(s.p, '\0', s.len))
		return -EBADMSG;
	memcpy(ret_path, s.p, s.len);
	ret_path[s.len] = '\0';
	return 0;
}

/* In OUT_DIR of a script that is among the dependencies, or nowhere. */
static bool draft_is_generated(const struct draft *d, const char *path)
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
	int r = draft_copy_path(s, path);

	if (r < 0)
		return r;
	if (view_contains_path(d->view, path))
		return draft_is_generated(d, path) ? 0 : -EPERM;
	if (path[0] == '/' && draft_is_immutable(d, path))
		return 0;
	d->is_local = true;
	/* A macro has named it so, and cargo's own list may, too. */
	if (starts_with(path, d->view->workspace)) {
		r = draft_add_place(d);
		if (r < 0)
			return r;
	}
	return draft_add_path(d, UNIT_SOURCE, path);
}

/* --- the environment --------------------------------------------------- */

static bool draft_says_place(const struct draft *d, struct span value)
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

static int draft_add_env(struct draft *d, const char *name, const char *value)
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
	if (env->is_set && draft_says_place(d, env->value) &&
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
		return now ? -EPERM : draft_add_env(d, name, NULL);
	value = strndup(env->value.p, env->value.len);
	if (!value)
		return -ENOMEM;
	return now && strcmp(now, value) == 0 ? draft_add_env(d, name, value)
					      : 0;
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

	if (draft_copy_path(source, path) < 0)
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
		if (!span_is_below(o, mount) && !broken("publish-alias"))
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
int draft_find_package(struct draft *d, const char *source, char *ret_dir)
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
	int r = draft_copy_path(source, path);

	d->package_dir = calloc(1, PATH_MAX);
	if (!d->package_dir)
		return -ENOMEM;
	if (r == 0)
		r = draft_find_package(d, path, d->package_dir);
	if (r < 0)
		return r;
	(void)snprintf(name, sizeof(name), "%s%s/Cargo.toml", INPUT_UNTRACKED,
		       d->package_dir);
	return draft_add_path(d, UNIT_SOURCE, name);
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

int draft_impure(struct draft *d)
{
	struct span package = span_of(d->package);

	if (d->is_macro && (d->is_local || !macros_are_pure(package)))
		d->impure = true;
	if (!d->impure || broken("winkin-impure"))
		return 0;
	return d->is_run && d->is_local ? 0 : draft_add_everything(d);
}

int draft_inputs(struct draft *d)
{
	return d->is_run ? draft_run_inputs(d) : compiled_inputs(d);
}
