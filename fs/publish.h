/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The publisher: a thread that takes units which cargo has just compiled,
 * finds out what they were made from, and puts them into the store's unit
 * index, where wink-ins of this and other views find them.
 *
 * It hashes the sources as soon as a unit is complete, for they may change at
 * any time, and then waits until the unit's dependencies are known and its
 * files are durable blobs.
 */
#ifndef FS_PUBLISH_H
#define FS_PUBLISH_H

#include <stdint.h>
#include <sys/types.h>

struct mount;
struct node;
struct publisher;
struct view;

int publisher_start(struct mount *m, struct publisher **ret_publisher);
/* Publishes what is ready, and ends the thread. NULL is fine. */
void publisher_stop(struct publisher *p);

/*
 * Waits until the sources of all units that are BUILT are known, as far as they
 * will be; or for some seconds.
 */
void publish_catch_up(struct mount *m);

/*
 * A thread has opened a file to write it: when that is a fingerprint's json,
 * its build is the unit's.
 */
void publish_opened(struct view *v, uint64_t ino, pid_t tid);
/* The last writer of a file is gone: when that is a json, its unit is BUILT. */
void publish_written(struct view *v, struct node *n);

#endif
