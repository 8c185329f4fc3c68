/* SPDX-License-Identifier: MIT */
/*
 * systemd_job: what is asked of PID 1 by D-Bus, and done by it as a job.
 *
 * It may be executed anew (daemon-reexec) at any time. While it is, it is not on
 * the bus; calls that it had not read are lost, and so may be signals. Then the
 * state of the unit tells what became of the job, and -EAGAIN says that it has to
 * be asked for again.
 */
#ifndef SHIELD_SYS_SYSTEMD_JOB_H
#define SHIELD_SYS_SYSTEMD_JOB_H

#include "shield/base/mem.h"
#include "shield/sys/libsystemd.h"

#include <stdbool.h>

#define MANAGER \
	"org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"

struct job {
	sd_bus *bus;
	sd_bus_slot *slot;
	const char *unit;
	bool starts; /* the unit; else it stops it */
	long long deadline;
	char *path;
	int result;
	bool done;
};

/* The system's bus; -ECONNREFUSED: there is none. */
int job_bus(sd_bus **bus);

/* For a job that starts the unit, or stops it. */
int job_open(struct job *job, const char *unit, bool starts);
void job_close(struct job *job);
#define _cleanup_job_ _cleanup_(job_close)

/* Send a call that answers with a job, and wait for that job. -EEXIST: the unit
 * exists already; -ENOENT: there is none. */
int job_run(struct job *job, sd_bus_message *call);

/* The same for a method that takes a unit and a mode: "StartUnit". */
int job_simple(const char *method, const char *unit, bool starts);

/* The same, but only until PID 1 has the job: it is done even if we die. */
int job_ask(const char *method, const char *unit);

/* One more try after -EAGAIN, or for a unit that exists because it is just being
 * forgotten? Waits before all but the first. *until, 0 at first, is when to give up. */
bool job_again(int rc, long long *until);
/* The last result of these tries, for who does not try any more. */
int job_result(int rc);

#endif
