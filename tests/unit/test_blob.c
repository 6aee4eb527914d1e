/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store/blob.c, sweep.c: blob files and their order of durability, staging
 * files, sweeping against linking.
 *
 * Red when broken: "link-sync" (the_order_of_*), "sweep-grace"
 * (grace_is_kept), "sweep-recheck"
 * (a_blob_revived_meanwhile_stays), "commit-blob-check"
 * (link_and_sweep_at_once), "link-size" (a_file_that_changed_is_refused),
 * "adopt-ctime" (adoption_renews_ctime), "adopt-size"
 * (a_damaged_blob_is_replaced), "revive-check"
 * (a_dead_row_without_a_file_is_not_revived).
 */
#include "config.h"

#include "tests/unit/fixture.h"

#include <signal.h>
#include <sys/syscall.h>
#include <time.h>

#include "store/index.h"
#include "store/lease.h"
#include "store/refs.h"

/* What the store calls, in order: D fdatasync, F fsync, S syncfs, L linkat. */
static char calls[64];
static bool recording;

static void record(char c)
{
	size_t n = strlen(calls);

	if (recording && n + 1 < sizeof(calls))
		calls[n] = c;
}

/* The disk has not taken the bytes of this descriptor's file; as the kernel
 * does, whoever syncs everything is told once that there is such a file. */
static int bad_fd = -1;
static bool bad_is_new;

static int disk_error(bool yes)
{
	errno = EIO;
	return yes ? -1 : 0;
}

int fdatasync(int fd)
{
	record('D');
	if (bad_fd >= 0 && fd == bad_fd)
		return disk_error(true);
	return (int)syscall(SYS_fdatasync, fd);
}

int sync_file_range(int fd, off_t off, off_t len, unsigned flags)
{
	(void)off;
	(void)len;
	return disk_error(bad_fd >= 0 && fd == bad_fd &&
			  flags & SYNC_FILE_RANGE_WAIT_BEFORE);
}

int fsync(int fd)
{
	record('F');
	return (int)syscall(SYS_fsync, fd);
}

int syncfs(int fd)
{
	record('S');
	if (bad_is_new) {
		bad_is_new = false;
		return disk_error(true);
	}
	return (int)syscall(SYS_syncfs, fd);
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	record('L');
	return (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
}

static int link_recorded(struct place *p, uint64_t id, const char *bytes)
{
	struct digest d = digest_of_str(bytes);
	int fd, r;

	OK(staging_open(p->st, p->view, id, O_RDONLY, &fd));
	memset(calls, 0, sizeof(calls));
	recording = true;
	r = link_durably(p, id, fd, &d, strlen(bytes));
	recording = false;
	OK(close(fd));
	return r;
}

static void the_order_of_link(void **state)
{
	struct place p;

	(void)state;
	enter_store(&p);
	OK(link_recorded(&p, stage(&p, "one"), "one"));
	/* data; the name fails for want of its directory; the name; its
	 * directory and the one above */
	assert_string_equal(calls, "DLLFF");
	OK(link_recorded(&p, stage(&p, "one"), "one"));
	/* It is there, but who made it may not have synced the name yet. */
	assert_string_equal(calls, "DLF");
	leave(&p);
}

/* Many files: all bytes before the first name, all names at the end. */
static void the_order_of_many(void **state)
{
	struct blob_names names = { 0 };
	uint64_t id[20];
	struct digest d[20];
	struct place p;
	int fd[20], errors[20];

	(void)state;
	enter_store(&p);
	for (unsigned i = 0; i < 20; i++) {
		id[i] = stage_blob(
			&p, (const char[]){ 'a', (char)('a' + i), 0 }, &d[i]);
		OK(staging_open(p.st, p.view, id[i], O_RDONLY, &fd[i]));
	}
	memset(calls, 0, sizeof(calls));
	recording = true;
	OK(blob_sync_data(p.st, fd, 20, errors));
	for (unsigned i = 0; i < 20; i++)
		OK(blob_link(p.st, &names, p.view, id[i], fd[i], &d[i], 2));
	OK(blob_sync_names(p.st, &names));
	recording = false;
	assert_string_equal(calls, "SLLLLLLLLLLLLLLLLLLLLS");
	for (unsigned i = 0; i < 20; i++)
		OK(close(fd[i]));
	leave(&p);
}

static void sync_with_a_bad_one(struct place *p, size_t count, int fd[20],
				int first)
{
	int errors[20];

	bad_fd = fd[5];
	bad_is_new = first < 0;
	assert_int_equal(blob_sync_data(p->st, fd, count, errors), first);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(errors[i], i == 5 ? -EIO : 0);
	bad_fd = -1;
}

/* Also when another sync of everything has heard of it already. */
static void who_did_not_reach_the_disk(void **state)
{
	struct place p;
	int fd[20];

	(void)state;
	enter_store(&p);
	for (unsigned i = 0; i < 20; i++)
		OK(staging_open(p.st, p.view, stage(&p, "bytes"), O_RDONLY,
				&fd[i]));
	sync_with_a_bad_one(&p, 20, fd, -EIO);
	sync_with_a_bad_one(&p, 20, fd, 0);
	sync_with_a_bad_one(&p, 10, fd, 0);
	for (unsigned i = 0; i < 20; i++)
		OK(close(fd[i]));
	leave(&p);
}

static void contents_and_mode(void **state)
{
	char path[256], bytes[8];
	struct digest d;
	struct place p;
	struct stat s;
	uint64_t id;
	size_t n;
	int fd;

	(void)state;
	enter_store(&p);
	id = stage_blob(&p, "bytes", &d);
	blob_path(&p, &d, path, sizeof(path));
	OK(stat(path, &s));
	assert_int_equal(s.st_mode, S_IFREG | 0444);
	assert_int_equal(s.st_nlink, 2);
	OK(staging_unlink(p.st, p.view, id));
	OK(blob_open(p.st, &d, &fd));
	OK(pread_full(fd, bytes, sizeof(bytes), 0, &n));
	assert_int_equal(n, 5);
	assert_memory_equal(bytes, "bytes", 5);
	OK(close(fd));
	OK(blob_exists(p.st, &d, 5));
	assert_int_equal(blob_exists(p.st, &d, 6), -ENOENT);
	d.b[0] ^= 1;
	assert_int_equal(blob_open(p.st, &d, &fd), -ENOENT);
	leave(&p);
}

static void a_file_that_changed_is_refused(void **state)
{
	struct digest d = digest_of_str("long");
	struct place p;
	uint64_t id;
	int fd;

	(void)state;
	enter_store(&p);
	id = stage(&p, "longer");
	OK(staging_open(p.st, p.view, id, O_RDONLY, &fd));
	assert_int_equal(link_durably(&p, id, fd, &d, 4), -ESTALE);
	assert_int_equal(blob_exists(p.st, &d, 4), -ENOENT);
	OK(close(fd));
	leave(&p);
}

static void adoption_renews_ctime(void **state)
{
	struct timespec pause = { .tv_nsec = 20000000 };
	char path[256];
	struct stat a, b;
	struct digest d;
	struct place p;

	(void)state;
	enter_store(&p);
	(void)stage_blob(&p, "bytes", &d);
	blob_path(&p, &d, path, sizeof(path));
	OK(stat(path, &a));
	(void)nanosleep(&pause, NULL);
	(void)stage_blob(&p, "bytes", &d);
	OK(stat(path, &b));
	assert_int_equal(a.st_ino, b.st_ino);
	assert_true(b.st_ctim.tv_sec > a.st_ctim.tv_sec ||
		    b.st_ctim.tv_nsec > a.st_ctim.tv_nsec);
	leave(&p);
}

static void a_damaged_blob_is_replaced(void **state)
{
	char path[256];
	struct digest d;
	struct place p;
	struct stat s;

	(void)state;
	enter_store(&p);
	OK(staging_unlink(p.st, p.view, stage_blob(&p, "bytes", &d)));
	blob_path(&p, &d, path, sizeof(path));
	OK(chmod(path, 0600));
	OK(truncate(path, 2));
	(void)stage_blob(&p, "bytes", &d);
	OK(blob_exists(p.st, &d, 5));
	OK(stat(path, &s));
	assert_int_equal(s.st_nlink, 2); /* no temporary name is left */
	leave(&p);
}

static int count_file(uint64_t id, void *arg)
{
	uint64_t *sum = arg;

	*sum += id;
	return 0;
}

static void staging_files(void **state)
{
	uint64_t sum = 0, id;
	struct place p;
	int fd;

	(void)state;
	enter_store(&p);
	OK(staging_foreach(p.st, p.view, count_file, &sum));
	assert_int_equal(sum, 0);
	id = stage(&p, "a");
	assert_int_equal(staging_create(p.st, p.view, id, &fd), -EEXIST);
	OK(staging_create(p.st, p.view, UINT64_MAX - id, &fd));
	OK(close(fd));
	OK(staging_foreach(p.st, p.view, count_file, &sum));
	assert_true(sum == UINT64_MAX);
	OK(staging_unlink(p.st, p.view, id));
	assert_int_equal(staging_unlink(p.st, p.view, id), -ENOENT);
	assert_int_equal(staging_open(p.st, p.view, id, O_RDONLY, &fd),
			 -ENOENT);
	leave(&p);
}

static void inline_reads(void **state)
{
	struct digest d = digest_of_str("0123456789"), none = { { 0 } };
	struct place p;
	char buf[16];
	size_t n;

	(void)state;
	enter_store(&p);
	(void)add_inline(&p, "a", "0123456789");
	OK(blob_read_inline(p.st, &d, 0, buf, sizeof(buf), &n));
	assert_int_equal(n, 10);
	OK(blob_read_inline(p.st, &d, 7, buf, 2, &n));
	assert_int_equal(n, 2);
	assert_memory_equal(buf, "78", 2);
	OK(blob_read_inline(p.st, &d, 10, buf, 2, &n));
	assert_int_equal(n, 0);
	OK(blob_read_inline(p.st, &d, UINT64_MAX, buf, 2, &n));
	assert_int_equal(n, 0);
	assert_int_equal(blob_read_inline(p.st, &none, 0, buf, 2, &n), -ENOENT);
	leave(&p);
}

static void sweep_takes_the_dead_only(void **state)
{
	struct digest a, b, c = digest_of_str("inline");
	uint64_t freed, ino_a, ino_c;
	struct place p;
	char buf[8];
	size_t n;

	(void)state;
	enter_store(&p);
	ino_a = add_file(&p, "a", "dead");
	(void)add_file(&p, "b", "alive");
	ino_c = add_inline(&p, "c", "inline");
	a = digest_of_str("dead");
	b = digest_of_str("alive");
	OK(blob_sweep(p.st, 0, 1000, &freed));
	assert_int_equal(freed, 0);
	del_file(&p, "a", ino_a);
	del_file(&p, "c", ino_c);
	OK(blob_sweep(p.st, 0, 1000, &freed));
	assert_int_equal(freed, 10);
	assert_int_equal(blob_exists(p.st, &a, 4), -ENOENT);
	OK(blob_exists(p.st, &b, 5));
	assert_int_equal(blob_read_inline(p.st, &c, 0, buf, 8, &n), -ENOENT);
	/* It can come back. */
	(void)add_file(&p, "a", "dead");
	OK(blob_exists(p.st, &a, 4));
	leave(&p);
}

static void grace_is_kept(void **state)
{
	struct digest d = digest_of_str("dead");
	uint64_t freed, ino;
	struct place p;

	(void)state;
	enter_store(&p);
	ino = add_file(&p, "a", "dead");
	del_file(&p, "a", ino);
	OK(blob_sweep(p.st, 3600, 1000, &freed));
	assert_int_equal(freed, 0);
	OK(blob_exists(p.st, &d, 4));
	leave(&p);
}

static void sweep_keeps_to_its_maximum(void **state)
{
	uint64_t freed, ino;
	char name[32];
	struct place p;

	(void)state;
	enter_store(&p);
	for (int i = 0; i < 10; i++) {
		(void)snprintf(name, sizeof(name), "file %d", i);
		ino = add_file(&p, name, name);
		del_file(&p, name, ino);
	}
	OK(blob_sweep(p.st, 0, 3, &freed));
	assert_int_equal(freed, 3 * 6);
	OK(blob_sweep(p.st, 0, 100, &freed));
	assert_int_equal(freed, 7 * 6);
	leave(&p);
}

static void files_without_rows_are_found(void **state)
{
	uint64_t freed, sum = 0;
	struct digest d;
	struct place p;

	(void)state;
	enter_store(&p);
	OK(staging_unlink(p.st, p.view, stage_blob(&p, "orphan", &d)));
	for (int i = 0; i < 256; i++) {
		OK(blob_sweep(p.st, 3600, 10, &freed));
		sum += freed;
	}
	assert_int_equal(sum, 0);
	for (int i = 0; i < 256; i++) {
		OK(blob_sweep(p.st, 0, 10, &freed));
		sum += freed;
	}
	assert_int_equal(sum, 6);
	assert_int_equal(blob_exists(p.st, &d, 6), -ENOENT);
	leave(&p);
}

/* A dead blob whose file is gone cannot be revived by naming it. */
static void a_dead_row_without_a_file_is_not_revived(void **state)
{
	struct digest d = digest_of_str("dead");
	struct node_rec rec = blob_node(&d, 4);
	struct batch b = { 0 };
	char path[256];
	struct place p;

	(void)state;
	enter_store(&p);
	del_file(&p, "a", add_file(&p, "a", "dead"));
	blob_path(&p, &d, path, sizeof(path));
	OK(unlink(path));
	OK(batch_put_node(&b, 99, &rec));
	assert_int_equal(commit(&p, &b), -ENOENT);
	batch_release(&b);
	leave(&p);
}

/* The sweep runs between the link and the commit, without grace. */
static void the_commit_links_again(void **state)
{
	struct batch b = { 0 };
	struct node_rec rec;
	struct digest d;
	uint64_t freed, id;
	struct place p;

	(void)state;
	enter_store(&p);
	id = stage_blob(&p, "swept", &d);
	for (int i = 0; i < 256; i++)
		OK(blob_sweep(p.st, 0, 10, &freed));
	assert_int_equal(blob_exists(p.st, &d, 5), -ENOENT);
	rec = blob_node(&d, 5);
	OK(batch_put_blob(&b, &d, 5, id));
	OK(batch_put_node(&b, id, &rec));
	OK(commit(&p, &b));
	OK(blob_exists(p.st, &d, 5));
	batch_release(&b);
	leave(&p);
}

/* Children create, commit and delete the same few blobs; the parent sweeps
 * without grace all the time. Whatever is committed has its file. */
static int churn(struct place *p, unsigned seed, unsigned view_no)
{
	struct view_rec rec;
	struct digest d;
	char ws[32], name[32];
	int r;

	(void)snprintf(ws, sizeof(ws), "/churn/%u", view_no);
	OK(store_open(p->path, 0, &p->st));
	r = views_obtain(p->st, 0, ws, 0, 0, 0755, &rec);
	if (r < 0)
		return 1;
	p->view = rec.id;
	for (unsigned i = 0; i < 150; i++) {
		uint64_t ino;

		seed = seed * 1103515245 + 12345;
		(void)snprintf(name, sizeof(name), "blob %u", seed >> 16 & 3);
		ino = add_file(p, name, name);
		d = digest_of_str(name);
		/* Our reference is committed: it has to be there. */
		if (blob_exists(p->st, &d, strlen(name)) < 0)
			return 2;
		del_file(p, name, ino);
	}
	return 0;
}

static void link_and_sweep_at_once(void **state)
{
	int status[2] = { -1, -1 }, running = 2;
	struct place p;
	uint64_t freed;
	pid_t pids[2];

	(void)state;
	enter_store(&p);
	p.st = store_close(p.st);
	for (unsigned i = 0; i < 2; i++) {
		pids[i] = fork_child();
		if (pids[i] == 0)
			_exit(churn(&p, i + 1, i));
	}
	OK(store_open(p.path, 0, &p.st));
	while (running) {
		OK(blob_sweep(p.st, 0, 100, &freed));
		for (int i = 0; i < 2; i++)
			if (status[i] < 0 &&
			    waitpid(pids[i], &status[i], WNOHANG) > 0)
				running--;
	}
	assert_int_equal(status[0], 0);
	assert_int_equal(status[1], 0);
	leave(&p);
}

static int hold(struct txn *txn, void *arg)
{
	const struct timespec pause = { .tv_nsec = 300000000 };
	const int *said = arg;

	(void)txn;
	if (write(said[1], "x", 1) != 1)
		return -EIO;
	return nanosleep(&pause, NULL);
}

/* A child with the store open; when told so by @go it does its part. */
static pid_t child_of(struct place *p, const int go[2], const int said[2],
		      const struct digest *revived)
{
	struct node_rec rec = blob_node(revived, 4);
	pid_t pid = fork_child();
	struct batch b = { 0 };
	char c;

	if (pid)
		return pid;
	OK(store_open(p->path, 0, &p->st));
	if (write(said[1], "x", 1) != 1 || read(go[0], &c, 1) != 1)
		_exit(2);
	if (c == 'h')
		_exit(index_update(store_index(p->st), hold,
				   (void *)(uintptr_t)said) < 0);
	OK(batch_put_node(&b, 99, &rec));
	_exit(commit(p, &b) < 0);
}

/*
 * One process writes, a second waits to name a dead blob again, and behind it
 * the sweep, which has found that blob, waits to delete it.
 */
static void a_blob_revived_meanwhile_stays(void **state)
{
	const struct timespec pause = { .tv_nsec = 100000000 };
	struct digest d = digest_of_str("dead");
	int go[2][2], said[2], status;
	pid_t pids[2];
	struct place p;
	uint64_t freed;
	char c;

	(void)state;
	enter_store(&p);
	del_file(&p, "a", add_file(&p, "a", "dead"));
	p.st = store_close(p.st);
	OK(pipe(said));
	for (int i = 0; i < 2; i++) {
		OK(pipe(go[i]));
		pids[i] = child_of(&p, go[i], said, &d);
		assert_int_equal(read(said[0], &c, 1), 1);
	}
	OK(store_open(p.path, 0, &p.st));
	assert_int_equal(write(go[0][1], "h", 1), 1);
	assert_int_equal(read(said[0], &c, 1), 1);
	assert_int_equal(write(go[1][1], "r", 1), 1);
	(void)nanosleep(&pause, NULL);
	OK(blob_sweep(p.st, 0, 100, &freed));
	assert_int_equal(wait_for(pids[0]), 0);
	status = wait_for(pids[1]);
	/* If the sweep was first after all, the other was refused. */
	assert_int_equal(blob_exists(p.st, &d, 4), status ? -ENOENT : 0);
	leave(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_order_of_link),
		cmocka_unit_test(the_order_of_many),
		cmocka_unit_test(who_did_not_reach_the_disk),
		cmocka_unit_test(contents_and_mode),
		cmocka_unit_test(a_file_that_changed_is_refused),
		cmocka_unit_test(adoption_renews_ctime),
		cmocka_unit_test(a_damaged_blob_is_replaced),
		cmocka_unit_test(staging_files),
		cmocka_unit_test(inline_reads),
		cmocka_unit_test(sweep_takes_the_dead_only),
		cmocka_unit_test(grace_is_kept),
		cmocka_unit_test(sweep_keeps_to_its_maximum),
		cmocka_unit_test(files_without_rows_are_found),
		cmocka_unit_test(a_dead_row_without_a_file_is_not_revived),
		cmocka_unit_test(the_commit_links_again),
		cmocka_unit_test(link_and_sweep_at_once),
		cmocka_unit_test(a_blob_revived_meanwhile_stays),
	};

	return RUN_TAP(tests);
}
