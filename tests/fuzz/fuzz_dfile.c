/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dfile_parse(): no input makes it read outside of it, every span that comes
 * back can be read, and no path among them is empty.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>

#include "fs/cargo/dfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Keeps the reads from being optimized away. */
static volatile unsigned int sink;

static unsigned int sum(struct span s)
{
	unsigned int n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += (unsigned char)s.p[i];
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int n = 0;
	struct dfile d;

	if (dfile_parse(data, size, &d) < 0)
		return 0;
	if (!d.output_count || !d.source_count || d.room_len > size)
		abort();
	for (size_t i = 0; i < d.output_count; i++)
		n += sum(d.outputs[i]);
	for (size_t i = 0; i < d.source_count; i++) {
		if (!d.sources[i].len)
			abort();
		n += sum(d.sources[i]);
	}
	for (size_t i = 0; i < d.env_count; i++)
		n += sum(d.envs[i].name) + sum(d.envs[i].value);
	for (size_t i = 0; i < d.checksum_count; i++)
		n += sum(d.checksums[i].digest) + sum(d.checksums[i].path);
	sink = n;
	dfile_release(&d);
	return 0;
}
