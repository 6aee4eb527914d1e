/* SPDX-License-Identifier: Apache-2.0 */
/* Timestamps: set to the nanosecond, kept, and moved by what moves them. */
#include "tests/fuse/posix.h"

#include <sys/mman.h>
#include <time.h>

static void set(const char *path, time_t sec, long nsec_)
{
	struct timespec ts[2] = { { sec, nsec_ }, { sec, nsec_ } };

	OK(utimensat(AT_FDCWD, path, ts, AT_SYMLINK_NOFOLLOW));
}

static int64_t mtime(const char *path)
{
	return nsec(st_of(path).st_mtim);
}

TEST(utimens_to_the_nanosecond, 0)
{
	static const struct timespec times[] = {
		{ 0, 0 },
		{ 1, 1 },
		{ 1234567890, 987654321 },
		{ 1700000000, 999999999 },
		{ 2147483648, 5 },
		{ 4102444800, 123456789 },
		{ -86400, 500000000 },
	};
	struct timespec ts[2];
	struct stat st;

	put("a", "x");
	OK(mkdir("d", 0755));
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		const char *name = i % 2 ? "a" : "d";

		ts[0] = times[i];
		ts[1] = times[(i + 1) % 7];
		OK(utimensat(AT_FDCWD, name, ts, 0));
		st = st_of(name);
		EQ(st.st_atim.tv_sec, ts[0].tv_sec);
		EQ(st.st_atim.tv_nsec, ts[0].tv_nsec);
		EQ(st.st_mtim.tv_sec, ts[1].tv_sec);
		EQ(st.st_mtim.tv_nsec, ts[1].tv_nsec);
	}
}

TEST(utimens_now_and_omit, 0)
{
	struct timespec ts[2] = { { 100, 1 }, { 200, 2 } }, now;
	struct stat st, before;

	put("a", "x");
	OK(utimensat(AT_FDCWD, "a", ts, 0));
	before = st_of("a");
	tick();
	ts[0].tv_nsec = UTIME_OMIT;
	ts[1] = (struct timespec){ 300, 3 };
	OK(utimensat(AT_FDCWD, "a", ts, 0));
	st = st_of("a");
	EQ(nsec(st.st_atim), 100LL * 1000000000 + 1);
	EQ(nsec(st.st_mtim), 300LL * 1000000000 + 3);
	TRUE(nsec(st.st_ctim) > nsec(before.st_ctim));
	ts[0] = (struct timespec){ 400, 4 };
	ts[1].tv_nsec = UTIME_OMIT;
	OK(utimensat(AT_FDCWD, "a", ts, 0));
	st = st_of("a");
	EQ(nsec(st.st_atim), 400LL * 1000000000 + 4);
	EQ(nsec(st.st_mtim), 300LL * 1000000000 + 3);
	ts[0].tv_nsec = UTIME_OMIT;
	before = st_of("a");
	tick();
	OK(utimensat(AT_FDCWD, "a", ts, 0)); /* both omitted: nothing */
	EQ(nsec(st_of("a").st_ctim), nsec(before.st_ctim));
	ts[1].tv_nsec = UTIME_NOW;
	OK(utimensat(AT_FDCWD, "a", ts, 0));
	OK(clock_gettime(CLOCK_REALTIME, &now));
	st = st_of("a");
	TRUE(llabs(nsec(now) - nsec(st.st_mtim)) < 2000000000);
	EQ(nsec(st.st_atim), 400LL * 1000000000 + 4);
	OK(utimensat(AT_FDCWD, "a", NULL, 0));
	st = st_of("a");
	TRUE(llabs(nsec(now) - nsec(st.st_atim)) < 2000000000);
	ts[0].tv_nsec = 1000000000;
	ERR(EINVAL, utimensat(AT_FDCWD, "a", ts, 0));
}

/* As cargo does: a file's own time set on its descriptor, then closed. */
static void utimens_and_close(const char *name, size_t len)
{
	static char w[200000];
	struct timespec ts[2] = { { 1500000000, 42 }, { 1500000000, 43 } };
	int fd;

	fd = OK(open(name, O_RDWR | O_CREAT | O_TRUNC, 0644));
	write_all(fd, w, len);
	OK(futimens(fd, ts));
	EQ(nsec(st_fd(fd).st_mtim), 1500000000LL * 1000000000 + 43);
	EQ(mtime(name), 1500000000LL * 1000000000 + 43);
	OK(fsync(fd));
	OK(close(fd));
	EQ(mtime(name), 1500000000LL * 1000000000 + 43);
	/* on a read-only descriptor */
	fd = OK(open(name, O_RDONLY));
	ts[1].tv_nsec = 44;
	OK(futimens(fd, ts));
	OK(close(fd));
	EQ(mtime(name), 1500000000LL * 1000000000 + 44);
	HAS_BYTES(name, w, len);
	EQ(mtime(name), 1500000000LL * 1000000000 + 44);
	/* a write moves it on */
	fd = OK(open(name, O_RDWR));
	pwrite_all(fd, "w", 1, 0);
	w[0] = 'w';
	TRUE(nsec(st_fd(fd).st_mtim) > 1600000000LL * 1000000000);
	OK(futimens(fd, ts));
	OK(close(fd));
	EQ(mtime(name), 1500000000LL * 1000000000 + 44);
	OK(chmod(name, 0600));
	OK(link(name, "other"));
	OK(rename("other", "other2"));
	EQ(mtime("other2"), 1500000000LL * 1000000000 + 44);
	OK(unlink("other2"));
	w[0] = 0;
}

TEST(utimens_then_close_keeps, 0)
{
	static const char *const names[] = {
		"deps/liba-0123456789abcdef.rlib",
		"a.bin",
		"deps/a-0123456789abcdef.d",
		".fingerprint/a-0123456789abcdef/dep-lib-a",
		"a.d",
	};
	static const size_t sizes[] = { 200000, 100, 30, 14, 3000 };

	OK(mkdir("deps", 0755));
	OK(mkdir(".fingerprint", 0755));
	OK(mkdir(".fingerprint/a-0123456789abcdef", 0755));
	for (int i = 0; i < 5; i++)
		utimens_and_close(names[i], sizes[i]);
	sleep(opt.settle);
	for (int i = 0; i < 5; i++)
		EQ(mtime(names[i]), 1500000000LL * 1000000000 + 44);
}

TEST(utimens_while_mapped, 0)
{
	struct timespec ts[2] = { { 1500000000, 1 }, { 1500000000, 2 } };
	char *m;
	int fd = OK(open("a", O_RDWR | O_CREAT, 0644));

	OK(ftruncate(fd, 100000));
	m = mmap(NULL, 100000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	TRUE(m != MAP_FAILED);
	memset(m, 1, 100000);
	OK(msync(m, 100000, MS_SYNC));
	OK(munmap(m, 100000));
	OK(futimens(fd, ts));
	OK(close(fd));
	EQ(mtime("a"), 1500000000LL * 1000000000 + 2);
}

static void may_touch_but_not_set(void *arg)
{
	struct timespec ts[2] = { { 1, 1 }, { 1, 1 } };

	(void)arg;
	OK(utimensat(AT_FDCWD, "w", NULL, 0));
	ERR(EPERM, utimensat(AT_FDCWD, "w", ts, 0));
	ERR(EACCES, utimensat(AT_FDCWD, "r", NULL, 0));
	ERR(EPERM, utimensat(AT_FDCWD, "r", ts, 0));
}

TEST(utimens_permissions, NEEDS_ROOT)
{
	put("w", "");
	put("r", "");
	OK(chmod("w", 0666));
	as_user(OTHER_UID, OTHER_UID, may_touch_but_not_set, NULL);
}

/* What each call moves: of the file, and of its directory. */
TEST(calls_move_times, 0)
{
	struct stat f, d, f2, d2;
	char buf[4];
	int fd;

#define AGAIN()                   \
	do {                      \
		f = st_of("d/a"); \
		d = st_of("d");   \
		tick();           \
	} while (0)
#define MOVED(file_m, file_c, dir)                              \
	do {                                                    \
		f2 = st_of("d/a");                              \
		d2 = st_of("d");                                \
		EQ(nsec(f2.st_mtim) > nsec(f.st_mtim), file_m); \
		EQ(nsec(f2.st_ctim) > nsec(f.st_ctim), file_c); \
		EQ(nsec(d2.st_mtim) > nsec(d.st_mtim), dir);    \
		EQ(nsec(d2.st_ctim) > nsec(d.st_ctim), dir);    \
	} while (0)

	OK(mkdir("d", 0755));
	d = st_of("d");
	tick();
	put("d/a", "text");
	TRUE(mtime("d") > nsec(d.st_mtim));
	AGAIN();
	fd = OK(open("d/a", O_RDWR));
	EQ(pread_full(fd, buf, 4, 0), 4);
	MOVED(0, 0, 0);
	AGAIN();
	pwrite_all(fd, "T", 1, 0);
	MOVED(1, 1, 0);
	EQ(nsec(f2.st_mtim), nsec(st_fd(fd).st_mtim));
	AGAIN();
	OK(close(fd));
	MOVED(0, 0, 0);
	AGAIN();
	OK(chmod("d/a", 0640));
	MOVED(0, 1, 0);
	AGAIN();
	OK(link("d/a", "d/b"));
	MOVED(0, 1, 1);
	AGAIN();
	OK(unlink("d/b"));
	MOVED(0, 1, 1);
	AGAIN();
	OK(mkdir("d/sub", 0755));
	MOVED(0, 0, 1);
	AGAIN();
	OK(rename("d/sub", "d/sub2"));
	MOVED(0, 0, 1);
	AGAIN();
	OK(rmdir("d/sub2"));
	MOVED(0, 0, 1);
	AGAIN();
	OK(symlink("x", "d/s"));
	MOVED(0, 0, 1);
	AGAIN();
	OK(mkfifo("d/p", 0600));
	MOVED(0, 0, 1);
	AGAIN();
	put("d/a", "other"); /* O_TRUNC */
	MOVED(1, 1, 0);
	AGAIN();
	ERR(EEXIST, mkdir("d/a", 0755));
	ERR(EEXIST, link("d/p", "d/a"));
	ERR(ENOENT, unlink("d/none"));
	MOVED(0, 0, 0);
}

/* Times of files written one after the other never go backwards, whichever
 * clock each got them from: cargo compares them. */
TEST(times_follow_the_order_of_writes, 0)
{
	static const char *const names[] = {
		"invoked.timestamp", "a.rlib",	  "a.d",    "output",
		"a.rmeta",	     "dep-lib-a", "a.json", "x"
	};
	struct timespec now;
	int64_t last = 0;
	char dir[8];

	for (int round = 0; round < 40; round++) {
		(void)snprintf(dir, sizeof(dir), "%d", round);
		OK(mkdir(dir, 0755));
		OK(chdir(dir));
		for (int i = 0; i < 8; i++) {
			int64_t t;

			put(names[i], names[i]);
			t = mtime(names[i]);
			if (t < last)
				FAIL("%s/%s is %lld ns older than the file "
				     "written before it",
				     dir, names[i], (long long)(last - t));
			last = t;
		}
		OK(chdir(".."));
	}
	OK(clock_gettime(CLOCK_REALTIME, &now));
	TRUE(last <= nsec(now));
}

/* An mtime that was seen stays: neither writeback, nor hashing, nor the last
 * close may move it after the fact. */
TEST(time_stays_as_seen, 0)
{
	static char w[300000];
	static const char *const names[] = { "a.rlib", "a.d", "b" };
	int64_t seen[3];

	for (int i = 0; i < 3; i++) {
		int fd = OK(open(names[i], O_RDWR | O_CREAT, 0644));

		write_all(fd, w, i == 1 ? 500 : sizeof(w));
		seen[i] = nsec(st_fd(fd).st_mtim);
		tick();
		EQ(mtime(names[i]), seen[i]);
		OK(fsync(fd));
		EQ(mtime(names[i]), seen[i]);
		OK(close(fd));
		EQ(mtime(names[i]), seen[i]);
	}
	usleep(200000);
	for (int i = 0; i < 3; i++)
		EQ(mtime(names[i]), seen[i]);
	sync();
	if (opt.settle)
		sleep(opt.settle);
	for (int i = 0; i < 3; i++) {
		EQ(mtime(names[i]), seen[i]);
		OK(close(OK(open(names[i], O_RDWR))));
		EQ(mtime(names[i]), seen[i]);
	}
	set("b", 5, 5);
	EQ(mtime("b"), 5000000005LL);
}
