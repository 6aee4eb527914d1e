/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store/unit.c: publishing, finding and forgetting, with the references of
 * blobs. After each test fsck counts anew and has to find nothing.
 *
 * Red when broken: "unit-refs" (a_unit_keeps_its_blobs).
 */
#include "config.h"

#include "tests/unit/fixture.h"

#include "store/keys.h"
#include "store/refs.h"
#include "store/schema.h"
#include "tests/unit/units.h"

/* Rows in a table, put as they are. */
struct raw_row {
	enum table t;
	struct span key, value;
};

static int do_put_row(struct txn *txn, void *arg)
{
	const struct raw_row *row = arg;

	return txn_put(txn, row->t, row->key, row->value);
}

static void put_row(struct place *p, enum table t, const void *key,
		    size_t key_len, const char *value)
{
	struct raw_row row = { t, span_of(key, key_len), span_of_str(value) };

	OK(index_update(store_index(p->st), do_put_row, &row));
}

/* --- finding -------------------------------------------------------------- */

struct seen {
	const struct made *m; /* what is expected */
	unsigned lists, found, objects;
	uint64_t fpr; /* the last */
	int result;   /* what callbacks return */
};

static int see_list(const struct unit_list *list,
		    const struct digest *list_digest, void *arg)
{
	struct seen *s = arg;
	struct digest d;

	OK(unit_list_digest(list, &d));
	assert_true(digest_equal(&d, list_digest));
	assert_true(digest_equal(&d, &s->m->key.list));
	assert_int_equal(list->count, 5);
	assert_int_equal(list->inputs[0].kind, UNIT_SOURCE);
	assert_memory_equal(list->inputs[0].name.p, "src/lib.rs", 10);
	s->lists++;
	return s->result;
}

static int see_found(uint64_t fpr, const void *object, size_t len, void *arg)
{
	struct buf b = { 0 };
	struct seen *s = arg;

	OK(unit_object_encode(&s->m->obj, &b));
	assert_int_equal(len, b.len);
	assert_memory_equal(object, b.data, len);
	buf_release(&b);
	s->found++;
	s->fpr = fpr;
	return s->result;
}

static int see_object(const struct unit_key *key, const struct unit_object *obj,
		      void *arg)
{
	struct seen *s = arg;

	assert_true(digest_equal(&key->list, &s->m->key.list));
	assert_int_equal(obj->file_count, 6);
	s->objects++;
	s->fpr = key->fpr;
	return s->result;
}

static struct seen see(struct place *p, const struct made *m)
{
	struct seen s = { .m = m };

	OK(unit_lists(p->st, m->key.hash, &m->key.scope, see_list, &s));
	OK(unit_find(p->st, &m->key, see_found, &s));
	OK(unit_foreach(p->st, m->key.hash, see_object, &s));
	return s;
}

static void published_is_found(void **state)
{
	struct made m, other;
	struct place p;
	struct seen s;

	(void)state;
	enter_units(&p);
	make_unit(&m, HASH, "one", "two");
	s = see(&p, &m);
	assert_int_equal(s.lists + s.found + s.objects, 0);
	OK(unit_publish(p.st, &m.key, &m.obj));
	reopen(&p);
	s = see(&p, &m);
	assert_true(s.lists == 1 && s.found == 1 && s.objects == 1);
	assert_true(s.fpr == m.key.fpr);
	refs_are(&p, "one", 2, 1);
	refs_are(&p, "two", 2, 1);
	/* Each part of the key leads elsewhere. */
	other = m;
	other.key.hash++;
	s = see(&p, &other);
	assert_int_equal(s.lists + s.found + s.objects, 0);
	other = m;
	other.key.scope = digest_of_str("another scope");
	s = see(&p, &other);
	assert_true(!s.lists && !s.found && s.objects == 1);
	other = m;
	other.key.values = digest_of_str("other values");
	s = see(&p, &other);
	assert_true(s.lists == 1 && !s.found);
	check_clean(&p, 1);
	leave(&p);
}

/* Of two builds from the same inputs, both are found, in order of fpr. */
static void fingerprints(void **state)
{
	struct seen s = { 0 };
	struct place p;
	struct made m;

	(void)state;
	enter_units(&p);
	make_unit(&m, HASH, "one", "two");
	m.key.fpr = 0x8000000000000000;
	OK(unit_publish(p.st, &m.key, &m.obj));
	m.key.fpr = 0xff;
	OK(unit_publish(p.st, &m.key, &m.obj));
	s = see(&p, &m);
	assert_true(s.lists == 1 && s.found == 2 && s.objects == 2);
	assert_true(s.fpr == 0x8000000000000000);
	refs_are(&p, "one", 3, 2);
	s = (struct seen){ .m = &m, .result = 7 };
	assert_int_equal(unit_find(p.st, &m.key, see_found, &s), 7);
	assert_true(s.found == 1 && s.fpr == 0xff);
	assert_int_equal(unit_foreach(p.st, 0, see_object, &s), 7);
	assert_int_equal(s.objects, 1);
	s.result = -ECANCELED;
	assert_int_equal(unit_lists(p.st, HASH, &m.key.scope, see_list, &s),
			 -ECANCELED);
	assert_int_equal(unit_find(p.st, &m.key, see_found, &s), -ECANCELED);
	assert_int_equal(unit_foreach(p.st, HASH, see_object, &s), -ECANCELED);
	check_clean(&p, 2);
	leave(&p);
}

static int drop_while_walking(const struct unit_list *list,
			      const struct digest *list_digest, void *arg)
{
	struct place *p = arg;
	struct made m;

	(void)list_digest;
	make_unit(&m, HASH, "one", "two");
	m.inputs[0].name = list->inputs[0].name;
	set_key(&m);
	OK(unit_drop(p->st, &m.key));
	return 0;
}

static void lists(void **state)
{
	static const struct span_str names[] = { STR("a.rs"), STR("b.rs"),
						 STR("c.rs") };
	unsigned count = 0;
	struct place p;
	struct made m;

	(void)state;
	enter_units(&p);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		make_unit(&m, HASH, "one", "two");
		m.inputs[0].name = names[i];
		set_key(&m);
		OK(unit_publish(p.st, &m.key, &m.obj));
		/* Another value makes no other list. */
		m.inputs[0].value = digest_of_str("edited");
		set_key(&m);
		OK(unit_publish(p.st, &m.key, &m.obj));
		OK(unit_drop(p.st, &m.key));
	}
	OK(unit_lists(p.st, HASH, &m.key.scope, count_list, &count));
	assert_int_equal(count, 3);
	check_clean(&p, 3);
	OK(unit_lists(p.st, HASH, &m.key.scope, drop_while_walking, &p));
	count = 0;
	OK(unit_lists(p.st, HASH, &m.key.scope, count_list, &count));
	assert_int_equal(count, 0);
	check_clean(&p, 0);
	leave(&p);
}

/* --- publishing ----------------------------------------------------------- */

static void a_second_one_changes_nothing(void **state)
{
	struct made m, other;
	struct place p;

	(void)state;
	enter_units(&p);
	make_unit(&m, HASH, "one", "two");
	OK(unit_publish(p.st, &m.key, &m.obj));
	other = m;
	other.obj.inputs = other.inputs;
	other.obj.files = other.files;
	other.obj.compile_msec = 99;
	assert_int_equal(unit_publish(p.st, &m.key, &other.obj), -EEXIST);
	assert_int_equal(see(&p, &m).found, 1);
	refs_are(&p, "one", 2, 1);
	check_clean(&p, 1);
	leave(&p);
}

static void each_file_counts(void **state)
{
	struct place p;
	struct made m;

	(void)state;
	enter_units(&p);
	make_unit(&m, HASH, "one", "one");
	OK(unit_publish(p.st, &m.key, &m.obj));
	refs_are(&p, "one", 3, 2);
	refs_are(&p, "two", 1, 0);
	check_clean(&p, 1);
	OK(unit_drop(p.st, &m.key));
	refs_are(&p, "one", 1, 0);
	check_clean(&p, 0);
	leave(&p);
}

static void nothing_is_published(struct place *p, const struct made *m)
{
	struct seen s = see(p, m);

	assert_int_equal(s.lists + s.found + s.objects, 0);
	refs_are(p, "one", 1, 0);
}

static void without_a_blob(void **state)
{
	char path[160];
	struct digest d;
	struct place p;
	uint64_t ino;
	struct made m;

	(void)state;
	enter_units(&p);
	make_unit(&m, HASH, "one", "no such blob");
	assert_int_equal(unit_publish(p.st, &m.key, &m.obj), -ENOENT);
	nothing_is_published(&p, &m);
	make_unit(&m, HASH, "one", "two");
	m.files[1].size++;
	assert_int_equal(unit_publish(p.st, &m.key, &m.obj), -ENOENT);
	nothing_is_published(&p, &m);
	/* A dead one whose file a sweep has taken, and not committed yet. */
	ino = add_file(&p, "dead", "dead");
	del_file(&p, "dead", ino);
	d = digest_of_str("dead");
	blob_path(&p, &d, path, sizeof(path));
	OK(unlink(path));
	make_unit(&m, HASH, "one", "dead");
	assert_int_equal(unit_publish(p.st, &m.key, &m.obj), -ENOENT);
	nothing_is_published(&p, &m);
	leave(&p);
}

static void keys_of_other_inputs(void **state)
{
	struct place p;
	struct made m;

	(void)state;
	enter_units(&p);
	make_unit(&m, HASH, "one", "two");
	m.key.list.b[0] ^= 1;
	assert_int_equal(unit_publish(p.st, &m.key, &m.obj), -EINVAL);
	set_key(&m);
	m.key.values.b[31] ^= 1;
	assert_int_equal(unit_publish(p.st, &m.key, &m.obj), -EINVAL);
	set_key(&m);
	m.key.hash = 0;
	assert_int_equal(unit_publish(p.st, &m.key, &m.obj), -EINVAL);
	m.key.hash = HASH;
	m.files[0].path = STR("../x");
	assert_int_equal(unit_publish(p.st, &m.key, &m.obj), -EINVAL);
	nothing_is_published(&p, &m);
	leave(&p);
}

/* --- forgetting ----------------------------------------------------------- */

static void a_unit_keeps_its_blobs(void **state)
{
	struct digest d = digest_of_str("two");
	uint64_t one, two, freed;
	struct view_usage u;
	struct place p;
	struct made m;

	(void)state;
	enter_store(&p);
	one = add_inline(&p, "one", "one");
	two = add_file(&p, "two", "two");
	make_unit(&m, HASH, "one", "two");
	OK(unit_publish(p.st, &m.key, &m.obj));
	/* An object is not another view. */
	OK(views_usage(p.st, p.view, &u));
	assert_true(u.blob == 6 && u.shared == 0);
	del_file(&p, "one", one);
	del_file(&p, "two", two);
	refs_are(&p, "one", 1, 1);
	OK(blob_sweep(p.st, 0, 100, &freed));
	assert_int_equal(freed, 0);
	OK(blob_exists(p.st, &d, 3));
	check_clean(&p, 1);
	OK(unit_drop(p.st, &m.key));
	assert_int_equal(unit_drop(p.st, &m.key), -ENOENT);
	OK(blob_sweep(p.st, 0, 100, &freed));
	assert_int_equal(freed, 6);
	assert_int_equal(blob_exists(p.st, &d, 3), -ENOENT);
	check_clean(&p, 0);
	leave(&p);
}

/* --- damage --------------------------------------------------------------- */

static void raw_key(struct key *k, const struct made *m)
{
	uint64_t hash = htobe64(m->key.hash), fpr = htobe64(m->key.fpr);

	memcpy(k->b, &hash, 8);
	memcpy(k->b + 8, m->key.scope.b, 32);
	memcpy(k->b + 40, m->key.list.b, 32);
	memcpy(k->b + 72, m->key.values.b, 32);
	memcpy(k->b + 104, &fpr, 8);
}

/* Rows that are no objects, nor lists, before and behind one that is. */
static void damage_hides_itself_only(void **state)
{
	unsigned count = 0;
	struct place p;
	struct made m;
	struct seen s;
	struct key k;

	(void)state;
	enter_units(&p);
	make_unit(&m, HASH, "one", "two");
	m.key.fpr = 5;
	OK(unit_publish(p.st, &m.key, &m.obj));
	for (int i = 0; i < 2; i++) {
		raw_key(&k, &m);
		memset(k.b + 40, i ? 0xff : 0, 32);
		put_row(&p, TABLE_LISTS, k.b, 72, "\1garbage");
		put_row(&p, TABLE_LISTS, k.b, 40, "a key too short");
		put_row(&p, TABLE_UNITS, k.b, 112, "\1garbage");
		put_row(&p, TABLE_UNITS, k.b, 113, "a key too long");
	}
	s = see(&p, &m);
	assert_true(s.lists == 1 && s.found == 1 && s.objects == 1);
	OK(unit_foreach(p.st, 0, count_unit, &count));
	assert_int_equal(count, 1);
	leave(&p);
}

static void a_damaged_row_can_be_dropped(void **state)
{
	unsigned count = 0;
	struct place p;
	struct made m;
	struct key k;

	(void)state;
	enter_units(&p);
	make_unit(&m, HASH, "one", "two");
	OK(unit_publish(p.st, &m.key, &m.obj));
	raw_key(&k, &m);
	put_row(&p, TABLE_UNITS, k.b, 112, "garbage");
	put_row(&p, TABLE_LISTS, k.b, 72, "garbage");
	OK(unit_drop(p.st, &m.key));
	assert_int_equal(unit_drop(p.st, &m.key), -ENOENT);
	/* Its list has gone with it, so that this one's is whole. */
	OK(unit_publish(p.st, &m.key, &m.obj));
	OK(unit_lists(p.st, HASH, &m.key.scope, count_list, &count));
	assert_int_equal(count, 1);
	leave(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_is_found),
		cmocka_unit_test(fingerprints),
		cmocka_unit_test(lists),
		cmocka_unit_test(a_second_one_changes_nothing),
		cmocka_unit_test(each_file_counts),
		cmocka_unit_test(without_a_blob),
		cmocka_unit_test(keys_of_other_inputs),
		cmocka_unit_test(a_unit_keeps_its_blobs),
		cmocka_unit_test(damage_hides_itself_only),
		cmocka_unit_test(a_damaged_row_can_be_dropped),
	};

	return RUN_TAP(tests);
}
