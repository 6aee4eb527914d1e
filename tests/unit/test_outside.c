/* SPDX-License-Identifier: Apache-2.0 */
/* fs/outside.h: links, and ways that lead into a "mount". */
#include "config.h"

#include "fs/outside.h"

#include <sys/stat.h>

#include "tests/unit/fixture.h"

struct world {
	char dir[64];
	char mount[96];
};

static int make_world(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	char path[128];

	assert_non_null(w);
	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/tfs-outside.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	(void)snprintf(w->mount, sizeof(w->mount), "%s/ws/target", w->dir);
	(void)snprintf(path, sizeof(path), "%s/ws", w->dir);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(mkdir(w->mount, 0755), 0);
	(void)snprintf(path, sizeof(path), "%s/ws/targets", w->dir);
	assert_int_equal(mkdir(path, 0755), 0);
	*state = w;
	return 0;
}

static int drop_world(void **state)
{
	struct world *w = *state;

	remove_tree(w->dir);
	free(w);
	return 0;
}

static void make_link(const struct world *w, const char *target,
		      const char *name)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	assert_int_equal(symlink(target, path), 0);
}

static int resolve(const struct world *w, const char *name, bool links,
		   char ret_real[PATH_MAX])
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	return outside_resolve(w->mount, path, links, ret_real);
}

/* As realpath() says. */
static void same(const struct world *w, const char *name)
{
	char path[512], want[PATH_MAX], got[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	assert_non_null(realpath(path, want));
	OK(resolve(w, name, true, got));
	assert_string_equal(got, want);
}

static void what_is_outside(void **state)
{
	struct world *w = *state;
	char real[PATH_MAX];

	make_link(w, "ws", "rel");
	make_link(w, w->dir, "ws/abs");
	make_link(w, "../rel/./abs/", "ws/far");
	same(w, "");
	same(w, "ws/targets");
	same(w, "ws//./targets/..");
	same(w, "rel/targets");
	same(w, "ws/far/ws/targets");
	same(w, "../../..");
	OK(resolve(w, "ws/targets/../targets", false, real));
	assert_int_equal(resolve(w, "rel/targets", false, real), -ELOOP);
	assert_int_equal(resolve(w, "ws/none", true, real), -ENOENT);
	assert_int_equal(outside_resolve(w->mount, "ws", true, real), -EINVAL);
}

/* "a" is not there: it would be ENOENT for one who looked. */
static void what_is_inside(void **state)
{
	struct world *w = *state;
	char real[PATH_MAX];

	make_link(w, "ws/target", "in");
	make_link(w, "../in", "ws/in");
	make_link(w, w->mount, "abs");
	assert_int_equal(resolve(w, "ws/target", true, real), -EXDEV);
	assert_int_equal(resolve(w, "ws/target/a", true, real), -EXDEV);
	assert_int_equal(resolve(w, "ws/targets/../target/a", true, real),
			 -EXDEV);
	assert_int_equal(resolve(w, "in/a", true, real), -EXDEV);
	assert_int_equal(resolve(w, "ws/in/a", true, real), -EXDEV);
	assert_int_equal(resolve(w, "abs", true, real), -EXDEV);
}

static void links_in_a_circle(void **state)
{
	struct world *w = *state;
	char real[PATH_MAX], name[NAME_MAX + 2];

	make_link(w, "b", "a");
	make_link(w, "a", "b");
	assert_int_equal(resolve(w, "a/x", true, real), -ELOOP);
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_not_equal(resolve(w, name, true, real), 0);
}

static void opened(void **state)
{
	struct world *w = *state;
	char path[512];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/ws/targets/../target", w->dir);
	assert_int_equal(outside_open(AT_FDCWD, path, O_RDONLY), -EXDEV);
	(void)snprintf(path, sizeof(path), "%s/ws/..target", w->dir);
	assert_int_equal(outside_open(AT_FDCWD, path, O_RDONLY), -ENOENT);
	(void)snprintf(path, sizeof(path), "%s/ws/target", w->dir);
	fd = outside_open(AT_FDCWD, path, O_RDONLY);
	assert_true(fd >= 0);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_outside, make_world,
						drop_world),
		cmocka_unit_test_setup_teardown(what_is_inside, make_world,
						drop_world),
		cmocka_unit_test_setup_teardown(links_in_a_circle, make_world,
						drop_world),
		cmocka_unit_test_setup_teardown(opened, make_world, drop_world),
	};

	return RUN_TAP(tests);
}
