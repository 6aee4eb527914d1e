/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounting, as `mount` and `run` share it: options, the state of the place,
 * and the start of a session.
 */
#ifndef TOOLS_MOUNTING_H
#define TOOLS_MOUNTING_H

#include <stdbool.h>

#include "fs/session.h"

/* What is to be mounted where. */
struct mount_job {
	struct session_opts opts; /* its paths are those below */
	char *store;		  /* owned, absolute */
	char *workspace;	  /* owned, real; NULL in host mode */
	char *mountpoint;	  /* owned, real, perhaps absent */
};

/* What is at the mount point now. */
enum place {
	PLACE_ABSENT,
	PLACE_EMPTY, /* a directory without entries */
	PLACE_FULL,  /* a directory with entries */
	PLACE_OURS,  /* a view is mounted there, and answers */
	PLACE_DEAD,  /* a view is mounted there, but its daemon is gone */
};

/* The options as they are without -o. */
void mount_job_init(struct mount_job *job);
void mount_job_release(struct mount_job *job);
/*
 * Takes a comma-separated list of -o. Says which option it does not know, and
 * which there are: -EINVAL.
 */
int mount_job_options(struct mount_job *job, const char *list);
/*
 * Chooses the store and makes the paths real: @workspace NULL is the parent
 * of @dir, or none in host mode. Says what is wrong.
 */
int mount_job_paths(struct mount_job *job, const char *store,
		    const char *workspace, const char *dir);

/* May this process use /dev/fuse? Says why not. */
int mount_device_check(void);
/* Looks at the mount point; says what is wrong with it. */
int mount_place(const struct mount_job *job, enum place *ret_place);
/* Nothing is mounted there, and nothing of a view can be seen there. */
bool mount_is_absent(const struct mount_job *job);
/* Clears away the mount of a daemon that died. */
int mount_clear(const struct mount_job *job);
/*
 * Makes the directory if needed and starts the session. Says what goes wrong,
 * and then leaves nothing behind; says what would make the mount faster.
 */
int mount_start(struct mount_job *job);
/* The same, with what there is to say left to the caller, for say_lines(). */
int mount_try(struct mount_job *job, char ret_message[SESSION_MESSAGE_MAX]);
/*
 * A view is mounted there already: is it the one that is asked for? 0, or
 * -EEXIST, having said what it is.
 */
int mount_compare(const struct mount_job *job);

#endif
