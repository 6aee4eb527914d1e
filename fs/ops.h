/* SPDX-License-Identifier: Apache-2.0 */
/* The table of requests that libfuse calls, and what is said to the kernel
 * when a mount begins. */
#ifndef FS_OPS_H
#define FS_OPS_H

struct fuse_conn_info;
struct fuse_lowlevel_ops;
struct mount;

/* Constant. The session's user data is the struct mount. */
extern const struct fuse_lowlevel_ops ops_table;

#endif
