/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runner of the tests in posix_*.c, and their helpers.
 *
 *	posix [-v] [-H] [-L] [-s SECONDS] [-r SEED] [-o OTHER] [-t SECONDS]
 *	      [-f SUBSTRING]... [-x SUBSTRING]... DIR
 *	posix -l
 *
 * Prints TAP without numbers or plan (lib.sh adds them); exits with 1 if a
 * test failed.
 */
#include "tests/fuse/posix.h"

#include <ftw.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <time.h>

struct options opt = { .seed = 1, .other = "/dev/shm" };

static struct test *tests, **tests_end = &tests;
struct filter {
	const char *words[16];
	int count;
};

static struct filter only, without;
static unsigned limit_sec = 60;

enum { STATUS_FAIL = 1, STATUS_SKIP = 77 };

void test_register(struct test *t)
{
	*tests_end = t;
	tests_end = &t->next;
}

void test_fail(const char *file, int line, const char *fmt, ...)
{
	const char *base = strrchr(file, '/');
	char text[700];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	dprintf(1, "#   %s:%d: %s\n", base ? base + 1 : file, line, text);
	_exit(STATUS_FAIL);
}

long long test_ok(const char *file, int line, const char *call, long long r)
{
	if (r == -1)
		test_fail(file, line, "%s: %s", call, strerror(errno));
	return r;
}

void test_skip(const char *why)
{
	dprintf(1, "SKIP %s\n", why);
	_exit(STATUS_SKIP);
}

void test_note(const char *fmt, ...)
{
	char text[700];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	dprintf(1, "#   %s\n", text);
}

/* --- helpers --- */

void write_all(int fd, const void *p, size_t len)
{
	const char *at = p;

	while (len) {
		ssize_t n = write(fd, at, len);

		if (n <= 0)
			FAIL("write of %zu: %s", len, strerror(errno));
		at += n;
		len -= (size_t)n;
	}
}

void pwrite_all(int fd, const void *p, size_t len, off_t off)
{
	const char *at = p;

	while (len) {
		ssize_t n = pwrite(fd, at, len, off);

		if (n <= 0)
			FAIL("pwrite of %zu at %lld: %s", len, (long long)off,
			     strerror(errno));
		at += n;
		off += n;
		len -= (size_t)n;
	}
}

size_t pread_full(int fd, void *p, size_t len, off_t off)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, (char *)p + done, len - done,
				  off + (off_t)done);

		if (n < 0)
			FAIL("pread of %zu at %lld: %s", len, (long long)off,
			     strerror(errno));
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return done;
}

void put_bytes(const char *path, const void *p, size_t len)
{
	int fd = OK(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644));

	write_all(fd, p, len);
	OK(close(fd));
}

void put(const char *path, const char *text)
{
	put_bytes(path, text, strlen(text));
}

void has_bytes(const char *file, int line, const char *path, const void *p,
	       size_t len)
{
	int fd = open(path, O_RDONLY);
	char *buf = malloc(len + 1);
	size_t got, i;

	if (fd < 0)
		test_fail(file, line, "open %s: %s", path, strerror(errno));
	TRUE(buf);
	got = pread_full(fd, buf, len + 1, 0);
	for (i = 0; i < got && i < len; i++)
		if (buf[i] != ((const char *)p)[i])
			break;
	if (got != len || i != len)
		test_fail(file, line,
			  "%s holds %s%zu bytes (wanted %zu), first "
			  "difference at %zu",
			  path, got > len ? "more than " : "",
			  got > len ? len : got, len, i);
	free(buf);
	OK(close(fd));
}

void pattern(void *p, size_t len, uint64_t seed)
{
	unsigned char *b = p;
	uint64_t x = seed * 0x9e3779b97f4a7c15ULL + 1;

	for (size_t i = 0; i < len; i++) {
		if (i % 8 == 0)
			x = x * 6364136223846793005ULL + 1442695040888963407ULL;
		b[i] = (unsigned char)(x >> (8 * (i % 8)));
	}
}

struct stat st_of(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		FAIL("lstat %s: %s", path, strerror(errno));
	return st;
}

struct stat st_fd(int fd)
{
	struct stat st;

	OK(fstat(fd, &st));
	return st;
}

bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

int64_t nsec(struct timespec ts)
{
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void tick(void)
{
	usleep(25000); /* a jiffy is 10 ms at most */
}

uint64_t rnd_next(struct rnd *r)
{
	r->s = r->s * 6364136223846793005ULL + 1442695040888963407ULL;
	return (r->s >> 33) ^ (r->s << 11);
}

unsigned rnd_below(struct rnd *r, unsigned n)
{
	return (unsigned)((rnd_next(r) >> 8) % n);
}

pid_t start_child(void (*fn)(void *), const void *arg)
{
	pid_t pid = OK(fork());

	if (pid == 0) {
		fn((void *)(uintptr_t)arg);
		_exit(0);
	}
	return pid;
}

void end_child(pid_t pid)
{
	int status;

	OK(waitpid(pid, &status, 0));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return;
	if (WIFEXITED(status))
		_exit(WEXITSTATUS(status));
	FAIL("a child ended by signal %d", WTERMSIG(status));
}

void in_child(void (*fn)(void *), const void *arg)
{
	end_child(start_child(fn, arg));
}

void as_user(uid_t uid, gid_t gid, void (*fn)(void *), void *arg)
{
	pid_t pid = OK(fork());

	if (pid == 0) {
		OK(setgroups(0, NULL));
		OK(setresgid(gid, gid, gid));
		OK(setresuid(uid, uid, uid));
		fn(arg);
		_exit(0);
	}
	end_child(pid);
}

/* --- the runner --- */

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	if (type == FTW_DP || type == FTW_D || type == FTW_DNR) {
		(void)chmod(path, 0700);
		return rmdir(path) < 0 && errno != ENOENT ? 0 : 0;
	}
	(void)unlink(path);
	return 0;
}

static void remove_tree(const char *path)
{
	(void)nftw(path, remove_one, 64, FTW_DEPTH | FTW_PHYS);
}

static void filter_add(struct filter *f, const char *word)
{
	if (f->count < (int)(sizeof(f->words) / sizeof(f->words[0])))
		f->words[f->count++] = word;
}

static bool filter_has(const struct filter *f, const struct test *t)
{
	for (int i = 0; i < f->count; i++)
		if (strstr(t->name, f->words[i]) ||
		    strstr(t->file, f->words[i]))
			return true;
	return false;
}

static bool selected(const struct test *t)
{
	return (only.count == 0 || filter_has(&only, t)) &&
	       !filter_has(&without, t);
}

/* In a user namespace root may know no other users. */
static bool may_be_others(void)
{
	unsigned long inside, outside, count = 0;
	FILE *f = fopen("/proc/self/uid_map", "r");

	if (!f || fscanf(f, "%lu %lu %lu", &inside, &outside, &count) != 3)
		count = 0;
	if (f)
		(void)fclose(f);
	return geteuid() == 0 && count > OTHER_UID + 1;
}

static const char *why_not(const struct test *t)
{
	if ((t->flags & NEEDS_ROOT) && !may_be_others())
		return "needs root, and other users";
	if ((t->flags & NEEDS_VIEW) && !opt.view)
		return "of a view only";
	if ((t->flags & NEEDS_SETTLE) && !opt.settle)
		return "of settled files only";
	if ((t->flags & HEAVY) && !opt.heavy)
		return "heavy";
	if ((t->flags & LONG) && !opt.is_long)
		return "long";
	return NULL;
}

/* The child's output, until it ends or its time is over. */
static bool collect(int fd, char *buf, size_t size, unsigned sec)
{
	struct timespec end, now;
	size_t len = 0;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += sec;
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		char spill[512];
		ssize_t n;
		int64_t left;

		clock_gettime(CLOCK_MONOTONIC, &now);
		left = (nsec(end) - nsec(now)) / 1000000;
		if (left <= 0 || poll(&p, 1, (int)left) == 0)
			return false;
		if (len < size - 1)
			n = read(fd, buf + len, size - 1 - len);
		else
			n = read(fd, spill, sizeof(spill));
		if (n <= 0)
			return true;
		if (len < size - 1)
			len += (size_t)n;
		buf[len] = 0;
	}
}

static int run_test(const struct test *t, const char *top)
{
	static char out[16384];
	struct timespec begin, end;
	char dir[256];
	int p[2], status, sec;
	bool ended;
	pid_t pid;

	sec = (int)limit_sec * (t->flags & (HEAVY | LONG) ? 10 : 1);
	(void)snprintf(dir, sizeof(dir), "t.%s.%d", t->name, (int)getpid());
	OK(chdir(top));
	OK(mkdir(dir, 0755));
	OK(pipe(p));
	out[0] = 0;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	pid = OK(fork());
	if (pid == 0) {
		setpgid(0, 0);
		OK(dup2(p[1], 1));
		close(p[0]);
		close(p[1]);
		umask(022);
		OK(chdir(dir));
		t->fn();
		_exit(0);
	}
	close(p[1]);
	ended = collect(p[0], out, sizeof(out), (unsigned)sec);
	close(p[0]);
	(void)kill(-pid, SIGKILL);
	if (!ended)
		(void)kill(pid, SIGKILL);
	OK(waitpid(pid, &status, 0));
	remove_tree(dir);
	clock_gettime(CLOCK_MONOTONIC, &end);
	if (nsec(end) - nsec(begin) > 5000000000)
		printf("#   %s took %d s\n", t->name,
		       (int)((nsec(end) - nsec(begin)) / 1000000000));

	if (!ended) {
		printf("not ok - %s\n%s#   not ended after %d s\n", t->name,
		       out, sec);
	} else if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		printf("ok - %s\n%s", t->name, out);
		return 0;
	} else if (WIFEXITED(status) && WEXITSTATUS(status) == STATUS_SKIP) {
		printf("ok - %s # %s", t->name,
		       strstr(out, "SKIP") ? strstr(out, "SKIP") : "SKIP\n");
		return 0;
	} else {
		printf("not ok - %s\n%s", t->name, out);
		if (WIFSIGNALED(status))
			printf("#   signal %d\n", WTERMSIG(status));
	}
	return 1;
}

static void usage(void)
{
	fputs("usage: posix [-v] [-H] [-L] [-s SETTLE] [-r SEED] [-o OTHER] "
	      "[-t LIMIT] [-f NAME]... [-x NAME]... DIR\n       posix -l\n",
	      stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	int c, failed = 0;
	bool list = false;
	const char *why;
	char *top;

	while ((c = getopt(argc, argv, "vHLs:r:o:t:f:x:l")) != -1) {
		switch (c) {
		case 'v':
			opt.view = true;
			break;
		case 'H':
			opt.heavy = true;
			break;
		case 'L':
			opt.heavy = opt.is_long = true;
			break;
		case 's':
			opt.settle = (unsigned)atoi(optarg);
			break;
		case 'r':
			opt.seed = (unsigned)atoi(optarg);
			break;
		case 'o':
			opt.other = optarg;
			break;
		case 't':
			limit_sec = (unsigned)atoi(optarg);
			break;
		case 'f':
			filter_add(&only, optarg);
			break;
		case 'x':
			filter_add(&without, optarg);
			break;
		case 'l':
			list = true;
			break;
		default:
			usage();
		}
	}
	if (!list && optind + 1 != argc)
		usage();
	top = list ? NULL : realpath(argv[optind], NULL);
	if (!list && !top) {
		perror(argv[optind]);
		return 2;
	}
	for (struct test *t = tests; t; t = t->next) {
		if (!selected(t))
			continue;
		if (list) {
			printf("%s\n", t->name);
			continue;
		}
		why = why_not(t);
		if (why)
			printf("ok - %s # SKIP %s\n", t->name, why);
		else
			failed += run_test(t, top);
		fflush(stdout);
	}
	free(top);
	return failed ? 1 : 0;
}
