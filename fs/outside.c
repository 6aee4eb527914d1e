/* SPDX-License-Identifier: Apache-2.0 */
/* Paths outside of the mount; see outside.h. */
#include "config.h"

#include "fs/outside.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "store/base/broken.h"

/* As the kernel's. */
#define LINKS_MAX 40

/* What is resolved, without a slash at its end, and what is left to do. */
struct walk {
	char *done;
	char todo[PATH_MAX];
	unsigned links;
};

static bool is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(path, dir, len) == 0 &&
	       (path[len] == '/' || path[len] == '\0');
}

/* Takes the first component off what is left. */
static bool next_part(struct walk *w, char ret_part[NAME_MAX + 1])
{
	const char *begin = w->todo + strspn(w->todo, "/");
	size_t len = strcspn(begin, "/");

	if (len == 0 || len > NAME_MAX)
		return false;
	memcpy(ret_part, begin, len);
	ret_part[len] = '\0';
	memmove(w->todo, begin + len, strlen(begin + len) + 1);
	return true;
}

static int follow(struct walk *w, const char *target, size_t len)
{
	size_t rest = strlen(w->todo);

	if (++w->links > LINKS_MAX)
		return -ELOOP;
	if (len + rest + 1 > sizeof(w->todo))
		return -ENAMETOOLONG;
	memmove(w->todo + len, w->todo, rest + 1);
	memcpy(w->todo, target, len);
	if (target[0] == '/')
		w->done[0] = '\0';
	return 0;
}

static int enter(struct walk *w, const char *mountpoint, const char *part,
		 bool links)
{
	size_t at = strlen(w->done), len = strlen(part);
	char target[PATH_MAX];
	ssize_t n;

	if (at + len + 2 > PATH_MAX)
		return -ENAMETOOLONG;
	w->done[at] = '/';
	memcpy(w->done + at + 1, part, len + 1);
	if (is_below(w->done, mountpoint) && !broken("outside-mount"))
		return -EXDEV;
	n = readlink(w->done, target, sizeof(target));
	/* EINVAL: it is no link. */
	if (n < 0)
		return errno == EINVAL ? 0 : -errno;
	w->done[at] = '\0';
	return links ? follow(w, target, (size_t)n) : -ELOOP;
}

int outside_resolve(const char *mountpoint, const char *path, bool links,
		    char ret_real[PATH_MAX])
{
	struct walk w = { .done = ret_real };
	char part[NAME_MAX + 1], *slash;
	int r = 0;

	if (path[0] != '/' || strlen(path) >= sizeof(w.todo))
		return -EINVAL;
	memcpy(w.todo, path, strlen(path) + 1);
	ret_real[0] = '\0';
	while (r == 0 && next_part(&w, part)) {
		if (strcmp(part, ".") == 0)
			continue;
		slash = strrchr(ret_real, '/');
		if (strcmp(part, "..") != 0)
			r = enter(&w, mountpoint, part, links);
		else if (slash)
			*slash = '\0';
	}
	if (r == 0 && w.todo[strspn(w.todo, "/")] != '\0')
		r = -ENAMETOOLONG;
	if (r == 0 && ret_real[0] == '\0')
		memcpy(ret_real, "/", 2);
	return r;
}

static bool goes_up(const char *path)
{
	for (const char *at = path; (at = strstr(at, "/..")); at += 3)
		if (at[3] == '/' || at[3] == '\0')
			return true;
	return false;
}

int outside_open(int base_fd, const char *path, uint64_t flags)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	if (path[0] == '/' && goes_up(path))
		return -EXDEV;
	if (!(flags & O_PATH))
		how.flags |= O_NONBLOCK;
	how.resolve |= path[0] == '/' ? RESOLVE_NO_SYMLINKS : RESOLVE_NO_XDEV;
	fd = syscall(SYS_openat2, base_fd, path, &how, sizeof(how));
	return fd < 0 ? -errno : (int)fd;
}
