/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where cargo's workspace is; see workspace.h. Manifests are not parsed: a few
 * keys are looked for line by line, and a line that only might be one of them
 * counts as one.
 *
 * Source: cargo's src/cargo/core/workspace.rs (find_workspace_root) and
 * src/cargo/util/important_paths.rs.
 */
#include "config.h"

#include "fs/workspace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "store/base/io.h"
#include "store/base/macros.h"

/* The largest manifest known has 100 KiB. */
#define MANIFEST_MAX ((size_t)1 << 20)

/* --- the command line -------------------------------------------------- */

/* Those that compile the workspace where it is; package, publish and install
 * compile copies of it elsewhere. */
static const char *const commands[] = { "build", "b",	    "check", "c",
					"test",	 "t",	    "run",   "r",
					"bench", "doc",	    "d",     "fix",
					"rustc", "rustdoc", NULL };

/* Options before the subcommand that take the next word. */
static const char *const with_value[] = { "--color", "-Z", NULL };

static bool is_one_of(const char *s, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(s, *list) == 0)
			return true;
	return false;
}

static const char *next_word(const char *at, const char *end)
{
	at += strlen(at) + 1;
	return at < end ? at : NULL;
}

static const char *find_command(const char *at, const char *end)
{
	while (at && (at[0] == '-' || at[0] == '+')) {
		if (at[0] == '-' && at[1] == 'C')
			return NULL;
		if (is_one_of(at, with_value))
			at = next_word(at, end);
		if (at)
			at = next_word(at, end);
	}
	return at;
}

bool workspace_command(const char *argv, size_t len, const char **ret_manifest)
{
	static const char option[] = "--manifest-path";
	const size_t n = sizeof(option) - 1;
	const char *end = argv + len, *at;

	*ret_manifest = NULL;
	if (len == 0 || argv[len - 1] != '\0')
		return false;
	at = next_word(argv, end);
	at = find_command(at, end);
	if (!at || !is_one_of(at, commands))
		return false;
	for (at = next_word(argv, end); at; at = next_word(at, end)) {
		if (strcmp(at, "--") == 0)
			break;
		/* It may say anything. */
		if (strncmp(at, "--config", 8) == 0)
			return false;
		if (strncmp(at, option, n) != 0)
			continue;
		*ret_manifest = at[n] == '=' ? at + n + 1 : next_word(at, end);
		if (!*ret_manifest || (at[n] != '=' && at[n] != '\0'))
			return false;
	}
	return true;
}

/* --- manifests --------------------------------------------------------- */

/* NULL: there is none, or none that can be read: *ret_absent tells. */
static char *read_manifest(const char *dir, size_t dir_len, bool *ret_absent)
{
	char path[PATH_MAX + 16];
	struct stat st;
	void *text;
	size_t len;
	int r;

	(void)snprintf(path, sizeof(path), "%.*s/Cargo.toml", (int)dir_len,
		       dir);
	*ret_absent = false;
	/* It might lead into the mount. */
	if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
		return NULL;
	r = read_small_file(AT_FDCWD, path, MANIFEST_MAX, &text, &len);
	*ret_absent = r == -ENOENT || r == -ENOTDIR;
	return r < 0 ? NULL : text;
}

static const char *skip_blanks(const char *s)
{
	return s + strspn(s, " \t");
}

static const char *next_line(const char *s)
{
	s += strcspn(s, "\n");
	return *s ? s + 1 : NULL;
}

/* "[workspace]" or "[workspace.anything]", also as a dotted key. */
static bool opens_workspace(const char *line)
{
	line = skip_blanks(line);
	if (*line == '[')
		line = skip_blanks(line + 1);
	else if (strncmp(line, "workspace.", 10) == 0)
		return true;
	return strncmp(line, "workspace", 9) == 0 &&
	       strchr(" \t].", line[9]) != NULL && line[9] != '\0' &&
	       skip_blanks(line + 9)[0] != '=';
}

static bool has_workspace(const char *text)
{
	for (const char *l = text; l; l = next_line(l))
		if (opens_workspace(l))
			return true;
	return false;
}

/* A package that says where its workspace is: workspace = "..." */
static bool points_elsewhere(const char *text)
{
	for (const char *l = text; l; l = next_line(l)) {
		const char *s = skip_blanks(l);

		if (strncmp(s, "package.workspace", 17) == 0)
			return true;
		if (strncmp(s, "workspace", 9) != 0)
			continue;
		s = skip_blanks(s + 9);
		if (*s == '=' && strchr("\"'", skip_blanks(s + 1)[0]))
			return true;
	}
	return false;
}

/* Whether one of the strings in the array at @s leads to @member. */
static bool excludes_member(const char *s, const char *member)
{
	while (*s && *s != ']') {
		char quote = *s++;
		size_t len;

		if (quote != '"' && quote != '\'')
			continue;
		len = strcspn(s, quote == '"' ? "\"" : "'");
		if (strncmp(s, "./", 2) == 0)
			return true;
		while (len > 0 && s[len - 1] == '/')
			len--;
		if (memchr(s, '*', len) || memchr(s, '?', len) ||
		    memchr(s, '[', len) || memchr(s, '.', len) == s)
			return true;
		if (strncmp(s, member, len) == 0 &&
		    (member[len] == '\0' || member[len] == '/'))
			return true;
		s += strcspn(s, quote == '"' ? "\"" : "'");
		s += *s != '\0';
	}
	return false;
}

/* Any "exclude" of the manifest: the package's own keeps files out of it, and
 * does no harm here. */
static bool may_exclude(const char *text, const char *member)
{
	for (const char *l = text; l; l = next_line(l)) {
		const char *s = strstr(skip_blanks(l), "exclude");

		if (!s || s > l + strcspn(l, "\n"))
			continue;
		s = strchr(s, '[');
		if (!s || excludes_member(s + 1, member))
			return true;
	}
	return false;
}

/* --- directories ------------------------------------------------------- */

static size_t parent_len(const char *dir, size_t len)
{
	while (len > 0 && dir[len - 1] != '/')
		len--;
	return len > 0 ? len - 1 : 0;
}

/* A manifest above a lone package might claim it. */
static bool has_manifest_above(const char *root)
{
	size_t len = strlen(root);

	while (len > 0) {
		_cleanup_free_ char *text = NULL;
		bool absent;

		len = parent_len(root, len);
		text = read_manifest(root, len, &absent);
		if (!absent)
			return true;
	}
	return false;
}

static bool is_root(const char *root, const char *text)
{
	if (has_workspace(text))
		return true;
	return !points_elsewhere(text) && !has_manifest_above(root);
}

/*
 * Looks at the manifests from @dir up to the root, without the root's. Any
 * workspace among them is one of its own. *ret_package is the length of the
 * innermost directory with a manifest, or the root's.
 */
static bool look_below(const char *root, const char *dir, size_t *ret_package)
{
	size_t root_len = strlen(root), len = strlen(dir);

	*ret_package = root_len;
	for (; len > root_len; len = parent_len(dir, len)) {
		_cleanup_free_ char *text = NULL;
		bool absent;

		text = read_manifest(dir, len, &absent);
		if (absent)
			continue;
		if (!text || has_workspace(text) || points_elsewhere(text))
			return false;
		if (*ret_package == root_len)
			*ret_package = len;
	}
	return true;
}

bool workspace_is_built_in(const char *root, const char *dir)
{
	_cleanup_free_ char *text = NULL;
	size_t root_len = strlen(root), package;
	bool absent;

	if (strncmp(dir, root, root_len) != 0 ||
	    (dir[root_len] != '/' && dir[root_len] != '\0'))
		return false;
	text = read_manifest(root, root_len, &absent);
	if (!text || !is_root(root, text) || !look_below(root, dir, &package))
		return false;
	if (package == root_len)
		return true;
	/* Cargo refuses packages that are neither members nor excluded. */
	return has_workspace(text) && !may_exclude(text, dir + root_len + 1);
}
