/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search for paths in files and archives; scan_elf.c has ELF objects. See
 * scan.h.
 */
#include "config.h"

#include "fs/cargo/scan.h"

#include <errno.h>
#include <stdint.h>

#include "fs/cargo/scan_impl.h"
#include "store/base/macros.h"

#define AR_MAGIC "!<arch>\n"

/* A member's header: fields of text, filled up with blanks. */
#define AR_HEADER_LEN 60
#define AR_NAME_LEN 16
#define AR_SIZE_AT 48
#define AR_SIZE_LEN 10
#define AR_END_AT 58
#define AR_END "`\n"

#define RLIB_METADATA "lib.rmeta"

/* What hides its content, by how it begins. */
static const struct span opaque[] = {
	{ "BC\xc0\xde", 4 },	   /* LLVM's bitcode */
	{ "\xde\xc0\x17\x0b", 4 }, /* the same, wrapped */
	{ "\x1f\x8b", 2 },	   /* gzip */
	{ "\x28\xb5\x2f\xfd", 4 }, /* zstd */
	{ "\xfd"
	  "7zXZ",
	  5 },		     /* xz */
	{ "BZh", 3 },	     /* bzip2 */
	{ "PK\x03\x04", 4 }, /* zip */
};

bool scan_bytes(struct scan *s, struct span bytes, size_t limit)
{
	for (size_t i = 0; i < s->count; i++) {
		size_t len = MIN(s->paths[i].len, limit);
		const char *at;

		if (!len || !bytes.len)
			continue;
		at = memmem(bytes.p, bytes.len, s->paths[i].p, len);
		if (at) {
			s->hit.path = i;
			s->hit.offset = (size_t)(at - s->file.p);
			return true;
		}
	}
	return false;
}

enum scan_verdict scan_whole(struct scan *s, struct span bytes)
{
	return scan_bytes(s, bytes, SIZE_MAX) ? SCAN_FOUND : SCAN_CLEAN;
}

static bool begins_with(struct span s, struct span with)
{
	return s.len >= with.len && memcmp(s.p, with.p, with.len) == 0;
}

/* An object, or a file of no kind we know; not an archive. */
static enum scan_verdict scan_object(struct scan *s, struct span bytes)
{
	enum scan_verdict v;

	if (scan_elf(s, bytes, &v) == 0)
		return v;
	v = scan_whole(s, bytes);
	for (size_t i = 0; i < ARRAY_LEN(opaque) && v == SCAN_CLEAN; i++)
		if (begins_with(bytes, opaque[i]))
			v = SCAN_OPAQUE;
	return v;
}

/* The decimal number in a field of a header; false: there is none. */
static bool ar_number(const char *p, size_t len, size_t *ret)
{
	size_t v = 0, n = 0;

	for (; n < len && p[n] >= '0' && p[n] <= '9'; n++)
		v = v * 10 + (size_t)(p[n] - '0');
	*ret = v;
	if (n == 0)
		return false;
	for (; n < len; n++)
		if (p[n] != ' ')
			return false;
	return true;
}

struct member {
	struct span name; /* as it is in the header, or behind it */
	struct span data;
};

/* Cuts the first member off *rest. */
static int ar_next(struct span *rest, struct member *ret)
{
	const char *header = rest->p;
	size_t size, name_len;

	if (rest->len < AR_HEADER_LEN ||
	    memcmp(header + AR_END_AT, AR_END, strlen(AR_END)) != 0 ||
	    !ar_number(header + AR_SIZE_AT, AR_SIZE_LEN, &size) ||
	    size > rest->len - AR_HEADER_LEN)
		return -EBADMSG;
	*rest = span_from(*rest, AR_HEADER_LEN);
	ret->name = (struct span){ header, AR_NAME_LEN };
	ret->data = span_first(*rest, size);
	/* Members begin at even offsets; the last one may lack the byte. */
	*rest = span_from(*rest, MIN(size + size % 2, rest->len));
	if (!span_starts(ret->name, "#1/"))
		return 0;
	/* BSD: the name is in front of the data. */
	if (!ar_number(header + 3, AR_NAME_LEN - 3, &name_len) ||
	    name_len > size)
		return -EBADMSG;
	ret->name = span_first(ret->data, name_len);
	ret->data = span_from(ret->data, name_len);
	return 0;
}

/* Tables of symbols and names, and rustc's metadata. */
static bool is_harmless(struct span name)
{
	static const char *const names[] = { "/ ", "// ", "/SYM64/",
					     "__.SYMDEF", RLIB_METADATA };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (span_starts(name, names[i]))
			return true;
	return false;
}

static int scan_archive(struct scan *s, enum scan_verdict *ret)
{
	struct span rest = s->file;
	struct member m;

	if (!span_starts(rest, AR_MAGIC))
		return -ENOENT;
	rest = span_from(rest, strlen(AR_MAGIC));
	*ret = SCAN_CLEAN;
	while (rest.len && *ret != SCAN_FOUND) {
		enum scan_verdict v;
		int r = ar_next(&rest, &m);

		if (r < 0)
			return r;
		if (is_harmless(m.name))
			continue;
		v = scan_object(s, m.data);
		if (v != SCAN_CLEAN)
			*ret = v;
	}
	return 0;
}

bool scan_rlib_metadata(const void *p, size_t len, struct span *ret_metadata)
{
	struct span rest = { p, len };
	struct member m;

	if (!span_starts(rest, AR_MAGIC))
		return false;
	rest = span_from(rest, strlen(AR_MAGIC));
	while (rest.len && ar_next(&rest, &m) == 0) {
		if (!span_starts(m.name, RLIB_METADATA))
			continue;
		*ret_metadata = m.data;
		return true;
	}
	return false;
}

enum scan_verdict scan_paths(const void *p, size_t len,
			     const struct span *paths, size_t count,
			     struct scan_hit *ret_hit)
{
	struct scan s = { .file = { p, len }, .paths = paths, .count = count };
	enum scan_verdict v;
	int r = scan_archive(&s, &v);

	if (r == -ENOENT)
		v = scan_object(&s, s.file);
	else if (r < 0)
		v = scan_whole(&s, s.file);
	if (v == SCAN_FOUND && ret_hit)
		*ret_hit = s.hit;
	return v;
}
