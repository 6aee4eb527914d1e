/* SPDX-License-Identifier: Apache-2.0 */
/* store/base/io.c */
#include "config.h"

#include "tests/unit/fixture.h"

#include <sys/mman.h>

static int temp_file(const struct place *p)
{
	int fd = open(p->dir, O_TMPFILE | O_RDWR, 0600);

	assert_true(fd >= 0);
	return fd;
}

static void same_contents(int a, int b, off_t b_off, size_t len)
{
	char *x = malloc(len), *y = malloc(len);
	size_t n, m;

	OK(pread_full(a, x, len, 0, &n));
	OK(pread_full(b, y, len, b_off, &m));
	assert_int_equal(n, len);
	assert_int_equal(m, len);
	assert_memory_equal(x, y, len);
	free(x);
	free(y);
}

static off_t blocks_of(int fd)
{
	struct stat s;

	OK(fsync(fd));
	OK(fstat(fd, &s));
	return s.st_blocks;
}

/* Data, hole, data, hole at the end. */
static void make_sparse(int fd)
{
	char piece[8192];

	memset(piece, 'd', sizeof(piece));
	OK(pwrite_full(fd, piece, sizeof(piece), 0));
	OK(pwrite_full(fd, piece, sizeof(piece), 4 << 20));
	OK(ftruncate(fd, 8 << 20));
}

static void copy_keeps_holes(void **state)
{
	uint64_t copied;
	struct place p;
	int in, out;

	(void)state;
	enter(&p);
	in = temp_file(&p);
	out = temp_file(&p);
	make_sparse(in);
	OK(copy_range(in, 0, out, 0, UINT64_MAX, &copied));
	assert_int_equal(copied, 8 << 20);
	assert_int_equal(lseek(out, 0, SEEK_END), 8 << 20);
	same_contents(in, out, 0, 8 << 20);
	assert_true(blocks_of(out) <= blocks_of(in) + 64);
	OK(close(in));
	OK(close(out));
	leave(&p);
}

static void copy_overwrites_with_holes(void **state)
{
	char *junk = malloc(9 << 20);
	struct place p;
	int in, out;

	(void)state;
	enter(&p);
	in = temp_file(&p);
	out = temp_file(&p);
	make_sparse(in);
	memset(junk, 'j', 9 << 20);
	OK(write_full(out, junk, 9 << 20));
	OK(copy_range(in, 0, out, 4096, UINT64_MAX, NULL));
	same_contents(in, out, 4096, 8 << 20);
	assert_int_equal(lseek(out, 0, SEEK_END), 9 << 20);
	free(junk);
	OK(close(in));
	OK(close(out));
	leave(&p);
}

/* copy_file_range refuses two filesystems, or one that is no disk's. */
static void copy_across_filesystems(void **state)
{
	int in = memfd_create("in", MFD_CLOEXEC), out;
	uint64_t copied;
	struct place p;

	(void)state;
	enter(&p);
	out = temp_file(&p);
	make_sparse(in);
	OK(copy_range(in, 0, out, 0, 5 << 20, &copied));
	assert_int_equal(copied, 5 << 20);
	same_contents(in, out, 0, 5 << 20);
	OK(close(in));
	OK(close(out));
	leave(&p);
}

static void copy_ends_with_its_source(void **state)
{
	uint64_t copied;
	struct place p;
	int in, out;

	(void)state;
	enter(&p);
	in = temp_file(&p);
	out = temp_file(&p);
	OK(write_full(in, "12345", 5));
	OK(copy_range(in, 2, out, 10, 100, &copied));
	assert_int_equal(copied, 3);
	assert_int_equal(lseek(out, 0, SEEK_END), 13);
	OK(copy_range(in, 9, out, 0, 100, &copied));
	assert_int_equal(copied, 0);
	OK(close(in));
	OK(close(out));
	leave(&p);
}

static void small_files(void **state)
{
	void *data;
	struct place p;
	size_t len;
	int dir;

	(void)state;
	enter(&p);
	dir = open(p.dir, O_RDONLY | O_DIRECTORY);
	OK(write_file_atomic(dir, "f", "first", 5, 0600));
	OK(write_file_atomic(dir, "f", "second", 6, 0600));
	OK(read_small_file(dir, "f", 6, &data, &len));
	assert_int_equal(len, 6);
	assert_string_equal(data, "second");
	free(data);
	assert_int_equal(read_small_file(dir, "f", 5, &data, &len), -EFBIG);
	assert_int_equal(read_small_file(dir, "g", 5, &data, &len), -ENOENT);
	assert_int_equal(read_small_file(dir, ".", 5, &data, &len), -EINVAL);
	OK(symlinkat("f", dir, "l"));
	assert_int_equal(read_small_file(dir, "l", 9, &data, &len), -ELOOP);
	OK(close(dir));
	leave(&p);
}

static unsigned count_entries(DIR *dir)
{
	unsigned n = 0;

	while (readdir(dir))
		n++;
	return n;
}

/* Two that are open at once do not share a position. */
static void directories(void **state)
{
	DIR *a = NULL, *b = NULL;
	struct place p;
	int fd;

	(void)state;
	enter(&p);
	fd = open(p.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	OK(mkdirat(fd, "sub", 0700));
	OK(symlinkat("sub", fd, "link"));
	OK(dir_open(fd, ".", &a));
	assert_int_equal(count_entries(a), 4);
	OK(dir_open(fd, ".", &b));
	assert_int_equal(count_entries(b), 4);
	closedirp(&a);
	closedirp(&b);
	OK(dir_open(fd, "sub", &a));
	assert_int_equal(count_entries(a), 2);
	closedirp(&a);
	assert_int_equal(dir_open(fd, "link", &a), -ENOTDIR);
	assert_int_equal(dir_open(fd, "none", &a), -ENOENT);
	OK(close(fd));
	leave(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copy_keeps_holes),
		cmocka_unit_test(copy_overwrites_with_holes),
		cmocka_unit_test(copy_across_filesystems),
		cmocka_unit_test(copy_ends_with_its_source),
		cmocka_unit_test(small_files),
		cmocka_unit_test(directories),
	};

	return RUN_TAP(tests);
}
