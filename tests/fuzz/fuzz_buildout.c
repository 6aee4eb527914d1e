/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buildout_parse() and buildout_next_path(): everything lies inside the input,
 * and the search comes to an end. The first line is OUT_DIR.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>

#include "fs/cargo/buildout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(struct span s, struct span all)
{
	if (s.len && (s.p < all.p || s.p + s.len > all.p + all.len))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span all = { (const char *)data, size }, out_dir = { 0 };
	struct buildout_cursor c = { 0 };
	struct buildout_path p;
	struct buildout b;
	size_t found = 0;

	(void)span_line(&all, &out_dir);
	if (buildout_parse(all.p, all.len, &b) < 0)
		return 0;
	for (size_t i = 0; i < b.count; i++) {
		check_inside(b.items[i].name, all);
		check_inside(b.items[i].value, all);
		check_inside(b.items[i].text, all);
	}
	while (buildout_next_path(&b, out_dir, &c, &p)) {
		check_inside(p.rest, all);
		if (p.path.len > p.rest.len || p.rest.p[0] != '/' ||
		    found++ > size)
			abort();
	}
	buildout_release(&b);
	return 0;
}
