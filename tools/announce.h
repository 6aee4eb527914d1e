/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `mount --foreground` says when the mount can be used, though the process
 * that was started is by then busy serving it.
 */
#ifndef TOOLS_ANNOUNCE_H
#define TOOLS_ANNOUNCE_H

struct mount_job;

/*
 * mount_start() in the foreground; when the mount answers, "targetfs: mounted
 * DIR" appears on standard error. Returns when the mount is gone.
 */
int announce_and_mount(struct mount_job *job);

#endif
