/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The prefix rule (fs/attach.h), without a mount: random operations on a view,
 * flushes and settling between them, and every now and then the daemon "dies":
 * its memory is thrown away, its lease is freed, and the view is attached
 * again. It must then be exactly as it was at the last flush, but for files
 * that had a writer at that moment: of those, cargo's are gone with their
 * units, and others may have newer bytes.
 *
 * The same after a power cut: then the next boot is another one, and whatever
 * was written to a file since its last fdatasync is lost. Which files that are
 * is seen where the calls are made (interposed below), not asked of the view.
 *
 * Red when broken: "truncate-in-place", "flux-recovery", "fsync-commit"
 * (after_a_kill); "unsynced-mark", "unsynced-recovery", "fsync-data"
 * (after_a_power_cut); "sync-recheck" (written_while_all_is_synced).
 */
#include "config.h"

#include "tests/unit/fs_fixture.h"

#include <ftw.h>
#include <sys/syscall.h>

#include "fs/cargo/layout.h"
#include "fs/file.h"
#include "fs/sync.h"
#include "store/blob.h"

#define FILE_MAX (96 * 1024)
#define IMAGE_MAX 512
#define INODES_MAX 4096

static unsigned long rng;

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

/* --- what is on the disk ------------------------------------------------ */

/* Inode numbers of files that were written since they were last synced. */
static struct {
	pthread_mutex_t lock;
	size_t count;
	ino_t ino[INODES_MAX];
} cache = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Those of them whose bytes the last power cut took. */
static size_t lost_count;
static ino_t lost[INODES_MAX];

static void note(int fd, bool written)
{
	struct stat st;
	size_t i = 0;

	if (fstat(fd, &st) < 0)
		return;
	(void)pthread_mutex_lock(&cache.lock);
	while (i < cache.count && cache.ino[i] != st.st_ino)
		i++;
	if (written && i == cache.count && i < INODES_MAX)
		cache.ino[cache.count++] = st.st_ino;
	else if (!written && i < cache.count)
		cache.ino[i] = cache.ino[--cache.count];
	(void)pthread_mutex_unlock(&cache.lock);
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t off)
{
	note(fd, true);
	return syscall(SYS_pwrite64, fd, buf, len, off);
}

int ftruncate(int fd, off_t len)
{
	note(fd, true);
	return (int)syscall(SYS_ftruncate, fd, len);
}

ssize_t copy_file_range(int in, off64_t *in_off, int out, off64_t *out_off,
			size_t len, unsigned flags)
{
	note(out, true);
	return syscall(SYS_copy_file_range, in, in_off, out, out_off, len,
		       flags);
}

int fdatasync(int fd)
{
	note(fd, false);
	return (int)syscall(SYS_fdatasync, fd);
}

static void (*meanwhile)(void);
static int syncs;
static bool fail_sync; /* the next one, once, as the kernel does */

/* What is written after the filesystem's turn is not on disk. */
int syncfs(int fd)
{
	int r = (int)syscall(SYS_syncfs, fd);

	(void)__atomic_fetch_add(&syncs, 1, __ATOMIC_RELAXED);
	if (__atomic_exchange_n(&fail_sync, false, __ATOMIC_ACQ_REL)) {
		errno = ENOSPC;
		return -1;
	}
	(void)pthread_mutex_lock(&cache.lock);
	cache.count = 0;
	(void)pthread_mutex_unlock(&cache.lock);
	if (meanwhile)
		meanwhile();
	return r;
}

static bool in_list(const ino_t *list, size_t count, ino_t ino)
{
	for (size_t i = 0; i < count; i++)
		if (list[i] == ino)
			return true;
	return false;
}

static int lose_bytes(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	static const uint8_t zeros[4096];
	int fd;

	(void)ftw;
	if (type != FTW_F || !in_list(lost, lost_count, st->st_ino))
		return 0;
	assert_int_equal(chmod(path, 0600), 0);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	for (off_t at = 0; at < st->st_size; at += (off_t)sizeof(zeros))
		assert_true(syscall(SYS_pwrite64, fd, zeros,
				    MIN((off_t)sizeof(zeros), st->st_size - at),
				    at) > 0);
	assert_int_equal(close(fd), 0);
	return chmod(path, st->st_mode & 07777);
}

/* Sizes and names come through it, as with delayed allocation they might. */
static void cut_power(void)
{
	static const char *const dirs_of_bytes[] = { "staging", "blobs" };
	char path[128];

	lost_count = cache.count;
	memcpy(lost, cache.ino, cache.count * sizeof(lost[0]));
	cache.count = 0;
	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", store_dir,
			       dirs_of_bytes[i]);
		assert_int_equal(nftw(path, lose_bytes, 8, FTW_PHYS), 0);
	}
}

/* --- the tree as text -------------------------------------------------- */

struct item {
	char path[256];
	uint64_t ino, size;
	uint32_t mode, nlink;
	struct timespec mtime;
	bool hot;	/* it has a writer */
	bool unsynced;	/* its bytes need not be on disk */
	ino_t backing;	/* the file they are in; 0: the index */
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

static ino_t backing_of(const struct node *n)
{
	struct stat st;
	int fd, r;

	if (!file_has_backing(n))
		return 0;
	if (n->content == CONTENT_STAGING)
		r = staging_open(v->store, v->id, n->staging_id, O_RDONLY, &fd);
	else
		r = blob_open(v->store, &n->digest, &fd);
	assert_int_equal(r, 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(close(fd), 0);
	return st.st_ino;
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
	it->unsynced = n->content == CONTENT_STAGING && !(n->flags & NF_SYNCED);
	it->backing = backing_of(n);
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

/* --- operations -------------------------------------------------------- */

static struct image was, is;

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

/* What it returns for is committed; all else is so along with it. */
static void op_fsync(void)
{
	struct handle **h = some_handle();

	if (!*h)
		return;
	assert_int_equal(do_fsync(v, (*h)->ino), 0);
	take_image(&was);
}

/* All bytes are on disk, but of what is being written. */
static void op_fsync_all(void)
{
	assert_int_equal(do_fsyncdir(v, VIEW_ROOT_INO), 0);
	take_image(&was);
	for (size_t i = 0; i < was.count; i++)
		assert_true(was.items[i].hot || !was.items[i].unsynced);
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

static void step(void)
{
	static void (*const ops[])(void) = { op_open_one, op_open_one, op_close,
					     op_close,	  op_write,    op_write,
					     op_write,	  op_truncate, op_names,
					     op_names,	  op_times,    op_fsync,
					     op_fsync_all };

	ops[roll(ARRAY_LEN(ops))]();
}

/* --- the property ------------------------------------------------------ */

static const struct item *find(const struct image *im, const char *path)
{
	struct item key;

	(void)snprintf(key.path, sizeof(key.path), "%s", path);
	return bsearch(&key, im->items, im->count, sizeof(key), compare_items);
}

static bool is_lost(const struct item *it)
{
	return it->backing && in_list(lost, lost_count, it->backing);
}

static bool in_doubt(const struct item *it, bool power)
{
	return it->hot || (power && it->unsynced);
}

/* Units that had a writer may be gone as a whole; everything else is there. */
static bool may_be_gone(const struct item *it, bool power)
{
	if (in_doubt(it, power))
		return true;
	for (size_t i = 0; i < was.count; i++) {
		const struct item *w = &was.items[i];
		const char *h = strchr(it->path, '-');
		char unit[17] = "";

		if (!in_doubt(w, power))
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

/* What is cargo's and is there must be right; another file is kept as it is. */
static bool may_differ(const struct item *it)
{
	return (it->hot || is_lost(it)) &&
	       layout_classify(it->path).kind == LAYOUT_OTHER;
}

static void check_equal(bool power)
{
	for (size_t i = 0; i < was.count; i++) {
		const struct item *a = &was.items[i];
		const struct item *b = find(&is, a->path);

		if (!b && may_be_gone(a, power))
			continue;
		if (!b)
			fail_msg("'%s' is gone", a->path);
		assert_int_equal(a->ino, b->ino);
		assert_int_equal(a->mode, b->mode);
		if (S_ISDIR(a->mode) || may_differ(a))
			continue;
		assert_int_equal(a->size, b->size);
		assert_int_equal(a->mtime.tv_sec, b->mtime.tv_sec);
		assert_int_equal(a->mtime.tv_nsec, b->mtime.tv_nsec);
		if (memcmp(a->bytes, b->bytes, a->size) != 0)
			fail_msg("'%s' has other bytes", a->path);
	}
	for (size_t i = 0; i < is.count; i++)
		if (!find(&was, is.items[i].path))
			fail_msg("'%s' was not there", is.items[i].path);
}

/* Opening to write may have committed a mark, and with it everything up to
 * then. */
static void take_image_if_committed(uint64_t seq)
{
	if (v->done_seq != seq)
		take_image(&was);
}

static void one_life(void)
{
	unsigned steps = 20 + roll(120);

	make_dirs();
	assert_int_equal(flush_now(v), 0);
	take_image(&was);
	for (unsigned i = 0; i < steps; i++) {
		uint64_t seq = v->done_seq;

		step();
		take_image_if_committed(seq);
		if (roll(40) == 0)
			settle_now();
		seq = v->done_seq;
		if (roll(25) == 0)
			assert_int_equal(flush_now(v), 0);
		take_image_if_committed(seq);
	}
}

/* The index says that all was written in another boot. */
static void pretend_other_boot(void)
{
	memset(v->boot_id, 0xb0, sizeof(v->boot_id));
}

static void lives(bool power)
{
	unsigned count = getenv("TARGETFS_LONG") ? 1500 : 100;

	lost_count = 0;
	for (unsigned i = 0; i < count; i++) {
		rng = i * 7919 + 17;
		if (power)
			pretend_other_boot();
		one_life();
		die();
		if (power)
			cut_power();
		start();
		take_image(&is);
		check_equal(power);
	}
	check_store();
	image_release(&was);
	image_release(&is);
}

static void after_a_kill(void **state)
{
	(void)state;
	lives(false);
}

static void after_a_power_cut(void **state)
{
	(void)state;
	lives(true);
}

static struct handle *open_at(const char *name, bool make)
{
	uint64_t deps = lookup("debug/deps");
	struct opened o;
	struct entry e;

	assert_int_equal(do_create(v, deps, name, 0644, O_RDWR,
				   (struct caller){ 0 }, &e, &o),
			 0);
	assert_int_equal(e.st.st_size == 0, make);
	do_forget(v, e.st.st_ino, 1);
	return o.handle;
}

static bool is_synced(const char *path)
{
	return node_find_locked(v, lookup(path))->flags & NF_SYNCED;
}

/* One file is opened and closed again; another was open, is written by the
 * kernel, which does not ask, and closed. */
static void write_both(void)
{
	struct handle *h = open_at("libx-0123456789abcdef.rlib", false);
	const struct node *n = node_find_locked(v, handles[0]->ino);
	int fd;

	assert_int_equal(do_write(h, "new", 3, 0), 0);
	do_release(h);
	assert_int_equal(
		staging_open(v->store, v->id, n->staging_id, O_WRONLY, &fd), 0);
	assert_int_equal(pwrite(fd, "new", 3, 0), 3);
	assert_int_equal(close(fd), 0);
	do_release(handles[0]);
	handles[0] = NULL;
	meanwhile = NULL;
}

static void written_while_all_is_synced(void **state)
{
	static const char *const paths[] = {
		"debug/deps/libx-0123456789abcdef.rlib",
		"debug/deps/liby-00000000deadbeef.rmeta",
	};
	struct handle *h;

	(void)state;
	make_dirs();
	h = open_at("libx-0123456789abcdef.rlib", true);
	assert_int_equal(do_write(h, "old", 3, 0), 0);
	do_release(h);
	handles[0] = open_at("liby-00000000deadbeef.rmeta", true);
	assert_int_equal(do_write(handles[0], "old", 3, 0), 0);
	meanwhile = write_both;
	assert_int_equal(do_fsyncdir(v, VIEW_ROOT_INO), 0);
	assert_null(meanwhile);
	for (size_t i = 0; i < 2; i++)
		assert_false(is_synced(paths[i]));
	assert_int_equal(do_fsyncdir(v, lookup("debug/deps")), 0);
	for (size_t i = 0; i < 2; i++)
		assert_false(is_synced(paths[i]));
	assert_int_equal(do_fsyncdir(v, VIEW_ROOT_INO), 0);
	for (size_t i = 0; i < 2; i++)
		assert_true(is_synced(paths[i]));
}

/* Its nodes are in the batch when a name cannot be added to it. */
static void fail_in_mid_batch(void)
{
	struct name *nm = v->dirty_names;
	uint8_t len = nm->len;

	nm->len = 0;
	assert_true(flush_now(v) < 0);
	nm->len = len;
}

static void work(unsigned steps)
{
	for (unsigned i = 0; i < steps; i++)
		step();
}

/* Half a batch is not committed, and it is no obstacle to the next. */
static void half_a_batch(void **state)
{
	(void)state;
	rng = 4711;
	make_dirs();
	assert_int_equal(flush_now(v), 0);
	for (unsigned i = 0; i < 30; i++) {
		do_release(open_at("fresh", true));
		fail_in_mid_batch();
		assert_int_equal(do_unlink(v, lookup("debug/deps"), "fresh"),
				 0);
		work(20);
		assert_int_equal(flush_now(v), 0);
		take_image(&was);
		do_release(open_at("fresh", true));
		fail_in_mid_batch();
		die();
		start();
		take_image(&is);
		check_equal(false);
	}
	check_store();
	image_release(&was);
	image_release(&is);
}

/* What the kernel tells one sync it does not tell the next. */
static void no_sync_speaks_for_one_that_failed(void **state)
{
	static const char *const path = "debug/deps/x-0123456789abcdef.d";
	struct handle *h;

	(void)state;
	make_dirs();
	h = open_at("x-0123456789abcdef.d", true);
	assert_int_equal(do_fallocate(h, 0, 0, FILE_MAX), 0);
	do_release(h);
	fail_sync = true;
	assert_int_equal(do_fsyncdir(v, VIEW_ROOT_INO), -ENOSPC);
	assert_false(fail_sync);
	assert_int_equal(do_fsyncdir(v, VIEW_ROOT_INO), -ENOSPC);
	assert_false(is_synced(path));
}

/* As many as are made durable by one sync. */
static void a_round_of_many_and_a_power_cut(void **state)
{
	char name[64];
	int before;

	(void)state;
	pretend_other_boot();
	make_dirs();
	for (int i = 0; i < 20; i++) {
		struct handle *h;
		uint8_t bytes[FILE_MAX / 2];

		(void)snprintf(name, sizeof(name), "libm-%016d.rlib", i);
		memset(bytes, 'a' + i, sizeof(bytes));
		h = open_at(name, true);
		assert_int_equal(do_write(h, bytes, sizeof(bytes), 0), 0);
		do_release(h);
	}
	assert_int_equal(flush_now(v), 0);
	before = syncs;
	settle_now();
	assert_true(syncs > before);
	assert_int_equal(flush_now(v), 0);
	take_image(&was);
	die();
	cut_power();
	start();
	take_image(&is);
	assert_int_equal(is.count, was.count);
	check_equal(true);
	image_release(&was);
	image_release(&is);
	check_store();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(after_a_kill, setup, teardown),
		cmocka_unit_test_setup_teardown(after_a_power_cut, setup,
						teardown),
		cmocka_unit_test_setup_teardown(written_while_all_is_synced,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			no_sync_speaks_for_one_that_failed, setup, teardown),
		cmocka_unit_test_setup_teardown(half_a_batch, setup, teardown),
		cmocka_unit_test_setup_teardown(a_round_of_many_and_a_power_cut,
						setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	cmocka_set_test_filter(getenv("TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
