/* SPDX-License-Identifier: Apache-2.0 */
/* fallocate, holes, copy_file_range, splice, O_DIRECT, O_TMPFILE. */
#include "tests/fuse/posix.h"

#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/wait.h>

static char w[1 << 20], r[1 << 20];

static int falloc_or_skip(int fd, int mode, off_t off, off_t len)
{
	int n = fallocate(fd, mode, off, len);

	if (n < 0 && errno == EOPNOTSUPP)
		test_skip("fallocate is not supported here");
	return n;
}

static void falloc_on(const char *name)
{
	int fd = OK(open(name, O_RDWR | O_CREAT | O_TRUNC, 0644));

	pattern(w, 300000, 1);
	write_all(fd, w, 100000);
	OK(falloc_or_skip(fd, 0, 0, 200000));
	EQ(st_fd(fd).st_size, 200000);
	memset(w + 100000, 0, 200000);
	EQ(pread_full(fd, r, sizeof(r), 0), 200000);
	TRUE(memcmp(r, w, 200000) == 0);
	OK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 200000, 100000));
	EQ(st_fd(fd).st_size, 200000);
	OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5000,
		     60000));
	memset(w + 5000, 0, 60000);
	EQ(st_fd(fd).st_size, 200000);
	EQ(pread_full(fd, r, sizeof(r), 0), 200000);
	TRUE(memcmp(r, w, 200000) == 0);
	HAS_BYTES(name, w, 200000);
	OK(fallocate(fd, FALLOC_FL_ZERO_RANGE, 70000, 20000));
	memset(w + 70000, 0, 20000);
	OK(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 190000,
		     50000));
	EQ(st_fd(fd).st_size, 200000);
	OK(fallocate(fd, FALLOC_FL_ZERO_RANGE, 190000, 60000));
	EQ(st_fd(fd).st_size, 250000);
	HAS_BYTES(name, w, 250000);
	ERR(EINVAL, fallocate(fd, 0, 0, 0));
	ERR(EINVAL, fallocate(fd, 0, -1, 10));
	ERR2(EOPNOTSUPP, EINVAL, fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 4096));
	OK(posix_fallocate(fd, 250000, 1000) ? -1 : 0);
	EQ(st_fd(fd).st_size, 251000);
	OK(close(fd));
	HAS_BYTES(name, w, 251000);
	fd = OK(open(name, O_RDONLY));
	ERR(EBADF, fallocate(fd, 0, 0, 10));
	OK(close(fd));
}

TEST(fallocate_modes, 0)
{
	falloc_on("a.rlib");
}
TEST(fallocate_modes_small_metadata_name, 0)
{
	falloc_on("a.d");
}

TEST(fallocate_moves_times_and_blocks, 0)
{
	struct stat before, after;
	int fd = OK(open("a", O_RDWR | O_CREAT, 0644));

	pattern(w, sizeof(w), 2);
	write_all(fd, w, sizeof(w));
	OK(fsync(fd));
	before = st_fd(fd);
	tick();
	OK(falloc_or_skip(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			  512 << 10));
	after = st_fd(fd);
	TRUE(nsec(after.st_mtim) > nsec(before.st_mtim));
	TRUE(nsec(after.st_ctim) > nsec(before.st_ctim));
	TRUE(after.st_blocks < before.st_blocks);
	OK(close(fd));
	TRUE(st_of("a").st_blocks < before.st_blocks);
}

TEST(fallocate_collapse_and_insert, 0)
{
	int fd = OK(open("a", O_RDWR | O_CREAT, 0644));

	pattern(w, 65536, 3);
	write_all(fd, w, 65536);
	if (fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 4096, 4096) < 0) {
		EQ(errno, EOPNOTSUPP);
		ERR(EOPNOTSUPP,
		    fallocate(fd, FALLOC_FL_INSERT_RANGE, 4096, 4096));
		HAS_BYTES("a", w, 65536);
		return;
	}
	memmove(w + 4096, w + 8192, 65536 - 8192);
	HAS_BYTES("a", w, 61440);
	OK(fallocate(fd, FALLOC_FL_INSERT_RANGE, 4096, 4096));
	EQ(st_fd(fd).st_size, 65536);
	OK(close(fd));
}

TEST(fallocate_of_an_unlinked_file, 0)
{
	int fd = OK(open("a", O_RDWR | O_CREAT, 0644));

	OK(unlink("a"));
	OK(falloc_or_skip(fd, 0, 0, 100000));
	EQ(st_fd(fd).st_size, 100000);
	EQ(pread_full(fd, r, sizeof(r), 0), 100000);
	OK(close(fd));
}

TEST(seek_data_and_hole, 0)
{
	int fd = OK(open("a", O_RDWR | O_CREAT, 0644));
	off_t at;

	OK(ftruncate(fd, 1 << 20));
	pwrite_all(fd, w, 4096, 256 << 10);
	pwrite_all(fd, w, 100, 700 << 10);
	OK(fsync(fd));
	at = OK(lseek(fd, 0, SEEK_DATA));
	TRUE(at > 0 && at <= 256 << 10);
	at = OK(lseek(fd, 256 << 10, SEEK_HOLE));
	TRUE(at >= (256 << 10) + 4096 && at < 700 << 10);
	at = OK(lseek(fd, at, SEEK_DATA));
	TRUE(at > 260 << 10 && at <= 700 << 10);
	at = OK(lseek(fd, 700 << 10, SEEK_HOLE));
	TRUE(at >= (700 << 10) + 100 && at < 1 << 20);
	ERR(ENXIO, lseek(fd, (700 << 10) + 65536, SEEK_DATA));
	ERR(ENXIO, lseek(fd, 1 << 20, SEEK_DATA));
	ERR(EINVAL, lseek(fd, 0, 77));
	OK(close(fd));
	put("b.d", "dense");
	fd = OK(open("b.d", O_RDONLY));
	EQ(lseek(fd, 0, SEEK_DATA), 0);
	EQ(lseek(fd, 0, SEEK_HOLE), 5);
	EQ(lseek(fd, 3, SEEK_DATA), 3);
	ERR(ENXIO, lseek(fd, 5, SEEK_DATA));
	OK(close(fd));
	put("empty", "");
	fd = OK(open("empty", O_RDONLY));
	ERR(ENXIO, lseek(fd, 0, SEEK_DATA));
	ERR(ENXIO, lseek(fd, 0, SEEK_HOLE));
	OK(close(fd));
}

/* --- copies in the kernel --- */

/* EXDEV and EOPNOTSUPP send every caller (cp, std::fs::copy) to plain copying;
 * within one filesystem neither is welcome. */
static void copy_range(int in, off_t at, int out, off_t to, size_t len)
{
	while (len) {
		ssize_t n = copy_file_range(in, &at, out, &to, len, 0);

		if (n <= 0)
			FAIL("copy_file_range of %zu: %s", len,
			     n ? strerror(errno) : "end of file");
		len -= (size_t)n;
	}
}

static const struct {
	const char *name;
	size_t len;
} kinds[] = {
	{ "k.empty", 0 },     { "k.tiny", 5 },	  { "k.d", 3000 },
	{ "output", 90000 },  { "k.page", 4096 }, { "libk.rlib", 300000 },
	{ "libk.so", 65537 },
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

TEST(copy_file_range_between_all_kinds, 0)
{
	static char target[1 << 20];
	char to[64];

	for (int i = 0; i < KINDS; i++) {
		pattern(w, kinds[i].len, (uint64_t)i);
		put_bytes(kinds[i].name, w, kinds[i].len);
	}
	OK(mkdir("to", 0755));
	for (int i = 0; i < KINDS; i++)
		for (int k = 0; k < KINDS; k++) {
			size_t n = kinds[i].len, off = n / 3;
			int in, out;

			pattern(w, n, (uint64_t)i);
			pattern(target, kinds[k].len, 100);
			(void)snprintf(to, sizeof(to), "to/%s", kinds[k].name);
			put_bytes(to, target, kinds[k].len);
			in = OK(open(kinds[i].name, O_RDONLY));
			out = OK(open(to, O_RDWR));
			copy_range(in, (off_t)off, out, 100, n - off);
			if (n > off) {
				size_t end = 100 + n - off;

				if (kinds[k].len < 100)
					memset(target + kinds[k].len, 0,
					       100 - kinds[k].len);
				memcpy(target + 100, w + off, n - off);
				if (end < kinds[k].len)
					end = kinds[k].len;
				HAS_BYTES(to, target, end);
				EQ(st_fd(out).st_size, end);
			}
			/* the whole, over a new file */
			OK(ftruncate(out, 0));
			copy_range(in, 0, out, 0, n);
			OK(close(in));
			OK(close(out));
			HAS_BYTES(to, w, n);
			HAS_BYTES(kinds[i].name, w, n);
		}
}

TEST(copy_file_range_rules, 0)
{
	off_t at = 0, to = 0;
	int a, b;

	pattern(w, 200000, 5);
	put_bytes("a", w, 200000);
	put("b", "");
	a = OK(open("a", O_RDWR));
	b = OK(open("b", O_RDWR));
	/* by the descriptors' own positions */
	EQ(copy_file_range(a, NULL, b, NULL, 1000, 0), 1000);
	EQ(lseek(a, 0, SEEK_CUR), 1000);
	EQ(lseek(b, 0, SEEK_CUR), 1000);
	at = 200000;
	EQ(copy_file_range(a, &at, b, &to, 10, 0), 0);
	at = 199990;
	EQ(copy_file_range(a, &at, b, &to, 100, 0), 10);
	EQ(at, 200000);
	EQ(to, 10);
	ERR(EINVAL, copy_file_range(a, NULL, b, NULL, 10, 1));
	/* inside one file; overlapping is refused */
	at = 0;
	to = 100000;
	EQ(copy_file_range(a, &at, a, &to, 50000, 0), 50000);
	memcpy(w + 100000, w, 50000);
	HAS_BYTES("a", w, 200000);
	at = 0;
	to = 10;
	ERR(EINVAL, copy_file_range(a, &at, a, &to, 100, 0));
	OK(close(b));
	b = OK(open("b", O_WRONLY | O_APPEND));
	ERR(EBADF, copy_file_range(a, NULL, b, NULL, 10, 0));
	OK(close(b));
	b = OK(open("b", O_RDONLY));
	ERR(EBADF, copy_file_range(a, NULL, b, NULL, 10, 0));
	OK(close(b));
	b = OK(open(".", O_RDONLY));
	ERR(EISDIR, copy_file_range(b, NULL, a, NULL, 10, 0));
	OK(close(b));
	OK(close(a));
}

TEST(copy_file_range_moves_times, 0)
{
	struct stat before, after;
	int a, b;

	put("a", "0123456789");
	put("b", "");
	before = st_of("b");
	tick();
	a = OK(open("a", O_RDONLY));
	b = OK(open("b", O_WRONLY));
	EQ(copy_file_range(a, NULL, b, NULL, 10, 0), 10);
	after = st_of("b");
	EQ(after.st_size, 10);
	TRUE(nsec(after.st_mtim) > nsec(before.st_mtim));
	TRUE(nsec(after.st_ctim) > nsec(before.st_ctim));
	OK(close(a));
	OK(close(b));
	EQ(st_of("b").st_size, 10);
}

TEST(clone_or_a_clean_no, 0)
{
	int a, b, n;

	pattern(w, 100000, 6);
	put_bytes("a", w, 100000);
	a = OK(open("a", O_RDONLY));
	b = OK(open("b", O_RDWR | O_CREAT, 0644));
	n = ioctl(b, FICLONE, a);
	if (n < 0)
		TRUE(errno == EOPNOTSUPP || errno == EXDEV || errno == ENOTTY ||
		     errno == EINVAL || errno == ENOSYS);
	else
		HAS_BYTES("b", w, 100000);
	OK(close(a));
	OK(close(b));
}

TEST(sendfile_and_splice, 0)
{
	int a, b, p[2];
	ssize_t n, m;
	off_t at = 10;

	pattern(w, 200000, 7);
	put_bytes("a", w, 200000);
	a = OK(open("a", O_RDONLY));
	b = OK(open("b", O_RDWR | O_CREAT, 0644));
	for (size_t left = 150000; left; left -= (size_t)n) {
		n = sendfile(b, a, &at, left);
		TRUE(n > 0);
	}
	HAS_BYTES("b", w + 10, 150000);
	OK(pipe(p));
	OK(ftruncate(b, 0));
	OK(lseek(b, 0, SEEK_SET));
	while ((n = splice(a, NULL, p[1], NULL, 40000, 0)) > 0)
		for (; n; n -= m) {
			m = splice(p[0], NULL, b, NULL, (size_t)n, 0);
			TRUE(m > 0);
		}
	EQ(n, 0);
	HAS_BYTES("b", w, 200000);
	OK(close(a));
	OK(close(b));
}

/* --- direct and nameless --- */

TEST(direct_io, 0)
{
	char *buf;
	int fd, plain;

	buf = aligned_alloc(4096, 262144);
	TRUE(buf);
	fd = open("a", O_RDWR | O_CREAT | O_DIRECT, 0644);
	if (fd < 0 && errno == EINVAL)
		test_skip("no O_DIRECT here");
	TRUE(fd >= 0);
	pattern(buf, 262144, 8);
	memcpy(w, buf, 262144);
	pwrite_all(fd, buf, 131072, 0);
	pwrite_all(fd, buf + 131072, 131072, 131072);
	memset(buf, 0, 262144);
	EQ(pread_full(fd, buf, 262144, 0), 262144);
	TRUE(memcmp(buf, w, 262144) == 0);
	HAS_BYTES("a", w, 262144);
	/* together with buffered I/O through another descriptor */
	plain = OK(open("a", O_RDWR));
	pwrite_all(plain, "buffered", 8, 100);
	OK(fsync(plain));
	EQ(pread(fd, buf, 4096, 0), 4096);
	TRUE(memcmp(buf + 100, "buffered", 8) == 0);
	memcpy(buf + 200, "direct", 6);
	pwrite_all(fd, buf, 4096, 0);
	EQ(pread_full(plain, r, 300, 0), 300);
	TRUE(memcmp(r + 100, "buffered", 8) == 0);
	TRUE(memcmp(r + 200, "direct", 6) == 0);
	EQ(st_of("a").st_size, 262144);
	OK(close(fd));
	OK(close(plain));
	/* on names that are kept in memory */
	fd = open("x.d", O_RDWR | O_CREAT | O_DIRECT, 0644);
	TRUE(fd >= 0 || errno == EINVAL);
	if (fd >= 0) {
		pwrite_all(fd, buf, 8192, 0);
		OK(close(fd));
		HAS_BYTES("x.d", buf, 8192);
	}
	free(buf);
}

TEST(tmpfile_or_a_clean_no, 0)
{
	int fd = open(".", O_TMPFILE | O_RDWR, 0600);
	char path[64];

	if (fd < 0) {
		TRUE(errno == EOPNOTSUPP);
		return;
	}
	write_all(fd, "nameless", 8);
	EQ(st_fd(fd).st_nlink, 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	OK(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
	HAS("named", "nameless");
	OK(close(fd));
}
