/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who keeps a mount busy. Compares the texts of the links in /proc, so that
 * the mount itself is not asked anything.
 */
#include "config.h"

#include "tools/proc_users.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/io.h"
#include "store/base/macros.h"
#include "tools/paths.h"

/* Named in full; the others are only counted. */
#define USERS_NAMED 5

static bool link_under(int dirfd, const char *name, const char *dir)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target) - 1);

	if (n < 0)
		return false;
	target[n] = '\0';
	return path_within(target, dir);
}

static bool any_fd_under(int proc_fd, const char *dir)
{
	_cleanup_(closedirp) DIR *d = NULL;
	const struct dirent *e;

	if (dir_open(proc_fd, "fd", &d) < 0)
		return false;
	while ((e = readdir(d))) {
		if (link_under(dirfd(d), e->d_name, dir))
			return true;
	}
	return false;
}

static bool process_uses(int proc_fd, const char *dir)
{
	return link_under(proc_fd, "cwd", dir) ||
	       link_under(proc_fd, "root", dir) ||
	       link_under(proc_fd, "exe", dir) || any_fd_under(proc_fd, dir);
}

static void read_comm(int proc_fd, char *ret_comm, size_t size)
{
	_cleanup_close_ int fd = openat(proc_fd, "comm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, ret_comm, size - 1);

	ret_comm[n > 0 ? n : 0] = '\0';
	ret_comm[strcspn(ret_comm, "\n")] = '\0';
}

static void name_process(FILE *out, int proc_fd, const char *pid,
			 unsigned before)
{
	char comm[64];

	read_comm(proc_fd, comm, sizeof(comm));
	(void)fprintf(out, "%s%s (pid %s)", before ? ", " : "", comm, pid);
}

/* Writes the list; returns how many there are. */
static unsigned list_users(DIR *proc, const char *dir, FILE *out)
{
	const struct dirent *e;
	unsigned count = 0;

	while ((e = readdir(proc))) {
		_cleanup_close_ int fd = -1;

		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		fd = openat(dirfd(proc), e->d_name,
			    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 || !process_uses(fd, dir))
			continue;
		if (count < USERS_NAMED)
			name_process(out, fd, e->d_name, count);
		count++;
	}
	if (count > USERS_NAMED)
		(void)fprintf(out, " and %u more", count - USERS_NAMED);
	return count;
}

int proc_users(const char *dir, char **ret_text)
{
	_cleanup_(closedirp) DIR *proc = opendir("/proc");
	char *text = NULL;
	size_t size = 0;
	unsigned count;
	FILE *out;

	if (!proc)
		return -errno;
	out = open_memstream(&text, &size);
	if (!out)
		return -ENOMEM;
	count = list_users(proc, dir, out);
	if (fclose(out) != 0 || count == 0) {
		free(text);
		text = NULL;
	}
	*ret_text = text;
	return 0;
}
