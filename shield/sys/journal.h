/* SPDX-License-Identifier: MIT */
/*
 * journal: messages of processes without a terminal. With systemd's journal a
 * message has a priority (syslog(3)) and the fields SHIELD_NAME= and
 * SYSLOG_IDENTIFIER=shield ('journalctl SHIELD_NAME=win11'); on other hosts it
 * goes to syslog. It is escaped (text_escape_message): journalctl shows nothing of a
 * message with control characters. shield: the name, or NULL for a message about none.
 */
#ifndef SHIELD_SYS_JOURNAL_H
#define SHIELD_SYS_JOURNAL_H

#include "shield/base/mem.h"

#include <stdbool.h>

#include <syslog.h>

void journal(int priority, const char *shield, const char *fmt, ...) _printf_(3, 4);

/* Is the file descriptor, as a service's standard output is, a pipe to the
 * journal, so that the journal itself is the better way? (systemd.exec(5),
 * $JOURNAL_STREAM) */
bool journal_behind(int fd);

#endif
