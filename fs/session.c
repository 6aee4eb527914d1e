/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a daemon; see session.h. Order at the start: fork, store, view,
 * mount, threads, requests. At the end, whatever ended it: no more requests,
 * workers, settler, flusher, last commit, leases, store.
 */
#include "config.h"

#include "fs/session.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/attach.h"
#include "fs/features.h"
#include "fs/flush.h"
#include "fs/fuse.h"
#include "fs/hashes.h"
#include "fs/host.h"
#include "fs/hot.h"
#include "fs/latency.h"
#include "fs/log.h"
#include "fs/mount.h"
#include "fs/ops.h"
#include "fs/privilege.h"
#include "fs/publish.h"
#include "fs/settle.h"

/* linux/magic.h */
#define OVERLAYFS_MAGIC 0x794c7630
#define FUSE_MAGIC 0x65735546

#define WORKERS 4
/* A stopping container has ten seconds. */
#define SETTLE_AT_END_MSEC 6000
/* Another PID namespace may hold our pid in the index: a new fork has
 * another. */
#define FORKS_MAX 20

struct start {
	const struct session_opts *opts;
	struct mount mount;
	int report_fd;	   /* to the parent; -1 in the foreground */
	bool store_failed; /* to open: no message, by session.h */
	bool store_is_blind;
	char message[SESSION_MESSAGE_MAX];
};

__attribute__((format(printf, 2, 3))) static int say(struct start *s,
						     const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(s->message, sizeof(s->message), fmt, ap);
	va_end(ap);
	return 0;
}

/* --- resources --------------------------------------------------------- */

/*
 * Raises the limit of descriptors as far as it goes, and lets the kernel make
 * room for them now: a table that grows later stops all threads for
 * milliseconds.
 */
static size_t raise_fd_limit(void)
{
	struct rlimit rl;
	int fd;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
		return 256;
	rl.rlim_cur = rl.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &rl);
	if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
		return 256;
	fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC,
		   (int)MIN(rl.rlim_cur - 1, 8191));
	if (fd >= 0)
		(void)close(fd);
	return rl.rlim_cur;
}

static bool is_stacked(int fd)
{
	struct statfs st;

	if (fstatfs(fd, &st) < 0)
		return false;
	return st.f_type == OVERLAYFS_MAGIC || st.f_type == FUSE_MAGIC;
}

/* --- messages ---------------------------------------------------------- */

static int view_failed(struct start *s, int r, const struct lease_page *holder)
{
	const char *what = s->opts->workspace;

	if (r == -EBUSY)
		say(s,
		    "the view of '%s' is mounted at '%s' already (process "
		    "%llu); unmount it there first",
		    what, holder->mountpoint, (unsigned long long)holder->pid);
	else if (r == -EBADMSG)
		say(s,
		    "the view of '%s' is damaged; run 'targetfs fsck "
		    "--repair --store %s'",
		    what, s->opts->store);
	else
		say(s, "cannot open the view of '%s': %s", what, strerror(-r));
	return r;
}

/* Some images come with it stripped of the bit that it works by. */
static bool fusermount_is_setuid(void)
{
	struct stat st;

	return stat("/usr/bin/fusermount3", &st) < 0 || st.st_mode & S_ISUID;
}

/* By fusermount3, which has said on standard error what it did not like. */
static void user_mount_failed(struct start *s)
{
	const char *dir = s->opts->mountpoint;

	if (access("/usr/bin/fusermount3", F_OK) < 0)
		say(s,
		    "cannot mount on '%s': without root, fusermount3 of the "
		    "package fuse3 is needed",
		    dir);
	else if (!fusermount_is_setuid())
		say(s,
		    "cannot mount on '%s': fusermount3 is not set-user-id "
		    "root; as root: chmod u+s /usr/bin/fusermount3",
		    dir);
	else if (access(dir, W_OK) < 0)
		say(s,
		    "cannot mount on '%s': a plain user mounts only on "
		    "directories that they may write to",
		    dir);
	else if (s->opts->allow_other)
		say(s,
		    "cannot mount on '%s': for allow_other, root has to put "
		    "the line user_allow_other into /etc/fuse.conf",
		    dir);
	else
		say(s, "cannot mount on '%s': fusermount3 refused", dir);
}

static int mount_failed(struct start *s)
{
	if (access("/dev/fuse", F_OK) < 0)
		say(s, "there is no /dev/fuse here; load the kernel's fuse "
		       "module, or start the container with --device "
		       "/dev/fuse --cap-add SYS_ADMIN");
	else if (access("/dev/fuse", R_OK | W_OK) < 0)
		say(s, "/dev/fuse may not be opened by this user; as root: "
		       "chmod 666 /dev/fuse");
	else if (geteuid() == 0)
		say(s,
		    "cannot mount on '%s': mounting is not permitted here; "
		    "a container needs --cap-add SYS_ADMIN",
		    s->opts->mountpoint);
	else
		user_mount_failed(s);
	return -EPERM;
}

/* --- the start --------------------------------------------------------- */

/* A daemon that was killed leaves a mount that answers ENOTCONN. */
static int clear_dead_mount(struct start *s)
{
	const char *dir = s->opts->mountpoint;
	struct statfs st;

	/* stat(2) may be answered by the kernel's cache. */
	if (statfs(dir, &st) == 0)
		return 0;
	if (errno != ENOTCONN) {
		int r = -errno;

		say(s, "'%s': %s", dir, strerror(-r));
		return r;
	}
	return mount_detach_dead(dir);
}

static int open_view(struct start *s)
{
	struct mount *m = &s->mount;
	struct lease_page holder;
	struct view_rec rec;
	struct stat st;
	int r;

	if (s->opts->host)
		return host_new(m, &m->host);
	if (stat(s->opts->mountpoint, &st) < 0)
		return -errno;
	r = views_obtain(m->store, 0, s->opts->workspace, st.st_uid, st.st_gid,
			 st.st_mode & 01777, &rec);
	if (r == 0)
		r = view_attach(m, &rec, 0, &m->view, &holder);
	return r < 0 ? view_failed(s, r, &holder) : 0;
}

static int start_threads(struct mount *m)
{
	int r = worker_pool_new(WORKERS, &m->workers);

	if (r == 0 && m->features & FEATURE_FAST_WAKE)
		r = latency_start(&m->latency);
	if (r == 0)
		r = worker_pool_new(1, &m->notifier);
	if (r == 0)
		r = settler_start(m, &m->settler);
	if (r == 0)
		r = flusher_start(m, &m->flusher);
	if (r == 0 && (m->wink || m->publish))
		r = publisher_start(m, &m->publisher);
	return r;
}

static int open_all(struct start *s)
{
	struct mount *m = &s->mount;
	size_t fds = raise_fd_limit();
	int r;

	list_init(&m->views);
	m->mountpoint = s->opts->mountpoint;
	/* Each file may hold two, and other things need some. */
	m->max_fds = MIN(fds / 3, 2048);
	r = lock_init(&m->lock);
	if (r < 0)
		return r;
	r = clear_dead_mount(s);
	if (r < 0)
		return r;
	r = store_open(s->opts->store, STORE_CREATE, &m->store);
	s->store_failed = r < 0;
	if (r < 0)
		return r;
	m->backing_is_stacked = is_stacked(store_staging_fd(m->store));
	s->store_is_blind = !hot_is_seen(store_staging_fd(m->store));
	m->features = features_here(s->opts->nopassthrough || s->store_is_blind,
				    s->opts->nouring);
	if (store_blobs_ro_fd(m->store) != store_blobs_fd(m->store))
		m->features |= FEATURE_BLOBS_READONLY;
	if (s->opts->nofastwake)
		m->features &= ~(unsigned)FEATURE_FAST_WAKE;
	m->passthrough = m->features & FEATURE_PASSTHROUGH;
	m->uring = m->features & FEATURE_URING;
	m->wink = s->opts->wink;
	m->publish = !s->opts->nopublish && (s->opts->wink || s->opts->publish);
	if (m->wink)
		m->features |= FEATURE_WINK;
	m->hashes = hashes_new();
	if (!m->hashes)
		return -ENOMEM;
	r = start_threads(m);
	return r < 0 ? r : open_view(s);
}

static void close_all(struct mount *m)
{
	worker_pool_free(m->workers);
	worker_pool_free(m->notifier);
	latency_stop(m->latency);
	/* The flusher feeds the settler; from here on this thread flushes. */
	flusher_stop(m->flusher);
	m->flusher = NULL;
	list_foreach(l, &m->views)
		view_quiesce(list_entry(l, struct view, link));
	settler_stop(m->settler, SETTLE_AT_END_MSEC);
	m->settler = NULL;
	/* What has settled is committed, and what is committed published. */
	list_foreach(l, &m->views)
	{
		(void)flush_now(list_entry(l, struct view, link));
	}
	publisher_stop(m->publisher);
	m->publisher = NULL;
	if (m->store)
		list_foreach_safe(l, &m->views)
			view_detach(list_entry(l, struct view, link));
	host_free(m->host);
	m->hashes = hashes_free(m->hashes);
	m->store = store_close(m->store);
	lock_destroy(&m->lock);
}

/* --- the mount --------------------------------------------------------- */

/* Commas separate options, so a path's own are escaped. */
static int escape(const char *path, char *out, size_t size)
{
	size_t n = 0;

	for (; *path; path++) {
		if (n + 3 > size)
			return -ENAMETOOLONG;
		if (*path == ',' || *path == '\\')
			out[n++] = '\\';
		out[n++] = *path;
	}
	out[n] = '\0';
	return 0;
}

/*
 * The kernel checks permissions, but for a mount that root alone may use: they
 * would stop nobody there, and a directory's attributes, which the kernel
 * forgets with each change in it, would be asked for again at each step
 * through it. In a cold build of hyperfine that is a fifth of all requests.
 */
static const char *permission_options(const struct session_opts *opts)
{
	if (opts->allow_other)
		return ",allow_other,default_permissions";
	return privilege_overrides_permissions() ? "" : ",default_permissions";
}

static int make_session(struct start *s)
{
	struct mount *m = &s->mount;
	char store[PATH_MAX * 2], opts[PATH_MAX * 2 + 256];
	char *argv[] = { (char[]){ "targetfs" }, (char[]){ "-o" }, opts, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);
	bool hidden;
	int r;

	r = escape(store_path(m->store), store, sizeof(store));
	if (r < 0)
		return r;
	(void)snprintf(opts, sizeof(opts),
		       "fsname=targetfs:%08x:%s,subtype=targetfs%s%s",
		       m->view ? m->view->id : 0, store,
		       permission_options(s->opts),
		       m->uring ? ",io_uring" : "");
	m->se = fuse_session_new(&args, &ops_table, sizeof(ops_table), m);
	fuse_opt_free_args(&args);
	if (!m->se)
		return -ENOMEM;
	if (fuse_set_signal_handlers(m->se) < 0)
		return -EINVAL;
	(void)signal(SIGIO, SIG_IGN); /* leases, hot.c */
	hidden = privilege_hide();
	r = fuse_session_mount(m->se, s->opts->mountpoint);
	privilege_show(hidden);
	return r != 0 ? mount_failed(s) : 0;
}

static void unmount(struct mount *m)
{
	bool hidden = privilege_hide();

	fuse_session_unmount(m->se);
	privilege_show(hidden);
}

static int serve(struct mount *m)
{
	struct fuse_loop_config *cfg = fuse_loop_cfg_create();
	int r;

	if (!cfg)
		return -ENOMEM;
	fuse_loop_cfg_set_clone_fd(cfg, 0);
	fuse_loop_cfg_set_max_threads(cfg, 4);
	r = fuse_session_loop_mt(m->se, cfg);
	fuse_loop_cfg_destroy(cfg);
	return r;
}

/* The parent waits for this. */
static void report(struct start *s, int r)
{
	if (s->report_fd < 0)
		return;
	if (write(s->report_fd, &r, sizeof(r)) == (ssize_t)sizeof(r))
		(void)!write(s->report_fd, s->message, strlen(s->message));
	(void)close(s->report_fd);
	s->report_fd = -1;
}

/* The log is opened as late as this: nothing before it is worth a line. */
static void open_log(struct start *s)
{
	char path[PATH_MAX];
	int fd;

	if (s->opts->foreground && !s->opts->log_path)
		return;
	if (s->opts->log_path && strcmp(s->opts->log_path, "-") == 0)
		return;
	if (s->opts->log_path)
		(void)snprintf(path, sizeof(path), "%s", s->opts->log_path);
	else
		(void)snprintf(path, sizeof(path), "%s/log",
			       store_path(s->mount.store));
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd >= 0)
		log_to(fd);
}

/* The terminal and the caller's directory are not ours to hold. */
static void leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (chdir("/") < 0 || null < 0)
		return;
	(void)dup2(null, STDIN_FILENO);
	(void)dup2(null, STDOUT_FILENO);
	(void)dup2(null, STDERR_FILENO);
	(void)close(null);
}

/* Ends the rings' threads, too: no request comes after this. */
static void end_session(struct mount *m)
{
	struct fuse_session *se;

	lock_acquire(&m->lock);
	se = TAKE_PTR(m->se);
	lock_release(&m->lock);
	if (!se)
		return;
	fuse_remove_signal_handlers(se);
	fuse_session_destroy(se);
}

static int run(struct start *s)
{
	struct mount *m = &s->mount;
	int r;

	r = open_all(s);
	if (r == 0)
		r = make_session(s);
	if (r == 0) {
		open_log(s);
		features_hints(m->features, s->opts->nopassthrough,
			       s->opts->nouring, s->store_is_blind, s->message,
			       sizeof(s->message));
		if (!s->opts->foreground)
			leave_terminal();
		report(s, 0);
		r = serve(m);
		r = r < 0 ? r : 0;
		/* Their replies need the session's descriptor. */
		worker_pool_stop(m->workers);
		worker_pool_stop(m->notifier);
		unmount(m);
	}
	end_session(m);
	close_all(m);
	if (r < 0 && s->message[0] == '\0' && !s->store_failed)
		say(s, "%s", strerror(-r));
	report(s, r);
	return r;
}

/* --- the parent -------------------------------------------------------- */

/* What the child reports; -EIO when it ended without a word. */
static int wait_report(int fd, const struct session_opts *opts,
		       char ret_message[SESSION_MESSAGE_MAX])
{
	size_t len = 0;
	ssize_t n;
	int r;

	n = read(fd, &r, sizeof(r));
	if (n != (ssize_t)sizeof(r)) {
		(void)snprintf(ret_message, SESSION_MESSAGE_MAX,
			       "the daemon ended before it was ready; its log "
			       "is '%s/log'",
			       opts->store);
		return -EIO;
	}
	while (len < SESSION_MESSAGE_MAX - 1 &&
	       (n = read(fd, ret_message + len,
			 SESSION_MESSAGE_MAX - 1 - len)) > 0)
		len += (size_t)n;
	ret_message[len] = '\0';
	return r;
}

/* @mask: of the signals that are blocked in the child. */
static int start_child(const struct session_opts *opts, const sigset_t *mask,
		       char ret_message[SESSION_MESSAGE_MAX], pid_t *ret_pid)
{
	int fds[2], r;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid < 0) {
		r = -errno;
		(void)close(fds[0]);
		(void)close(fds[1]);
		return r;
	}
	if (pid == 0) {
		struct start s = { .opts = opts, .report_fd = fds[1] };

		(void)close(fds[0]);
		if (opts->foreground)
			(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
		else
			(void)setsid();
		(void)sigprocmask(SIG_SETMASK, mask, NULL);
		_exit(run(&s) < 0);
	}
	(void)close(fds[1]);
	r = wait_report(fds[0], opts, ret_message);
	(void)close(fds[0]);
	if (r < 0)
		(void)waitpid(pid, NULL, 0);
	else
		*ret_pid = pid;
	return r;
}

/* Returns when the daemon has ended; what ends us ends it. */
static int attend(pid_t pid, const sigset_t *signals)
{
	int status, sig;
	pid_t got;

	while ((got = waitpid(pid, &status, WNOHANG)) == 0)
		if (sigwait(signals, &sig) == 0 && sig != SIGCHLD)
			(void)kill(pid, sig);
	return got == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0
		       ? 0
		       : -EIO;
}

/*
 * Starts a daemon, under one pid after the other. In the foreground this is
 * for a container's process 1, whose pid other containers have, too.
 */
static int start_daemon(const struct session_opts *opts,
			char ret_message[SESSION_MESSAGE_MAX])
{
	sigset_t signals, mask;
	int r = -EAGAIN;
	pid_t pid = -1;

	(void)sigemptyset(&signals);
	if (opts->foreground) {
		(void)sigaddset(&signals, SIGTERM);
		(void)sigaddset(&signals, SIGINT);
		(void)sigaddset(&signals, SIGHUP);
		(void)sigaddset(&signals, SIGCHLD);
		/* One that is ignored would not be sent. */
		(void)signal(SIGCHLD, SIG_DFL);
	}
	(void)sigprocmask(SIG_BLOCK, &signals, &mask);
	for (int i = 0; i < FORKS_MAX && r == -EAGAIN; i++)
		r = start_child(opts, &mask, ret_message, &pid);
	if (r == 0 && opts->foreground)
		r = attend(pid, &signals);
	if (r == -EIO && pid > 0)
		(void)snprintf(ret_message, SESSION_MESSAGE_MAX,
			       "the daemon ended in an unforeseen way");
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
	return r;
}

int session_start(const struct session_opts *opts,
		  char ret_message[SESSION_MESSAGE_MAX])
{
	int r;

	ret_message[0] = '\0';
	if (opts->foreground) {
		struct start s = { .opts = opts, .report_fd = -1 };

		r = run(&s);
		memcpy(ret_message, s.message, sizeof(s.message));
		if (r != -EAGAIN)
			return r;
	}
	return start_daemon(opts, ret_message);
}
