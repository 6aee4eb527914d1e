/* SPDX-License-Identifier: Apache-2.0 */
/* The output of build scripts; see buildout.h. */
#include "config.h"

#include "fs/cargo/buildout.h"

#include <errno.h>
#include <stdlib.h>

#include "fs/cargo/array.h"
#include "fs/cargo/utf8.h"
#include "store/base/macros.h"

/* Both syntaxes know these. */
static const struct {
	const char *word;
	enum buildout_key key;
} keys[] = {
	{ "rerun-if-changed", BUILDOUT_RERUN_IF_CHANGED },
	{ "rerun-if-env-changed", BUILDOUT_RERUN_IF_ENV_CHANGED },
	{ "rustc-link-search", BUILDOUT_LINK_SEARCH },
	{ "rustc-link-lib", BUILDOUT_LINK_LIB },
	{ "rustc-link-arg", BUILDOUT_LINK_ARG },
	{ "rustc-link-arg-bin", BUILDOUT_LINK_ARG },
	{ "rustc-link-arg-bins", BUILDOUT_LINK_ARG },
	{ "rustc-link-arg-tests", BUILDOUT_LINK_ARG },
	{ "rustc-link-arg-benches", BUILDOUT_LINK_ARG },
	{ "rustc-link-arg-examples", BUILDOUT_LINK_ARG },
	{ "rustc-link-arg-cdylib", BUILDOUT_LINK_ARG },
	{ "rustc-cdylib-link-arg", BUILDOUT_LINK_ARG },
	{ "rustc-flags", BUILDOUT_FLAGS },
	{ "rustc-cfg", BUILDOUT_CFG },
	{ "rustc-check-cfg", BUILDOUT_CHECK_CFG },
	{ "rustc-env", BUILDOUT_ENV },
	{ "warning", BUILDOUT_WARNING },
};

/* And the new one these. */
static const struct {
	const char *word;
	enum buildout_key key;
} new_keys[] = {
	{ "error", BUILDOUT_ERROR },
	{ "metadata", BUILDOUT_METADATA },
};

static bool find_key(struct span word, bool old_syntax, enum buildout_key *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (span_is(word, keys[i].word)) {
			*ret = keys[i].key;
			return true;
		}
	for (size_t i = 0; !old_syntax && i < ARRAY_LEN(new_keys); i++)
		if (span_is(word, new_keys[i].word)) {
			*ret = new_keys[i].key;
			return true;
		}
	return false;
}

/* The kind before the path of a rustc-link-search, if rustc knows it. */
static void split_search(struct buildout_item *item)
{
	static const char *const kinds[] = { "dependency", "crate", "native",
					     "framework", "all" };
	size_t n = span_find(item->text, '=');

	if (n == item->text.len)
		return;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (span_is(span_first(item->text, n), kinds[i])) {
			item->name = span_first(item->text, n);
			item->value = span_from(item->text, n + 1);
		}
}

/* name "=" value, both in the text. */
static int split_pair(struct buildout_item *item)
{
	size_t n = span_find(item->text, '=');

	if (n == item->text.len)
		return -EBADMSG;
	item->name = span_first(item->text, n);
	item->value = span_from(item->text, n + 1);
	return 0;
}

/* @s is what is behind "cargo:" or "cargo::". */
static int parse_instruction(struct span s, bool old_syntax,
			     struct buildout_item *item)
{
	size_t n = span_find(s, '=');
	struct span word = span_first(s, n);

	if (n == s.len)
		return -EBADMSG;
	if (find_key(word, old_syntax, &item->key))
		item->text = span_from(s, n + 1);
	else if (!old_syntax)
		return -EBADMSG;
	else
		*item = (struct buildout_item){ .key = BUILDOUT_METADATA,
						.text = s };
	item->value = item->text;
	if (item->key == BUILDOUT_LINK_ARG)
		item->name = word;
	if (item->key == BUILDOUT_LINK_SEARCH)
		split_search(item);
	if (item->key == BUILDOUT_ENV || item->key == BUILDOUT_METADATA)
		return split_pair(item);
	return 0;
}

static int parse_line(struct span line, struct buildout *b)
{
	struct buildout_item item = { 0 }, *grown;
	int r;

	if (!utf8_is_valid(line))
		return 0;
	line = utf8_trim(line);
	if (span_starts(line, "cargo::"))
		r = parse_instruction(span_from(line, strlen("cargo::")), false,
				      &item);
	else if (span_starts(line, "cargo:"))
		r = parse_instruction(span_from(line, strlen("cargo:")), true,
				      &item);
	else
		return 0;
	if (r < 0)
		return r;
	grown = array_room(b->items, b->count, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	b->items = grown;
	grown[b->count++] = item;
	return 0;
}

int buildout_parse(const void *p, size_t len, struct buildout *ret)
{
	struct span rest = { p, len }, line;
	struct buildout b = { 0 };
	int r = 0;

	if (len > BUILDOUT_MAX)
		return -EFBIG;
	while (r == 0 && span_line(&rest, &line))
		r = parse_line(line, &b);
	if (r < 0)
		buildout_release(&b);
	else
		*ret = b;
	return r;
}

void buildout_release(struct buildout *b)
{
	free(b->items);
	*b = (struct buildout){ 0 };
}

bool buildout_has_rerun(const struct buildout *b)
{
	for (size_t i = 0; i < b->count; i++)
		if (b->items[i].key == BUILDOUT_RERUN_IF_CHANGED ||
		    b->items[i].key == BUILDOUT_RERUN_IF_ENV_CHANGED)
			return true;
	return false;
}

/* May be in a file's name in a list or behind an option, and in a word. */
static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || (c & 0x80) ||
	       (c && strchr("_.~+@%-/", c));
}

/*
 * Whether a path begins at @at: at a slash that no name is before, or only an
 * option's letters. Looks back to the slash before at most, so that a search
 * is linear.
 */
static bool is_path_start(struct span s, size_t at)
{
	size_t word = at;

	if (s.p[at] != '/')
		return false;
	while (word > 0 && s.p[word - 1] != '/' && is_name_char(s.p[word - 1]))
		word--;
	if (word > 0 && s.p[word - 1] == '/')
		return false;
	return word == at || s.p[word] == '-';
}

static size_t path_end(struct span s)
{
	size_t n = 0;

	while (n < s.len && is_name_char(s.p[n]))
		n++;
	return n;
}

/* @s begins with the path @dir, and is it or goes on below it. */
static bool begins_in(struct span s, struct span dir)
{
	if (!dir.len || s.len < dir.len || memcmp(s.p, dir.p, dir.len) != 0)
		return false;
	return s.len == dir.len || s.p[dir.len] == '/' ||
	       !is_name_char(s.p[dir.len]);
}

static bool has_dot_dot(struct span path)
{
	while (path.len) {
		size_t n = span_find(path, '/');

		if (span_is(span_first(path, n), ".."))
			return true;
		path = span_from(path, n < path.len ? n + 1 : n);
	}
	return false;
}

/* The path inside @out_dir, which may have any characters, is behind it. */
static bool is_inside(struct span rest, struct span out_dir)
{
	struct span below;

	if (!begins_in(rest, out_dir))
		return false;
	below = span_from(rest, out_dir.len);
	return !has_dot_dot(span_first(below, path_end(below)));
}

bool buildout_next_path(const struct buildout *b, struct span out_dir,
			struct buildout_cursor *c, struct buildout_path *ret)
{
	for (; c->item < b->count; c->item++, c->at = 0) {
		const struct buildout_item *item = &b->items[c->item];
		struct span text = item->text, rest;

		if (item->key == BUILDOUT_RERUN_IF_ENV_CHANGED)
			continue;
		while (c->at < text.len) {
			size_t at = c->at++;

			if (!is_path_start(text, at))
				continue;
			rest = span_from(text, at);
			if (is_inside(rest, out_dir)) {
				c->at = at + out_dir.len;
				continue;
			}
			ret->item = item;
			ret->rest = rest;
			ret->path = span_first(rest, path_end(rest));
			return true;
		}
	}
	return false;
}

bool buildout_path_is_below(const struct buildout_path *p, struct span root)
{
	return begins_in(p->rest, root);
}
