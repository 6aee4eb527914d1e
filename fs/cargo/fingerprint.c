/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cargo's fingerprints: their u64, and moving them; fingerprint_json.c reads
 * and writes the json. See fingerprint.h.
 */
#include "config.h"

#include "fs/cargo/fingerprint.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "fs/cargo/stable_hash.h"

void fingerprint_release(struct fingerprint *f)
{
	for (size_t i = 0; i < f->local_count; i++)
		free(f->locals[i].paths);
	free(f->locals);
	free(f->deps);
	free(f->rustflags);
	free(f->room);
	*f = (struct fingerprint){ 0 };
}

int fingerprint_load(const void *json, size_t len, const void *hash,
		     size_t hash_len, struct fingerprint *ret)
{
	struct fingerprint f;
	uint64_t value;
	int r;

	r = fingerprint_hash_parse(hash, hash_len, &value);
	if (r < 0)
		return r;
	r = fingerprint_parse(json, len, &f);
	if (r < 0)
		return r;
	if (fingerprint_value(&f) != value) {
		fingerprint_release(&f);
		return -EBADMSG;
	}
	*ret = f;
	return 0;
}

static void hash_local(struct stable_hash *h, const struct fingerprint_local *l)
{
	stable_hash_variant(h, (uint8_t)l->kind);
	switch (l->kind) {
	case FINGERPRINT_PRECALCULATED:
		stable_hash_str(h, l->text);
		break;
	case FINGERPRINT_CHECK_DEP_INFO:
		stable_hash_path(h, l->text);
		stable_hash_u8(h, l->checksum);
		break;
	case FINGERPRINT_RERUN_IF_CHANGED:
		stable_hash_path(h, l->text);
		stable_hash_u64(h, l->path_count);
		for (size_t i = 0; i < l->path_count; i++)
			stable_hash_path(h, l->paths[i]);
		break;
	case FINGERPRINT_RERUN_IF_ENV_CHANGED:
		stable_hash_str(h, l->text);
		stable_hash_variant(h, l->is_set);
		if (l->is_set)
			stable_hash_str(h, l->value);
		break;
	}
}

/* The order is not that of the json. */
uint64_t fingerprint_value(const struct fingerprint *f)
{
	struct stable_hash h;

	stable_hash_init(&h);
	stable_hash_u64(&h, f->rustc);
	stable_hash_str(&h, f->features);
	stable_hash_str(&h, f->declared_features);
	stable_hash_u64(&h, f->target);
	stable_hash_u64(&h, f->path);
	stable_hash_u64(&h, f->profile);
	stable_hash_u64(&h, f->local_count);
	for (size_t i = 0; i < f->local_count; i++)
		hash_local(&h, &f->locals[i]);
	stable_hash_u64(&h, f->config);
	stable_hash_u64(&h, f->compile_kind);
	stable_hash_u64(&h, f->rustflag_count);
	for (size_t i = 0; i < f->rustflag_count; i++)
		stable_hash_str(&h, f->rustflags[i]);
	stable_hash_u64(&h, f->dep_count);
	for (size_t i = 0; i < f->dep_count; i++) {
		stable_hash_u64(&h, f->deps[i].package);
		stable_hash_str(&h, f->deps[i].name);
		stable_hash_u8(&h, f->deps[i].is_public);
		stable_hash_u64(&h, f->deps[i].value);
	}
	return stable_hash_finish(&h);
}

void fingerprint_hash_write(uint64_t value, char ret[FINGERPRINT_HASH_LEN])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < FINGERPRINT_HASH_LEN; i += 2, value >>= 8) {
		ret[i] = digits[value >> 4 & 15];
		ret[i + 1] = digits[value & 15];
	}
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int fingerprint_hash_parse(const void *p, size_t len, uint64_t *ret)
{
	const char *s = p;
	uint64_t value = 0;

	if (len != FINGERPRINT_HASH_LEN)
		return -EBADMSG;
	for (size_t i = 0; i < len; i += 2) {
		int high = hex_digit(s[i]), low = hex_digit(s[i + 1]);

		if (high < 0 || low < 0)
			return -EBADMSG;
		value |= (uint64_t)(high << 4 | low) << (4 * i);
	}
	*ret = value;
	return 0;
}

uint64_t fingerprint_path_hash(struct span path)
{
	struct stable_hash h;

	stable_hash_init(&h);
	stable_hash_path(&h, path);
	return stable_hash_finish(&h);
}

int fingerprint_move(struct fingerprint *f, struct span was, struct span is)
{
	if (f->path != fingerprint_path_hash(was))
		return -ESTALE;
	f->path = fingerprint_path_hash(is);
	return 0;
}

size_t fingerprint_replace_dep(struct fingerprint *f, uint64_t was, uint64_t is)
{
	size_t count = 0;

	for (size_t i = 0; i < f->dep_count; i++)
		if (f->deps[i].value == was) {
			f->deps[i].value = is;
			count++;
		}
	return count;
}

/* Takes the digits at the beginning of *s; false: none, or too many. */
static bool take_digits(struct span *s, uint64_t *ret, size_t *ret_count)
{
	uint64_t v = 0;
	size_t n = 0;

	for (; n < s->len && s->p[n] >= '0' && s->p[n] <= '9'; n++)
		if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s->p[n] - '0'), &v))
			return false;
	*s = span_from(*s, n);
	*ret = v;
	*ret_count = n;
	return n > 0;
}

bool fingerprint_newest_parse(struct span s, struct fingerprint_newest *ret)
{
	bool negative = span_starts(s, "-");
	uint64_t sec, nsec;
	size_t count;

	if (negative)
		s = span_from(s, 1);
	if (!take_digits(&s, &sec, &count) || sec > INT64_MAX ||
	    !span_starts(s, "."))
		return false;
	s = span_from(s, 1);
	if (!take_digits(&s, &nsec, &count) || count != 9 ||
	    !span_starts(s, "s (") || !span_ends(s, ")"))
		return false;
	ret->sec = negative ? -(int64_t)sec : (int64_t)sec;
	ret->nsec = (uint32_t)nsec;
	ret->path = span_from(s, strlen("s ("));
	ret->path.len--;
	return true;
}

void fingerprint_newest_write(const struct fingerprint_newest *n, struct buf *b)
{
	char stamp[48];
	int len = snprintf(stamp, sizeof(stamp), "%" PRId64 ".%09" PRIu32 "s (",
			   n->sec, n->nsec);

	buf_put(b, stamp, (size_t)len);
	buf_put(b, n->path.p, n->path.len);
	buf_u8(b, ')');
}
