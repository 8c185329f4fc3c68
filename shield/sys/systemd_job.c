/* SPDX-License-Identifier: MIT */
#include "shield/sys/systemd_job.h"

#include "shield/base/deadline.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define JOB_SECONDS 30
#define PAUSE_MS 100
/* Nothing was heard of a job for so long: what became of it is looked up. */
#define SILENCE_MS 1000

static int removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct job *job = userdata;
	const char *path, *unit, *result;
	uint32_t id;

	(void)error;
	if (sd_bus_message_read(m, "uoss", &id, &path, &unit, &result) < 0 || !job->path ||
	    strcmp(path, job->path) != 0)
		return 0;
	job->result = strcmp(result, "done") == 0 || strcmp(result, "skipped") == 0 ? 0 : -EIO;
	job->done = true;
	return 0;
}

void job_close(struct job *job)
{
	free(job->path);
	sd_bus_slot_unref(job->slot);
	sd_bus_flush_close_unref(job->bus);
}

static void rest(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = PAUSE_MS * 1000000L }, NULL);
}

bool job_again(int rc, long long *until)
{
	if (rc != -EAGAIN && rc != -EEXIST)
		return false;
	if (!*until) {
		*until = deadline_in(JOB_SECONDS * 1000);
		return true;
	}
	rest();
	return deadline_left(*until) > 0;
}

int job_result(int rc)
{
	return rc == -EAGAIN ? -ETIMEDOUT : rc;
}

/* Without a bus there is no telling whether there is such a unit (-ENOENT). */
int job_bus(sd_bus **bus)
{
	int rc = sd_bus_open_system(bus);

	return rc == -ENOENT ? -ECONNREFUSED : rc;
}

/* The bus answers, and PID 1 is not on it (any more). */
static bool away(int rc)
{
	return rc == -ETIMEDOUT || rc == -EHOSTUNREACH || rc == -ENXIO;
}

/* The signal is asked for before the call, so that it cannot be missed. */
int job_open(struct job *job, const char *unit, bool starts)
{
	int rc = job_bus(&job->bus);

	job->unit = unit;
	job->starts = starts;
	job->deadline = deadline_in(JOB_SECONDS * 1000);
	if (rc >= 0)
		rc = sd_bus_match_signal(job->bus, &job->slot, MANAGER, "JobRemoved", removed, job);
	/* Without a subscriber no signals are sent. */
	if (rc >= 0)
		rc = sd_bus_call_method(job->bus, MANAGER, "Subscribe", NULL, NULL, NULL);
	return away(rc) ? -EAGAIN : rc < 0 ? rc : 0;
}

static int translate(int rc, const sd_bus_error *error)
{
	if (sd_bus_error_has_name(error, "org.freedesktop.systemd1.UnitExists"))
		return -EEXIST;
	if (sd_bus_error_has_name(error, "org.freedesktop.systemd1.NoSuchUnit"))
		return -ENOENT;
	return rc;
}

/* Its ActiveState; -ENOENT: there is none. */
static int unit_state(const struct job *job, char **state)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	const char *path = NULL;
	int rc = sd_bus_call_method(job->bus, MANAGER, "GetUnit", &error, &reply, "s", job->unit);

	rc = rc < 0 ? translate(rc, &error) : sd_bus_message_read(reply, "o", &path);
	sd_bus_error_free(&error);
	if (rc >= 0)
		rc = sd_bus_get_property_string(job->bus, "org.freedesktop.systemd1", path,
						"org.freedesktop.systemd1.Unit", "ActiveState",
						NULL, state);
	sd_bus_message_unref(reply);
	return rc;
}

/* Does PID 1 (still) have it? */
static bool job_exists(const struct job *job)
{
	_cleanup_free_ char *state = NULL;

	return job->path && sd_bus_get_property_string(job->bus, "org.freedesktop.systemd1",
						       job->path, "org.freedesktop.systemd1.Job",
						       "State", NULL, &state) >= 0;
}

/* By the state of its unit, as soon as that is one that stays. */
static int job_outcome(const struct job *job)
{
	for (; deadline_left(job->deadline); rest()) {
		_cleanup_free_ char *state = NULL;
		int rc = unit_state(job, &state);
		bool active = rc >= 0 && strcmp(state, "active") == 0;

		if (away(rc) || job_exists(job))
			continue;
		if (rc < 0 && rc != -ENOENT)
			return rc;
		if (rc == -ENOENT || active || strcmp(state, "inactive") == 0 ||
		    strcmp(state, "failed") == 0)
			return active == job->starts ? 0 : -EAGAIN;
	}
	return -ETIMEDOUT;
}

/* The signal has come before the answer that there is no such job, if at all. */
static int job_last_word(struct job *job)
{
	int rc;

	while ((rc = sd_bus_process(job->bus, NULL)) > 0 && !job->done)
		;
	return job->done ? job->result : rc < 0 ? rc : job_outcome(job);
}

static int job_wait(struct job *job)
{
	while (deadline_left(job->deadline)) {
		int rc = sd_bus_process(job->bus, NULL);

		if (rc < 0)
			return rc;
		if (job->done)
			return job->result;
		if (rc > 0)
			continue;
		rc = sd_bus_wait(job->bus, SILENCE_MS * 1000ULL);
		if (rc < 0 && rc != -EINTR)
			return rc;
		if (rc == 0 && !job_exists(job))
			return job_last_word(job);
	}
	return -ETIMEDOUT;
}

static int job_send(struct job *job, sd_bus_message *call)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	const char *path = NULL;
	int rc = sd_bus_call(job->bus, call, JOB_SECONDS * 1000000ULL, &error, &reply);

	rc = rc < 0 ? translate(rc, &error) : sd_bus_message_read(reply, "o", &path);
	if (rc >= 0)
		job->path = xstrdup(path);
	sd_bus_message_unref(reply);
	sd_bus_error_free(&error);
	return rc;
}

int job_run(struct job *job, sd_bus_message *call)
{
	int rc = job_send(job, call);

	if (away(rc))
		return job_outcome(job);
	return rc < 0 ? rc : job_wait(job);
}

/* wait: for the end of the job, too. */
static int simple_once(const char *method, const char *unit, bool starts, bool wait)
{
	_cleanup_job_ struct job job = { 0 };
	sd_bus_message *call = NULL;
	int rc = job_open(&job, unit, starts);

	if (rc >= 0)
		rc = sd_bus_message_new_method_call(job.bus, &call, MANAGER, method);
	if (rc >= 0)
		rc = sd_bus_message_append(call, "ss", unit, "replace");
	if (rc >= 0)
		rc = wait ? job_run(&job, call) : job_send(&job, call);
	sd_bus_message_unref(call);
	/* What it had not read when it was executed anew is lost. */
	return !wait && away(rc) ? -EAGAIN : rc < 0 ? rc : 0;
}

int job_simple(const char *method, const char *unit, bool starts)
{
	long long until = 0;
	int rc = -EAGAIN;

	while (job_again(rc, &until))
		rc = simple_once(method, unit, starts, true);
	return job_result(rc);
}

int job_ask(const char *method, const char *unit)
{
	return simple_once(method, unit, true, false);
}
