/* SPDX-License-Identifier: Apache-2.0 */
/* Paths in rustc's metadata; see metadata.h. */
#include "config.h"

#include "fs/cargo/metadata.h"

#include <string.h>

#define STRING_END 0xc1

/* The string that ends at the next STRING_END; false: there is none. */
static bool string_at(struct span rest, struct span *ret_string)
{
	const char *end = memchr(rest.p, STRING_END, rest.len);

	if (!end)
		return false;
	*ret_string = span_first(rest, (size_t)(end - rest.p));
	return true;
}

static bool is_source(struct span path, const struct metadata_paths *paths)
{
	struct span below = { NULL, 0 };

	if (path.len > paths->cwd.len && path.p[paths->cwd.len] == '/' &&
	    memcmp(path.p, paths->cwd.p, paths->cwd.len) == 0)
		below = span_from(path, paths->cwd.len + 1);
	for (size_t i = 0; i < paths->source_count; i++)
		if (span_eq(paths->sources[i], path) ||
		    (below.len > 0 && span_eq(paths->sources[i], below)))
			return true;
	return false;
}

/* Behind the directory's name: the length of a source's absolute one, and that
 * name. */
static bool is_before_source(struct span rest,
			     const struct metadata_paths *paths)
{
	struct span path;
	size_t len = 0, i = 0;

	do {
		if (i == rest.len || i > 4)
			return false;
		len |= (size_t)(rest.p[i] & 0x7f) << (7 * i);
	} while (rest.p[i++] & 0x80);
	rest = span_from(rest, i);
	return string_at(rest, &path) && path.len == len &&
	       is_source(path, paths);
}

/* @rest begins with one of the directories. */
static bool is_harmless(struct span rest, const struct metadata_paths *paths)
{
	struct span string;

	if (!string_at(rest, &string))
		return false;
	if (!span_eq(string, paths->cwd))
		return is_source(string, paths);
	return is_before_source(span_from(rest, string.len + 1), paths);
}

bool metadata_names_sources(const void *p, size_t len,
			    const struct metadata_paths *paths)
{
	struct span all = { p, len };

	for (size_t i = 0; i < paths->dir_count; i++) {
		struct span dir = paths->dirs[i], rest = all;
		const char *at;

		while ((at = memmem(rest.p, rest.len, dir.p, dir.len))) {
			rest = span_from(all, (size_t)(at - all.p));
			if (!is_harmless(rest, paths))
				return false;
			rest = span_from(rest, 1);
		}
	}
	return true;
}
