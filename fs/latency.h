/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Short wake-ups while requests come fast. Each request puts its caller to
 * sleep, and the scheduler wakes it on the other, idle CPU: where an idle CPU
 * sleeps deeply, or halts into a hypervisor, that takes longer than serving.
 * So for as long as requests come many a millisecond, the kernel is asked to
 * keep idle CPUs awake, by its own interface for that: /dev/cpu_dma_latency
 * (PM QoS, Documentation/power/pm_qos_interface.rst), which holds while it is
 * open.
 */
#ifndef FS_LATENCY_H
#define FS_LATENCY_H

#include <stdbool.h>

struct latency;

/* Whether this process may ask for it: root, and not in most containers. */
bool latency_is_here(void);

int latency_start(struct latency **ret_latency);
void latency_stop(struct latency *l); /* accepts NULL */
/* A request has come; NULL: nothing happens. Any thread. */
void latency_request(struct latency *l);

#endif
