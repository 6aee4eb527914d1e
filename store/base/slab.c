/* SPDX-License-Identifier: Apache-2.0 */
/* Small objects from large pieces; see slab.h. */
#include "config.h"

#include "store/base/slab.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

/* Mapped: pages that are not used yet cost nothing, and a released slab goes
 * back to the kernel. */
#define PIECE_SIZE (256 * 1024)

struct slab_piece {
	struct slab_piece *next;
	uint8_t bytes[PIECE_SIZE - sizeof(void *)];
};

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLAB_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define SLAB_ASAN 1
#endif

#ifdef SLAB_ASAN
void __asan_poison_memory_region(const volatile void *p, size_t size);
void __asan_unpoison_memory_region(const volatile void *p, size_t size);
#else
static inline void __asan_poison_memory_region(const volatile void *p,
					       size_t size)
{
	(void)p;
	(void)size;
}
static inline void __asan_unpoison_memory_region(const volatile void *p,
						 size_t size)
{
	(void)p;
	(void)size;
}
#endif

static size_t units_of(size_t size)
{
	assert(size > 0 && size <= SLAB_OBJECT_MAX);
	return (size + SLAB_UNIT - 1) / SLAB_UNIT;
}

void slab_release(struct slab *s)
{
	struct slab_piece *p, *next;

	for (p = s->pieces; p; p = next) {
		__asan_unpoison_memory_region(p->bytes, sizeof(p->bytes));
		next = p->next;
		(void)munmap(p, sizeof(*p));
	}
	*s = (struct slab){ 0 };
}

static int add_piece(struct slab *s)
{
	struct slab_piece *p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return -ENOMEM;
	__asan_poison_memory_region(p->bytes, sizeof(p->bytes));
	p->next = s->pieces;
	s->pieces = p;
	s->used = 0;
	return 0;
}

void *slab_alloc(struct slab *s, size_t size)
{
	size_t units = units_of(size), len = units * SLAB_UNIT;
	void *p = s->freed[units];

	if (p) {
		__asan_unpoison_memory_region(p, len);
		memcpy(&s->freed[units], p, sizeof(void *));
		return p;
	}
	if ((!s->pieces || s->used + len > sizeof(s->pieces->bytes)) &&
	    add_piece(s) < 0)
		return NULL;
	p = s->pieces->bytes + s->used;
	s->used += len;
	__asan_unpoison_memory_region(p, size);
	return p;
}

void slab_free(struct slab *s, void *p, size_t size)
{
	size_t units = units_of(size);

	__asan_unpoison_memory_region(p, sizeof(void *));
	memcpy(p, &s->freed[units], sizeof(void *));
	s->freed[units] = p;
	__asan_poison_memory_region(p, units * SLAB_UNIT);
}
