/* SPDX-License-Identifier: Apache-2.0 */
/* Modes, owners, access, special files, statfs. posix_time.c has the times,
 * posix_xattr.c the extended attributes. */
#include "tests/fuse/posix.h"

#include <dirent.h>
#include <grp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

static mode_t mode_of(const char *path)
{
	return st_of(path).st_mode & 07777;
}

TEST(chmod_and_umask, 0)
{
	int fd;

	put("a", "x");
	OK(mkdir("d", 0777));
	EQ(mode_of("a"), 0644);
	EQ(mode_of("d"), 0755);
	for (mode_t m = 0; m <= 0777; m += 0111) {
		OK(chmod("a", m));
		EQ(mode_of("a"), m);
	}
	OK(chmod("a", 0604));
	OK(chmod("d", 01777));
	EQ(mode_of("d"), 01777);
	OK(chmod("d", 02755));
	EQ(mode_of("d"), 02755);
	fd = OK(open("a", O_RDONLY));
	OK(fchmod(fd, 0640));
	EQ(mode_of("a"), 0640);
	EQ(st_fd(fd).st_mode & 07777, 0640);
	OK(close(fd));
	umask(077);
	OK(close(OK(open("u", O_WRONLY | O_CREAT, 0666))));
	EQ(mode_of("u"), 0600);
	OK(mkdir("ud", 0777));
	EQ(mode_of("ud"), 0700);
	umask(0);
	OK(close(OK(open("o", O_WRONLY | O_CREAT, 0666))));
	EQ(mode_of("o"), 0666);
	ERR(ENOENT, chmod("none", 0644));
	ERR(ENOTDIR, chmod("a/b", 0644));
}

TEST(setuid_is_refused, NEEDS_VIEW)
{
	int fd;

	put("a", "x");
	OK(chmod("a", 0755));
	ERR(EPERM, chmod("a", 04755));
	ERR(EPERM, chmod("a", 02755));
	ERR(EPERM, chmod("a", 06755));
	EQ(mode_of("a"), 0755);
	fd = open("b", O_RDWR | O_CREAT, 04755);
	if (fd >= 0) {
		EQ(st_fd(fd).st_mode & 06000, 0);
		OK(close(fd));
	} else {
		EQ(errno, EPERM);
	}
	/* chmod of all the rest goes on */
	OK(chmod("a", 01644));
}

TEST(device_nodes_are_refused, NEEDS_VIEW | NEEDS_ROOT)
{
	ERR(EPERM, mknod("c", S_IFCHR | 0600, makedev(1, 3)));
	ERR(EPERM, mknod("b", S_IFBLK | 0600, makedev(7, 0)));
	TRUE(!exists("c"));
	TRUE(!exists("b"));
}

static void opens_nothing(void *arg)
{
	(void)arg;
	ERR(EACCES, open("zero", O_RDONLY));
	ERR(EACCES, open("zero", O_WRONLY));
	ERR(EACCES, open("zero", O_WRONLY | O_TRUNC));
	ERR(EACCES, open("ro", O_RDWR));
	ERR(EACCES, open("closed/f", O_RDONLY));
	ERR(EACCES, open("new", O_WRONLY | O_CREAT, 0644));
	ERR(EACCES, mkdir("new", 0755));
	ERR(EACCES, unlink("zero"));
	ERR(EACCES, rename("zero", "one"));
	ERR2(EACCES, EPERM, link("ro", "two"));
	ERR(EPERM, chmod("ro", 0777));
	ERR(EPERM, chown("ro", OTHER_UID, (gid_t)-1));
	ERR(EACCES, truncate("ro", 0));
	OK(close(OK(open("ro", O_RDONLY))));
	OK(access("ro", R_OK));
	ERR(EACCES, access("ro", W_OK));
	ERR(EACCES, access("zero", R_OK));
	ERR(EACCES, access("ro", X_OK));
	TRUE(opendir("closed") == NULL);
	EQ(errno, EACCES);
}

TEST(permissions_of_another_user, NEEDS_ROOT)
{
	put("zero", "z");
	put("ro", "r");
	OK(mkdir("closed", 0700));
	put("closed/f", "f");
	OK(chmod("zero", 0));
	/* root may */
	OK(close(OK(open("zero", O_RDWR))));
	as_user(OTHER_UID, OTHER_UID, opens_nothing, NULL);
	HAS("zero", "z");
	HAS("ro", "r");
}

static void owner_without_permission(void *arg)
{
	int fd;

	(void)arg;
	fd = OK(open("mine", O_RDWR | O_CREAT | O_EXCL, 0));
	write_all(fd, "secret", 6);
	ERR(EACCES, open("mine", O_RDONLY));
	OK(fchmod(fd, 0400));
	HAS("mine", "secret");
	ERR(EACCES, open("mine", O_WRONLY));
	write_all(fd, "s", 1); /* a descriptor keeps what it was opened for */
	OK(close(fd));
	OK(mkdir("noexec", 0600));
	ERR(EACCES, open("noexec/x", O_CREAT | O_WRONLY, 0644));
	ERR(EACCES, chdir("noexec"));
	OK(rmdir("noexec"));
}

TEST(chmod_0_for_the_owner, NEEDS_ROOT)
{
	OK(chmod(".", 0777));
	as_user(OTHER_UID, OTHER_UID, owner_without_permission, NULL);
	HAS("mine", "secrets");
}

static void creates_all_kinds(void *arg)
{
	(void)arg;
	put("f", "f");
	OK(mkdir("d", 0755));
	OK(symlink("f", "s"));
	OK(mkfifo("p", 0644));
	put("d/.fingerprint", "x");
}

TEST(new_files_belong_to_the_caller, NEEDS_ROOT)
{
	static const char *const names[] = { "f", "d", "s", "p",
					     "d/.fingerprint" };

	OK(chmod(".", 0777));
	as_user(OTHER_UID, OTHER_UID + 1, creates_all_kinds, NULL);
	for (int i = 0; i < 5; i++) {
		EQ(st_of(names[i]).st_uid, OTHER_UID);
		EQ(st_of(names[i]).st_gid, OTHER_UID + 1);
	}
	put("root", "");
	EQ(st_of("root").st_uid, 0);
}

static void in_setgid_directory(void *arg)
{
	(void)arg;
	put("sg/f", "f");
	OK(mkdir("sg/d", 0755));
	OK(symlink("x", "sg/s"));
}

TEST(setgid_directory, NEEDS_ROOT)
{
	OK(mkdir("sg", 0777));
	OK(chown("sg", 0, 777));
	OK(chmod("sg", 02777));
	as_user(OTHER_UID, OTHER_UID, in_setgid_directory, NULL);
	EQ(st_of("sg/f").st_gid, 777);
	EQ(st_of("sg/f").st_uid, OTHER_UID);
	EQ(st_of("sg/d").st_gid, 777);
	EQ(st_of("sg/s").st_gid, 777);
	EQ(mode_of("sg/d"), 02755);
	EQ(mode_of("sg/f"), 0644);
}

static void in_sticky_directory(void *arg)
{
	(void)arg;
	ERR(EPERM, unlink("t/root"));
	ERR(EPERM, rename("t/root", "t/x"));
	put("t/mine", "m");
	ERR(EPERM, rename("t/mine", "t/root"));
	ERR(EPERM, rmdir("t/dir"));
	OK(rename("t/mine", "t/mine2"));
	OK(unlink("t/mine2"));
}

TEST(sticky_directory, NEEDS_ROOT)
{
	OK(mkdir("t", 0777));
	OK(chmod("t", 01777));
	put("t/root", "r");
	OK(mkdir("t/dir", 0777));
	as_user(OTHER_UID, OTHER_UID, in_sticky_directory, NULL);
	HAS("t/root", "r");
}

static void chowns_what_it_may(void *arg)
{
	gid_t extra = 888;

	(void)arg;
	(void)extra;
	put("f", "f");
	OK(chown("f", (uid_t)-1, (gid_t)-1));
	OK(chown("f", OTHER_UID, OTHER_UID));
	ERR(EPERM, chown("f", 0, (gid_t)-1));
	ERR(EPERM, chown("f", (uid_t)-1, 0));
	ERR(EPERM, chown("r", (uid_t)-1, OTHER_UID));
}

TEST(chown_rules, NEEDS_ROOT)
{
	int64_t before;

	OK(chmod(".", 0777));
	put("r", "r");
	as_user(OTHER_UID, OTHER_UID, chowns_what_it_may, NULL);
	before = nsec(st_of("r").st_ctim);
	tick();
	OK(chown("r", 12, 34));
	EQ(st_of("r").st_uid, 12);
	EQ(st_of("r").st_gid, 34);
	TRUE(nsec(st_of("r").st_ctim) > before);
	OK(symlink("r", "s"));
	OK(lchown("s", 56, 78));
	EQ(st_of("s").st_uid, 56);
	EQ(st_of("r").st_uid, 12);
	OK(chown("s", 1, (gid_t)-1));
	EQ(st_of("r").st_uid, 1);
	EQ(st_of("r").st_gid, 34);
}

TEST(access_calls, 0)
{
	put("a", "x");
	OK(access("a", F_OK));
	OK(access("a", R_OK | W_OK));
	ERR(EACCES, access("a", X_OK));
	OK(chmod("a", 0755));
	OK(access("a", X_OK));
	OK(faccessat(AT_FDCWD, "a", X_OK, AT_EACCESS));
	ERR(ENOENT, access("none", F_OK));
	ERR(ENOTDIR, access("a/b", F_OK));
	OK(access(".", R_OK | W_OK | X_OK));
}

TEST(stat_fields, 0)
{
	static char text[10000];
	struct statvfs vfs;
	struct statx sx;
	struct stat st;

	put_bytes("a", text, sizeof(text));
	st = st_of("a");
	EQ(st.st_nlink, 1);
	TRUE(st.st_blksize >= 512);
	EQ(st.st_dev, st_of(".").st_dev);
	TRUE(st.st_ino != st_of(".").st_ino);
	OK(statx(AT_FDCWD, "a", 0, STATX_BASIC_STATS, &sx));
	EQ(sx.stx_ino, st.st_ino);
	EQ(sx.stx_size, 10000);
	OK(close(OK(open("a", O_RDONLY))));
	OK(fsync(OK(open("a", O_RDWR))));
	TRUE(st_of("a").st_blocks >= 10000 / 512);
	OK(statvfs("a", &vfs));
	EQ(vfs.f_namemax, 255);
	TRUE(vfs.f_bsize >= 512);
	TRUE(vfs.f_blocks > 0);
	TRUE(vfs.f_bavail > 0 && vfs.f_bavail <= vfs.f_blocks);
	EQ(pathconf(".", _PC_NAME_MAX), 255);
}

TEST(directory_link_counts, 0)
{
	char name[16];

	OK(mkdir("d", 0755));
	EQ(st_of("d").st_nlink, 2);
	for (int i = 0; i < 50; i++) {
		(void)snprintf(name, sizeof(name), "d/%d", i);
		OK(mkdir(name, 0755));
		EQ(st_of("d").st_nlink, i + 3);
	}
	put("d/file", "");
	EQ(st_of("d").st_nlink, 52);
	EQ(st_of("d/7").st_nlink, 2);
	OK(rmdir("d/7"));
	EQ(st_of("d").st_nlink, 51);
	ERR2(ENOTEMPTY, EEXIST, rmdir("d"));
}

/* --- special files --- */

static void writes_the_fifo(void *arg)
{
	int fd = OK(open("p", O_WRONLY));

	(void)arg;
	write_all(fd, "through", 7);
	OK(close(fd));
}

TEST(fifo, 0)
{
	char buf[16];
	pid_t pid;
	int fd;

	OK(mkfifo("p", 0640));
	TRUE(S_ISFIFO(st_of("p").st_mode));
	EQ(mode_of("p"), 0640);
	ERR(ENXIO, open("p", O_WRONLY | O_NONBLOCK));
	pid = start_child(writes_the_fifo, NULL);
	fd = OK(open("p", O_RDONLY));
	EQ(read(fd, buf, 16), 7);
	EQ(read(fd, buf, 16), 0);
	TRUE(memcmp(buf, "through", 7) == 0);
	end_child(pid);
	OK(close(fd));
	OK(link("p", "q"));
	EQ(st_of("q").st_nlink, 2);
	OK(rename("p", "p2"));
	OK(unlink("p2"));
	OK(mknod("m", S_IFIFO | 0600, 0));
	TRUE(S_ISFIFO(st_of("m").st_mode));
	OK(mknod("r", S_IFREG | 0600, 0));
	TRUE(S_ISREG(st_of("r").st_mode));
	ERR(EEXIST, mknod("r", S_IFREG | 0600, 0));
}

TEST(unix_socket, 0)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX, .sun_path = "sock" };
	int s, c, a;
	char b;

	s = OK(socket(AF_UNIX, SOCK_STREAM, 0));
	OK(bind(s, (struct sockaddr *)&sun, sizeof(sun)));
	TRUE(S_ISSOCK(st_of("sock").st_mode));
	OK(listen(s, 1));
	OK(rename("sock", "moved"));
	strcpy(sun.sun_path, "moved");
	c = OK(socket(AF_UNIX, SOCK_STREAM, 0));
	OK(connect(c, (struct sockaddr *)&sun, sizeof(sun)));
	a = OK(accept(s, NULL, NULL));
	write_all(c, "s", 1);
	EQ(read(a, &b, 1), 1);
	ERR(ENXIO, open("moved", O_RDONLY));
	OK(close(s));
	OK(close(a));
	OK(close(c));
	c = OK(socket(AF_UNIX, SOCK_STREAM, 0));
	ERR(ECONNREFUSED, connect(c, (struct sockaddr *)&sun, sizeof(sun)));
	OK(unlink("moved"));
	OK(close(c));
}
