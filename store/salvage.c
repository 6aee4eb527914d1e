/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Salvage of a damaged index. The child opens it without locks and streams
 * rows; where a page cannot be read it goes on behind it. The parent believes
 * only what arrived whole.
 *
 *	stream := { row } | { row } end
 *	row    := u8 table, u16 key length, u32 value length, key, value
 *	end    := u8 TABLE_COUNT, u64 damaged
 *
 * The stream is between two halves of one program: host byte order.
 */
#include "config.h"

#include "store/salvage.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/base/macros.h"
#include "store/keys.h"
#include "store/schema.h"

/* Steps over damage in one table, before it is given up; a page takes some
 * dozens. */
#define MAX_SKIPS 100000
/* A child that takes longer is lost in a loop. */
#define CHILD_SEC 1800

static const enum table salvaged_tables[] = { TABLE_VIEWS, TABLE_NODES,
					      TABLE_NAMES, TABLE_DATA };

struct row_head {
	uint8_t table;
	uint16_t key_len;
	uint32_t value_len;
};

/* --- the child ------------------------------------------------------------ */

struct child {
	FILE *out;
	enum table t;
	struct key last; /* the last key that was seen */
	bool seen;
	uint64_t damaged;
};

static bool is_worth_it(const struct child *ch, struct span key,
			struct span value)
{
	struct digest d;

	if (!value.p || key.len > NAME_KEY_MAX)
		return false;
	return ch->t != TABLE_DATA || (key.len == DIGEST_LEN &&
				       digest_of(value.p, value.len, &d) == 0 &&
				       !memcmp(d.b, key.p, DIGEST_LEN));
}

static int send_row(struct txn *txn, struct span key, struct span value,
		    void *arg)
{
	struct child *ch = arg;
	struct row_head head = {
		.table = (uint8_t)ch->t,
		.key_len = (uint16_t)key.len,
		.value_len = (uint32_t)value.len,
	};

	(void)txn;
	ch->seen = true;
	ch->last.len = MIN(key.len, sizeof(ch->last.b));
	memcpy(ch->last.b, key.p, ch->last.len);
	if (!is_worth_it(ch, key, value)) {
		ch->damaged++;
		return 0;
	}
	if (fwrite(&head, sizeof(head), 1, ch->out) != 1 ||
	    fwrite(key.p, 1, key.len, ch->out) != key.len ||
	    fwrite(value.p, 1, value.len, ch->out) != value.len)
		return -EPIPE;
	return 0;
}

/*
 * Where to go on after a page that cannot be read: adds a power of two to the
 * key, as one big-endian number; @skip grows by one each time that brought
 * nothing, and the step fourfold. False: past the end.
 */
static bool step_over(struct key *k, unsigned skip)
{
	unsigned bit, carry;

	if (!k->len)
		k->b[k->len++] = 0;
	bit = MIN(skip * 2, (unsigned)k->len * 8 - 1);
	carry = 1U << bit % 8;
	for (size_t i = k->len - bit / 8; carry && i > 0; i--) {
		carry += k->b[i - 1];
		k->b[i - 1] = (uint8_t)carry;
		carry >>= 8;
	}
	return !carry;
}

static int send_range(struct txn *txn, void *arg)
{
	struct child *ch = arg;

	ch->seen = false;
	return txn_foreach_from(txn, ch->t, (struct span){ 0 },
				span_of_key(&ch->last), send_row, ch);
}

static int send_table(struct child *ch, struct index *idx, enum table t)
{
	unsigned skip = 0;
	int r = -EBADMSG;

	ch->t = t;
	ch->last = (struct key){ .len = 0 };
	for (unsigned i = 0; r == -EBADMSG && i < MAX_SKIPS; i++) {
		r = index_view(idx, send_range, ch);
		if (r == 0 || r == -EPIPE)
			return r;
		skip = ch->seen ? 0 : skip + 1;
		ch->damaged += ch->seen || i == 0;
		if (!step_over(&ch->last, skip))
			break;
	}
	return 0; /* with the next table */
}

static int run_child(int dirfd, FILE *out)
{
	struct child ch = { .out = out };
	uint8_t end = TABLE_COUNT;
	struct index *idx;
	int r;

	r = index_open(dirfd, INDEX_SALVAGE, &idx);
	if (r < 0)
		return 1;
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(salvaged_tables); i++)
		r = send_table(&ch, idx, salvaged_tables[i]);
	if (fwrite(&end, 1, 1, out) != 1 ||
	    fwrite(&ch.damaged, sizeof(ch.damaged), 1, out) != 1)
		return 1;
	return fflush(out) != 0;
}

static pid_t start_child(int dirfd, int *ret_fd)
{
	pid_t parent = getpid(), pid;
	int fds[2];
	FILE *out;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* It may have died before that; and our end of the pipe would
		 * keep a write from failing. */
		if (getppid() != parent)
			_exit(1);
		(void)close(fds[0]);
		(void)prctl(PR_SET_DUMPABLE, 0);
		(void)signal(SIGSEGV, SIG_DFL);
		(void)signal(SIGBUS, SIG_DFL);
		(void)signal(SIGABRT, SIG_DFL);
		(void)alarm(CHILD_SEC);
		/* LMDB tells of assertions there. */
		(void)close(STDERR_FILENO);
		out = fdopen(fds[1], "w");
		_exit(out ? run_child(dirfd, out) : 1);
	}
	(void)close(fds[1]);
	if (pid < 0) {
		(void)close(fds[0]);
		return -errno;
	}
	*ret_fd = fds[0];
	return pid;
}

/* --- the parent ----------------------------------------------------------- */

struct parent {
	FILE *in;
	int (*fn)(enum table t, struct span key, struct span value, void *arg);
	void *arg;
	struct salvaged *s;
	uint8_t *value; /* INDEX_VALUE_MAX bytes */
};

static bool get(struct parent *p, void *to, size_t len)
{
	return fread(to, 1, len, p->in) == len;
}

/* 1: a row, 0: the stream has ended, one way or the other. */
static int receive_row(struct parent *p)
{
	struct row_head head;
	struct key key;
	uint64_t damaged;
	int r;

	if (!get(p, &head.table, 1))
		return 0;
	if (head.table == TABLE_COUNT) {
		if (get(p, &damaged, sizeof(damaged)))
			p->s->damaged += damaged;
		return 0;
	}
	if (!get(p, (uint8_t *)&head + 1, sizeof(head) - 1) ||
	    head.key_len > sizeof(key.b) || head.value_len > INDEX_VALUE_MAX ||
	    head.table > TABLE_COUNT || !get(p, key.b, head.key_len) ||
	    !get(p, p->value, head.value_len))
		return 0;
	p->s->rows[head.table]++;
	r = p->fn((enum table)head.table, span_of(key.b, head.key_len),
		  span_of(p->value, head.value_len), p->arg);
	return r < 0 ? r : 1;
}

static int receive(struct parent *p)
{
	int r;

	p->value = malloc(INDEX_VALUE_MAX);
	if (!p->value)
		return -ENOMEM;
	do
		r = receive_row(p);
	while (r > 0);
	free(p->value);
	return r;
}

int salvage_index(int dirfd,
		  int (*fn)(enum table t, struct span key, struct span value,
			    void *arg),
		  void *arg, struct salvaged *ret_salvaged)
{
	struct salvaged s = { 0 };
	struct parent p = { .fn = fn, .arg = arg, .s = &s };
	int fd = -1, status = 0, r;
	pid_t pid;

	pid = start_child(dirfd, &fd);
	if (pid < 0)
		return pid;
	p.in = fdopen(fd, "r");
	r = p.in ? receive(&p) : -ENOMEM;
	if (p.in)
		(void)fclose(p.in); /* a child that still writes gets SIGPIPE */
	else
		(void)close(fd);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status)
		s.damaged++;
	*ret_salvaged = s;
	return r;
}
