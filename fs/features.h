/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel lets this process do. Linux 6.9 has passthrough, for
 * CAP_SYS_ADMIN in the initial user namespace; Linux 6.14 has FUSE over
 * io_uring, when /sys/module/fuse/parameters/enable_uring says so.
 */
#ifndef FS_FEATURES_H
#define FS_FEATURES_H

#include <stdbool.h>
#include <stddef.h>

/* A mask of enum feature (counters.h). */
unsigned features_here(bool nopassthrough, bool nouring);
/*
 * One line for each thing that would make a mount faster; "" for none.
 * @store_is_blind: the store's filesystem rules passthrough out (hot.h).
 */
void features_hints(unsigned features, bool nopassthrough, bool nouring,
		    bool store_is_blind, char *ret_hints, size_t size);

#endif
