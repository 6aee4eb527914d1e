/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that have become shared blobs: two of equal content are one on disk.
 * Whatever is done to one of them must never be seen through the other, and
 * no order of opens may give an error. Run with -s SECONDS, the time after
 * which a closed file has been hashed; without it these tests are skipped.
 */
#include "tests/fuse/posix_model.h"

#include <linux/falloc.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

/* One of each kind that a filesystem which knows cargo may tell apart. */
static const struct {
	const char *name;
	size_t size;
} kinds[] = {
	{ "deps/libbig-0123456789abcdef.rlib", 300000 },
	{ "deps/page-0123456789abcdef", 65537 },
	{ "deps/libsmall-0123456789abcdef.rmeta", 5000 },
	{ "deps/x-0123456789abcdef.d", 900 },
	{ "build/b-0123456789abcdef/output", 100000 },
	{ ".fingerprint/a-0123456789abcdef/lib-a", 16 },
	{ "other.bin", 300000 },
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

enum { CHANGES = 12 };
static struct model models[CHANGES][KINDS];

static void make_directories(const char *top)
{
	static const char *const dirs[] = { "deps", "build",
					    "build/b-0123456789abcdef",
					    ".fingerprint",
					    ".fingerprint/a-0123456789abcdef" };
	char path[96];

	OK(mkdir(top, 0755));
	for (int i = 0; i < 5; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", top, dirs[i]);
		OK(mkdir(path, 0755));
	}
}

/* Twins: "a<n>" and "b<n>" hold the same files, which are left alone until
 * they are hashed. The models are those of a<n>. */
static void make_twins(struct model *m, unsigned n)
{
	char dir[16], path[96];

	(void)snprintf(dir, sizeof(dir), "a%02u", n);
	make_directories(dir);
	dir[0] = 'b';
	make_directories(dir);
	for (int i = 0; i < KINDS; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, kinds[i].name);
		path[0] = 'a';
		model_init(&m[i], path, kinds[i].size, (uint64_t)i + 1);
		path[0] = 'b';
		put_bytes(path, m[i].bytes, m[i].size);
		OK(chmod(path, 0755));
	}
}

static void wait_until_hashed(void)
{
	sync();
	sleep(opt.settle);
}

static void twins_are_whole(unsigned n)
{
	for (int i = 0; i < KINDS; i++) {
		struct model twin = { .size = kinds[i].size };

		(void)snprintf(twin.path, sizeof(twin.path), "b%02u/%s", n,
			       kinds[i].name);
		twin.bytes = calloc(1, MODEL_MAX);
		TRUE(twin.bytes);
		pattern(twin.bytes, twin.size, (uint64_t)i + 1);
		model_check_path(&twin);
		model_release(&twin);
	}
}

typedef void change_fn(struct model *m);

static void by_pwrite(struct model *m)
{
	int fd = OK(open(m->path, O_RDWR));

	model_pwrite(m, fd, m->size / 2, 5);
	model_check(m, fd);
	OK(close(fd));
}
static void by_append(struct model *m)
{
	int fd = OK(open(m->path, O_WRONLY | O_APPEND));

	model_append(m, fd, 100);
	OK(close(fd));
}
static void by_map(struct model *m)
{
	int fd = OK(open(m->path, O_RDWR));
	unsigned char *p =
		mmap(NULL, m->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	TRUE(p != MAP_FAILED);
	OK(close(fd));
	p[m->size / 2] ^= 0xff;
	m->bytes[m->size / 2] ^= 0xff;
	OK(munmap(p, m->size));
}
static void by_ftruncate(struct model *m)
{
	int fd = OK(open(m->path, O_RDWR));

	model_truncate(m, fd, m->size / 2);
	OK(close(fd));
}
static void by_truncate(struct model *m)
{
	model_truncate(m, -1, m->size / 3);
}
static void by_open_trunc(struct model *m)
{
	int fd = OK(open(m->path, O_WRONLY | O_TRUNC));

	model_set_size(m, 0);
	model_append(m, fd, 1234);
	OK(close(fd));
}
static void by_fallocate(struct model *m)
{
	int fd = OK(open(m->path, O_RDWR));

	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 3, 10))
		TRUE(errno == EOPNOTSUPP);
	else
		memset(m->bytes + 3, 0, 10);
	OK(close(fd));
}
static void by_copy_range(struct model *m)
{
	int fd = OK(open(m->path, O_RDWR)), in;

	put("source", "0123456789");
	in = OK(open("source", O_RDONLY));
	EQ(copy_file_range(in, NULL, fd, NULL, 10, 0), 10);
	memcpy(m->bytes, "0123456789", 10);
	OK(close(in));
	OK(close(fd));
}
/* Passthrough trap: a backing id made for a reader serves a writer too. */
static void by_writer_beside_reader(struct model *m)
{
	int rd = OK(open(m->path, O_RDONLY)), fd;
	unsigned char old = m->bytes[0], b;

	model_check(m, rd);
	fd = OK(open(m->path, O_RDWR));
	model_pwrite(m, fd, 0, 7);
	model_check(m, fd);
	/* A reader by passthrough keeps the blob: it sees what was there. */
	EQ(pread(rd, &b, 1, 0), 1);
	TRUE(b == m->bytes[0] || b == old);
	OK(close(fd));
	EQ(pread(rd, &b, 1, 0), 1);
	TRUE(b == m->bytes[0] || b == old);
	OK(close(rd));
	rd = OK(open(m->path, O_RDONLY));
	model_check(m, rd);
	OK(close(rd));
}
static void by_writer_beside_mapping(struct model *m)
{
	int rd = OK(open(m->path, O_RDONLY)), fd;
	unsigned char old;
	volatile unsigned char *p =
		mmap(NULL, m->size, PROT_READ, MAP_SHARED, rd, 0);

	TRUE(p != MAP_FAILED);
	EQ(p[1], m->bytes[1]);
	old = m->bytes[1];
	OK(close(rd));
	fd = OK(open(m->path, O_RDWR));
	model_pwrite(m, fd, 0, 7);
	TRUE(p[1] == m->bytes[1] || p[1] == old);
	OK(close(fd));
	OK(munmap((void *)(uintptr_t)p, m->size));
}
static void by_writer_beside_reader_of_the_twin(struct model *m)
{
	char twin[160];
	int rd, fd;

	(void)snprintf(twin, sizeof(twin), "b%.150s", m->path + 1);
	rd = OK(open(twin, O_RDONLY));
	fd = OK(open(m->path, O_RDWR));
	model_pwrite(m, fd, 0, 7);
	OK(close(fd));
	OK(close(rd));
}
static void by_link_then_write(struct model *m)
{
	int fd;

	OK(link(m->path, "hard"));
	fd = OK(open("hard", O_RDWR));
	model_pwrite(m, fd, 2, 9);
	OK(close(fd));
	EQ(st_of("hard").st_ino, st_of(m->path).st_ino);
	OK(unlink("hard"));
}

static const struct {
	change_fn *fn;
	const char *name;
	bool new_inode; /* a write beside a passthrough reader of the blob gives
			   the names another inode */
} changes[CHANGES] = {
	{ by_pwrite, "pwrite", false },
	{ by_append, "append", false },
	{ by_map, "a mapping", false },
	{ by_ftruncate, "ftruncate", false },
	{ by_truncate, "truncate", false },
	{ by_open_trunc, "open with O_TRUNC", false },
	{ by_fallocate, "fallocate", false },
	{ by_copy_range, "copy_file_range", false },
	{ by_writer_beside_reader, "a writer beside a reader", true },
	{ by_writer_beside_mapping, "a writer beside a mapping", true },
	{ by_writer_beside_reader_of_the_twin,
	  "a writer beside a reader of the twin", false },
	{ by_link_then_write, "a write by another name", false },
};

static void change_all(unsigned c)
{
	test_note("changed by %s", changes[c].name);
	for (int i = 0; i < KINDS; i++) {
		struct model *m = &models[c][i];
		ino_t ino = st_of(m->path).st_ino;

		changes[c].fn(m);
		model_check_path(m);
		if (!changes[c].new_inode)
			EQ(st_of(m->path).st_ino, ino);
	}
	twins_are_whole(c);
}

TEST(settled_changed_in_every_way, NEEDS_SETTLE)
{
	for (unsigned c = 0; c < CHANGES; c++)
		make_twins(models[c], c);
	wait_until_hashed();
	for (unsigned c = 0; c < CHANGES; c++)
		change_all(c);
	wait_until_hashed();
	for (unsigned c = 0; c < CHANGES; c++) {
		twins_are_whole(c);
		for (int i = 0; i < KINDS; i++)
			model_check_path(&models[c][i]);
	}
	/* and all of it once more, on what has been hashed again */
	for (unsigned c = 0; c < CHANGES; c++) {
		OK(unlink("source") < 0 && errno != ENOENT ? -1 : 0);
		for (int i = 0; i < KINDS; i++)
			by_pwrite(&models[c][i]);
		twins_are_whole(c);
	}
}

/* Keeps the directory locked for most of the time, until it is killed or the
 * test ends. */
static pid_t make_names(const char *dir, int who)
{
	pid_t pid = OK(fork());
	char path[64];

	if (pid != 0)
		return pid;
	OK(prctl(PR_SET_PDEATHSIG, SIGKILL));
	(void)snprintf(path, sizeof(path), "%s/busy%d", dir, who);
	for (;;) {
		int fd = open(path, O_WRONLY | O_CREAT, 0644);

		if (fd < 0 || close(fd) < 0 || unlink(path) < 0)
			_exit(1);
	}
}

/* A writer beside a reader gives both names another inode: whoever comes by
 * the second name right then must not write to the first one's old bytes. */
TEST(settled_written_by_the_other_name, NEEDS_SETTLE)
{
	enum { N = 40 };
	static struct model m[N];
	pid_t busy[3];
	char other[96];
	int rd, fd;

	OK(mkdir("deps", 0755));
	OK(mkdir("other", 0755));
	for (int i = 0; i < N; i++) {
		(void)snprintf(other, sizeof(other), "deps/libo%d-%016x.rlib",
			       i, i);
		model_init(&m[i], other, 100000, (uint64_t)i + 1);
		(void)snprintf(other, sizeof(other), "other/%d", i);
		OK(link(m[i].path, other));
	}
	wait_until_hashed();
	for (int i = 0; i < 3; i++)
		busy[i] = make_names("other", i);
	for (int i = 0; i < N; i++) {
		(void)snprintf(other, sizeof(other), "other/%d", i);
		EQ(st_of(other).st_nlink, 2);
		rd = OK(open(m[i].path, O_RDONLY));
		model_check(&m[i], rd);
		fd = OK(open(m[i].path, O_WRONLY));
		OK(close(rd));
		OK(close(fd));
		fd = OK(open(other, O_WRONLY));
		model_pwrite(&m[i], fd, 0, 9);
		OK(close(fd));
		OK(chmod(other, 0600));
		model_check_path(&m[i]);
		EQ(st_of(m[i].path).st_mode & 07777, 0600);
	}
	for (int i = 0; i < 3; i++) {
		OK(kill(busy[i], SIGKILL));
		OK(waitpid(busy[i], NULL, 0));
	}
}

/* SETATTR must not reach the blob either: its times and mode are not the
 * file's. */
TEST(settled_attributes_are_private, NEEDS_SETTLE)
{
	struct timespec ts[2] = { { 1000, 1 }, { 2000, 2 } };
	struct model *m = models[0];
	char path[160];
	int64_t before;
	int fd;

	make_twins(m, 0);
	wait_until_hashed();
	for (int i = 0; i < KINDS; i++) {
		(void)snprintf(path, sizeof(path), "b%.150s", m[i].path + 1);
		before = nsec(st_of(path).st_mtim);
		fd = OK(open(m[i].path, O_RDONLY));
		OK(futimens(fd, ts));
		OK(fchmod(fd, 0600));
		EQ(st_of(m[i].path).st_mtim.tv_sec, 2000);
		EQ(nsec(st_of(path).st_mtim), before);
		EQ(st_of(path).st_mode & 07777, 0755);
		EQ(st_of(m[i].path).st_nlink, 1);
		OK(close(fd));
		EQ(st_of(m[i].path).st_mtim.tv_sec, 2000);
		model_check_path(&m[i]);
	}
	twins_are_whole(0);
}

TEST(settled_stays_what_it_was, NEEDS_SETTLE)
{
	struct stat before[KINDS], after;
	struct model *m = models[0];

	make_twins(m, 0);
	for (int i = 0; i < KINDS; i++)
		before[i] = st_of(m[i].path);
	wait_until_hashed();
	for (int i = 0; i < KINDS; i++) {
		after = st_of(m[i].path);
		EQ(after.st_ino, before[i].st_ino);
		EQ(after.st_size, before[i].st_size);
		EQ(after.st_mode, before[i].st_mode);
		EQ(after.st_nlink, 1);
		EQ(after.st_uid, before[i].st_uid);
		EQ(nsec(after.st_mtim), nsec(before[i].st_mtim));
		EQ(nsec(after.st_ctim), nsec(before[i].st_ctim));
		model_check_path(&m[i]);
	}
}

/* Settling while the file is in use: it must neither be taken for finished
 * nor lose a byte. */
TEST(settled_under_a_slow_writer, NEEDS_SETTLE | HEAVY)
{
	struct model m;
	int fd;

	OK(mkdir("deps", 0755));
	model_init(&m, "deps/libslow-0123456789abcdef.rlib", 100000, 1);
	fd = OK(open(m.path, O_RDWR));
	for (unsigned i = 0; i < opt.settle * 4; i++) {
		model_pwrite(&m, fd, rnd_below(&m.rnd, 90000), 100);
		usleep(500000);
		model_check_path(&m);
	}
	OK(close(fd));
	model_check_path(&m);
	sleep(opt.settle);
	model_check_path(&m);
}

/* Opened, written a little and closed at random times around the hashing. */
TEST(settled_raced_by_writers, NEEDS_SETTLE | HEAVY)
{
	enum { N = 30 };
	static struct model m[N];
	struct rnd rnd = { opt.seed };
	char path[96];
	time_t end;

	OK(mkdir("deps", 0755));
	for (int i = 0; i < N; i++) {
		(void)snprintf(path, sizeof(path), "deps/libr%d-%016x.%s", i, i,
			       i % 3 ? "rlib" : "d");
		model_init(&m[i], path, (size_t)i * 4000 + 1, 7);
	}
	end = time(NULL) + (time_t)opt.settle * 3;
	while (time(NULL) < end) {
		int i = (int)rnd_below(&rnd, N), fd;

		fd = OK(open(m[i].path, O_RDWR));
		model_check_part(&m[i], fd);
		model_pwrite(&m[i], fd, rnd_below(&rnd, (unsigned)m[i].size),
			     1 + rnd_below(&rnd, 300));
		OK(close(fd));
		usleep(rnd_below(&rnd, 100000));
	}
	for (int i = 0; i < N; i++)
		model_check_path(&m[i]);
}

TEST(settled_program_runs, NEEDS_SETTLE)
{
	OK(mkdir("deps", 0755));
	OK(chdir("deps"));
	EQ(system("cp /bin/true one-0123456789abcdef && "
		  "cp /bin/true two-0123456789abcdef && "
		  "./one-0123456789abcdef && ./two-0123456789abcdef"),
	   0);
	sync();
	sleep(opt.settle);
	EQ(system("./one-0123456789abcdef && ./two-0123456789abcdef"), 0);
	EQ(system("cp /bin/false one-0123456789abcdef"), 0);
	EQ(WEXITSTATUS(system("./one-0123456789abcdef")), 1);
	EQ(WEXITSTATUS(system("./two-0123456789abcdef")), 0);
}
