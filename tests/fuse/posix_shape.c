/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files with the names of cargo's small metadata that behave like any file:
 * they grow to a megabyte by small appends, are written at random, mapped,
 * truncated, renamed to other kinds of names and back. Each against a model.
 */
#include "tests/fuse/posix_model.h"

#include <sys/mman.h>

static const char *const names[] = {
	".fingerprint/a-0123456789abcdef/lib-a",
	".fingerprint/a-0123456789abcdef/dep-lib-a",
	".fingerprint/a-0123456789abcdef/lib-a.json",
	"a-0123456789abcdef.d",
	"build/b-0123456789abcdef/output",
	"build/b-0123456789abcdef/root-output",
	"build/b-0123456789abcdef/stderr",
	"build/b-0123456789abcdef/invoked.timestamp",
	".rustc_info.json",
	"liba-0123456789abcdef.rmeta",
};
enum { NAMES = sizeof(names) / sizeof(names[0]) };

static void make_directories(void)
{
	OK(mkdir(".fingerprint", 0755));
	OK(mkdir(".fingerprint/a-0123456789abcdef", 0755));
	OK(mkdir("build", 0755));
	OK(mkdir("build/b-0123456789abcdef", 0755));
}

TEST(shape_grows_by_small_appends, 0)
{
	struct model m;

	make_directories();
	for (int n = 0; n < NAMES; n++) {
		int fd, rd;

		model_init(&m, names[n], 0, (uint64_t)n);
		fd = OK(open(names[n], O_WRONLY | O_APPEND));
		rd = OK(open(names[n], O_RDONLY));
		while (m.size < 1 << 20) {
			model_append(&m, fd, 1 + rnd_below(&m.rnd, 1500));
			if (rnd_below(&m.rnd, 100) == 0)
				model_check_part(&m, rd);
		}
		model_check(&m, rd);
		OK(close(fd));
		OK(close(rd));
		model_check_path(&m);
		model_truncate(&m, -1, 20);
		model_check_path(&m);
		model_release(&m);
	}
}

TEST(shape_one_byte_at_a_time, 0)
{
	struct model m;

	make_directories();
	for (int n = 0; n < NAMES; n++) {
		int fd;

		model_init(&m, names[n], 0, (uint64_t)n);
		fd = OK(open(names[n], O_RDWR));
		for (int i = 0; i < 5000; i++)
			model_append(&m, fd, 1);
		model_check(&m, fd);
		OK(close(fd));
		model_check_path(&m);
		model_release(&m);
	}
}

static void map_and_change(struct model *m, int fd)
{
	unsigned char *p;
	size_t at;

	if (m->size == 0)
		return;
	p = mmap(NULL, m->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		FAIL("mmap %s: %s", m->path, strerror(errno));
	for (int i = 0; i < 20; i++) {
		at = rnd_below(&m->rnd, (unsigned)m->size);
		if (p[at] != m->bytes[at])
			FAIL("%s differs at %zu when mapped", m->path, at);
		p[at] = m->bytes[at] = (unsigned char)i;
	}
	OK(munmap(p, m->size));
}

/* Away to another kind of name, used there, and back. */
static void move_around(struct model *m, int round)
{
	char away[64], home[160];
	int fd;

	(void)snprintf(away, sizeof(away), "%s%d",
		       round % 2 ? "libx-fedcba9876543210.rlib" : "away.d",
		       round % 3);
	(void)snprintf(home, sizeof(home), "%s", m->path);
	OK(rename(home, away));
	(void)snprintf(m->path, sizeof(m->path), "%s", away);
	fd = OK(open(away, O_RDWR));
	model_pwrite(m, fd, rnd_below(&m->rnd, (unsigned)m->size + 1), 100);
	model_check_part(m, fd);
	OK(close(fd));
	OK(rename(away, home));
	(void)snprintf(m->path, sizeof(m->path), "%s", home);
}

static void random_steps(struct model *m, int steps)
{
	int fd = OK(open(m->path, O_RDWR)), second = -1;

	for (int i = 0; i < steps; i++) {
		size_t max = m->size < 300000 ? m->size + 5000 : 300000;

		switch (rnd_below(&m->rnd, 14)) {
		case 0:
		case 1:
		case 2:
			model_pwrite(m, fd, rnd_below(&m->rnd, (unsigned)max),
				     1 + rnd_below(&m->rnd, 4000));
			break;
		case 3:
			model_pwrite(m, fd, rnd_below(&m->rnd, (unsigned)max),
				     1 + rnd_below(&m->rnd, 70000));
			break;
		case 4:
			model_truncate(m, fd,
				       rnd_below(&m->rnd, (unsigned)max));
			break;
		case 5:
			model_truncate(m, -1, rnd_below(&m->rnd, 6000));
			break;
		case 6:
			map_and_change(m, fd);
			break;
		case 7:
			OK(close(fd));
			fd = OK(open(m->path, O_RDWR));
			break;
		case 8:
			if (second >= 0) {
				model_check(m, second);
				OK(close(second));
			}
			second = OK(open(m->path, O_RDONLY));
			break;
		case 9:
			OK(fsync(fd));
			model_check_part(m, fd);
			break;
		case 10:
			OK(close(fd));
			fd = OK(open(m->path, O_RDWR | O_TRUNC));
			model_set_size(m, 0);
			model_append(m, fd, 300);
			break;
		case 11:
			move_around(m, i);
			break;
		case 12:
			OK(link(m->path, "link"));
			OK(unlink(m->path));
			OK(rename("link", m->path));
			break;
		case 13:
			model_check(m, fd);
			break;
		}
		if (second >= 0)
			model_check_part(m, second);
	}
	OK(close(fd));
	if (second >= 0)
		OK(close(second));
	model_check_path(m);
}

TEST(shape_random_steps, 0)
{
	struct model m;

	make_directories();
	for (int n = 0; n < NAMES; n++) {
		model_init(&m, names[n], (size_t)n * 700, (uint64_t)n + 50);
		random_steps(&m, opt.is_long ? 20000 : 400);
		model_release(&m);
	}
}

/* Rewritten again and again as cargo does, O_TRUNC and a new length, while a
 * reader holds the file. */
TEST(shape_rewritten_often, 0)
{
	struct model m;
	int rd, fd;

	make_directories();
	for (int n = 0; n < NAMES; n++) {
		model_init(&m, names[n], 100, (uint64_t)n);
		rd = OK(open(names[n], O_RDONLY));
		for (int i = 0; i < 100; i++) {
			fd = OK(open(names[n], O_WRONLY | O_CREAT | O_TRUNC,
				     0666));
			model_set_size(&m, 0);
			model_append(&m, fd, rnd_below(&m.rnd, 9000));
			OK(close(fd));
			model_check(&m, rd);
			if (i % 10 == 0) {
				OK(close(rd));
				rd = OK(open(names[n], O_RDONLY));
			}
		}
		OK(close(rd));
		model_check_path(&m);
		model_release(&m);
	}
}
