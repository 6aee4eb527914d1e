/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's log; see log.h. Any thread. */
#include "config.h"

#include "fs/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int log_fd = STDERR_FILENO; /* set once, before other threads start */

void log_to(int fd)
{
	log_fd = fd;
}

/* One write(2) a line, so that lines of several daemons do not mix. */
__attribute__((format(printf, 2, 0))) static void
log_line(const char *level, const char *fmt, va_list ap)
{
	char line[1024];
	struct tm tm;
	time_t now = time(NULL);
	int len, more;

	(void)gmtime_r(&now, &tm);
	len = snprintf(line, sizeof(line),
		       "%04d-%02d-%02dT%02d:%02d:%02dZ targetfs[%d]: %s",
		       tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
		       tm.tm_min, tm.tm_sec, (int)getpid(), level);
	more = vsnprintf(line + len, sizeof(line) - (size_t)len - 1, fmt, ap);
	if (more < 0)
		return;
	len += more;
	if ((size_t)len > sizeof(line) - 2)
		len = (int)sizeof(line) - 2;
	line[len++] = '\n';
	if (write(log_fd, line, (size_t)len) < 0)
		return; /* nowhere left to say so */
}

void log_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line("error: ", fmt, ap);
	va_end(ap);
}

void log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line("", fmt, ap);
	va_end(ap);
}

void log_debug(const char *fmt, ...)
{
	va_list ap;

	if (!getenv("TARGETFS_DEBUG"))
		return;
	va_start(ap, fmt);
	log_line("debug: ", fmt, ap);
	va_end(ap);
}
