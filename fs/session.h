/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One daemon, one mount: from the options of the command line to the end of
 * the mount.
 *
 * session_start() forks: the child mounts, opens the store, attaches the view
 * and serves; the parent returns when the mount can be used, or with the
 * child's error and its message. With `foreground` it serves in the calling
 * process and returns when the mount is gone; only where the store is in use
 * by a process of another container with the same pid, a child serves and this
 * process waits for it.
 */
#ifndef FS_SESSION_H
#define FS_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session_opts {
	const char *store;	/* path; made when absent */
	const char *workspace;	/* absolute, real path; NULL in host mode */
	const char *mountpoint; /* absolute, real path of a directory */
	bool host;
	bool foreground;
	bool nopassthrough, nouring, nofastwake; /* -o of that name */
	bool wink;	/* -o wink: show units of the store */
	bool publish;	/* -o publish: make known what is built; so does wink */
	bool nopublish; /* -o nopublish: not even then */
	bool allow_other;     /* also set for root by default */
	const char *log_path; /* NULL: STORE/log; "-": stderr */
};

#define SESSION_MESSAGE_MAX 1024

/*
 * 0, or a negative errno and, in @ret_message, one line for the user: what is
 * wrong and what to do; an empty one when it is the store that could not be
 * opened, with the error of store_open(). On success the message may hold
 * hints about what would make the mount faster here (one a line), or be empty.
 */
int session_start(const struct session_opts *opts,
		  char ret_message[SESSION_MESSAGE_MAX]);

/* What this machine and this process can do (a FEATURE_ mask), for
 * `targetfs version`. */
unsigned session_features_here(void);
/* What was compiled in; the version of libfuse it runs with. */
unsigned session_features_built(void);
const char *session_fuse_version(void);

/*
 * A mounted view, as found in /proc/self/mountinfo. The mount's source is
 * "targetfs:<view id, 8 hex digits>:<store path>", its type "fuse.targetfs";
 * for host mode the id is 00000000.
 */
struct mount_info {
	char *mountpoint; /* owned */
	char *store;	  /* owned */
	uint32_t view;
	uint32_t owner; /* the uid of who mounted it */
};
/* -ENOENT when nothing of ours is mounted at exactly @mountpoint. */
int mount_find(const char *mountpoint, struct mount_info *ret_info);
/* The mount that the absolute @path is in, or would be; -ENOENT: none of ours */
int mount_find_around(const char *path, struct mount_info *ret_info);
/* A mount of whatever kind below @mountpoint: its path. -ENOENT: none. */
int mount_find_below(const char *mountpoint, char **ret_path);
void mount_info_release(struct mount_info *info);
/*
 * Unmounts and waits until the daemon has committed everything and given its
 * lease back. @lazy: detach although it is busy. -ENOENT, -EBUSY, -EPERM,
 * -EOPNOTSUPP (fusermount3 lacks /etc/mtab). It is unmounted, but: -EUSERS:
 * another mount, of another mount namespace as a rule, keeps the daemon going;
 * -ETIMEDOUT: it has not ended after a minute, for this reason or another; -EIO
 * or -ENOSPC when its last commit failed, -ECONNABORTED when it was killed
 * before that.
 */
int mount_remove(const char *mountpoint, bool lazy);
/* Takes away the mount of a daemon that is gone (ENOTCONN). */
int mount_detach_dead(const char *mountpoint);

#endif
