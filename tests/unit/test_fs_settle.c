/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs/settle.c, content.c, hot.c, without a mount: who writes a file while it is
 * being shared, or after, changes his own copy. What the kernel does through a
 * passthrough handle is played by a descriptor of the staging file.
 *
 * Red when broken: "copy-on-write" (a_shared_file_is_copied), "settle-recheck"
 * (written_while_it_is_hashed), "mapped-writer" (written_behind_our_back),
 * "second-name" (killed_before_the_commit).
 */
#include "config.h"

#include "tests/unit/fs_fixture.h"

#include <sys/syscall.h>

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

/* --- between its hash and its name ------------------------------------------ */

static bool write_at_sync;

int fdatasync(int fd)
{
	if (__atomic_exchange_n(&write_at_sync, false, __ATOMIC_ACQ_REL))
		write_some('c');
	return (int)syscall(SYS_fdatasync, fd);
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
		cmocka_unit_test_setup_teardown(written_while_it_is_hashed,
						setup, teardown),
		cmocka_unit_test_setup_teardown(written_behind_our_back, setup,
						teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	cmocka_set_test_filter(getenv("TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
