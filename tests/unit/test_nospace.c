/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A full disk: commits and publishing fail with -ENOSPC, change nothing, and
 * succeed once there is room again. On a small tmpfs of its own; needs a mount
 * namespace.
 */
#include "config.h"

#include "tests/unit/fixture.h"

#include <sched.h>
#include <sys/mount.h>

#include "store/check.h"
#include "tests/unit/units.h"

static bool enter_small(struct place *p, const char *size)
{
	char options[64];

	enter(p);
	(void)snprintf(options, sizeof(options), "size=%s", size);
	if (mount("tfs-unit", p->dir, "tmpfs", 0, options) < 0) {
		leave(p);
		return false;
	}
	return true;
}

static void leave_small(struct place *p)
{
	p->st = store_close(p->st);
	OK(umount2(p->dir, MNT_DETACH));
	leave(p);
}

static void make_bytes(char *bytes, size_t len, unsigned n)
{
	char number[16];

	memset(bytes, 'a', len);
	(void)snprintf(number, sizeof(number), "%08u", n);
	memcpy(bytes, number, 8);
	bytes[len - 1] = '\0';
}

/* Adds inline files until it fails; how many went in. */
static unsigned fill(struct place *p, char *bytes, size_t len, int *ret_error)
{
	for (unsigned n = 0;; n++) {
		struct batch b = { 0 };
		struct node_rec rec;
		struct digest d;

		make_bytes(bytes, len, n);
		d = digest_of_str(bytes);
		rec = blob_node(&d, strlen(bytes));
		OK(batch_put_inline(&b, &d, bytes, strlen(bytes)));
		OK(batch_put_node(&b, n + 2, &rec));
		*ret_error = commit(p, &b);
		batch_release(&b);
		if (*ret_error < 0)
			return n;
	}
}

static int count_node(uint64_t ino, const struct node_rec *rec, void *arg)
{
	(void)ino;
	(void)rec;
	(*(unsigned *)arg)++;
	return 0;
}

static void a_full_disk(void **state)
{
	char *bytes = malloc(12000), path[128];
	unsigned nodes = 0, n;
	struct view_loader ld = { count_node, NULL, NULL, &nodes };
	char junk[65536] = { 1 };
	struct place p;
	int fd, r;

	(void)state;
	if (!enter_small(&p, "3m"))
		skip();
	OK(store_open(p.path, STORE_CREATE, &p.st));
	p.view = 1;
	OK(views_obtain(p.st, 0, "/w", 0, 0, 0755, &(struct view_rec){ 0 }));
	/* What is removed later to make room. */
	(void)snprintf(path, sizeof(path), "%s/ballast", p.dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	for (int i = 0; i < 8; i++)
		OK(write_full(fd, junk, sizeof(junk)));
	OK(close(fd));
	n = fill(&p, bytes, 12000, &r);
	assert_int_equal(r, -ENOSPC);
	assert_true(n > 20);
	OK(views_load(p.st, 1, &ld));
	assert_int_equal(nodes, n + 1);
	/* The failure lasts as long as the disk is full, and no longer. */
	make_bytes(bytes, 12000, n);
	OK(unlink(path));
	p.next = n + 2;
	(void)add_inline(&p, "room", bytes);
	reopen(&p);
	nodes = 0;
	OK(views_load(p.st, 1, &ld));
	assert_int_equal(nodes, n + 2);
	free(bytes);
	leave_small(&p);
}

static void say(const char *problem, void *arg)
{
	(void)arg;
	print_error("# %s\n", problem);
}

/* Publishes units, each with a list of its own, until it fails; how many. */
static uint64_t publish_until_full(struct place *p, uint64_t n, int *ret_error)
{
	static char name[UNIT_NAME_MAX];
	struct made m;

	memset(name, 'a', sizeof(name));
	for (;; n++) {
		make_unit(&m, n + 1, "one", "two");
		(void)snprintf(name, 24, "%020" PRIu64, n);
		m.inputs[0].name = (struct span_str){ name, sizeof(name) };
		name[20] = '.';
		set_key(&m);
		*ret_error = unit_publish(p->st, &m.key, &m.obj);
		if (*ret_error < 0)
			return n;
	}
}

/* All of a unit or nothing: rows, lists and references. */
static void check_units(struct place *p, uint64_t units)
{
	struct check_report rep;

	OK(store_check(p->st, 0, say, NULL, &rep));
	assert_int_equal(rep.damaged, 0);
	assert_int_equal(rep.units, units);
}

static void publishing_on_a_full_disk(void **state)
{
	char path[128], junk[65536] = { 1 };
	struct place p;
	uint64_t n, more;
	int fd, r;

	(void)state;
	if (!enter_small(&p, "3m"))
		skip();
	OK(store_open(p.path, STORE_CREATE, &p.st));
	p.view = 1;
	OK(views_obtain(p.st, 0, "/w", 0, 0, 0755, &(struct view_rec){ 0 }));
	(void)add_inline(&p, "one", "one");
	(void)add_file(&p, "two", "two");
	(void)snprintf(path, sizeof(path), "%s/ballast", p.dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	for (int i = 0; i < 8; i++)
		OK(write_full(fd, junk, sizeof(junk)));
	OK(close(fd));
	n = publish_until_full(&p, 0, &r);
	assert_int_equal(r, -ENOSPC);
	assert_true(n > 20);
	check_units(&p, n);
	OK(unlink(path));
	more = publish_until_full(&p, n, &r);
	assert_int_equal(r, -ENOSPC);
	assert_true(more > n);
	reopen(&p);
	check_units(&p, more);
	leave_small(&p);
}

static void no_room_for_a_store(void **state)
{
	struct place p;
	int r;

	(void)state;
	if (!enter_small(&p, "16k"))
		skip();
	r = store_open(p.path, STORE_CREATE, &p.st);
	assert_int_equal(r, -ENOSPC);
	leave_small(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_disk),
		cmocka_unit_test(publishing_on_a_full_disk),
		cmocka_unit_test(no_room_for_a_store),
	};

	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		fprintf(stderr, "no mount namespace\n");
		return 77;
	}
	return RUN_TAP(tests);
}
