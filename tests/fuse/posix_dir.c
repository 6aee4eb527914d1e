/* SPDX-License-Identifier: Apache-2.0 */
/* Reading directories: whole, in pieces, and while they change. */
#include "tests/fuse/posix.h"

#include <dirent.h>
#include <signal.h>
#include <sys/syscall.h>

static void make_files(const char *dir, int first, int n)
{
	char name[64];

	for (int i = first; i < first + n; i++) {
		(void)snprintf(name, sizeof(name), "%s/f%06d", dir, i);
		OK(close(OK(open(name, O_WRONLY | O_CREAT | O_EXCL, 0644))));
	}
}

/* Counts names f000000 ... into seen[]; others must be in @others. */
static int note_name(const char *name, unsigned char *seen, int n)
{
	int i;

	if (name[0] == '.')
		return 0;
	if (name[0] != 'f' || sscanf(name + 1, "%d", &i) != 1)
		return 0;
	if (i < 0 || i >= n)
		return 0;
	seen[i]++;
	return 1;
}

static void all_once(const unsigned char *seen, int from, int to)
{
	for (int i = from; i < to; i++)
		if (seen[i] != 1)
			FAIL("f%06d was listed %d times", i, seen[i]);
}

static void list_all(const char *dir, unsigned char *seen, int n)
{
	struct dirent *e;
	DIR *d = opendir(dir);

	TRUE(d);
	memset(seen, 0, (size_t)n);
	errno = 0;
	while ((e = readdir(d)))
		(void)note_name(e->d_name, seen, n);
	EQ(errno, 0);
	OK(closedir(d));
}

TEST(readdir_of_all_kinds, 0)
{
	bool dot = false, dotdot = false;
	struct dirent *e;
	int n = 0;
	DIR *d;

	OK(mkdir("x", 0755));
	OK(chdir("x"));
	put("file", "");
	OK(mkdir("dir", 0755));
	OK(symlink("t", "link"));
	OK(mkfifo("fifo", 0600));
	OK(link("file", "hard"));
	d = opendir(".");
	TRUE(d);
	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0) {
			dot = true;
			EQ(e->d_ino, st_of(".").st_ino);
			continue;
		}
		if (strcmp(e->d_name, "..") == 0) {
			dotdot = true;
			continue;
		}
		EQ(e->d_ino, st_of(e->d_name).st_ino);
		EQ(e->d_type, IFTODT(st_of(e->d_name).st_mode));
		n++;
	}
	EQ(n, 5);
	TRUE(dot && dotdot);
	put("later", "");
	rewinddir(d);
	n = 0;
	while (readdir(d))
		n++;
	EQ(n, 8);
	OK(closedir(d));
}

TEST(readdir_is_never_stale, 0)
{
	enum { N = 400 };
	unsigned char seen[N];
	char name[32];
	DIR *d, *old;

	OK(mkdir("d", 0755));
	old = opendir("d");
	TRUE(old);
	for (int i = 0; i < N; i++) {
		make_files("d", i, 1);
		if (i % 20 == 0) {
			list_all("d", seen, N);
			all_once(seen, 0, i + 1);
		}
	}
	for (int i = 0; i < N; i += 2) {
		(void)snprintf(name, sizeof(name), "d/f%06d", i);
		OK(unlink(name));
		if (i % 40 == 0) {
			list_all("d", seen, N);
			EQ(seen[i], 0);
			EQ(seen[i + 1], 1);
		}
	}
	/* a directory opened before all that, read now */
	rewinddir(old);
	memset(seen, 0, sizeof(seen));
	for (struct dirent *e; (e = readdir(old));)
		(void)note_name(e->d_name, seen, N);
	for (int i = 0; i < N; i++)
		EQ(seen[i], i % 2);
	OK(closedir(old));
	d = opendir("d");
	TRUE(d);
	OK(rename("d/f000001", "d/f000000"));
	OK(closedir(d));
	list_all("d", seen, N);
	EQ(seen[0], 1);
	EQ(seen[1], 0);
}

TEST(readdir_while_deleting_all, 0)
{
	enum { N = 3000 };
	static unsigned char seen[N];
	struct dirent *e;
	char name[300];
	DIR *d;

	OK(mkdir("d", 0755));
	make_files("d", 0, N);
	d = opendir("d");
	TRUE(d);
	while ((e = readdir(d))) {
		if (!note_name(e->d_name, seen, N))
			continue;
		(void)snprintf(name, sizeof(name), "d/%s", e->d_name);
		OK(unlink(name));
	}
	OK(closedir(d));
	all_once(seen, 0, N);
	OK(rmdir("d"));
}

TEST(readdir_while_changing, 0)
{
	enum { N = 2000, MORE = 4000 };
	static unsigned char seen[MORE];
	char name[64], to[64];
	struct dirent *e;
	int at = 0, made = N;
	DIR *d;

	OK(mkdir("d", 0755));
	make_files("d", 0, N);
	d = opendir("d");
	TRUE(d);
	while ((e = readdir(d))) {
		if (!note_name(e->d_name, seen, MORE))
			continue;
		at++;
		/* names below 1000 stay; the others go, move, or are new */
		if (at % 2 == 0 && made < MORE)
			make_files("d", made++, 1);
		if (at % 3 == 0) {
			(void)snprintf(name, sizeof(name), "d/f%06d",
				       1000 + at / 3);
			OK(unlink(name));
		}
		if (at % 5 == 0 && 1700 + at / 5 < N) {
			(void)snprintf(name, sizeof(name), "d/f%06d",
				       1700 + at / 5);
			(void)snprintf(to, sizeof(to), "d/moved%d", at);
			OK(rename(name, to));
		}
		if (at > 3 * 600)
			break;
	}
	while ((e = readdir(d)))
		(void)note_name(e->d_name, seen, MORE);
	OK(closedir(d));
	all_once(seen, 0, 1000);
	for (int i = 1000; i < MORE; i++)
		if (seen[i] > 1)
			FAIL("f%06d was listed %d times", i, seen[i]);
}

TEST(readdir_while_another_process_changes, 0)
{
	enum { N = 1500 };
	static unsigned char seen[N];
	pid_t pid;

	OK(mkdir("d", 0755));
	make_files("d", 0, N);
	pid = OK(fork());
	if (pid == 0) {
		char a[64], b[64];

		for (int i = 0;; i++) {
			(void)snprintf(a, sizeof(a), "d/a%d", i % 500);
			(void)snprintf(b, sizeof(b), "d/b%d", i % 300);
			(void)close(open(a, O_WRONLY | O_CREAT, 0644));
			(void)rename(a, b);
			if (link(b, a) < 0)
				(void)unlink(a);
			if (i % 3)
				(void)unlink(b);
		}
	}
	for (int i = 0; i < 60; i++) {
		list_all("d", seen, N);
		all_once(seen, 0, N);
	}
	OK(kill(pid, SIGKILL));
}

TEST(seekdir_goes_back, 0)
{
	enum { N = 1000 };
	static char names[N + 2][64];
	long where[N + 3];
	struct dirent *e;
	char path[128];
	int n = 0;
	DIR *d;

	OK(mkdir("d", 0755));
	make_files("d", 0, N);
	d = opendir("d");
	TRUE(d);
	where[0] = telldir(d);
	while ((e = readdir(d))) {
		(void)snprintf(names[n++], 64, "%.60s", e->d_name);
		where[n] = telldir(d);
	}
	EQ(n, N + 2);
	for (int i = n - 1; i >= 0; i -= 37) {
		seekdir(d, where[i]);
		e = readdir(d);
		TRUE(e);
		if (strcmp(e->d_name, names[i]) != 0)
			FAIL("after seekdir %d: %s, not %s", i, e->d_name,
			     names[i]);
	}
	/* what was passed, and what comes, may go away meanwhile */
	for (int i = 0; i < n; i++) {
		if (names[i][0] != 'f' || i == 600 || i % 3 == 0)
			continue;
		(void)snprintf(path, sizeof(path), "d/%.63s", names[i]);
		OK(unlink(path));
	}
	seekdir(d, where[600]);
	for (int i = 600; i < n; i++) {
		if (i != 600 && i % 3 != 0 && names[i][0] == 'f')
			continue;
		e = readdir(d);
		TRUE(e);
		if (strcmp(e->d_name, names[i]) != 0)
			FAIL("after deleting: %s, not %s", e->d_name, names[i]);
	}
	TRUE(readdir(d) == NULL);
	OK(closedir(d));
}

TEST(getdents_in_small_pieces, 0)
{
	enum { N = 500 };
	static unsigned char seen[N];
	struct {
		uint64_t ino;
		int64_t off;
		unsigned short len;
		unsigned char type;
		char name[];
	} * e;
	char buf[64] __attribute__((aligned(8)));
	long n;
	int fd;

	OK(mkdir("d", 0755));
	make_files("d", 0, N);
	fd = OK(open("d", O_RDONLY | O_DIRECTORY));
	while ((n = OK(syscall(SYS_getdents64, fd, buf, sizeof(buf)))) > 0)
		for (long at = 0; at < n; at += e->len) {
			e = (void *)(buf + at);
			(void)note_name(e->name, seen, N);
		}
	all_once(seen, 0, N);
	OK(lseek(fd, 0, SEEK_SET));
	ERR(EINVAL, syscall(SYS_getdents64, fd, buf, 8));
	OK(close(fd));
}

TEST(directory_of_100000, HEAVY)
{
	enum { N = 100000 };
	static unsigned char seen[N];
	char name[64];

	OK(mkdir("d", 0755));
	make_files("d", 0, N);
	list_all("d", seen, N);
	all_once(seen, 0, N);
	EQ(st_of("d").st_nlink, 2);
	ERR(ENOTEMPTY, rmdir("d"));
	for (int i = 0; i < N; i += 997) {
		(void)snprintf(name, sizeof(name), "d/f%06d", i);
		EQ(st_of(name).st_size, 0);
		(void)snprintf(name, sizeof(name), "d/g%06d", i);
		TRUE(!exists(name));
	}
	OK(link("d/f000007", "d/hard"));
	OK(rename("d/f000008", "d/moved"));
	for (int i = 0; i < N; i++) {
		(void)snprintf(name, sizeof(name), "d/f%06d", i);
		if (i != 8)
			OK(unlink(name));
	}
	OK(unlink("d/hard"));
	OK(unlink("d/moved"));
	OK(rmdir("d"));
}

TEST(directories_1000_wide_and_200_deep, 0)
{
	char name[64];

	OK(mkdir("wide", 0755));
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "wide/%d", i);
		OK(mkdir(name, 0755));
	}
	EQ(st_of("wide").st_nlink, 1002);
	for (int i = 0; i < 200; i++) {
		OK(mkdir("deeper-than-usual", 0755));
		OK(chdir("deeper-than-usual"));
	}
	put("f", "bottom");
	HAS("../deeper-than-usual/f", "bottom");
}
