/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capabilities of the calling thread; any thread. A plain user has
 * CAP_SYS_ADMIN by `setcap cap_sys_admin+ep` on the program, which is given for
 * the kernel's passthrough, and for nothing else.
 */
#ifndef FS_PRIVILEGE_H
#define FS_PRIVILEGE_H

#include <stdbool.h>

/* Does this thread have it, in the initial user namespace? */
bool privilege_sys_admin(void);

/* Root, and no permission of a file stops it. */
bool privilege_overrides_permissions(void);

/*
 * What a plain user may mount, and where, is for fusermount3 to decide, which
 * is asked when mount(2) is refused. So mount(2) and umount(2) are called with
 * the capability hidden: privilege_hide() says whether there was one to hide,
 * and privilege_show() gives that back.
 */
bool privilege_hide(void);
void privilege_show(bool hidden);

#endif
