/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's log: one line an event, in a file or on standard error. */
#ifndef FS_LOG_H
#define FS_LOG_H

/* Takes the descriptor over; before that lines go to standard error. */
void log_to(int fd);
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Only with TARGETFS_DEBUG in the daemon's environment. */
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
