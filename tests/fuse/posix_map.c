/* SPDX-License-Identifier: Apache-2.0 */
/* Shared and private mappings, and what runs from the filesystem. */
#include "tests/fuse/posix.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/wait.h>

static char *map(int fd, size_t len, int prot, int flags)
{
	char *m = mmap(NULL, len, prot, flags, fd, 0);

	if (m == MAP_FAILED)
		FAIL("mmap of %zu: %s", len, strerror(errno));
	return m;
}

static void map_write_is_seen(size_t len)
{
	char *w = malloc(len), *r = malloc(len), *m;
	int64_t before;
	int fd, rd;

	pattern(w, len, len);
	put_bytes("a", w, len);
	fd = OK(open("a", O_RDWR));
	rd = OK(open("a", O_RDONLY));
	before = nsec(st_of("a").st_mtim);
	tick();
	m = map(fd, len, PROT_READ | PROT_WRITE, MAP_SHARED);
	TRUE(memcmp(m, w, len) == 0);
	m[0] = w[0] = 'x';
	m[len / 2] = w[len / 2] = 'y';
	m[len - 1] = w[len - 1] = 'z';
	EQ(pread_full(rd, r, len, 0), len);
	TRUE(memcmp(r, w, len) == 0);
	HAS_BYTES("a", w, len);
	/* and the other way round */
	pwrite_all(fd, "W", 1, 1);
	w[1] = 'W';
	TRUE(m[1] == 'W');
	OK(msync(m, len, MS_SYNC));
	OK(munmap(m, len));
	OK(close(fd));
	TRUE(nsec(st_of("a").st_mtim) > before);
	EQ(st_fd(rd).st_size, len);
	HAS_BYTES("a", w, len);
	OK(close(rd));
	free(w);
	free(r);
}

TEST(map_shared_small, 0)
{
	map_write_is_seen(100);
	map_write_is_seen(4096);
}
TEST(map_shared_large, 0)
{
	map_write_is_seen(65537);
	map_write_is_seen(700001);
}
TEST(map_shared_fingerprint, 0)
{
	OK(mkdir(".fingerprint", 0755));
	OK(mkdir(".fingerprint/a-0123456789abcdef", 0755));
	OK(chdir(".fingerprint/a-0123456789abcdef"));
	map_write_is_seen(16);
	map_write_is_seen(200000);
}

/* The mtime must follow a write through a mapping, at the latest when the
 * last writer is gone (ext4: at the first write after a writeback). */
TEST(map_write_moves_mtime, 0)
{
	static char zero[20000];
	int64_t before;
	char *m;
	int fd;

	put_bytes("a", zero, sizeof(zero));
	fd = OK(open("a", O_RDWR));
	OK(fsync(fd));
	before = nsec(st_of("a").st_mtim);
	tick();
	m = map(fd, sizeof(zero), PROT_READ | PROT_WRITE, MAP_SHARED);
	OK(close(fd));
	m[5000] = 1;
	OK(munmap(m, sizeof(zero)));
	tick();
	TRUE(nsec(st_of("a").st_mtim) > before);
}

/* mold: open, ftruncate, map, close, write for long, unmap. */
static char *map_then_close(const char *name, size_t len, unsigned msec)
{
	char *w = malloc(len), *m;
	unsigned steps = msec / 20 + 1;
	size_t at = 0;
	int fd;

	pattern(w, len, len + msec);
	fd = OK(open(name, O_RDWR | O_CREAT | O_TRUNC, 0777));
	OK(ftruncate(fd, (off_t)len));
	m = map(fd, len, PROT_READ | PROT_WRITE, MAP_SHARED);
	OK(close(fd));
	for (unsigned i = 1; i <= steps; i++) {
		size_t end = len * i / steps;

		memcpy(m + at, w + at, end - at);
		at = end;
		if (i % 10 == 0)
			EQ(st_of(name).st_size, len);
		if (msec)
			usleep(20000);
	}
	HAS_BYTES(name, w, len);
	m[7] = w[7] = '!';
	OK(munmap(m, len));
	HAS_BYTES(name, w, len);
	return w;
}

TEST(map_written_after_close, 0)
{
	static const char *const names[] = { "deps/a-0123456789abcdef",
					     "deps/b-0123456789abcdef", "c" };
	static const size_t sizes[] = { 5000, 3000000, 2000000 };
	char *want[3];

	OK(mkdir("deps", 0755));
	for (int i = 0; i < 3; i++)
		want[i] = map_then_close(names[i], sizes[i], i == 1 ? 0 : 500);
	sleep(opt.settle);
	for (int i = 0; i < 3; i++) {
		HAS_BYTES(names[i], want[i], sizes[i]);
		free(want[i]);
	}
}

TEST(map_written_for_long_after_close, HEAVY)
{
	unsigned sec = opt.settle ? opt.settle * 2 : 3;
	char *want;

	OK(mkdir("deps", 0755));
	want = map_then_close("deps/app-0123456789abcdef", 4000000, 1000 * sec);
	sleep(opt.settle);
	HAS_BYTES("deps/app-0123456789abcdef", want, 4000000);
	free(want);
}

TEST(map_two_processes, 0)
{
	static char zero[8192];
	volatile char *m;
	pid_t pid;
	int fd;

	put_bytes("a", zero, sizeof(zero));
	fd = OK(open("a", O_RDWR));
	m = map(fd, sizeof(zero), PROT_READ | PROT_WRITE, MAP_SHARED);
	pid = OK(fork());
	if (pid == 0) {
		int fd2 = OK(open("a", O_RDWR));
		volatile char *n = map(fd2, sizeof(zero),
				       PROT_READ | PROT_WRITE, MAP_SHARED);

		while (!n[10])
			usleep(100);
		n[5000] = 'c';
		_exit(0);
	}
	m[10] = 'p';
	end_child(pid);
	EQ(m[5000], 'c');
	zero[10] = 'p';
	zero[5000] = 'c';
	HAS_BYTES("a", zero, sizeof(zero));
	OK(close(fd));
}

TEST(map_private_is_private, 0)
{
	static char w[100000];
	char *m;
	int fd;

	pattern(w, sizeof(w), 4);
	put_bytes("a", w, sizeof(w));
	fd = OK(open("a", O_RDONLY));
	m = map(fd, sizeof(w), PROT_READ | PROT_WRITE, MAP_PRIVATE);
	OK(close(fd));
	TRUE(memcmp(m, w, sizeof(w)) == 0);
	memset(m, 0, sizeof(w));
	HAS_BYTES("a", w, sizeof(w));
	OK(munmap(m, sizeof(w)));
	HAS_BYTES("a", w, sizeof(w));
}

TEST(map_permissions, 0)
{
	int fd;

	put("a", "text");
	fd = OK(open("a", O_RDONLY));
	TRUE(mmap(NULL, 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) ==
	     MAP_FAILED);
	EQ(errno, EACCES);
	OK(close(fd));
	fd = OK(open("a", O_WRONLY));
	TRUE(mmap(NULL, 4, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED);
	EQ(errno, EACCES);
	OK(close(fd));
}

static sigjmp_buf bus_jump;
static void on_bus(int sig)
{
	(void)sig;
	siglongjmp(bus_jump, 1);
}

TEST(map_beyond_the_end, 0)
{
	struct sigaction sa = { .sa_handler = on_bus };
	static char w[10000];
	volatile char *m;
	volatile int hit = 0;
	int fd;

	pattern(w, sizeof(w), 8);
	put_bytes("a", w, sizeof(w));
	fd = OK(open("a", O_RDWR));
	m = map(fd, 20480, PROT_READ | PROT_WRITE, MAP_SHARED);
	TRUE(m[10000] == 0 && m[12287] == 0);
	OK(sigaction(SIGBUS, &sa, NULL));
	if (sigsetjmp(bus_jump, 1) == 0)
		hit = m[12288];
	else
		hit = 1000;
	EQ(hit, 1000);
	m[10001] =
		'x'; /* in the last page, behind the end: never in the file */
	OK(ftruncate(fd, 20480));
	EQ(m[15000], 0);
	m[15000] = 'n';
	OK(ftruncate(fd, 3000));
	if (sigsetjmp(bus_jump, 1) == 0)
		hit = m[5000];
	else
		hit = 2000;
	EQ(hit, 2000);
	EQ(m[2999], w[2999]);
	EQ(m[3500], 0);
	OK(close(fd));
	HAS_BYTES("a", w, 3000);
}

TEST(map_grows_with_the_file, 0)
{
	static char w[300000];
	char *m;
	int fd = OK(open("deps-lock", O_RDWR | O_CREAT, 0644));

	memset(w, 0, sizeof(w));
	OK(ftruncate(fd, 4096));
	m = map(fd, sizeof(w), PROT_READ | PROT_WRITE, MAP_SHARED);
	for (size_t size = 4096; size <= sizeof(w); size += 32768) {
		OK(ftruncate(fd, (off_t)size));
		m[size - 1] = w[size - 1] = 'e';
		pwrite_all(fd, "w", 1, (off_t)size - 2);
		w[size - 2] = 'w';
		TRUE(m[size - 2] == 'w');
		HAS_BYTES("deps-lock", w, size);
	}
	OK(munmap(m, sizeof(w)));
	OK(close(fd));
}

/* A reader came first, and has it mapped; then come the writers. */
TEST(map_reader_sees_a_later_writer, 0)
{
	static const size_t sizes[] = { 50, 5000, 65536, 65537, 200000 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t len = sizes[i];
		char *w = malloc(len);
		volatile char *m;
		int rd, fd;

		pattern(w, len, i);
		put_bytes("a", w, len);
		rd = OK(open("a", O_RDONLY));
		m = map(rd, len, PROT_READ, MAP_SHARED);
		EQ(m[len - 1], w[len - 1]);
		fd = OK(open("a", O_RDWR));
		pwrite_all(fd, "N", 1, (off_t)len - 1);
		EQ(m[len - 1], 'N');
		OK(close(rd));
		pwrite_all(fd, "M", 1, 3);
		EQ(m[3], 'M');
		OK(close(fd));
		OK(munmap((void *)(uintptr_t)m, len));
		free(w);
	}
}

TEST(map_survives_truncation_by_open, 0)
{
	static char w[100000];
	struct sigaction sa = { .sa_handler = on_bus };
	volatile char *m;
	volatile int hit = 0;
	int fd;

	pattern(w, sizeof(w), 2);
	put_bytes("a", w, sizeof(w));
	fd = OK(open("a", O_RDONLY));
	m = map(fd, sizeof(w), PROT_READ, MAP_SHARED);
	EQ(m[99999], w[99999]);
	put("a", "short");
	OK(sigaction(SIGBUS, &sa, NULL));
	if (sigsetjmp(bus_jump, 1) == 0)
		hit = m[50000];
	else
		hit = 1000;
	EQ(hit, 1000);
	EQ(m[0], 's');
	EQ(st_fd(fd).st_size, 5);
	OK(close(fd));
}

/* --- programs --- */

static void copy_program(const char *from, const char *to)
{
	int in = OK(open(from, O_RDONLY));
	int out = OK(open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755));
	struct stat st = st_fd(in);
	off_t at = 0;

	while (at < st.st_size)
		TRUE(sendfile(out, in, &at, (size_t)(st.st_size - at)) > 0);
	OK(close(in));
	OK(close(out));
}

static int run(const char *path, const char *arg)
{
	int status;
	pid_t pid = OK(fork());

	if (pid == 0) {
		execl(path, path, arg, NULL);
		_exit(errno == ETXTBSY ? 126 : errno == EACCES ? 125 : 127);
	}
	OK(waitpid(pid, &status, 0));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
}

static pid_t start_sleep(const char *path)
{
	pid_t pid = OK(fork());
	char exe[64], buf[4096];
	char *want = realpath(path, NULL);

	if (pid == 0) {
		execl(path, path, "20", NULL);
		_exit(127);
	}
	TRUE(want);
	(void)snprintf(exe, sizeof(exe), "/proc/%d/exe", (int)pid);
	for (int i = 0; i < 200; i++) {
		ssize_t n = readlink(exe, buf, sizeof(buf) - 1);

		if (n > 0) {
			buf[n] = 0;
			if (strcmp(buf, want) == 0) {
				free(want);
				return pid;
			}
		}
		usleep(10000);
	}
	FAIL("'%s' does not run", path);
}

TEST(exec_file, 0)
{
	copy_program("/bin/true", "t");
	EQ(run("./t", NULL), 0);
	OK(link("t", "t2"));
	EQ(run("./t2", NULL), 0);
	OK(chmod("t", 0644));
	EQ(run("./t", NULL), 125);
	OK(chmod("t", 0755));
	put("script", "#!/bin/sh\nexit 7\n");
	OK(chmod("script", 0755));
	EQ(run("./script", NULL), 7);
}

TEST(exec_etxtbsy, 0)
{
	int fd, status;
	pid_t pid;

	copy_program("/bin/sleep", "s");
	fd = OK(open("s", O_WRONLY));
	EQ(run("./s", "0"), 126);
	OK(close(fd));
	EQ(run("./s", "0"), 0);
	pid = start_sleep("s");
	ERR(ETXTBSY, open("s", O_WRONLY));
	ERR(ETXTBSY, open("s", O_RDWR));
	ERR(ETXTBSY, open("s", O_WRONLY | O_TRUNC));
	ERR(ETXTBSY, truncate("s", 0));
	OK(close(OK(open("s", O_RDONLY))));
	/* replaced and removed while it runs, as linkers do */
	copy_program("/bin/true", "new");
	OK(rename("new", "s"));
	EQ(run("./s", "0"), 0);
	OK(unlink("s"));
	EQ(kill(pid, 0), 0);
	OK(kill(pid, SIGKILL));
	OK(waitpid(pid, &status, 0));
	EQ(WTERMSIG(status), SIGKILL);
}

TEST(exec_written_by_map, 0)
{
	int in = OK(open("/bin/true", O_RDONLY)), fd;
	struct stat st = st_fd(in);
	char *m;

	fd = OK(open("t", O_RDWR | O_CREAT | O_EXCL, 0755));
	OK(ftruncate(fd, st.st_size));
	m = map(fd, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED);
	OK(close(fd));
	EQ(pread_full(in, m, (size_t)st.st_size, 0), st.st_size);
	OK(munmap(m, (size_t)st.st_size));
	EQ(run("./t", NULL), 0);
	for (int i = 0; i < 20; i++)
		EQ(run("./t", NULL), 0);
}

TEST(exec_mapped_code, 0)
{
	char *m;
	int fd;

	copy_program("/bin/true", "t");
	fd = OK(open("t", O_RDONLY));
	m = map(fd, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE);
	TRUE(memcmp(m, "\177ELF", 4) == 0);
	OK(munmap(m, 4096));
	OK(close(fd));
}
