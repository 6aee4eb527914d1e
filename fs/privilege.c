/* SPDX-License-Identifier: Apache-2.0 */
/* Capabilities, there and hidden; see privilege.h. */
#include "config.h"

#include "fs/privilege.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SYS_ADMIN_BIT (1U << CAP_SYS_ADMIN)

struct caps {
	struct __user_cap_header_struct head;
	struct __user_cap_data_struct data[2];
};

static int caps_get(struct caps *ret_caps)
{
	*ret_caps = (struct caps){
		.head.version = _LINUX_CAPABILITY_VERSION_3,
	};
	return (int)syscall(SYS_capget, &ret_caps->head, ret_caps->data);
}

/* All ids mapped onto themselves. */
static bool in_initial_userns(void)
{
	static const char all[] = "         0          0 4294967295";
	char buf[64] = "";
	int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, buf, sizeof(buf) - 1);
	(void)close(fd);
	return n > 0 && strncmp(buf, all, strlen(all)) == 0;
}

bool privilege_sys_admin(void)
{
	struct caps caps;

	return caps_get(&caps) == 0 && caps.data[0].effective & SYS_ADMIN_BIT &&
	       in_initial_userns();
}

bool privilege_overrides_permissions(void)
{
	const unsigned all = 1U << CAP_DAC_OVERRIDE | 1U << CAP_FOWNER |
			     1U << CAP_CHOWN;
	struct caps caps;

	return geteuid() == 0 && caps_get(&caps) == 0 &&
	       (caps.data[0].effective & all) == all;
}

bool privilege_hide(void)
{
	struct caps caps;

	if (geteuid() == 0 || !privilege_sys_admin() || caps_get(&caps) < 0)
		return false;
	caps.data[0].effective &= ~SYS_ADMIN_BIT;
	return syscall(SYS_capset, &caps.head, caps.data) == 0;
}

void privilege_show(bool hidden)
{
	struct caps caps;

	if (!hidden || caps_get(&caps) < 0)
		return;
	caps.data[0].effective |= SYS_ADMIN_BIT;
	(void)syscall(SYS_capset, &caps.head, caps.data);
}
