/* SPDX-License-Identifier: Apache-2.0 */
/* What this kernel and this process can do; see features.h. */
#include "config.h"

#include "fs/features.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "fs/counters.h"
#include "fs/fuse.h"
#include "fs/latency.h"
#include "fs/privilege.h"
#include "fs/session.h"

#define URING_SWITCH "/sys/module/fuse/parameters/enable_uring"

static bool kernel_is_at_least(unsigned major, unsigned minor)
{
	unsigned a, b;
	struct utsname u;

	if (uname(&u) < 0 || sscanf(u.release, "%u.%u", &a, &b) != 2)
		return false;
	return a > major || (a == major && b >= minor);
}

/* The first bytes of a small file of the kernel's. */
static bool file_begins_with(const char *path, const char *s)
{
	char buf[64] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, buf, sizeof(buf) - 1);
	(void)close(fd);
	return n > 0 && strncmp(buf, s, strlen(s)) == 0;
}

unsigned session_features_built(void)
{
	unsigned f = FEATURE_FAST_WAKE;

#ifdef HAVE_FUSE_PASSTHROUGH
	f |= FEATURE_PASSTHROUGH;
#endif
#ifdef HAVE_FUSE_URING
	f |= FEATURE_URING;
#endif
	return f;
}

const char *session_fuse_version(void)
{
	return fuse_pkgversion();
}

unsigned features_here(bool nopassthrough, bool nouring)
{
	unsigned f = session_features_built();

	if (nopassthrough || !kernel_is_at_least(6, 9) ||
	    !privilege_sys_admin())
		f &= ~(unsigned)FEATURE_PASSTHROUGH;
	if (nouring || !kernel_is_at_least(6, 14) ||
	    !file_begins_with(URING_SWITCH, "Y"))
		f &= ~(unsigned)FEATURE_URING;
	if (!latency_is_here())
		f &= ~(unsigned)FEATURE_FAST_WAKE;
	return f;
}

unsigned session_features_here(void)
{
	return features_here(false, false);
}

static void add_hint(char *hints, size_t size, const char *line)
{
	size_t len = strlen(hints);

	(void)snprintf(hints + len, size - len, "%s%s", len ? "\n" : "", line);
}

void features_hints(unsigned features, bool nopassthrough, bool nouring,
		    bool store_is_blind, char *ret_hints, size_t size)
{
	unsigned built = session_features_built();

	ret_hints[0] = '\0';
	if (!nouring && !(features & FEATURE_URING)) {
		if (!(built & FEATURE_URING))
			add_hint(ret_hints, size,
				 "faster with libfuse 3.18 or later: build by "
				 "./bootstrap build");
		else if (!kernel_is_at_least(6, 14))
			add_hint(ret_hints, size,
				 "faster with Linux 6.14 or later (FUSE over "
				 "io_uring)");
		else
			add_hint(ret_hints, size,
				 "faster with FUSE over io_uring; as root: "
				 "echo Y > " URING_SWITCH);
	}
	if (!nopassthrough && !(features & FEATURE_PASSTHROUGH)) {
		if (!(built & FEATURE_PASSTHROUGH))
			add_hint(ret_hints, size,
				 "faster with libfuse 3.17 or later: build by "
				 "./bootstrap build");
		else if (!kernel_is_at_least(6, 9))
			add_hint(ret_hints, size,
				 "faster with Linux 6.9 or later (FUSE "
				 "passthrough)");
		else if (privilege_sys_admin() && store_is_blind)
			add_hint(ret_hints, size,
				 "faster with the store on another filesystem "
				 "than overlayfs (FUSE passthrough): --store, "
				 "or in a container a volume");
		else
			add_hint(ret_hints, size,
				 "faster with CAP_SYS_ADMIN (FUSE "
				 "passthrough); as root: setcap "
				 "cap_sys_admin+ep on the targetfs binary");
	}
}
