/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `targetfs version`: what this is, what was compiled in, and what of it can
 * work here.
 */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "fs/counters.h"
#include "fs/session.h"
#include "store/base/macros.h"
#include "store/store.h"
#include "tools/common.h"
#include "tools/features.h"
#include "tools/json.h"
#include "tools/verbs.h"

static int print_json(unsigned built, unsigned here)
{
	struct json j = json_on(stdout);

	json_object(&j, NULL);
	json_str(&j, "version", PACKAGE_VERSION);
	json_str(&j, "libfuse", session_fuse_version());
	json_str(&j, "store_format", STORE_FORMAT);
	features_json(&j, "compiled_in", built);
	features_json(&j, "active_here", here);
	json_end(&j);
	return json_finish(&j) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int print_text(unsigned built, unsigned here)
{
	char text[FEATURES_TEXT_MAX];

	(void)printf("targetfs     %s\n", PACKAGE_VERSION);
	(void)printf("libfuse      %s\n", session_fuse_version());
	(void)printf("store        %s\n", STORE_FORMAT);
	features_text(built, text);
	(void)printf("compiled in  %s\n", text);
	features_text(here, text);
	(void)printf("active here  %s\n", text);
	return EXIT_SUCCESS;
}

static int run_version(const struct verb *self, int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, OPT_HELP },
		{ "json", no_argument, NULL, OPT_JSON },
		{ NULL, 0, NULL, 0 },
	};
	bool json = false;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == OPT_JSON)
			json = true;
		else if (c == 'h' || c == OPT_HELP)
			return verb_show_help(self);
		else
			return verb_usage(self, NULL);
	}
	if (optind < argc)
		return verb_usage(self, "unexpected argument '%s'",
				  argv[optind]);
	if (json)
		return print_json(session_features_built(),
				  session_features_here());
	return print_text(session_features_built(), session_features_here());
}

const struct verb verb_version = {
	.name = "version",
	.args = "[--json]",
	.summary = "show the version and what works here",
	.help = "  --json  print JSON\n\n"
		"'compiled in' is what this program can do, 'active here' what "
		"of it this\nmachine and this user get. A mount falls back by "
		"itself for the rest.",
	.usage_status = EXIT_USAGE,
	.run = run_version,
};
