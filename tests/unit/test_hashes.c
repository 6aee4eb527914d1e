/* SPDX-License-Identifier: Apache-2.0 */
/* fs/hashes.h: files and trees that change, and ways that are not gone. */
#include "config.h"

#include "fs/hashes.h"

#include "tests/unit/fixture.h"

struct world {
	char dir[64];
	int fd;
	struct hashes *h;
};

static int make_world(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/tfs-hashes.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->fd = open(w->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(w->fd >= 0);
	w->h = hashes_new();
	assert_non_null(w->h);
	*state = w;
	return 0;
}

static int drop_world(void **state)
{
	struct world *w = *state;

	hashes_free(w->h);
	(void)close(w->fd);
	remove_tree(w->dir);
	free(w);
	return 0;
}

static void put(const struct world *w, const char *name, const char *text)
{
	int fd = openat(w->fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	OK(write_full(fd, text, strlen(text)));
	(void)close(fd);
}

static struct digest of(const struct world *w, const char *name)
{
	struct hashed f;

	OK(hashes_file(w->h, w->fd, name, &f));
	return f.digest;
}

static void expect(const struct world *w, const char *name, const char *text)
{
	struct digest want, got = of(w, name);

	OK(digest_of(text, strlen(text), &want));
	assert_true(digest_equal(&want, &got));
}

static void set_mtime(const struct world *w, const char *name, time_t sec)
{
	const struct timespec t[2] = { { .tv_sec = sec }, { .tv_sec = sec } };

	assert_int_equal(utimensat(w->fd, name, t, 0), 0);
}

static void same_size_and_mtime(void **state)
{
	struct world *w = *state;

	put(w, "a", "one");
	set_mtime(w, "a", 1000);
	expect(w, "a", "one");
	/* At once: in the same tick of the clock, perhaps. */
	for (int i = 0; i < 50; i++) {
		put(w, "a", i % 2 ? "one" : "two");
		set_mtime(w, "a", 1000);
		expect(w, "a", i % 2 ? "one" : "two");
	}
	/* And at rest, when it is remembered. */
	(void)usleep(250000);
	expect(w, "a", "one");
	expect(w, "a", "one");
	put(w, "a", "two");
	set_mtime(w, "a", 1000);
	expect(w, "a", "two");
	put(w, "b", "two");
	set_mtime(w, "b", 1000);
	assert_int_equal(renameat(w->fd, "b", w->fd, "a"), 0);
	expect(w, "a", "two");
}

static void what_is_no_file(void **state)
{
	struct world *w = *state;
	struct hashed f;

	assert_int_equal(hashes_file(w->h, w->fd, "none", &f), -ENOENT);
	assert_int_equal(hashes_file(w->h, w->fd, ".", &f), -EISDIR);
	assert_int_equal(mkfifoat(w->fd, "pipe", 0600), 0);
	assert_int_equal(hashes_file(w->h, w->fd, "pipe", &f), -EINVAL);
	/* /proc is another mount, and this path leaves the base's. */
	assert_int_equal(symlinkat("/proc/self/status", w->fd, "out"), 0);
	assert_int_equal(hashes_file(w->h, w->fd, "out", &f), -EXDEV);
	assert_int_equal(hashes_file(w->h, w->fd, "/proc/self/exe", &f),
			 -ELOOP);
}

static void a_directory_that_was_exchanged(void **state)
{
	struct world *w = *state;
	int64_t before, after;

	assert_int_equal(mkdirat(w->fd, "src", 0755), 0);
	assert_int_equal(mkdirat(w->fd, "new", 0755), 0);
	put(w, "src/a", "one");
	put(w, "new/a", "two");
	(void)usleep(20000);
	OK(hashes_moved(w->fd, "src/a", &before));
	assert_int_equal(renameat(w->fd, "src", w->fd, "old"), 0);
	assert_int_equal(renameat(w->fd, "new", w->fd, "src"), 0);
	OK(hashes_moved(w->fd, "src/a", &after));
	assert_true(after > before);
}

static struct digest of_tree(const struct world *w, skip_fn skip)
{
	struct hashed f;

	OK(hashes_tree(w->h, w->fd, ".", skip, &f));
	return f.digest;
}

static bool skip_target(int dirfd, const char *name)
{
	(void)dirfd;
	return strcmp(name, "target") == 0;
}

static void trees(void **state)
{
	struct world *w = *state;
	struct digest a, b;

	assert_int_equal(mkdirat(w->fd, "d", 0755), 0);
	put(w, "d/x", "1");
	a = of_tree(w, NULL);
	b = of_tree(w, NULL);
	assert_true(digest_equal(&a, &b));
	put(w, "d/x", "2");
	b = of_tree(w, NULL);
	assert_false(digest_equal(&a, &b));
	put(w, "d/x", "1");
	assert_int_equal(renameat(w->fd, "d/x", w->fd, "d/y"), 0);
	b = of_tree(w, NULL);
	assert_false(digest_equal(&a, &b));
	/* "d/x" is not "dx", nor "x" beside "d". */
	assert_int_equal(renameat(w->fd, "d/y", w->fd, "x"), 0);
	b = of_tree(w, NULL);
	assert_false(digest_equal(&a, &b));
	a = b;
	assert_int_equal(mkdirat(w->fd, "target", 0755), 0);
	put(w, "target/x", "1");
	b = of_tree(w, skip_target);
	assert_true(digest_equal(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(same_size_and_mtime, make_world,
						drop_world),
		cmocka_unit_test_setup_teardown(what_is_no_file, make_world,
						drop_world),
		cmocka_unit_test_setup_teardown(a_directory_that_was_exchanged,
						make_world, drop_world),
		cmocka_unit_test_setup_teardown(trees, make_world, drop_world),
	};

	return RUN_TAP(tests);
}
