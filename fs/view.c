/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes and names of a view: two hash tables and the lists between them.
 * Everything here is memory only and runs under view.lock.
 */
#include "config.h"

#include "fs/view.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <xxhash.h>

#include "fs/build.h"
#include "fs/file.h"
#include "fs/mount.h"
#include "fs/units.h"
#include "fs/why.h"
#include "store/base/time.h"

#define TABLE_START 512
/* Entries for each slot before a table grows: a slot takes 8 bytes. */
#define TABLE_LOAD 2

/* --- hash tables ------------------------------------------------------- */

/* Mapped, not from the heap, where each table that was too small would leave
 * a hole of half the size of the next. */
static void **slots_new(size_t count)
{
	void *p = mmap(NULL, count * sizeof(void *), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void table_release(struct table *t)
{
	if (t->slot)
		(void)munmap(t->slot, (t->mask + 1) * sizeof(void *));
	t->slot = NULL;
}

static int table_init(struct table *t)
{
	t->slot = slots_new(TABLE_START);
	if (!t->slot)
		return -ENOMEM;
	t->mask = TABLE_START - 1;
	t->count = 0;
	return 0;
}

static uint32_t ino_hash(uint64_t ino)
{
	return (uint32_t)((ino * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
}

static uint32_t name_hash(const struct node *dir, const char *s, size_t len)
{
	return (uint32_t)XXH3_64bits_withSeed(s, len, dir->ino);
}

static uint32_t hash_of_name(const struct name *nm)
{
	return name_hash(nm->parent, nm->s, nm->len);
}

static bool table_is_full(const struct table *t)
{
	return t->count >= TABLE_LOAD * (t->mask + 1);
}

/* Doubles the table. When there is no memory the chains grow longer. */
static void nodes_grow(struct table *t)
{
	size_t mask = t->mask * 2 + 1;
	void **slot = slots_new(mask + 1);

	if (!slot)
		return;
	for (size_t i = 0; i <= t->mask; i++) {
		struct node *n = t->slot[i], *next;

		for (; n; n = next) {
			void **to = &slot[ino_hash(n->ino) & mask];

			next = n->hash_next;
			n->hash_next = *to;
			*to = n;
		}
	}
	table_release(t);
	t->slot = slot;
	t->mask = mask;
}

static void names_grow(struct table *t)
{
	size_t mask = t->mask * 2 + 1;
	void **slot = slots_new(mask + 1);

	if (!slot)
		return;
	for (size_t i = 0; i <= t->mask; i++) {
		struct name *nm = t->slot[i], *next;

		for (; nm; nm = next) {
			void **to = &slot[hash_of_name(nm) & mask];

			next = nm->hash_next;
			nm->hash_next = *to;
			*to = nm;
		}
	}
	table_release(t);
	t->slot = slot;
	t->mask = mask;
}

struct node *node_find_locked(struct view *v, uint64_t ino)
{
	struct node *n = v->nodes.slot[ino_hash(ino) & v->nodes.mask];

	while (n && n->ino != ino)
		n = n->hash_next;
	return n;
}

struct name *name_find_locked(struct view *v, const struct node *dir,
			      const char *s, size_t len)
{
	uint32_t h = name_hash(dir, s, len);
	struct name *nm = v->names.slot[h & v->names.mask];

	while (nm && !(nm->parent == dir && nm->len == len &&
		       memcmp(nm->s, s, len) == 0))
		nm = nm->hash_next;
	return nm;
}

/* --- nodes ------------------------------------------------------------- */

struct node *node_new_locked(struct view *v, uint64_t ino, uint32_t mode)
{
	struct node *n = slab_alloc(&v->slab, sizeof(*n));
	void **slot;

	if (!n)
		return NULL;
	*n = (struct node){ .ino = ino != 0 ? ino : v->next_ino++,
			    .mode = (uint16_t)mode };
	if (table_is_full(&v->nodes))
		nodes_grow(&v->nodes);
	slot = &v->nodes.slot[ino_hash(n->ino) & v->nodes.mask];
	n->hash_next = *slot;
	*slot = n;
	v->nodes.count++;
	return n;
}

int inos_add(struct inos *a, uint64_t ino)
{
	if (a->count == a->cap) {
		size_t cap = a->cap ? a->cap * 2 : 64;
		uint64_t *p = realloc(a->ino, cap * sizeof(*p));

		if (!p)
			return -ENOMEM;
		a->ino = p;
		a->cap = cap;
	}
	a->ino[a->count++] = ino;
	return 0;
}

void node_dirty_locked(struct view *v, struct node *n)
{
	/* What has no name gets no row, and keeps one only while in use. */
	if (n->flags & NF_DIRTY ||
	    (n->nlink == 0 && !(n->flags & NF_COMMITTED)))
		return;
	n->flags |= NF_DIRTY;
	if (n->flags & NF_LISTED)
		return;
	n->flags |= NF_LISTED;
	n->dirty_next = NULL;
	if (v->dirty_nodes)
		v->dirty_last->dirty_next = n;
	else
		v->dirty_nodes = n;
	v->dirty_last = n;
}

void node_clean_locked(struct view *v)
{
	struct node *n = v->dirty_nodes;

	v->dirty_nodes = n->dirty_next;
	n->flags &= ~(unsigned)(NF_DIRTY | NF_LISTED);
	if (n->flags & NF_DEAD)
		slab_free(&v->slab, n, sizeof(*n));
}

struct node *node_first_dirty_locked(struct view *v)
{
	while (v->dirty_nodes && !(v->dirty_nodes->flags & NF_DIRTY))
		node_clean_locked(v);
	return v->dirty_nodes;
}

void node_looked_up_locked(struct node *n)
{
	if (n->nlookup < UINT32_MAX)
		n->nlookup++;
}

void node_forgotten_locked(struct node *n, uint64_t count)
{
	if (n->nlookup < UINT32_MAX)
		n->nlookup -= (uint32_t)MIN(n->nlookup, count);
}

void node_heat_locked(struct view *v, struct node *n)
{
	n->flags |= NF_HOT;
	n->flags &= ~(unsigned)NF_SYNCED;
	/* The settler asks without the lock. */
	(void)__atomic_fetch_add(&n->epoch, 1, __ATOMIC_RELAXED);
	node_dirty_locked(v, n);
}

void node_synced_locked(struct view *v, struct node *n)
{
	if (n->flags & NF_SYNC_FAILED)
		return;
	n->flags |= NF_SYNCED;
	node_dirty_locked(v, n);
}

void node_sync_failed_locked(struct view *v, struct node *n)
{
	n->flags &= ~(unsigned)NF_SYNCED;
	n->flags |= NF_SYNC_FAILED;
	node_dirty_locked(v, n);
}

void node_drop_staging_locked(struct view *v, struct node *n)
{
	if (n->staging_id == 0)
		return;
	if (n->flags & (NF_STAGING_COMMITTED | NF_BLOB_NEW)) {
		if (batch_drop_staging(&v->gone, n->staging_id) < 0)
			v->out_of_memory = true;
	} else {
		/* Without memory it stays, and the next attach removes it. */
		(void)inos_add(&v->orphans, n->staging_id);
	}
	n->staging_id = 0;
	n->flags &= ~(unsigned)(NF_STAGING_COMMITTED | NF_BLOB_NEW | NF_SYNCED |
				NF_SYNC_FAILED);
}

static void node_unhash(struct view *v, struct node *n)
{
	void **slot = &v->nodes.slot[ino_hash(n->ino) & v->nodes.mask];

	while (*slot != n)
		slot = (void **)&((struct node *)*slot)->hash_next;
	*slot = n->hash_next;
	v->nodes.count--;
}

/* Frees all that is the node's, but not the node. */
static void node_release(struct node *n)
{
	if (S_ISLNK(n->mode))
		free(n->target);
	if (n->xattrs)
		buf_release(n->xattrs);
	free(n->xattrs);
}

/* Nobody uses a node without a name: its row goes with the next batch. */
static void drop_row(struct view *v, struct node *n)
{
	if (n->flags & NF_COMMITTED && batch_del_node(&v->gone, n->ino) < 0)
		v->out_of_memory = true;
	n->flags &= ~(unsigned)(NF_COMMITTED | NF_DIRTY);
}

void node_check_locked(struct view *v, struct node *n)
{
	if (n->handles != 0 || n->pins != 0)
		return;
	if (n->nlink == 0 && n != v->root)
		drop_row(v, n);
	if (n->file)
		file_idle_locked(v, n);
	if (n->names != NULL || n == v->root || n->nlookup != 0)
		return;
	if (n->file)
		file_forget_locked(v, n);
	node_drop_staging_locked(v, n);
	node_unhash(v, n);
	node_release(n);
	if (n->flags & NF_LISTED)
		n->flags = NF_LISTED | NF_DEAD;
	else
		slab_free(&v->slab, n, sizeof(*n));
}

/* --- names ------------------------------------------------------------- */

/* As short names as there are have room for what the struct is padded to. */
static size_t name_size(size_t len)
{
	return MAX(offsetof(struct name, s) + len + 1, sizeof(struct name));
}

static void name_free(struct view *v, struct name *nm)
{
	slab_free(&v->slab, nm, name_size(nm->len));
}

static void name_dirty(struct view *v, struct name *nm)
{
	if (nm->dirty)
		return;
	nm->dirty = true;
	nm->dirty_next = v->dirty_names;
	v->dirty_names = nm;
}

struct name *name_first_dirty_locked(struct view *v)
{
	struct name *nm;

	while ((nm = v->dirty_names) != NULL && nm->removed) {
		v->dirty_names = nm->dirty_next;
		name_free(v, nm);
	}
	return nm;
}

void name_clean_locked(struct view *v)
{
	struct name *nm = v->dirty_names;

	v->dirty_names = nm->dirty_next;
	nm->dirty = false;
	nm->committed = true;
}

static void name_attach(struct name *nm, struct node *node)
{
	nm->node = node;
	nm->node_next = node->names;
	node->names = nm;
}

static void name_detach(struct name *nm)
{
	struct name **p = &nm->node->names;

	while (*p != nm)
		p = &(*p)->node_next;
	*p = nm->node_next;
	nm->node = NULL;
}

struct name *name_add_locked(struct view *v, struct node *dir, const char *s,
			     size_t len, struct node *node)
{
	struct name *nm = slab_alloc(&v->slab, name_size(len));
	void **slot;

	if (!nm)
		return NULL;
	*nm = (struct name){ .parent = dir, .len = (uint8_t)len };
	memcpy(nm->s, s, len);
	nm->s[len] = '\0';
	if (table_is_full(&v->names))
		names_grow(&v->names);
	slot = &v->names.slot[hash_of_name(nm) & v->names.mask];
	nm->hash_next = *slot;
	*slot = nm;
	v->names.count++;

	nm->prev = dir->dir.last;
	if (dir->dir.last)
		dir->dir.last->next = nm;
	else
		dir->dir.first = nm;
	dir->dir.last = nm;
	dir->dir.count++;
	name_attach(nm, node);
	name_dirty(v, nm);
	return nm;
}

static void name_unhash(struct view *v, struct name *nm)
{
	void **slot = &v->names.slot[hash_of_name(nm) & v->names.mask];

	while (*slot != nm)
		slot = (void **)&((struct name *)*slot)->hash_next;
	*slot = nm->hash_next;
	v->names.count--;
}

void name_remove_locked(struct view *v, struct name *nm)
{
	struct node *dir = nm->parent;

	name_unhash(v, nm);
	if (nm->prev)
		nm->prev->next = nm->next;
	else
		dir->dir.first = nm->next;
	if (nm->next)
		nm->next->prev = nm->prev;
	else
		dir->dir.last = nm->prev;
	dir->dir.count--;
	name_detach(nm);
	if (nm->committed &&
	    batch_del_name(&v->gone, dir->ino, nm->s, nm->len) < 0)
		v->out_of_memory = true;
	nm->removed = true;
	if (!nm->dirty)
		name_free(v, nm);
}

void name_repoint_locked(struct view *v, struct name *nm, struct node *to)
{
	name_detach(nm);
	name_attach(nm, to);
	name_dirty(v, nm);
}

int name_path_locked(const struct name *nm, char *ret_path, size_t size)
{
	size_t at = size;

	for (; nm; nm = nm->parent->names) {
		if ((size_t)nm->len + 1 > at)
			return -ENAMETOOLONG;
		at -= 1;
		ret_path[at] = at == size - 1 ? '\0' : '/';
		at -= nm->len;
		memcpy(ret_path + at, nm->s, nm->len);
	}
	if (at == size)
		return -ENAMETOOLONG;
	memmove(ret_path, ret_path + at, size - at);
	return 0;
}

struct node *view_walk_locked(struct view *v, const char *path, size_t len)
{
	struct node *dir = v->root;

	while (len > 0) {
		const char *slash = memchr(path, '/', len);
		size_t n = slash ? (size_t)(slash - path) : len;
		struct name *nm = name_find_locked(v, dir, path, n);

		if (!nm || !node_is_dir(nm->node))
			return NULL;
		dir = nm->node;
		path += n;
		len -= n;
		if (len > 0) {
			path++;
			len--;
		}
	}
	return dir;
}

/* --- pins -------------------------------------------------------------- */

struct node *view_pin(struct view *v, uint64_t ino)
{
	struct node *n;

	lock_acquire(&v->lock);
	n = node_find_locked(v, ino);
	if (n)
		n->pins++;
	lock_release(&v->lock);
	return n;
}

void view_unpin(struct view *v, struct node *n)
{
	lock_acquire(&v->lock);
	n->pins--;
	node_check_locked(v, n);
	lock_release(&v->lock);
}

NO_LOCK_ANALYSIS
int view_pin_file(struct view *v, uint64_t ino, struct node **ret_node)
{
	struct node *n;
	int r = 0;

	lock_acquire(&v->lock);
	n = node_find_locked(v, ino);
	if (!n)
		r = -ENOENT;
	else if (node_is_dir(n))
		r = -EISDIR;
	else if (!node_is_reg(n))
		r = -EINVAL;
	else if (!n->file)
		r = file_attach_locked(n);
	if (r == 0)
		n->pins++;
	lock_release(&v->lock);
	if (r < 0)
		return r;
	lock_acquire(&n->file->io);
	*ret_node = n;
	return 0;
}

NO_LOCK_ANALYSIS
void view_unpin_file(struct view *v, struct node *n)
{
	lock_release(&n->file->io);
	file_trim(v->mount);
	view_unpin(v, n);
}

static bool is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(path, dir, len) == 0 &&
	       (path[len] == '/' || path[len] == '\0');
}

const char *view_mountpoint(const struct view *v)
{
	return v->mount->mountpoint;
}

bool view_contains_path(const struct view *v, const char *path)
{
	const char *mountpoint = v->mount->mountpoint;
	size_t len;

	if (path[0] == '/')
		return is_below(path, mountpoint);
	if (!v->workspace || !is_below(mountpoint, v->workspace))
		return false;
	len = strlen(v->workspace);
	return mountpoint[len] == '/' && is_below(path, mountpoint + len + 1);
}

/* --- the whole --------------------------------------------------------- */

/*
 * Stamping a file of our own in memory asks the kernel for the time that it
 * would give to any file now. Reading a clock does not do: the coarse clock
 * may lag behind the stamp of a source that was saved just before, and then
 * the artifact looks older than its source for ever; the precise one may run
 * ahead of a stamp given just after, and then an edit looks older than the
 * artifact. Kernels since 6.13 order all stamps of all filesystems.
 */
int64_t view_now(struct view *v)
{
	struct stat st;

	if (futimens(v->clock_fd, NULL) < 0 || fstat(v->clock_fd, &st) < 0) {
		struct timespec t;

		(void)clock_gettime(CLOCK_REALTIME_COARSE, &t);
		return nsec_of(t);
	}
	return nsec_of(st.st_mtim);
}

int view_init(struct view *v)
{
	int r;

	v->clock_fd = memfd_create("clock", MFD_CLOEXEC);
	if (v->clock_fd < 0)
		return -errno;
	list_init(&v->lru);
	r = lock_init(&v->lock);
	if (r < 0)
		return r;
	r = cond_init(&v->flushed);
	if (r < 0)
		return r;
	r = table_init(&v->nodes);
	return r < 0 ? r : table_init(&v->names);
}

void view_release(struct view *v)
{
	for (size_t i = 0; v->nodes.slot && i <= v->nodes.mask; i++) {
		struct node *n = v->nodes.slot[i];

		for (; n; n = n->hash_next) {
			if (n->file)
				file_forget_locked(v, n);
			node_release(n);
		}
	}
	units_release(v);
	v->builds = builds_free(v->builds);
	v->why = why_free(v->why);
	free(v->workspace);
	slab_release(&v->slab);
	table_release(&v->nodes);
	table_release(&v->names);
	batch_release(&v->gone);
	batch_release(&v->pending);
	free(v->orphans.ino);
	free(v->captured.ino);
	free(v->hot.ino);
	if (v->clock_fd >= 0)
		(void)close(v->clock_fd);
	lock_destroy(&v->lock);
	cond_destroy(&v->flushed);
}
