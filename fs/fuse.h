/* SPDX-License-Identifier: Apache-2.0 */
/* libfuse's low-level API, in the version that this project uses. */
#ifndef FS_FUSE_H
#define FS_FUSE_H

#ifdef HAVE_FUSE_PASSTHROUGH
#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 17)
#else
#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 14)
#endif

#include <fuse_lowlevel.h>

#endif
