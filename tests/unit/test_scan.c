/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs/cargo/scan.h: objects of every shape, made here byte by byte, and this
 * program itself.
 */
#include "config.h"

#include "fs/cargo/scan.h"

#include <elf.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/base/buf.h"
#include "store/base/macros.h"

#define ROOT "/home/somebody/work/project"

static const struct span root[] = { { ROOT, sizeof(ROOT) - 1 } };

static enum scan_verdict scan(const struct buf *b)
{
	return scan_paths(b->data, b->len, root, 1, NULL);
}

/* --- making ELF files ------------------------------------------------------- */

struct shape {
	bool wide;
	bool big;
};

static const struct shape shapes[] = {
	{ true, false }, { false, false }, { true, true }, { false, true }
};

struct section {
	const char *name;
	uint32_t type;
	uint64_t flags;
	uint64_t entry_size;
	const char *content;
};

static void put_number(struct buf *b, struct shape s, size_t len, uint64_t v)
{
	for (size_t i = 0; i < len; i++)
		buf_u8(b, (uint8_t)(v >> (8 * (s.big ? len - 1 - i : i))));
}

/* An address, an offset, a size. */
static void put_word(struct buf *b, struct shape s, uint64_t v)
{
	put_number(b, s, s.wide ? 8 : 4, v);
}

static void put_header(struct buf *b, struct shape s, uint64_t sections_at,
		       uint64_t segments_at, uint16_t sections,
		       uint16_t segments)
{
	size_t phdr = s.wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	size_t shdr = s.wide ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);

	buf_put(b, ELFMAG, SELFMAG);
	buf_u8(b, s.wide ? ELFCLASS64 : ELFCLASS32);
	buf_u8(b, s.big ? ELFDATA2MSB : ELFDATA2LSB);
	buf_u8(b, EV_CURRENT);
	for (int i = EI_OSABI; i < EI_NIDENT; i++)
		buf_u8(b, 0);
	put_number(b, s, 2, ET_REL);
	put_number(b, s, 2, EM_X86_64);
	put_number(b, s, 4, EV_CURRENT);
	put_word(b, s, 0);
	put_word(b, s, segments_at);
	put_word(b, s, sections_at);
	put_number(b, s, 4, 0);
	put_number(b, s, 2, s.wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr));
	put_number(b, s, 2, phdr);
	put_number(b, s, 2, segments);
	put_number(b, s, 2, shdr);
	put_number(b, s, 2, sections);
	put_number(b, s, 2, sections ? sections - 1u : 0);
}

static void put_section(struct buf *b, struct shape s, const struct section *c,
			uint64_t name, uint64_t at, uint64_t size)
{
	put_number(b, s, 4, name);
	put_number(b, s, 4, c->type);
	put_word(b, s, c->flags);
	put_word(b, s, 0);
	put_word(b, s, at);
	put_word(b, s, size);
	put_number(b, s, 4, 0);
	put_number(b, s, 4, 0);
	put_word(b, s, 1);
	put_word(b, s, c->entry_size);
}

/*
 * An object of @count sections; the last one is the table of their names,
 * with each of them in 16 bytes.
 */
static struct buf make_elf(struct shape s, const struct section *c,
			   size_t count)
{
	size_t header = s.wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
	uint64_t end = header, at = header, len;
	struct buf b = { 0 };

	for (size_t i = 0; i < count; i++)
		end += strlen(c[i].content);
	put_header(&b, s, end + 16 * (count + 1), 0, (uint16_t)(count + 1), 0);
	for (size_t i = 0; i < count; i++)
		buf_put(&b, c[i].content, strlen(c[i].content));
	for (size_t i = 0; i <= count; i++) {
		char name[16] = "";

		if (i < count)
			(void)snprintf(name, sizeof(name), "%s", c[i].name);
		buf_put(&b, name, sizeof(name));
	}
	for (size_t i = 0; i < count; i++, at += len) {
		len = c[i].type == SHT_NOBITS ? 1 << 20 : strlen(c[i].content);
		put_section(&b, s, &c[i], 16 * i, at, len);
		len = strlen(c[i].content);
	}
	put_section(&b, s,
		    &(struct section){ .type = SHT_STRTAB, .content = "" },
		    16 * count, end, 16 * (count + 1));
	assert_int_equal(b.err, 0);
	return b;
}

static const struct {
	struct section c;
	enum scan_verdict verdict;
} sections[] = {
	{ { ".rodata", SHT_PROGBITS, SHF_ALLOC, 0, "x" ROOT "/src" },
	  SCAN_FOUND },
	{ { ".rodata", SHT_PROGBITS, SHF_ALLOC, 0, "/home/somebody/work/proj" },
	  SCAN_CLEAN },
	{ { ".data", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, 0, ROOT },
	  SCAN_FOUND },
	{ { ".debug_str", SHT_PROGBITS, SHF_MERGE | SHF_STRINGS, 1, ROOT },
	  SCAN_CLEAN },
	{ { ".rmeta", SHT_PROGBITS, SHF_EXCLUDE, 0, ROOT }, SCAN_CLEAN },
	{ { ".bss", SHT_NOBITS, SHF_ALLOC | SHF_WRITE, 0, "" }, SCAN_CLEAN },
	/* pieces of strings */
	{ { ".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 0,
	    "\x48\xb8/home/so\x48\xb9" },
	  SCAN_FOUND },
	{ { ".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 0,
	    "\x48\xb8/home/s\x48\xb9" },
	  SCAN_CLEAN },
	{ { ".cst16", SHT_PROGBITS, SHF_ALLOC | SHF_MERGE, 16,
	    "/home/somebody/w" },
	  SCAN_FOUND },
	{ { ".cst16", SHT_PROGBITS, SHF_ALLOC | SHF_MERGE, 16,
	    "/home/somebody/x" },
	  SCAN_CLEAN },
	{ { ".cst4", SHT_PROGBITS, SHF_ALLOC | SHF_MERGE, 4, "/home/somebo" },
	  SCAN_CLEAN },
	{ { ".str", SHT_PROGBITS, SHF_ALLOC | SHF_MERGE | SHF_STRINGS, 16,
	    "/home/somebody/w" },
	  SCAN_CLEAN },
	/* what cannot be seen */
	{ { ".gnu.lto_x", SHT_PROGBITS, SHF_EXCLUDE, 0, "zstd" }, SCAN_OPAQUE },
	{ { ".rodata", SHT_PROGBITS, SHF_ALLOC | SHF_COMPRESSED, 0, "zlib" },
	  SCAN_OPAQUE },
};

static void test_sections(void **state)
{
	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(shapes); k++)
		for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
			struct section two[] = {
				sections[i].c,
				{ ".data", SHT_PROGBITS, SHF_ALLOC, 0, "x" },
			};
			struct buf b = make_elf(shapes[k], two, 2);

			print_message("# shape %zu, section %zu\n", k, i);
			assert_int_equal(scan(&b), sections[i].verdict);
			buf_release(&b);
		}
}

static void test_segments(void **state)
{
	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(shapes); k++)
		for (uint32_t type = PT_NULL; type <= PT_LOAD; type++) {
			struct section c[] = { { ".x", SHT_PROGBITS, 0, 0,
						 ROOT } };
			struct buf plain = make_elf(shapes[k], c, 1);
			struct buf b = { 0 };
			struct shape s = shapes[k];
			size_t header = s.wide ? sizeof(Elf64_Ehdr)
					       : sizeof(Elf32_Ehdr);
			size_t tail = 2 * (s.wide ? sizeof(Elf64_Shdr)
						  : sizeof(Elf32_Shdr));

			/* the same with a segment that is all of the file */
			put_header(&b, s, plain.len - tail, plain.len, 2, 1);
			buf_put(&b, plain.data + header, plain.len - header);
			put_number(&b, s, 4, type);
			if (s.wide)
				put_number(&b, s, 4, PF_R);
			put_word(&b, s, 0);
			put_word(&b, s, 0);
			put_word(&b, s, 0);
			put_word(&b, s, plain.len);
			put_word(&b, s, plain.len);
			for (int i = 0; i < 2; i++)
				put_word(&b, s, 0);
			assert_int_equal(scan(&b), type == PT_LOAD
							   ? SCAN_FOUND
							   : SCAN_CLEAN);
			assert_int_equal(scan(&plain), SCAN_CLEAN);
			buf_release(&plain);
			buf_release(&b);
		}
}

/* Where debug information alone has the path, damage brings it to light. */
static void test_malformed_counts_whole(void **state)
{
	struct section c[] = {
		{ ".debug_str", SHT_PROGBITS, 0, 0, ROOT },
		{ ".data", SHT_PROGBITS, SHF_ALLOC, 0, "data" },
	};
	static const size_t fields[] = {
		EI_CLASS,
		EI_DATA,
		offsetof(Elf64_Ehdr, e_shoff) + 3,
		offsetof(Elf64_Ehdr, e_shoff) + 7,
		offsetof(Elf64_Ehdr, e_shentsize),
		offsetof(Elf64_Ehdr, e_shnum),
		offsetof(Elf64_Ehdr, e_phnum),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		struct buf b = make_elf(shapes[0], c, 2);

		assert_int_equal(scan(&b), SCAN_CLEAN);
		b.data[fields[i]] = fields[i] > EI_NIDENT ? 0x21 : 7;
		print_message("# field %zu\n", fields[i]);
		assert_int_equal(scan(&b), SCAN_FOUND);
		buf_release(&b);
	}
	for (size_t cut = sizeof(Elf64_Shdr); cut > 0; cut--) {
		struct buf b = make_elf(shapes[0], c, 2);

		b.len -= cut;
		assert_int_equal(scan(&b), SCAN_FOUND);
		buf_release(&b);
	}
}

/* A thousand sections of the same bytes are not searched a thousand times. */
static void test_overlapping_sections(void **state)
{
	struct shape s = shapes[0];
	struct buf b = { 0 };
	struct section c = { "", SHT_PROGBITS, SHF_ALLOC, 0, "" };

	(void)state;
	put_header(&b, s, sizeof(Elf64_Ehdr), 0, 1000, 0);
	for (int i = 0; i < 1000; i++)
		put_section(&b, s, &c, 0, sizeof(Elf64_Ehdr), 60000);
	assert_int_equal(scan(&b), SCAN_CLEAN);
	buf_put(&b, ROOT, sizeof(ROOT) - 1);
	assert_int_equal(scan(&b), SCAN_FOUND);
	buf_release(&b);
}

/* --- archives ---------------------------------------------------------------- */

static void put_member(struct buf *b, const char *name, const void *data,
		       size_t len)
{
	char header[61];

	(void)snprintf(header, sizeof(header),
		       "%-16s%-12d%-6d%-6d%-8o%-10zu`\n", name, 0, 0, 0,
		       0100644u, len);
	buf_put(b, header, 60);
	buf_put(b, data, len);
	if (len % 2)
		buf_u8(b, '\n');
}

static void put_text(struct buf *b, const char *name, const char *text)
{
	put_member(b, name, text, strlen(text));
}

static struct buf make_archive(void)
{
	struct buf b = { 0 };

	buf_put(&b, "!<arch>\n", 8);
	return b;
}

static void test_archives(void **state)
{
	static const struct {
		const char *name;
		const char *text;
		enum scan_verdict verdict;
	} members[] = {
		{ "a.txt/", "odd" ROOT, SCAN_FOUND },
		{ "a.txt/", "clean", SCAN_CLEAN },
		{ "lib.rmeta/", "rust" ROOT, SCAN_CLEAN },
		{ "/", ROOT, SCAN_CLEAN },
		{ "//", ROOT, SCAN_CLEAN },
		{ "/0", ROOT, SCAN_FOUND },
		{ "#1/10", "lib.rmeta-" ROOT, SCAN_CLEAN },
		{ "#1/4", "name" ROOT, SCAN_FOUND },
		{ "#1/27", ROOT "x", SCAN_CLEAN },
		{ "a.o/", "BC\xc0\xde", SCAN_OPAQUE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		struct buf b = make_archive();

		print_message("# member %zu\n", i);
		put_text(&b, "b.txt/", "odd");
		put_text(&b, members[i].name, members[i].text);
		put_text(&b, "c.txt/", "even");
		assert_int_equal(scan(&b), members[i].verdict);
		buf_release(&b);
	}
}

/* An rlib: metadata with paths, an object with debug information. */
static void test_rlib(void **state)
{
	struct section c[] = {
		{ ".debug_str", SHT_PROGBITS, 0, 0, ROOT },
		{ ".rodata", SHT_PROGBITS, SHF_ALLOC, 0, "clean" },
	};
	struct buf object = make_elf(shapes[0], c, 2), bad, b = make_archive();
	struct span metadata;

	(void)state;
	put_text(&b, "/", "symbols");
	assert_false(scan_rlib_metadata(b.data, b.len, &metadata));
	put_text(&b, "//", "x.0123.rcgu.o/\n");
	put_text(&b, "lib.rmeta/", "rust" ROOT);
	put_member(&b, "/0", object.data, object.len);
	assert_int_equal(scan(&b), SCAN_CLEAN);
	assert_true(scan_rlib_metadata(b.data, b.len, &metadata));
	assert_true(span_is(metadata, "rust" ROOT));
	assert_false(scan_rlib_metadata(object.data, object.len, &metadata));
	c[1].content = "not " ROOT " clean";
	bad = make_elf(shapes[0], c, 2);
	put_member(&b, "/0", bad.data, bad.len);
	assert_int_equal(scan(&b), SCAN_FOUND);
	buf_release(&b);
	buf_release(&bad);
	buf_release(&object);
}

static void test_malformed_archives(void **state)
{
	struct buf b = make_archive();
	size_t len;

	(void)state;
	assert_int_equal(scan(&b), SCAN_CLEAN);
	put_text(&b, "lib.rmeta/", ROOT);
	assert_int_equal(scan(&b), SCAN_CLEAN);
	len = b.len;
	/* the second header cut, its end mark wrong, its size no number */
	put_text(&b, "a/", "text");
	b.len = len + 59;
	assert_int_equal(scan(&b), SCAN_FOUND);
	b.len = len + 64;
	assert_int_equal(scan(&b), SCAN_CLEAN);
	b.data[len + 58] = '\'';
	assert_int_equal(scan(&b), SCAN_FOUND);
	b.data[len + 58] = '`';
	b.data[len + 48] = 'x';
	assert_int_equal(scan(&b), SCAN_FOUND);
	b.data[len + 48] = '5'; /* one byte more than there is */
	assert_int_equal(scan(&b), SCAN_FOUND);
	b.data[len + 48] = '4';
	memcpy(b.data + len, "#1/5", 4); /* a name longer than the member */
	assert_int_equal(scan(&b), SCAN_FOUND);
	buf_release(&b);
	/* a thin archive has no members inside */
	buf_put(&b, "!<thin>\n" ROOT, 8 + sizeof(ROOT) - 1);
	assert_int_equal(scan(&b), SCAN_FOUND);
	buf_release(&b);
}

/* --- the rest --------------------------------------------------------------- */

static void test_text(void **state)
{
	static const char text[] = "include!(\"/w2/a.rs\");";
	struct span paths[] = { span_of(""), span_of("/w1"), span_of("/w2") };
	struct scan_hit hit = { 7, 7 };

	(void)state;
	assert_int_equal(scan_paths(text, sizeof(text), paths, 2, &hit),
			 SCAN_CLEAN);
	assert_int_equal(hit.path, 7);
	assert_int_equal(scan_paths(text, sizeof(text), paths, 3, &hit),
			 SCAN_FOUND);
	assert_int_equal(hit.path, 2);
	assert_int_equal(hit.offset, 10);
	assert_int_equal(scan_paths(text, 12, paths, 3, NULL), SCAN_CLEAN);
	assert_int_equal(scan_paths("", 0, paths, 3, NULL), SCAN_CLEAN);
	assert_int_equal(scan_paths(text, sizeof(text), paths, 0, NULL),
			 SCAN_CLEAN);
	assert_int_equal(scan_paths("\x1f\x8b\x08", 3, paths, 3, NULL),
			 SCAN_OPAQUE);
	assert_int_equal(scan_paths("\x1f\x8b/w1", 5, paths, 3, NULL),
			 SCAN_FOUND);
}

/* What a real compiler and linker made of this program. */
static void test_this_program(void **state)
{
	static const char *volatile marker = "/a/path/that/is/in/.rodata";
	struct span there = span_of(marker);
	struct span absent[] = { { "/a/path/that/is/nowhere?", 24 } };
	struct buf b = { 0 };
	char at_run_time[32];
	char *p;
	ssize_t n;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	do {
		p = buf_grow(&b, 1 << 16);
		assert_non_null(p);
		n = read(fd, p, 1 << 16);
		assert_true(n >= 0);
		b.len -= (1 << 16) - (size_t)n;
	} while (n > 0);
	(void)close(fd);
	assert_int_equal(scan_paths(b.data, b.len, &there, 1, NULL),
			 SCAN_FOUND);
	/* the string itself is in this program: another one, made here */
	(void)snprintf(at_run_time, sizeof(at_run_time), "%.*s%c", 23,
		       absent[0].p, '!');
	absent[0].p = at_run_time;
	assert_int_equal(scan_paths(b.data, b.len, absent, 1, NULL),
			 SCAN_CLEAN);
	buf_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sections),
		cmocka_unit_test(test_segments),
		cmocka_unit_test(test_malformed_counts_whole),
		cmocka_unit_test(test_overlapping_sections),
		cmocka_unit_test(test_archives),
		cmocka_unit_test(test_rlib),
		cmocka_unit_test(test_malformed_archives),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_this_program),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
