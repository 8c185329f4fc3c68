/* SPDX-License-Identifier: MIT */
#include "shield/sys/journal.h"

#include "shield/base/text.h"
#include "shield/sys/libsystemd.h"

#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOCKET "/run/systemd/journal/socket"

void journal(int priority, const char *shield, const char *fmt, ...)
{
	_cleanup_free_ char *bytes = NULL, *text = NULL, *name = NULL;
	va_list ap;

	va_start(ap, fmt);
	bytes = xvasprintf(fmt, ap);
	va_end(ap);
	text = text_escape_message(bytes);
	if (shield)
		name = xasprintf("SHIELD_NAME=%s", shield);
	/* The name comes last: without one the list ends before it. */
	if (access(SOCKET, F_OK) < 0 || libsystemd_load() < 0 ||
	    sd_journal_send("MESSAGE=%s", text, "PRIORITY=%i", priority, "SYSLOG_IDENTIFIER=shield",
			    name ? "%s" : NULL, name, NULL) < 0)
		syslog(priority, "%s", text);
}

bool journal_behind(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(fd, &st) == 0 &&
	       st.st_dev == device && st.st_ino == inode;
}
