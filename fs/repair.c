/* SPDX-License-Identifier: Apache-2.0 */
/* Fingerprint repair; see repair.h. */
#include "config.h"

#include "fs/repair.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/build.h"
#include "fs/cargo/fingerprint.h"
#include "fs/content.h"
#include "fs/inputs.h"
#include "fs/newest.h"
#include "fs/units.h"
#include "fs/view.h"
#include "store/base/buf.h"
#include "store/base/time.h"
#include "store/blob.h"
#include "store/unit.h"

struct repair {
	struct view *view;
	struct build *build;
	uint64_t profile, hash;
	const struct unit_object *obj;
	struct buf json;       /* the object's */
	struct fingerprint fp; /* points into it */
	struct newest newest;
	struct buf text; /* of the newest file */
};

void repair_show(const char *package, uint64_t fpr, char *ret_shown,
		 size_t size)
{
	(void)snprintf(ret_shown, size, "%s %016" PRIx64, package, fpr);
}

/* -EBADMSG: it does not say. */
static int shown_fpr(struct span_str shown, uint64_t *ret_fpr)
{
	char hex[17], *end;

	if (shown.len < 17 || shown.p[shown.len - 17] != ' ')
		return -EBADMSG;
	memcpy(hex, shown.p + shown.len - 16, 16);
	hex[16] = '\0';
	*ret_fpr = strtoull(hex, &end, 16);
	return *end == '\0' ? 0 : -EBADMSG;
}

/* Puts @text where the newest file is; true if there is such a place. */
static bool set_newest(struct fingerprint *f, struct span text)
{
	struct fingerprint_newest newest;
	bool any = false;

	for (size_t i = 0; i < f->local_count; i++) {
		if (f->locals[i].kind != FINGERPRINT_PRECALCULATED ||
		    !fingerprint_newest_parse(f->locals[i].text, &newest))
			continue;
		f->locals[i].text = text;
		any = true;
	}
	return any;
}

uint64_t repair_norm(struct fingerprint *f, const uint64_t *dep_norms)
{
	for (size_t i = 0; i < f->dep_count; i++)
		f->deps[i].value = dep_norms[i];
	(void)set_newest(f, span_of("0.000000000s ()"));
	return fingerprint_value(f);
}

/* --- reading ----------------------------------------------------------- */

static bool is_json(struct span_str path)
{
	return path.len > 18 && memcmp(path.p, ".fingerprint/", 13) == 0 &&
	       memcmp(path.p + path.len - 5, ".json", 5) == 0;
}

static int read_json(struct repair *re)
{
	const struct unit_file *f = re->obj->files;
	size_t left = re->obj->file_count, len;
	void *to;
	int r;

	for (; left > 0 && !(f->type == UNIT_REG && is_json(f->path)); left--)
		f++;
	if (left == 0)
		return -EBADMSG;
	if (f->size > FINGERPRINT_MAX)
		return -EFBIG;
	to = buf_grow(&re->json, f->size);
	if (!to)
		return re->json.err;
	r = blob_read_inline(re->view->store, &f->digest, 0, to, f->size, &len);
	if (r == 0 && len != f->size)
		r = -EBADMSG;
	return r < 0 ? r
		     : fingerprint_parse(re->json.data, re->json.len, &re->fp);
}

/* The dependency of the unit with this value in its json. */
static int find_dep(struct repair *re, uint64_t was,
		    struct unit_identity *ret_id)
{
	for (size_t i = 0; i < re->obj->input_count; i++) {
		const struct unit_input *in = &re->obj->inputs[i];
		struct dep_name dep;
		uint64_t fpr;

		if (in->kind != UNIT_DEP || shown_fpr(in->shown, &fpr) < 0 ||
		    fpr != was || dep_name_parse(in->name, &dep) < 0)
			continue;
		return unit_known(re->view,
				  dep_profile(re->view, re->profile, &dep),
				  dep.hash, ret_id)
			       ? 0
			       : -ENOENT;
	}
	return -ESTALE;
}

/* The contents are compared after the times were taken: an edit between the two
 * would be shown as what cargo finds. */
static int look_for_newest(struct repair *re, const struct unit_input *in,
			   const char *dir)
{
	struct digest now;
	int64_t time;
	int r;

	r = newest_find(build_workspace_fd(re->build), re->view->workspace, dir,
			&re->newest);
	if (r == 0)
		r = input_value(re->view, re->build, in, &now, &time);
	if (r == 0 && !digest_equal(&now, &in->value))
		r = -ESTALE;
	return r;
}

static int find_newest(struct repair *re)
{
	for (size_t i = 0; i < re->obj->input_count; i++) {
		const struct unit_input *in = &re->obj->inputs[i];
		char dir[PATH_MAX];

		if (in->kind != UNIT_TREE || in->name.len == 0 ||
		    in->name.len > sizeof(dir) ||
		    in->name.p[0] != INPUT_PACKAGE[0])
			continue;
		memcpy(dir, in->name.p + 1, in->name.len - 1);
		dir[in->name.len - 1] = '\0';
		return look_for_newest(re, in, dir);
	}
	return -ESTALE;
}

/* --- the values -------------------------------------------------------- */

static int put_newest(struct repair *re)
{
	int64_t nsec;
	int r;

	if (!set_newest(&re->fp, span_of("")))
		return 0;
	r = find_newest(re);
	if (r < 0)
		return r;
	nsec = re->newest.nsec;
	fingerprint_newest_write(
		&(struct fingerprint_newest){
			.sec = nsec / NSEC_PER_SEC,
			.nsec = (uint32_t)(nsec % NSEC_PER_SEC),
			.path = span_of(re->newest.path),
		},
		&re->text);
	return re->text.err;
}

static void put_text(struct repair *re)
{
	for (size_t i = 0; i < re->fp.local_count; i++)
		if (re->fp.locals[i].kind == FINGERPRINT_PRECALCULATED &&
		    re->fp.locals[i].text.len == 0)
			re->fp.locals[i].text =
				(struct span){ (const char *)re->text.data,
					       re->text.len };
}

/* Both values; the fingerprint is left as it is here. */
static int compute(struct repair *re, uint64_t *ret_here, uint64_t *ret_norm)
{
	_cleanup_free_ struct unit_identity *ids = NULL;
	_cleanup_free_ uint64_t *norms = NULL;
	size_t n = re->fp.dep_count;
	int r = 0;

	ids = calloc(n + 1, sizeof(*ids));
	norms = calloc(n + 1, sizeof(*norms));
	if (!ids || !norms)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = find_dep(re, re->fp.deps[i].value, &ids[i]);
		norms[i] = ids[i].norm;
	}
	if (r < 0)
		return r;
	*ret_norm = repair_norm(&re->fp, norms);
	r = put_newest(re);
	if (r < 0)
		return r;
	put_text(re);
	for (size_t i = 0; i < n; i++)
		re->fp.deps[i].value = ids[i].here;
	*ret_here = fingerprint_value(&re->fp);
	return 0;
}

/* --- writing ----------------------------------------------------------- */

/* The numbers of the json and of the hash file. */
static int find_files(struct repair *re, uint64_t *ret_json, uint64_t *ret_hash)
{
	struct view *v = re->view;
	struct name *json, *hash = NULL;
	struct node *dir = NULL;
	struct unit *u;

	lock_acquire(&v->lock);
	u = unit_find_locked(v, re->profile, re->hash);
	if (u && u->state == UNIT_KNOWN)
		dir = unit_fingerprint_locked(v, u);
	json = dir ? unit_json_locked(dir) : NULL;
	if (json)
		hash = name_find_locked(v, dir, json->s, json->len - 5U);
	if (hash) {
		*ret_json = json->node->ino;
		*ret_hash = hash->node->ino;
	}
	lock_release(&v->lock);
	return hash ? 0 : -ENOENT;
}

/* Nobody has it open: cargo waits for us, or has not begun to look. */
static int write_file(struct repair *re, uint64_t ino, const void *p,
		      size_t len, int64_t stamp)
{
	struct view *v = re->view;
	struct node *n;
	int r;

	r = view_pin_file(v, ino, &n);
	if (r < 0)
		return r;
	r = content_truncate(v, n, 0);
	if (r == 0)
		r = content_write(v, n, p, len, 0);
	lock_acquire(&v->lock);
	n->mtime = stamp;
	n->flags |= NF_PAGES_STALE;
	node_dirty_locked(v, n);
	lock_release(&v->lock);
	view_unpin_file(v, n);
	return r;
}

static int write_all(struct repair *re, uint64_t here, int64_t stamp)
{
	_cleanup_(buf_release) struct buf json = { 0 };
	char hex[FINGERPRINT_HASH_LEN];
	uint64_t json_ino, hash_ino;
	int r;

	fingerprint_write(&re->fp, &json);
	fingerprint_hash_write(here, hex);
	r = json.err;
	if (r == 0)
		r = find_files(re, &json_ino, &hash_ino);
	if (r == 0)
		r = write_file(re, json_ino, json.data, json.len, stamp);
	if (r == 0)
		r = write_file(re, hash_ino, hex, sizeof(hex), stamp);
	return r;
}

static int remember(struct repair *re, uint64_t here, uint64_t norm)
{
	struct view *v = re->view;
	struct unit_identity id;
	struct unit *u;
	int r = -ESTALE;

	lock_acquire(&v->lock);
	u = unit_find_locked(v, re->profile, re->hash);
	if (u && u->state == UNIT_KNOWN) {
		id = u->id;
		id.here = here;
		id.norm = norm;
		r = unit_set_identity_locked(v, u, &id);
	}
	lock_release(&v->lock);
	return r;
}

static int repair(struct repair *re)
{
	struct unit_identity id;
	uint64_t here = 0, norm = 0;
	int r;

	if (!unit_known(re->view, re->profile, re->hash, &id))
		return -ENOENT;
	r = read_json(re);
	if (r == 0)
		r = compute(re, &here, &norm);
	if (r < 0 || (here == id.here && norm == id.norm))
		return r;
	if (here != id.here)
		r = write_all(re, here, id.stamp);
	if (r == 0)
		r = remember(re, here, norm);
	return r < 0 ? r : here != id.here;
}

int repair_unit(struct view *v, struct build *b, uint64_t profile,
		uint64_t hash, const struct unit_object *obj)
{
	struct repair re = { .view = v,
			     .build = b,
			     .profile = profile,
			     .hash = hash,
			     .obj = obj };
	int r = repair(&re);

	fingerprint_release(&re.fp);
	buf_release(&re.json);
	buf_release(&re.text);
	return r;
}
