/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A main() for fuzz targets in an ordinary build: runs the target over every
 * file of tests/fuzz/seeds/<target>/, in the order of their names, and says so
 * in TAP. A seed passes when the target returns. With arguments it replays
 * those files instead: tests/fuzz/fuzz_x crash-file.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SEED_MAX (1 << 20) /* seeds are small text files */

/* 0, or a negative errno. The copy has the exact size, for the sanitizers. */
static int replay(const char *path)
{
	uint8_t *room, *data;
	size_t size;
	FILE *f;
	int r = 0;

	f = path ? fopen(path, "rbe") : NULL;
	if (!f)
		return path ? -errno : -ENOMEM;
	room = malloc(SEED_MAX);
	size = room ? fread(room, 1, SEED_MAX, f) : 0;
	if (!room)
		r = -ENOMEM;
	else if (ferror(f))
		r = -EIO;
	else if (!feof(f) && size == SEED_MAX)
		r = -EFBIG;
	(void)fclose(f);
	data = r ? NULL : malloc(size ? size : 1);
	if (data) {
		memcpy(data, room, size);
		(void)LLVMFuzzerTestOneInput(data, size);
	} else if (!r) {
		r = -ENOMEM;
	}
	free(data);
	free(room);
	return r;
}

static int report(int number, const char *path, const char *name)
{
	int r = replay(path);

	if (r)
		printf("not ok %d - %s: %s\n", number, name, strerror(-r));
	else
		printf("ok %d - %s\n", number, name);
	(void)fflush(stdout);
	return r ? 1 : 0;
}

static int is_seed(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int replay_dir(const char *dir)
{
	struct dirent **seeds;
	char *path;
	int n, failed = 0;

	n = scandir(dir, &seeds, is_seed, alphasort);
	if (n < 0) {
		printf("1..1\nnot ok 1 - %s: %s\n", dir, strerror(errno));
		return 1;
	}
	printf("1..%d\n", n);
	for (int i = 0; i < n; i++) {
		if (asprintf(&path, "%s/%s", dir, seeds[i]->d_name) < 0)
			path = NULL;
		failed += report(i + 1, path, seeds[i]->d_name);
		free(path);
		free(seeds[i]);
	}
	free(seeds);
	return failed;
}

int main(int argc, char **argv)
{
	const char *src = getenv("top_srcdir");
	int failed = 0;
	char *dir;

	if (argc < 2) {
		if (asprintf(&dir, "%s/tests/fuzz/seeds/%s", src ? src : ".",
			     program_invocation_short_name) < 0)
			return 1;
		failed = replay_dir(dir);
		free(dir);
		return failed ? 1 : 0;
	}
	printf("1..%d\n", argc - 1);
	for (int i = 1; i < argc; i++)
		failed += report(i, argv[i], argv[i]);
	return failed ? 1 : 0;
}
