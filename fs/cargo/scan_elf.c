/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF objects, programs and libraries, of 32 and 64 bits and either order of
 * bytes: what of them is loaded is searched. See scan.h.
 *
 * Every number from the file is checked where it is used: get() and part()
 * make the file bad when they would go past its end, and a bad file is not
 * understood. The bytes searched are counted, as a table of sections may name
 * the same ones any number of times.
 */
#include "config.h"

#include <elf.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/cargo/scan_impl.h"

/* The longest pieces that x86-64's instructions carry. */
#define CODE_PIECE 8
/* Smaller constants are no pieces of strings. */
#define CONSTANT_MIN 8

struct elf {
	struct span all;
	bool wide; /* 64 bits */
	bool big;  /* big-endian */
	bool bad;
	size_t budget; /* bytes that may still be searched */
};

/* A table of sections or of segments. */
struct table {
	uint64_t at;
	uint64_t entry_len;
	uint64_t count;
};

struct section {
	uint64_t name;
	uint64_t type;
	uint64_t flags;
	uint64_t at;
	uint64_t size;
	uint64_t entry_size;
};

/* The bytes [at, at + len) of the file. */
static struct span part(struct elf *e, uint64_t at, uint64_t len)
{
	if (at > e->all.len || len > e->all.len - at) {
		e->bad = true;
		return (struct span){ e->all.p, 0 };
	}
	return (struct span){ e->all.p + at, (size_t)len };
}

/* A number of @len bytes, 8 at most. */
static uint64_t get(struct elf *e, uint64_t at, size_t len)
{
	struct span s = part(e, at, len);
	uint64_t v = 0;

	for (size_t i = 0; i < s.len; i++) {
		size_t from_low = e->big ? s.len - 1 - i : i;

		v |= (uint64_t)(unsigned char)s.p[i] << (8 * from_low);
	}
	return v;
}

/* A member of one of elf.h's structures that begins at @base. */
#define GET(e, base, name, member)                                   \
	((e)->wide ? get(e, (base) + offsetof(Elf64_##name, member), \
			 sizeof(((Elf64_##name *)0)->member))        \
		   : get(e, (base) + offsetof(Elf32_##name, member), \
			 sizeof(((Elf32_##name *)0)->member)))
#define SIZEOF(e, name) \
	((e)->wide ? sizeof(Elf64_##name) : sizeof(Elf32_##name))

static bool is_elf(struct span bytes, struct elf *ret)
{
	unsigned char class, data;

	if (bytes.len < sizeof(Elf32_Ehdr) ||
	    memcmp(bytes.p, ELFMAG, SELFMAG) != 0)
		return false;
	class = (unsigned char)bytes.p[EI_CLASS];
	data = (unsigned char)bytes.p[EI_DATA];
	*ret = (struct elf){
		.all = bytes,
		.wide = class == ELFCLASS64,
		.big = data == ELFDATA2MSB,
		.budget = bytes.len > SIZE_MAX / SCAN_PASSES
				  ? SIZE_MAX
				  : bytes.len * SCAN_PASSES,
	};
	return (class == ELFCLASS64 || class == ELFCLASS32) &&
	       (data == ELFDATA2LSB || data == ELFDATA2MSB);
}

/* Makes the file bad unless all entries of the table lie inside of it. */
static void check_table(struct elf *e, const struct table *t, size_t entry_min)
{
	uint64_t len;

	if (t->count && t->entry_len < entry_min)
		e->bad = true;
	if (__builtin_mul_overflow(t->entry_len, t->count, &len))
		e->bad = true;
	else
		(void)part(e, t->at, len);
}

static struct section get_section(struct elf *e, const struct table *t,
				  uint64_t i)
{
	uint64_t at = t->at + i * t->entry_len;

	return (struct section){
		.name = GET(e, at, Shdr, sh_name),
		.type = GET(e, at, Shdr, sh_type),
		.flags = GET(e, at, Shdr, sh_flags),
		.at = GET(e, at, Shdr, sh_offset),
		.size = GET(e, at, Shdr, sh_size),
		.entry_size = GET(e, at, Shdr, sh_entsize),
	};
}

static struct table sections_of(struct elf *e)
{
	struct table t = {
		.at = GET(e, 0, Ehdr, e_shoff),
		.entry_len = GET(e, 0, Ehdr, e_shentsize),
		.count = GET(e, 0, Ehdr, e_shnum),
	};

	/* More than 65,280 sections: their number is in the first one. */
	if (!t.count && t.at)
		t.count = get_section(e, &t, 0).size;
	check_table(e, &t, SIZEOF(e, Shdr));
	return t;
}

static struct table segments_of(struct elf *e)
{
	struct table t = {
		.at = GET(e, 0, Ehdr, e_phoff),
		.entry_len = GET(e, 0, Ehdr, e_phentsize),
		.count = GET(e, 0, Ehdr, e_phnum),
	};

	if (t.count == PN_XNUM)
		e->bad = true; /* nobody has that many */
	check_table(e, &t, SIZEOF(e, Phdr));
	return t;
}

static bool search(struct elf *e, struct scan *s, uint64_t at, uint64_t size,
		   size_t limit)
{
	struct span bytes = part(e, at, size);

	if (bytes.len > e->budget)
		e->bad = true;
	if (e->bad)
		return false;
	e->budget -= bytes.len;
	return scan_bytes(s, bytes, limit);
}

/* How much of a path counts in a section: there may be pieces of strings. */
static size_t piece_len(const struct section *c)
{
	if (c->flags & SHF_EXECINSTR)
		return CODE_PIECE;
	if (c->flags & SHF_MERGE && !(c->flags & SHF_STRINGS) &&
	    c->entry_size >= CONSTANT_MIN && c->entry_size < SIZE_MAX)
		return (size_t)c->entry_size;
	return SIZE_MAX;
}

/* A section of GCC's for link time optimization: code in another form. */
static bool is_gcc_lto(struct elf *e, const struct section *names,
		       const struct section *c)
{
	static const char prefix[] = ".gnu.lto_";
	uint64_t at;

	if (c->name > names->size ||
	    names->size - c->name < sizeof(prefix) - 1 ||
	    __builtin_add_overflow(names->at, c->name, &at))
		return false;
	return span_starts(part(e, at, sizeof(prefix) - 1), prefix);
}

static enum scan_verdict scan_sections(struct elf *e, struct scan *s,
				       const struct table *t)
{
	uint64_t names_at = GET(e, 0, Ehdr, e_shstrndx);
	enum scan_verdict v = SCAN_CLEAN;
	struct section names = { 0 };

	if (names_at == SHN_XINDEX)
		names_at = GET(e, t->at, Shdr, sh_link);
	if (names_at < t->count)
		names = get_section(e, t, names_at);
	for (uint64_t i = 0; i < t->count && !e->bad; i++) {
		struct section c = get_section(e, t, i);

		if (is_gcc_lto(e, &names, &c))
			v = SCAN_OPAQUE;
		if (!(c.flags & SHF_ALLOC) || c.type == SHT_NOBITS)
			continue;
		if (c.flags & SHF_COMPRESSED)
			v = SCAN_OPAQUE;
		if (search(e, s, c.at, c.size, piece_len(&c)))
			return SCAN_FOUND;
	}
	return v;
}

static bool found_in_segments(struct elf *e, struct scan *s)
{
	struct table t = segments_of(e);

	for (uint64_t i = 0; i < t.count && !e->bad; i++) {
		uint64_t at = t.at + i * t.entry_len;

		if (GET(e, at, Phdr, p_type) == PT_LOAD &&
		    search(e, s, GET(e, at, Phdr, p_offset),
			   GET(e, at, Phdr, p_filesz), SIZE_MAX))
			return true;
	}
	return false;
}

int scan_elf(struct scan *s, struct span bytes, enum scan_verdict *ret)
{
	enum scan_verdict v;
	struct table t;
	struct elf e;

	if (!is_elf(bytes, &e))
		return -EBADMSG;
	t = sections_of(&e);
	if (e.bad || !t.count)
		return -EBADMSG;
	v = scan_sections(&e, s, &t);
	if (v != SCAN_FOUND && found_in_segments(&e, s))
		v = SCAN_FOUND;
	if (e.bad && v != SCAN_FOUND)
		return -EBADMSG;
	*ret = v;
	return 0;
}
