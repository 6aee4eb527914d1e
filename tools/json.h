/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A streaming JSON writer: no tree, no allocation. One member a line, two
 * spaces of indent a level, so that grep and sed can read it too.
 *
 *	struct json j = json_on(stdout);
 *	json_object(&j, NULL);
 *	json_u64(&j, "views", 3);
 *	json_array(&j, "names");
 *	json_str(&j, NULL, "app");
 *	json_end(&j);
 *	json_end(&j);
 *	r = json_finish(&j);
 *
 * @key is the member's name inside an object, and NULL inside an array and at
 * the top. Strings that are not UTF-8 (paths may be anything) have each wrong
 * byte replaced with U+FFFD.
 */
#ifndef TOOLS_JSON_H
#define TOOLS_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Deeper than any of our outputs; one bit of `filled` each. */
#define JSON_DEPTH_MAX 32

struct json {
	FILE *f;
	unsigned depth;
	uint32_t filled; /* bit i: level i has a member already */
	uint32_t arrays; /* bit i: level i is an array */
};

static inline struct json json_on(FILE *f)
{
	return (struct json){ .f = f };
}

void json_object(struct json *j, const char *key);
void json_array(struct json *j, const char *key);
void json_end(struct json *j);
void json_str(struct json *j, const char *key, const char *s);
void json_u64(struct json *j, const char *key, uint64_t v);
void json_i64(struct json *j, const char *key, int64_t v);
void json_bool(struct json *j, const char *key, bool v);
void json_null(struct json *j, const char *key);
/* Bytes of the character that @s begins with; 0: it is not UTF-8. */
unsigned utf8_len(const unsigned char *s);
/* Ends the line and writes it out: 0 or a negative errno of the stream. */
int json_finish(struct json *j);

#endif
