/* SPDX-License-Identifier: Apache-2.0 */
/* Intrusive doubly linked lists; a list is a ring with a head. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>

#include "store/base/macros.h"

struct list {
	struct list *prev, *next;
};

static inline void list_init(struct list *l)
{
	l->prev = l->next = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_add_tail(struct list *head, struct list *l)
{
	l->prev = head->prev;
	l->next = head;
	head->prev->next = l;
	head->prev = l;
}

/* Afterwards the entry is a ring of its own: removing it again is harmless. */
static inline void list_del(struct list *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	list_init(l);
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)
#define list_foreach(pos, head) \
	for (struct list *pos = (head)->next; pos != (head); pos = pos->next)
#define list_foreach_safe(pos, head)                              \
	for (struct list *pos = (head)->next, *next_ = pos->next; \
	     pos != (head); pos = next_, next_ = pos->next)

#endif
