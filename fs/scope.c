/* SPDX-License-Identifier: Apache-2.0 */
/* Scopes of builds; see scope.h. */
#include "config.h"

#include "fs/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "fs/outside.h"
#include "store/base/broken.h"
#include "store/base/buf.h"
#include "store/base/io.h"
#include "store/base/macros.h"

/* One field of a scope: its name, and what it says; NULL: nothing. */
static void put(struct buf *b, const char *name, const char *value)
{
	buf_str16(b, name, strlen(name));
	buf_u8(b, value != NULL);
	if (value)
		buf_str16(b, value, strlen(value));
}

static void put_env(struct buf *b, const struct build *build, const char *name)
{
	put(b, name, build_getenv(build, name));
}

/* A program or database as it is now: cheaper than its digest, and changed
 * by every update. */
static void put_file(struct buf *b, const struct build *build, const char *path)
{
	char real[PATH_MAX], text[PATH_MAX + 96];
	struct stat st;

	if (outside_resolve(build_mountpoint(build), path, true, real) < 0 ||
	    stat(real, &st) < 0) {
		put(b, path, NULL);
		return;
	}
	(void)snprintf(text, sizeof(text), "%s %" PRIu64 " %lld.%09ld", real,
		       (uint64_t)st.st_size, (long long)st.st_mtim.tv_sec,
		       st.st_mtim.tv_nsec);
	put(b, path, text);
}

/* --- programs ---------------------------------------------------------- */

/* More directories than any PATH has. */
#define DIRS_MAX 128

/* The directories of the build's own PATH that are there, without links. */
struct search_path {
	char *dir[DIRS_MAX];
	size_t count;
};

static void add_dir(struct search_path *sp, const struct build *build,
		    const char *dir, size_t len)
{
	char path[PATH_MAX], real[PATH_MAX];

	if (len >= sizeof(path) || sp->count == DIRS_MAX)
		return;
	memcpy(path, dir, len);
	path[len] = '\0';
	if (outside_resolve(build_mountpoint(build), path, true, real) < 0)
		return;
	sp->dir[sp->count] = strdup(real);
	sp->count += sp->dir[sp->count] != NULL;
}

static struct search_path search_path_of(const struct build *build)
{
	const char *at = build_getenv(build, "PATH");
	struct search_path sp = { .count = 0 };

	for (; at && *at; at += strcspn(at, ":"), at += *at == ':')
		add_dir(&sp, build, at, strcspn(at, ":"));
	return sp;
}

static void search_path_release(struct search_path *sp)
{
	for (size_t i = 0; i < sp->count; i++)
		free(sp->dir[i]);
}

struct scope_buf {
	struct buf b;
	const struct build *build;
	struct search_path path;
};

/* The first of that name. One that leads into the mount counts as none. */
static void put_program(struct scope_buf *s, const char *name)
{
	char path[PATH_MAX], real[PATH_MAX];

	put(&s->b, "program", name);
	for (size_t i = 0; i < s->path.count; i++) {
		if (snprintf(path, sizeof(path), "%s/%s", s->path.dir[i],
			     name) >= (int)sizeof(path) ||
		    faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0 ||
		    outside_resolve(build_mountpoint(s->build), path, true,
				    real) < 0 ||
		    access(real, X_OK) < 0)
			continue;
		put_file(&s->b, s->build, path);
		return;
	}
}

/* A program that a setting names. */
static void put_tool(struct scope_buf *s, const char *value)
{
	if (!value || !*value)
		return;
	if (!strchr(value, '/'))
		put_program(s, value);
	else if (value[0] == '/')
		put_file(&s->b, s->build, value);
	else
		s->b.err = -EXDEV;
}

static void put_programs(struct scope_buf *s, const char *const *names)
{
	for (; *names; names++)
		put_program(s, *names);
}

/*
 * Rustup's "rustc" finds the compiler by this variable, which its "cargo" has
 * set: a name, or a path. A toolchain that somebody works on has one version
 * for ever.
 */
static void put_toolchain(struct scope_buf *s)
{
	static const char *const files[] = { "bin/rustc", "lib",
					     "lib/rustlib" };
	const char *name = build_getenv(s->build, "RUSTUP_TOOLCHAIN");
	const char *home = build_getenv(s->build, "RUSTUP_HOME");
	const char *user = build_getenv(s->build, "HOME");
	char path[PATH_MAX];

	for (size_t i = 0; name && i < ARRAY_LEN(files); i++) {
		if (name[0] == '/')
			(void)snprintf(path, sizeof(path), "%s/%s", name,
				       files[i]);
		else
			(void)snprintf(path, sizeof(path),
				       "%s%s/toolchains/%s/%s",
				       home ? home : (user ? user : ""),
				       home ? "" : "/.rustup", name, files[i]);
		put_file(&s->b, s->build, path);
	}
}

/* --- cargo's configuration --------------------------------------------- */

/* The largest known have some KiB. */
#define CONFIG_MAX ((size_t)1 << 20)

/*
 * A line that names rustc or a wrapper of it: rustc-wrapper = "sccache". By a
 * path it may be another one elsewhere.
 */
static void put_config_line(struct scope_buf *s, const char *line, size_t len)
{
	const char *equals = memchr(line, '=', len), *quote, *end;
	char value[NAME_MAX + 1];

	if (!equals || !memmem(line, (size_t)(equals - line), "rustc", 5))
		return;
	len -= (size_t)(equals - line);
	if (memchr(equals, '/', len)) {
		s->b.err = -EXDEV;
		return;
	}
	quote = memchr(equals, '"', len);
	end = quote ? memchr(quote + 1, '"', len - (size_t)(quote + 1 - equals))
		    : NULL;
	if (!end || (size_t)(end - quote) > sizeof(value)) {
		s->b.err = -EXDEV;
		return;
	}
	(void)snprintf(value, sizeof(value), "%.*s", (int)(end - quote - 1),
		       quote + 1);
	put_tool(s, value);
}

/* 0: it has been looked at, or there is none. */
static void put_config(struct scope_buf *s, const char *dir, const char *name)
{
	_cleanup_free_ void *text = NULL;
	char path[PATH_MAX * 2], real[PATH_MAX], hex[DIGEST_HEX_LEN + 1];
	struct digest digest;
	size_t len;
	int r;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	r = outside_resolve(build_mountpoint(s->build), path, true, real);
	if (r == 0)
		r = read_small_file(AT_FDCWD, real, CONFIG_MAX, &text, &len);
	if (r == -ENOENT || r == -ENOTDIR)
		return;
	if (r == 0)
		r = digest_of(text, len, &digest);
	/* Other files belong to it. */
	if (r == 0 && memmem(text, len, "include", 7))
		r = -EXDEV;
	if (r < 0) {
		s->b.err = r;
		return;
	}
	digest_hex(&digest, hex);
	put(&s->b, "cargo's configuration", hex);
	for (const char *at = text; at < (const char *)text + len;) {
		size_t n = strcspn(at, "\n");

		put_config_line(s, at, n);
		at += n + 1;
	}
}

/* What cargo finds from where it was started upwards, and in its home. */
static void put_configs(struct scope_buf *s)
{
	const char *home = build_cargo_home(s->build);
	char dir[PATH_MAX], cargo[PATH_MAX + 8], *slash;

	if (broken("scope-config"))
		return;
	(void)snprintf(dir, sizeof(dir), "%s", build_cwd(s->build));
	do {
		slash = strrchr(dir, '/');
		(void)snprintf(cargo, sizeof(cargo), "%s/.cargo", dir);
		if (slash && strcmp(cargo, home) != 0) {
			put_config(s, cargo, "config");
			put_config(s, cargo, "config.toml");
		}
		if (slash)
			*slash = '\0';
	} while (slash);
	put_config(s, "", ".cargo/config");
	put_config(s, "", ".cargo/config.toml");
	put(&s->b, "home", NULL);
	put_config(s, home, "config");
	put_config(s, home, "config.toml");
}

/* --- the levels -------------------------------------------------------- */

static void put_pure(struct scope_buf *s)
{
	static const char *const tools[] = {
		"RUSTC",
		"RUSTDOC",
		"RUSTC_WRAPPER",
		"RUSTC_WORKSPACE_WRAPPER",
		"CARGO_BUILD_RUSTC",
		"CARGO_BUILD_RUSTDOC",
		"CARGO_BUILD_RUSTC_WRAPPER",
		"CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
	};
	static const char *const names[] = {
		"RUSTC_BOOTSTRAP",  "RUSTUP_TOOLCHAIN",	       "RUSTUP_HOME",
		"RUST_TARGET_PATH", "CARGO_ENCODED_RUSTFLAGS",
	};
	struct utsname u;

	put(&s->b, "CARGO_HOME", build_cargo_home(s->build));
	for (size_t i = 0; i < ARRAY_LEN(tools); i++) {
		put_env(&s->b, s->build, tools[i]);
		put_tool(s, build_getenv(s->build, tools[i]));
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		put_env(&s->b, s->build, names[i]);
	if (uname(&u) == 0)
		put(&s->b, "machine", u.machine);
	put_program(s, "rustc");
	put_toolchain(s);
	put_configs(s);
}

static void put_linked(struct scope_buf *s)
{
	static const char *const programs[] = { "cc",  "gcc",  "clang",	 "ld",
						"lld", "mold", "ld.lld", "ar",
						"as",  NULL };
	/* Debian, Fedora, Arch, Alpine */
	static const char *const packages[] = { "/var/lib/dpkg/status",
						"/var/lib/rpm",
						"/var/lib/pacman/local",
						"/lib/apk/db/installed" };

	put_programs(s, programs);
	put_file(&s->b, s->build, "/etc/os-release");
	put(&s->b, "libc", gnu_get_libc_version());
	put_env(&s->b, s->build, "LD_LIBRARY_PATH");
	put_env(&s->b, s->build, "LIBRARY_PATH");
	for (size_t i = 0; i < ARRAY_LEN(packages); i++)
		put_file(&s->b, s->build, packages[i]);
}

static void put_run(struct scope_buf *s)
{
	static const char *const programs[] = {
		"c++",	"pkg-config", "cmake",	"make",	   "ninja", "python3",
		"perl", "git",	      "protoc", "bindgen", NULL
	};

	put_programs(s, programs);
}

/* Each level begins with the one before it. */
static void (*const put_level[SCOPE_COUNT])(struct scope_buf *) = {
	[SCOPE_PURE] = put_pure,
	[SCOPE_LINKED] = put_linked,
	[SCOPE_RUN] = put_run,
};

#define SCOPE_VERSION 2

int scope_digests(const struct build *build,
		  struct digest ret_digests[SCOPE_COUNT])
{
	struct scope_buf s = { .build = build, .path = search_path_of(build) };
	int r = 0;

	buf_u8(&s.b, SCOPE_VERSION);
	for (int i = 0; r == 0 && i < SCOPE_COUNT; i++) {
		put_level[i](&s);
		r = s.b.err;
		if (r == 0)
			r = digest_of(s.b.data,
				      broken("winkin-scope") ? 0 : s.b.len,
				      &ret_digests[i]);
	}
	search_path_release(&s.path);
	buf_release(&s.b);
	return r;
}

int scope_describe(const struct build *build, struct buf *out)
{
	struct scope_buf s = { .build = build, .path = search_path_of(build) };
	int r;

	buf_u8(&s.b, SCOPE_VERSION);
	for (int i = 0; i < SCOPE_COUNT; i++)
		put_level[i](&s);
	r = s.b.err;
	if (r == 0)
		buf_put(out, s.b.data, s.b.len);
	search_path_release(&s.path);
	buf_release(&s.b);
	return r < 0 ? r : out->err;
}

/* --- the environment --------------------------------------------------- */

/* What says who sits where; a name that ends with '*' is a prefix. */
static const char *const noise[] = {
	"_",
	"PWD",
	"OLDPWD",
	"SHLVL",
	"TERM*",
	"COLORTERM",
	"COLUMNS",
	"LINES",
	"DISPLAY",
	"WAYLAND_*",
	"WINDOWID",
	"XAUTHORITY",
	"XDG_*",
	"DBUS_*",
	"SSH_*",
	"GPG_*",
	"TMUX*",
	"STY",
	"HIST*",
	"PS1",
	"LS_COLORS",
	"LESS*",
	"PAGER",
	"EDITOR",
	"VISUAL",
	"MAIL",
	"VTE_*",
	"WT_*",
	"ITERM_*",
	"VSCODE_*",
	"INVOCATION_ID",
	"JOURNAL_STREAM",
	"SYSTEMD_*",
	"MAKEFLAGS",
	"MFLAGS",
	"MAKELEVEL",
	"CARGO_MAKEFLAGS",
	"CARGO_TERM_*",
	"CARGO_LOG",
	"RUST_LOG",
	"RUST_BACKTRACE",
	"NEXTEST*",
	"TARGETFS_*",
	"CARGO_TARGET_DIR",
	"CARGO_BUILD_TARGET_DIR",
	"CARGO_BUILD_BUILD_DIR",
	"CARGO_BUILD_JOBS",
};

static bool is_noise(const char *word, size_t name_len)
{
	for (size_t i = 0; i < ARRAY_LEN(noise); i++) {
		size_t len = strlen(noise[i]);

		if (noise[i][len - 1] == '*'
			    ? name_len >= len - 1 &&
				      memcmp(word, noise[i], len - 1) == 0
			    : name_len == len &&
				      memcmp(word, noise[i], len) == 0)
			return true;
	}
	return false;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int scope_of_environment(const char *words, size_t len,
			 struct digest *ret_digest)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	_cleanup_free_ const char **list = NULL;
	const char *end = words + len;
	size_t n = 0;

	list = calloc(len / 2 + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (const char *at = words; at < end; at += strlen(at) + 1)
		if (*at && !is_noise(at, strcspn(at, "=")) &&
		    !broken("winkin-env"))
			list[n++] = at;
	qsort(list, n, sizeof(*list), by_bytes);
	for (size_t i = 0; i < n; i++)
		buf_put(&b, list[i], strlen(list[i]) + 1);
	return b.err < 0 ? b.err : digest_of(b.data, b.len, ret_digest);
}
