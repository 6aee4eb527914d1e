/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts of ours as the kernel lists them, and their end; see session.h. */
#include "config.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/privilege.h"
#include "fs/session.h"
#include "store/base/macros.h"
#include "store/lease.h"
#include "store/store.h"
#include "store/views.h"

#define SOURCE_PREFIX "targetfs:"
#define ID_LEN 8
/* Settling and syncing at the end of a mount may take a while. */
#define END_MSEC 60000
/* So long before other namespaces are looked at: they may be ending, too. */
#define ELSEWHERE_MSEC 3000

/* "targetfs:<id>:<store>" */
static int parse_source(const char *source, struct mount_info *ret_info)
{
	const char *id = source + strlen(SOURCE_PREFIX);
	char *end;

	if (strncmp(source, SOURCE_PREFIX, strlen(SOURCE_PREFIX)) != 0)
		return -ENOENT;
	ret_info->view = (uint32_t)strtoul(id, &end, 16);
	if (end != id + ID_LEN || *end != ':')
		return -ENOENT;
	ret_info->store = strdup(end + 1);
	return ret_info->store ? 0 : -ENOMEM;
}

static uint32_t owner_of(const struct mntent *m)
{
	const char *opt = hasmntopt(m, "user_id");

	return opt ? (uint32_t)strtoul(opt + strlen("user_id="), NULL, 10) : 0;
}

static int take_info(const struct mntent *m, struct mount_info *ret_info)
{
	int r;

	if (strcmp(m->mnt_type, "fuse.targetfs") != 0)
		return -ENOENT;
	r = parse_source(m->mnt_fsname, ret_info);
	if (r < 0)
		return r;
	ret_info->owner = owner_of(m);
	ret_info->mountpoint = strdup(m->mnt_dir);
	return ret_info->mountpoint ? 0 : -ENOMEM;
}

static bool is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(path, dir, len) == 0 &&
	       (path[len] == '/' || strcmp(dir, "/") == 0);
}

/* At @path, or where it is below. The last one is the one on top. */
static int find(const char *path, bool around, struct mount_info *ret_info)
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	struct mount_info found = { 0 };
	size_t longest = 0;
	char buf[16384];
	struct mntent m;
	int r = -ENOENT;

	if (!f)
		return -errno;
	while (r != -ENOMEM && getmntent_r(f, &m, buf, sizeof(buf))) {
		if (strcmp(m.mnt_dir, path) != 0 &&
		    !(around && is_below(path, m.mnt_dir)))
			continue;
		if (strlen(m.mnt_dir) < longest)
			continue;
		longest = strlen(m.mnt_dir);
		mount_info_release(&found);
		r = take_info(&m, &found);
	}
	(void)endmntent(f);
	if (r < 0) {
		mount_info_release(&found);
		return r;
	}
	*ret_info = found;
	return 0;
}

int mount_find(const char *mountpoint, struct mount_info *ret_info)
{
	return find(mountpoint, false, ret_info);
}

int mount_find_around(const char *path, struct mount_info *ret_info)
{
	return find(path, true, ret_info);
}

int mount_find_below(const char *mountpoint, char **ret_path)
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	char buf[16384];
	struct mntent m;
	int r = -ENOENT;

	if (!f)
		return -errno;
	while (r == -ENOENT && getmntent_r(f, &m, buf, sizeof(buf))) {
		if (!is_below(m.mnt_dir, mountpoint))
			continue;
		*ret_path = strdup(m.mnt_dir);
		r = *ret_path ? 0 : -ENOMEM;
	}
	(void)endmntent(f);
	return r;
}

void mount_info_release(struct mount_info *info)
{
	free(info->mountpoint);
	free(info->store);
	*info = (struct mount_info){ 0 };
}

static int fusermount(const char *dir, bool lazy)
{
	char *argv[] = { (char[]){ "fusermount3" },
			 lazy ? (char[]){ "-uz" } : (char[]){ "-u" },
			 (char[]){ "--" }, strdup(dir), NULL };
	int status, r;
	pid_t pid;

	if (!argv[3])
		return -ENOMEM;
	r = -posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
	free(argv[3]);
	if (r < 0)
		return -EPERM;
	if (waitpid(pid, &status, 0) < 0)
		return -errno;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	/* Where it looks for whose mount it is. */
	return access("/etc/mtab", F_OK) < 0 ? -EOPNOTSUPP : -EBUSY;
}

static int detach(const char *dir, bool lazy)
{
	bool hidden = privilege_hide();
	int r = 0;

	if (umount2(dir, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) < 0)
		r = -errno;
	privilege_show(hidden);
	return r == -EPERM ? fusermount(dir, lazy) : r;
}

int mount_detach_dead(const char *dir)
{
	return detach(dir, true);
}

/* --- copies of a mount in other namespaces ----------------------------- */

/* Its device, without a request to the daemon; 0: unknown. */
static dev_t device_of(const char *dir)
{
	struct statx st;

	if (statx(AT_FDCWD, dir, AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC,
		  STATX_TYPE, &st) < 0)
		return 0;
	return makedev(st.stx_dev_major, st.stx_dev_minor);
}

/* Whether a process, "17" or "self", sees a mount of this device. */
static bool sees_device(const char *pid, dev_t dev)
{
	char path[64], *line = NULL;
	unsigned major, minor;
	bool found = false;
	size_t size = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%.20s/mountinfo", pid);
	f = fopen(path, "re");
	while (f && !found && getline(&line, &size, f) > 0)
		found = sscanf(line, "%*u %*u %u:%u", &major, &minor) == 2 &&
			makedev(major, minor) == dev;
	free(line);
	if (f)
		(void)fclose(f);
	return found;
}

static bool is_seen_by_any(dev_t dev)
{
	DIR *proc = dev ? opendir("/proc") : NULL;
	const struct dirent *e;
	bool found = false;

	while (proc && !found && (e = readdir(proc)))
		found = isdigit((unsigned char)e->d_name[0]) &&
			sees_device(e->d_name, dev);
	if (proc)
		(void)closedir(proc);
	return found;
}

/* --- the end ----------------------------------------------------------- */

struct waiting {
	const struct mount_info *info;
	struct store *store;
	dev_t dev;
	uint32_t ids[64]; /* of views that are mounted there */
	size_t count;
};

/* Waiting comes later: a read transaction must not be held for so long. */
static int find_mounted(const struct view_rec *rec, void *arg)
{
	struct waiting *w = arg;
	struct lease_page page;
	bool held;

	if (w->info->view != 0 && w->info->view != rec->id)
		return 0;
	if (lease_peek(w->store, rec->id, &held, &page) < 0 ||
	    strcmp(page.mountpoint, w->info->mountpoint) != 0)
		return 0;
	/* In host mode there may be views of earlier mounts. */
	if ((held || w->info->view != 0) && w->count < ARRAY_LEN(w->ids))
		w->ids[w->count++] = rec->id;
	return 0;
}

static int wait_for_view(const struct waiting *w, uint32_t id)
{
	struct lease_page page;
	bool held;
	int r = lease_wait(w->store, id, ELSEWHERE_MSEC);

	if (r == -ETIMEDOUT)
		r = is_seen_by_any(w->dev)
			    ? -EUSERS
			    : lease_wait(w->store, id,
					 END_MSEC - ELSEWHERE_MSEC);
	if (r == 0)
		r = lease_peek(w->store, id, &held, &page);
	if (r < 0)
		return r;
	if (page.ended < 0)
		return (int)page.ended;
	return page.ended == 0 ? -ECONNABORTED : 0;
}

/* The daemon still commits when the mount is gone already. */
static int wait_for_end(const struct mount_info *info, dev_t dev)
{
	struct waiting w = { .info = info, .dev = dev };
	int r = store_open(info->store, 0, &w.store);

	/* Without a look at the store there is nothing to wait by. */
	if (r < 0)
		return 0;
	r = views_foreach(w.store, find_mounted, &w);
	for (size_t i = 0; r == 0 && i < w.count; i++)
		r = wait_for_view(&w, w.ids[i]);
	w.store = store_close(w.store);
	return r;
}

int mount_remove(const char *mountpoint, bool lazy)
{
	struct mount_info info;
	dev_t dev = device_of(mountpoint);
	int r = mount_find(mountpoint, &info);

	if (r < 0)
		return r;
	r = geteuid() != 0 && geteuid() != info.owner
		    ? -EPERM
		    : detach(mountpoint, lazy);
	if (r == 0 && !lazy)
		r = wait_for_end(&info, dev);
	mount_info_release(&info);
	return r;
}
