/* SPDX-License-Identifier: Apache-2.0 */
/* Cargo's binary dependency files; see depinfo.h. */
#include "config.h"

#include "fs/cargo/depinfo.h"

#include <errno.h>
#include <stdlib.h>

#define MARKER 1u
#define NOT_VERSION_0 255
#define FORMAT_VERSION 1

/* The least that a file and a variable take: they bound the counts. */
#define FILE_MIN (1 + 4 + 1)
#define ENV_MIN (4 + 1)

static struct span take_string(struct reader *r)
{
	size_t len = take_u32(r);
	const char *p = take(r, len);

	return (struct span){ p, p ? len : 0 };
}

/* A tag that is 0 or 1; anything else makes the reader bad. */
static bool take_bool(struct reader *r)
{
	uint8_t v = take_u8(r);

	r->bad |= v > 1;
	return v == 1;
}

/* Room for as many as the next u32 says, if the input can hold them. */
static void *take_array(struct reader *r, size_t min, size_t size,
			size_t *ret_count)
{
	size_t count = take_u32(r);

	if (count > r->left / min)
		r->bad = true;
	if (r->bad)
		return NULL;
	*ret_count = count;
	return calloc(count ? count : 1, size);
}

static void take_file(struct reader *r, struct depinfo_file *f)
{
	f->root = take_bool(r) ? DEPINFO_BUILD : DEPINFO_PACKAGE;
	f->path = take_string(r);
	f->has_checksum = take_bool(r);
	if (!f->has_checksum)
		return;
	f->size = take_u64(r);
	f->checksum = take_string(r);
	if (!span_starts(f->checksum, "sha256=") &&
	    !span_starts(f->checksum, "blake3="))
		r->bad = true;
}

static void take_env(struct reader *r, struct depinfo_env *e)
{
	e->name = take_string(r);
	e->is_set = take_bool(r);
	if (e->is_set)
		e->value = take_string(r);
}

static int take_depinfo(struct reader *r, struct depinfo *d)
{
	if (take_u32(r) != MARKER || take_u8(r) != NOT_VERSION_0 ||
	    take_u8(r) != FORMAT_VERSION)
		return -EBADMSG;
	d->files = take_array(r, FILE_MIN, sizeof(*d->files), &d->file_count);
	if (!d->files)
		return r->bad ? -EBADMSG : -ENOMEM;
	for (size_t i = 0; i < d->file_count && !r->bad; i++)
		take_file(r, &d->files[i]);
	d->envs = take_array(r, ENV_MIN, sizeof(*d->envs), &d->env_count);
	if (!d->envs)
		return r->bad ? -EBADMSG : -ENOMEM;
	for (size_t i = 0; i < d->env_count && !r->bad; i++)
		take_env(r, &d->envs[i]);
	return r->bad || r->left ? -EBADMSG : 0;
}

int depinfo_parse(const void *p, size_t len, struct depinfo *ret)
{
	struct reader r = reader_of(p, len);
	struct depinfo d = { 0 };
	int e;

	if (len > DEPINFO_MAX)
		return -EFBIG;
	e = take_depinfo(&r, &d);
	if (e < 0)
		depinfo_release(&d);
	else
		*ret = d;
	return e;
}

void depinfo_release(struct depinfo *d)
{
	free(d->files);
	free(d->envs);
	*d = (struct depinfo){ 0 };
}

static void put_string(struct buf *b, struct span s)
{
	buf_u32(b, (uint32_t)s.len);
	buf_put(b, s.p, s.len);
}

void depinfo_write(const struct depinfo *d, struct buf *b)
{
	buf_u32(b, MARKER);
	buf_u8(b, NOT_VERSION_0);
	buf_u8(b, FORMAT_VERSION);
	buf_u32(b, (uint32_t)d->file_count);
	for (size_t i = 0; i < d->file_count; i++) {
		const struct depinfo_file *f = &d->files[i];

		buf_u8(b, (uint8_t)f->root);
		put_string(b, f->path);
		buf_u8(b, f->has_checksum);
		if (f->has_checksum) {
			buf_u64(b, f->size);
			put_string(b, f->checksum);
		}
	}
	buf_u32(b, (uint32_t)d->env_count);
	for (size_t i = 0; i < d->env_count; i++) {
		const struct depinfo_env *e = &d->envs[i];

		put_string(b, e->name);
		buf_u8(b, e->is_set);
		if (e->is_set)
			put_string(b, e->value);
	}
}
