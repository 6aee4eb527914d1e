/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of features and counters.
 */
#include "config.h"

#include "tools/features.h"

#include <stdio.h>
#include <string.h>

#include "store/base/macros.h"
#include "tools/json.h"

static const struct {
	unsigned bit;
	const char *name;
} features[] = {
	{ FEATURE_PASSTHROUGH, "passthrough" },
	{ FEATURE_URING, "io_uring" },
	{ FEATURE_BLOBS_READONLY, "read-only blobs" },
	{ FEATURE_FAST_WAKE, "fast wake-ups" },
	{ FEATURE_WINK, "wink-in" },
};

void features_text(unsigned mask, char ret_text[FEATURES_TEXT_MAX])
{
	size_t len = 0;

	for (size_t i = 0; i < ARRAY_LEN(features); i++) {
		if (mask & features[i].bit)
			len += (size_t)snprintf(ret_text + len,
						FEATURES_TEXT_MAX - len, "%s%s",
						len ? ", " : "",
						features[i].name);
	}
	if (len == 0)
		(void)snprintf(ret_text, FEATURES_TEXT_MAX, "none");
}

void features_json(struct json *j, const char *key, unsigned mask)
{
	json_array(j, key);
	for (size_t i = 0; i < ARRAY_LEN(features); i++) {
		if (mask & features[i].bit)
			json_str(j, NULL, features[i].name);
	}
	json_end(j);
}

const char *counter_name(enum counter c)
{
	static const char *const names[] = {
#define X(id, name) [COUNTER_##id] = name,
		COUNTER_LIST(X)
#undef X
	};

	return names[c];
}

void counter_key(enum counter c, char ret_key[COUNTER_KEY_MAX])
{
	(void)snprintf(ret_key, COUNTER_KEY_MAX, "%s", counter_name(c));
	for (char *p = ret_key; *p; p++) {
		if (*p == ' ')
			*p = '_';
	}
}

bool counter_is_request(enum counter c)
{
	return c <= COUNTER_COPY_RANGE || c == COUNTER_ACCESS;
}

bool counter_is_winkin(enum counter c)
{
	return c >= COUNTER_WINKED_IN && c <= COUNTER_MISS_ERROR;
}

bool counter_is_bytes(enum counter c)
{
	return c == COUNTER_SETTLED_BYTES || c == COUNTER_SHARED_BYTES ||
	       c == COUNTER_WINKED_BYTES;
}
