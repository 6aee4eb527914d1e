/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a daemon counts, in the page of its lease (store/lease.h): one slot
 * per request type, then a few of its own. Slots are added at the end only.
 */
#ifndef FS_COUNTERS_H
#define FS_COUNTERS_H

/* X(enumerator, name in `targetfs stats`) */
#define COUNTER_LIST(X)                                     \
	X(LOOKUP, "lookup")                                 \
	X(FORGET, "forget")                                 \
	X(GETATTR, "getattr")                               \
	X(SETATTR, "setattr")                               \
	X(READLINK, "readlink")                             \
	X(MKNOD, "mknod")                                   \
	X(MKDIR, "mkdir")                                   \
	X(UNLINK, "unlink")                                 \
	X(RMDIR, "rmdir")                                   \
	X(SYMLINK, "symlink")                               \
	X(RENAME, "rename")                                 \
	X(LINK, "link")                                     \
	X(OPEN, "open")                                     \
	X(CREATE, "create")                                 \
	X(READ, "read")                                     \
	X(WRITE, "write")                                   \
	X(RELEASE, "release")                               \
	X(FSYNC, "fsync")                                   \
	X(OPENDIR, "opendir")                               \
	X(READDIR, "readdir")                               \
	X(RELEASEDIR, "releasedir")                         \
	X(FSYNCDIR, "fsyncdir")                             \
	X(STATFS, "statfs")                                 \
	X(XATTR, "xattr")                                   \
	X(FALLOCATE, "fallocate")                           \
	X(LSEEK, "lseek")                                   \
	X(COPY_RANGE, "copy_file_range")                    \
	X(COMMITS, "commits")                               \
	X(COMMIT_ERRORS, "commit errors")                   \
	X(PASSTHROUGH_OPENS, "opens by passthrough")        \
	X(CACHED_OPENS, "opens by page cache")              \
	X(PRIVATIZED, "files made private to write")        \
	X(SETTLED, "files hashed")                          \
	X(SETTLED_BYTES, "bytes hashed")                    \
	X(SHARED, "files found in the store already")       \
	X(SHARED_BYTES, "bytes found in the store already") \
	X(ACCESS, "access")                                 \
	X(WINKED_IN, "units winked in")                     \
	X(WINK_MISSES, "units missed")                      \
	X(PUBLISHED, "units published")                     \
	X(EXPIRED, "units expired by content")              \
	X(WINKED_BYTES, "bytes winked in")                  \
	X(SAVED_MSEC, "milliseconds of compiling saved")    \
	X(MISS_UNKNOWN, "missed as unknown")                \
	X(MISS_SCOPE, "missed by scope")                    \
	X(MISS_SOURCE, "missed by source")                  \
	X(MISS_ENV, "missed by variable")                   \
	X(MISS_DEP, "missed by dependency")                 \
	X(MISS_GUARD, "missed by place")                    \
	X(MISS_ERROR, "missed by error")

enum counter {
#define X(id, name) COUNTER_##id,
	COUNTER_LIST(X)
#undef X
		COUNTER_COUNT,
};

/* Bits of lease_page.features: what is active in that daemon. */
enum feature {
	FEATURE_PASSTHROUGH = 1 << 0,
	FEATURE_URING = 1 << 1,
	FEATURE_BLOBS_READONLY = 1 << 2, /* blobs opened behind a ro mount */
	FEATURE_FAST_WAKE = 1 << 3,	 /* see latency.h */
	FEATURE_WINK = 1 << 4,		 /* -o wink */
};

#endif
