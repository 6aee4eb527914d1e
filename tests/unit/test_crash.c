/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIGKILL at any moment: what is committed is a prefix of what was done.
 *
 * A child commits in a loop: batch n makes file "f<n>" with the contents
 * "bytes of <n>" (inline or as a file), removes "f<n - 10>", and names n in a
 * directory's mtime, all at once. It is killed; the parent opens the store and
 * finds exactly the state after some batch, with all its bytes.
 *
 * Red when broken: "commit-order" (killed_in_commits).
 */
#include "config.h"

#include "tests/unit/fixture.h"

#include <signal.h>
#include <sys/mman.h>
#include <time.h>

#define KEEP 10

static void name_of(uint64_t n, char ret_name[24])
{
	(void)snprintf(ret_name, 24, "f%" PRIu64, n);
}

static void bytes_of(uint64_t n, char ret_bytes[48])
{
	(void)snprintf(ret_bytes, 48, "bytes of %" PRIu64, n);
}

/* Odd numbers: a blob file, by way of a committed staging file. */
static void add_number(struct place *p, struct batch *b, uint64_t n)
{
	char name[24], bytes[48];
	struct node_rec rec;
	struct digest d;
	uint64_t id;

	name_of(n, name);
	bytes_of(n, bytes);
	d = digest_of_str(bytes);
	rec = blob_node(&d, strlen(bytes));
	p->next = n + 2;
	if (n % 2) {
		id = stage_blob(p, bytes, &d);
		OK(batch_put_blob(b, &d, rec.size, id));
		OK(batch_drop_staging(b, id));
	} else {
		OK(batch_put_inline(b, &d, bytes, strlen(bytes)));
	}
	OK(batch_put_node(b, n + 2, &rec));
	OK(batch_put_name(b, VIEW_ROOT_INO, name, strlen(name), n + 2));
}

/* A staging file that the last commit refers to is dropped by this one. */
static void add_staging(struct place *p, struct batch *b, uint64_t n)
{
	struct node_rec rec = empty_node();
	int fd;

	OK(staging_create(p->st, p->view, (n + 1) << 20, &fd));
	OK(write_full(fd, &n, sizeof(n)));
	OK(close(fd));
	rec.content = CONTENT_STAGING;
	rec.staging_id = (n + 1) << 20;
	rec.size = sizeof(n);
	OK(batch_put_node(b, 1ULL << 40, &rec));
	OK(batch_put_name(b, VIEW_ROOT_INO, "staging", 7, 1ULL << 40));
	if (n)
		OK(batch_drop_staging(b, n << 20));
}

static void commit_number(struct place *p, uint64_t n)
{
	struct node_rec root = dir_node();
	struct batch b = { 0 };
	char name[24];

	root.mtime.tv_sec = (time_t)n;
	OK(batch_put_node(&b, VIEW_ROOT_INO, &root));
	add_number(p, &b, n);
	add_staging(p, &b, n);
	if (n >= KEEP) {
		name_of(n - KEEP, name);
		OK(batch_del_name(&b, VIEW_ROOT_INO, name, strlen(name)));
		OK(batch_del_node(&b, n - KEEP + 2));
	}
	OK(commit(p, &b));
	batch_release(&b);
}

struct found {
	struct place *p;
	uint64_t last; /* by the root's mtime */
	unsigned nodes, names;
};

static int see_node(uint64_t ino, const struct node_rec *rec, void *arg)
{
	char want[48], got[48];
	struct found *f = arg;
	size_t len = 0;
	int fd;

	if (ino == VIEW_ROOT_INO) {
		f->last = (uint64_t)rec->mtime.tv_sec;
		return 0;
	}
	if (rec->content == CONTENT_STAGING) {
		OK(staging_open(f->p->st, f->p->view, rec->staging_id, O_RDONLY,
				&fd));
		return close(fd);
	}
	bytes_of(ino - 2, want);
	if (ino % 2) {
		OK(blob_open(f->p->st, &rec->digest, &fd));
		OK(pread_full(fd, got, sizeof(got), 0, &len));
		OK(close(fd));
	} else {
		OK(blob_read_inline(f->p->st, &rec->digest, 0, got, sizeof(got),
				    &len));
	}
	assert_int_equal(len, strlen(want));
	assert_memory_equal(got, want, len);
	assert_true(ino - 2 <= f->last && ino - 2 + KEEP > f->last);
	f->nodes++;
	return 0;
}

static int see_name(uint64_t parent, const char *name, size_t len, uint64_t ino,
		    void *arg)
{
	struct found *f = arg;
	char want[24];

	(void)parent;
	if (ino == 1ULL << 40)
		return 0;
	name_of(ino - 2, want);
	assert_int_equal(len, strlen(want));
	assert_memory_equal(name, want, len);
	f->names++;
	return 0;
}

static uint64_t check(struct place *p)
{
	struct found f = { .p = p };
	struct view_loader ld = { see_node, see_name, NULL, &f };

	OK(views_load(p->st, p->view, &ld));
	assert_int_equal(f.nodes, MIN(f.last + 1, KEEP));
	assert_int_equal(f.names, f.nodes);
	return f.last;
}

struct shared {
	uint64_t done; /* batches whose commit has returned */
};

static void commit_for_ever(struct place *p, uint64_t n, struct shared *sh)
{
	uint64_t freed;

	OK(store_open(p->path, 0, &p->st));
	for (;; n++) {
		/* What a crash left behind in staging is in the way. */
		(void)staging_unlink(p->st, p->view, n + 2);
		(void)staging_unlink(p->st, p->view, (n + 1) << 20);
		commit_number(p, n);
		__atomic_store_n(&sh->done, n, __ATOMIC_RELEASE);
		if (n % 16 == 0)
			OK(blob_sweep(p->st, 0, 100, &freed));
	}
}

static void killed_in_commits(void **state)
{
	struct shared *sh = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct timespec pause = { 0 };
	uint64_t last = 0;
	struct place p;
	pid_t pid;

	(void)state;
	enter_store(&p);
	commit_number(&p, 0);
	srandom(5);
	/* A slow disk takes more kills for as many commits. */
	for (int i = 0; i < 40 || (last <= 100 && i < 1000); i++) {
		p.st = store_close(p.st);
		sh->done = last;
		pid = fork_child();
		if (pid == 0)
			commit_for_ever(&p, last + 1, sh);
		/* Every other one is killed as it begins; the rest, however
		 * slow the disk, come to something. */
		wait_until(&sh->done, last + (uint64_t)(i % 2) * 6);
		pause.tv_nsec = 5000000 + random() % 40000000;
		(void)nanosleep(&pause, NULL);
		OK(kill(pid, SIGKILL));
		assert_int_equal(wait_for(pid), 1000 + SIGKILL);
		OK(store_open(p.path, 0, &p.st));
		last = check(&p);
		/* What was said to be durable is there. */
		assert_true(last >= sh->done && last <= sh->done + 1);
	}
	assert_true(last > 100);
	OK(munmap(sh, 4096));
	leave(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_in_commits),
	};

	return RUN_TAP(tests);
}
