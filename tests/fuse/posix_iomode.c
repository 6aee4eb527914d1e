/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many descriptors of one file, opened in every order and mode, for each kind
 * of name and size that a filesystem may treat in its own way. A FUSE file
 * must not be open by passthrough and through the page cache at once; the
 * kernel answers a violation with EIO, which no program may ever see.
 */
#include "tests/fuse/posix_model.h"

#include <sys/resource.h>
#include <sys/mman.h>

static const char *const names[] = {
	".fingerprint/a-0123456789abcdef/lib-a",
	"deps/liba-0123456789abcdef.rlib",
	"deps/a-0123456789abcdef.d",
	"build/b-0123456789abcdef/output",
	"incremental/a-1/s.o",
	"x.bin",
};
enum { NAMES = sizeof(names) / sizeof(names[0]) };

static const size_t sizes[] = { 0, 16, 4096, 65536, 65537, 200000 };
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

static const int modes[] = {
	O_RDONLY,
	O_WRONLY,
	O_RDWR,
	O_RDWR | O_APPEND,
	O_RDWR | O_TRUNC,
	O_RDONLY | O_CLOEXEC, /* twice: most opens are for reading */
};
enum { MODES = sizeof(modes) / sizeof(modes[0]), DEPTH = 3 };

static void make_directories(void)
{
	OK(mkdir(".fingerprint", 0755));
	OK(mkdir(".fingerprint/a-0123456789abcdef", 0755));
	OK(mkdir("deps", 0755));
	OK(mkdir("build", 0755));
	OK(mkdir("build/b-0123456789abcdef", 0755));
	OK(mkdir("incremental", 0755));
	OK(mkdir("incremental/a-1", 0755));
}

static bool reads(int mode)
{
	return (mode & O_ACCMODE) != O_WRONLY;
}

static void use(struct model *m, int fd, int mode)
{
	size_t len = 1 + rnd_below(&m->rnd, 700);

	if ((mode & O_ACCMODE) == O_RDONLY) {
		model_check_part(m, fd);
		return;
	}
	if (mode & O_APPEND)
		model_append(m, fd, len);
	else
		model_pwrite(m, fd, rnd_below(&m->rnd, (unsigned)m->size + 900),
			     len);
	if (reads(mode))
		model_check_part(m, fd);
}

/* Opens, uses and closes; all that is open is used after each step. */
static void sequence(struct model *m, const int *what, int rotate)
{
	int fds[DEPTH], how[DEPTH];

	for (int i = 0; i < DEPTH; i++) {
		how[i] = modes[what[i]];
		fds[i] = open(m->path, how[i]);
		if (fds[i] < 0)
			FAIL("%s (%zu bytes): open %d of modes %o %o %o: %s",
			     m->path, m->size, i, (unsigned)modes[what[0]],
			     (unsigned)modes[what[1]], (unsigned)modes[what[2]],
			     strerror(errno));
		if (how[i] & O_TRUNC)
			model_set_size(m, 0);
		for (int k = 0; k <= i; k++)
			use(m, fds[k], how[k]);
	}
	for (int i = 0; i < DEPTH; i++)
		if (reads(how[i]))
			model_check(m, fds[i]);
	for (int i = 0; i < DEPTH; i++) {
		int k = (i + rotate) % DEPTH;

		OK(close(fds[k]));
		for (int j = i + 1; j < DEPTH; j++)
			use(m, fds[(j + rotate) % DEPTH],
			    how[(j + rotate) % DEPTH]);
	}
	model_check_path(m);
}

static void all_orders(const char *path)
{
	struct model m;

	for (int s = 0; s < SIZES; s++) {
		model_init(&m, path, sizes[s], (uint64_t)s);
		for (int i = 0; i < MODES * MODES * MODES; i++) {
			int what[DEPTH] = { i % MODES, i / MODES % MODES,
					    i / MODES / MODES };

			sequence(&m, what, i % DEPTH);
			if (m.size > sizes[s] + 20000 || m.size < sizes[s]) {
				model_truncate(&m, -1, 0);
				model_release(&m);
				model_init(&m, path, sizes[s], (uint64_t)i);
			}
		}
		model_release(&m);
		OK(unlink(path));
	}
}

#define ORDERS(name, n)               \
	TEST(name, 0)                 \
	{                             \
		make_directories();   \
		all_orders(names[n]); \
	}
ORDERS(open_orders_fingerprint, 0)
ORDERS(open_orders_rlib, 1)
ORDERS(open_orders_dep_info, 2)
ORDERS(open_orders_build_output, 3)
ORDERS(open_orders_incremental, 4)
ORDERS(open_orders_unknown_name, 5)

/* A mapping counts as an open file as long as it is there. */
TEST(open_orders_with_mappings, 0)
{
	static const int first[] = { O_RDONLY, O_RDWR };
	struct model m;

	make_directories();
	for (int n = 0; n < NAMES; n++)
		for (int s = 1; s < SIZES; s++)
			for (int f = 0; f < 2; f++)
				for (int o = 0; o < MODES; o++) {
					volatile unsigned char *p;
					size_t len = sizes[s];
					int fd, two;

					if (modes[o] & O_TRUNC)
						continue;
					model_init(&m, names[n], len, 3);
					fd = OK(open(names[n], first[f]));
					p = mmap(NULL, len,
						 PROT_READ |
							 (f ? PROT_WRITE : 0),
						 MAP_SHARED, fd, 0);
					TRUE(p != MAP_FAILED);
					EQ(p[len - 1], m.bytes[len - 1]);
					if (o % 2)
						OK(close(fd));
					two = OK(open(names[n], modes[o]));
					use(&m, two, modes[o]);
					for (size_t i = 0; i < len; i += 251)
						EQ(p[i], m.bytes[i]);
					if (f) {
						p[len / 2] = 0x5a;
						m.bytes[len / 2] = 0x5a;
					}
					if (reads(modes[o]))
						model_check(&m, two);
					OK(munmap((void *)(uintptr_t)p, len));
					if (o % 2 == 0)
						OK(close(fd));
					OK(close(two));
					model_check_path(&m);
					model_release(&m);
				}
}

TEST(open_100_descriptors_of_one_file, 0)
{
	struct model m;
	int fds[100], how[100];

	make_directories();
	for (int n = 0; n < NAMES; n++) {
		model_init(&m, names[n], 100000, (uint64_t)n);
		for (int i = 0; i < 100; i++) {
			how[i] = modes[rnd_below(&m.rnd, 4)];
			fds[i] = OK(open(names[n], how[i]));
			use(&m, fds[i], how[i]);
		}
		OK(unlink(names[n]));
		for (int i = 0; i < 100; i++) {
			use(&m, fds[i], how[i]);
			if (reads(how[i]) && i % 10 == 0)
				model_check(&m, fds[i]);
			OK(close(fds[i]));
		}
		model_release(&m);
	}
}

/* More files open at once than a daemon may have descriptors for by default. */
TEST(open_3000_files, 0)
{
	enum { N = 3000 };
	static int fds[N];
	char name[32], text[32];
	struct rlimit own;

	OK(getrlimit(RLIMIT_NOFILE, &own));
	if (own.rlim_cur < N + 20)
		test_skip("the test itself has too few descriptors");
	for (int i = 0; i < N; i++) {
		(void)snprintf(name, sizeof(name), "f%d.%s", i,
			       i % 3 ? "rlib" : "d");
		fds[i] = OK(open(name, O_RDWR | O_CREAT, 0644));
		write_all(fds[i], name, strlen(name));
	}
	for (int i = 0; i < N; i++) {
		(void)snprintf(name, sizeof(name), "f%d.%s", i,
			       i % 3 ? "rlib" : "d");
		EQ(pread_full(fds[i], text, sizeof(text), 0), strlen(name));
		TRUE(memcmp(text, name, strlen(name)) == 0);
		OK(close(fds[i]));
	}
}

struct racer {
	const char *path;
	int seed;
};

static void opens_at_random(void *arg)
{
	struct racer *me = arg;
	struct rnd rnd = { (uint64_t)me->seed };
	char buf[512], byte;

	for (int i = 0; i < 1500; i++) {
		int mode = modes[rnd_below(&rnd, 5)], fd;
		ssize_t n;

		fd = OK(open(me->path, mode | (i % 7 ? 0 : O_CREAT), 0644));
		if (reads(mode)) {
			n = OK(pread(fd, buf, sizeof(buf), 4));
			for (ssize_t k = 0; k < n; k++)
				TRUE(buf[k] == 0 || buf[k] == 'r');
		}
		if ((mode & O_ACCMODE) != O_RDONLY) {
			byte = 'r';
			EQ(pwrite(fd, &byte, 1, rnd_below(&rnd, 90000)), 1);
		}
		OK(close(fd));
	}
}

static void race(const char *path)
{
	struct racer racers[4];
	pid_t pids[4];

	put(path, "");
	for (int i = 0; i < 4; i++) {
		racers[i] = (struct racer){ path, i + 1 };
		pids[i] = start_child(opens_at_random, &racers[i]);
	}
	for (int i = 0; i < 4; i++)
		end_child(pids[i]);
}

TEST(open_modes_raced_by_4_processes, 0)
{
	make_directories();
	for (int n = 0; n < NAMES; n++)
		race(names[n]);
}
