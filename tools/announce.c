/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A short-lived process that watches for the mount to answer. It is no child
 * of the daemon (which would have to reap it) and ends with it: the daemon
 * holds the other end of a pipe.
 */
#include "config.h"

#include "tools/announce.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/session.h"
#include "tools/common.h"
#include "tools/mounting.h"

#define LOOK_EVERY_MSEC 20

static bool is_mounted(const char *dir)
{
	struct mount_info info;
	struct statfs fs;

	if (mount_find(dir, &info) < 0)
		return false;
	mount_info_release(&info);
	/* Waits until the daemon answers; stat() might be cached. */
	return statfs(dir, &fs) == 0;
}

static void watch(const char *dir, int pipe_fd)
{
	struct pollfd p = { .fd = pipe_fd };

	/* A hang-up is always reported: the daemon has gone. */
	while (poll(&p, 1, LOOK_EVERY_MSEC) == 0) {
		if (is_mounted(dir)) {
			say("mounted '%s'", dir);
			return;
		}
	}
}

static int start_watcher(const char *dir, int *ret_fd)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		(void)close(fds[1]);
		if (fork() == 0)
			watch(dir, fds[0]);
		_exit(EXIT_SUCCESS);
	}
	(void)close(fds[0]);
	if (pid < 0) {
		(void)close(fds[1]);
		return -ENOMEM;
	}
	(void)waitpid(pid, NULL, 0);
	*ret_fd = fds[1];
	return 0;
}

int announce_and_mount(struct mount_job *job)
{
	int fd = -1;
	int r;

	/* Without a watcher the mount is as good, only silent. */
	(void)start_watcher(job->mountpoint, &fd);
	r = mount_start(job);
	if (fd >= 0)
		(void)close(fd);
	return r;
}
