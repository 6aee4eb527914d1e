/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of fs/ without a mount: one view of a store of its own, that can
 * "die" and be attached again. Included once, by the test's only file.
 */
#ifndef TESTS_UNIT_FS_FIXTURE_H
#define TESTS_UNIT_FS_FIXTURE_H

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
#include "store/check.h"

#define HANDLES 5
#define UNUSED __attribute__((unused))

static struct mount m;
static struct view *v;
static char store_dir[64];
static struct handle *handles[HANDLES];

static UNUSED uint64_t lookup(const char *path)
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

/* What view_attach() says. */
static int try_start(void)
{
	struct view_rec rec;

	m = (struct mount){ .mountpoint = "/nowhere", .max_fds = 4 };
	list_init(&m.views);
	assert_int_equal(lock_init(&m.lock), 0);
	assert_int_equal(store_open(store_dir, STORE_CREATE, &m.store), 0);
	assert_int_equal(settler_start(&m, &m.settler), 0);
	assert_int_equal(
		views_obtain(m.store, 0, "/work/space", 0, 0, 0755, &rec), 0);
	return view_attach(&m, &rec, 0, &v, NULL);
}

static void start(void)
{
	assert_int_equal(try_start(), 0);
	m.view = v;
}

/* After the view is gone. */
static void end_mount(void)
{
	m.store = store_close(m.store);
	lock_destroy(&m.lock);
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
	end_mount();
}

static UNUSED void make_dirs(void)
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

/* Hashes all that is due, and what is not due yet. */
static UNUSED void settle_now(void)
{
	settler_stop(m.settler, 10000);
	assert_int_equal(settler_start(&m, &m.settler), 0);
}

static void say_problem(const char *problem, void *arg)
{
	(void)arg;
	if (strstr(problem, "left over"))
		return; /* what a killed daemon leaves is no damage */
	print_error("# %s\n", problem);
}

/* No blob has other bytes than its name says, no row leads nowhere. */
static UNUSED void check_store(void)
{
	struct check_report rep = { 0 };
	int r;

	assert_int_equal(flush_now(v), 0);
	die();
	assert_int_equal(store_open(store_dir, 0, &m.store), 0);
	r = store_check(m.store, CHECK_READ_DATA, say_problem, NULL, &rep);
	m.store = store_close(m.store);
	start();
	assert_int_equal(r, 0);
	assert_int_equal(rep.damaged, 0);
}

static int setup(void **state)
{
	(void)state;
	(void)snprintf(store_dir, sizeof(store_dir), "%s/fs-unit-XXXXXX",
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

#endif
