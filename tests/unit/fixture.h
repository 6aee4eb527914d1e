/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of store/: a scratch directory with a store in it, nodes and blobs
 * to put into it. Included once, by the test's only file.
 */
#ifndef TESTS_UNIT_FIXTURE_H
#define TESTS_UNIT_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/base/io.h"
#include "store/base/macros.h"
#include "store/blob.h"
#include "store/digest.h"
#include "store/record.h"
#include "store/store.h"
#include "store/views.h"

#define UNUSED __attribute__((unused))
#define OK(call) ok_at((call), #call, __FILE__, __LINE__)

/* Set in a forked child, where a failed check must not go on with the test. */
static bool in_child;

static UNUSED void ok_at(int r, const char *call, const char *file, int line)
{
	if (r == 0)
		return;
	if (in_child)
		_exit(50);
	print_error("# %s: %d (%s)\n", call, r, strerror(r < 0 ? -r : 0));
	_fail(file, line);
}

/* A place of its own, removed by leave(). */
struct place {
	char dir[64];
	char path[80]; /* of the store */
	struct store *st;
	uint32_t view;
	uint64_t next; /* staging ids and inode numbers */
};

static UNUSED int remove_one(const char *path, const struct stat *s, int type,
			     struct FTW *ftw)
{
	(void)s;
	(void)type;
	(void)ftw;
	return remove(path);
}

static UNUSED void remove_tree(const char *path)
{
	(void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Inlined, the sanitizers make gcc see a null pointer in it. */
static UNUSED __attribute__((noinline)) void enter(struct place *p)
{
	const char *tmp = getenv("TMPDIR");

	memset(p, 0, sizeof(*p));
	(void)snprintf(p->dir, sizeof(p->dir), "%s/tfs-unit.XXXXXX",
		       tmp && strlen(tmp) < 40 ? tmp : "/tmp");
	assert_non_null(mkdtemp(p->dir));
	(void)snprintf(p->path, sizeof(p->path), "%s/store", p->dir);
	p->next = 2;
}

static UNUSED void leave(struct place *p)
{
	p->st = store_close(p->st);
	remove_tree(p->dir);
}

/* A store with one view. */
static UNUSED void enter_store(struct place *p)
{
	struct view_rec rec;

	enter(p);
	OK(store_open(p->path, STORE_CREATE, &p->st));
	OK(views_obtain(p->st, 0, "/work/proj", 0, 0, 0755, &rec));
	p->view = rec.id;
}

static UNUSED void reopen(struct place *p)
{
	p->st = store_close(p->st);
	OK(store_open(p->path, 0, &p->st));
}

static UNUSED struct node_rec dir_node(void)
{
	return (struct node_rec){
		.mode = S_IFDIR | 0755,
		.nlink = 2,
		.mtime = { 1, 2 },
	};
}

static UNUSED struct node_rec empty_node(void)
{
	return (struct node_rec){
		.mode = S_IFREG | 0644,
		.nlink = 1,
		.mtime = { 1, 2 },
	};
}

static UNUSED struct node_rec blob_node(const struct digest *d, uint64_t size)
{
	struct node_rec rec = empty_node();

	rec.content = CONTENT_BLOB;
	rec.size = size;
	rec.digest = *d;
	return rec;
}

static UNUSED struct digest digest_of_str(const char *s)
{
	struct digest d;

	OK(digest_of(s, strlen(s), &d));
	return d;
}

/* A staging file with these bytes; its id. */
static UNUSED uint64_t stage(struct place *p, const char *bytes)
{
	uint64_t id = p->next++;
	int fd;

	OK(staging_create(p->st, p->view, id, &fd));
	OK(write_full(fd, bytes, strlen(bytes)));
	OK(close(fd));
	return id;
}

/* Gives one staging file a durable blob name. */
static UNUSED int link_durably(struct place *p, uint64_t id, int fd,
			       const struct digest *d, uint64_t size)
{
	struct blob_names names = { 0 };
	int own, r = blob_sync_data(p->st, &fd, 1, &own);

	if (r == 0)
		r = own;
	if (r == 0)
		r = blob_link(p->st, &names, p->view, id, fd, d, size);
	return r < 0 ? r : blob_sync_names(p->st, &names);
}

/* The same of a new staging file. */
static UNUSED uint64_t stage_blob(struct place *p, const char *bytes,
				  struct digest *ret_digest)
{
	uint64_t id = stage(p, bytes);
	int fd;

	*ret_digest = digest_of_str(bytes);
	OK(staging_open(p->st, p->view, id, O_RDONLY, &fd));
	OK(link_durably(p, id, fd, ret_digest, strlen(bytes)));
	OK(close(fd));
	return id;
}

static UNUSED int commit(struct place *p, struct batch *b)
{
	const struct view_state state = { .next_ino = p->next };

	return views_commit(p->st, p->view, b, &state);
}

/* A file in the root that holds @bytes as a blob file; its number. */
static UNUSED uint64_t add_file(struct place *p, const char *name,
				const char *bytes)
{
	struct batch b = { 0 };
	struct node_rec rec;
	struct digest d;
	uint64_t id = stage_blob(p, bytes, &d);

	rec = blob_node(&d, strlen(bytes));
	OK(batch_put_blob(&b, &d, rec.size, id));
	OK(batch_put_node(&b, id, &rec));
	OK(batch_put_name(&b, VIEW_ROOT_INO, name, strlen(name), id));
	OK(batch_drop_staging(&b, id));
	OK(commit(p, &b));
	batch_release(&b);
	return id;
}

/* The same, with the bytes in the index. */
static UNUSED uint64_t add_inline(struct place *p, const char *name,
				  const char *bytes)
{
	struct digest d = digest_of_str(bytes);
	struct node_rec rec = blob_node(&d, strlen(bytes));
	struct batch b = { 0 };
	uint64_t ino = p->next++;

	OK(batch_put_inline(&b, &d, bytes, strlen(bytes)));
	OK(batch_put_node(&b, ino, &rec));
	OK(batch_put_name(&b, VIEW_ROOT_INO, name, strlen(name), ino));
	OK(commit(p, &b));
	batch_release(&b);
	return ino;
}

static UNUSED void del_file(struct place *p, const char *name, uint64_t ino)
{
	struct batch b = { 0 };

	OK(batch_del_name(&b, VIEW_ROOT_INO, name, strlen(name)));
	OK(batch_del_node(&b, ino));
	OK(commit(p, &b));
	batch_release(&b);
}

static UNUSED void blob_path(const struct place *p, const struct digest *d,
			     char *ret_path, size_t size)
{
	char name[BLOB_NAME_LEN + 1];

	blob_name(d, name);
	(void)snprintf(ret_path, size, "%s/blobs/%s", p->path, name);
}

static UNUSED pid_t fork_child(void)
{
	pid_t pid = fork();

	if (pid == 0)
		in_child = true;
	return pid;
}

/* Waits; the exit status, or 1000 + the signal. */
static UNUSED int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	return WIFEXITED(status) ? WEXITSTATUS(status)
				 : 1000 + WTERMSIG(status);
}

/* Until another process has counted that far; a minute is enough for all. */
static UNUSED void wait_until(const uint64_t *count, uint64_t enough)
{
	const struct timespec pause = { .tv_nsec = 200000 };

	for (int i = 0; i < 300000; i++) {
		if (__atomic_load_n(count, __ATOMIC_ACQUIRE) >= enough)
			return;
		(void)nanosleep(&pause, NULL);
	}
	fail_msg("nothing goes on");
}

/* TEST_FILTER=NAME (a pattern of the shell's) runs some of the tests. */
#define RUN_TAP(tests)                                                     \
	(cmocka_set_message_output(CM_OUTPUT_TAP),                         \
	 cmocka_set_test_filter(getenv("TEST_FILTER")),                    \
	 cmocka_run_group_tests_name(program_invocation_short_name, tests, \
				     NULL, NULL))

#endif
