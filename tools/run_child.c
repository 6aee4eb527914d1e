/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command in a child; see run_child.h.
 */
#include "config.h"

#include "tools/run_child.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/base/macros.h"

/* Only to be killed: set before its signals are let in. */
static volatile pid_t child;

static void hand_on(int sig)
{
	int e = errno;

	if (child > 0)
		(void)kill(child, sig);
	errno = e;
}

/* By a terminal, to the child as to us: the child decides. */
static const int from_terminal[] = { SIGINT, SIGQUIT };
static const int handed_on[] = { SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 };

static void catch_signals(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct sigaction forward = { .sa_handler = hand_on,
				     .sa_flags = SA_RESTART };
	struct sigaction old;

	for (size_t i = 0; i < ARRAY_LEN(from_terminal); i++)
		(void)sigaction(from_terminal[i], &ignore, NULL);
	/* What was ignored, as by nohup(1), the child ignores as well. */
	for (size_t i = 0; i < ARRAY_LEN(handed_on); i++)
		if (sigaction(handed_on[i], NULL, &old) == 0 &&
		    old.sa_handler != SIG_IGN)
			(void)sigaction(handed_on[i], &forward, NULL);
}

static void start(int (*execute)(char **argv), char **argv, pid_t parent,
		  const sigset_t *mask)
{
	/* Whoever kills us means the command. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
	(void)sigprocmask(SIG_SETMASK, mask, NULL);
	_exit(execute(argv));
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return status;
}

static int end_as(int status)
{
	const struct rlimit none = { 0, 0 };
	sigset_t set;
	int sig;

	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	sig = WTERMSIG(status);
	/* The core is the child's. */
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)signal(sig, SIG_DFL);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, sig);
	(void)raise(sig);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	return 128 + sig;
}

int run_child(int (*execute)(char **argv), char **argv,
	      void (*last)(const void *arg), const void *arg)
{
	pid_t self = getpid(), pid;
	sigset_t all, mask;
	int status;

	(void)fflush(NULL);
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, &mask);
	pid = fork();
	if (pid == 0)
		start(execute, argv, self, &mask);
	status = -errno;
	if (pid > 0) {
		child = pid;
		catch_signals();
	}
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
	if (pid < 0)
		return status;
	status = wait_for(pid);
	child = 0;
	if (status < 0)
		return EXIT_FAILURE;
	last(arg);
	return end_as(status);
}
