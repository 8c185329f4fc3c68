#include "shield/run/journal.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#define SOCKET "/run/systemd/journal/socket"

void journal(int priority, const char *shield, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		mem_exhausted();
	va_end(ap);
	if (access(SOCKET, F_OK) < 0 ||
	    sd_journal_send("MESSAGE=%s", text, "PRIORITY=%i", priority, "SHIELD_NAME=%s", shield,
			    "SYSLOG_IDENTIFIER=shield", NULL) < 0)
		syslog(priority, "%s", text);
}
