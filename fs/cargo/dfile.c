/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rustc's .d files; see dfile.h. What has escapes is copied without them into
 * one block of the input's size, which is enough, as they only get shorter.
 */
#include "config.h"

#include "fs/cargo/dfile.h"

#include <errno.h>
#include <stdlib.h>

#include "fs/cargo/array.h"

#define ENV_PREFIX "# env-dep:"
#define CHECKSUM_PREFIX "# checksum:"

struct parser {
	struct dfile d;
	struct span list; /* the sources of the first rule, as written */
	size_t input_len;
};

/* Room for the longest copy; made when the first escape is met. */
static char *room_end(struct parser *p)
{
	if (!p->d.room)
		p->d.room = malloc(p->input_len);
	return p->d.room ? p->d.room + p->d.room_len : NULL;
}

/* In a path only a blank is escaped. */
static int unescape_path(struct parser *p, struct span in, struct span *ret)
{
	char *to, *at;

	if (span_find(in, ' ') == in.len) {
		*ret = in;
		return 0;
	}
	at = to = room_end(p);
	if (!to)
		return -ENOMEM;
	for (size_t i = 0; i < in.len; i++) {
		if (in.p[i] == '\\' && i + 1 < in.len && in.p[i + 1] == ' ')
			i++;
		*at++ = in.p[i];
	}
	p->d.room_len += (size_t)(at - to);
	*ret = (struct span){ to, (size_t)(at - to) };
	return 0;
}

static int unescape_env(struct parser *p, struct span in, struct span *ret)
{
	char *to, *at;

	if (span_find(in, '\\') == in.len) {
		*ret = in;
		return 0;
	}
	at = to = room_end(p);
	if (!to)
		return -ENOMEM;
	for (size_t i = 0; i < in.len; i++, at++) {
		*at = in.p[i];
		if (in.p[i] != '\\')
			continue;
		if (++i == in.len)
			return -EBADMSG;
		switch (in.p[i]) {
		case '\\':
			break;
		case 'n':
			*at = '\n';
			break;
		case 'r':
			*at = '\r';
			break;
		default:
			return -EBADMSG;
		}
	}
	p->d.room_len += (size_t)(at - to);
	*ret = (struct span){ to, (size_t)(at - to) };
	return 0;
}

/* The length of the path that @s begins with: to the first bare blank. */
static size_t path_len(struct span s)
{
	size_t i;

	for (i = 0; i < s.len && s.p[i] != ' '; i++)
		if (s.p[i] == '\\' && i + 1 < s.len && s.p[i + 1] == ' ')
			i++;
	return i;
}

static int add_path(struct parser *p, struct span in, struct span **array,
		    size_t *count)
{
	struct span *grown, path;
	int r;

	if (!in.len || in.p[in.len - 1] == '\\')
		return -EBADMSG;
	r = unescape_path(p, in, &path);
	if (r < 0)
		return r;
	grown = array_room(*array, *count, sizeof(**array));
	if (!grown)
		return -ENOMEM;
	*array = grown;
	grown[(*count)++] = path;
	return 0;
}

static int parse_sources(struct parser *p, struct span list)
{
	int r;

	for (;;) {
		size_t len = path_len(list);

		r = add_path(p, span_first(list, len), &p->d.sources,
			     &p->d.source_count);
		if (r < 0 || len == list.len)
			return r;
		list = span_from(list, len + 1);
	}
}

/* Where ": " is first, or the line's length. */
static size_t find_rule(struct span line)
{
	const char *at = memmem(line.p, line.len, ": ", 2);

	return at ? (size_t)(at - line.p) : line.len;
}

static int parse_rule(struct parser *p, struct span line, size_t colon)
{
	struct span list = span_from(line, colon + 2);
	int r = add_path(p, span_first(line, colon), &p->d.outputs,
			 &p->d.output_count);

	if (r < 0)
		return r;
	if (p->d.output_count > 1)
		return span_eq(list, p->list) ? 0 : -EBADMSG;
	p->list = list;
	return parse_sources(p, list);
}

static int parse_env(struct parser *p, struct span s)
{
	size_t n = span_find(s, '=');
	struct dfile_env env = { .is_set = n < s.len }, *grown;
	int r = unescape_env(p, span_first(s, n), &env.name);

	if (r == 0 && env.is_set)
		r = unescape_env(p, span_from(s, n + 1), &env.value);
	if (r < 0)
		return r;
	grown = array_room(p->d.envs, p->d.env_count, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	p->d.envs = grown;
	grown[p->d.env_count++] = env;
	return 0;
}

/* A decimal number that is all of @s. */
static int parse_u64(struct span s, uint64_t *ret)
{
	uint64_t v = 0;

	if (!s.len)
		return -EBADMSG;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9' ||
		    __builtin_mul_overflow(v, (uint64_t)10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
			return -EBADMSG;
	}
	*ret = v;
	return 0;
}

static int parse_checksum(struct parser *p, struct span s)
{
	struct dfile_checksum c, *grown;
	size_t n = span_find(s, ' ');
	int r;

	c.digest = span_first(s, n);
	s = span_from(s, n);
	if (!span_starts(s, " file_len:"))
		return -EBADMSG;
	s = span_from(s, strlen(" file_len:"));
	n = span_find(s, ' ');
	r = parse_u64(span_first(s, n), &c.size);
	if (r < 0 || n + 1 >= s.len)
		return -EBADMSG;
	r = unescape_path(p, span_from(s, n + 1), &c.path);
	if (r < 0)
		return r;
	grown = array_room(p->d.checksums, p->d.checksum_count, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	p->d.checksums = grown;
	grown[p->d.checksum_count++] = c;
	return 0;
}

/* Blanks that cargo would take for the end of a path. */
static bool has_other_blank(struct span line)
{
	for (size_t i = 0; i < line.len; i++)
		if (line.p[i] == '\0' ||
		    (line.p[i] >= '\t' && line.p[i] <= '\r'))
			return true;
	return false;
}

static int parse_line(struct parser *p, struct span line)
{
	size_t colon;

	if (span_starts(line, ENV_PREFIX))
		return parse_env(p, span_from(line, strlen(ENV_PREFIX)));
	if (has_other_blank(line))
		return -EBADMSG;
	if (span_starts(line, CHECKSUM_PREFIX))
		return parse_checksum(p,
				      span_from(line, strlen(CHECKSUM_PREFIX)));
	if (!line.len)
		return 0;
	if (line.p[0] == '#')
		return -EBADMSG;
	colon = find_rule(line);
	if (colon < line.len)
		return parse_rule(p, line, colon);
	return span_ends(line, ":") ? 0 : -EBADMSG;
}

int dfile_parse(const void *bytes, size_t len, struct dfile *ret)
{
	struct parser p = { .input_len = len };
	struct span rest = { bytes, len }, line;
	int r = 0;

	if (len > DFILE_MAX)
		return -EFBIG;
	while (r == 0 && span_line(&rest, &line))
		r = parse_line(&p, line);
	if (r == 0 && !p.d.output_count)
		r = -EBADMSG;
	if (r < 0)
		dfile_release(&p.d);
	else
		*ret = p.d;
	return r;
}

void dfile_release(struct dfile *d)
{
	free(d->outputs);
	free(d->sources);
	free(d->envs);
	free(d->checksums);
	free(d->room);
	*d = (struct dfile){ 0 };
}
