/* SPDX-License-Identifier: Apache-2.0 */
/* Hard links, unlinking what is open, symbolic links. */
#include "tests/fuse/posix.h"

#include <dirent.h>
#include <limits.h>
#include <sys/mman.h>

TEST(link_shares_inode, 0)
{
	struct stat a, b;

	put("a", "hello");
	OK(mkdir("d", 0755));
	OK(link("a", "b"));
	OK(link("b", "d/c"));
	a = st_of("a");
	b = st_of("d/c");
	EQ(b.st_ino, a.st_ino);
	EQ(b.st_dev, a.st_dev);
	EQ(a.st_nlink, 3);
	EQ(b.st_nlink, 3);
	EQ(st_of("b").st_nlink, 3);
	put("b", "changed by b");
	HAS("a", "changed by b");
	HAS("d/c", "changed by b");
	EQ(st_of("a").st_size, 12);
	OK(unlink("a"));
	EQ(st_of("b").st_nlink, 2);
	EQ(st_of("d/c").st_nlink, 2);
	EQ(st_of("d/c").st_ino, a.st_ino);
	OK(unlink("b"));
	EQ(st_of("d/c").st_nlink, 1);
	HAS("d/c", "changed by b");
}

TEST(link_ctime_on_every_name, 0)
{
	struct stat before, after;
	int fd;

	put("a", "x");
	OK(link("a", "b"));
	fd = OK(open("b", O_RDONLY));
	before = st_of("b");
	tick();
	OK(link("a", "c"));
	after = st_of("b");
	EQ(after.st_nlink, 3);
	TRUE(nsec(after.st_ctim) > nsec(before.st_ctim));
	EQ(nsec(after.st_mtim), nsec(before.st_mtim));
	EQ(st_fd(fd).st_nlink, 3);
	before = after;
	tick();
	OK(unlink("a"));
	after = st_of("b");
	EQ(after.st_nlink, 2);
	TRUE(nsec(after.st_ctim) > nsec(before.st_ctim));
	before = after;
	tick();
	OK(rename("c", "d"));
	after = st_of("b");
	TRUE(nsec(after.st_ctim) > nsec(before.st_ctim));
	EQ(after.st_nlink, 2);
	before = after;
	tick();
	put("e", "over");
	OK(rename("e", "d"));
	after = st_of("b");
	EQ(after.st_nlink, 1);
	EQ(st_fd(fd).st_nlink, 1);
	TRUE(nsec(after.st_ctim) > nsec(before.st_ctim));
	before = after;
	tick();
	OK(chmod("b", 0600));
	TRUE(nsec(st_fd(fd).st_ctim) > nsec(before.st_ctim));
	OK(close(fd));
}

TEST(link_errors, 0)
{
	put("a", "x");
	put("b", "y");
	OK(mkdir("d", 0755));
	ERR(EEXIST, link("a", "b"));
	ERR(EEXIST, link("a", "d"));
	ERR(ENOENT, link("none", "c"));
	ERR(ENOENT, link("a", "none/c"));
	ERR(ENOTDIR, link("a", "b/c"));
	ERR(ENOTDIR, link("a/x", "c"));
	ERR(EPERM, link("d", "c"));
	ERR(ENOENT, link("a", ""));
	EQ(st_of("a").st_nlink, 1);
}

TEST(link_across_devices, 0)
{
	char path[300];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/tfs-exdev.%d", opt.other,
		       (int)getpid());
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	if (fd < 0)
		test_skip("no other filesystem");
	OK(close(fd));
	if (st_of(path).st_dev == st_of(".").st_dev) {
		(void)unlink(path);
		test_skip("the other filesystem is this one");
	}
	put("a", "x");
	if (link(path, "b") == 0 || errno != EXDEV)
		(void)unlink(path), FAIL("link: no EXDEV");
	if (rename(path, "b") == 0 || errno != EXDEV)
		(void)unlink(path), FAIL("rename: no EXDEV");
	(void)unlink(path);
}

TEST(link_while_written, 0)
{
	int fd = OK(open("a", O_RDWR | O_CREAT, 0644));

	write_all(fd, "one ", 4);
	OK(link("a", "b"));
	write_all(fd, "two ", 4);
	HAS("b", "one two ");
	OK(unlink("a"));
	write_all(fd, "three", 5);
	EQ(st_fd(fd).st_nlink, 1);
	EQ(st_of("b").st_size, 13);
	OK(close(fd));
	HAS("b", "one two three");
	EQ(st_of("b").st_nlink, 1);
}

TEST(link_to_many_directories, 0)
{
	char name[64];
	ino_t ino;

	put("a", "x");
	ino = st_of("a").st_ino;
	for (int i = 0; i < 200; i++) {
		(void)snprintf(name, sizeof(name), "d%d", i % 10);
		if (i < 10)
			OK(mkdir(name, 0755));
		(void)snprintf(name, sizeof(name), "d%d/l%d", i % 10, i);
		OK(link("a", name));
		EQ(st_of("a").st_nlink, i + 2);
	}
	for (int i = 0; i < 200; i++) {
		(void)snprintf(name, sizeof(name), "d%d/l%d", i % 10, i);
		EQ(st_of(name).st_ino, ino);
		EQ(st_of(name).st_nlink, 201 - i);
		OK(unlink(name));
	}
	EQ(st_of("a").st_nlink, 1);
}

TEST(link_to_symlink, 0)
{
	put("a", "x");
	OK(symlink("a", "s"));
	OK(linkat(AT_FDCWD, "s", AT_FDCWD, "t", 0));
	TRUE(S_ISLNK(st_of("t").st_mode));
	EQ(st_of("t").st_nlink, 2);
	EQ(st_of("t").st_ino, st_of("s").st_ino);
	OK(linkat(AT_FDCWD, "s", AT_FDCWD, "u", AT_SYMLINK_FOLLOW));
	EQ(st_of("u").st_ino, st_of("a").st_ino);
	EQ(st_of("a").st_nlink, 2);
}

TEST(link_inode_stable_over_lookups, 0)
{
	ino_t ino;
	int fd;

	put("a", "x");
	ino = st_of("a").st_ino;
	OK(link("a", "b"));
	OK(unlink("a"));
	OK(link("b", "a"));
	EQ(st_of("a").st_ino, ino);
	OK(rename("a", "c"));
	EQ(st_of("c").st_ino, ino);
	fd = OK(open("c", O_RDWR));
	write_all(fd, "yy", 2);
	OK(close(fd));
	EQ(st_of("b").st_ino, ino);
	EQ(st_of("b").st_size, 2);
}

/* --- open and unlinked --- */

TEST(unlink_open_file, 0)
{
	char buf[32], path[64];
	struct stat st;
	int fd, again;

	put("a", "0123456789");
	fd = OK(open("a", O_RDWR));
	OK(unlink("a"));
	TRUE(!exists("a"));
	st = st_fd(fd);
	EQ(st.st_nlink, 0);
	EQ(st.st_size, 10);
	EQ(pread_full(fd, buf, 32, 0), 10);
	pwrite_all(fd, "abc", 3, 8);
	EQ(st_fd(fd).st_size, 11);
	OK(ftruncate(fd, 5));
	EQ(st_fd(fd).st_size, 5);
	OK(fchmod(fd, 0600));
	OK(futimens(fd, NULL));
	OK(fsync(fd));
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ERR(ENOENT,
	    linkat(AT_FDCWD, path, AT_FDCWD, "back", AT_SYMLINK_FOLLOW));
	again = OK(open(path, O_RDONLY));
	EQ(pread_full(again, buf, 32, 0), 5);
	TRUE(memcmp(buf, "01234", 5) == 0);
	OK(close(again));
	put("a", "new");
	TRUE(st_of("a").st_ino != st_fd(fd).st_ino);
	EQ(pread_full(fd, buf, 32, 0), 5);
	OK(close(fd));
	HAS("a", "new");
}

TEST(unlink_open_created_and_large, 0)
{
	static char w[300000], r[300000];
	int fd = OK(open("big", O_RDWR | O_CREAT | O_EXCL, 0644));

	pattern(w, sizeof(w), 5);
	write_all(fd, w, 100000);
	OK(unlink("big"));
	pwrite_all(fd, w + 100000, 200000, 100000);
	EQ(pread_full(fd, r, sizeof(r), 0), sizeof(r));
	TRUE(memcmp(r, w, sizeof(r)) == 0);
	OK(close(fd));
}

TEST(unlink_mapped_file, 0)
{
	char *m;
	int fd;

	put("a", "mapped bytes");
	fd = OK(open("a", O_RDWR));
	m = mmap(NULL, 12, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	TRUE(m != MAP_FAILED);
	OK(close(fd));
	OK(unlink("a"));
	m[0] = 'M';
	TRUE(memcmp(m, "Mapped bytes", 12) == 0);
	OK(msync(m, 12, MS_SYNC));
	OK(munmap(m, 12));
}

TEST(unlink_many_open, 0)
{
	enum { N = 300 };
	int fds[N];
	char name[32], buf[32];

	for (int i = 0; i < N; i++) {
		(void)snprintf(name, sizeof(name), "f%d", i);
		fds[i] = OK(open(name, O_RDWR | O_CREAT, 0644));
		write_all(fds[i], name, strlen(name));
		OK(unlink(name));
	}
	for (int i = 0; i < N; i++) {
		(void)snprintf(name, sizeof(name), "f%d", i);
		EQ(pread_full(fds[i], buf, 32, 0), strlen(name));
		TRUE(memcmp(buf, name, strlen(name)) == 0);
		OK(close(fds[i]));
	}
}

TEST(rmdir_open_directory, 0)
{
	struct dirent *e;
	DIR *d;
	int fd;

	OK(mkdir("d", 0755));
	fd = OK(open("d", O_RDONLY | O_DIRECTORY));
	OK(rmdir("d"));
	EQ(st_fd(fd).st_nlink, 0);
	ERR(ENOENT, openat(fd, "x", O_CREAT | O_WRONLY, 0644));
	ERR(ENOENT, mkdirat(fd, "y", 0755));
	ERR(ENOENT, symlinkat("t", fd, "z"));
	put("f", "f");
	ERR(ENOENT, linkat(AT_FDCWD, "f", fd, "l", 0));
	ERR(ENOENT, renameat(AT_FDCWD, "f", fd, "g"));
	OK(mkdir("d", 0700));
	TRUE(st_of("d").st_ino != st_fd(fd).st_ino);
	d = fdopendir(fd);
	TRUE(d);
	while ((e = readdir(d)))
		TRUE(e->d_name[0] == '.');
	OK(closedir(d));
}

TEST(rmdir_working_directory, 0)
{
	char buf[PATH_MAX];

	OK(mkdir("d", 0755));
	OK(chdir("d"));
	OK(rmdir("../d"));
	ERR(ENOENT, open("x", O_CREAT | O_WRONLY, 0644));
	TRUE(getcwd(buf, sizeof(buf)) == NULL);
	EQ(errno, ENOENT);
}

/* --- symbolic links --- */

TEST(symlink_basics, 0)
{
	char buf[PATH_MAX], longtext[PATH_MAX];
	struct timespec ts[2] = { { 1000, 123456789 }, { 2000, 987654321 } };
	struct stat st;

	OK(symlink("target", "s"));
	st = st_of("s");
	TRUE(S_ISLNK(st.st_mode));
	EQ(st.st_size, 6);
	EQ(readlink("s", buf, sizeof(buf)), 6);
	TRUE(memcmp(buf, "target", 6) == 0);
	EQ(readlink("s", buf, 3), 3);
	ERR(ENOENT, open("s", O_RDONLY));
	ERR(EEXIST, symlink("x", "s"));
	ERR(EEXIST, open("s", O_CREAT | O_EXCL | O_WRONLY, 0644));
	OK(close(OK(open("s", O_CREAT | O_WRONLY, 0644))));
	TRUE(S_ISREG(st_of("target").st_mode));
	ERR(ELOOP, open("s", O_RDONLY | O_NOFOLLOW));
	OK(utimensat(AT_FDCWD, "s", ts, AT_SYMLINK_NOFOLLOW));
	st = st_of("s");
	EQ(st.st_mtim.tv_sec, 2000);
	EQ(st.st_mtim.tv_nsec, 987654321);
	TRUE(st_of("target").st_mtim.tv_sec != 2000);
	ERR(EINVAL, readlink("target", buf, sizeof(buf)));
	memset(longtext, 'l', sizeof(longtext));
	longtext[4095] = 0;
	OK(symlink(longtext, "long"));
	EQ(readlink("long", buf, sizeof(buf)), 4095);
	EQ(st_of("long").st_size, 4095);
	ERR(ENOENT, symlink("", "empty"));
	OK(rename("s", "s2"));
	EQ(readlink("s2", buf, sizeof(buf)), 6);
	OK(unlink("s2"));
	TRUE(exists("target"));
}

TEST(symlink_loops_and_walks, 0)
{
	char name[16], next[16];

	OK(symlink("b", "a"));
	OK(symlink("a", "b"));
	ERR(ELOOP, open("a", O_RDONLY));
	ERR(ELOOP, chdir("a"));
	OK(mkdir("d", 0755));
	OK(symlink("../d", "d/up"));
	put("d/f", "deep");
	HAS("d/up/up/up/up/f", "deep");
	put("n0", "end");
	for (int i = 1; i <= 39; i++) {
		(void)snprintf(name, sizeof(name), "n%d", i);
		(void)snprintf(next, sizeof(next), "n%d", i - 1);
		OK(symlink(next, name));
	}
	HAS("n39", "end");
	OK(symlink("n39", "n40"));
	OK(symlink("n40", "n41"));
	ERR(ELOOP, open("n41", O_RDONLY));
	OK(symlink("d/", "slash"));
	HAS("slash/f", "deep");
}
