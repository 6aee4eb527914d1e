/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One more build of a workspace, by cargo, where nobody else sees it.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/base/io.h"
#include "store/base/macros.h"
#include "tools/common.h"
#include "tools/verify.h"

/* What the child ends with when it comes to no cargo. */
#define NO_MOUNT 125
#define NO_CARGO 126

static int write_text(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : write_full(fd, text, strlen(text));
}

/* Root of a user namespace is who we are. */
static int map_user(uid_t uid, gid_t gid)
{
	char text[64];
	int r;

	r = write_text("/proc/self/setgroups", "deny");
	(void)snprintf(text, sizeof(text), "%u %u 1", uid, uid);
	if (r == 0)
		r = write_text("/proc/self/uid_map", text);
	(void)snprintf(text, sizeof(text), "%u %u 1", gid, gid);
	return r < 0 ? r : write_text("/proc/self/gid_map", text);
}

static int own_mounts(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (unshare(CLONE_NEWNS) == 0)
		return 0;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return -errno;
	return map_user(uid, gid);
}

static int cover(const char *target, const char *scratch)
{
	int r = own_mounts();

	if (r < 0)
		return r;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(scratch, target, NULL, MS_BIND, NULL) < 0)
		return -errno;
	return 0;
}

/* Messages of cargo are of no interest but when it fails: into a file beside
 * what it builds. */
static void redirect(const char *target)
{
	char path[4096];
	int in = open("/dev/null", O_RDONLY), out;

	(void)snprintf(path, sizeof(path), "%s/verify.log", target);
	out = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (in >= 0)
		(void)dup2(in, STDIN_FILENO);
	if (out >= 0) {
		(void)dup2(out, STDOUT_FILENO);
		(void)dup2(out, STDERR_FILENO);
	}
}

/* "debug" is what the profile dev builds into. Below a triple its own. */
static void exec_cargo(const struct verify_unit *u, const char *verb)
{
	const char *slash = strrchr(u->profile, '/');
	const char *profile = slash ? slash + 1 : u->profile;
	char triple[256];
	const char *argv[16];
	size_t n = 0;

	argv[n++] = "cargo";
	argv[n++] = verb;
	argv[n++] = "--workspace";
	argv[n++] = "--all-targets";
	argv[n++] = "--offline";
	argv[n++] = "--keep-going";
	argv[n++] = "--profile";
	argv[n++] = strcmp(profile, "debug") == 0 ? "dev" : profile;
	argv[n++] = "--target-dir";
	argv[n++] = u->target;
	if (slash) {
		(void)snprintf(triple, sizeof(triple), "%.*s",
			       (int)(slash - u->profile), u->profile);
		argv[n++] = "--target";
		argv[n++] = triple;
	}
	argv[n] = NULL;
	(void)execvp("cargo", (char *const *)(const void *)argv);
}

static void run(const struct verify_unit *u, const char *verb,
		const char *scratch)
{
	if (cover(u->target, scratch) < 0)
		_exit(NO_MOUNT);
	redirect(u->target);
	if (chdir(u->workspace) == 0)
		exec_cargo(u, verb);
	_exit(NO_CARGO);
}

int verify_build(const struct verify_unit *u, const char *verb,
		 const char *scratch)
{
	pid_t pid;
	int status;

	(void)fflush(NULL);
	pid = fork();
	if (pid == 0)
		run(u, verb, scratch);
	if (pid < 0)
		return say_error(-errno, "cannot start cargo");
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return say_error(-errno, "cannot wait for cargo");
	if (WIFEXITED(status) && WEXITSTATUS(status) == NO_MOUNT)
		return say_error(-EPERM,
				 "cannot mount a scratch directory over "
				 "'%s': root, or user namespaces, are "
				 "needed",
				 u->target);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NO_CARGO)
		return say_error(-ENOENT, "cannot run cargo in '%s'",
				 u->workspace);
	return 0;
}
