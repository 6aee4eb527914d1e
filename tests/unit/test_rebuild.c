/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store/rebuild.c, index_tree.c: from any damage to the index back to a clean
 * store, with the blobs, and with the views that can still be read.
 */
#include "config.h"

#include "tests/unit/fixture.h"

#include <dirent.h>
#include <signal.h>
#include <time.h>

#include "store/check.h"
#include "store/index.h"
#include "store/index_page.h"

#define VIEWS 6
#define FILES 300
#define FLIPS 60

struct world {
	struct place p;
	char index[128], data[160];
	char said[16384];
	struct check_report rep;
	unsigned seen; /* files with their bytes */
};

static void note(const char *problem, void *arg)
{
	struct world *w = arg;
	size_t len = strlen(w->said);

	(void)snprintf(w->said + len, sizeof(w->said) - len, "%s\n", problem);
}

static void bytes_of(uint64_t n, char bytes[64])
{
	(void)snprintf(bytes, 64, "the bytes of file %" PRIu64, n);
}

static void fill_view(struct place *p, unsigned v)
{
	struct batch b = { 0 };
	struct view_rec rec;
	char ws[32], bytes[64], name[32];

	(void)snprintf(ws, sizeof(ws), "/work/v%u", v);
	OK(views_obtain(p->st, 0, ws, 0, 0, 0755, &rec));
	p->view = rec.id;
	for (uint64_t n = 0; n < FILES; n++) {
		struct node_rec node;
		struct digest d;
		uint64_t ino = n + 2;

		bytes_of(n + v * FILES / 2, bytes);
		d = digest_of_str(bytes);
		node = blob_node(&d, strlen(bytes));
		p->next = ino;
		if (n % 16 == 0)
			OK(batch_put_blob(&b, &d, node.size,
					  stage_blob(p, bytes, &d)));
		else
			OK(batch_put_inline(&b, &d, bytes, node.size));
		if (n % 16 == 0)
			OK(batch_drop_staging(&b, ino));
		(void)snprintf(name, sizeof(name), "file-%" PRIu64, n);
		OK(batch_put_node(&b, ino, &node));
		OK(batch_put_name(&b, VIEW_ROOT_INO, name, strlen(name), ino));
	}
	p->next = FILES + 2;
	OK(commit(p, &b));
	batch_release(&b);
}

static void enter_world(struct world *w)
{
	memset(w, 0, sizeof(*w));
	enter(&w->p);
	OK(store_open(w->p.path, STORE_CREATE, &w->p.st));
	for (unsigned v = 0; v < VIEWS; v++)
		fill_view(&w->p, v);
	w->p.st = store_close(w->p.st);
	(void)snprintf(w->index, sizeof(w->index), "%s/index", w->p.path);
	(void)snprintf(w->data, sizeof(w->data), "%s/data.mdb", w->index);
}

static int see_node(uint64_t ino, const struct node_rec *rec, void *arg)
{
	struct world *w = arg;
	char bytes[64];
	struct digest d;
	size_t len;

	if (ino == VIEW_ROOT_INO)
		return 0;
	OK(blob_read_inline(w->p.st, &rec->digest, 0, bytes, sizeof(bytes),
			    &len));
	assert_int_equal(len, rec->size);
	OK(digest_of(bytes, len, &d));
	assert_true(digest_equal(&d, &rec->digest));
	w->seen++;
	return 0;
}

static int see_view(const struct view_rec *rec, void *arg)
{
	struct world *w = arg;
	struct view_loader ld = { see_node, NULL, NULL, w };

	OK(views_load(w->p.st, rec->id, &ld));
	return 0;
}

/* The store is clean, works, and has given no id twice. */
static void check_works(struct world *w)
{
	struct view_rec rec;

	OK(store_open(w->p.path, 0, &w->p.st));
	w->said[0] = '\0';
	OK(store_check(w->p.st, CHECK_READ_DATA, note, w, &w->rep));
	if (w->rep.damaged)
		fail_msg("not clean: %s", w->said);
	w->seen = 0;
	OK(views_foreach(w->p.st, see_view, w));
	OK(views_obtain(w->p.st, 0, "/work/new", 0, 0, 0755, &rec));
	w->p.view = rec.id;
	w->p.next = 2;
	(void)add_inline(&w->p, "new", "new");
	w->p.st = store_close(w->p.st);
}

static unsigned quarantined(const struct world *w)
{
	DIR *dir = opendir(w->p.path);
	struct dirent *e;
	unsigned n = 0;

	while ((e = readdir(dir)))
		n += !strncmp(e->d_name, "index.damaged-", 14);
	(void)closedir(dir);
	return n;
}

static void rebuild(struct world *w)
{
	struct view_rec rec;

	w->said[0] = '\0';
	OK(store_rebuild(w->p.path, note, w, &w->rep));
	check_works(w);
	OK(store_open(w->p.path, 0, &w->p.st));
	OK(views_find(w->p.st, 0, "/work/new", &rec));
	w->p.st = store_close(w->p.st);
}

static void an_index_that_is_well(void **state)
{
	struct world w;

	(void)state;
	enter_world(&w);
	rebuild(&w);
	assert_int_equal(w.seen, VIEWS * FILES);
	assert_int_equal(quarantined(&w), 1);
	leave(&w.p);
}

static void no_index(void **state)
{
	struct view_rec rec;
	struct world w;
	uint64_t freed;

	(void)state;
	enter_world(&w);
	remove_tree(w.index);
	assert_int_equal(store_open(w.p.path, 0, &w.p.st), -EBADMSG);
	rebuild(&w);
	assert_int_equal(w.seen, 0);
	assert_int_equal(w.rep.blobs > 0, 1);
	OK(store_open(w.p.path, 0, &w.p.st));
	OK(views_find(w.p.st, 0, "/work/new", &rec));
	/* The names of their staging directories tell which were used. */
	assert_int_equal(rec.id, VIEWS + 1);
	OK(blob_sweep(w.p.st, 0, 10000, &freed));
	assert_true(freed > 0);
	leave(&w.p);
}

static void truncated(void **state)
{
	static const off_t parts[] = { 0, 4096, 8192, 30000 };
	struct world w;

	(void)state;
	for (size_t i = 0; i < 7; i++) {
		off_t size;
		int fd;

		enter_world(&w);
		fd = open(w.data, O_RDONLY);
		size = lseek(fd, 0, SEEK_HOLE);
		OK(close(fd));
		if (i < ARRAY_LEN(parts))
			size = parts[i];
		else
			size = size * ((off_t)i - 3) / 4;
		OK(truncate(w.data, size));
		assert_int_equal(store_open(w.p.path, 0, &w.p.st), -EBADMSG);
		rebuild(&w);
		leave(&w.p);
	}
}

static void garbage(void **state)
{
	struct world w;
	char path[200];
	int fd;

	(void)state;
	enter_world(&w);
	fd = open(w.data, O_WRONLY | O_TRUNC);
	for (int i = 0; i < 1000; i++)
		OK(write_full(fd, "garbage, all of it, ", 20));
	OK(close(fd));
	(void)snprintf(path, sizeof(path), "%s/format", w.p.path);
	fd = open(path, O_WRONLY | O_TRUNC);
	OK(close(fd));
	assert_int_equal(store_open(w.p.path, 0, &w.p.st), -EBADMSG);
	rebuild(&w);
	assert_int_equal(w.seen, 0);
	leave(&w.p);
}

static void a_lock_file_of_garbage(void **state)
{
	struct world w;
	char path[200];
	int fd;

	(void)state;
	enter_world(&w);
	(void)snprintf(path, sizeof(path), "%s/lock.mdb", w.index);
	fd = open(path, O_WRONLY | O_TRUNC);
	OK(write_full(fd, "garbage", 7));
	OK(close(fd));
	/* Nobody else has it open: LMDB makes it anew. */
	OK(store_open(w.p.path, 0, &w.p.st));
	w.p.st = store_close(w.p.st);
	check_works(&w);
	leave(&w.p);
}

/* One zeroed page at a time. */
static void zeroed_pages(void **state)
{
	static const char zeros[4096];
	unsigned survived = 0;
	struct world w;
	off_t used;
	int fd;

	(void)state;
	for (int i = 0; i < 12; i++) {
		enter_world(&w);
		fd = open(w.data, O_RDWR);
		used = lseek(fd, 0, SEEK_HOLE) / 4096;
		OK(pwrite_full(fd, zeros, sizeof(zeros),
			       4096 * (2 + (used - 2) * i / 12)));
		OK(close(fd));
		rebuild(&w);
		survived += w.seen;
		leave(&w.p);
	}
	printf("# a lost page, 12 times: %u of %d files survive\n", survived,
	       12 * VIEWS * FILES);
	assert_true(survived > 12 * VIEWS * FILES * 19 / 20);
}

static void flip(const struct world *w, size_t at, uint8_t bit)
{
	int fd = open(w->data, O_RDWR);
	uint8_t c;
	size_t n;

	OK(pread_full(fd, &c, 1, (off_t)at, &n));
	c ^= bit;
	OK(pwrite_full(fd, &c, 1, (off_t)at));
	OK(close(fd));
}

/* What an administrator does: fsck, and a rebuild if it says so. */
static int repair(struct world *w)
{
	int r;

	w->said[0] = '\0';
	r = store_open(w->p.path, 0, &w->p.st);
	if (r == 0)
		r = store_check(w->p.st, CHECK_READ_DATA | CHECK_REPAIR, note,
				w, &w->rep);
	w->p.st = store_close(w->p.st);
	if (r == -EBADMSG) {
		w->said[0] = '\0';
		OK(store_rebuild(w->p.path, note, w, &w->rep));
		return 1;
	}
	OK(r);
	return 0;
}

static void flipped_bits(void **state)
{
	unsigned rebuilt = 0, files = 0;
	struct world w;

	(void)state;
	srandom(3);
	for (int i = 0; i < FLIPS; i++) {
		size_t at, used = 0;
		int fd;

		enter_world(&w);
		fd = open(w.data, O_RDONLY);
		used = (size_t)lseek(fd, 0, SEEK_HOLE);
		OK(close(fd));
		at = (size_t)random() % used;
		if (i % 2)
			at = at / 4096 * 4096 + (size_t)random() % 64;
		flip(&w, at, (uint8_t)(1 << random() % 8));
		rebuilt += (unsigned)repair(&w);
		check_works(&w);
		files += w.seen;
		leave(&w.p);
	}
	printf("# of %d, %u rebuilt; %u of %u files survive\n", FLIPS, rebuilt,
	       files, FLIPS * VIEWS * FILES);
	assert_true(files > FLIPS * VIEWS * FILES / 10 * 8);
}

#define SMALL_VIEWS 2

static int count_view(const struct view_rec *rec, void *arg)
{
	(void)rec;
	++*(unsigned *)arg;
	return 0;
}

static void copy_store(const char *from, const char *to)
{
	char command[300];

	remove_tree(to);
	(void)snprintf(command, sizeof(command), "cp -a '%s' '%s'", from, to);
	OK(system(command));
}

static unsigned rows_of_page(const char *data, off_t number)
{
	uint8_t page[4096] = { 0 };
	int fd = open(data, O_RDONLY);
	struct page pg = { 0 };
	size_t n;

	OK(pread_full(fd, page, sizeof(page), number * 4096, &n));
	OK(close(fd));
	if (page_parse(page, sizeof(page), (uint64_t)number, &pg) < 0 ||
	    pg.kind != PAGE_LEAF)
		return 0;
	return pg.count;
}

/* Every page is lost once: what was not on it comes back, and no view is
 * lost. */
static void each_page(void **state)
{
	unsigned lost, worst = 0, all = SMALL_VIEWS * FILES + 2;
	static const char zeros[4096];
	char pristine[128];
	struct world w;
	off_t pages;
	int fd;

	(void)state;
	memset(&w, 0, sizeof(w));
	enter(&w.p);
	OK(store_open(w.p.path, STORE_CREATE, &w.p.st));
	for (unsigned v = 0; v < SMALL_VIEWS; v++)
		fill_view(&w.p, v);
	/* What is lost with the newest meta page: the last commit. */
	(void)add_inline(&w.p, "last", "last");
	(void)add_inline(&w.p, "very last", "very last");
	w.p.st = store_close(w.p.st);
	(void)snprintf(w.data, sizeof(w.data), "%s/index/data.mdb", w.p.path);
	(void)snprintf(pristine, sizeof(pristine), "%s/pristine", w.p.dir);
	copy_store(w.p.path, pristine);
	fd = open(w.data, O_RDONLY);
	pages = lseek(fd, 0, SEEK_HOLE) / 4096;
	OK(close(fd));
	for (off_t i = 0; i < pages; i++) {
		unsigned views = 0, rows, rebuilt;

		copy_store(pristine, w.p.path);
		rows = i < 2 ? 1 : rows_of_page(w.data, i);
		fd = open(w.data, O_RDWR);
		OK(pwrite_full(fd, zeros, sizeof(zeros), i * 4096));
		OK(close(fd));
		rebuilt = (unsigned)repair(&w);
		OK(store_open(w.p.path, 0, &w.p.st));
		OK(views_foreach(w.p.st, count_view, &views));
		w.p.st = store_close(w.p.st);
		check_works(&w);
		lost = all - w.seen;
		worst = MAX(worst, lost);
		if (lost > 2 * rows || (lost && !rebuilt) ||
		    views != SMALL_VIEWS)
			fail_msg("page %d of %d, %u rows: %u files lost, "
				 "%u views left, %srebuilt",
				 (int)i, (int)pages, rows, lost, views,
				 rebuilt ? "" : "not ");
	}
	printf("# each of %d pages: at most %u of %u files lost\n", (int)pages,
	       worst, all);
	leave(&w.p);
}

static void busy(void **state)
{
	struct check_report rep;
	struct world w;
	int fds[2];
	pid_t pid;
	char c;

	(void)state;
	enter_world(&w);
	OK(store_open(w.p.path, 0, &w.p.st));
	assert_int_equal(store_rebuild(w.p.path, NULL, NULL, &rep), -EBUSY);
	w.p.st = store_close(w.p.st);
	OK(pipe(fds));
	pid = fork_child();
	if (pid == 0) {
		OK(store_open(w.p.path, 0, &w.p.st));
		OK(write_full(fds[1], "x", 1));
		for (;;)
			(void)pause();
	}
	assert_int_equal(read(fds[0], &c, 1), 1);
	assert_int_equal(store_rebuild(w.p.path, NULL, NULL, &rep), -EBUSY);
	OK(kill(pid, SIGKILL));
	(void)wait_for(pid);
	OK(store_rebuild(w.p.path, NULL, NULL, &rep));
	check_works(&w);
	leave(&w.p);
}

static void not_a_store(void **state)
{
	struct check_report rep;
	struct place p;

	(void)state;
	enter(&p);
	assert_int_equal(store_rebuild(p.path, NULL, NULL, &rep), -ENOENT);
	OK(mkdir(p.path, 0700));
	assert_int_equal(store_rebuild(p.path, NULL, NULL, &rep), -ENOENT);
	leave(&p);
}

static void killed_while_rebuilding(void **state)
{
	struct check_report rep;
	struct timespec pause = { 0 };
	struct world w;
	pid_t pid;
	int r = 0;

	(void)state;
	enter_world(&w);
	srandom(8);
	for (int i = 0; i < 30; i++) {
		pid = fork_child();
		if (pid == 0)
			_exit(store_rebuild(w.p.path, NULL, NULL, &rep) != 0);
		pause.tv_nsec = random() % 60000000;
		(void)nanosleep(&pause, NULL);
		(void)kill(pid, SIGKILL);
		(void)wait_for(pid);
	}
	/* The killed one's locks go a moment after it. */
	pause.tv_nsec = 10000000;
	for (int i = 0; i < 500; i++) {
		r = store_rebuild(w.p.path, NULL, NULL, &rep);
		if (r != -EBUSY)
			break;
		(void)nanosleep(&pause, NULL);
	}
	OK(r);
	rebuild(&w);
	assert_int_equal(w.seen, VIEWS * FILES);
	leave(&w.p);
}

int main(void)
{
#ifdef __SANITIZE_THREAD__
	/* LMDB writes where a damaged page says; with this heap that is
	 * sometimes the sanitizer's own memory. */
	return 77;
#endif
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_index_that_is_well),
		cmocka_unit_test(no_index),
		cmocka_unit_test(truncated),
		cmocka_unit_test(garbage),
		cmocka_unit_test(a_lock_file_of_garbage),
		cmocka_unit_test(zeroed_pages),
		cmocka_unit_test(flipped_bits),
		cmocka_unit_test(each_page),
		cmocka_unit_test(busy),
		cmocka_unit_test(not_a_store),
		cmocka_unit_test(killed_while_rebuilding),
	};

	return RUN_TAP(tests);
}
