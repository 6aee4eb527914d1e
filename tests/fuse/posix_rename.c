/* SPDX-License-Identifier: Apache-2.0 */
/* rename(2) in all its forms. */
#include "tests/fuse/posix.h"

#include <limits.h>
#include <stdio.h>

TEST(rename_file, 0)
{
	struct stat before, dir, after;

	put("a", "text");
	OK(mkdir("d", 0755));
	before = st_of("a");
	dir = st_of("d");
	tick();
	OK(rename("a", "d/b"));
	TRUE(!exists("a"));
	after = st_of("d/b");
	EQ(after.st_ino, before.st_ino);
	EQ(nsec(after.st_mtim), nsec(before.st_mtim));
	TRUE(nsec(after.st_ctim) > nsec(before.st_ctim));
	TRUE(nsec(st_of("d").st_mtim) > nsec(dir.st_mtim));
	TRUE(nsec(st_of("d").st_ctim) > nsec(dir.st_ctim));
	TRUE(nsec(st_of(".").st_mtim) > nsec(before.st_mtim));
	HAS("d/b", "text");
	ERR(ENOENT, rename("a", "c"));
	ERR(ENOENT, rename("d/b", "none/c"));
}

TEST(rename_over_file, 0)
{
	char buf[16];
	int fd;

	put("a", "new");
	put("b", "old text");
	OK(link("b", "b2"));
	fd = OK(open("b", O_RDWR));
	OK(rename("a", "b"));
	HAS("b", "new");
	HAS("b2", "old text");
	EQ(st_of("b2").st_nlink, 1);
	EQ(st_of("b").st_nlink, 1);
	EQ(pread_full(fd, buf, 16, 0), 8);
	put("c", "third");
	OK(rename("c", "b2"));
	EQ(st_fd(fd).st_nlink, 0);
	pwrite_all(fd, "OLD", 3, 0);
	EQ(pread_full(fd, buf, 16, 0), 8);
	TRUE(memcmp(buf, "OLD text", 8) == 0);
	HAS("b", "new");
	HAS("b2", "third");
	OK(close(fd));
}

TEST(rename_of_an_open_file, 0)
{
	static char w[200000];
	int fd = OK(open("a", O_RDWR | O_CREAT, 0644));

	pattern(w, sizeof(w), 9);
	write_all(fd, w, 70000);
	OK(mkdir("deps", 0755));
	OK(rename("a", "deps/liba.rlib"));
	write_all(fd, w + 70000, sizeof(w) - 70000);
	HAS_BYTES("deps/liba.rlib", w, sizeof(w));
	EQ(st_fd(fd).st_ino, st_of("deps/liba.rlib").st_ino);
	OK(close(fd));
	HAS_BYTES("deps/liba.rlib", w, sizeof(w));
}

TEST(rename_links_of_one_inode, 0)
{
	put("a", "x");
	OK(link("a", "b"));
	OK(rename("a", "b"));
	TRUE(exists("a") && exists("b"));
	EQ(st_of("a").st_nlink, 2);
	OK(rename("a", "a"));
	HAS("a", "x");
}

TEST(rename_noreplace, 0)
{
	put("a", "a");
	put("b", "b");
	OK(mkdir("d", 0755));
	ERR(EEXIST, renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE));
	ERR(EEXIST, renameat2(AT_FDCWD, "a", AT_FDCWD, "d", RENAME_NOREPLACE));
	HAS("a", "a");
	HAS("b", "b");
	OK(renameat2(AT_FDCWD, "a", AT_FDCWD, "c", RENAME_NOREPLACE));
	TRUE(!exists("a"));
	HAS("c", "a");
	OK(renameat2(AT_FDCWD, "d", AT_FDCWD, "e", RENAME_NOREPLACE));
	ERR(EINVAL, renameat2(AT_FDCWD, "b", AT_FDCWD, "c",
			      RENAME_NOREPLACE | RENAME_EXCHANGE));
	ERR(ENOENT, renameat2(AT_FDCWD, "z", AT_FDCWD, "y", RENAME_NOREPLACE));
}

TEST(rename_exchange, 0)
{
	struct stat a, b, pa, pb;

	put("a", "a");
	OK(mkdir("d", 0755));
	put("d/b", "bb");
	a = st_of("a");
	b = st_of("d/b");
	tick();
	OK(renameat2(AT_FDCWD, "a", AT_FDCWD, "d/b", RENAME_EXCHANGE));
	HAS("a", "bb");
	HAS("d/b", "a");
	EQ(st_of("a").st_ino, b.st_ino);
	EQ(st_of("d/b").st_ino, a.st_ino);
	TRUE(nsec(st_of("a").st_ctim) > nsec(b.st_ctim));
	TRUE(nsec(st_of("d/b").st_ctim) > nsec(a.st_ctim));
	ERR(ENOENT,
	    renameat2(AT_FDCWD, "a", AT_FDCWD, "none", RENAME_EXCHANGE));
	/* a file with a directory, across directories */
	OK(mkdir("x", 0755));
	OK(mkdir("y", 0755));
	OK(mkdir("x/dir", 0755));
	put("x/dir/in", "in");
	put("y/file", "file");
	pa = st_of("x");
	pb = st_of("y");
	OK(renameat2(AT_FDCWD, "x/dir", AT_FDCWD, "y/file", RENAME_EXCHANGE));
	HAS("x/dir", "file");
	HAS("y/file/in", "in");
	EQ(st_of("y/file/..").st_ino, pb.st_ino);
	EQ(st_of("x").st_nlink, pa.st_nlink - 1);
	EQ(st_of("y").st_nlink, pb.st_nlink + 1);
	/* two directories */
	OK(mkdir("x/one", 0755));
	OK(mkdir("y/two", 0755));
	put("x/one/1", "1");
	OK(renameat2(AT_FDCWD, "x/one", AT_FDCWD, "y/two", RENAME_EXCHANGE));
	HAS("y/two/1", "1");
	EQ(st_of("y/two/..").st_ino, pb.st_ino);
	ERR(EINVAL,
	    renameat2(AT_FDCWD, "y", AT_FDCWD, "y/two", RENAME_EXCHANGE));
	/* with itself, and a link of itself */
	OK(link("a", "a2"));
	OK(renameat2(AT_FDCWD, "a", AT_FDCWD, "a2", RENAME_EXCHANGE));
	EQ(st_of("a").st_nlink, 2);
}

TEST(rename_exchange_while_open, 0)
{
	char buf[8];
	int fa, fb;

	put("a", "aaa");
	put("b", "bbb");
	fa = OK(open("a", O_RDWR));
	fb = OK(open("b", O_RDWR));
	OK(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE));
	pwrite_all(fa, "A", 1, 0);
	pwrite_all(fb, "B", 1, 0);
	HAS("a", "Bbb");
	HAS("b", "Aaa");
	EQ(pread_full(fa, buf, 8, 0), 3);
	TRUE(memcmp(buf, "Aaa", 3) == 0);
	OK(close(fa));
	OK(close(fb));
}

TEST(rename_directories, 0)
{
	nlink_t n;

	OK(mkdir("a", 0755));
	OK(mkdir("b", 0755));
	put("a/f", "f");
	put("file", "x");
	ERR(EISDIR, rename("file", "b"));
	ERR(ENOTDIR, rename("a", "file"));
	ERR2(ENOTEMPTY, EEXIST, rename("b", "a"));
	OK(rename("a", "b")); /* over an empty one */
	HAS("b/f", "f");
	TRUE(!exists("a"));
	ERR(EINVAL, rename("b", "b/c"));
	OK(mkdir("b/c", 0755));
	ERR(EINVAL, rename("b", "b/c/d"));
	ERR2(ENOTEMPTY, EEXIST, rename("b/c", "b"));
	n = st_of("b").st_nlink;
	EQ(n, 3);
	OK(mkdir("to", 0755));
	OK(rename("b/c", "to/c"));
	EQ(st_of("b").st_nlink, 2);
	EQ(st_of("to").st_nlink, 3);
	EQ(st_of("to/c/..").st_ino, st_of("to").st_ino);
	ERR2(EBUSY, EINVAL, rename("to/.", "x"));
	ERR2(EBUSY, ENOTEMPTY, rename("b", "to/c/.."));
	OK(rename("to/", "to2/"));
	ERR(ENOTDIR, rename("file", "file2/"));
}

TEST(rename_of_the_working_directory, 0)
{
	char buf[PATH_MAX];

	OK(mkdir("a", 0755));
	OK(mkdir("a/in", 0755));
	OK(mkdir("z", 0755));
	OK(chdir("a/in"));
	put("f", "1");
	OK(rename("../../a", "../../z/b"));
	put("g", "2");
	TRUE(getcwd(buf, sizeof(buf)));
	TRUE(strstr(buf, "/z/b/in"));
	HAS("f", "1");
	OK(chdir("../../.."));
	HAS("z/b/in/g", "2");
	ERR(ENOENT, open("a/in/f", O_RDONLY));
}

/* As rustc ends an incremental session: a tree of many files moves at once,
 * and each is looked up again at its new place. */
TEST(rename_of_a_full_tree, 0)
{
	char name[64], text[64];
	ino_t ino[300];

	OK(mkdir("s-working", 0755));
	for (int i = 0; i < 300; i++) {
		(void)snprintf(name, sizeof(name), "s-working/%d.o", i);
		put(name, name);
		ino[i] = st_of(name).st_ino;
	}
	OK(rename("s-working", "s-final"));
	for (int i = 0; i < 300; i++) {
		(void)snprintf(text, sizeof(text), "s-working/%d.o", i);
		TRUE(!exists(text));
		(void)snprintf(name, sizeof(name), "s-final/%d.o", i);
		HAS(name, text);
		EQ(st_of(name).st_ino, ino[i]);
	}
	OK(mkdir("s-working", 0755));
	EQ(st_of("s-working").st_nlink, 2);
	TRUE(!exists("s-working/1.o"));
}

TEST(rename_between_small_and_other_names, 0)
{
	static char big[150000];
	int fd;

	pattern(big, sizeof(big), 3);
	OK(mkdir(".fingerprint", 0755));
	OK(mkdir(".fingerprint/a-0123456789abcdef", 0755));
	put("tmp", "0123456789abcdef");
	OK(rename("tmp", ".fingerprint/a-0123456789abcdef/lib-a"));
	HAS(".fingerprint/a-0123456789abcdef/lib-a", "0123456789abcdef");
	put(".fingerprint/a-0123456789abcdef/lib-a", "second");
	OK(rename(".fingerprint/a-0123456789abcdef/lib-a", "a.rlib"));
	HAS("a.rlib", "second");
	put_bytes("a.rlib", big, sizeof(big));
	OK(rename("a.rlib", ".fingerprint/a-0123456789abcdef/big"));
	HAS_BYTES(".fingerprint/a-0123456789abcdef/big", big, sizeof(big));
	fd = OK(open(".fingerprint/a-0123456789abcdef/big", O_RDWR));
	OK(rename(".fingerprint/a-0123456789abcdef/big", "a.d"));
	pwrite_all(fd, "XY", 2, 149998);
	OK(link("a.d", "a.bin"));
	memcpy(big + 149998, "XY", 2);
	HAS_BYTES("a.d", big, sizeof(big));
	HAS_BYTES("a.bin", big, sizeof(big));
	OK(close(fd));
	fd = OK(open("a.bin", O_RDWR | O_APPEND));
	write_all(fd, "Z", 1);
	OK(close(fd));
	EQ(st_of("a.d").st_size, 150001);
}
