/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks at all pages before LMDB writes by what they say: it moves bytes in its
 * heap by the offsets in a page's header, and takes new pages from lists of
 * free ones, without a look at either. Faults are trapped (index_lmdb.h), but a
 * heap that was written over, or a page in use that was given away, is not.
 *
 * Once in each boot: in between, what the pages are was either looked at or
 * written since, and SIGKILL leaves whole commits. The boot of the last look
 * is in index/vetted.
 *
 * Threads: any.
 */
#include "config.h"

#include "store/index_lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "store/base/broken.h"
#include "store/base/io.h"
#include "store/base/macros.h"
#include "store/index_tree.h"

#define DIRECTORY "index"
#define STAMP "vetted"
#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_TEXT 64
/* A reader's commit whose meta page was written over by the second after it. */
#define CHECK_ROUNDS 100

/* The present boot, as text; its length, or 0. */
static size_t read_boot(char boot[BOOT_ID_TEXT])
{
	_cleanup_close_ int fd = open(BOOT_ID, O_RDONLY | O_CLOEXEC);
	size_t len = 0;

	if (fd < 0 || read_full(fd, boot, BOOT_ID_TEXT, &len) < 0)
		return 0;
	return len;
}

static bool is_stamped(int dirfd, const char *boot, size_t len)
{
	_cleanup_free_ void *stamp = NULL;
	size_t got = 0;

	return len &&
	       read_small_file(dirfd, STAMP, BOOT_ID_TEXT, &stamp, &got) == 0 &&
	       got == len && !memcmp(stamp, boot, len);
}

static int open_directory(const struct index *idx)
{
	return openat(idx->dirfd, DIRECTORY,
		      O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

void index_mark_damaged(struct index *idx)
{
	_cleanup_close_ int fd = open_directory(idx);

	__atomic_store_n(&idx->damaged, true, __ATOMIC_RELAXED);
	if (fd >= 0 && !(idx->flags & INDEX_READONLY))
		(void)unlinkat(fd, STAMP, 0);
}

static int vet(struct txn *txn)
{
	_cleanup_close_ int fd = open_directory(txn->idx);
	char boot[BOOT_ID_TEXT];
	size_t len = read_boot(boot);
	int r;

	if (fd < 0)
		return -errno;
	if (is_stamped(fd, boot, len) || broken("index-vet"))
		return 0;
	r = tree_check(txn->idx->fd, mdb_txn_id(txn->t) - 1);
	/* Without a stamp the next process looks again. */
	if (r == 0)
		(void)write_file_atomic(fd, STAMP, boot, len, 0600);
	/* There is a last commit, and LMDB has read its meta page. */
	return r == -ESTALE ? -EBADMSG : r;
}

int index_vet(struct txn *txn)
{
	struct index *idx = txn->idx;
	int r;

	if (__atomic_load_n(&idx->vetted, __ATOMIC_ACQUIRE))
		return 0;
	r = vet(txn);
	if (r == -EBADMSG)
		index_mark_damaged(idx);
	if (r < 0) {
		txn->err = r;
		return r;
	}
	__atomic_store_n(&idx->vetted, true, __ATOMIC_RELEASE);
	return 0;
}

static int do_check(struct txn *txn, void *arg)
{
	(void)arg;
	return tree_check(txn->idx->fd, mdb_txn_id(txn->t));
}

int index_check_pages(struct index *idx)
{
	int r = -ESTALE;

	for (int i = 0; r == -ESTALE && i < CHECK_ROUNDS; i++)
		r = index_view(idx, do_check, NULL);
	if (r == -EBADMSG)
		index_mark_damaged(idx);
	return r;
}
