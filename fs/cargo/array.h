/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arrays that parsers append to, one element at a time. The owner keeps a
 * pointer and a count; how much is allocated follows from the count.
 */
#ifndef CARGO_ARRAY_H
#define CARGO_ARRAY_H

#include <stddef.h>
#include <stdlib.h>

/*
 * Returns @array (of @count elements of @size bytes) with room for one more,
 * perhaps elsewhere; NULL: no memory, and @array is as it was. An array that
 * grew so has always room for the next power of two.
 */
static inline void *array_room(void *array, size_t count, size_t size)
{
	if (count & (count - 1))
		return array;
	return reallocarray(array, count ? 2 * count : 1, size);
}

#endif
