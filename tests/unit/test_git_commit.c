/* SPDX-License-Identifier: Apache-2.0 */
/* fs/commit.h and fs/newest.h: repositories and packages, written by hand. */
#include "config.h"

#include "fs/commit.h"
#include "fs/newest.h"

#include "tests/unit/fixture.h"

#define ONE "1111111111111111111111111111111111111111"
#define TWO "2222222222222222222222222222222222222222"

struct tree {
	char dir[64];
};

static int make_tree(void **state)
{
	struct tree *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	(void)snprintf(t->dir, sizeof(t->dir), "/tmp/tfs-commit.XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	*state = t;
	return 0;
}

static int drop_tree(void **state)
{
	struct tree *t = *state;

	remove_tree(t->dir);
	free(t);
	return 0;
}

/* A file at "a/b" below the tree, of that second; its directories are made. */
static void put(const struct tree *t, const char *name, const char *text,
		time_t sec)
{
	struct timespec times[2] = { { .tv_sec = sec }, { .tv_sec = sec } };
	char path[512];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", t->dir, name);
	for (char *s = path + strlen(t->dir) + 1; (s = strchr(s, '/')); s++) {
		*s = '\0';
		(void)mkdir(path, 0755);
		*s = '/';
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	OK(write_full(fd, text, strlen(text)));
	assert_int_equal(futimens(fd, times), 0);
	(void)close(fd);
}

static void commit_is(const struct tree *t, const char *dir, int r,
		      const char *expected)
{
	char path[512], commit[COMMIT_MAX] = "?";

	(void)snprintf(path, sizeof(path), "%s/%s", t->dir, dir);
	assert_int_equal(commit_of(path, "/nowhere", commit), r);
	if (r == 0)
		assert_string_equal(commit, expected);
}

static void test_commit(void **state)
{
	const struct tree *t = *state;

	put(t, "none/x", "", 1);
	commit_is(t, "none", 0, "");
	/* a branch, loose, then packed, then of another value */
	put(t, "a/.git/HEAD", "ref: refs/heads/main\n", 1);
	put(t, "a/sub/x", "", 1);
	commit_is(t, "a", -ENOENT, NULL);
	put(t, "a/.git/packed-refs",
	    "# pack-refs with: peeled\n" TWO " refs/heads/main2\n" ONE
	    " refs/heads/main\n^" TWO "\n",
	    1);
	commit_is(t, "a", 0, ONE);
	commit_is(t, "a/sub", 0, ONE);
	put(t, "a/.git/refs/heads/main", TWO "\n", 1);
	commit_is(t, "a", 0, TWO);
	put(t, "a/.git/HEAD", ONE "\n", 1);
	commit_is(t, "a", 0, ONE);
	/* a worktree of it, on a branch of its own */
	put(t, "a/.git/worktrees/w/HEAD", "ref: refs/heads/w\n", 1);
	put(t, "a/.git/worktrees/w/commondir", "../..\n", 1);
	put(t, "a/.git/refs/heads/w", TWO "\n", 1);
	put(t, "w/.git", "gitdir: ../a/.git/worktrees/w\n", 1);
	commit_is(t, "w", 0, TWO);
	/* neither */
	put(t, "b/.git", "x\n", 1);
	commit_is(t, "b", -ENOENT, NULL);
}

static void newest_is(const struct tree *t, const char *package, int64_t sec,
		      const char *path)
{
	int fd = open(t->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct newest n;

	assert_true(fd >= 0);
	OK(newest_find(fd, t->dir, package, &n));
	assert_string_equal(n.path, path);
	assert_int_equal(n.nsec, sec * 1000000000);
	(void)close(fd);
}

static void test_newest(void **state)
{
	const struct tree *t = *state;

	put(t, "p/src/lib.rs", "", 5);
	put(t, "p/Cargo.toml", "", 4);
	newest_is(t, "p", 5, "src/lib.rs");
	/* no files of the package's */
	put(t, "p/target/x", "", 9);
	put(t, "p/sub/Cargo.toml", "", 9);
	put(t, "p/sub/src/lib.rs", "", 9);
	put(t, "p/.dot", "", 9);
	newest_is(t, "p", 5, "src/lib.rs");
	/* git does not mind dots */
	put(t, ".git/HEAD", "", 9);
	newest_is(t, "p", 9, ".dot");
	put(t, "p/src/target/x", "", 10);
	newest_is(t, "p", 10, "src/target/x");
	put(t, "p/Cargo.lock", "", 11);
	newest_is(t, "p", 11, "Cargo.lock");
	put(t, "p/.gitignore", "/target\n/Cargo.lock\n", 1);
	newest_is(t, "p", 10, "src/target/x");
	newest_is(t, "p/src", 5, "lib.rs");
}

static void test_newest_links(void **state)
{
	const struct tree *t = *state;
	char path[512];
	struct newest n;
	int fd;

	put(t, "p/a", "", 5);
	(void)snprintf(path, sizeof(path), "%s/p/dir", t->dir);
	assert_int_equal(symlink("..", path), 0);
	fd = open(t->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(newest_find(fd, t->dir, "p", &n), -ELOOP);
	assert_int_equal(newest_find(fd, t->dir, "none", &n), -ENOENT);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_commit, make_tree,
						drop_tree),
		cmocka_unit_test_setup_teardown(test_newest, make_tree,
						drop_tree),
		cmocka_unit_test_setup_teardown(test_newest_links, make_tree,
						drop_tree),
	};

	return RUN_TAP(tests);
}
