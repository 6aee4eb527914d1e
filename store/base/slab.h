/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small objects cut from large pieces of memory: no header, no rounding but to
 * 8 bytes, and neighbours were made one after the other. What is freed serves
 * the next object of the same size; the pieces are freed with the slab, and
 * all objects in them.
 *
 * No lock: the owner has one. AddressSanitizer sees an object's use after it
 * was freed.
 */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include <stddef.h>

#define SLAB_UNIT 8
#define SLAB_OBJECT_MAX 512

struct slab {
	struct slab_piece *pieces;		      /* the newest first */
	size_t used;				      /* bytes of the newest */
	void *freed[SLAB_OBJECT_MAX / SLAB_UNIT + 1]; /* chains, by units */
};

/* Zeroed memory is an empty slab. */
void slab_release(struct slab *s);
/* 1 to SLAB_OBJECT_MAX bytes, uninitialised. NULL: out of memory. */
void *slab_alloc(struct slab *s, size_t size);
/* @size as it was given to slab_alloc(). */
void slab_free(struct slab *s, void *p, size_t size);

#endif
