/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes. */
#include "tests/fuse/posix.h"

#include <sys/xattr.h>

static int count_names(const char *list, ssize_t len, const char *name)
{
	int n = 0;

	for (ssize_t at = 0; at < len; at += (ssize_t)strlen(list + at) + 1)
		n += name ? strcmp(list + at, name) == 0 : 1;
	return n;
}

static void all_of_it(const char *path)
{
	char buf[256], list[1024];
	int64_t before;
	ssize_t n;

	ERR(ENODATA, getxattr(path, "user.a", buf, sizeof(buf)));
	EQ(listxattr(path, NULL, 0), 0);
	before = nsec(st_of(path).st_ctim);
	tick();
	OK(setxattr(path, "user.a", "value", 5, 0));
	TRUE(nsec(st_of(path).st_ctim) > before);
	EQ(getxattr(path, "user.a", NULL, 0), 5);
	EQ(getxattr(path, "user.a", buf, 5), 5);
	TRUE(memcmp(buf, "value", 5) == 0);
	ERR(ERANGE, getxattr(path, "user.a", buf, 4));
	ERR(EEXIST, setxattr(path, "user.a", "x", 1, XATTR_CREATE));
	ERR(ENODATA, setxattr(path, "user.b", "x", 1, XATTR_REPLACE));
	OK(setxattr(path, "user.a", "longer value", 12, XATTR_REPLACE));
	EQ(getxattr(path, "user.a", buf, sizeof(buf)), 12);
	OK(setxattr(path, "user.b", "", 0, XATTR_CREATE));
	EQ(getxattr(path, "user.b", buf, sizeof(buf)), 0);
	OK(setxattr(path, "user.c\xff", "\0\1\0", 3, 0));
	EQ(getxattr(path, "user.c\xff", buf, sizeof(buf)), 3);
	TRUE(memcmp(buf, "\0\1\0", 3) == 0);
	n = OK(listxattr(path, NULL, 0));
	EQ(n, 7 + 7 + 8);
	EQ(listxattr(path, list, sizeof(list)), n);
	EQ(count_names(list, n, NULL), 3);
	EQ(count_names(list, n, "user.a"), 1);
	EQ(count_names(list, n, "user.b"), 1);
	EQ(count_names(list, n, "user.c\xff"), 1);
	ERR(ERANGE, listxattr(path, list, (size_t)n - 1));
	OK(removexattr(path, "user.a"));
	ERR(ENODATA, removexattr(path, "user.a"));
	ERR(ENODATA, getxattr(path, "user.a", buf, sizeof(buf)));
	EQ(listxattr(path, list, sizeof(list)), 15);
}

TEST(xattr_of_files, 0)
{
	put("a", "x");
	put("a.d", "x");
	OK(mkdir("d", 0755));
	if (setxattr("a", "user.probe", "", 0, 0) < 0 && errno == ENOTSUP)
		test_skip("no user.* attributes here");
	OK(removexattr("a", "user.probe"));
	all_of_it("a");
	all_of_it("a.d");
	all_of_it("d");
}

TEST(xattr_by_descriptor_and_link, 0)
{
	char buf[64];
	int fd;

	put("a", "x");
	fd = OK(open("a", O_RDONLY));
	OK(fsetxattr(fd, "user.k", "v", 1, 0));
	OK(link("a", "b"));
	EQ(getxattr("b", "user.k", buf, sizeof(buf)), 1);
	OK(rename("b", "c"));
	EQ(getxattr("c", "user.k", buf, sizeof(buf)), 1);
	OK(unlink("a"));
	OK(unlink("c"));
	EQ(fgetxattr(fd, "user.k", buf, sizeof(buf)), 1);
	EQ(flistxattr(fd, buf, sizeof(buf)), 7);
	OK(fremovexattr(fd, "user.k"));
	ERR(ENODATA, fgetxattr(fd, "user.k", buf, sizeof(buf)));
	OK(close(fd));
	put("w", "1");
	OK(setxattr("w", "user.k", "v", 1, 0));
	put("w", "rewritten");
	EQ(getxattr("w", "user.k", buf, sizeof(buf)), 1);
	put("x", "2");
	OK(rename("x", "w"));
	ERR(ENODATA, getxattr("w", "user.k", buf, sizeof(buf)));
}

TEST(xattr_limits, 0)
{
	static char name[300], value[70000];
	char list[8192];
	ssize_t n;

	put("a", "x");
	memset(name, 'n', sizeof(name));
	memcpy(name, "user.", 5);
	name[255] = 0;
	OK(setxattr("a", name, "v", 1, 0));
	EQ(getxattr("a", name, value, 10), 1);
	OK(removexattr("a", name));
	name[255] = 'n';
	name[256] = 0;
	ERR(ERANGE, setxattr("a", name, "v", 1, 0));
	ERR2(EINVAL, EOPNOTSUPP, setxattr("a", "user.", "v", 1, 0));
	pattern(value, sizeof(value), 1);
	OK(setxattr("a", "user.big", value, 2000, 0));
	EQ(getxattr("a", "user.big", value + 3000, 65536), 2000);
	TRUE(memcmp(value, value + 3000, 2000) == 0);
	ERR(E2BIG, setxattr("a", "user.big", value, 65537, 0));
	EQ(getxattr("a", "user.big", NULL, 0), 2000);
	/* until it says no, it must keep all of them */
	for (n = 0; n < 60; n++) {
		(void)snprintf(name, sizeof(name), "user.k%02d", (int)n);
		if (setxattr("a", name, value, 20, 0) < 0) {
			TRUE(errno == ENOSPC || errno == E2BIG);
			break;
		}
	}
	TRUE(n > 20);
	EQ(count_names(list, OK(listxattr("a", list, sizeof(list))), NULL),
	   n + 1);
}

TEST(xattr_namespaces, 0)
{
	char buf[16];

	put("a", "x");
	OK(symlink("a", "s"));
	ERR(EOPNOTSUPP, setxattr("a", "nonsense.x", "v", 1, 0));
	ERR(EOPNOTSUPP, setxattr("a", "plain", "v", 1, 0));
	ERR2(EPERM, EOPNOTSUPP, lsetxattr("s", "user.x", "v", 1, 0));
	ERR2(ENODATA, EOPNOTSUPP,
	     getxattr("a", "security.capability", buf, sizeof(buf)));
	ERR2(ENODATA, EOPNOTSUPP,
	     getxattr("a", "system.posix_acl_access", buf, sizeof(buf)));
}

TEST(xattr_security_is_refused, NEEDS_VIEW | NEEDS_ROOT)
{
	char buf[64];

	put("a", "x");
	ERR2(EPERM, EOPNOTSUPP, setxattr("a", "security.x", "v", 1, 0));
	ERR2(EPERM, EOPNOTSUPP, setxattr("a", "trusted.x", "v", 1, 0));
	ERR2(EPERM, EOPNOTSUPP,
	     setxattr("a", "security.capability",
		      "\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20, 0));
	ERR2(ENODATA, EOPNOTSUPP, getxattr("a", "trusted.x", buf, 64));
	EQ(listxattr("a", buf, sizeof(buf)), 0);
	/* and the writes after it cost and break nothing */
	put("a", "y");
	OK(setxattr("a", "user.x", "v", 1, 0));
}

static void reads_only(void *arg)
{
	char buf[16];

	(void)arg;
	EQ(getxattr("a", "user.x", buf, sizeof(buf)), 1);
	ERR(EACCES, setxattr("a", "user.x", "w", 1, 0));
	ERR(EACCES, removexattr("a", "user.x"));
	ERR(EACCES, getxattr("closed", "user.x", buf, sizeof(buf)));
}

TEST(xattr_permissions, NEEDS_ROOT)
{
	put("a", "x");
	put("closed", "x");
	OK(setxattr("a", "user.x", "v", 1, 0));
	OK(setxattr("closed", "user.x", "v", 1, 0));
	OK(chmod("closed", 0600));
	as_user(OTHER_UID, OTHER_UID, reads_only, NULL);
}
