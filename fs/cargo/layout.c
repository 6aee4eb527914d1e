/* SPDX-License-Identifier: Apache-2.0 */
/* Cargo's directory layouts; see layout.h. */
#include "config.h"

#include "fs/cargo/layout.h"

#include <string.h>

#include "store/base/macros.h"

/* Deeper than this is below out/, where the name no longer matters. */
#define PARTS_MAX 12

static bool is_one_of(struct span p, const char *const *list)
{
	for (; *list; list++)
		if (span_is(p, *list))
			return true;
	return false;
}

/* Something, and then @end. */
static bool has_ending(struct span p, const char *end)
{
	return p.len > strlen(end) && span_ends(p, end);
}

static bool is_hex(const char *s)
{
	for (size_t i = 0; i < UNIT_HASH_LEN; i++)
		if (!((s[i] >= '0' && s[i] <= '9') ||
		      (s[i] >= 'a' && s[i] <= 'f')))
			return false;
	return true;
}

const char *layout_unit_of(const char *name, size_t len)
{
	const char *dot = memchr(name, '.', len);

	if (dot)
		len = (size_t)(dot - name);
	if (len < UNIT_HASH_LEN || !is_hex(name + len - UNIT_HASH_LEN))
		return NULL;
	if (len > UNIT_HASH_LEN && name[len - UNIT_HASH_LEN - 1] != '-')
		return NULL;
	return name + len - UNIT_HASH_LEN;
}

static size_t split(const char *path, struct span parts[PARTS_MAX])
{
	size_t n = 0;

	while (*path && n < PARTS_MAX) {
		size_t len = strcspn(path, "/");

		parts[n++] = (struct span){ path, len };
		path += len;
		path += *path == '/';
	}
	return n;
}

/* From the beginning of a component to the end of the path. */
static struct span rest_of(struct span part)
{
	return span_of(part.p);
}

const char *const layout_unit_dirs[LAYOUT_UNIT_DIRS] = { ".fingerprint",
							 "build", "deps",
							 "examples" };

static const char *const sections[] = { "deps",	       "build",
					"examples",    ".fingerprint",
					"incremental", NULL };

/* Files at the top of the target directory or of a profile. */
static const char *const top_files[] = {
	"CACHEDIR.TAG",	     ".rustc_info.json",     ".cargo-lock",
	".cargo-build-lock", ".cargo-artifact-lock", NULL
};

static const char *const scratch_dirs[] = { "package", "tmp", NULL };

/* The unit that a component names, and the component's name without it. */
static void take_name(struct span part, struct layout *l)
{
	l->unit = layout_unit_of(part.p, part.len);
	if (!l->unit)
		l->name = span_first(part, span_find(part, '.'));
	else if (l->unit > part.p)
		l->name = span_first(part, (size_t)(l->unit - part.p) - 1);
	else
		l->name = span_first(part, 0);
}

/* What a file in a unit's directory of fingerprints is. */
static enum layout_role fingerprint_role(struct span *file)
{
	if (span_is(*file, "invoked.timestamp"))
		return ROLE_FP_INVOKED;
	if (has_ending(*file, ".json")) {
		file->len -= strlen(".json");
		return ROLE_FP_JSON;
	}
	if (span_starts(*file, "dep-")) {
		*file = span_from(*file, strlen("dep-"));
		return ROLE_FP_DEPINFO;
	}
	if (span_starts(*file, "output-")) {
		*file = span_from(*file, strlen("output-"));
		return ROLE_FP_OUTPUT;
	}
	return ROLE_FP_HASH;
}

/* @p begins behind the directory of fingerprints of one unit. */
static void classify_fingerprint(const struct span *p, size_t n,
				 struct layout *l)
{
	l->kind = LAYOUT_META;
	l->role = n == 0 ? ROLE_FP_DIR : ROLE_OTHER;
	if (n > 0)
		l->file = rest_of(p[0]);
	if (n == 1)
		l->role = fingerprint_role(&l->file);
}

static const struct {
	const char *ending;
	enum layout_role role;
} endings[] = {
	{ ".rlib", ROLE_RLIB }, { ".rmeta", ROLE_RMETA },
	{ ".so", ROLE_DYLIB },	{ ".a", ROLE_STATICLIB },
	{ ".d", ROLE_DFILE },
};

static bool is_crate_name(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      (c >= '0' && c <= '9') || c == '_'))
			return false;
	}
	return true;
}

struct span layout_crate_of(const char *name, size_t len)
{
	struct span s = { name, len }, none = { name, 0 };

	if (layout_unit_of(name, len))
		return none;
	for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
		const char *lib = endings[i].role == ROLE_DFILE ? "" : "lib";

		if (!span_ends(s, endings[i].ending) || !span_starts(s, lib))
			continue;
		s.len -= strlen(endings[i].ending);
		if (s.len <= strlen(lib))
			return none;
		s = span_from(s, strlen(lib));
		return is_crate_name(s) ? s : none;
	}
	return none;
}

/* What rustc wrote into a file of this name; @tail is what is behind H. */
static enum layout_role output_role(struct span file, const char *tail)
{
	struct span end = tail ? span_from(file, (size_t)(tail - file.p))
			       : file;

	if (tail && !end.len)
		return span_starts(file, "build_script_") ? ROLE_SCRIPT
							  : ROLE_PROGRAM;
	for (size_t i = 0; i < ARRAY_LEN(endings); i++)
		if (tail ? span_is(end, endings[i].ending)
			 : has_ending(end, endings[i].ending))
			return endings[i].role;
	if (tail)
		return ROLE_SIDECAR;
	return span_find(file, '.') == file.len ? ROLE_PROGRAM : ROLE_OTHER;
}

/* A file of deps/ or, @is_example, of examples/. */
static void classify_output(const struct span *p, size_t n, bool is_example,
			    struct layout *l)
{
	const char *unit;

	take_name(p[0], l);
	unit = l->unit;
	l->file = rest_of(p[0]);
	if (n > 1 || span_starts(p[0], "."))
		l->role = ROLE_TRANSIENT;
	else
		l->role = output_role(p[0], unit ? unit + UNIT_HASH_LEN : NULL);
	l->kind = l->role == ROLE_DFILE ? LAYOUT_META : LAYOUT_ARTIFACT;
	if (unit || n > 1)
		return;
	if (is_example)
		l->role = l->role == ROLE_DFILE ? ROLE_FINAL_DFILE : ROLE_FINAL;
	else if (l->role == ROLE_PROGRAM)
		l->role = ROLE_TRANSIENT; /* rmetaXXXXXX, rustcXXXXXX */
}

static const struct {
	const char *name;
	enum layout_role role;
} run_files[] = {
	{ "output", ROLE_RUN_OUTPUT },
	{ "stdout", ROLE_RUN_OUTPUT },
	{ "stderr", ROLE_RUN_STDERR },
	{ "root-output", ROLE_RUN_ROOT },
	{ "invoked.timestamp", ROLE_RUN_INVOKED },
};

/* A file that cargo keeps about a build script's run. */
static bool classify_run_file(struct span file, struct layout *l)
{
	for (size_t i = 0; i < ARRAY_LEN(run_files); i++)
		if (span_is(file, run_files[i].name)) {
			l->kind = LAYOUT_META;
			l->role = run_files[i].role;
			return true;
		}
	return false;
}

/* out/ and below; @p begins behind it. */
static void classify_out(const struct span *p, size_t n, struct layout *l)
{
	const char *unit = NULL;

	l->role = n == 0 ? ROLE_OUT_DIR : ROLE_OUT_FILE;
	if (n == 0)
		return;
	l->file = rest_of(p[0]);
	if (n == 1 && l->per_unit)
		unit = layout_unit_of(p[0].p, p[0].len);
	if (unit && memcmp(unit, l->unit, UNIT_HASH_LEN) == 0)
		l->role = output_role(p[0], unit + UNIT_HASH_LEN);
}

/* build/<pkg>-H/ and below; @p begins behind it. */
static void classify_script(const struct span *p, size_t n, struct layout *l)
{
	const char *unit;

	l->role = n == 0 ? ROLE_SCRIPT_DIR : ROLE_OTHER;
	if (n == 0)
		return;
	if (span_is(p[0], "out")) {
		classify_out(p + 1, n - 1, l);
		return;
	}
	l->file = rest_of(p[0]);
	if (n > 1 || classify_run_file(p[0], l))
		return;
	unit = layout_unit_of(p[0].p, p[0].len);
	if (unit)
		l->role = output_role(p[0], unit + UNIT_HASH_LEN);
	else if (has_ending(p[0], ".d"))
		l->role = ROLE_DFILE;
	else if (span_starts(p[0], "build-script-"))
		l->role = ROLE_SCRIPT;
	if (l->role == ROLE_DFILE)
		l->kind = LAYOUT_META;
}

/* build/<pkg>/<H>/ and below; @p begins behind it. */
static void classify_per_unit(const struct span *p, size_t n, struct layout *l)
{
	l->per_unit = true;
	l->role = n == 0 ? ROLE_UNIT_DIR : ROLE_OTHER;
	if (n == 0)
		return;
	if (span_is(p[0], "fingerprint")) {
		classify_fingerprint(p + 1, n - 1, l);
		return;
	}
	if (span_is(p[0], "out")) {
		classify_out(p + 1, n - 1, l);
		if (l->role == ROLE_DFILE)
			l->kind = LAYOUT_META;
		return;
	}
	l->file = rest_of(p[n > 1 ? 1 : 0]);
	if (!span_is(p[0], "run")) {
		l->role = n == 1 && span_is(p[0], ".lock") ? ROLE_FRAME
							   : ROLE_OTHER;
		return;
	}
	if (n == 1) {
		l->role = ROLE_RUN_DIR;
		l->file = (struct span){ p[0].p, 0 };
	} else if (n == 2) {
		(void)classify_run_file(p[1], l);
	}
}

/* build/ and below; @p begins behind it. */
static void classify_build(const struct span *p, size_t n, struct layout *l)
{
	l->kind = LAYOUT_ARTIFACT;
	l->role = ROLE_SECTION;
	if (n == 0)
		return;
	take_name(p[0], l);
	if (l->unit) {
		classify_script(p + 1, n - 1, l);
		return;
	}
	l->name = p[0];
	if (n < 2)
		return;
	l->role = ROLE_OTHER;
	if (p[1].len == UNIT_HASH_LEN)
		l->unit = layout_unit_of(p[1].p, p[1].len);
	if (l->unit)
		classify_per_unit(p + 2, n - 2, l);
}

/* P/<section>/ and below; @p begins behind the section. */
static void classify_section(struct span section, const struct span *p,
			     size_t n, struct layout *l)
{
	if (span_is(section, "build")) {
		classify_build(p, n, l);
	} else if (span_is(section, "incremental")) {
		l->kind = LAYOUT_INCREMENTAL;
		l->role = ROLE_INCREMENTAL;
		if (n > 0)
			l->crate_len = (size_t)(p[0].p + p[0].len - section.p);
	} else if (span_is(section, ".fingerprint")) {
		l->kind = LAYOUT_META;
		l->role = ROLE_SECTION;
		if (n > 0) {
			take_name(p[0], l);
			classify_fingerprint(p + 1, n - 1, l);
		}
	} else {
		l->kind = LAYOUT_ARTIFACT;
		l->role = ROLE_SECTION;
		if (n > 0)
			classify_output(p, n, span_is(section, "examples"), l);
	}
}

/* Where no section is: the top, a triple's or a profile's directory. */
static void classify_top(const char *path, const struct span *p, size_t n,
			 struct layout *l)
{
	struct span file = p[n - 1];

	l->role = n == 1 ? ROLE_TOP : ROLE_OTHER;
	if (n <= 3 && is_one_of(file, top_files)) {
		l->kind = LAYOUT_META;
		l->role = ROLE_FRAME;
	} else if ((n == 2 || n == 3) && has_ending(file, ".d")) {
		l->kind = LAYOUT_META;
		l->role = ROLE_FINAL_DFILE;
	} else if (n == 2 || n == 3) {
		/* Three may also be a bundle's (.dSYM) or anybody's file. */
		l->kind = n == 2 ? LAYOUT_ARTIFACT : LAYOUT_OTHER;
		l->role = ROLE_FINAL;
	}
	if (n < 2)
		return;
	l->profile_len = (size_t)(file.p - path) - 1;
	l->name = span_first(file, span_find(file, '.'));
	l->file = file;
}

struct layout layout_classify(const char *path)
{
	struct span p[PARTS_MAX];
	size_t n = split(path, p), at;
	struct layout l = { .name = { path, 0 }, .file = { path, 0 } };

	if (n == 0) {
		l.role = ROLE_TOP;
		return l;
	}
	/* "debug/deps" at the least, "triple/debug/deps" at the most. */
	for (at = 1; at < n && at <= 2; at++)
		if (is_one_of(p[at], sections))
			break;
	if (at < n && at <= 2) {
		l.profile_len = (size_t)(p[at].p - path) - 1;
		classify_section(p[at], p + at + 1, n - at - 1, &l);
		if (l.crate_len > 0)
			l.crate_len += (size_t)(p[at].p - path);
	} else if (is_one_of(p[0], scratch_dirs)) {
		l.role = ROLE_SCRATCH;
	} else if (span_is(p[0], "doc") || (n > 2 && span_is(p[1], "doc"))) {
		l.role = ROLE_DOC;
	} else {
		classify_top(path, p, n, &l);
	}
	return l;
}
