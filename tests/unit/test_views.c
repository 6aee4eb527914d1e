/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store/views.c, views_load.c: the list of views, loading, sums.
 *
 * Red when broken: "view-id" (drop_forgets_and_ids_stay_used).
 */
#include "config.h"

#include "tests/unit/fixture.h"

static void obtain_finds_what_it_made(void **state)
{
	struct view_rec a, b;
	struct place p;

	(void)state;
	enter(&p);
	OK(store_open(p.path, STORE_CREATE, &p.st));
	assert_int_equal(views_find(p.st, 0, "/w/a", &a), -ENOENT);
	OK(views_obtain(p.st, 0, "/w/a", 7, 8, 0750, &a));
	OK(views_obtain(p.st, 0, "/w/a", 9, 9, 0700, &b));
	assert_int_equal(a.id, 1);
	assert_int_equal(b.id, 1);
	assert_string_equal(a.name, "a");
	assert_string_equal(a.workspace, "/w/a");
	assert_int_equal(a.next_ino, 2);
	reopen(&p);
	OK(views_find(p.st, 0, "/w/a", &b));
	assert_int_equal(b.id, 1);
	leave(&p);
}

static void names_are_unique(void **state)
{
	char deep[VIEW_NAME_MAX + 20];
	struct view_rec rec;
	struct place p;

	(void)state;
	enter(&p);
	OK(store_open(p.path, STORE_CREATE, &p.st));
	OK(views_obtain(p.st, 0, "/a/x", 0, 0, 0755, &rec));
	assert_string_equal(rec.name, "x");
	OK(views_obtain(p.st, 0, "/b/x", 0, 0, 0755, &rec));
	assert_string_equal(rec.name, "x-2");
	OK(views_obtain(p.st, 0, "/c/x", 0, 0, 0755, &rec));
	assert_string_equal(rec.name, "x-3");
	OK(views_obtain(p.st, 0, "/", 0, 0, 0755, &rec));
	assert_string_equal(rec.name, "root");
	memset(deep, 'y', sizeof(deep));
	(void)memcpy(deep, "/a/", 3);
	deep[VIEW_NAME_MAX + 3] = '\0';
	OK(views_obtain(p.st, 0, deep, 0, 0, 0755, &rec));
	deep[1] = 'b';
	OK(views_obtain(p.st, 0, deep, 0, 0, 0755, &rec));
	assert_int_equal(strlen(rec.name), VIEW_NAME_MAX);
	assert_string_equal(rec.name + VIEW_NAME_MAX - 2, "-2");
	leave(&p);
}

static void host_views_go_by_name(void **state)
{
	struct view_rec rec;
	struct place p;

	(void)state;
	enter(&p);
	OK(store_open(p.path, STORE_CREATE, &p.st));
	OK(views_obtain(p.st, 0, "/a/x", 0, 0, 0755, &rec));
	OK(views_obtain(p.st, VIEW_HOST, "x", 0, 0, 0755, &rec));
	assert_int_equal(rec.id, 2);
	assert_string_equal(rec.name, "x");
	assert_string_equal(rec.workspace, "");
	assert_int_equal(views_resolve(p.st, "x", &rec), -ENOTUNIQ);
	assert_int_equal(views_rename(p.st, 2, "71"), -EINVAL);
	OK(views_obtain(p.st, VIEW_HOST, "y", 0, 0, 0755, &rec));
	assert_int_equal(views_rename(p.st, 3, "x"), -EEXIST);
	OK(views_rename(p.st, 3, "y"));
	OK(views_rename(p.st, 3, "z"));
	OK(views_find(p.st, VIEW_HOST, "z", &rec));
	assert_int_equal(views_find(p.st, VIEW_HOST, "y", &rec), -ENOENT);
	assert_int_equal(views_rename(p.st, 1, "q"), -EINVAL);
	assert_int_equal(views_rename(p.st, 99, "q"), -ENOENT);
	leave(&p);
}

/* As cargo's {workspace-path-hash} is: two digits, and the rest below. */
static void host_views_may_be_on_a_shelf(void **state)
{
	struct view_rec rec;
	struct place p;

	(void)state;
	enter(&p);
	OK(store_open(p.path, STORE_CREATE, &p.st));
	OK(views_obtain(p.st, VIEW_HOST, "71/c303", 0, 0, 0755, &rec));
	OK(views_obtain(p.st, VIEW_HOST, "71/ab", 0, 0, 0755, &rec));
	assert_int_equal(rec.id, 2);
	OK(views_find(p.st, VIEW_HOST, "71/c303", &rec));
	assert_int_equal(rec.id, 1);
	assert_string_equal(rec.name, "71/c303");
	OK(views_resolve(p.st, "71/ab", &rec));
	assert_int_equal(rec.id, 2);
	assert_int_equal(views_find(p.st, VIEW_HOST, "71", &rec), -ENOENT);
	OK(views_rename(p.st, 2, "plain"));
	OK(views_rename(p.st, 2, "0f/x"));
	assert_int_equal(views_rename(p.st, 2, "71/c303"), -EEXIST);
	leave(&p);
}

static void bad_keys_are_refused(void **state)
{
	static char path[PATH_MAX + 1], name[VIEW_NAME_MAX + 2];
	struct view_rec rec;
	struct place p;

	(void)state;
	enter(&p);
	OK(store_open(p.path, STORE_CREATE, &p.st));
	memset(path, 'a', PATH_MAX);
	path[0] = '/';
	memset(name, 'a', VIEW_NAME_MAX + 1);
	assert_int_equal(views_obtain(p.st, 0, path, 0, 0, 0, &rec),
			 -ENAMETOOLONG);
	assert_int_equal(views_obtain(p.st, VIEW_HOST, name, 0, 0, 0, &rec),
			 -ENAMETOOLONG);
	assert_int_equal(views_obtain(p.st, 0, "rel", 0, 0, 0, &rec), -EINVAL);
	assert_int_equal(views_obtain(p.st, 0, "", 0, 0, 0, &rec), -EINVAL);
	for (size_t i = 0; i < 13; i++) {
		static const char *const bad[] = {
			"",	".",	 "..",	 "a/b",	  "71",
			"71/",	"/71",	 "7/a",	 "71/..", "71/a/b",
			"7G/a", "AB/ab", "ab/.",
		};

		assert_int_equal(views_obtain(p.st, VIEW_HOST, bad[i], 0, 0, 0,
					      &rec),
				 -EINVAL);
	}
	leave(&p);
}

static void resolve_by_id_name_path(void **state)
{
	struct view_rec rec;
	struct place p;

	(void)state;
	enter_store(&p);
	OK(views_resolve(p.st, "1", &rec));
	OK(views_resolve(p.st, "00000001", &rec));
	OK(views_resolve(p.st, "proj", &rec));
	OK(views_resolve(p.st, "/work/proj", &rec));
	assert_int_equal(rec.id, 1);
	assert_int_equal(views_resolve(p.st, "2", &rec), -ENOENT);
	assert_int_equal(views_resolve(p.st, "", &rec), -ENOENT);
	assert_int_equal(views_resolve(p.st, "99999999999", &rec), -ENOENT);
	leave(&p);
}

struct seen {
	unsigned nodes, names, damage;
	uint64_t last;
	int stop_at;
};

static int see_node(uint64_t ino, const struct node_rec *rec, void *arg)
{
	struct seen *s = arg;

	assert_true(ino > s->last);
	(void)rec;
	s->last = ino;
	s->nodes++;
	return s->stop_at && s->nodes == (unsigned)s->stop_at ? 42 : 0;
}

static int see_name(uint64_t parent, const char *name, size_t len, uint64_t ino,
		    void *arg)
{
	struct seen *s = arg;

	assert_int_equal(parent, VIEW_ROOT_INO);
	assert_true(len > 0 && name && ino > 1);
	s->names++;
	return 0;
}

static void load_shows_what_was_committed(void **state)
{
	struct seen seen = { 0 };
	struct view_loader ld = { see_node, see_name, NULL, &seen };
	struct view_rec other;
	struct place p;

	(void)state;
	enter_store(&p);
	OK(views_obtain(p.st, 0, "/other", 0, 0, 0755, &other));
	(void)add_file(&p, "a", "aaaa");
	(void)add_inline(&p, "b", "bbbb");
	reopen(&p);
	OK(views_load(p.st, p.view, &ld));
	assert_int_equal(seen.nodes, 3);
	assert_int_equal(seen.names, 2);
	seen = (struct seen){ .stop_at = 2 };
	assert_int_equal(views_load(p.st, p.view, &ld), 42);
	assert_int_equal(seen.names, 0);
	assert_int_equal(views_load(p.st, 77, &ld), -ENOENT);
	leave(&p);
}

static void usage_counts_each_blob_once(void **state)
{
	struct view_usage u;
	struct place p;

	(void)state;
	enter_store(&p);
	(void)add_file(&p, "a", "12345");
	(void)add_file(&p, "b", "12345");
	(void)add_file(&p, "c", "1234567");
	(void)add_inline(&p, "d", "123");
	OK(views_usage(p.st, p.view, &u));
	assert_int_equal(u.files, 4);
	assert_int_equal(u.dirs, 1);
	assert_int_equal(u.logical, 20);
	assert_int_equal(u.blob, 15);
	assert_int_equal(u.shared, 5);
	assert_int_equal(u.staging, 0);
	leave(&p);
}

static int count_view(const struct view_rec *rec, void *arg)
{
	(void)rec;
	(*(unsigned *)arg)++;
	return 0;
}

static void drop_forgets_and_ids_stay_used(void **state)
{
	struct view_rec rec;
	unsigned views = 0;
	uint64_t freed;
	struct place p;
	struct digest d = digest_of_str("aaaa");
	char path[256];

	(void)state;
	enter_store(&p);
	(void)add_file(&p, "a", "aaaa");
	(void)stage(&p, "left");
	OK(views_drop(p.st, p.view));
	assert_int_equal(views_find(p.st, 0, "/work/proj", &rec), -ENOENT);
	assert_int_equal(views_drop(p.st, p.view), -ENOENT);
	assert_int_equal(views_touch(p.st, p.view), -ENOENT);
	(void)snprintf(path, sizeof(path), "%s/staging/%08x", p.path, p.view);
	assert_int_equal(access(path, F_OK), -1);
	OK(views_obtain(p.st, 0, "/work/proj", 0, 0, 0755, &rec));
	assert_int_equal(rec.id, 2);
	OK(views_foreach(p.st, count_view, &views));
	assert_int_equal(views, 1);
	OK(blob_sweep(p.st, 0, 100, &freed));
	assert_int_equal(freed, 4);
	assert_int_equal(blob_exists(p.st, &d, 4), -ENOENT);
	leave(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(obtain_finds_what_it_made),
		cmocka_unit_test(names_are_unique),
		cmocka_unit_test(host_views_go_by_name),
		cmocka_unit_test(host_views_may_be_on_a_shelf),
		cmocka_unit_test(bad_keys_are_refused),
		cmocka_unit_test(resolve_by_id_name_path),
		cmocka_unit_test(load_shows_what_was_committed),
		cmocka_unit_test(usage_counts_each_blob_once),
		cmocka_unit_test(drop_forgets_and_ids_stay_used),
	};

	return RUN_TAP(tests);
}
