/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commit that a workspace is at. Build scripts ask git for it without
 * saying so; what else they may ask (tags, what is not committed) is not known.
 */
#ifndef FS_COMMIT_H
#define FS_COMMIT_H

#define COMMIT_MAX 128

/*
 * Its name, "" outside of any repository. -ENOENT: HEAD leads nowhere, or to
 * where we do not look (reftable). -EXDEV: into @mountpoint.
 */
int commit_of(const char *workspace, const char *mountpoint,
	      char ret_commit[COMMIT_MAX]);

#endif
