/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the cargo workspace around the working directory.
 */
#include "config.h"

#include "tools/project.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/base/macros.h"
#include "tools/paths.h"

/* Reads to the end, at most @size - 1 bytes; the rest is read and dropped. */
static size_t read_output(int fd, char *buf, size_t size)
{
	size_t len = 0;
	char rest[512];

	for (;;) {
		bool full = len + 1 >= size;
		ssize_t n = full ? read(fd, rest, sizeof(rest))
				 : read(fd, buf + len, size - 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		if (!full)
			len += (size_t)n;
	}
	buf[len] = '\0';
	return len;
}

static int spawn_quietly(char *const *argv, int out, pid_t *ret_pid)
{
	posix_spawn_file_actions_t fa;
	int r = posix_spawn_file_actions_init(&fa);

	if (r != 0)
		return -r;
	r = posix_spawn_file_actions_adddup2(&fa, out, STDOUT_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_addopen(&fa, STDERR_FILENO,
						     "/dev/null", O_WRONLY, 0);
	if (r == 0)
		r = posix_spawn_file_actions_addopen(&fa, STDIN_FILENO,
						     "/dev/null", O_RDONLY, 0);
	if (r == 0)
		r = posix_spawnp(ret_pid, argv[0], &fa, NULL, argv, environ);
	(void)posix_spawn_file_actions_destroy(&fa);
	return -r;
}

/* The output of a command that succeeded, without its last newline. */
static int output_of(char *const *argv, char *buf, size_t size)
{
	_cleanup_close_ int in = -1;
	int fds[2], status, r;
	size_t len;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	in = fds[0];
	r = spawn_quietly(argv, fds[1], &pid);
	(void)close(fds[1]);
	if (r < 0)
		return r;
	len = read_output(in, buf, size);
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return -ENOENT;
	if (len > 0 && buf[len - 1] == '\n')
		buf[len - 1] = '\0';
	return 0;
}

/* The directory of the workspace's Cargo.toml, by cargo. */
static int ask_cargo(char *const *argv, const struct cargo_args *args,
		     char **ret_root)
{
	const char *env = getenv("CARGO");
	const char *words[8];
	char manifest[PATH_MAX + 1];
	size_t n = 0;
	int r;

	words[n++] = args->is_cargo ? argv[0] : env && *env ? env : "cargo";
	if (args->is_cargo && argv[1] && argv[1][0] == '+')
		words[n++] = argv[1];
	words[n++] = "locate-project";
	words[n++] = "--workspace";
	words[n++] = "--message-format=plain";
	if (args->manifest_path) {
		words[n++] = "--manifest-path";
		words[n++] = args->manifest_path;
	}
	words[n] = NULL;
	/* posix_spawn() does not write to the words. */
	r = output_of((char *const *)(const void *)words, manifest,
		      sizeof(manifest));
	if (r < 0)
		return r;
	if (manifest[0] != '/')
		return -ENOENT;
	return path_parent(manifest, ret_root);
}

/* The nearest directory upwards with a Cargo.toml. */
static int look_upwards(char **ret_root)
{
	_cleanup_free_ char *dir = realpath(".", NULL);

	if (!dir)
		return -errno;
	for (;;) {
		char *manifest;
		bool found;

		if (asprintf(&manifest, "%s/Cargo.toml", dir) < 0)
			return -ENOMEM;
		found = access(manifest, F_OK) == 0;
		free(manifest);
		if (found) {
			*ret_root = TAKE_PTR(dir);
			return 0;
		}
		if (strlen(dir) <= 1)
			return -ENOENT;
		*strrchr(dir, '/') = '\0';
	}
}

static int find_root(char *const *argv, const struct cargo_args *args,
		     char **ret_root)
{
	int r = ask_cargo(argv, args, ret_root);

	if (r == 0)
		return 0;
	if (args->manifest_path)
		return path_parent(args->manifest_path, ret_root);
	return look_upwards(ret_root);
}

static const char *env_or_null(const char *name)
{
	const char *v = getenv(name);

	return v && *v ? v : NULL;
}

int project_find(char *const *argv, const struct cargo_args *args,
		 struct project *ret_project)
{
	const char *target = args->target_dir;
	struct project p = { 0 };
	int r = find_root(argv, args, &p.root);

	if (r < 0)
		return r;
	if (!target)
		target = env_or_null("CARGO_TARGET_DIR");
	if (!target)
		target = env_or_null("CARGO_BUILD_TARGET_DIR");
	if (target)
		p.target = strdup(target);
	else if (asprintf(&p.target, "%s/target", p.root) < 0)
		p.target = NULL;
	if (!p.target) {
		project_release(&p);
		return -ENOMEM;
	}
	*ret_project = p;
	return 0;
}

void project_release(struct project *p)
{
	free(p->root);
	free(p->target);
	*p = (struct project){ 0 };
}
