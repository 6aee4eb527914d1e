/* SPDX-License-Identifier: Apache-2.0 */
/* Uses of macros; see macros.h. */
#include "config.h"

#include "fs/cargo/macros.h"

#include <string.h>

#include "store/base/macros.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Steps back over blanks and then @word; NULL: something else is there. */
static const char *step_back(const char *begin, const char *at,
			     const char *word)
{
	size_t len = strlen(word);

	while (at > begin && is_blank(at[-1]))
		at--;
	if ((size_t)(at - begin) < len || memcmp(at - len, word, len) != 0)
		return NULL;
	return at - len;
}

static bool is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '_';
}

/* @at is behind the opening quote of the name. */
static bool is_included(const char *begin, const char *at)
{
	static const char *const back[] = { "\"", "(",	    "!", "env", "(",
					    "!",  "concat", "(", "!" };
	static const char *const includes[] = { "include", "include_str",
						"include_bytes" };

	for (size_t i = 0; at && i < ARRAY_LEN(back); i++)
		at = step_back(begin, at, back[i]);
	for (size_t i = 0; at && i < ARRAY_LEN(includes); i++) {
		const char *s = step_back(begin, at, includes[i]);

		if (s && (s == begin || !(is_name(s[-1]) || s[-1] == ':')))
			return true;
	}
	return false;
}

bool macros_only_include(const void *text, size_t len, const char *var)
{
	const char *begin = text, *end = begin + len, *at = begin;
	size_t n = strlen(var);

	while ((at = memmem(at, (size_t)(end - at), var, n)) != NULL) {
		if (!is_included(begin, at) || at + n == end || at[n] != '"')
			return false;
		at += n;
	}
	return true;
}

/* By bytes. Their sources were read. */
static const char *const pure[] = {
	"async-trait",
	"bytemuck_derive",
	"clap_derive",
	"darling_macro",
	"derivative",
	"derive_arbitrary",
	"derive_builder_macro",
	"derive_more",
	"derive_more-impl",
	"displaydoc",
	"enum-ordinalize-derive",
	"futures-macro",
	"num-derive",
	"openssl-macros",
	"paste",
	"pin-project-internal",
	"scroll_derive",
	"serde_derive",
	"serde_repr",
	"strum_macros",
	"thiserror-impl",
	"tokio-macros",
	"tracing-attributes",
	"yoke-derive",
	"zerocopy-derive",
	"zerofrom-derive",
	"zeroize_derive",
	"zerovec-derive",
};

bool macros_are_pure(struct span package)
{
	for (size_t i = 0; i < ARRAY_LEN(pure); i++)
		if (span_is(package, pure[i]))
			return true;
	return false;
}
