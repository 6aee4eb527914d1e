/* SPDX-License-Identifier: Apache-2.0 */
/* Many threads on few names, and what must hold all the while and after. */
#include "tests/fuse/posix.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 8, NAMES = 24, DIRS = 3 };

static unsigned ops_per_thread(void)
{
	return opt.is_long ? 100000 : 4000;
}

static void random_name(struct rnd *rnd, char *buf, size_t size)
{
	static const char *const ends[] = { "", ".d", ".rlib" };

	(void)snprintf(buf, size, "h%u/n%u%s", rnd_below(rnd, DIRS),
		       rnd_below(rnd, NAMES), ends[rnd_below(rnd, 3)]);
}

/* Only these may be said of a name that others work on at the same time. */
static void may_fail(const char *what, const char *name, long r)
{
	if (r >= 0 || errno == ENOENT || errno == EEXIST || errno == EISDIR ||
	    errno == ENOTDIR || errno == ENOTEMPTY || errno == EPERM ||
	    errno == EINVAL)
		return;
	FAIL("%s %s: %s", what, name, strerror(errno));
}

/* A file is written once, by its creator, under a name of the creator's own,
 * and moved in place: whoever opens it finds it whole. */
struct content {
	uint64_t id, check;
	char fill[112];
};

static void make_whole_file(struct rnd *rnd, int thread, const char *name)
{
	struct content c = { .id = rnd_next(rnd) };
	char tmp[32];
	int fd;

	c.check = ~c.id;
	memset(c.fill, (int)(c.id & 0x7f), sizeof(c.fill));
	(void)snprintf(tmp, sizeof(tmp), "tmp.%d", thread);
	fd = OK(open(tmp, O_WRONLY | O_CREAT | O_EXCL, 0644));
	write_all(fd, &c, sizeof(c));
	OK(close(fd));
	may_fail("rename to", name, rename(tmp, name));
	if (exists(tmp))
		OK(unlink(tmp));
}

static void read_whole_file(const char *name)
{
	struct content c;
	int fd = open(name, O_RDONLY);
	struct stat st;

	may_fail("open", name, fd);
	if (fd < 0)
		return;
	OK(fstat(fd, &st));
	if (S_ISREG(st.st_mode)) {
		EQ(st.st_size, sizeof(c));
		EQ(pread_full(fd, &c, sizeof(c), 0), sizeof(c));
		if (c.check != ~c.id || c.fill[111] != (char)(c.id & 0x7f))
			FAIL("%s is not whole", name);
	}
	OK(close(fd));
}

static void *hammers(void *arg)
{
	int me = (int)(intptr_t)arg;
	struct rnd rnd = { (uint64_t)me * 1000 + opt.seed };
	char a[64], b[64];
	struct stat st;

	for (unsigned i = 0; i < ops_per_thread(); i++) {
		random_name(&rnd, a, sizeof(a));
		random_name(&rnd, b, sizeof(b));
		switch (rnd_below(&rnd, 12)) {
		case 0:
		case 1:
		case 2:
			make_whole_file(&rnd, me, a);
			break;
		case 3:
			may_fail("unlink", a, unlink(a));
			break;
		case 4:
			may_fail("link", a, link(a, b));
			break;
		case 5:
			may_fail("rename", a, rename(a, b));
			break;
		case 6:
			may_fail("exchange", a,
				 renameat2(AT_FDCWD, a, AT_FDCWD, b,
					   RENAME_EXCHANGE));
			break;
		case 7:
			may_fail("noreplace", a,
				 renameat2(AT_FDCWD, a, AT_FDCWD, b,
					   RENAME_NOREPLACE));
			break;
		case 8:
			may_fail("mkdir", a, mkdir(a, 0755));
			break;
		case 9:
			may_fail("rmdir", a, rmdir(a));
			break;
		case 10:
			may_fail("stat", a, lstat(a, &st));
			may_fail("chmod", a, chmod(a, 0644 | (me & 1)));
			break;
		default:
			read_whole_file(a);
			break;
		}
	}
	return NULL;
}

/* Every name that is listed can be looked up as what it was listed as, and an
 * inode has as many links as it has names. */
static void check_the_rest(void)
{
	static struct {
		ino_t ino;
		nlink_t nlink, found;
	} seen[4096];
	int count = 0;

	for (int d = 0; d < DIRS; d++) {
		char dir[16], path[300];
		nlink_t subdirs = 0;
		struct dirent *e;
		DIR *dp;

		(void)snprintf(dir, sizeof(dir), "h%d", d);
		dp = opendir(dir);
		TRUE(dp);
		while ((e = readdir(dp))) {
			struct stat st;
			int i;

			if (e->d_name[0] == '.')
				continue;
			(void)snprintf(path, sizeof(path), "%s/%s", dir,
				       e->d_name);
			st = st_of(path);
			EQ(st.st_ino, e->d_ino);
			EQ(IFTODT(st.st_mode), e->d_type);
			if (S_ISDIR(st.st_mode)) {
				subdirs++;
				EQ(st.st_nlink, 2);
				continue;
			}
			read_whole_file(path);
			for (i = 0; i < count && seen[i].ino != st.st_ino; i++)
				;
			if (i == count) {
				TRUE(count < 4096);
				seen[count].ino = st.st_ino;
				seen[count++].nlink = st.st_nlink;
			}
			seen[i].found++;
		}
		OK(closedir(dp));
		EQ(st_of(dir).st_nlink, subdirs + 2);
	}
	for (int i = 0; i < count; i++)
		EQ(seen[i].found, seen[i].nlink);
}

TEST(hammer_names, HEAVY)
{
	pthread_t threads[THREADS];
	char dir[16];

	umask(0);
	for (int d = 0; d < DIRS; d++) {
		(void)snprintf(dir, sizeof(dir), "h%d", d);
		OK(mkdir(dir, 0755));
	}
	for (int i = 0; i < THREADS; i++)
		EQ(pthread_create(&threads[i], NULL, hammers,
				  (void *)(intptr_t)i),
		   0);
	for (int i = 0; i < THREADS; i++)
		EQ(pthread_join(threads[i], NULL), 0);
	check_the_rest();
}

/* --- a name that is always there --- */

static atomic_bool stop;

static void *replaces(void *arg)
{
	char tmp[32], text[32];

	for (int i = 0; !stop; i++) {
		(void)snprintf(tmp, sizeof(tmp), "r%d", (int)(intptr_t)arg);
		(void)snprintf(text, sizeof(text), "%08d%08d", i, i);
		put(tmp, text);
		OK(rename(tmp, "target"));
	}
	return NULL;
}

static void *reads_target(void *arg)
{
	char buf[32];

	for (int i = 0; i < (opt.is_long ? 100000 : 5000); i++) {
		int fd = open("target", O_RDONLY);

		if (fd < 0)
			FAIL("the replaced name: %s", strerror(errno));
		EQ(pread_full(fd, buf, sizeof(buf), 0), 16);
		if (memcmp(buf, buf + 8, 8) != 0)
			FAIL("a torn file: %.16s", buf);
		OK(close(fd));
		(void)st_of("target");
	}
	return arg;
}

TEST(hammer_replaced_name_is_always_there, 0)
{
	pthread_t writers[2], readers[2];

	put("target", "0000000000000000");
	for (intptr_t i = 0; i < 2; i++) {
		EQ(pthread_create(&writers[i], NULL, replaces, (void *)i), 0);
		EQ(pthread_create(&readers[i], NULL, reads_target, NULL), 0);
	}
	for (int i = 0; i < 2; i++)
		EQ(pthread_join(readers[i], NULL), 0);
	stop = true;
	for (int i = 0; i < 2; i++)
		EQ(pthread_join(writers[i], NULL), 0);
	EQ(st_of("target").st_nlink, 1);
}

/* --- a tree that is made by all at once --- */

static void *makes_tree(void *arg)
{
	char path[128];

	for (int i = 0; i < 200; i++) {
		(void)snprintf(path, sizeof(path), "t%d", i % 10);
		if (mkdir(path, 0755) < 0)
			EQ(errno, EEXIST);
		(void)snprintf(path, sizeof(path), "t%d/u%d", i % 10, i);
		if (mkdir(path, 0755) < 0)
			EQ(errno, EEXIST);
		(void)snprintf(path, sizeof(path), "t%d/u%d/f%d", i % 10, i,
			       (int)(intptr_t)arg);
		put(path, path);
		HAS(path, path);
	}
	return NULL;
}

TEST(hammer_mkdir_of_one_tree, 0)
{
	pthread_t threads[THREADS];
	char path[128];

	for (intptr_t i = 0; i < THREADS; i++)
		EQ(pthread_create(&threads[i], NULL, makes_tree, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		EQ(pthread_join(threads[i], NULL), 0);
	for (int i = 0; i < 200; i++)
		for (int k = 0; k < THREADS; k++) {
			(void)snprintf(path, sizeof(path), "t%d/u%d/f%d",
				       i % 10, i, k);
			HAS(path, path);
		}
}

/* --- paths through directories that change places --- */

static void *exchanges(void *arg)
{
	while (!stop)
		OK(renameat2(AT_FDCWD, "left", AT_FDCWD, "right/in",
			     RENAME_EXCHANGE));
	return arg;
}

TEST(hammer_walks_through_moving_directories, 0)
{
	pthread_t thread;

	OK(mkdir("left", 0755));
	OK(mkdir("left/x", 0755));
	put("left/x/f", "same");
	OK(mkdir("right", 0755));
	OK(mkdir("right/in", 0755));
	OK(mkdir("right/in/x", 0755));
	put("right/in/x/f", "same");
	EQ(pthread_create(&thread, NULL, exchanges, NULL), 0);
	for (int i = 0; i < 3000; i++) {
		HAS("left/x/f", "same");
		HAS("right/in/x/f", "same");
	}
	stop = true;
	EQ(pthread_join(thread, NULL), 0);
}

/* --- one file written by all --- */

static void *writes_stripe(void *arg)
{
	int me = (int)(intptr_t)arg;
	unsigned char block[512];

	memset(block, 'a' + me, sizeof(block));
	for (int i = 0; i < 500; i++) {
		int fd = OK(open("shared.rlib", O_RDWR));

		pwrite_all(fd, block, sizeof(block),
			   (i * THREADS + me) * (off_t)sizeof(block));
		OK(close(fd));
	}
	return NULL;
}

TEST(hammer_one_file, 0)
{
	static unsigned char r[500 * THREADS * 512 + 1];
	pthread_t threads[THREADS];
	int fd;

	put("shared.rlib", "");
	for (intptr_t i = 0; i < THREADS; i++)
		EQ(pthread_create(&threads[i], NULL, writes_stripe, (void *)i),
		   0);
	for (int i = 0; i < THREADS; i++)
		EQ(pthread_join(threads[i], NULL), 0);
	fd = OK(open("shared.rlib", O_RDONLY));
	EQ(pread_full(fd, r, sizeof(r), 0), sizeof(r) - 1);
	for (size_t i = 0; i < sizeof(r) - 1; i++)
		if (r[i] != 'a' + i / 512 % THREADS)
			FAIL("byte %zu is %c", i, r[i]);
	OK(close(fd));
}
