/* SPDX-License-Identifier: Apache-2.0 */
/* Cargo's directory layouts; see layout.h. */
#include "config.h"

#include "fs/cargo/layout.h"

#include <string.h>

/* A path component, inside the path. */
struct part {
	const char *s;
	size_t len;
};

/* Deeper than this is below out/, where the name no longer matters. */
#define PARTS_MAX 12

static bool part_is(struct part p, const char *s)
{
	return strlen(s) == p.len && memcmp(p.s, s, p.len) == 0;
}

static bool part_is_one_of(struct part p, const char *const *list)
{
	for (; *list; list++)
		if (part_is(p, *list))
			return true;
	return false;
}

static bool part_ends_with(struct part p, const char *end)
{
	size_t len = strlen(end);

	return p.len > len && memcmp(p.s + p.len - len, end, len) == 0;
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

static size_t split(const char *path, struct part parts[PARTS_MAX])
{
	size_t n = 0;

	while (*path && n < PARTS_MAX) {
		size_t len = strcspn(path, "/");

		parts[n++] = (struct part){ path, len };
		path += len;
		path += *path == '/';
	}
	return n;
}

static const char *const sections[] = { "deps",	       "build",
					"examples",    ".fingerprint",
					"incremental", NULL };

/* Files at the top of the target directory or of a profile. */
static const char *const top_files[] = {
	"CACHEDIR.TAG",	     ".rustc_info.json",     ".cargo-lock",
	".cargo-build-lock", ".cargo-artifact-lock", NULL
};

/* Files beside a build script's out/ in both layouts. */
static const char *const run_files[] = {
	"output", "stdout", "stderr", "root-output", "invoked.timestamp", NULL
};

static const char *unit_of(struct part p)
{
	return layout_unit_of(p.s, p.len);
}

/* build/<pkg>-H/ or build/<pkg>/<H>/, and below; @p begins behind "build". */
static void classify_build(const struct part *p, size_t n, struct layout *l)
{
	size_t at = 1; /* of the part behind the one that names the unit */

	l->kind = LAYOUT_ARTIFACT;
	if (n == 0)
		return;
	l->unit = unit_of(p[0]);
	if (!l->unit && n >= 2 && p[1].len == UNIT_HASH_LEN) {
		l->unit = unit_of(p[1]);
		at = 2;
	}
	if (!l->unit || n <= at)
		return;
	if (part_is(p[at], "fingerprint"))
		l->kind = LAYOUT_META;
	else if (part_is(p[at], "out"))
		l->kind = LAYOUT_ARTIFACT;
	else if (part_is_one_of(p[n - 1], run_files) ||
		 part_ends_with(p[n - 1], ".d"))
		l->kind = LAYOUT_META;
}

/* P/<section>/ and below; @p begins behind the section. */
static void classify_section(struct part section, const struct part *p,
			     size_t n, struct layout *l)
{
	if (part_is(section, "build")) {
		classify_build(p, n, l);
		return;
	}
	if (part_is(section, "incremental")) {
		l->kind = LAYOUT_INCREMENTAL;
		if (n > 0)
			l->crate_len = (size_t)(p[0].s + p[0].len - section.s);
		return;
	}
	if (n > 0)
		l->unit = unit_of(p[0]);
	if (part_is(section, ".fingerprint"))
		l->kind = LAYOUT_META;
	else if (n == 1 && part_ends_with(p[0], ".d"))
		l->kind = LAYOUT_META;
	else
		l->kind = LAYOUT_ARTIFACT;
}

struct layout layout_classify(const char *path)
{
	struct part p[PARTS_MAX];
	size_t n = split(path, p), at;
	struct layout l = { .kind = LAYOUT_OTHER };

	if (n == 0)
		return l;
	/* "debug/deps" at the least, "triple/debug/deps" at the most. */
	for (at = 1; at < n && at <= 2; at++)
		if (part_is_one_of(p[at], sections))
			break;
	if (at < n && at <= 2) {
		l.profile_len = (size_t)(p[at].s - path) - 1;
		classify_section(p[at], p + at + 1, n - at - 1, &l);
		if (l.crate_len > 0)
			l.crate_len += (size_t)(p[at].s - path);
		return l;
	}
	if (part_is(p[0], "doc") || part_is(p[0], "package") ||
	    part_is(p[0], "tmp"))
		return l;
	if (n <= 3 && part_is_one_of(p[n - 1], top_files))
		l.kind = LAYOUT_META;
	else if ((n == 2 || n == 3) && part_ends_with(p[n - 1], ".d"))
		l.kind = LAYOUT_META;
	else if (n == 2)
		l.kind = LAYOUT_ARTIFACT;
	if (n >= 2)
		l.profile_len = (size_t)(p[n - 1].s - path) - 1;
	return l;
}
