/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole reads and writes, copies between descriptors, and files that exist
 * completely or not at all. EINTR is retried, short transfers are continued.
 */
#ifndef BASE_IO_H
#define BASE_IO_H

#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Reads until @len bytes or the end of the file; *ret_len says how many. */
int read_full(int fd, void *p, size_t len, size_t *ret_len);
int pread_full(int fd, void *p, size_t len, off_t off, size_t *ret_len);
int write_full(int fd, const void *p, size_t len);
int pwrite_full(int fd, const void *p, size_t len, off_t off);

/*
 * Makes [out_off, out_off + len) of @out equal to [in_off, in_off + len) of
 * @in: by copy_file_range (a reflink where the filesystem can), else by read
 * and write. Holes stay holes. Where @in ends earlier so does the copy;
 * *ret_copied (may be NULL) says how far it came, holes counted. File
 * positions are not used, but that of @in changes. Two files, or ranges that
 * do not overlap.
 */
int copy_range(int in, off_t in_off, int out, off_t out_off, uint64_t len,
	       uint64_t *ret_copied);

/*
 * Reads a whole file of at most @max bytes (-EFBIG) into memory that the
 * caller frees; a NUL follows the contents and is not counted.
 */
int read_small_file(int dirfd, const char *name, size_t max, void **ret_data,
		    size_t *ret_len);
/*
 * Replaces @name: after SIGKILL or power loss it has its old contents or all
 * of the new. Durable on return. What SIGKILL can leave behind is a file named
 * ".<name>.<16 hex digits>".
 */
int write_file_atomic(int dirfd, const char *name, const void *p, size_t len,
		      mode_t mode);

/* To read @name, a directory (no link), from its beginning; "." is @dirfd
 * itself. */
int dir_open(int dirfd, const char *name, DIR **ret_dir);
static inline void closedirp(DIR **d)
{
	if (*d)
		(void)closedir(*d);
}

/* fsync of a directory given by name; "." is @dirfd itself. */
int sync_dir(int dirfd, const char *name);

#endif
