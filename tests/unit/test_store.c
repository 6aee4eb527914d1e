/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store/store.c: what is opened, what is refused, and why.
 *
 * Red when broken: "blobs-readonly" (blobs_are_behind_a_readonly_mount).
 */
#include "config.h"

#include "tests/unit/fixture.h"

#include <sys/statvfs.h>

static void in_store(const struct place *p, const char *name, char *ret_path,
		     size_t size)
{
	(void)snprintf(ret_path, size, "%s/%s", p->path, name);
}

static void write_to(const struct place *p, const char *name, const char *bytes)
{
	char path[256];
	int fd;

	in_store(p, name, path, sizeof(path));
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	OK(write_full(fd, bytes, strlen(bytes)));
	OK(close(fd));
}

static void create_and_open(void **state)
{
	char path[256];
	struct place p;
	struct stat s;

	(void)state;
	enter(&p);
	assert_int_equal(store_open(p.path, 0, &p.st), -ENOENT);
	(void)snprintf(path, sizeof(path), "%s/a/b//c", p.dir);
	OK(store_open(path, STORE_CREATE, &p.st));
	OK(stat(path, &s));
	assert_int_equal(s.st_mode & 07777, 0700);
	(void)snprintf(path, sizeof(path), "%s/a/b/c", p.dir);
	assert_string_equal(store_path(p.st), path);
	p.st = store_close(p.st);
	OK(store_open(path, STORE_CREATE, &p.st));
	p.st = store_close(p.st);
	OK(store_open(path, 0, &p.st));
	leave(&p);
}

static void what_is_no_store_is_refused(void **state)
{
	struct place p;

	(void)state;
	enter(&p);
	OK(mkdir(p.path, 0700));
	assert_int_equal(store_open(p.path, 0, &p.st), -ENOENT);
	write_to(&p, "thesis.tex", "x");
	assert_int_equal(store_open(p.path, STORE_CREATE, &p.st), -ENOTEMPTY);
	leave(&p);
	enter(&p);
	p.path[strlen(p.path) - 6] = '\0';
	write_to(&p, "store", "a file");
	(void)strcat(p.path, "/store");
	assert_int_equal(store_open(p.path, STORE_CREATE, &p.st), -ENOTDIR);
	leave(&p);
}

static void an_interrupted_creation_goes_on(void **state)
{
	static const char *const left[] = { "blobs", "staging", "lease",
					    "index", "lost+found" };
	char path[256];

	(void)state;
	for (size_t n = 0; n <= ARRAY_LEN(left); n++) {
		struct place p;

		enter(&p);
		OK(mkdir(p.path, 0700));
		for (size_t i = 0; i < n; i++) {
			in_store(&p, left[i], path, sizeof(path));
			OK(mkdir(path, 0700));
		}
		write_to(&p, ".format.0123456789abcdef", "targ");
		OK(store_open(p.path, STORE_CREATE, &p.st));
		reopen(&p);
		leave(&p);
	}
}

static void other_formats(void **state)
{
	struct place p;

	(void)state;
	enter_store(&p);
	p.st = store_close(p.st);
	write_to(&p, "format", "targetfs store 1\n");
	assert_int_equal(store_open(p.path, 0, &p.st), -ESTALE);
	write_to(&p, "format", "targetfs store 3\n");
	assert_int_equal(store_open(p.path, 0, &p.st), -ESTALE);
	assert_int_equal(store_open(p.path, STORE_CREATE, &p.st), -ESTALE);
	write_to(&p, "format", "targetfs store 2");
	assert_int_equal(store_open(p.path, 0, &p.st), -ESTALE);
	write_to(&p, "format", "");
	assert_int_equal(store_open(p.path, 0, &p.st), -EBADMSG);
	write_to(&p, "format", "other store 1\n");
	assert_int_equal(store_open(p.path, STORE_CREATE, &p.st), -EBADMSG);
	write_to(&p, "format", STORE_FORMAT "\n");
	OK(store_open(p.path, 0, &p.st));
	leave(&p);
}

static void missing_parts_are_damage(void **state)
{
	static const char *const parts[] = { "blobs", "staging", "lease",
					     "index" };
	char path[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		struct place p;

		enter_store(&p);
		p.st = store_close(p.st);
		in_store(&p, parts[i], path, sizeof(path));
		remove_tree(path);
		assert_int_equal(store_open(p.path, 0, &p.st), -EBADMSG);
		assert_int_equal(store_open(p.path, STORE_CREATE, &p.st),
				 -EBADMSG);
		leave(&p);
	}
}

static void an_index_emptied_is_damage(void **state)
{
	char path[256];
	struct place p;

	(void)state;
	enter_store(&p);
	p.st = store_close(p.st);
	in_store(&p, "index/data.mdb", path, sizeof(path));
	OK(truncate(path, 8192));
	assert_int_equal(store_open(p.path, STORE_CREATE, &p.st), -EBADMSG);
	OK(truncate(path, 0));
	assert_int_equal(store_open(p.path, STORE_CREATE, &p.st), -EBADMSG);
	leave(&p);
}

/* The clone needs CAP_SYS_ADMIN; without it both are one. */
static void blobs_are_behind_a_readonly_mount(void **state)
{
	struct digest d;
	struct statvfs v;
	char name[BLOB_NAME_LEN + 1];
	struct place p;
	int fd;

	(void)state;
	enter_store(&p);
	(void)stage_blob(&p, "bytes", &d);
	if (store_blobs_ro_fd(p.st) == store_blobs_fd(p.st)) {
		leave(&p);
		skip();
	}
	OK(fstatvfs(store_blobs_ro_fd(p.st), &v));
	assert_true(v.f_flag & ST_RDONLY);
	blob_name(&d, name);
	assert_int_equal(openat(store_blobs_ro_fd(p.st), name, O_RDWR), -1);
	assert_int_equal(errno, EROFS);
	OK(blob_open(p.st, &d, &fd));
	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	assert_int_equal(open(name, O_RDWR), -1);
	assert_int_equal(errno, EROFS);
	OK(close(fd));
	leave(&p);
}

static void readonly(void **state)
{
	struct view_rec rec;
	struct digest d;
	struct place p;
	int fd;

	(void)state;
	enter_store(&p);
	(void)stage_blob(&p, "bytes", &d);
	p.st = store_close(p.st);
	OK(store_open(p.path, STORE_READONLY, &p.st));
	OK(views_find(p.st, 0, "/work/proj", &rec));
	OK(blob_open(p.st, &d, &fd));
	OK(close(fd));
	assert_int_equal(views_obtain(p.st, 0, "/x", 0, 0, 0, &rec), -EROFS);
	leave(&p);
}

static void create_by_six_processes(const char *path)
{
	struct view_rec rec;
	struct store *st;
	pid_t pids[6];
	char ws[32];
	int r;

	for (int i = 0; i < 6; i++) {
		pids[i] = fork_child();
		if (pids[i])
			continue;
		(void)snprintf(ws, sizeof(ws), "/work/%d", i);
		r = store_open(path, STORE_CREATE, &st);
		if (r == 0)
			r = views_obtain(st, 0, ws, 0, 0, 0755, &rec);
		if (r < 0)
			print_error("process %d: %s\n", i, strerror(-r));
		_exit(r < 0);
	}
	for (int i = 0; i < 6; i++)
		assert_int_equal(wait_for(pids[i]), 0);
	OK(store_open(path, 0, &st));
	for (int i = 0; i < 6; i++) {
		(void)snprintf(ws, sizeof(ws), "/work/%d", i);
		OK(views_find(st, 0, ws, &rec));
	}
	(void)store_close(st);
}

static void many_processes_create_one(void **state)
{
	struct place p;

	(void)state;
	enter(&p);
	for (int i = 0; i < 10; i++) {
		char path[96];

		(void)snprintf(path, sizeof(path), "%s.%d", p.path, i);
		create_by_six_processes(path);
	}
	leave(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(create_and_open),
		cmocka_unit_test(what_is_no_store_is_refused),
		cmocka_unit_test(an_interrupted_creation_goes_on),
		cmocka_unit_test(other_formats),
		cmocka_unit_test(missing_parts_are_damage),
		cmocka_unit_test(an_index_emptied_is_damage),
		cmocka_unit_test(blobs_are_behind_a_readonly_mount),
		cmocka_unit_test(readonly),
		cmocka_unit_test(many_processes_create_one),
	};

	return RUN_TAP(tests);
}
