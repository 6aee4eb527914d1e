/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds; see build.h. Threads of cargo are recognised by number, start time
 * and addresses: a number that is used again belongs to another, and so does
 * one whose process has become another program (cargo run does).
 */
#include "config.h"

#include "fs/build.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <xxhash.h>

#include "fs/outside.h"
#include "fs/scope.h"
#include "fs/view.h"
#include "fs/workspace.h"
#include "store/base/broken.h"
#include "store/base/buf.h"
#include "store/base/io.h"
#include "store/base/list.h"
#include "store/base/lock.h"
#include "store/base/macros.h"

/* The kernel's own limits are larger; nobody's environment is. */
#define PROC_MAX ((size_t)4 << 20)
/* Builds that are remembered; the oldest goes. */
#define BUILDS_MAX 16
#define TIDS 512

struct missed {
	uint64_t profile, hash;
};

struct build {
	struct list link;
	unsigned refs; /* builds.lock */
	/* constant */
	pid_t tgid;
	uint64_t started; /* proc_started() */
	uint64_t number;
	bool ours; /* false: remembered as no build */
	uid_t uid;
	gid_t gid;
	char *environ; /* words that end with a NUL */
	size_t environ_len;
	char *cargo_home;
	char *cwd;
	const char *mountpoint; /* the mount's */
	int workspace_fd;
	struct digest scope[SCOPE_COUNT];
	struct digest environment;
	/* builds.lock */
	bool begun;
	struct missed *missed;
	size_t missed_count, missed_cap;
	struct lock *lock; /* builds.lock */
};

/* What a thread turned out to be. */
struct thread {
	pid_t tid;
	uint64_t started;
	struct build *build; /* borrowed, NULL: not cargo */
};

struct builds {
	struct lock lock;
	/* protected by lock */
	struct list list; /* newest first */
	unsigned count;
	uint64_t numbers;	     /* given so far */
	struct thread threads[TIDS]; /* by tid */
};

static void build_free(struct build *b)
{
	free(b->environ);
	free(b->cargo_home);
	free(b->cwd);
	free(b->missed);
	if (b->workspace_fd >= 0)
		(void)close(b->workspace_fd);
	free(b);
}

struct builds *builds_new(void)
{
	struct builds *bs = calloc(1, sizeof(*bs));

	if (!bs)
		return NULL;
	list_init(&bs->list);
	if (lock_init(&bs->lock) < 0) {
		free(bs);
		return NULL;
	}
	return bs;
}

struct builds *builds_free(struct builds *bs)
{
	if (!bs)
		return NULL;
	list_foreach_safe(l, &bs->list)
		build_free(list_entry(l, struct build, link));
	lock_destroy(&bs->lock);
	free(bs);
	return NULL;
}

/* --- /proc ------------------------------------------------------------- */

struct proc {
	char dir[32]; /* "/proc/<pid>" */
};

static struct proc proc_of(pid_t pid)
{
	struct proc p;

	(void)snprintf(p.dir, sizeof(p.dir), "/proc/%d", (int)pid);
	return p;
}

/* The files of /proc do not know their size. A NUL follows the bytes. */
static int proc_read(const struct proc *p, const char *name, char **ret_text,
		     size_t *ret_len)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	_cleanup_close_ int fd = -1;
	char path[64], piece[4096];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "%s/%s", p->dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while ((n = read(fd, piece, sizeof(piece))) > 0) {
		buf_put(&b, piece, (size_t)n);
		if (b.len > PROC_MAX)
			return -EFBIG;
	}
	if (n < 0)
		return -errno;
	*ret_len = b.len;
	buf_u8(&b, 0);
	if (b.err < 0)
		return b.err;
	*ret_text = (char *)TAKE_PTR(b.data);
	return 0;
}

static int proc_link(const struct proc *p, const char *name,
		     char ret_target[PATH_MAX])
{
	char path[64];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "%s/%s", p->dir, name);
	n = readlink(path, ret_target, PATH_MAX - 1);
	if (n < 0)
		return -errno;
	ret_target[n] = '\0';
	return 0;
}

/* Fields of stat that stay as they are until the process ends or becomes
 * another program: its start, and where its code, stack and environment are. */
static bool is_constant(int field)
{
	if (broken("build-program"))
		return field == 22;
	return field == 22 || (field >= 26 && field <= 28) ||
	       (field >= 48 && field <= 51);
}

/* A number that says which program in which process. The name in field 2 may
 * hold anything. */
static int proc_started(pid_t pid, uint64_t *ret_started)
{
	_cleanup_free_ char *text = NULL;
	struct proc p = proc_of(pid);
	uint64_t x = 0;
	size_t len;
	char *at;
	int r;

	r = proc_read(&p, "stat", &text, &len);
	if (r < 0)
		return r;
	at = strrchr(text, ')');
	for (int field = 3; at && field <= 51; field++) {
		at = strchr(at + 1, ' ');
		if (at && is_constant(field))
			x = XXH3_64bits_withSeed(at + 1, strcspn(at + 1, " \n"),
						 x);
	}
	if (!at)
		return -EINVAL;
	*ret_started = x;
	return 0;
}

static int proc_tgid(pid_t tid, pid_t *ret_tgid)
{
	_cleanup_free_ char *text = NULL;
	struct proc p = proc_of(tid);
	size_t len;
	char *at;
	int r;

	r = proc_read(&p, "status", &text, &len);
	if (r < 0)
		return r;
	at = strstr(text, "\nTgid:");
	if (!at)
		return -EINVAL;
	*ret_tgid = (pid_t)strtol(at + 6, NULL, 10);
	return 0;
}

static bool is_cargo(pid_t tgid)
{
	_cleanup_free_ char *name = NULL;
	struct proc p = proc_of(tgid);
	size_t len;

	return proc_read(&p, "comm", &name, &len) == 0 &&
	       strcmp(name, "cargo\n") == 0;
}

static bool same_link(const struct proc *p, const char *name)
{
	const struct proc self = { "/proc/self" };
	char a[PATH_MAX], b[PATH_MAX];

	return proc_link(p, name, a) == 0 && proc_link(&self, name, b) == 0 &&
	       strcmp(a, b) == 0;
}

/* --- one build --------------------------------------------------------- */

/* The directory from which cargo looks for its manifest. */
static int start_dir(const struct view *v, const char *cwd,
		     const char *manifest, char ret_dir[PATH_MAX])
{
	char path[PATH_MAX * 2], *slash;
	int r;

	if (view_contains_path(v, cwd))
		return -EXDEV;
	if (!manifest) {
		memcpy(ret_dir, cwd, strlen(cwd) + 1);
		return 0;
	}
	(void)snprintf(path, sizeof(path), "%s/%s",
		       manifest[0] == '/' ? "" : cwd, manifest);
	r = outside_resolve(view_mountpoint(v), path, false, ret_dir);
	if (r < 0)
		return r;
	slash = strrchr(ret_dir, '/');
	if (!slash || strcmp(slash, "/Cargo.toml") != 0)
		return -EINVAL;
	*slash = '\0';
	return 0;
}

static bool builds_view(struct build *b, const struct proc *p,
			const struct view *v)
{
	_cleanup_free_ char *argv = NULL;
	char cwd[PATH_MAX], dir[PATH_MAX];
	const char *manifest;
	size_t len;

	if (!v->workspace || view_contains_path(v, v->workspace) ||
	    !same_link(p, "ns/mnt") || !same_link(p, "root"))
		return false;
	if (proc_read(p, "cmdline", &argv, &len) < 0 ||
	    !workspace_command(argv, len, &manifest) ||
	    proc_link(p, "cwd", cwd) < 0 ||
	    start_dir(v, cwd, manifest, dir) < 0 ||
	    !(workspace_is_built_in(v->workspace, dir) ||
	      broken("build-workspace")))
		return false;
	b->cwd = strdup(cwd);
	return b->cwd != NULL;
}

const char *build_getenv(const struct build *b, const char *name)
{
	const char *at = b->environ, *end = at + b->environ_len;
	size_t len = strlen(name);

	for (; at < end; at += strlen(at) + 1)
		if (strncmp(at, name, len) == 0 && at[len] == '=')
			return at + len + 1;
	return NULL;
}

static int find_cargo_home(struct build *b)
{
	const char *home = build_getenv(b, "CARGO_HOME");
	int n;

	if (home && home[0] == '/')
		n = asprintf(&b->cargo_home, "%s", home);
	else if (home || !build_getenv(b, "HOME"))
		return -EINVAL;
	else
		n = asprintf(&b->cargo_home, "%s/.cargo",
			     build_getenv(b, "HOME"));
	if (n < 0)
		b->cargo_home = NULL;
	return n < 0 ? -ENOMEM : 0;
}

static int look_at(struct build *b, const struct view *v, const struct proc *p)
{
	struct stat st;
	int r;

	if (stat(p->dir, &st) < 0)
		return -errno;
	b->mountpoint = view_mountpoint(v);
	b->uid = st.st_uid;
	b->gid = st.st_gid;
	b->workspace_fd = open(v->workspace, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (b->workspace_fd < 0)
		return -errno;
	r = proc_read(p, "environ", &b->environ, &b->environ_len);
	if (r == 0)
		r = find_cargo_home(b);
	if (r == 0)
		r = scope_of_environment(b->environ, b->environ_len,
					 &b->environment);
	return r < 0 ? r : scope_digests(b, b->scope);
}

/* A process that is no build of the view is remembered, too. */
static struct build *build_new(struct view *v, pid_t tgid, uint64_t started)
{
	struct build *b = calloc(1, sizeof(*b));
	struct proc p = proc_of(tgid);
	uint64_t again;

	if (!b)
		return NULL;
	list_init(&b->link);
	b->tgid = tgid;
	b->started = started;
	b->workspace_fd = -1;
	b->ours = builds_view(b, &p, v) && look_at(b, v, &p) == 0;
	/* All this was of one process. */
	if (proc_started(tgid, &again) < 0 || again != started)
		b->ours = false;
	return b;
}

/* --- finding ----------------------------------------------------------- */

static struct build *find_locked(struct builds *bs, pid_t tgid,
				 uint64_t started)
{
	list_foreach(l, &bs->list)
	{
		struct build *b = list_entry(l, struct build, link);

		if (b->tgid == tgid && b->started == started)
			return b;
	}
	return NULL;
}

static void forget_oldest_locked(struct builds *bs)
{
	struct build *old = NULL;

	list_foreach(l,
		     &bs->list) if (list_entry(l, struct build, link)->refs ==
				    0) old = list_entry(l, struct build, link);
	if (!old)
		return;
	for (size_t i = 0; i < TIDS; i++)
		if (bs->threads[i].build == old)
			bs->threads[i] = (struct thread){ 0 };
	list_del(&old->link);
	bs->count--;
	build_free(old);
}

/* Takes @b; returns the one in the list. */
static struct build *add_locked(struct builds *bs, struct build *b)
{
	struct build *other = find_locked(bs, b->tgid, b->started);

	if (other) {
		build_free(b);
		return other;
	}
	if (bs->count >= BUILDS_MAX)
		forget_oldest_locked(bs);
	b->lock = &bs->lock;
	b->number = ++bs->numbers;
	list_add_tail(bs->list.next, &b->link);
	bs->count++;
	return b;
}

static struct build *find(struct view *v, pid_t tid, uint64_t started)
{
	struct builds *bs = v->builds;
	struct build *b = NULL, *made = NULL;
	uint64_t tg_started;
	pid_t tgid;

	if (proc_tgid(tid, &tgid) < 0 || !is_cargo(tgid) ||
	    proc_started(tgid, &tg_started) < 0)
		tgid = 0;
	if (tgid != 0) {
		lock_acquire(&bs->lock);
		b = find_locked(bs, tgid, tg_started);
		lock_release(&bs->lock);
		if (!b)
			made = build_new(v, tgid, tg_started);
	}
	lock_acquire(&bs->lock);
	if (made)
		b = add_locked(bs, made);
	else if (tgid != 0)
		b = find_locked(bs, tgid, tg_started);
	bs->threads[(size_t)tid % TIDS] = (struct thread){ tid, started, b };
	if (b && b->ours)
		b->refs++;
	else
		b = NULL;
	lock_release(&bs->lock);
	return b;
}

struct build *build_of(struct view *v, pid_t tid)
{
	struct builds *bs = v->builds;
	struct build *b = NULL;
	struct thread *t;
	uint64_t started;
	bool known;

	if (tid <= 0 || proc_started(tid, &started) < 0)
		return NULL;
	lock_acquire(&bs->lock);
	t = &bs->threads[(size_t)tid % TIDS];
	known = t->tid == tid && t->started == started;
	if (known && t->build && t->build->ours) {
		b = t->build;
		b->refs++;
	}
	lock_release(&bs->lock);
	return known ? b : find(v, tid, started);
}

struct build *build_ref(struct build *b)
{
	if (!b)
		return NULL;
	lock_acquire(b->lock);
	b->refs++;
	lock_release(b->lock);
	return b;
}

void build_unref(struct build *b)
{
	if (!b)
		return;
	lock_acquire(b->lock);
	b->refs--;
	lock_release(b->lock);
}

/* --- asking ------------------------------------------------------------ */

const struct digest *build_scope(const struct build *b, enum scope s)
{
	return &b->scope[s];
}

const struct digest *build_environment(const struct build *b)
{
	return &b->environment;
}

int build_workspace_fd(const struct build *b)
{
	return b->workspace_fd;
}

uid_t build_uid(const struct build *b)
{
	return b->uid;
}

gid_t build_gid(const struct build *b)
{
	return b->gid;
}

const char *build_cargo_home(const struct build *b)
{
	return b->cargo_home;
}

const char *build_cwd(const struct build *b)
{
	return b->cwd;
}

const char *build_mountpoint(const struct build *b)
{
	return b->mountpoint;
}

uint64_t build_number(const struct build *b)
{
	return b->number;
}

pid_t build_pid(const struct build *b)
{
	return b->tgid;
}

bool build_begins(struct build *b)
{
	bool begins;

	lock_acquire(b->lock);
	begins = !b->begun;
	b->begun = true;
	lock_release(b->lock);
	return begins;
}

/* Few: a unit is missed once, and then compiled. */
bool build_has_missed(struct build *b, uint64_t profile, uint64_t hash)
{
	bool found = false;

	lock_acquire(b->lock);
	for (size_t i = 0; i < b->missed_count && !found; i++)
		found = b->missed[i].hash == hash &&
			b->missed[i].profile == profile;
	lock_release(b->lock);
	return found;
}

void build_missed(struct build *b, uint64_t profile, uint64_t hash)
{
	lock_acquire(b->lock);
	if (b->missed_count == b->missed_cap) {
		size_t cap = b->missed_cap ? b->missed_cap * 2 : 64;
		struct missed *p = realloc(b->missed, cap * sizeof(*p));

		if (p) {
			b->missed = p;
			b->missed_cap = cap;
		}
	}
	if (b->missed_count < b->missed_cap)
		b->missed[b->missed_count++] = (struct missed){ profile, hash };
	lock_release(b->lock);
}
