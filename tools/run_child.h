/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command that we outlive, for `targetfs run`: as if it had taken our place,
 * but for a last word.
 */
#ifndef TOOLS_RUN_CHILD_H
#define TOOLS_RUN_CHILD_H

/*
 * Runs @execute in a child, waits for it, calls @last in this process, and ends
 * as the child did: with its status, which is returned, or by its signal. What
 * a terminal sends reaches the child by itself; SIGTERM and SIGHUP are handed
 * on, and with us it dies, too. -errno: there is no child, nothing was run.
 */
int run_child(int (*execute)(char **argv), char **argv,
	      void (*last)(const void *arg), const void *arg);

#endif
