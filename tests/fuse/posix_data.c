/* SPDX-License-Identifier: Apache-2.0 */
/* Reading, writing, truncating, holes. posix_range.c has the rest. */
#include "tests/fuse/posix.h"

#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/uio.h>

static char w[2 << 20], r[2 << 20];

TEST(write_sizes_around_every_border, 0)
{
	static const size_t sizes[] = {
		0,	1,	15,	16,	511,	 4095,	4096,
		4097,	8191,	16384,	32768,	65535,	 65536, 65537,
		131071, 131072, 131073, 262144, 1048577,
	};
	static const char *names[] = { "x.bin", "x.d", "output", "libx.rlib" };
	int fd;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (size_t k = 0; k < 4; k++) {
			size_t n = sizes[i];

			pattern(w, n + 3, i * 4 + k);
			put_bytes(names[k], w, n);
			HAS_BYTES(names[k], w, n);
			EQ(st_of(names[k]).st_size, n);
			fd = OK(open(names[k], O_RDWR));
			pwrite_all(fd, "mid", 3, (off_t)(n / 2));
			memcpy(w + n / 2, "mid", 3);
			if (n / 2 + 3 > n)
				n = n / 2 + 3;
			EQ(st_fd(fd).st_size, n);
			EQ(pread_full(fd, r, sizeof(r), 0), n);
			TRUE(memcmp(r, w, n) == 0);
			OK(close(fd));
			HAS_BYTES(names[k], w, n);
		}
}

TEST(read_and_write_modes, 0)
{
	char buf[8];
	int fd;

	put("a", "0123456789");
	fd = OK(open("a", O_RDONLY));
	ERR(EBADF, write(fd, "x", 1));
	EQ(read(fd, buf, 4), 4);
	EQ(lseek(fd, 0, SEEK_CUR), 4);
	EQ(pread(fd, buf, 8, 8), 2);
	EQ(pread(fd, buf, 8, 10), 0);
	EQ(pread(fd, buf, 8, 1000000), 0);
	ERR(EINVAL, pread(fd, buf, 8, -1));
	ERR(EINVAL, lseek(fd, -1, SEEK_SET));
	EQ(lseek(fd, 5, SEEK_END), 15);
	EQ(read(fd, buf, 8), 0);
	ERR(EINVAL, ftruncate(fd, 3));
	OK(close(fd));
	fd = OK(open("a", O_WRONLY));
	ERR(EBADF, read(fd, buf, 1));
	EQ(write(fd, "", 0), 0);
	EQ(st_fd(fd).st_size, 10);
	OK(lseek(fd, 20, SEEK_SET));
	write_all(fd, "end", 3);
	OK(close(fd));
	HAS_BYTES("a", "0123456789\0\0\0\0\0\0\0\0\0\0end", 23);
	fd = OK(open(".", O_RDONLY));
	ERR(EISDIR, read(fd, buf, 1));
	OK(close(fd));
}

TEST(vectored_io, 0)
{
	struct iovec v[3] = { { w, 10 }, { w + 10, 70000 }, { w + 70010, 1 } };
	struct iovec q[2] = { { r, 35000 }, { r + 35000, 40000 } };
	int fd = OK(open("a", O_RDWR | O_CREAT, 0644));

	pattern(w, 70011, 77);
	EQ(writev(fd, v, 3), 70011);
	EQ(preadv(fd, q, 2, 0), 70011);
	TRUE(memcmp(r, w, 70011) == 0);
	EQ(pwritev2(fd, v, 1, -1, RWF_APPEND), 10);
	EQ(st_fd(fd).st_size, 70021);
	EQ(pwritev2(fd, v, 1, 0, RWF_DSYNC), 10);
	OK(close(fd));
}

/* --- O_APPEND --- */

TEST(append_two_descriptors, 0)
{
	int a = OK(open("log", O_WRONLY | O_CREAT | O_APPEND, 0644));
	int b = OK(open("log", O_RDWR | O_APPEND)), c;

	write_all(a, "one ", 4);
	write_all(b, "two ", 4);
	write_all(a, "three ", 6);
	HAS("log", "one two three ");
	OK(lseek(b, 0, SEEK_SET));
	write_all(b, "four", 4);
	EQ(lseek(b, 0, SEEK_CUR), 18);
	c = OK(open("log", O_WRONLY));
	OK(ftruncate(c, 3));
	write_all(a, "!", 1);
	HAS("log", "one!");
	pwrite_all(a, "?", 1, 0); /* Linux appends here too */
	HAS("log", "one!?");
	OK(close(a));
	OK(close(b));
	OK(close(c));
}

static void appends_lines(void *arg)
{
	int id = *(int *)arg;
	int fd = OK(open("log", O_WRONLY | O_APPEND));
	char line[64];

	for (int i = 0; i < 1000; i++) {
		int n = snprintf(line, sizeof(line), "%d:%04d:%.*s\n", id, i,
				 10 + i % 30,
				 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopq");

		EQ(write(fd, line, (size_t)n), n);
	}
	OK(close(fd));
}

TEST(append_from_four_processes, 0)
{
	int ids[4] = { 0, 1, 2, 3 }, next[4] = { 0 }, id, i;
	pid_t pids[4];
	FILE *f;

	put("log", "");
	for (i = 0; i < 4; i++)
		pids[i] = start_child(appends_lines, &ids[i]);
	for (i = 0; i < 4; i++)
		end_child(pids[i]);
	f = fopen("log", "r");
	TRUE(f);
	while (fscanf(f, "%d:%d:%*[a-z]\n", &id, &i) == 2) {
		TRUE(id >= 0 && id < 4);
		EQ(i, next[id]);
		next[id]++;
	}
	for (i = 0; i < 4; i++)
		EQ(next[i], 1000);
	(void)fclose(f);
}

/* --- creating and truncating --- */

TEST(create_excl, 0)
{
	OK(close(OK(open("a", O_WRONLY | O_CREAT | O_EXCL, 0640))));
	EQ(st_of("a").st_mode & 07777, 0640);
	ERR(EEXIST, open("a", O_WRONLY | O_CREAT | O_EXCL, 0644));
	OK(symlink("nowhere", "s"));
	ERR(EEXIST, open("s", O_WRONLY | O_CREAT | O_EXCL, 0644));
	OK(mkdir("d", 0755));
	ERR(EEXIST, open("d", O_WRONLY | O_CREAT | O_EXCL, 0644));
	ERR(EISDIR, open("d", O_WRONLY | O_CREAT, 0644));
	/* the mode counts for later opens only */
	int fd = OK(open("ro", O_RDWR | O_CREAT, 0444));
	write_all(fd, "x", 1);
	OK(close(fd));
	HAS("ro", "x");
}

static void creates_all_it_can(void *arg)
{
	int *out = arg;
	char name[32];

	for (int i = 0; i < 300; i++) {
		int fd;

		(void)snprintf(name, sizeof(name), "e%d", i);
		fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
		if (fd >= 0) {
			OK(close(fd));
			write_all(out[1], "x", 1);
		} else if (errno != EEXIST) {
			FAIL("open: %s", strerror(errno));
		}
	}
}

TEST(create_excl_has_one_winner, 0)
{
	pid_t pids[6];
	int p[2];

	OK(pipe(p));
	for (int i = 0; i < 6; i++)
		pids[i] = start_child(creates_all_it_can, p);
	for (int i = 0; i < 6; i++)
		end_child(pids[i]);
	OK(close(p[1]));
	EQ(read(p[0], r, 4096), 300);
}

TEST(truncate_by_open, 0)
{
	int rd, wr;

	pattern(w, 100000, 6);
	put_bytes("a", w, 100000);
	rd = OK(open("a", O_RDONLY));
	wr = OK(open("a", O_RDWR));
	EQ(pread_full(rd, r, 100000, 0), 100000);
	OK(close(OK(open("a", O_WRONLY | O_TRUNC))));
	EQ(st_fd(rd).st_size, 0);
	EQ(pread_full(rd, r, 100, 0), 0);
	pwrite_all(wr, "late", 4, 10);
	EQ(pread_full(rd, r, 100, 0), 14);
	HAS_BYTES("a", "\0\0\0\0\0\0\0\0\0\0late", 14);
	EQ(st_of("a").st_ino, st_fd(rd).st_ino);
	OK(close(rd));
	OK(close(wr));
	HAS_BYTES("a", "\0\0\0\0\0\0\0\0\0\0late", 14);
}

TEST(truncate_sizes, 0)
{
	static const off_t sizes[] = { 50,    5000,  4096,  4097, 100,	 0,
				       70000, 65536, 65537, 3,	  200000 };
	size_t have = 30000;
	int fd, ro;

	pattern(w, sizeof(w), 10);
	put_bytes("a", w, have);
	fd = OK(open("a", O_RDWR));
	ro = OK(open("a", O_RDONLY));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t n = (size_t)sizes[i];

		if (i % 2)
			OK(truncate("a", sizes[i]));
		else
			OK(ftruncate(fd, sizes[i]));
		if (n > have)
			memset(w + have, 0, n - have);
		have = n;
		EQ(st_fd(ro).st_size, n);
		EQ(pread_full(ro, r, sizeof(r), 0), n);
		TRUE(memcmp(r, w, n) == 0);
		HAS_BYTES("a", w, n);
		if (n > 10) {
			pwrite_all(fd, "tail", 4, (off_t)n - 4);
			memcpy(w + n - 4, "tail", 4);
		}
	}
	OK(close(fd));
	OK(close(ro));
	HAS_BYTES("a", w, have);
	ERR(EINVAL, truncate("a", -1));
	ERR(EISDIR, truncate(".", 0));
	ERR(ENOENT, truncate("none", 0));
	ERR(ENOTDIR, truncate("a/x", 0));
	if (truncate("a", LLONG_MAX) < 0) /* tmpfs can */
		TRUE(errno == EFBIG || errno == EINVAL);
}

TEST(truncate_moves_times, 0)
{
	struct stat before, after;

	put("a", "0123");
	before = st_of("a");
	tick();
	OK(truncate("a", 4)); /* the same size counts */
	after = st_of("a");
	TRUE(nsec(after.st_mtim) > nsec(before.st_mtim));
	TRUE(nsec(after.st_ctim) > nsec(before.st_ctim));
	before = after;
	tick();
	OK(close(OK(open("a", O_WRONLY | O_TRUNC))));
	after = st_of("a");
	TRUE(nsec(after.st_mtim) > nsec(before.st_mtim));
	before = after;
	tick();
	OK(close(OK(open("a", O_WRONLY | O_TRUNC)))); /* so does an empty one */
	TRUE(nsec(st_of("a").st_mtim) > nsec(before.st_mtim));
	before = st_of("a");
	tick();
	OK(close(OK(open("a", O_WRONLY))));
	EQ(nsec(st_of("a").st_mtim), nsec(before.st_mtim));
	EQ(nsec(st_of("a").st_ctim), nsec(before.st_ctim));
}

TEST(file_size_limit, 0)
{
	struct rlimit rl = { 100000, 100000 };
	int fd = OK(open("a", O_RDWR | O_CREAT, 0644));

	(void)signal(SIGXFSZ, SIG_IGN);
	OK(setrlimit(RLIMIT_FSIZE, &rl));
	pwrite_all(fd, w, 100000, 0);
	ERR(EFBIG, pwrite(fd, "x", 1, 100000));
	EQ(pwrite(fd, "abc", 3, 99998), 2);
	ERR(EFBIG, ftruncate(fd, 100001));
	EQ(st_fd(fd).st_size, 100000);
	OK(close(fd));
}

/* --- large and sparse --- */

TEST(offsets_beyond_4_gib, 0)
{
	static const off_t at[] = { (4LL << 30) - 2, 4LL << 30,
				    (8LL << 30) + 12345, (9LL << 30) - 1 };
	int fd = OK(open("big", O_RDWR | O_CREAT, 0644)), rd;
	char buf[8];

	for (int i = 0; i < 4; i++)
		pwrite_all(fd, "four", 4, at[i]);
	rd = OK(open("big", O_RDONLY));
	for (int i = 0; i < 4; i++) {
		EQ(pread_full(rd, buf, 4, at[i]), 4);
		TRUE(memcmp(buf, i == 0 ? "fofo" : "four", 4) == 0);
	}
	EQ(st_of("big").st_size, (9LL << 30) + 3);
	EQ(lseek(rd, 0, SEEK_END), (9LL << 30) + 3);
	OK(ftruncate(fd, (5LL << 30) + 1));
	EQ(st_fd(rd).st_size, (5LL << 30) + 1);
	OK(close(fd));
	OK(close(rd));
}

TEST(sparse_10_gib, 0)
{
	const off_t size = 10LL << 30;
	int fd = OK(open("sparse", O_RDWR | O_CREAT, 0644));
	off_t at;

	pwrite_all(fd, "begin", 5, 0);
	pwrite_all(fd, "end", 3, size - 3);
	EQ(st_fd(fd).st_size, size);
	OK(close(fd));
	fd = OK(open("sparse", O_RDONLY));
	EQ(pread_full(fd, r, 5, 0), 5);
	TRUE(memcmp(r, "begin", 5) == 0);
	EQ(pread_full(fd, r, 100, size - 3), 3);
	TRUE(memcmp(r, "end", 3) == 0);
	EQ(pread_full(fd, r, 4096, size / 2), 4096);
	memset(w, 0, 4096);
	TRUE(memcmp(r, w, 4096) == 0);
	TRUE(st_fd(fd).st_blocks * 512LL < (1 << 20));
	EQ(lseek(fd, 0, SEEK_DATA), 0);
	at = OK(lseek(fd, 0, SEEK_HOLE));
	TRUE(at > 0 && at <= 1 << 20);
	at = OK(lseek(fd, at, SEEK_DATA));
	TRUE(at > size - (2 << 20) && at < size);
	EQ(lseek(fd, at, SEEK_HOLE), size);
	ERR(ENXIO, lseek(fd, size, SEEK_DATA));
	ERR(ENXIO, lseek(fd, size + 1, SEEK_HOLE));
	OK(close(fd));
}

TEST(written_10_gib, LONG)
{
	const off_t size = 10LL << 30;
	struct statvfs vfs;
	int fd;

	OK(statvfs(".", &vfs));
	if ((uint64_t)vfs.f_bavail * vfs.f_frsize < (uint64_t)size + (2 << 30))
		test_skip("not enough room");
	fd = OK(open("full", O_RDWR | O_CREAT, 0644));
	for (off_t at = 0; at < size; at += 1 << 20) {
		pattern(w, 64, (uint64_t)at);
		write_all(fd, w, 1 << 20);
	}
	OK(close(fd));
	fd = OK(open("full", O_RDONLY));
	for (off_t at = 0; at < size; at += 1 << 20) {
		pattern(w, 64, (uint64_t)at);
		EQ(pread_full(fd, r, 1 << 20, at), 1 << 20);
		TRUE(memcmp(r, w, 64) == 0);
	}
	OK(close(fd));
}

TEST(sync_calls, 0)
{
	int fd = OK(open("a", O_RDWR | O_CREAT, 0644)), d;

	write_all(fd, w, 100000);
	OK(fsync(fd));
	write_all(fd, w, 10);
	OK(fdatasync(fd));
	OK(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE));
	OK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) ? -1 : 0);
	OK(readahead(fd, 0, 100000));
	OK(syncfs(fd));
	d = OK(open(".", O_RDONLY));
	OK(fsync(d));
	OK(close(d));
	OK(close(fd));
	fd = OK(open("a", O_RDONLY));
	OK(fsync(fd));
	OK(close(fd));
	fd = OK(open("s", O_WRONLY | O_CREAT | O_SYNC, 0644));
	write_all(fd, w, 70000);
	OK(close(fd));
	HAS_BYTES("s", w, 70000);
}
