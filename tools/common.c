/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages, and the choice and the opening of the store.
 */
#include "config.h"

#include "tools/common.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/base/macros.h"
#include "store/store.h"
#include "tools/paths.h"

/* Control characters as "\\x0a": a message is one line, whatever a path is. */
static char *visible(const char *text)
{
	char *out = malloc(strlen(text) * 4 + 1);
	size_t n = 0;

	if (!out)
		return NULL;
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x20 || c == 0x7f)
			n += (size_t)sprintf(out + n, "\\x%02x", c);
		else
			out[n++] = *text;
	}
	out[n] = '\0';
	return out;
}

__attribute__((format(printf, 1, 0))) static void
vsay(const char *fmt, va_list ap, const char *tail)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_free_ char *line = NULL;

	if (vasprintf(&text, fmt, ap) < 0) {
		text = NULL;
		return;
	}
	line = visible(text);
	if (!line)
		return;
	/* One call, so that lines of several processes do not mix. */
	(void)fprintf(stderr, "targetfs: %s%s%s\n", line, tail ? ": " : "",
		      tail ? tail : "");
}

void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsay(fmt, ap, NULL);
	va_end(ap);
}

int say_error(int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsay(fmt, ap, strerror(-r));
	va_end(ap);
	return r;
}

void say_lines(const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		if (len > 0)
			say("%.*s", (int)len, text);
		text += len;
		if (*text)
			text++;
	}
}

int flush_output(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	if (status != 0)
		return status;
	(void)say_error(-errno, "cannot write the output");
	return EXIT_FAILURE;
}

static const char *env_or_null(const char *name)
{
	const char *v = getenv(name);

	return v && *v ? v : NULL;
}

static int default_store(char **ret_path)
{
	const char *xdg = env_or_null("XDG_CACHE_HOME");
	const char *home = env_or_null("HOME");
	const struct passwd *pw;
	int n;

	/* The XDG specification says to ignore relative paths. */
	if (xdg && xdg[0] == '/') {
		n = asprintf(ret_path, "%s/targetfs/store", xdg);
		return n < 0 ? -ENOMEM : 0;
	}
	if (!home) {
		pw = getpwuid(geteuid());
		home = pw ? pw->pw_dir : NULL;
	}
	if (!home || home[0] != '/')
		return -ENOENT;
	n = asprintf(ret_path, "%s/.cache/targetfs/store", home);
	return n < 0 ? -ENOMEM : 0;
}

int store_choose(const char *option, char **ret_path)
{
	const char *chosen = option ? option : env_or_null("TARGETFS_STORE");
	char *path = NULL;
	int r;

	if (chosen && !*chosen) {
		say("--store is empty; name a directory, or leave it out");
		return -EINVAL;
	}
	if (chosen) {
		r = path_resolve(chosen, &path);
		if (r < 0)
			return say_error(r, "cannot use '%s' as the store",
					 chosen);
	} else {
		r = default_store(&path);
		if (r == -ENOENT) {
			say("no home directory to keep the store in; choose a "
			    "place with --store");
			return r;
		}
		if (r < 0)
			return say_error(r, "cannot choose a store");
	}
	*ret_path = path;
	return 0;
}

/* What STORE/format says, for the message about another version. */
static void read_format(const char *path, char *ret_text, size_t size)
{
	_cleanup_free_ char *name = NULL;
	_cleanup_close_ int fd = -1;
	ssize_t n = 0;

	ret_text[0] = '\0';
	if (asprintf(&name, "%s/format", path) < 0) {
		name = NULL;
		return;
	}
	fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0)
		n = read(fd, ret_text, size - 1);
	ret_text[n > 0 ? n : 0] = '\0';
	ret_text[strcspn(ret_text, "\n")] = '\0';
}

static void not_yours_text(const char *path, int r, char *ret_text, size_t size)
{
	struct stat st;

	if (stat(path, &st) == 0 && st.st_uid != geteuid())
		(void)snprintf(ret_text, size,
			       "the store '%s' belongs to user %u; choose one "
			       "of your own with --store or TARGETFS_STORE",
			       path, (unsigned)st.st_uid);
	else
		(void)snprintf(ret_text, size,
			       "cannot open the store '%s': %s; choose one of "
			       "your own with --store or TARGETFS_STORE",
			       path, strerror(-r));
}

static void other_version_text(const char *path, char *ret_text, size_t size)
{
	char format[64];

	read_format(path, format, sizeof(format));
	(void)snprintf(ret_text, size,
		       "the store '%s' is of another version: it says '%s', "
		       "this targetfs (%s) reads '%s'; use the targetfs that "
		       "made it, or another store with --store",
		       path, format, PACKAGE_VERSION, STORE_FORMAT);
}

/* What stands before the path, in quotes, and after it. */
static const struct store_error {
	int r;
	const char *before, *after;
} store_errors[] = {
	{ -ENOENT, "no store at",
	  " yet; 'targetfs mount' makes one, --store names another" },
	{ -ENOTEMPTY, "this is not a store, and not empty:",
	  "; name an empty or a new directory with --store" },
	{ -ENOTDIR, "the store cannot be at",
	  ", which is not a directory; name another with --store" },
	{ -EBUSY, "the store",
	  " is in use by an incompatible targetfs (built with another LMDB); "
	  "unmount the views of that one first, or use it" },
	{ -EAGAIN, "the index of the store",
	  " has no reader slot left for this process: too many PID namespaces "
	  "use it at once; try again, or run the container with --pid=host" },
	{ -ENOSPC, "no space left for the store",
	  "; make room there, or free some with 'targetfs drop'" },
	{ -EROFS, "the store",
	  " is on a read-only filesystem; choose another with --store" },
};

void store_error_text(const char *path, int r, char *ret_text, size_t size)
{
	for (size_t i = 0; i < ARRAY_LEN(store_errors); i++) {
		const struct store_error *e = &store_errors[i];

		if (e->r != r)
			continue;
		(void)snprintf(ret_text, size, "%s '%s'%s", e->before, path,
			       e->after);
		return;
	}
	if (r == -EBADMSG)
		(void)snprintf(
			ret_text, size,
			"the index of the store '%s' is damaged; unmount "
			"its views and run: targetfs fsck --repair "
			"--store '%s'",
			path, path);
	else if (r == -ESTALE)
		other_version_text(path, ret_text, size);
	else if (r == -EACCES || r == -EPERM)
		not_yours_text(path, r, ret_text, size);
	else
		(void)snprintf(ret_text, size, "cannot open the store '%s': %s",
			       path, strerror(-r));
}

void say_store_error(const char *path, int r)
{
	char text[2 * PATH_MAX + 512];

	store_error_text(path, r, text, sizeof(text));
	say("%s", text);
}

/* Goes on in a child: returns there; the parent ends with its status. */
static int move_to_child(void)
{
	int status = 0;
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		return 0;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			_exit(EXIT_FAILURE);
	}
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int store_open_damaged(const char *path, unsigned flags,
		       struct store **ret_store)
{
	int r = store_open(path, flags, ret_store);

	/*
	 * As many tries as there may be daemons of other PID namespaces with
	 * pids in a row, which containers that start alike do have.
	 */
	for (int tries = 0; r == -EAGAIN && tries < 64; tries++) {
		r = move_to_child();
		if (r < 0)
			break;
		r = store_open(path, flags, ret_store);
	}
	if (r == -EROFS && !(flags & STORE_READONLY))
		r = store_open(path, flags | STORE_READONLY, ret_store);
	if (r < 0 && r != -EBADMSG)
		say_store_error(path, r);
	return r;
}

int store_open_or_say(const char *path, unsigned flags,
		      struct store **ret_store)
{
	int r = store_open_damaged(path, flags, ret_store);

	if (r == -EBADMSG)
		say_store_error(path, r);
	return r;
}
