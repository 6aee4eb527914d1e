/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The features of fs/counters.h by name, and the counters likewise.
 */
#ifndef TOOLS_FEATURES_H
#define TOOLS_FEATURES_H

#include <stdbool.h>

#include "fs/counters.h"

struct json;

#define FEATURES_TEXT_MAX 128

/* "passthrough, io_uring", or "none" */
void features_text(unsigned mask, char ret_text[FEATURES_TEXT_MAX]);
/* An array of names. */
void features_json(struct json *j, const char *key, unsigned mask);

#define COUNTER_KEY_MAX 64

/* As `targetfs stats` prints it. */
const char *counter_name(enum counter c);
/* The same with underscores, for JSON. */
void counter_key(enum counter c, char ret_key[COUNTER_KEY_MAX]);
/* A type of request, rather than something the daemon did. */
bool counter_is_request(enum counter c);
/* Of what is published, shown and missed. */
bool counter_is_winkin(enum counter c);
/* Counted in bytes. */
bool counter_is_bytes(enum counter c);

#endif
