/* SPDX-License-Identifier: Apache-2.0 */
/* store/base/slab.c: objects do not overlap, and freed ones are used again. */
#include "config.h"

#include "tests/unit/fixture.h"

#include "store/base/slab.h"

#define OBJECTS 20000

static size_t size_of(size_t i)
{
	return i * 37 % SLAB_OBJECT_MAX + 1;
}

static void objects_are_apart(void **state)
{
	uint8_t **p = calloc(OBJECTS, sizeof(*p));
	struct slab s = { 0 };

	(void)state;
	for (size_t i = 0; i < OBJECTS; i++) {
		p[i] = slab_alloc(&s, size_of(i));
		assert_non_null(p[i]);
		assert_true((uintptr_t)p[i] % SLAB_UNIT == 0);
		memset(p[i], (int)(i % 251), size_of(i));
	}
	/* Every third goes, and others come for them. */
	for (size_t i = 0; i < OBJECTS; i += 3)
		slab_free(&s, p[i], size_of(i));
	for (size_t i = 0; i < OBJECTS; i += 3) {
		p[i] = slab_alloc(&s, size_of(i));
		memset(p[i], (int)(i % 251), size_of(i));
	}
	for (size_t i = 0; i < OBJECTS; i++)
		for (size_t at = 0; at < size_of(i); at++)
			assert_int_equal(p[i][at], i % 251);
	slab_release(&s);
	assert_null(s.pieces);
	free(p);
}

static void freed_is_used_again(void **state)
{
	struct slab s = { 0 };
	void *a, *b, *c;

	(void)state;
	a = slab_alloc(&s, 100);
	b = slab_alloc(&s, 100);
	slab_free(&s, a, 100);
	slab_free(&s, b, 100);
	assert_ptr_equal(slab_alloc(&s, 104), b); /* as many units */
	c = slab_alloc(&s, 96);
	assert_true(c != a && c != b);
	assert_ptr_equal(slab_alloc(&s, 97), a);
	slab_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_are_apart),
		cmocka_unit_test(freed_is_used_again),
	};

	return RUN_TAP(tests);
}
