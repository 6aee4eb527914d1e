/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The prefix rule (fs/attach.h), without a mount: random operations on a view,
 * flushes and settling between them, and every now and then the daemon "dies":
 * its memory is thrown away, its lease is freed, and the view is attached
 * again. It must then be exactly as it was at the last flush, but for files
 * that had a writer at that moment.
 *
 * Goes red with TARGETFS_BREAK=truncate-in-place, flux-mark, flux-recovery
 * or copy-on-write.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/attach.h"
#include "fs/attr.h"
#include "fs/dir.h"
#include "fs/flush.h"
#include "fs/mount.h"
#include "fs/namei.h"
#include "fs/open.h"
#include "fs/settle.h"

#define HANDLES 5
#define FILE_MAX (96 * 1024)
#define IMAGE_MAX 512

static struct mount m;
static struct view *v;
static char store_dir[64];
static unsigned long rng;
static struct handle *handles[HANDLES];

static const char *const dirs[] = { "", "debug", "debug/deps",
				    "debug/.fingerprint" };
static const char *const names[] = { "a",
				     "b.txt",
				     "x-0123456789abcdef.d",
				     "libx-0123456789abcdef.rlib",
				     "liby-00000000deadbeef.rmeta",
				     "z" };

static unsigned roll(unsigned n)
{
	rng = rng * 6364136223846793005UL + 1442695040888963407UL;
	return (unsigned)(rng >> 33) % n;
}

/* --- the tree as text -------------------------------------------------- */

struct item {
	char path[256];
	uint64_t ino, size;
	uint32_t mode, nlink;
	struct timespec mtime;
	bool hot;
	uint8_t *bytes; /* owned */
};

struct image {
	size_t count;
	struct item items[IMAGE_MAX];
};

static void image_release(struct image *im)
{
	for (size_t i = 0; i < im->count; i++)
		free(im->items[i].bytes);
	im->count = 0;
}

static uint64_t lookup(const char *path)
{
	char part[256];
	uint64_t ino = VIEW_ROOT_INO;
	struct entry e;

	while (*path) {
		size_t len = strcspn(path, "/");

		memcpy(part, path, len);
		part[len] = '\0';
		if (do_lookup(v, ino, part, &e) < 0)
			return 0;
		do_forget(v, e.st.st_ino, 1);
		ino = e.st.st_ino;
		path += len;
		path += *path == '/';
	}
	return ino;
}

static void take_item(struct image *im, const char *path, const struct stat *st)
{
	struct item *it = &im->items[im->count++];
	struct opened o;
	struct node *n;

	assert_true(im->count < IMAGE_MAX);
	*it = (struct item){ .ino = st->st_ino,
			     .size = (uint64_t)st->st_size,
			     .mode = st->st_mode,
			     .nlink = (uint32_t)st->st_nlink,
			     .mtime = st->st_mtim };
	(void)snprintf(it->path, sizeof(it->path), "%s", path);
	if (!S_ISREG(st->st_mode))
		return;
	n = node_find_locked(v, it->ino);
	it->hot = n->flags & NF_HOT;
	it->bytes = malloc(it->size + 1);
	assert_non_null(it->bytes);
	assert_int_equal(do_open(v, it->ino, O_RDONLY, &o), 0);
	assert_int_equal(do_read(o.handle, it->bytes, it->size, 0), it->size);
	do_release(o.handle);
}

static void walk(struct image *im, uint64_t dir, const char *path)
{
	struct dir_handle *dh;
	struct dir_entry de;
	uint64_t off = 0;

	assert_int_equal(do_opendir(v, dir, &dh), 0);
	while (do_readdir(dh, off, 0, &de) > 0) {
		char sub[256];
		struct entry e;

		off = de.next;
		if (strcmp(de.name, ".") == 0 || strcmp(de.name, "..") == 0)
			continue;
		(void)snprintf(sub, sizeof(sub), "%s%s%s", path,
			       *path ? "/" : "", de.name);
		assert_int_equal(do_getattr(v, de.entry.st.st_ino, &e), 0);
		take_item(im, sub, &e.st);
		if (S_ISDIR(e.st.st_mode))
			walk(im, e.st.st_ino, sub);
	}
	do_releasedir(dh);
}

static int compare_items(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static void take_image(struct image *im)
{
	image_release(im);
	walk(im, VIEW_ROOT_INO, "");
	qsort(im->items, im->count, sizeof(im->items[0]), compare_items);
}

/* --- starting, dying --------------------------------------------------- */

static void start(void)
{
	struct view_rec rec;

	m = (struct mount){ .mountpoint = "/nowhere", .max_fds = 4 };
	list_init(&m.views);
	assert_int_equal(lock_init(&m.lock), 0);
	assert_int_equal(store_open(store_dir, STORE_CREATE, &m.store), 0);
	assert_int_equal(settler_start(&m, &m.settler), 0);
	assert_int_equal(
		views_obtain(m.store, 0, "/work/space", 0, 0, 0755, &rec), 0);
	assert_int_equal(view_attach(&m, &rec, 0, &v, NULL), 0);
	m.view = v;
}

/* As SIGKILL does: what is in memory is lost, what is in files is not. */
static void die(void)
{
	settler_stop(m.settler, 0);
	for (size_t i = 0; i < HANDLES; i++) {
		free(handles[i]);
		handles[i] = NULL;
	}
	view_release(v);
	v->lease = lease_free(v->lease);
	free(v);
	m.store = store_close(m.store);
	lock_destroy(&m.lock);
}

/* --- operations -------------------------------------------------------- */

static uint64_t some_dir(void)
{
	uint64_t ino = lookup(dirs[roll(4)]);

	return ino ? ino : VIEW_ROOT_INO;
}

static const char *some_name(void)
{
	return names[roll(6)];
}

static struct handle **some_handle(void)
{
	return &handles[roll(HANDLES)];
}

static void op_open_one(void)
{
	struct handle **h = some_handle();
	const char *name = some_name();
	uint64_t dir = some_dir();
	struct opened o;
	struct entry e;
	int r;

	if (*h)
		return;
	r = do_create(v, dir, name, 0644, O_RDWR | (roll(3) == 0 ? O_TRUNC : 0),
		      (struct caller){ 0 }, &e, &o);
	if (r == -EISDIR)
		return;
	assert_int_equal(r, 0);
	do_forget(v, e.st.st_ino, 1);
	*h = o.handle;
}

static void op_close(void)
{
	struct handle **h = some_handle();

	if (*h)
		do_release(*h);
	*h = NULL;
}

static void op_write(void)
{
	static uint8_t bytes[40000];
	struct handle **h = some_handle();
	size_t len = 1 + roll(roll(2) ? 200 : sizeof(bytes) - 1);

	if (!*h)
		return;
	memset(bytes, 'a' + (int)roll(26), len);
	assert_int_equal(do_write(*h, bytes, len, roll(FILE_MAX / 2)), 0);
}

static void op_truncate(void)
{
	struct stat st = { .st_size = roll(3) ? roll(FILE_MAX) : 0 };
	struct handle **h = some_handle();
	struct entry e;

	if (*h)
		assert_int_equal(do_setattr(v, (*h)->ino, SET_SIZE, &st, &e),
				 0);
}

/* Times that no clock gives, as tar and cp -p set them. */
static void op_times(void)
{
	struct stat st = { .st_mtim = { .tv_sec = 1000000 + roll(1000),
					.tv_nsec = roll(1000000000) } };
	struct entry e;

	if (do_lookup(v, some_dir(), some_name(), &e) < 0)
		return;
	assert_int_equal(do_setattr(v, e.st.st_ino, SET_MTIME, &st, &e), 0);
	assert_int_equal(e.st.st_mtim.tv_nsec, st.st_mtim.tv_nsec);
	do_forget(v, e.st.st_ino, 1);
}

static void op_names(void)
{
	uint64_t a = some_dir(), b = some_dir();
	const char *x = some_name(), *y = some_name();
	struct entry e;

	switch (roll(6)) {
	case 0:
	case 1:
		(void)do_unlink(v, a, x);
		break;
	case 2:
	case 3:
		(void)do_rename(v, a, x, b, y, 0);
		break;
	case 4:
		if (do_lookup(v, a, x, &e) == 0) {
			struct entry l;

			if (do_link(v, e.st.st_ino, b, y, &l) == 0)
				do_forget(v, l.st.st_ino, 1);
			do_forget(v, e.st.st_ino, 1);
		}
		break;
	default:
		if (do_mkdir(v, a, dirs[2 + roll(2)] + 6, 0755,
			     (struct caller){ 0 }, &e) == 0)
			do_forget(v, e.st.st_ino, 1);
	}
}

static void make_dirs(void)
{
	struct entry e;
	uint64_t debug;

	if (do_mkdir(v, VIEW_ROOT_INO, "debug", 0755, (struct caller){ 0 },
		     &e) == 0)
		do_forget(v, e.st.st_ino, 1);
	debug = lookup("debug");
	if (do_mkdir(v, debug, "deps", 0755, (struct caller){ 0 }, &e) == 0)
		do_forget(v, e.st.st_ino, 1);
	if (do_mkdir(v, debug, ".fingerprint", 0755, (struct caller){ 0 },
		     &e) == 0)
		do_forget(v, e.st.st_ino, 1);
}

static void op_settle(void)
{
	settler_stop(m.settler, 10000);
	assert_int_equal(settler_start(&m, &m.settler), 0);
}

static void step(void)
{
	static void (*const ops[])(void) = { op_open_one, op_open_one, op_close,
					     op_close,	  op_write,    op_write,
					     op_write,	  op_truncate, op_names,
					     op_names,	  op_times };

	ops[roll(ARRAY_LEN(ops))]();
}

/* --- the property ------------------------------------------------------ */

static const struct item *find(const struct image *im, const char *path)
{
	struct item key;

	(void)snprintf(key.path, sizeof(key.path), "%s", path);
	return bsearch(&key, im->items, im->count, sizeof(key), compare_items);
}

/* Units that had a writer may be gone as a whole; everything else is there. */
static bool may_be_gone(const struct image *was, const struct item *it)
{
	if (it->hot)
		return true;
	for (size_t i = 0; i < was->count; i++) {
		const struct item *w = &was->items[i];
		const char *h = strchr(it->path, '-');
		char unit[17] = "";

		if (!w->hot)
			continue;
		if (w->ino == it->ino) /* another name of that file */
			return true;
		if (!h || strlen(h) < 17)
			continue;
		memcpy(unit, h + 1, 16);
		if (strstr(w->path, unit))
			return true;
	}
	return false;
}

static void check_equal(const struct image *was, const struct image *is)
{
	for (size_t i = 0; i < was->count; i++) {
		const struct item *a = &was->items[i];
		const struct item *b = find(is, a->path);

		if (!b && may_be_gone(was, a))
			continue;
		if (!b)
			fail_msg("'%s' is gone", a->path);
		assert_int_equal(a->ino, b->ino);
		assert_int_equal(a->mode, b->mode);
		if (a->hot || S_ISDIR(a->mode))
			continue;
		assert_int_equal(a->size, b->size);
		assert_int_equal(a->mtime.tv_sec, b->mtime.tv_sec);
		assert_int_equal(a->mtime.tv_nsec, b->mtime.tv_nsec);
		if (memcmp(a->bytes, b->bytes, a->size) != 0)
			fail_msg("'%s' has other bytes", a->path);
	}
	for (size_t i = 0; i < is->count; i++)
		if (!find(was, is->items[i].path))
			fail_msg("'%s' was not there", is->items[i].path);
}

static struct image was, is;

static void one_life(void)
{
	unsigned steps = 20 + roll(120);

	make_dirs();
	assert_int_equal(flush_now(v), 0);
	take_image(&was);
	for (unsigned i = 0; i < steps; i++) {
		uint64_t seq = v->done_seq;

		step();
		if (roll(40) == 0)
			op_settle();
		if (roll(25) == 0)
			assert_int_equal(flush_now(v), 0);
		/* Opening to write may have committed a mark, and with it
		 * everything up to then. */
		if (v->done_seq != seq)
			take_image(&was);
	}
}

static void test_as_at_the_last_flush(void **state)
{
	unsigned lives = getenv("TARGETFS_LONG") ? 3000 : 150;

	(void)state;
	for (unsigned i = 0; i < lives; i++) {
		rng = i * 7919 + 17;
		one_life();
		die();
		start();
		take_image(&is);
		check_equal(&was, &is);
	}
	image_release(&was);
	image_release(&is);
}

static int setup(void **state)
{
	(void)state;
	(void)snprintf(store_dir, sizeof(store_dir), "%s/fs-crash-XXXXXX",
		       getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(store_dir));
	start();
	return 0;
}

static int teardown(void **state)
{
	char cmd[128];

	(void)state;
	die();
	(void)snprintf(cmd, sizeof(cmd), "rm -rf '%s'", store_dir);
	return system(cmd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_at_the_last_flush),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
