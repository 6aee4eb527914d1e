/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs/cargo/ on what a real cargo wrote; called by knowledge.sh.
 *
 *	knowledge read TARGET
 *		reads every file of a target directory that fs/cargo/ knows
 *		and says what it is that it does not understand. On stdout how
 *		many of each kind there were.
 *	knowledge scan PATH FILE...
 *		"clean", "found" or "opaque" for each file
 *	knowledge move TARGET [home OLD NEW] [newest PKG SEC NSEC PATH]...
 *		rewrites the fingerprints for another CARGO_HOME, and for a
 *		package whose newest file is another, with all dependants;
 *		prints how many
 *
 * Whatever goes wrong is said on stderr, and the status is 1.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/cargo/buildout.h"
#include "fs/cargo/depinfo.h"
#include "fs/cargo/dfile.h"
#include "fs/cargo/fingerprint.h"
#include "fs/cargo/layout.h"
#include "fs/cargo/scan.h"
#include "store/base/buf.h"
#include "store/base/macros.h"

#define UNITS_MAX 4096
#define FILE_MAX (256 << 20)

/* A fingerprint, or a .d file, and the unit it is of. */
struct unit {
	char profile[128];
	char hash[UNIT_HASH_LEN];
	char package[128];
	char *path; /* of the json */
	struct buf json;
	struct fingerprint f;
	uint64_t was;	  /* the value when it was read */
	struct span root; /* of a .d file: the first source */
	struct buf bytes;
	struct dfile d;
};

static struct unit fingerprints[UNITS_MAX], dfiles[UNITS_MAX];
static size_t fingerprint_count, dfile_count;
static const char *top;
static int failures;

static struct {
	size_t files, depinfos, dfiles, outputs, jsons, hashes, roots,
		libraries;
} counts;

__attribute__((format(printf, 2, 3))) static void bad(const char *path,
						      const char *format, ...)
{
	va_list ap;

	failures++;
	(void)fprintf(stderr, "%s: ", path);
	va_start(ap, format);
	(void)vfprintf(stderr, format, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
}

/* All of a file; nothing and false when it cannot be read. */
static bool slurp(const char *path, struct buf *b)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *p;
	bool ok;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size > FILE_MAX) {
		bad(path, "%s", strerror(errno));
		if (fd >= 0)
			(void)close(fd);
		return false;
	}
	p = buf_grow(b, (size_t)st.st_size);
	ok = st.st_size == 0 ||
	     (p && read(fd, p, (size_t)st.st_size) == (ssize_t)st.st_size);
	if (!ok)
		bad(path, "cannot be read");
	(void)close(fd);
	return ok;
}

static bool same(const struct buf *a, const struct buf *b)
{
	return !a->err && !b->err && a->len == b->len &&
	       (!a->len || memcmp(a->data, b->data, a->len) == 0);
}

static void read_depinfo(const char *path, const struct buf *b)
{
	struct buf again = { 0 };
	struct depinfo d;
	int r = depinfo_parse(b->data, b->len, &d);

	counts.depinfos++;
	if (r < 0) {
		bad(path, "depinfo: %s", strerror(-r));
		return;
	}
	depinfo_write(&d, &again);
	if (!same(b, &again))
		bad(path, "depinfo: written back differently");
	buf_release(&again);
	depinfo_release(&d);
}

static void read_buildout(const char *path, const struct buf *b)
{
	struct buildout o;
	int r = buildout_parse(b->data, b->len, &o);

	counts.outputs++;
	if (r < 0)
		bad(path, "buildout: %s", strerror(-r));
	else
		buildout_release(&o);
}

static struct unit *new_unit(struct unit *units, size_t *count,
			     const char *path, const struct layout *l)
{
	struct unit *u = &units[*count];

	if (*count == UNITS_MAX) {
		bad(path, "one unit too many");
		return NULL;
	}
	(*count)++;
	(void)snprintf(u->profile, sizeof(u->profile), "%.*s",
		       (int)l->profile_len, path);
	(void)snprintf(u->package, sizeof(u->package), "%.*s", (int)l->name.len,
		       l->name.p);
	if (l->unit)
		memcpy(u->hash, l->unit, UNIT_HASH_LEN);
	return u;
}

static void read_dfile(const char *path, struct buf *b, const struct layout *l)
{
	struct unit *u;
	struct dfile d;
	int r = dfile_parse(b->data, b->len, &d);

	counts.dfiles++;
	if (r < 0) {
		bad(path, "dfile: %s", strerror(-r));
		return;
	}
	u = l->unit ? new_unit(dfiles, &dfile_count, path, l) : NULL;
	if (!u) {
		dfile_release(&d);
		return;
	}
	u->d = d;
	u->root = d.sources[0];
	u->bytes = *b;
	*b = (struct buf){ 0 };
}

/* The json, and the hash file beside it, whose name it has but for ".json". */
static void read_json(const char *path, struct buf *b, const struct layout *l)
{
	struct buf hash = { 0 }, again = { 0 };
	struct unit *u = NULL;
	char *hash_path = strdup(path);
	int r;

	counts.jsons++;
	if (!hash_path)
		return;
	hash_path[strlen(path) - strlen(".json")] = '\0';
	if (slurp(hash_path, &hash))
		u = new_unit(fingerprints, &fingerprint_count, path, l);
	if (u) {
		u->json = *b;
		*b = (struct buf){ 0 };
		u->path = strdup(path);
		r = fingerprint_load(u->json.data, u->json.len, hash.data,
				     hash.len, &u->f);
		if (r < 0)
			bad(path, "fingerprint: %s", strerror(-r));
		u->was = fingerprint_value(&u->f);
		fingerprint_write(&u->f, &again);
		if (!same(&u->json, &again))
			bad(path, "fingerprint: written back differently");
	}
	buf_release(&again);
	buf_release(&hash);
	free(hash_path);
}

/* A program and a library can be looked into. */
static void read_artifact(const char *path, const struct buf *b)
{
	struct span nowhere = span_of("/not/a/path/of/any/build");

	counts.libraries++;
	if (scan_paths(b->data, b->len, &nowhere, 1, NULL) != SCAN_CLEAN)
		bad(path, "scan: not clean of what is nowhere");
}

static void read_file(const char *path, const struct layout *l)
{
	struct buf b = { 0 };
	uint64_t value;

	if (!slurp(path, &b))
		return;
	switch ((int)l->role) {
	case ROLE_FP_DEPINFO:
		read_depinfo(path, &b);
		break;
	case ROLE_FP_JSON:
		read_json(path, &b, l);
		break;
	case ROLE_FP_HASH:
		counts.hashes++;
		if (fingerprint_hash_parse(b.data, b.len, &value) < 0)
			bad(path, "not a hash");
		break;
	case ROLE_DFILE:
	case ROLE_FINAL_DFILE:
		read_dfile(path, &b, l);
		break;
	case ROLE_RUN_OUTPUT:
		read_buildout(path, &b);
		break;
	case ROLE_RLIB:
	case ROLE_DYLIB:
	case ROLE_STATICLIB:
	case ROLE_PROGRAM:
	case ROLE_SCRIPT:
		read_artifact(path, &b);
		break;
	case ROLE_OTHER:
		bad(path, "layout: not understood");
		break;
	default:
		break;
	}
	/* Layout v2: of a unit whose outputs have no H. */
	if (l->role == ROLE_OUT_FILE && l->per_unit && span_ends(l->file, ".d"))
		read_dfile(path, &b, l);
	buf_release(&b);
}

static int visit(const char *path, const struct stat *st, int type,
		 struct FTW *ftw)
{
	size_t skip = strlen(top) + 1;
	struct layout l;

	(void)st;
	(void)ftw;
	if (type != FTW_F || strlen(path) <= skip)
		return 0;
	l = layout_classify(path + skip);
	/* What follows counts the profile from the beginning of the path. */
	l.profile_len += l.profile_len ? skip : 0;
	counts.files++;
	read_file(path, &l);
	return 0;
}

/*
 * The root source file, which rustc names first, gives the fingerprint's
 * "path": of a member from the workspace, of others absolute.
 */
static void compare_roots(void)
{
	for (size_t i = 0; i < fingerprint_count; i++)
		for (size_t j = 0; j < dfile_count; j++) {
			struct unit *f = &fingerprints[i], *d = &dfiles[j];

			if (memcmp(f->hash, d->hash, UNIT_HASH_LEN) != 0 ||
			    strcmp(f->profile, d->profile) != 0)
				continue;
			counts.roots++;
			f->root = d->root;
			if (f->f.path != fingerprint_path_hash(d->root))
				bad(f->path, "not the hash of '%.*s'",
				    (int)d->root.len, d->root.p);
		}
}

static void read_target(const char *dir)
{
	top = dir;
	if (nftw(dir, visit, 32, FTW_PHYS) < 0)
		bad(dir, "%s", strerror(errno));
	compare_roots();
}

static int do_read(char **argv)
{
	read_target(argv[0]);
	printf("files %zu\ndepinfos %zu\ndfiles %zu\noutputs %zu\njsons %zu\n"
	       "hashes %zu\nroots %zu\nartifacts %zu\n",
	       counts.files, counts.depinfos, counts.dfiles, counts.outputs,
	       counts.jsons, counts.hashes, counts.roots, counts.libraries);
	return 0;
}

static int do_scan(char **argv)
{
	static const char *const words[] = { "clean", "found", "opaque" };
	struct span path = span_of(argv[0]);

	for (argv++; *argv; argv++) {
		struct buf b = { 0 };

		if (slurp(*argv, &b))
			puts(words[scan_paths(b.data, b.len, &path, 1, NULL)]);
		buf_release(&b);
	}
	return 0;
}

/* --- moving fingerprints ---------------------------------------------------- */

static void move_home(const char *was, const char *is)
{
	size_t len = strlen(was);
	char path[4096];

	for (size_t i = 0; i < fingerprint_count; i++) {
		struct unit *u = &fingerprints[i];

		if (!span_starts(u->root, was))
			continue;
		(void)snprintf(path, sizeof(path), "%s%.*s", is,
			       (int)(u->root.len - len), u->root.p + len);
		if (fingerprint_move(&u->f, u->root, span_of(path)) < 0)
			bad(u->path, "its root is another file");
	}
}

static void move_newest(char **argv)
{
	struct fingerprint_newest n = {
		.sec = strtoll(argv[1], NULL, 10),
		.nsec = (uint32_t)strtoul(argv[2], NULL, 10),
		.path = span_of(argv[3]),
	}, had;

	for (size_t i = 0; i < fingerprint_count; i++) {
		struct unit *u = &fingerprints[i];
		struct fingerprint_local *l = u->f.locals;
		struct buf text = { 0 };

		if (strcmp(u->package, argv[0]) != 0 || !u->f.local_count ||
		    l->kind != FINGERPRINT_PRECALCULATED ||
		    !fingerprint_newest_parse(l->text, &had))
			continue;
		fingerprint_newest_write(&n, &text);
		l->text = (struct span){ (char *)text.data, text.len };
	}
}

/* Puts a new value into all dependants, and theirs into their own. */
static void propagate(void)
{
	bool again = true;
	static uint64_t is[UNITS_MAX];

	for (size_t i = 0; i < fingerprint_count; i++)
		is[i] = fingerprints[i].was;
	while (again) {
		again = false;
		for (size_t i = 0; i < fingerprint_count; i++) {
			uint64_t v = fingerprint_value(&fingerprints[i].f);

			if (v == is[i])
				continue;
			again = true;
			for (size_t j = 0; j < fingerprint_count; j++)
				(void)fingerprint_replace_dep(
					&fingerprints[j].f, is[i], v);
			is[i] = v;
		}
	}
}

static void spill(const char *path, const void *p, size_t len)
{
	FILE *f = fopen(path, "we");

	if (!f || fwrite(p, 1, len, f) != len || fclose(f) != 0)
		bad(path, "cannot be written");
}

static int do_move(char **argv)
{
	size_t written = 0;

	read_target(*argv++);
	for (; *argv; argv++)
		if (strcmp(*argv, "home") == 0 && argv[1] && argv[2]) {
			move_home(argv[1], argv[2]);
			argv += 2;
		} else if (strcmp(*argv, "newest") == 0 && argv[1] && argv[2] &&
			   argv[3] && argv[4]) {
			move_newest(argv + 1);
			argv += 4;
		} else {
			return 2;
		}
	propagate();
	for (size_t i = 0; i < fingerprint_count && !failures; i++) {
		struct unit *u = &fingerprints[i];
		uint64_t v = fingerprint_value(&u->f);
		char hash[FINGERPRINT_HASH_LEN];
		struct buf json = { 0 };

		if (v == u->was)
			continue;
		written++;
		fingerprint_write(&u->f, &json);
		spill(u->path, json.data, json.len);
		buf_release(&json);
		u->path[strlen(u->path) - strlen(".json")] = '\0';
		fingerprint_hash_write(v, hash);
		spill(u->path, hash, sizeof(hash));
	}
	printf("%zu\n", written);
	return 0;
}

int main(int argc, char **argv)
{
	int rc = 2;

	if (argc >= 3 && strcmp(argv[1], "read") == 0)
		rc = do_read(argv + 2);
	else if (argc >= 3 && strcmp(argv[1], "scan") == 0)
		rc = do_scan(argv + 2);
	else if (argc >= 3 && strcmp(argv[1], "move") == 0)
		rc = do_move(argv + 2);
	if (rc == 2)
		(void)fprintf(stderr, "usage: see the top of knowledge.c\n");
	return rc ? rc : failures > 0;
}
