/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encoding and decoding of unit objects and lists of inputs (grammar:
 * schema.h). Invariant: whatever an encoder accepts, its decoder accepts and
 * returns unchanged; whatever a decoder accepts can be encoded again to the
 * same bytes. Pure.
 */
#include "config.h"

#include "store/unit.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/macros.h"
#include "store/schema.h"

/* SHA-256 of no bytes, as FIPS 180-4 has it. */
const struct digest digest_of_nothing = {
	.b = { 0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4,
	       0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b,
	       0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55 },
};

/* The least that one of them takes in a record: a count that is larger than
 * what is left could hold is refused before anything is allocated for it. */
#define LISTED_MIN (1 + 2)
#define INPUT_MIN (1 + 2 + DIGEST_LEN + 2)
#define FILE_MIN (1 + 4 + 2 + 1)

/* Also inherited by directories, but not from an object. */
#define MODE_BITS ((uint32_t)01777)

/* --- what is valid -------------------------------------------------------- */

static bool text_is_valid(const struct span_str *s, size_t max)
{
	return s->len <= max && (!s->len || !memchr(s->p, '\0', s->len));
}

static bool origin_is_valid(const struct span_str *s)
{
	return text_is_valid(s, PATH_MAX - 1) && (!s->len || s->p[0] == '/');
}

static bool input_is_valid(const struct unit_input *in)
{
	if (in->kind < UNIT_SOURCE || in->kind > UNIT_PLACE ||
	    !text_is_valid(&in->name, UNIT_NAME_MAX) ||
	    !text_is_valid(&in->shown, UNIT_SHOWN_MAX))
		return false;
	if (in->kind == UNIT_ENV && in->name.len &&
	    memchr(in->name.p, '=', in->name.len))
		return false;
	return in->name.len || in->kind == UNIT_PLACE;
}

static bool component_is_valid(const char *p, size_t len)
{
	return len && len <= NODE_NAME_MAX && !(len == 1 && p[0] == '.') &&
	       !(len == 2 && p[0] == '.' && p[1] == '.');
}

/* Canonical, relative, and nowhere but below: what is joined to a directory
 * of a view. */
static bool path_is_valid(const struct span_str *path)
{
	size_t from = 0;

	if (!path->len || path->len >= PATH_MAX ||
	    memchr(path->p, '\0', path->len))
		return false;
	for (size_t i = 0; i <= path->len; i++) {
		if (i < path->len && path->p[i] != '/')
			continue;
		if (!component_is_valid(path->p + from, i - from))
			return false;
		from = i + 1;
	}
	return true;
}

static bool file_is_valid(const struct unit_object *obj, size_t i)
{
	const struct unit_file *f = &obj->files[i], *to;

	if (!path_is_valid(&f->path) || f->mode & ~MODE_BITS)
		return false;
	switch (f->type) {
	case UNIT_REG:
		return f->size <= INT64_MAX &&
		       (f->size ||
			digest_equal(&f->digest, &digest_of_nothing));
	case UNIT_LINK:
		if (f->link >= i)
			return false;
		to = &obj->files[f->link];
		return to->type == UNIT_REG && to->mode == f->mode;
	case UNIT_SYM:
		return f->target.len &&
		       text_is_valid(&f->target, NODE_TARGET_MAX);
	case UNIT_DIR:
		return true;
	default:
		return false;
	}
}

/* Slashes come first, so that a directory is followed by what is in it. */
static int compare_paths(const void *a, const void *b)
{
	const struct span_str *x = &(*(const struct unit_file *const *)a)->path;
	const struct span_str *y = &(*(const struct unit_file *const *)b)->path;
	size_t len = MIN(x->len, y->len), i = 0;

	while (i < len && x->p[i] == y->p[i])
		i++;
	if (i == len)
		return (x->len > len) - (y->len > len);
	if (x->p[i] == '/' || y->p[i] == '/')
		return x->p[i] == '/' ? -1 : 1;
	return (unsigned char)x->p[i] < (unsigned char)y->p[i] ? -1 : 1;
}

/* Of two neighbours in that order. */
static bool may_follow(const struct unit_file *a, const struct unit_file *b)
{
	const struct span_str *x = &a->path, *y = &b->path;

	if (y->len < x->len || memcmp(x->p, y->p, x->len) != 0)
		return true;
	if (y->len == x->len)
		return false;
	return y->p[x->len] != '/' || a->type == UNIT_DIR;
}

/* No path is there twice, and none leads through what is no directory. 0,
 * -EINVAL, -ENOMEM. */
static int check_tree(const struct unit_object *obj)
{
	_cleanup_free_ const struct unit_file **order = NULL;

	if (obj->file_count < 2)
		return 0;
	order = calloc(obj->file_count, sizeof(*order));
	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < obj->file_count; i++)
		order[i] = &obj->files[i];
	qsort(order, obj->file_count, sizeof(*order), compare_paths);
	for (size_t i = 1; i < obj->file_count; i++)
		if (!may_follow(order[i - 1], order[i]))
			return -EINVAL;
	return 0;
}

static int check_object(const struct unit_object *obj)
{
	if (!text_is_valid(&obj->profile, UNIT_TEXT_MAX) ||
	    !text_is_valid(&obj->package, UNIT_TEXT_MAX) ||
	    !text_is_valid(&obj->writer, UNIT_TEXT_MAX) ||
	    !origin_is_valid(&obj->origin_workspace) ||
	    !origin_is_valid(&obj->origin_target))
		return -EINVAL;
	for (size_t i = 0; i < obj->input_count; i++)
		if (!input_is_valid(&obj->inputs[i]))
			return -EINVAL;
	for (size_t i = 0; i < obj->file_count; i++)
		if (!file_is_valid(obj, i))
			return -EINVAL;
	return check_tree(obj);
}

/* --- encoding ------------------------------------------------------------- */

static void put_str(struct buf *b, const struct span_str *s)
{
	buf_str16(b, s->p, s->len);
}

static void put_digest(struct buf *b, const struct digest *d)
{
	buf_put(b, d->b, DIGEST_LEN);
}

/* Takes back what was appended since @start if it is too much, or not all. */
static int record_end(struct buf *out, size_t start)
{
	int r = out->err;

	if (r == 0 && out->len - start > INDEX_VALUE_MAX)
		r = -E2BIG;
	if (r < 0) {
		out->len = start;
		out->err = 0;
	}
	return r;
}

static void put_file(struct buf *out, const struct unit_file *f)
{
	buf_u8(out, f->type);
	buf_u32(out, f->mode);
	put_str(out, &f->path);
	if (f->type == UNIT_REG) {
		buf_u64(out, f->size);
		put_digest(out, &f->digest);
	} else if (f->type == UNIT_LINK) {
		buf_u32(out, f->link);
	} else if (f->type == UNIT_SYM) {
		put_str(out, &f->target);
	}
}

int unit_object_encode(const struct unit_object *obj, struct buf *out)
{
	size_t start = out->len;
	int r;

	/* More than could fit, and than a u32 could count. */
	if (obj->input_count > INDEX_VALUE_MAX ||
	    obj->file_count > INDEX_VALUE_MAX)
		return -E2BIG;
	r = check_object(obj);
	if (r < 0)
		return r;
	buf_u8(out, UNIT_VERSION);
	buf_u8(out, obj->flags);
	put_str(out, &obj->profile);
	put_str(out, &obj->package);
	put_str(out, &obj->writer);
	buf_u64(out, (uint64_t)obj->created);
	buf_u32(out, obj->compile_msec);
	put_str(out, &obj->origin_workspace);
	put_str(out, &obj->origin_target);
	put_digest(out, &obj->recipe);
	buf_u32(out, (uint32_t)obj->input_count);
	for (size_t i = 0; i < obj->input_count; i++) {
		buf_u8(out, obj->inputs[i].kind);
		put_str(out, &obj->inputs[i].name);
		put_digest(out, &obj->inputs[i].value);
		put_str(out, &obj->inputs[i].shown);
	}
	buf_u32(out, (uint32_t)obj->file_count);
	for (size_t i = 0; i < obj->file_count; i++)
		put_file(out, &obj->files[i]);
	return record_end(out, start);
}

int unit_list_encode(const struct unit_list *list, struct buf *out)
{
	size_t start = out->len;

	if (list->count > INDEX_VALUE_MAX)
		return -E2BIG;
	for (size_t i = 0; i < list->count; i++)
		if (!input_is_valid(&list->inputs[i]))
			return -EINVAL;
	buf_u8(out, LIST_VERSION);
	buf_u32(out, (uint32_t)list->count);
	for (size_t i = 0; i < list->count; i++) {
		buf_u8(out, list->inputs[i].kind);
		put_str(out, &list->inputs[i].name);
	}
	return record_end(out, start);
}

/* --- decoding ------------------------------------------------------------- */

static void take_str(struct reader *r, struct span_str *ret_str)
{
	ret_str->p = take_str16(r, &ret_str->len);
}

static void take_digest(struct reader *r, struct digest *ret_digest)
{
	const void *p = take(r, DIGEST_LEN);

	if (p)
		memcpy(ret_digest->b, p, DIGEST_LEN);
}

/* A count, and room for as many of @size bytes. */
static int take_array(struct reader *r, size_t min, size_t size,
		      size_t *ret_count, void *ret_array)
{
	size_t count = take_u32(r);
	void *array;

	if (r->bad || count > r->left / min)
		return -EBADMSG;
	array = calloc(count ? count : 1, size);
	if (!array)
		return -ENOMEM;
	*ret_count = count;
	memcpy(ret_array, &array, sizeof(array));
	return 0;
}

static void take_file(struct reader *r, struct unit_file *f)
{
	f->type = take_u8(r);
	f->mode = take_u32(r);
	take_str(r, &f->path);
	if (f->type == UNIT_REG) {
		f->size = take_u64(r);
		take_digest(r, &f->digest);
	} else if (f->type == UNIT_LINK) {
		f->link = take_u32(r);
	} else if (f->type == UNIT_SYM) {
		take_str(r, &f->target);
	}
}

static int take_inputs(struct reader *r, struct unit_object *obj)
{
	int err;

	err = take_array(r, INPUT_MIN, sizeof(*obj->inputs), &obj->input_count,
			 &obj->inputs);
	if (err < 0)
		return err;
	for (size_t i = 0; i < obj->input_count; i++) {
		obj->inputs[i].kind = take_u8(r);
		take_str(r, &obj->inputs[i].name);
		take_digest(r, &obj->inputs[i].value);
		take_str(r, &obj->inputs[i].shown);
	}
	return 0;
}

static int take_files(struct reader *r, struct unit_object *obj)
{
	int err;

	err = take_array(r, FILE_MIN, sizeof(*obj->files), &obj->file_count,
			 &obj->files);
	if (err < 0)
		return err;
	for (size_t i = 0; i < obj->file_count; i++)
		take_file(r, &obj->files[i]);
	return 0;
}

static int take_object(struct reader *r, struct unit_object *obj)
{
	int err;

	if (take_u8(r) != UNIT_VERSION)
		return -EBADMSG;
	obj->flags = take_u8(r);
	take_str(r, &obj->profile);
	take_str(r, &obj->package);
	take_str(r, &obj->writer);
	obj->created = (int64_t)take_u64(r);
	obj->compile_msec = take_u32(r);
	take_str(r, &obj->origin_workspace);
	take_str(r, &obj->origin_target);
	take_digest(r, &obj->recipe);
	err = take_inputs(r, obj);
	if (err == 0)
		err = take_files(r, obj);
	if (err < 0)
		return err;
	if (r->bad || r->left)
		return -EBADMSG;
	err = check_object(obj);
	return err == -EINVAL ? -EBADMSG : err;
}

int unit_object_decode(const void *p, size_t len, struct unit_object *ret_obj)
{
	struct reader r = reader_of(p, len);
	struct unit_object obj = { 0 };
	int err;

	if (len > INDEX_VALUE_MAX)
		return -EBADMSG;
	err = take_object(&r, &obj);
	if (err < 0)
		unit_object_release(&obj);
	else
		*ret_obj = obj;
	return err;
}

static int take_list(struct reader *r, struct unit_list *list)
{
	int err;

	if (take_u8(r) != LIST_VERSION)
		return -EBADMSG;
	err = take_array(r, LISTED_MIN, sizeof(*list->inputs), &list->count,
			 &list->inputs);
	if (err < 0)
		return err;
	for (size_t i = 0; i < list->count; i++) {
		list->inputs[i].kind = take_u8(r);
		take_str(r, &list->inputs[i].name);
		if (r->bad || !input_is_valid(&list->inputs[i]))
			return -EBADMSG;
	}
	return r->bad || r->left ? -EBADMSG : 0;
}

int unit_list_decode(const void *p, size_t len, struct unit_list *ret_list)
{
	struct reader r = reader_of(p, len);
	struct unit_list list = { 0 };
	int err;

	if (len > INDEX_VALUE_MAX)
		return -EBADMSG;
	err = take_list(&r, &list);
	if (err < 0)
		unit_list_release(&list);
	else
		*ret_list = list;
	return err;
}

void unit_object_release(struct unit_object *obj)
{
	free(obj->inputs);
	free(obj->files);
	*obj = (struct unit_object){ 0 };
}

void unit_list_release(struct unit_list *list)
{
	free(list->inputs);
	*list = (struct unit_list){ 0 };
}

/* --- digests -------------------------------------------------------------- */

int unit_list_digest(const struct unit_list *list, struct digest *ret_digest)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	int r;

	r = unit_list_encode(list, &b);
	return r < 0 ? r : digest_of(b.data, b.len, ret_digest);
}

int unit_values_digest(const struct unit_input *inputs, size_t count,
		       struct digest *ret_digest)
{
	_cleanup_(buf_release) struct buf b = { 0 };

	for (size_t i = 0; i < count; i++)
		put_digest(&b, &inputs[i].value);
	return b.err ? b.err : digest_of(b.data, b.len, ret_digest);
}

int unit_key_of(const struct unit_object *obj, struct unit_key *key)
{
	struct unit_list list = { obj->inputs, obj->input_count };
	struct digest list_digest, values;
	int r;

	r = unit_list_digest(&list, &list_digest);
	if (r == 0)
		r = unit_values_digest(obj->inputs, obj->input_count, &values);
	if (r < 0)
		return r;
	key->list = list_digest;
	key->values = values;
	return 0;
}
