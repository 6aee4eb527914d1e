/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows: get, put, delete and walk within a transaction; checksums; LMDB's
 * codes and assertions. Invariant: a value reaches a caller only after its
 * checksum was verified. A transaction belongs to one thread.
 */
#include "config.h"

#include "store/index_lmdb.h"

#include <endian.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "store/base/macros.h"
#include "store/index_page.h"
#include "store/schema.h"

_Thread_local struct guard index_guard;

static void trap(void)
{
	if (index_guard.armed) {
		index_guard.armed = false;
		longjmp(index_guard.jump, 1);
	}
}

void index_on_assert(MDB_env *env, const char *msg)
{
	(void)env;
	(void)msg;
	trap();
}

static const int trapped[] = { SIGSEGV, SIGBUS };
/* What was there before us; written under the lock that opens indexes. */
static struct sigaction previous[ARRAY_LEN(trapped)];

static void on_signal(int sig)
{
	trap();
	/* Not ours: the instruction runs again and meets the old handler. */
	for (size_t i = 0; i < ARRAY_LEN(trapped); i++)
		if (trapped[i] == sig)
			(void)sigaction(sig, &previous[i], NULL);
}

void index_guard_signals(void)
{
	/* Not deferred: the handler is left by longjmp, which must not leave
	 * the signal blocked. */
	const struct sigaction ours = {
		.sa_handler = on_signal,
		.sa_flags = SA_NODEFER | SA_ONSTACK,
	};
	struct sigaction now;

	for (size_t i = 0; i < ARRAY_LEN(trapped); i++) {
		if (sigaction(trapped[i], NULL, &now) < 0 ||
		    (!(now.sa_flags & SA_SIGINFO) &&
		     now.sa_handler == on_signal))
			continue;
		previous[i] = now;
		(void)sigaction(trapped[i], &ours, NULL);
	}
}

int index_errno(int rc)
{
	switch (rc) {
	case MDB_SUCCESS:
		return 0;
	case MDB_NOTFOUND:
		return -ENOENT;
	case MDB_KEYEXIST:
		return -EEXIST;
	case MDB_MAP_FULL:
	case MDB_TXN_FULL:
	case MDB_CURSOR_FULL:
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return -ENOSPC;
	case MDB_READERS_FULL:
	case MDB_BAD_RSLOT:
	case EAGAIN:
		return -EAGAIN;
	case MDB_BAD_VALSIZE:
	case MDB_BAD_DBI:
	case MDB_DBS_FULL:
		return -EINVAL;
	case MDB_PANIC:
		return -EIO;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_PAGE_FULL:
	case MDB_VERSION_MISMATCH:
	case MDB_INVALID:
	case MDB_INCOMPATIBLE:
	case MDB_BAD_TXN:
	case INDEX_TRAPPED:
	case INDEX_BAD_VALUE:
		return -EBADMSG;
	default:
		return rc > 0 ? -rc : -EBADMSG;
	}
}

/* 0 and the value behind the checksum. */
static int verify(enum table t, const MDB_val *k, const MDB_val *v,
		  struct span *ret_value)
{
	return value_verify(t, (struct span){ k->mv_data, k->mv_size },
			    (struct span){ v->mv_data, v->mv_size },
			    ret_value) < 0
		       ? INDEX_BAD_VALUE
		       : 0;
}

static MDB_val val_of(struct span s)
{
	union {
		const void *in;
		void *out;
	} cast = { .in = s.p }; /* LMDB does not write to keys */

	return (MDB_val){ .mv_size = s.len, .mv_data = cast.out };
}

/* After a failure a writer's pages are half changed: nothing may follow. */
static int txn_fail(struct txn *txn, int rc)
{
	int r = index_errno(rc);

	if (rc == MDB_MAP_FULL)
		txn->full = true;
	if (r == -EBADMSG)
		index_mark_damaged(txn->idx);
	if (txn->writes && !txn->err && r != -ENOENT && r != -EINVAL)
		txn->err = r;
	return r;
}

static int get(struct txn *txn, enum table t, MDB_val *k,
	       struct span *ret_value)
{
	MDB_val v;
	int rc = mdb_get(txn->t, txn->idx->dbi[t], k, &v);

	return rc ? rc : verify(t, k, &v, ret_value);
}

int txn_get(struct txn *txn, enum table t, struct span key,
	    struct span *ret_value)
{
	MDB_val k = val_of(key);
	int rc;

	if (txn->err)
		return txn->err;
	GUARDED(rc, get(txn, t, &k, ret_value));
	if (rc == INDEX_BAD_VALUE)
		return -EBADMSG;
	return rc ? txn_fail(txn, rc) : 0;
}

static int put(struct txn *txn, enum table t, MDB_val *k, struct span value,
	       uint64_t sum)
{
	MDB_val v = { .mv_size = VALUE_SUM_LEN + value.len };
	int rc;

	rc = mdb_put(txn->t, txn->idx->dbi[t], k, &v, MDB_RESERVE);
	if (rc)
		return rc;
	memcpy(v.mv_data, &sum, VALUE_SUM_LEN);
	if (value.len)
		memcpy((char *)v.mv_data + VALUE_SUM_LEN, value.p, value.len);
	return 0;
}

int txn_put(struct txn *txn, enum table t, struct span key, struct span value)
{
	uint64_t sum = htole64(value_sum(t, key, value));
	MDB_val k = val_of(key);
	int rc;

	if (txn->err)
		return txn->err;
	if (value.len > INDEX_VALUE_MAX)
		return -EINVAL;
	if (!txn->changes && (rc = index_vet(txn)) < 0)
		return rc;
	GUARDED(rc, put(txn, t, &k, value, sum));
	if (rc)
		return txn_fail(txn, rc);
	txn->changes++;
	return 0;
}

int txn_del(struct txn *txn, enum table t, struct span key)
{
	MDB_val k = val_of(key);
	int rc;

	if (txn->err)
		return txn->err;
	if (!txn->changes && (rc = index_vet(txn)) < 0)
		return rc;
	GUARDED(rc, mdb_del(txn->t, txn->idx->dbi[t], &k, NULL));
	if (rc)
		return txn_fail(txn, rc);
	txn->changes++;
	return 0;
}

struct walk {
	struct txn *txn;
	enum table t;
	struct span prefix;
	MDB_cursor *cursor;
	uint8_t key[INDEX_KEY_MAX]; /* of the current row */
	size_t key_len;
	struct span value;     /* its value; p == NULL: damaged */
	unsigned long changes; /* the transaction's, when it was read */
};

/* As LMDB orders keys. */
static int compare_current(const struct walk *w, const MDB_val *k)
{
	int d = memcmp(k->mv_data, w->key, MIN(k->mv_size, w->key_len));

	return d ? d : (k->mv_size > w->key_len) - (k->mv_size < w->key_len);
}

/* Copies the key: the callback may change the page that it is in. */
static int take_row(struct walk *w, const MDB_val *k, const MDB_val *v)
{
	int rc;

	if (!k->mv_size || k->mv_size > INDEX_KEY_MAX)
		return MDB_CORRUPTED;
	/* Keys out of order cannot be found, nor deleted; and a page that
	 * leads back would keep us here for ever. */
	if (w->key_len && compare_current(w, k) <= 0)
		return MDB_CORRUPTED;
	if (k->mv_size < w->prefix.len ||
	    memcmp(k->mv_data, w->prefix.p, w->prefix.len) != 0)
		return MDB_NOTFOUND;
	memcpy(w->key, k->mv_data, k->mv_size);
	w->key_len = k->mv_size;
	w->changes = w->txn->changes;
	w->value = (struct span){ 0 };
	rc = verify(w->t, k, v, &w->value);
	return rc == INDEX_BAD_VALUE ? 0 : rc;
}

static int first_row(struct walk *w, struct span from)
{
	MDB_val k = val_of(from), v;
	int rc;

	rc = mdb_cursor_get(w->cursor, &k, &v,
			    from.len ? MDB_SET_RANGE : MDB_FIRST);
	return rc ? rc : take_row(w, &k, &v);
}

/* The row after the current one, wherever a change of the table has left the
 * cursor. */
static int next_row(struct walk *w)
{
	MDB_val k = { .mv_size = w->key_len, .mv_data = w->key }, v;
	bool moved = w->changes != w->txn->changes;
	int rc;

	rc = mdb_cursor_get(w->cursor, &k, &v,
			    moved ? MDB_SET_RANGE : MDB_NEXT);
	if (!rc && moved && compare_current(w, &k) == 0)
		rc = mdb_cursor_get(w->cursor, &k, &v, MDB_NEXT);
	return rc ? rc : take_row(w, &k, &v);
}

static int walk_all(struct walk *w, struct span from, row_fn fn, void *arg)
{
	int rc, r;

	GUARDED(rc, first_row(w, from));
	while (!rc) {
		r = fn(w->txn, (struct span){ w->key, w->key_len }, w->value,
		       arg);
		if (r == 0)
			r = w->txn->err;
		if (r)
			return r;
		GUARDED(rc, next_row(w));
	}
	return rc == MDB_NOTFOUND ? 0 : txn_fail(w->txn, rc);
}

int txn_foreach_from(struct txn *txn, enum table t, struct span prefix,
		     struct span from, row_fn fn, void *arg)
{
	struct walk w = { .txn = txn, .t = t, .prefix = prefix };
	int rc, r;

	if (txn->err)
		return txn->err;
	if (!prefix.p)
		w.prefix.p = "";
	rc = mdb_cursor_open(txn->t, txn->idx->dbi[t], &w.cursor);
	if (rc)
		return txn_fail(txn, rc);
	r = walk_all(&w, from, fn, arg);
	mdb_cursor_close(w.cursor);
	return r;
}

int txn_foreach(struct txn *txn, enum table t, struct span prefix, row_fn fn,
		void *arg)
{
	return txn_foreach_from(txn, t, prefix, prefix, fn, arg);
}
