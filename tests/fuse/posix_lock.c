/* SPDX-License-Identifier: Apache-2.0 */
/* flock(2), fcntl(2) locks of processes and of open file descriptions. */
#include "tests/fuse/posix.h"

#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>

static int fcntl_lock(int fd, int cmd, short type, off_t start, off_t len)
{
	struct flock fl = {
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = start,
		.l_len = len,
	};

	return fcntl(fd, cmd, &fl);
}

static void wants_flock_free(void *path)
{
	int fd = OK(open(path, O_RDWR));

	OK(flock(fd, LOCK_EX | LOCK_NB));
	OK(close(fd));
}

static void wants_flock_taken(void *path)
{
	int fd = OK(open(path, O_RDWR));

	ERR(EWOULDBLOCK, flock(fd, LOCK_EX | LOCK_NB));
	OK(close(fd));
}

static void wants_flock_shared(void *path)
{
	int fd = OK(open(path, O_RDONLY));

	OK(flock(fd, LOCK_SH | LOCK_NB));
	ERR(EWOULDBLOCK, flock(fd, LOCK_EX | LOCK_NB));
	OK(close(fd));
}

TEST(flock_between_processes, 0)
{
	int fd, dup_fd;

	put("l", "");
	OK(link("l", "other-name"));
	fd = OK(open("l", O_RDWR));
	OK(flock(fd, LOCK_EX));
	in_child(wants_flock_taken, "l");
	in_child(wants_flock_taken, "other-name");
	OK(rename("l", "moved"));
	in_child(wants_flock_taken, "moved");
	OK(flock(fd, LOCK_SH));
	in_child(wants_flock_shared, "moved");
	OK(flock(fd, LOCK_UN));
	in_child(wants_flock_free, "moved");
	OK(flock(fd, LOCK_EX | LOCK_NB));
	dup_fd = OK(dup(fd));
	OK(close(fd));
	in_child(wants_flock_taken, "moved");
	OK(close(dup_fd));
	in_child(wants_flock_free, "moved");
}

TEST(flock_between_descriptions, 0)
{
	int a, b, c;

	put(".cargo-lock", "");
	a = OK(open(".cargo-lock", O_RDWR | O_CREAT, 0644));
	b = OK(open(".cargo-lock", O_RDWR));
	c = OK(open(".cargo-lock", O_RDONLY));
	OK(flock(a, LOCK_SH | LOCK_NB));
	OK(flock(b, LOCK_SH | LOCK_NB));
	ERR(EWOULDBLOCK, flock(c, LOCK_EX | LOCK_NB));
	OK(close(a));
	OK(close(b));
	OK(flock(c, LOCK_EX | LOCK_NB));
	OK(close(c));
	a = OK(open(".", O_RDONLY | O_DIRECTORY));
	b = OK(open(".", O_RDONLY | O_DIRECTORY));
	OK(flock(a, LOCK_EX | LOCK_NB));
	ERR(EWOULDBLOCK, flock(b, LOCK_EX | LOCK_NB));
	OK(close(a));
	OK(flock(b, LOCK_EX | LOCK_NB));
	OK(close(b));
}

static void holds_flock_a_while(void *arg)
{
	int *ready = arg;
	int fd = OK(open("l", O_RDWR));

	OK(flock(fd, LOCK_EX));
	write_all(ready[1], "x", 1);
	usleep(200000);
	/* the lock goes with the process */
}

TEST(flock_waits, 0)
{
	struct timespec t0, t1;
	int ready[2], fd;
	pid_t pid;
	char c;

	put("l", "");
	OK(pipe(ready));
	pid = start_child(holds_flock_a_while, ready);
	EQ(read(ready[0], &c, 1), 1);
	fd = OK(open("l", O_RDWR));
	clock_gettime(CLOCK_MONOTONIC, &t0);
	OK(flock(fd, LOCK_EX));
	clock_gettime(CLOCK_MONOTONIC, &t1);
	TRUE(nsec(t1) - nsec(t0) > 100000000);
	end_child(pid);
	OK(close(fd));
}

static void holds_flock_until_killed(void *arg)
{
	int *ready = arg;
	int fd = OK(open("l", O_RDWR));

	OK(flock(fd, LOCK_EX));
	OK(fcntl_lock(fd, F_SETLK, F_WRLCK, 0, 0));
	write_all(ready[1], "x", 1);
	pause();
}

TEST(locks_of_a_killed_process, 0)
{
	int ready[2], fd, status;
	pid_t pid;
	char c;

	put("l", "");
	OK(pipe(ready));
	pid = start_child(holds_flock_until_killed, ready);
	EQ(read(ready[0], &c, 1), 1);
	fd = OK(open("l", O_RDWR));
	ERR(EWOULDBLOCK, flock(fd, LOCK_EX | LOCK_NB));
	ERR2(EAGAIN, EACCES, fcntl_lock(fd, F_SETLK, F_WRLCK, 0, 0));
	OK(kill(pid, SIGKILL));
	OK(waitpid(pid, &status, 0));
	OK(flock(fd, LOCK_EX));
	OK(fcntl_lock(fd, F_SETLKW, F_WRLCK, 0, 0));
	OK(close(fd));
}

static void interrupted(int sig)
{
	(void)sig;
}

static void waits_for_flock(void *arg)
{
	struct sigaction sa = { .sa_handler = interrupted };
	int *ready = arg;
	int fd = OK(open("l", O_RDWR));

	OK(sigaction(SIGUSR1, &sa, NULL));
	write_all(ready[1], "x", 1);
	ERR(EINTR, flock(fd, LOCK_EX));
}

TEST(flock_interrupted, 0)
{
	int ready[2], fd;
	pid_t pid;
	char c;

	put("l", "");
	fd = OK(open("l", O_RDWR));
	OK(flock(fd, LOCK_EX));
	OK(pipe(ready));
	pid = start_child(waits_for_flock, ready);
	EQ(read(ready[0], &c, 1), 1);
	usleep(100000);
	OK(kill(pid, SIGUSR1));
	end_child(pid);
	OK(close(fd));
}

static void fcntl_ranges_of_the_other(void *arg)
{
	struct flock fl = { .l_type = F_WRLCK,
			    .l_whence = SEEK_SET,
			    .l_start = 120,
			    .l_len = 1 };
	int fd = OK(open("l", O_RDWR));

	ERR2(EAGAIN, EACCES, fcntl_lock(fd, F_SETLK, F_WRLCK, 100, 50));
	ERR2(EAGAIN, EACCES, fcntl_lock(fd, F_SETLK, F_RDLCK, 149, 1));
	OK(fcntl_lock(fd, F_SETLK, F_WRLCK, 150, 10));
	OK(fcntl_lock(fd, F_SETLK, F_RDLCK, 0, 10));
	ERR2(EAGAIN, EACCES, fcntl_lock(fd, F_SETLK, F_WRLCK, 0, 10));
	OK(fcntl(fd, F_GETLK, &fl));
	EQ(fl.l_type, F_WRLCK);
	EQ(fl.l_start, 100);
	EQ(fl.l_len, 50);
	EQ(fl.l_pid, *(pid_t *)arg);
}

TEST(fcntl_ranges, 0)
{
	pid_t me = getpid();
	int fd, second;

	put("l", "0123456789");
	fd = OK(open("l", O_RDWR));
	OK(fcntl_lock(fd, F_SETLK, F_WRLCK, 100, 50));
	OK(fcntl_lock(fd, F_SETLK, F_RDLCK, 0, 10));
	in_child(fcntl_ranges_of_the_other, &me);
	/* closing any descriptor of the file drops all */
	second = OK(open("l", O_RDONLY));
	OK(close(second));
	OK(lockf(fd, F_TEST, 0));
	OK(close(fd));
}

static void wants_range_free(void *arg)
{
	int fd = OK(open("l", O_RDWR));

	(void)arg;
	OK(fcntl_lock(fd, F_SETLK, F_WRLCK, 0, 0));
}

TEST(fcntl_dropped_by_any_close, 0)
{
	int fd, second;

	put("l", "");
	fd = OK(open("l", O_RDWR));
	OK(fcntl_lock(fd, F_SETLK, F_WRLCK, 0, 0));
	second = OK(open("l", O_RDONLY));
	OK(close(second));
	in_child(wants_range_free, NULL);
	OK(close(fd));
	fd = OK(open("l", O_RDONLY));
	ERR(EBADF, fcntl_lock(fd, F_SETLK, F_WRLCK, 0, 0));
	OK(close(fd));
}

static void deadlocks(void *arg)
{
	int *p = arg, fd = OK(open("l", O_RDWR));
	char c;

	OK(fcntl_lock(fd, F_SETLK, F_WRLCK, 1, 1));
	write_all(p[1], "x", 1);
	EQ(read(p[2], &c, 1), 1);
	usleep(100000); /* the parent waits for byte 1 by now */
	ERR(EDEADLK, fcntl_lock(fd, F_SETLKW, F_WRLCK, 0, 1));
}

TEST(fcntl_deadlock, 0)
{
	int p[4], fd;
	pid_t pid;
	char c;

	put("l", "xx");
	OK(pipe(p));
	OK(pipe(p + 2));
	fd = OK(open("l", O_RDWR));
	OK(fcntl_lock(fd, F_SETLK, F_WRLCK, 0, 1));
	pid = start_child(deadlocks, p);
	EQ(read(p[0], &c, 1), 1);
	write_all(p[3], "x", 1);
	OK(fcntl_lock(fd, F_SETLKW, F_WRLCK, 1, 1));
	end_child(pid);
}

TEST(ofd_locks, 0)
{
	int a, b;

	put("l", "");
	a = OK(open("l", O_RDWR));
	b = OK(open("l", O_RDWR));
	OK(fcntl_lock(a, F_OFD_SETLK, F_WRLCK, 0, 100));
	ERR2(EAGAIN, EACCES, fcntl_lock(b, F_OFD_SETLK, F_WRLCK, 50, 100));
	OK(fcntl_lock(b, F_OFD_SETLK, F_WRLCK, 100, 100));
	OK(close(OK(open("l", O_RDONLY))));
	ERR2(EAGAIN, EACCES, fcntl_lock(b, F_OFD_SETLK, F_RDLCK, 50, 1));
	OK(close(a));
	OK(fcntl_lock(b, F_OFD_SETLK, F_WRLCK, 0, 100));
	OK(close(b));
}

TEST(locks_while_written, 0)
{
	static char w[100000];
	int a = OK(open("l", O_RDWR | O_CREAT, 0644)), b;

	pattern(w, sizeof(w), 1);
	OK(flock(a, LOCK_EX));
	write_all(a, w, sizeof(w));
	b = OK(open("l", O_RDONLY));
	ERR(EWOULDBLOCK, flock(b, LOCK_SH | LOCK_NB));
	OK(ftruncate(a, 50000));
	ERR(EWOULDBLOCK, flock(b, LOCK_SH | LOCK_NB));
	OK(close(a));
	OK(flock(b, LOCK_SH | LOCK_NB));
	HAS_BYTES("l", w, 50000);
	OK(close(b));
}
