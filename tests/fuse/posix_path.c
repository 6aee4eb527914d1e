/* SPDX-License-Identifier: Apache-2.0 */
/* Names and paths: their lengths, their bytes, and what is said of wrong
 * ones; what a name that was not there does when it is. */
#include "tests/fuse/posix.h"

#include <dirent.h>
#include <limits.h>
#include <sys/xattr.h>

TEST(path_errors, 0)
{
	char buf[8];

	put("f", "x");
	OK(mkdir("d", 0755));
	put("d/in", "x");
	ERR(ENOTDIR, open("f/x", O_RDONLY));
	ERR(ENOTDIR, open("f/x", O_WRONLY | O_CREAT, 0644));
	ERR(ENOTDIR, mkdir("f/x", 0755));
	ERR(ENOTDIR, unlink("f/x"));
	ERR(ENOTDIR, rmdir("f"));
	ERR(ENOTDIR, open("f", O_RDONLY | O_DIRECTORY));
	ERR(ENOTDIR, open("f/", O_RDONLY));
	ERR(ENOTDIR, chdir("f"));
	ERR(ENOTDIR, symlink("x", "f/x"));
	ERR(ENOTDIR, readlink("f/x", buf, 8));
	ERR(EISDIR, open("d", O_WRONLY));
	ERR(EISDIR, open("d", O_RDWR));
	ERR(EISDIR, open("d", O_RDONLY | O_CREAT, 0644));
	ERR(EISDIR, unlink("d"));
	ERR2(EISDIR, ENOENT, open("new/", O_WRONLY | O_CREAT, 0644));
	ERR(ENOTEMPTY, rmdir("d"));
	ERR(EINVAL, rmdir("d/."));
	ERR(ENOTEMPTY, rmdir("d/.."));
	ERR(EEXIST, mkdir("d", 0755));
	ERR(EEXIST, mkdir("d/", 0755));
	ERR(EEXIST, mkdir("f", 0755));
	ERR(EEXIST, mkdir(".", 0755));
	ERR(EEXIST, mkdir("d/..", 0755));
	ERR(ENOENT, mkdir("none/x", 0755));
	ERR(ENOENT, open("", O_RDONLY));
	ERR(ENOENT, rmdir("none"));
	ERR(ENOENT, unlink("none"));
	ERR(ENOENT, open("none", O_RDONLY));
	OK(mkdir("slash/", 0755));
	EQ(st_of("d/./../d/in").st_ino, st_of("d/in").st_ino);
	EQ(st_of("d/..").st_ino, st_of(".").st_ino);
	EQ(st_of("d/.").st_ino, st_of("d").st_ino);
	HAS("d//in", "x");
}

TEST(names_of_255_bytes, 0)
{
	char name[258], other[258], path[300];
	struct dirent *e;
	int found = 0;
	DIR *d;

	memset(name, 'n', sizeof(name));
	memset(other, 'o', sizeof(other));
	name[255] = other[255] = 0;
	put(name, "longest");
	HAS(name, "longest");
	OK(link(name, other));
	OK(unlink(name));
	OK(rename(other, name));
	OK(mkdir(other, 0755));
	(void)snprintf(path, sizeof(path), "%s/x", other);
	put(path, "below");
	d = opendir(".");
	TRUE(d);
	while ((e = readdir(d)))
		found += strcmp(e->d_name, name) == 0 ||
			 strcmp(e->d_name, other) == 0;
	OK(closedir(d));
	EQ(found, 2);
	other[255] = 'o';
	other[256] = 0;
	ERR(ENAMETOOLONG, open(other, O_RDONLY));
	ERR(ENAMETOOLONG, open(other, O_WRONLY | O_CREAT, 0644));
	ERR(ENAMETOOLONG, mkdir(other, 0755));
	ERR(ENAMETOOLONG, symlink("x", other));
	ERR(ENAMETOOLONG, link(name, other));
	ERR(ENAMETOOLONG, rename(name, other));
	ERR(ENAMETOOLONG, rename(other, "x"));
	ERR(ENAMETOOLONG, unlink(other));
	ERR(ENAMETOOLONG, rmdir(other));
	ERR(ENAMETOOLONG, mkfifo(other, 0600));
	ERR(ENAMETOOLONG, chmod(other, 0600));
	ERR(ENAMETOOLONG, truncate(other, 0));
	HAS(name, "longest");
}

TEST(names_of_any_bytes, 0)
{
	char name[8], text[16], wild[256];
	int n = 0, k = 0;
	DIR *d;

	OK(mkdir("d", 0755));
	OK(chdir("d"));
	for (int c = 1; c < 256; c++) {
		if (c == '/')
			continue;
		(void)snprintf(name, sizeof(name), "x%c", c);
		(void)snprintf(text, sizeof(text), "byte %d", c);
		put(name, text);
		n++;
		if (c == '.')
			continue;
		name[0] = (char)c;
		name[1] = 0;
		put(name, text);
		n++;
		wild[k++] = (char)c;
	}
	wild[k] = 0;
	put(wild, "all of them");
	put("...", "dots");
	put(" ", "blank");
	put("A", "upper");
	put("a", "lower");
	HAS("A", "upper");
	HAS("a", "lower");
	for (int c = 1; c < 256; c++) {
		if (c == '/')
			continue;
		(void)snprintf(name, sizeof(name), "x%c", c);
		(void)snprintf(text, sizeof(text), "byte %d", c);
		HAS(name, text);
	}
	HAS(wild, "all of them");
	d = opendir(".");
	TRUE(d);
	for (k = 0; readdir(d);)
		k++;
	EQ(k, n + 4); /* two dots, "...", and the wild one */
	OK(closedir(d));
}

TEST(paths_longer_than_path_max, 0)
{
	char name[202];
	int depth;

	memset(name, 'p', sizeof(name));
	name[200] = 0;
	for (depth = 0; depth < 60; depth++) {
		OK(mkdir(name, 0755));
		OK(chdir(name));
	}
	put("bottom", "12 kB down");
	HAS("bottom", "12 kB down");
	OK(unlink("bottom"));
	for (; depth > 0; depth--) {
		OK(chdir(".."));
		OK(rmdir(name));
	}
}

/* --- a name that was asked for in vain --- */

TEST(negative_entries_do_not_stay, 0)
{
	static const char *const dirs[] = {
		".",
		"deps",
		".fingerprint",
		".fingerprint/a-0123456789abcdef",
		"build",
		"build/b-0123456789abcdef",
		"incremental",
	};
	char a[128], b[128];

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		if (i)
			OK(mkdir(dirs[i], 0755));
		for (int how = 0; how < 7; how++) {
			(void)snprintf(a, sizeof(a),
				       "%s/libn%d-fedcba9876543210.rlib",
				       dirs[i], how);
			(void)snprintf(b, sizeof(b), "%s/src%d", dirs[i], how);
			ERR(ENOENT, access(a, F_OK));
			ERR(ENOENT, open(a, O_RDONLY));
			put(b, "source");
			switch (how) {
			case 0:
				put(a, "source");
				break;
			case 1:
				OK(rename(b, a));
				break;
			case 2:
				OK(link(b, a));
				break;
			case 3:
				OK(symlink("src3", a));
				break;
			case 4:
				OK(close(OK(open(a, O_CREAT | O_EXCL | O_RDWR,
						 0644))));
				break;
			case 5:
				OK(mkdir(a, 0755));
				ERR(EEXIST, mkdir(a, 0755));
				OK(access(a, X_OK));
				continue;
			case 6:
				OK(renameat2(AT_FDCWD, b, AT_FDCWD, a,
					     RENAME_NOREPLACE));
				break;
			}
			OK(access(a, F_OK));
			if (how == 4)
				HAS(a, "");
			else
				HAS(a, "source");
			ERR(EEXIST, open(a, O_CREAT | O_EXCL | O_RDWR, 0644));
			OK(unlink(a));
			ERR(ENOENT, access(a, F_OK));
			put(a, "again");
			HAS(a, "again");
		}
	}
}

static void makes_the_names(void *arg)
{
	int *p = arg;
	char c, name[32];

	for (int i = 0; i < 200; i++) {
		EQ(read(p[0], &c, 1), 1);
		(void)snprintf(name, sizeof(name), "n%d", i);
		if (i % 2)
			put(name, "there");
		else
			OK(mkdir(name, 0755));
		write_all(p[3], "x", 1);
	}
}

TEST(names_made_by_another_process, 0)
{
	char name[32], c;
	pid_t pid;
	int p[4];

	OK(pipe(p));
	OK(pipe(p + 2));
	pid = start_child(makes_the_names, p);
	for (int i = 0; i < 200; i++) {
		(void)snprintf(name, sizeof(name), "n%d", i);
		TRUE(!exists(name));
		write_all(p[1], "x", 1);
		EQ(read(p[2], &c, 1), 1);
		TRUE(exists(name));
	}
	end_child(pid);
}

TEST(mkdir_over_and_over, 0)
{
	for (int i = 0; i < 300; i++) {
		OK(mkdir("d", 0755));
		ERR(EEXIST, mkdir("d", 0755));
		put("d/f", "x");
		TRUE(st_of("d").st_ino != 0);
		OK(unlink("d/f"));
		OK(rmdir("d"));
		ERR(ENOENT, rmdir("d"));
		TRUE(!exists("d/f"));
	}
}
