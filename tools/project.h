/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cargo workspace around the working directory, and its target directory.
 */
#ifndef TOOLS_PROJECT_H
#define TOOLS_PROJECT_H

#include "tools/cargo_args.h"

struct project {
	char *root;   /* owned: the workspace's directory, real */
	char *target; /* owned: as cargo would use it, perhaps absent */
};

/*
 * Asks `cargo locate-project`, the one of the command when that is a cargo;
 * without cargo, the nearest Cargo.toml upwards decides. The target directory
 * is that of --target-dir, $CARGO_TARGET_DIR, $CARGO_BUILD_TARGET_DIR, or
 * <root>/target. (build.target-dir of cargo's configuration files is not
 * seen.) -ENOENT: no project here.
 */
int project_find(char *const *argv, const struct cargo_args *args,
		 struct project *ret_project);
void project_release(struct project *p);

#endif
