/* SPDX-License-Identifier: Apache-2.0 */
/* The model of posix_model.h. */
#include "tests/fuse/posix_model.h"

static unsigned char scratch[MODEL_MAX + 1];

void model_init(struct model *m, const char *path, size_t size, uint64_t seed)
{
	(void)snprintf(m->path, sizeof(m->path), "%s", path);
	m->bytes = calloc(1, MODEL_MAX);
	TRUE(m->bytes);
	m->rnd.s = seed * 7919 + opt.seed;
	m->size = size;
	pattern(m->bytes, size, seed);
	put_bytes(path, m->bytes, size);
}

void model_release(struct model *m)
{
	free(m->bytes);
	m->bytes = NULL;
}

void model_pwrite(struct model *m, int fd, size_t off, size_t len)
{
	static unsigned char w[MODEL_MAX];

	TRUE(off + len <= MODEL_MAX);
	pattern(w, len, rnd_next(&m->rnd));
	pwrite_all(fd, w, len, (off_t)off);
	memcpy(m->bytes + off, w, len);
	if (len && off + len > m->size)
		m->size = off + len;
}

void model_append(struct model *m, int fd, size_t len)
{
	static unsigned char w[MODEL_MAX];

	TRUE(m->size + len <= MODEL_MAX);
	pattern(w, len, rnd_next(&m->rnd));
	write_all(fd, w, len);
	memcpy(m->bytes + m->size, w, len);
	m->size += len;
}

void model_set_size(struct model *m, size_t size)
{
	if (size < m->size)
		memset(m->bytes + size, 0, m->size - size);
	m->size = size;
}

void model_truncate(struct model *m, int fd, size_t size)
{
	if (fd < 0)
		OK(truncate(m->path, (off_t)size));
	else
		OK(ftruncate(fd, (off_t)size));
	model_set_size(m, size);
}

static void compare(const struct model *m, size_t off, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (scratch[i] != m->bytes[off + i])
			FAIL("%s (%zu bytes) differs at %zu: %02x, not %02x",
			     m->path, m->size, off + i, scratch[i],
			     m->bytes[off + i]);
}

void model_check(const struct model *m, int fd)
{
	size_t n;

	EQ(st_fd(fd).st_size, m->size);
	n = pread_full(fd, scratch, sizeof(scratch), 0);
	EQ(n, m->size);
	compare(m, 0, n);
}

void model_check_part(struct model *m, int fd)
{
	size_t off = rnd_below(&m->rnd, (unsigned)m->size + 1);
	size_t len = rnd_below(&m->rnd, 3000) + 1, n;

	n = pread_full(fd, scratch, len, (off_t)off);
	EQ(n, len < m->size - off ? len : m->size - off);
	compare(m, off, n);
}

void model_check_path(const struct model *m)
{
	int fd = open(m->path, O_RDONLY);

	if (fd < 0)
		FAIL("open %s: %s", m->path, strerror(errno));
	EQ(st_of(m->path).st_size, m->size);
	model_check(m, fd);
	OK(close(fd));
}
