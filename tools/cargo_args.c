/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a cargo command line, as far as `targetfs run` has to.
 */
#include "config.h"

#include "tools/cargo_args.h"

#include <stddef.h>
#include <string.h>

#include "store/base/macros.h"

static bool is_one_of(const char *word, const char *const *list, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (strcmp(word, list[i]) == 0)
			return true;
	}
	return false;
}

/* Options that may stand before the subcommand and take the next word. */
static bool takes_value(const char *word)
{
	static const char *const list[] = { "--color", "--config", "-C", "-Z" };

	return is_one_of(word, list, ARRAY_LEN(list));
}

/*
 * Is @argv[*i] the option @name? Then its value, of the same word or the next
 * one, over which *i moves; NULL when it is not, or has none.
 */
static const char *option_value(char *const *argv, size_t *i, const char *name)
{
	size_t len = strlen(name);

	if (strncmp(argv[*i], name, len) != 0)
		return NULL;
	if (argv[*i][len] == '=')
		return argv[*i] + len + 1;
	if (argv[*i][len] != '\0' || !argv[*i + 1])
		return NULL;
	(*i)++;
	return argv[*i];
}

/* Leaves what `cargo clean` removes as it is. */
static bool is_harmless(char *const *argv, size_t *i)
{
	static const char *const list[] = {
		"-q",	     "--quiet",	  "-v",	      "-vv",
		"--verbose", "--offline", "--frozen", "--locked",
	};

	return is_one_of(argv[*i], list, ARRAY_LEN(list)) ||
	       option_value(argv, i, "--color") ||
	       option_value(argv, i, "--manifest-path");
}

static bool cleans_all(char *const *argv, size_t i)
{
	for (; argv[i]; i++) {
		if (!is_harmless(argv, &i))
			return false;
	}
	return true;
}

struct cargo_args cargo_args_of(char *const *argv)
{
	struct cargo_args a = { 0 };
	const char *slash = strrchr(argv[0], '/');
	size_t first, i;
	bool harmless = true;

	a.is_cargo = strcmp(slash ? slash + 1 : argv[0], "cargo") == 0;
	if (!a.is_cargo)
		return a;
	/* "+nightly", of rustup */
	first = argv[1] && argv[1][0] == '+' ? 2 : 1;
	for (i = first; argv[i] && argv[i][0] == '-'; i++) {
		size_t at = i;

		harmless = harmless && is_harmless(argv, &at);
		if (takes_value(argv[i]) && argv[i + 1])
			i++;
	}
	a.subcommand = argv[i];
	for (i = first; argv[i] && strcmp(argv[i], "--") != 0; i++) {
		const char *v;

		if ((v = option_value(argv, &i, "--manifest-path")))
			a.manifest_path = v;
		else if ((v = option_value(argv, &i, "--target-dir")))
			a.target_dir = v;
		else if (strcmp(argv[i], "-q") == 0 ||
			 strcmp(argv[i], "--quiet") == 0)
			a.quiet = true;
		if (a.subcommand == argv[i])
			a.cleans_all = harmless &&
				       strcmp(argv[i], "clean") == 0 &&
				       cleans_all(argv, i + 1);
	}
	return a;
}
