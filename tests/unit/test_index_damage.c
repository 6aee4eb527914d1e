/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a damaged index file does to its readers and writers: an error or, to
 * readers, an absent row; never another value, and no signal. Each trial runs
 * in a child. And what a whole one does: nothing, however it came about.
 *
 * Red when broken: "index-checksum" (flipped_bits), "index-length"
 * (a_truncated_file), "index-vet" (*_below_a_writer).
 */
#include "config.h"

#include "tests/unit/fixture.h"

#include <signal.h>
#include <sys/resource.h>

#include "store/index.h"
#include "store/keys.h"

#define ROWS 3000
#define FLIPS 1500

enum verdict {
	ALL_WELL,
	REFUSED,   /* -EBADMSG from open or from the walk */
	FAILED,	   /* another error */
	BAD_ROWS,  /* rows reported as damaged */
	LOST_ROWS, /* rows that are not there, and nothing said so */
	WRONG,	   /* another value than what was put */
	CRASHED,
	VERDICTS,
};

struct env {
	struct place p;
	char file[128], index[128];
	char stamp[128]; /* says in which boot all pages were looked at */
	uint8_t *image;
	size_t used;
};

static void make_value(uint32_t n, uint8_t value[120])
{
	for (uint32_t i = 0; i < 120; i++)
		value[i] = (uint8_t)(n * 31 + i * 7);
}

static int put_rows(struct txn *txn, void *arg)
{
	uint8_t value[120];
	uint32_t be;
	int r = 0;

	(void)arg;
	for (uint32_t n = 0; r == 0 && n < ROWS; n++) {
		make_value(n, value);
		be = htobe32(n * 3);
		r = txn_put(txn, TABLE_NODES, span_of(&be, sizeof(be)),
			    span_of(value, 40 + n % 80));
	}
	return r;
}

struct tally {
	unsigned good, bad, wrong;
};

static int check_row(struct txn *txn, struct span key, struct span value,
		     void *arg)
{
	struct tally *t = arg;
	uint8_t want[120];
	uint32_t n;

	(void)txn;
	if (!value.p) {
		t->bad++;
		return 0;
	}
	memcpy(&n, key.p, sizeof(n));
	n = be32toh(n);
	make_value(n / 3, want);
	if (key.len != 4 || n % 3 || n / 3 >= ROWS ||
	    value.len != 40 + n / 3 % 80 || memcmp(value.p, want, value.len))
		t->wrong++;
	else
		t->good++;
	return 0;
}

static int check_rows(struct txn *txn, void *arg)
{
	memset(arg, 0, sizeof(struct tally));
	return txn_foreach(txn, TABLE_NODES, span_of(NULL, 0), check_row, arg);
}

static void enter_index(struct env *e)
{
	struct index *idx;
	struct stat s;
	int dir, fd;
	size_t n;

	enter(&e->p);
	(void)snprintf(e->file, sizeof(e->file), "%s/index/data.mdb", e->p.dir);
	(void)snprintf(e->stamp, sizeof(e->stamp), "%s/index/vetted", e->p.dir);
	dir = open(e->p.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	OK(index_open(dir, INDEX_CREATE, &idx));
	OK(index_update(idx, put_rows, NULL));
	(void)index_close(idx);
	OK(close(dir));
	fd = open(e->file, O_RDWR | O_CLOEXEC);
	OK(fstat(fd, &s));
	/* The rest of the file is slack. */
	e->used = (size_t)lseek(fd, 0, SEEK_HOLE);
	assert_true(e->used > 300000 && (off_t)e->used < s.st_size);
	e->image = malloc(e->used);
	OK(pread_full(fd, e->image, e->used, 0, &n));
	OK(close(fd));
}

static void leave_index(struct env *e)
{
	free(e->image);
	leave(&e->p);
}

static enum verdict judge(const struct env *e)
{
	int dir = open(e->p.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct tally t = { 0 };
	struct index *idx;
	int r;

	r = index_open(dir, 0, &idx);
	if (r < 0)
		return r == -EBADMSG ? REFUSED : FAILED;
	r = index_view(idx, check_rows, &t);
	(void)index_close(idx);
	if (t.wrong)
		return WRONG;
	if (r < 0)
		return r == -EBADMSG ? REFUSED : FAILED;
	if (t.bad)
		return BAD_ROWS;
	return t.good == ROWS ? ALL_WELL : LOST_ROWS;
}

static int change_rows(struct txn *txn, void *arg)
{
	static const uint8_t value[500];
	uint32_t be;
	int r = 0;

	(void)arg;
	for (uint32_t n = 0; r == 0 && n < ROWS; n += 7) {
		be = htobe32(n * 3 + 1);
		r = txn_put(txn, TABLE_NODES, span_of(&be, sizeof(be)),
			    span_of(value, n % sizeof(value)));
		be = htobe32(n * 3);
		if (r == 0)
			r = txn_del(txn, TABLE_NODES, span_of(&be, sizeof(be)));
		if (r == -ENOENT)
			r = 0;
	}
	return r;
}

/* Writing only: LMDB then believes the pages' headers. */
static enum verdict judge_writes(const struct env *e)
{
	int dir = open(e->p.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct index *idx;
	int r;

	r = index_open(dir, 0, &idx);
	if (r < 0)
		return REFUSED;
	r = index_update(idx, change_rows, NULL);
	if (r < 0 && index_update(idx, change_rows, NULL) == 0)
		return WRONG; /* writes go on after damage was met */
	(void)index_close(idx);
	return r < 0 ? REFUSED : ALL_WELL;
}

static enum verdict try_once(const struct env *e,
			     enum verdict (*how)(const struct env *e))
{
	const struct rlimit none = { 0, 0 };
	pid_t pid;
	int r;

	(void)unlink(e->stamp); /* as in another boot */
	pid = fork_child();
	if (pid == 0) {
		(void)setrlimit(RLIMIT_CORE, &none);
		/* cmocka's would go on with the test, in the child. */
		(void)signal(SIGSEGV, SIG_DFL);
		(void)signal(SIGBUS, SIG_DFL);
		(void)signal(SIGABRT, SIG_DFL);
		(void)close(2);
		_exit((int)how(e));
	}
	r = wait_for(pid);
	return r < VERDICTS ? (enum verdict)r : CRASHED;
}

static void flip_all(struct env *e, enum verdict (*how)(const struct env *e),
		     unsigned count[VERDICTS])
{
	int fd = open(e->file, O_RDWR | O_CLOEXEC);
	uint8_t flipped;
	size_t at;

	srandom(99);
	for (int i = 0; i < FLIPS; i++) {
		at = (size_t)random() % e->used;
		/* Headers of pages are few, and the interesting part. */
		if (i % 2)
			at = at / 4096 * 4096 + (size_t)random() % 64;
		flipped = e->image[at] ^ (uint8_t)(1 << random() % 8);
		OK(pwrite_full(fd, &flipped, 1, (off_t)at));
		count[try_once(e, how)]++;
		/* A trial may have written. */
		OK(pwrite_full(fd, e->image, e->used, 0));
	}
	OK(close(fd));
}

static void print_counts(const unsigned count[VERDICTS])
{
	printf("# of %d: %u harmless, %u refused, %u failed, %u rows bad, "
	       "%u rows lost, %u wrong, %u crashed\n",
	       FLIPS, count[ALL_WELL], count[REFUSED], count[FAILED],
	       count[BAD_ROWS], count[LOST_ROWS], count[WRONG], count[CRASHED]);
}

static void flipped_bits(void **state)
{
	unsigned count[VERDICTS] = { 0 };
	struct env e;

	(void)state;
	enter_index(&e);
	flip_all(&e, judge, count);
	print_counts(count);
	assert_int_equal(count[WRONG], 0);
	assert_int_equal(count[FAILED], 0);
	assert_int_equal(count[CRASHED], 0);
	assert_true(count[BAD_ROWS] > FLIPS / 6);
	leave_index(&e);
}

static void flipped_bits_below_a_writer(void **state)
{
	unsigned count[VERDICTS] = { 0 };
	struct env e;

	(void)state;
	enter_index(&e);
	flip_all(&e, judge_writes, count);
	print_counts(count);
	assert_int_equal(count[WRONG], 0);
	assert_int_equal(count[CRASHED], 0);
	assert_true(count[REFUSED] > FLIPS / 6);
	leave_index(&e);
}

enum mutation { NOISE, ZEROS, SWAP, COPY, MUTATIONS };

/* Damages whole pages, the first two among them. */
static void mutate(const struct env *e, int fd, enum mutation how)
{
	size_t pages = e->used / 4096, a = (size_t)random() % pages,
	       b = (size_t)random() % pages;
	uint8_t page[4096] = { 0 };

	switch (how) {
	case NOISE:
		for (size_t i = 0; i < sizeof(page); i++)
			page[i] = (uint8_t)random();
		break;
	case SWAP:
		OK(pwrite_full(fd, e->image + a * 4096, 4096, (off_t)b * 4096));
		__attribute__((fallthrough));
	case COPY:
		memcpy(page, e->image + b * 4096, sizeof(page));
		break;
	case ZEROS:
	case MUTATIONS:
	default:
		break;
	}
	OK(pwrite_full(fd, page, sizeof(page), (off_t)a * 4096));
}

static void mutated_pages_below_a_writer(void **state)
{
	unsigned count[VERDICTS] = { 0 };
	struct env e;
	int fd;

	(void)state;
	enter_index(&e);
	fd = open(e.file, O_RDWR | O_CLOEXEC);
	srandom(17);
	for (int i = 0; i < FLIPS; i++) {
		mutate(&e, fd, (enum mutation)(i % MUTATIONS));
		count[try_once(&e, judge_writes)]++;
		OK(pwrite_full(fd, e.image, e.used, 0));
	}
	OK(close(fd));
	print_counts(count);
	assert_int_equal(count[WRONG], 0);
	assert_int_equal(count[CRASHED], 0);
	assert_true(count[REFUSED] > FLIPS / 2);
	leave_index(&e);
}

/* Damage that a process meets makes the next one look at all pages, although
 * somebody has in this boot. */
static void damage_is_remembered(void **state)
{
	struct env e;
	int fd;

	(void)state;
	enter_index(&e);
	fd = open(e.file, O_RDWR | O_CLOEXEC);
	assert_int_equal(try_once(&e, judge_writes), ALL_WELL);
	OK(access(e.stamp, F_OK));
	/* All but the meta pages, and what was written since. */
	memset(e.image, 0, e.used);
	OK(pwrite_full(fd, e.image, e.used, 8192));
	OK(pwrite_full(fd, e.image, e.used, 8192 + (off_t)e.used));
	assert_int_equal(judge(&e), REFUSED);
	assert_int_not_equal(access(e.stamp, F_OK), 0);
	OK(close(fd));
	leave_index(&e);
}

#define ROUNDS 400
#define KEYS 4000

static int churn(struct txn *txn, void *arg)
{
	static uint8_t value[30000];
	unsigned round = *(unsigned *)arg, count = 1U << round % 11;
	enum table t = (enum table)(round % TABLE_COUNT);
	int r = 0;

	srandom(round);
	for (unsigned i = 0; r == 0 && i < count; i++) {
		uint32_t be = htobe32((uint32_t)random() % KEYS);
		size_t len = (size_t)random() % 300;

		if (random() % 50 == 0)
			len = (size_t)random() % sizeof(value);
		/* Rounds that grow and rounds that shrink. */
		if (random() % 3 == (round / 77 % 2 ? 0 : 1))
			r = txn_put(txn, t, span_of(&be, sizeof(be)),
				    span_of(value, len));
		else
			r = txn_del(txn, t, span_of(&be, sizeof(be)));
		if (r == -ENOENT)
			r = 0;
	}
	return r;
}

static int hold(struct txn *txn, void *arg)
{
	int *fds = arg;
	char c;

	(void)txn;
	OK(write_full(fds[1], "x", 1));
	return read(fds[2], &c, 1) == 1 ? 0 : -EPIPE;
}

/* Every commit of a long life passes, with a reader that keeps old pages from
 * being used again for half of it. */
static void a_whole_index_passes(void **state)
{
	int fds[4], dir;
	struct index *idx;
	struct place p;
	pid_t pid;
	char c;

	(void)state;
	enter(&p);
	dir = open(p.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	OK(index_open(dir, INDEX_CREATE, &idx));
	idx = index_close(idx);
	OK(pipe(fds));
	OK(pipe(fds + 2));
	pid = fork_child();
	if (pid == 0) {
		OK(index_open(dir, 0, &idx));
		OK(index_view(idx, hold, fds));
		_exit(0);
	}
	assert_int_equal(read(fds[0], &c, 1), 1);
	OK(index_open(dir, 0, &idx));
	for (unsigned round = 0; round < ROUNDS; round++) {
		OK(index_update(idx, churn, &round));
		OK(index_check_pages(idx));
		if (round == ROUNDS / 2)
			OK(write_full(fds[3], "x", 1));
	}
	assert_int_equal(wait_for(pid), 0);
	(void)index_close(idx);
	OK(close(dir));
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		OK(close(fds[i]));
	leave(&p);
}

static void a_truncated_file(void **state)
{
	static const size_t cuts[] = { 1, 4096, 10000, 200000 };
	struct env e;

	(void)state;
	enter_index(&e);
	for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
		OK(truncate(e.file, (off_t)(e.used - cuts[i])));
		assert_int_equal(try_once(&e, judge), REFUSED);
	}
	OK(truncate(e.file, 4096));
	assert_int_equal(try_once(&e, judge), REFUSED);
	OK(truncate(e.file, 100));
	assert_int_equal(try_once(&e, judge), REFUSED);
	OK(truncate(e.file, 0));
	assert_int_equal(try_once(&e, judge), REFUSED);
	OK(unlink(e.file));
	assert_int_equal(try_once(&e, judge), FAILED); /* -ENOENT */
	leave_index(&e);
}

static void the_slack_may_be_cut(void **state)
{
	struct env e;
	struct stat s;

	(void)state;
	enter_index(&e);
	OK(truncate(e.file, (off_t)e.used));
	assert_int_equal(try_once(&e, judge), ALL_WELL);
	OK(stat(e.file, &s));
	assert_true(s.st_size > (off_t)e.used); /* made anew */
	leave_index(&e);
}

static void garbage(void **state)
{
	struct env e;
	int fd;

	(void)state;
	enter_index(&e);
	fd = open(e.file, O_RDWR | O_CLOEXEC);
	memset(e.image, 0x5a, e.used);
	OK(pwrite_full(fd, e.image, e.used, 0));
	assert_int_equal(try_once(&e, judge), REFUSED);
	memset(e.image, 0, e.used);
	OK(pwrite_full(fd, e.image, e.used, 0));
	assert_int_equal(try_once(&e, judge), REFUSED);
	OK(close(fd));
	leave_index(&e);
}

/* All pages but the two meta pages. */
static void zeroed_pages(void **state)
{
	struct env e;
	int fd;

	(void)state;
	enter_index(&e);
	fd = open(e.file, O_RDWR | O_CLOEXEC);
	memset(e.image, 0, e.used);
	OK(pwrite_full(fd, e.image, e.used - 8192, 8192));
	assert_int_equal(try_once(&e, judge), REFUSED);
	OK(close(fd));
	leave_index(&e);
}

int main(void)
{
#ifdef __SANITIZE_THREAD__
	/* A fault inside LMDB may find the sanitizer's own locks held. */
	return 77;
#endif
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flipped_bits),
		cmocka_unit_test(flipped_bits_below_a_writer),
		cmocka_unit_test(mutated_pages_below_a_writer),
		cmocka_unit_test(damage_is_remembered),
		cmocka_unit_test(a_whole_index_passes),
		cmocka_unit_test(a_truncated_file),
		cmocka_unit_test(the_slack_may_be_cut),
		cmocka_unit_test(garbage),
		cmocka_unit_test(zeroed_pages),
	};

	return RUN_TAP(tests);
}
