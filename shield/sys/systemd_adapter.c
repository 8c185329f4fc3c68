/* SPDX-License-Identifier: MIT */
#include "shield/sys/systemd_adapter.h"

#include "shield/sys/systemd_job.h"

#include <errno.h>
#include <string.h>

int systemd_adapter_start(const char *unit)
{
	int rc = libsystemd_load();

	return rc < 0 ? rc : job_simple("StartUnit", unit, true);
}

int systemd_adapter_stop(const char *unit)
{
	int rc = libsystemd_load();

	if (rc == 0)
		rc = job_simple("StopUnit", unit, false);
	return rc == -ENOENT ? 0 : rc;
}

/* A set of CPUs as systemd takes it: a bitmap, the lowest byte first. */
static int append_cpus(sd_bus_message *m, const char *name, const struct cpuset *cpus)
{
	size_t size = (size_t)cpuset_last(cpus) / 8 + 1;
	_cleanup_free_ unsigned char *bytes = xcalloc(1, size);
	int rc = sd_bus_message_open_container(m, 'r', "sv");

	for (int c = cpuset_next(cpus, -1); c >= 0; c = cpuset_next(cpus, c))
		bytes[c / 8] = (unsigned char)(bytes[c / 8] | 1U << (c % 8));
	if (rc >= 0)
		rc = sd_bus_message_append(m, "s", name);
	if (rc >= 0)
		rc = sd_bus_message_open_container(m, 'v', "ay");
	if (rc >= 0)
		rc = sd_bus_message_append_array(m, 'y', bytes, size);
	if (rc >= 0)
		rc = sd_bus_message_close_container(m);
	return rc < 0 ? rc : sd_bus_message_close_container(m);
}

/* StartTransientUnit(name, mode, properties, auxiliary units) up to the
 * properties that all of ours have. */
static int transient_begin(struct job *job, const char *unit, const char *description,
			   sd_bus_message **call)
{
	int rc = sd_bus_message_new_method_call(job->bus, call, MANAGER, "StartTransientUnit");

	if (rc >= 0)
		rc = sd_bus_message_append(*call, "ss", unit, "fail");
	if (rc >= 0)
		rc = sd_bus_message_open_container(*call, 'a', "(sv)");
	if (rc >= 0)
		rc = sd_bus_message_append(*call, "(sv)(sv)", "Description", "s", description,
					   "CollectMode", "s", "inactive-or-failed");
	return rc;
}

static int transient_end(struct job *job, sd_bus_message *call)
{
	int rc = sd_bus_message_close_container(call);

	if (rc >= 0)
		rc = sd_bus_message_append(call, "a(sa(sv))", 0);
	return rc < 0 ? rc : job_run(job, call);
}

/* Any unit that is always there tells; a property that it does not have is an
 * error of its own. */
static int knows_partitions(sd_bus *bus)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_free_ char *value = NULL;
	int rc = sd_bus_get_property_string(
		bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1/unit/init_2escope",
		"org.freedesktop.systemd1.Scope", "CPUSetPartition", &error, &value);

	if (sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_PROPERTY))
		rc = 0;
	else if (rc >= 0)
		rc = 1;
	sd_bus_error_free(&error);
	return rc;
}

int systemd_adapter_partitions(void)
{
	sd_bus *bus = NULL;
	int rc = libsystemd_load();

	if (rc < 0)
		return rc;
	rc = job_bus(&bus);
	if (rc >= 0)
		rc = knows_partitions(bus);
	sd_bus_flush_close_unref(bus);
	return rc;
}

static int scope_once(const char *unit, const char *slice, pid_t pid, const struct cpuset *cpus,
		      const char *partition)
{
	_cleanup_job_ struct job job = { 0 };
	sd_bus_message *call = NULL;
	int rc = job_open(&job, unit, true);

	if (rc >= 0)
		rc = transient_begin(&job, unit, "CPUs of a virtual machine", &call);
	/* Delegate= itself would mean all controllers, for the whole host. */
	if (rc >= 0)
		rc = sd_bus_message_append(call, "(sv)(sv)(sv)", "Slice", "s", slice, "PIDs", "au",
					   1, (uint32_t)pid, "DelegateControllers", "as", 1,
					   "cpuset");
	if (rc >= 0 && !cpuset_empty(cpus))
		rc = append_cpus(call, "AllowedCPUs", cpus);
	if (rc >= 0 && knows_partitions(job.bus) > 0)
		rc = sd_bus_message_append(call, "(sv)", "CPUSetPartition", "s", partition);
	if (rc >= 0)
		rc = transient_end(&job, call);
	sd_bus_message_unref(call);
	return rc < 0 ? rc : 0;
}

int systemd_adapter_scope(const char *unit, const char *slice, pid_t pid, const struct cpuset *cpus,
			  const char *partition)
{
	long long until = 0;
	int rc = libsystemd_load();

	if (rc == 0)
		rc = -EAGAIN;
	while (job_again(rc, &until))
		rc = scope_once(unit, slice, pid, cpus, partition);
	return job_result(rc);
}

/* ExecStart= and its like: an array of (program, arguments, may it fail). */
static int append_command(sd_bus_message *m, const char *name, char *const argv[], bool may_fail)
{
	int rc = sd_bus_message_open_container(m, 'r', "sv");

	if (rc >= 0)
		rc = sd_bus_message_append(m, "s", name);
	if (rc >= 0)
		rc = sd_bus_message_open_container(m, 'v', "a(sasb)");
	if (rc >= 0)
		rc = sd_bus_message_open_container(m, 'a', "(sasb)");
	if (rc >= 0)
		rc = sd_bus_message_open_container(m, 'r', "sasb");
	if (rc >= 0)
		rc = sd_bus_message_append(m, "s", argv[0]);
	if (rc >= 0)
		rc = sd_bus_message_append_strv(m, (char **)argv);
	if (rc >= 0)
		rc = sd_bus_message_append(m, "b", (int)may_fail);
	for (int i = 0; i < 4 && rc >= 0; i++)
		rc = sd_bus_message_close_container(m);
	return rc;
}

/* No limit of starts (StartLimitIntervalUSec=0), and none of the time that one takes. */
static int service_properties(sd_bus_message *call, int fine)
{
	int rc = sd_bus_message_append(call, "(sv)(sv)(sv)(sv)(sv)", "Type", "s", "notify",
				       "Restart", "s", "always", "RestartUSec", "t",
				       (uint64_t)500000, "TimeoutStartUSec", "t", UINT64_MAX,
				       "StartLimitIntervalUSec", "t", (uint64_t)0);

	if (rc >= 0)
		rc = sd_bus_message_append(call, "(sv)(sv)", "SuccessExitStatus", "(aiai)", 1, fine,
					   0, "RestartPreventExitStatus", "(aiai)", 2, 0, fine, 0);
	return rc;
}

static int service_once(const struct service *service)
{
	_cleanup_job_ struct job job = { 0 };
	sd_bus_message *call = NULL;
	int rc = job_open(&job, service->unit, true);

	if (rc >= 0)
		rc = transient_begin(&job, service->unit, service->description, &call);
	if (rc >= 0)
		rc = service_properties(call, service->fine);
	if (rc >= 0)
		rc = append_command(call, "ExecStart", service->argv, false);
	if (rc >= 0)
		rc = append_command(call, "ExecStopPost", service->post, true);
	if (rc >= 0)
		rc = transient_end(&job, call);
	sd_bus_message_unref(call);
	return rc < 0 ? rc : 0;
}

/* A unit of that name is what one has left that was killed, or is about to end:
 * PID 1 is about to start it again, or is done with it. It does the same as a new one. */
int systemd_adapter_service(const struct service *service)
{
	long long until = 0;
	int rc = libsystemd_load();

	if (rc == 0)
		rc = -EAGAIN;
	while (job_again(rc, &until)) {
		rc = service_once(service);
		if (rc == -EEXIST)
			rc = job_ask("RestartUnit", service->unit);
		if (rc == -ENOENT)
			rc = -EEXIST;
	}
	return job_result(rc);
}
