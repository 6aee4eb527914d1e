/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading a view's rows into memory; see attach.h. One thread, before the
 * view can be seen by any other.
 */
#include "config.h"

#include "fs/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "fs/build.h"
#include "fs/cargo/layout.h"
#include "fs/flush.h"
#include "fs/log.h"
#include "fs/mount.h"
#include "fs/recover.h"
#include "fs/settle.h"
#include "fs/sync.h"
#include "fs/units.h"
#include "fs/view.h"
#include "fs/why.h"
#include "store/base/io.h"
#include "store/base/time.h"
#include "store/blob.h"

static int load_xattrs(struct node *n, const struct node_rec *rec)
{
	if (rec->xattrs.len == 0)
		return 0;
	n->xattrs = calloc(1, sizeof(*n->xattrs));
	if (!n->xattrs)
		return -ENOMEM;
	buf_put(n->xattrs, rec->xattrs.p, rec->xattrs.len);
	return n->xattrs->err;
}

static int load_content(struct view *v, struct node *n,
			const struct node_rec *rec, struct recovery *rv)
{
	n->content = rec->content;
	switch ((enum content_kind)rec->content) {
	case CONTENT_NONE:
		return 0;
	case CONTENT_BLOB:
		n->digest = rec->digest;
		return 0;
	case CONTENT_STAGING:
		n->staging_id = rec->staging_id;
		n->blocks = rec->blocks;
		/* The file itself may be gone after a power loss; its id must
		 * not be given again while the row names it. */
		v->next_staging = MAX(v->next_staging, n->staging_id + 1);
		n->flags |= NF_STAGING_COMMITTED;
		if (!(rec->flags & NODE_UNSYNCED))
			n->flags |= NF_SYNCED;
		return recovery_add(rv, n->ino, n->staging_id,
				    rec->flags & NODE_FLUX,
				    rec->flags & NODE_UNSYNCED);
	case CONTENT_SYMLINK:
		n->target = strndup(rec->target.p, rec->target.len);
		return n->target ? 0 : -ENOMEM;
	}
	return -EBADMSG;
}

struct loading {
	struct view *view;
	struct recovery *recovery;
};

static int on_node(uint64_t ino, const struct node_rec *rec, void *arg)
{
	struct loading *ld = arg;
	struct node *n = node_new_locked(ld->view, ino, rec->mode);
	int r;

	if (!n)
		return -ENOMEM;
	if (rec->nlink > NLINK_MAX)
		return -EBADMSG;
	n->uid = rec->uid;
	n->gid = rec->gid;
	n->nlink = (uint16_t)rec->nlink;
	n->size = rec->size;
	n->atime = nsec_of(rec->atime);
	n->mtime = nsec_of(rec->mtime);
	n->ctime = nsec_of(rec->ctime);
	n->flags = NF_COMMITTED;
	if (ino == VIEW_ROOT_INO)
		ld->view->root = n;
	r = load_content(ld->view, n, rec, ld->recovery);
	return r < 0 ? r : load_xattrs(n, rec);
}

/* A name that leads nowhere is left to fsck; it is not shown. */
static int on_name(uint64_t parent, const char *name, size_t len, uint64_t ino,
		   void *arg)
{
	struct loading *ld = arg;
	struct node *dir = node_find_locked(ld->view, parent);
	struct node *n = node_find_locked(ld->view, ino);
	struct name *nm;

	if (!dir || !node_is_dir(dir) || !n || n == ld->view->root ||
	    (node_is_dir(n) && n->names)) {
		log_error("view %u: the name '%.*s' leads nowhere, run "
			  "'targetfs fsck'",
			  ld->view->id, (int)len, name);
		return 0;
	}
	nm = name_add_locked(ld->view, dir, name, len, n);
	if (!nm)
		return -ENOMEM;
	name_clean_locked(ld->view);
	return 0;
}

static int load(struct view *v, struct recovery *rv)
{
	struct loading loading = { v, rv };
	struct view_loader ld = { .on_node = on_node,
				  .on_name = on_name,
				  .arg = &loading };
	int r = views_load(v->store, v->id, &ld);

	if (r < 0)
		return r;
	return v->root ? 0 : -EBADMSG;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A UUID in text; one value from boot to boot. */
#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"

static int read_boot_id(uint8_t ret_id[BOOT_ID_LEN])
{
	_cleanup_close_ int fd = open(BOOT_ID_PATH, O_RDONLY | O_CLOEXEC);
	char text[40];
	size_t len, n = 0;
	int r;

	if (fd < 0)
		return -errno;
	r = read_full(fd, text, sizeof(text), &len);
	if (r < 0)
		return r;
	memset(ret_id, 0, BOOT_ID_LEN);
	for (size_t i = 0; i < len && n < 2 * (size_t)BOOT_ID_LEN; i++) {
		int d = hex_value(text[i]);

		if (d < 0)
			continue;
		ret_id[n / 2] |= (uint8_t)(n % 2 ? d : d << 4);
		n++;
	}
	return n == 2 * (size_t)BOOT_ID_LEN ? 0 : -EINVAL;
}

/* What earlier daemons did not get round to. */
static void resume_settling(struct view *v)
{
	for (size_t i = 0; i <= v->nodes.mask; i++)
		for (struct node *n = v->nodes.slot[i]; n; n = n->hash_next)
			if (n->content == CONTENT_STAGING)
				settle_enqueue(v, n);
}

/* Rows of files that were unlinked while somebody had them open. */
static void drop_nameless(struct view *v)
{
	for (size_t i = 0; i <= v->nodes.mask; i++) {
		struct node *n = v->nodes.slot[i], *next;

		for (; n; n = next) {
			next = n->hash_next;
			if (n->names || n == v->root)
				continue;
			n->nlink = 0;
			node_check_locked(v, n);
		}
	}
}

/* What the rows do not say: which files are kept in memory. */
static void classify(struct view *v)
{
	char path[PATH_MAX];

	for (size_t i = 0; i <= v->nodes.mask; i++)
		for (struct node *n = v->nodes.slot[i]; n; n = n->hash_next)
			if (node_is_reg(n) && n->names &&
			    name_path_locked(n->names, path, sizeof(path)) ==
				    0 &&
			    layout_classify(path).kind == LAYOUT_META)
				n->flags |= NF_META;
}

static int fill(struct view *v, const struct view_rec *rec)
{
	struct recovery rv = { 0 };
	int r;

	v->next_ino = MAX(rec->next_ino, VIEW_ROOT_INO + 1);
	v->next_staging = 1;
	r = read_boot_id(v->boot_id);
	if (r == 0)
		r = load(v, &rv);
	if (r == 0) {
		drop_nameless(v);
		classify(v);
	}
	if (r == 0)
		r = recover(v, &rv,
			    memcmp(rec->boot_id, v->boot_id, BOOT_ID_LEN) != 0);
	if (r == 0)
		r = units_load_locked(v);
	recovery_release(&rv);
	return r;
}

int view_attach(struct mount *m, const struct view_rec *rec, uint64_t slot,
		struct view **ret_view, struct lease_page *ret_holder)
{
	struct view *v = calloc(1, sizeof(*v));
	int r;

	if (!v)
		return -ENOMEM;
	v->mount = m;
	v->store = m->store;
	v->id = rec->id;
	v->base = slot << SLOT_SHIFT;
	r = lease_take(m->store, rec->id, m->mountpoint, &v->lease, ret_holder);
	if (r < 0) {
		free(v);
		return r;
	}
	v->page = lease_page(v->lease);
	v->page->features = m->features;
	r = view_init(v);
	if (r == 0 && rec->workspace[0])
		v->workspace = strdup(rec->workspace);
	v->builds = builds_new();
	if (m->wink)
		v->why = why_new(v->store, v->id);
	if (r == 0 && (!v->builds || (rec->workspace[0] && !v->workspace)))
		r = -ENOMEM;
	if (r == 0)
		r = fill(v, rec);
	if (r < 0) {
		view_release(v);
		v->lease = lease_free(v->lease);
		free(v);
		return r;
	}
	(void)views_touch(m->store, rec->id);
	lock_acquire(&m->lock);
	list_add_tail(&m->views, &v->link);
	lock_release(&m->lock);
	resume_settling(v);
	/* Loading took memory that serving does not need. */
	(void)malloc_trim(0);
	*ret_view = v;
	return 0;
}

/* The numbers of all that is open. Without memory some are left out: they are
 * in use for ever, and the next mount settles them. */
static void list_open(struct view *v, struct inos *ret_open)
{
	lock_acquire(&v->lock);
	for (size_t i = 0; i <= v->nodes.mask; i++)
		for (struct node *n = v->nodes.slot[i]; n; n = n->hash_next)
			if (n->handles > 0)
				(void)inos_add(ret_open, n->ino);
	lock_release(&v->lock);
}

static void forget_handles(struct view *v, uint64_t ino)
{
	struct node *n;

	if (view_pin_file(v, ino, &n) < 0)
		return;
	lock_acquire(&v->lock);
	n->handles = 0;
	n->file->cached = n->file->passthrough = n->file->writers = 0;
	lock_release(&v->lock);
	view_unpin_file(v, n);
}

void view_quiesce(struct view *v)
{
	struct inos open = { 0 };

	list_open(v, &open);
	for (size_t i = 0; i < open.count; i++)
		forget_handles(v, open.ino[i]);
	free(open.ino);
	(void)flush_wait(v);
}

void view_detach(struct view *v)
{
	int r;

	/* Nobody waits for this commit, but what it marks must be true. */
	(void)flush_now(v);
	/* Afterwards no file is marked NODE_UNSYNCED: a later boot trusts
	 * them. */
	(void)sync_bytes_of_all(v);
	r = flush_now(v);
	if (r < 0)
		log_error("view %u ends with changes that are not committed: "
			  "%s",
			  v->id, strerror(-r));
	v->page->ended = r < 0 ? r : 1;
	lock_acquire(&v->mount->lock);
	list_del(&v->link);
	lock_release(&v->mount->lock);
	view_release(v);
	v->lease = lease_free(v->lease);
	free(v);
}
