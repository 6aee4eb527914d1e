/* SPDX-License-Identifier: Apache-2.0 */
/* The file of what a build missed; see why_file.h. */
#include "config.h"

#include "fs/why_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/base/io.h"
#include "store/base/macros.h"
#include "store/store.h"

/* Paths are the longest that are to be read whole. */
#define TEXT_MAX 8192

static void put_text(struct buf *b, struct span_str s)
{
	buf_str16(b, s.p ? s.p : "", MIN(s.len, (size_t)TEXT_MAX));
}

static void put_build(struct buf *b, const struct why_build *w)
{
	buf_u8(b, WHY_VERSION);
	buf_u64(b, (uint64_t)w->started);
	buf_u64(b, w->pid);
	put_text(b, w->command);
	for (int s = 0; s < SCOPE_COUNT; s++)
		buf_put(b, w->scope[s].b, DIGEST_LEN);
	put_text(b, w->fields);
}

static void put_unit(struct buf *b, const struct why_unit *u)
{
	buf_u64(b, u->hash);
	put_text(b, u->profile);
	put_text(b, u->package);
	put_text(b, u->kind);
}

static void put_miss(struct buf *b, const struct why_miss *m)
{
	buf_u8(b, m->reason);
	buf_u8(b, m->kind);
	buf_u8(b, m->absent);
	put_text(b, m->input);
	put_text(b, m->then);
	put_text(b, m->now);
	put_text(b, m->origin);
	buf_u64(b, (uint64_t)m->created);
	buf_u32(b, m->differing);
	buf_put(b, m->scope.b, DIGEST_LEN);
}

void why_rec_put(struct buf *out, const struct why_rec *rec)
{
	_cleanup_(buf_release) struct buf b = { 0 };

	buf_u8(&b, rec->what);
	if (rec->what == WHY_BUILD)
		put_build(&b, &rec->build);
	if (rec->what == WHY_MISSED || rec->what == WHY_COMPILED)
		put_unit(&b, &rec->unit);
	if (rec->what == WHY_MISSED)
		put_miss(&b, &rec->miss);
	if (b.err < 0) {
		out->err = b.err;
		return;
	}
	buf_u32(out, (uint32_t)b.len);
	buf_put(out, b.data, b.len);
}

static struct span_str take_text(struct reader *r)
{
	struct span_str s = { 0 };

	s.p = take_str16(r, &s.len);
	if (!s.p)
		s.len = 0;
	if (s.len > TEXT_MAX)
		r->bad = true;
	return s;
}

static void take_digest(struct reader *r, struct digest *ret_digest)
{
	const void *p = take(r, DIGEST_LEN);

	if (p)
		memcpy(ret_digest->b, p, DIGEST_LEN);
}

static void take_build(struct reader *r, struct why_build *w)
{
	if (take_u8(r) != WHY_VERSION) {
		r->bad = true;
		return;
	}
	w->started = (int64_t)take_u64(r);
	w->pid = take_u64(r);
	w->command = take_text(r);
	for (int s = 0; s < SCOPE_COUNT; s++)
		take_digest(r, &w->scope[s]);
	w->fields = take_text(r);
}

static void take_unit(struct reader *r, struct why_unit *u)
{
	u->hash = take_u64(r);
	u->profile = take_text(r);
	u->package = take_text(r);
	u->kind = take_text(r);
}

static void take_miss(struct reader *r, struct why_miss *m)
{
	uint8_t absent;

	m->reason = take_u8(r);
	m->kind = take_u8(r);
	absent = take_u8(r);
	m->absent = absent;
	m->input = take_text(r);
	m->then = take_text(r);
	m->now = take_text(r);
	m->origin = take_text(r);
	m->created = (int64_t)take_u64(r);
	m->differing = take_u32(r);
	take_digest(r, &m->scope);
	if (absent > 1)
		r->bad = true;
}

int why_rec_next(struct reader *r, struct why_rec *ret_rec)
{
	struct why_rec rec = { 0 };
	struct reader body;
	uint32_t len;

	if (r->left < sizeof(len))
		return 0;
	len = take_u32(r);
	if (r->left < len)
		return 0;
	body = reader_of(take(r, len), len);
	rec.what = take_u8(&body);
	if (rec.what == WHY_BUILD)
		take_build(&body, &rec.build);
	if (rec.what == WHY_MISSED || rec.what == WHY_COMPILED)
		take_unit(&body, &rec.unit);
	if (rec.what == WHY_MISSED)
		take_miss(&body, &rec.miss);
	if (rec.what < WHY_BUILD || rec.what > WHY_FULL || body.bad ||
	    body.left > 0)
		return -EBADMSG;
	*ret_rec = rec;
	return 1;
}

/* --- the file ------------------------------------------------------------- */

#define NAME_MAX_LEN 16

static void file_name(uint32_t view, char ret_name[NAME_MAX_LEN])
{
	(void)snprintf(ret_name, NAME_MAX_LEN, "%08" PRIx32 ".why", view);
}

int why_file_open(struct store *st, uint32_t view, int *ret_fd)
{
	char name[NAME_MAX_LEN];
	int fd;

	file_name(view, name);
	fd = openat(store_lease_fd(st), name,
		    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
		    0600);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int why_file_read(struct store *st, uint32_t view, void **ret_data,
		  size_t *ret_len)
{
	char name[NAME_MAX_LEN];

	file_name(view, name);
	return read_small_file(store_lease_fd(st), name, 2 * WHY_FILE_MAX,
			       ret_data, ret_len);
}

void why_file_remove(struct store *st, uint32_t view)
{
	char name[NAME_MAX_LEN];

	file_name(view, name);
	(void)unlinkat(store_lease_fd(st), name, 0);
}
