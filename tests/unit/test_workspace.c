/* SPDX-License-Identifier: Apache-2.0 */
/* fs/workspace.h: manifests in a directory of their own, command lines. */
#include "config.h"

#include "fs/workspace.h"

#include "tests/unit/fixture.h"

#define WORKSPACE "[workspace]\nmembers = [\"a\"]\n"
#define A_PACKAGE "[package]\nname = \"x\"\n"

struct tree {
	char dir[64];
};

static int make_tree(void **state)
{
	struct tree *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	(void)snprintf(t->dir, sizeof(t->dir), "/tmp/tfs-workspace.XXXXXX");
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

/* A manifest at "a/b" below the tree; its directories are made. */
static void manifest(const struct tree *t, const char *dir, const char *text)
{
	char path[512];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", t->dir, dir);
	for (char *s = path + strlen(t->dir) + 1; (s = strchr(s, '/')); s++) {
		*s = '\0';
		(void)mkdir(path, 0755);
		*s = '/';
	}
	(void)mkdir(path, 0755);
	(void)snprintf(path, sizeof(path), "%s/%s/Cargo.toml", t->dir, dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	OK(write_full(fd, text, strlen(text)));
	(void)close(fd);
}

static bool built(const struct tree *t, const char *root, const char *dir)
{
	char a[512], b[512];

	(void)snprintf(a, sizeof(a), "%s/%s", t->dir, root);
	(void)snprintf(b, sizeof(b), "%s/%s", t->dir, dir);
	return workspace_is_built_in(a, b);
}

static void from_the_root_and_from_members(void **state)
{
	struct tree *t = *state;

	manifest(t, "ws", WORKSPACE);
	manifest(t, "ws/a", A_PACKAGE);
	assert_true(built(t, "ws", "ws"));
	assert_true(built(t, "ws", "ws/a"));
	assert_true(built(t, "ws", "ws/a/src"));
	assert_true(built(t, "ws", "ws/doc"));
	assert_false(built(t, "ws", "wsx"));
	assert_false(built(t, "ws", "."));
	assert_false(built(t, "ws/a", "ws/a"));
}

static void a_workspace_below_is_its_own(void **state)
{
	struct tree *t = *state;

	manifest(t, "ws", WORKSPACE);
	manifest(t, "ws/.worktrees/x", WORKSPACE);
	manifest(t, "ws/.worktrees/x/a", A_PACKAGE);
	manifest(t, "ws/fuzz", A_PACKAGE "[workspace]\n");
	manifest(t, "ws/far", "[package]\nworkspace = \"../..\"\n");
	assert_false(built(t, "ws", "ws/.worktrees/x"));
	assert_false(built(t, "ws", "ws/.worktrees/x/a"));
	assert_false(built(t, "ws", "ws/fuzz"));
	assert_false(built(t, "ws", "ws/far"));
}

static void excluded_packages_are_their_own(void **state)
{
	struct tree *t = *state;

	manifest(t, "ws",
		 "[workspace]\nmembers = [\"a\"]\n"
		 "exclude = [\n  \"tools\",\n  'old/b' ]\n");
	manifest(t, "ws/tools/x", A_PACKAGE);
	manifest(t, "ws/old/b", A_PACKAGE);
	manifest(t, "ws/a", A_PACKAGE);
	assert_false(built(t, "ws", "ws/tools/x"));
	assert_false(built(t, "ws", "ws/old/b"));
	assert_true(built(t, "ws", "ws/a"));
	manifest(t, "ws", "[workspace]\nexclude = [\"*\"]\n");
	assert_false(built(t, "ws", "ws/a"));
}

static void a_lone_package(void **state)
{
	struct tree *t = *state;

	manifest(t, "p", A_PACKAGE);
	manifest(t, "p/sub", A_PACKAGE);
	assert_true(built(t, "p", "p"));
	assert_true(built(t, "p", "p/src"));
	assert_false(built(t, "p", "p/sub"));
	/* Something above may have it for a member. */
	manifest(t, ".", WORKSPACE);
	assert_false(built(t, "p", "p"));
	manifest(t, "p", "[package]\nversion.workspace = true\n");
	assert_false(built(t, "p", "p"));
}

static bool command(const char *words, size_t len, const char **ret)
{
	return workspace_command(words, len, ret);
}

#define COMMAND(s) command(s, sizeof(s), &m)

static void command_lines(void **state)
{
	const char *m;

	(void)state;
	assert_true(COMMAND("cargo\0build"));
	assert_null(m);
	assert_true(
		COMMAND("cargo\0+nightly\0--color\0never\0-Z\0x\0test\0-q"));
	assert_true(COMMAND("cargo\0check\0--manifest-path\0/a/Cargo.toml"));
	assert_string_equal(m, "/a/Cargo.toml");
	assert_true(COMMAND("cargo\0run\0--manifest-path=b/Cargo.toml\0--\0x"));
	assert_string_equal(m, "b/Cargo.toml");
	assert_true(COMMAND("cargo\0run\0--\0--manifest-path=b/Cargo.toml"));
	assert_null(m);
	assert_false(COMMAND("cargo"));
	assert_false(COMMAND("cargo\0package"));
	assert_false(COMMAND("cargo\0publish"));
	assert_false(COMMAND("cargo\0install\0--path\0."));
	assert_false(COMMAND("cargo\0-C\0x\0build"));
	assert_false(COMMAND("cargo\0--config\0x=1\0build"));
	assert_false(COMMAND("cargo\0build\0--config=x=1"));
	assert_true(COMMAND("cargo\0run\0--\0--config"));
	assert_false(COMMAND("cargo\0build\0--manifest-path"));
	assert_false(COMMAND("cargo\0an-alias"));
	assert_false(command("", 0, &m));
	assert_false(command("cargo", 5, &m));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(from_the_root_and_from_members,
						make_tree, drop_tree),
		cmocka_unit_test_setup_teardown(a_workspace_below_is_its_own,
						make_tree, drop_tree),
		cmocka_unit_test_setup_teardown(excluded_packages_are_their_own,
						make_tree, drop_tree),
		cmocka_unit_test_setup_teardown(a_lone_package, make_tree,
						drop_tree),
		cmocka_unit_test(command_lines),
	};

	return RUN_TAP(tests);
}
