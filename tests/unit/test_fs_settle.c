/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs/settle.c, content.c, hot.c, without a mount: who writes a file while it is
 * being shared, or after, changes his own copy. What the kernel does through a
 * passthrough handle is played by a descriptor of the staging file.
 *
 * Red when broken: "copy-on-write" (a_shared_file_is_copied), "settle-recheck"
 * (written_while_it_is_hashed), "mapped-writer" (written_behind_our_back),
 * "second-name" (killed_before_the_commit), "flux-mark"
 * (committed_while_it_is_opened).
 */
#include "config.h"

#include "tests/unit/fs_fixture.h"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "fs/sync.h"
#include "fs/file.h"
#include "fs/worker.h"
#include "store/base/macros.h"
#include "store/blob.h"

#define LEN 50000
#define NAME "libx-0123456789abcdef.rlib"

static uint8_t want[LEN];
static uint64_t ino;

static struct handle *open_file(int flags)
{
	struct opened o;

	assert_int_equal(do_open(v, ino, flags, &o), 0);
	return o.handle;
}

static void fill(int c)
{
	memset(want, c, sizeof(want));
}

/* A committed artifact of a closed file; its bytes are @want. */
static void make_file(void)
{
	struct opened o;
	struct entry e;

	make_dirs();
	fill('a');
	assert_int_equal(do_create(v, lookup("debug/deps"), NAME, 0644, O_RDWR,
				   (struct caller){ 0 }, &e, &o),
			 0);
	ino = e.st.st_ino;
	assert_int_equal(do_write(o.handle, want, sizeof(want), 0), 0);
	do_release(o.handle);
	assert_int_equal(flush_now(v), 0);
}

static void check_file(void)
{
	struct handle *h = open_file(O_RDONLY);
	uint8_t got[LEN + 1];

	assert_int_equal(do_read(h, got, sizeof(got), 0), LEN);
	assert_memory_equal(got, want, LEN);
	do_release(h);
}

static bool is_shared(void)
{
	return node_find_locked(v, ino)->content == CONTENT_BLOB;
}

static void write_some(int c)
{
	struct handle *h = open_file(O_RDWR);

	memset(want + 1000, c, 10);
	assert_int_equal(do_write(h, want + 1000, 10, 1000), 0);
	do_release(h);
}

static void a_shared_file_is_copied(void **state)
{
	(void)state;
	make_file();
	settle_now();
	assert_true(is_shared());
	write_some('b');
	assert_false(is_shared());
	check_file();
	check_store();
	check_file();
}

/* The bytes have a blob's name already, and their row says that they are
 * private. */
static void killed_before_the_commit(void **state)
{
	(void)state;
	make_file();
	settle_now();
	assert_true(is_shared());
	die();
	start();
	assert_false(is_shared());
	write_some('e');
	check_file();
	check_store();
	check_file();
}

/* --- beside a reader by passthrough ---------------------------------------- */

/* No kernel is there to give it a backing id. */
static struct handle *open_passthrough(void)
{
	struct handle *h = open_file(O_RDONLY);
	struct file *f = node_find_locked(v, h->ino)->file;

	h->passthrough = true;
	f->cached--;
	f->passthrough++;
	return h;
}

/* Opens the file to write it, which has such a reader: its names get another
 * node. The notifier has nobody to tell. */
static void replace(void)
{
	uint64_t old = ino;
	struct opened o;

	assert_int_equal(worker_pool_new(1, &m.notifier), 0);
	assert_int_equal(do_open(v, ino, O_RDWR, &o), -ESTALE);
	worker_pool_free(TAKE_PTR(m.notifier));
	ino = lookup("debug/deps/" NAME);
	assert_true(ino != 0 && ino != old);
}

static void check_reader(struct handle *h, int c)
{
	uint8_t got[LEN + 1];

	assert_int_equal(do_read(h, got, sizeof(got), 0), LEN);
	for (size_t i = 0; i < LEN; i++)
		assert_int_equal(got[i], c);
	do_release(h);
}

/* The old node's row is put once more, and names the blob that only the new
 * one, which is private by now, has been told to bring. */
static void replaced_before_the_commit(void **state)
{
	struct handle *h;

	(void)state;
	make_file();
	settle_now();
	assert_true(is_shared());
	h = open_passthrough();
	replace();
	write_some('f');
	assert_false(is_shared());
	assert_int_equal(flush_now(v), 0);
	check_reader(h, 'a');
	check_file();
	check_store();
	check_file();
}

/* It has a blob's name and is a staging file by its row: as between the two
 * steps, or after a crash there. */
static void replaced_with_a_second_name(void **state)
{
	struct handle *h;

	(void)state;
	make_file();
	settle_now();
	die();
	start();
	ino = lookup("debug/deps/" NAME);
	assert_false(is_shared());
	h = open_passthrough();
	replace();
	write_some('g');
	assert_int_equal(flush_now(v), 0);
	check_reader(h, 'a');
	check_file();
	check_store();
	check_file();
}

/* Until the notifier has run, the kernel still knows the old node by its other
 * names: nothing that is asked of it may be lost with it. */
static void asked_of_the_replaced_one(void **state)
{
	struct stat st = { .st_mode = 0600, .st_mtim.tv_sec = 1000 };
	struct handle *h;
	struct opened o;
	struct entry e;
	uint64_t old;
	char x;

	(void)state;
	make_file();
	assert_int_equal(do_lookup(v, lookup("debug/deps"), NAME, &e), 0);
	assert_int_equal(do_setxattr(v, ino, "user.a", "1", 1, 0), 0);
	settle_now();
	h = open_passthrough();
	old = ino;
	replace();
	do_release(h);

	assert_int_equal(do_open(v, old, O_WRONLY, &o), -ESTALE);
	assert_int_equal(do_open(v, old, O_RDONLY, &o), -ESTALE);
	assert_int_equal(do_setattr(v, old, SET_SIZE, &st, &e), -ESTALE);
	assert_int_equal(do_setattr(v, old, SET_MODE | SET_MTIME, &st, &e), 0);
	assert_int_equal(e.st.st_ino, old);
	assert_int_equal(e.st.st_mtim.tv_sec, 1000);
	assert_int_equal(do_getxattr(v, old, "user.a", &x, 1), 1);
	assert_int_equal(do_setxattr(v, old, "user.b", "2", 1, 0), 0);
	assert_int_equal(do_link(v, old, VIEW_ROOT_INO, "other", &e), 0);
	assert_int_equal(e.st.st_ino, ino);
	do_forget(v, ino, 1);
	do_forget(v, old, 1);

	assert_int_equal(do_getattr(v, ino, &e), 0);
	assert_int_equal(e.st.st_mode & 07777, 0600);
	assert_int_equal(e.st.st_mtim.tv_sec, 1000);
	assert_int_equal(e.st.st_nlink, 2);
	assert_int_equal(do_getxattr(v, ino, "user.b", &x, 1), 1);
	assert_int_equal(x, '2');
	check_file();
	check_store();
}

/* A row that the index refuses, for whatever reason, is the end of its file
 * but not of all commits. */
static void one_row_is_refused(void **state)
{
	struct handle *h;
	struct node *n;
	struct entry e;

	(void)state;
	make_file();
	settle_now();
	assert_true(is_shared());
	h = open_file(O_RDONLY);
	n = node_find_locked(v, ino);
	n->flags &= ~(unsigned)NF_BLOB_NEW; /* nothing brings the blob */
	assert_int_equal(do_mknod(v, VIEW_ROOT_INO, "other", S_IFREG | 0644,
				  (struct caller){ 0 }, &e),
			 0);
	do_forget(v, e.st.st_ino, 1);
	assert_int_equal(flush_now(v), -EIO);
	assert_true(lookup("debug/deps/" NAME) == 0);
	check_reader(h, 'a');
	assert_int_equal(flush_now(v), 0);
	check_store();
	assert_true(lookup("debug/deps/" NAME) == 0);
	assert_true(lookup("other") != 0);
}

/* --- between its hash and its name ------------------------------------------ */

static bool write_at_sync;
static struct handle *open_at_sync;

int fdatasync(int fd)
{
	struct handle *h;

	if (__atomic_exchange_n(&write_at_sync, false, __ATOMIC_ACQ_REL))
		write_some('c');
	h = __atomic_exchange_n(&open_at_sync, NULL, __ATOMIC_ACQ_REL);
	if (h) {
		memset(want, 'w', 100);
		assert_int_equal(do_write(h, want, 100, 0), 0);
		do_release(h);
		assert_int_equal(flush_now(v), 0);
	}
	return (int)syscall(SYS_fdatasync, fd);
}

/* --- a disk that does not take it ------------------------------------------- */

#define MANY 20

static bool fail_sync; /* the next of everything, as the kernel tells once */
static int syncs;
static ino_t bad_file;	  /* its bytes are not on disk */
static int64_t ahead_sec; /* of the clock */

int syncfs(int fd)
{
	(void)__atomic_fetch_add(&syncs, 1, __ATOMIC_RELAXED);
	if (__atomic_exchange_n(&fail_sync, false, __ATOMIC_ACQ_REL)) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_syncfs, fd);
}

int sync_file_range(int fd, off_t off, off_t len, unsigned flags)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	if (bad_file == st.st_ino && flags & SYNC_FILE_RANGE_WAIT_BEFORE) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_sync_file_range, fd, off, len, flags);
}

int clock_gettime(clockid_t id, struct timespec *t)
{
	int r = (int)syscall(SYS_clock_gettime, id, t);

	if (id == CLOCK_MONOTONIC)
		t->tv_sec += __atomic_load_n(&ahead_sec, __ATOMIC_RELAXED);
	return r;
}

/* Its number; it has a row and is closed. */
static uint64_t make_one(const char *name, int c)
{
	struct opened o;
	struct entry e;

	fill(c);
	assert_int_equal(do_create(v, lookup("debug/deps"), name, 0644, O_RDWR,
				   (struct caller){ 0 }, &e, &o),
			 0);
	assert_int_equal(do_write(o.handle, want, sizeof(want), 0), 0);
	do_release(o.handle);
	return e.st.st_ino;
}

static void make_many(uint64_t inos[MANY])
{
	char name[64];

	make_dirs();
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(name, sizeof(name), "liba%d-%016d.rlib", i, i);
		inos[i] = make_one(name, 'a' + i);
	}
	assert_int_equal(flush_now(v), 0);
}

static int count_shared(const uint64_t inos[MANY])
{
	int n = 0;

	lock_acquire(&v->lock);
	for (int i = 0; i < MANY; i++)
		n += node_find_locked(v, inos[i])->content == CONTENT_BLOB;
	lock_release(&v->lock);
	return n;
}

/* Time passes until @want_count of them are shared, or for ten minutes. */
static void wait_shared(const uint64_t inos[MANY], int want_count)
{
	char name[32];

	for (int i = 0; i < 100 && count_shared(inos) != want_count; i++) {
		(void)__atomic_fetch_add(&ahead_sec, 6, __ATOMIC_RELAXED);
		/* The settler looks at the clock when there is a new file. */
		(void)snprintf(name, sizeof(name), "new-%d", i);
		(void)make_one(name, 'n');
		assert_int_equal(flush_now(v), 0);
		(void)usleep(20000);
	}
	assert_int_equal(count_shared(inos), want_count);
}

static void a_round_that_is_not_synced_is_tried_again(void **state)
{
	uint64_t inos[MANY];

	(void)state;
	make_many(inos);
	__atomic_store_n(&fail_sync, true, __ATOMIC_RELEASE);
	wait_shared(inos, MANY);
	assert_false(__atomic_load_n(&fail_sync, __ATOMIC_ACQUIRE));
	assert_true(__atomic_load_n(&syncs, __ATOMIC_RELAXED) >= 2);
	check_store();
}

/* Neither shared nor called synced, whoever has been told of it first. */
static void bytes_that_did_not_reach_the_disk(void **state)
{
	uint64_t inos[MANY];
	struct stat st;
	struct node *n;
	int fd;

	(void)state;
	make_many(inos);
	n = node_find_locked(v, inos[7]);
	assert_int_equal(
		staging_open(v->store, v->id, n->staging_id, O_RDONLY, &fd), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(close(fd), 0);
	bad_file = st.st_ino;
	settle_now();
	assert_int_equal(count_shared(inos), MANY - 1);
	bad_file = 0;
	assert_int_equal(do_fsync(v, inos[7]), 0);
	assert_int_equal(do_fsyncdir(v, VIEW_ROOT_INO), 0);
	assert_false(n->flags & NF_SYNCED);
	settle_now();
	assert_int_equal(count_shared(inos), MANY - 1);
	/* It is cargo's: after the end of this mount it is built again. */
	assert_int_equal(flush_now(v), 0);
	die();
	start();
	assert_null(node_find_locked(v, inos[7]));
	assert_non_null(node_find_locked(v, inos[8]));
}

static void written_while_it_is_hashed(void **state)
{
	(void)state;
	make_file();
	write_at_sync = true;
	settle_now();
	assert_false(write_at_sync);
	check_file();
	check_store();
	check_file();
}

/* --- a file that cannot be opened ------------------------------------------- */

static int open_error; /* of staging files */

int openat(int dir, const char *name, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	va_start(ap, flags);
	if (flags & O_CREAT)
		mode = va_arg(ap, mode_t);
	va_end(ap);
	if (open_error && strncmp(name, "00000001/", 9) == 0) {
		errno = open_error;
		return -1;
	}
	return (int)syscall(SYS_openat, dir, name, flags, mode);
}

/* What gcc makes of it with _FORTIFY_SOURCE; the header has its prototype. */
#if __USE_FORTIFY_LEVEL > 0 && defined(__va_arg_pack_len)
int __openat_2(int dir, const char *name, int flags)
{
	return openat(dir, name, flags & ~O_CREAT);
}
#endif

static void no_descriptor_at_attach(void **state)
{
	(void)state;
	make_file();
	die();
	open_error = EMFILE;
	assert_int_equal(try_start(), -EMFILE);
	open_error = 0;
	settler_stop(m.settler, 0);
	end_mount();
	start();
	check_file();
}

static void a_file_that_cannot_be_opened_is_kept(void **state)
{
	struct handle *h;
	char byte;

	(void)state;
	make_file();
	die();
	open_error = EIO;
	start();
	settle_now();
	assert_int_equal(lookup("debug/deps/" NAME), ino);
	h = open_file(O_RDONLY);
	assert_int_equal(do_read(h, &byte, 1, 0), -EIO);
	do_release(h);
	open_error = 0;
	check_store();
	check_file();
}

static void a_file_that_is_gone_is_dropped(void **state)
{
	(void)state;
	make_file();
	assert_int_equal(staging_unlink(v->store, v->id,
					node_find_locked(v, ino)->staging_id),
			 0);
	die();
	start();
	assert_int_equal(lookup("debug/deps/" NAME), 0);
	check_store();
}

/* --- times ------------------------------------------------------------------ */

static void set_mtime(int64_t sec, struct timespec *ret_mtime)
{
	struct stat st = { .st_mtim.tv_sec = sec };
	struct entry e;

	assert_int_equal(do_setattr(v, ino, SET_MTIME, &st, &e), 0);
	*ret_mtime = e.st.st_mtim;
}

/* They come back from the index as they were set. */
static void times_out_of_range(void **state)
{
	static const int64_t secs[] = { INT64_MAX, INT64_MAX / 1000000000, -1,
					INT64_MIN / 1000000000, INT64_MIN };
	struct timespec set;
	struct entry e;

	(void)state;
	make_file();
	for (size_t i = 0; i < ARRAY_LEN(secs); i++) {
		set_mtime(secs[i], &set);
		assert_int_equal(flush_now(v), 0);
		die();
		start();
		ino = lookup("debug/deps/" NAME);
		assert_int_equal(do_getattr(v, ino, &e), 0);
		assert_int_equal(e.st.st_mtim.tv_sec, set.tv_sec);
		assert_int_equal(e.st.st_mtim.tv_nsec, set.tv_nsec);
	}
	assert_int_equal(set.tv_sec, INT64_MIN / 1000000000 - 1);
}

/* --- while another is made durable ------------------------------------------- */

/* It had a writer when the round began; the writer ends, all is committed, and
 * the settler, who has the file in its round still, is told of it. */
static void written_and_committed_during_a_round(void **state)
{
	(void)state;
	make_file();
	(void)make_one("liby-00000000deadbeef.rlib", 'y');
	assert_int_equal(flush_now(v), 0);
	fill('a');
	open_at_sync = open_file(O_RDWR);
	settle_now();
	assert_null(open_at_sync);
	assert_true(is_shared());
	check_file();
	check_store();
	check_file();
}

/* --- committed while it is opened ------------------------------------------- */

static int stamps_to_flush; /* the flusher comes at the last of them */

/* An open to write stamps the file's times just before it is marked. */
int futimens(int fd, const struct timespec t[2])
{
	if (t && stamps_to_flush > 0 && --stamps_to_flush == 0)
		assert_int_equal(flush_now(v), 0);
	return (int)syscall(SYS_utimensat, fd, NULL, t, 0);
}

/* Not one byte of the new ones may be there after a kill, if the file is. */
static void overwrite_and_die(const uint8_t *old)
{
	uint8_t got[LEN + 1];
	struct handle *h;

	h = open_file(O_RDWR);
	memset(want, 'Z', 100);
	assert_int_equal(do_write(h, want, 100, 0), 0);
	stamps_to_flush = 0;
	free(h);
	die();
	start();
	ino = lookup("debug/deps/" NAME);
	if (ino == 0)
		return;
	h = open_file(O_RDONLY);
	assert_int_equal(do_read(h, got, sizeof(got), 0), LEN);
	assert_memory_equal(got, old, LEN);
	do_release(h);
}

static void committed_while_it_is_opened(void **state)
{
	uint8_t old[LEN];
	struct opened o;
	struct entry e;

	(void)state;
	make_dirs();
	assert_int_equal(flush_now(v), 0);
	fill('a');
	memcpy(old, want, LEN);
	assert_int_equal(do_create(v, lookup("debug/deps"), NAME, 0644, O_RDWR,
				   (struct caller){ 0 }, &e, &o),
			 0);
	ino = e.st.st_ino;
	assert_int_equal(do_write(o.handle, want, sizeof(want), 0), 0);
	do_release(o.handle);
	stamps_to_flush = 1;
	overwrite_and_die(old);
}

/* The copy is stamped when it is made, and when its writer is counted. */
static void committed_while_it_is_copied(void **state)
{
	uint8_t old[LEN];

	(void)state;
	for (int stamps = 1; stamps <= 2; stamps++) {
		make_file();
		memcpy(old, want, LEN);
		settle_now();
		assert_int_equal(flush_now(v), 0);
		assert_true(is_shared());
		stamps_to_flush = stamps;
		overwrite_and_die(old);
		if (ino != 0)
			assert_int_equal(
				do_unlink(v, lookup("debug/deps"), NAME), 0);
	}
}

/* --- by the kernel ------------------------------------------------------------ */

static void written_behind_our_back(void **state)
{
	struct handle *h;
	int fd;

	(void)state;
	make_file();
	h = open_file(O_RDWR);
	assert_int_equal(staging_open(v->store, v->id,
				      node_find_locked(v, ino)->staging_id,
				      O_RDWR, &fd),
			 0);
	do_release(h);
	settle_now();
	assert_false(is_shared());
	fill('d');
	assert_int_equal(pwrite(fd, want, sizeof(want), 0), sizeof(want));
	assert_int_equal(close(fd), 0);
	assert_int_equal(flush_now(v), 0);
	settle_now();
	assert_true(is_shared());
	check_file();
	check_store();
	check_file();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_shared_file_is_copied, setup,
						teardown),
		cmocka_unit_test_setup_teardown(killed_before_the_commit, setup,
						teardown),
		cmocka_unit_test_setup_teardown(replaced_before_the_commit,
						setup, teardown),
		cmocka_unit_test_setup_teardown(replaced_with_a_second_name,
						setup, teardown),
		cmocka_unit_test_setup_teardown(asked_of_the_replaced_one,
						setup, teardown),
		cmocka_unit_test_setup_teardown(one_row_is_refused, setup,
						teardown),
		cmocka_unit_test_setup_teardown(written_while_it_is_hashed,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			written_and_committed_during_a_round, setup, teardown),
		cmocka_unit_test_setup_teardown(committed_while_it_is_opened,
						setup, teardown),
		cmocka_unit_test_setup_teardown(committed_while_it_is_copied,
						setup, teardown),
		cmocka_unit_test_setup_teardown(written_behind_our_back, setup,
						teardown),
		cmocka_unit_test_setup_teardown(times_out_of_range, setup,
						teardown),
		cmocka_unit_test_setup_teardown(no_descriptor_at_attach, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			a_file_that_cannot_be_opened_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_that_is_gone_is_dropped,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_round_that_is_not_synced_is_tried_again, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			bytes_that_did_not_reach_the_disk, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	cmocka_set_test_filter(getenv("TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
