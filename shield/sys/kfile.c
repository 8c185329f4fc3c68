/* SPDX-License-Identifier: MIT */
#include "shield/sys/kfile.h"

#include "shield/sys/balancer.h"
#include "shield/sys/sys_write.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define WORD_CHARS "abcdefghijklmnopqrstuvwxyz0123456789_-"
#define VALUE_CHARS WORD_CHARS "/"
#define VALUE_MAX 32

/* What a profile may ask for: its name there, and what it means. */
#define SETTING(name, text) .soft = true, .setting = (name), .about = DOC(text)

static const struct kfile table[] = {
	{ "/proc/irq/#/smp_affinity_list", KFILE_LIST, .cpus = true, .refusable = true,
	  .soft = true },
	{ "/proc/irq/default_smp_affinity", KFILE_MASK, .cpus = true },
	{ "/run/irqbalance/irqbalance#.sock", KFILE_BALANCER, .cpus = true, .soft = true,
	  .delayed = true },
	{ "/run/irqbalance/irqbalance#.sock/irqs", KFILE_BANS, .merged = true, .soft = true,
	  .delayed = true },
	{ "/sys/class/net/*/queues/rx-#/rps_cpus", KFILE_MASK, .cpus = true, .soft = true },
	{ "/sys/class/net/*/queues/tx-#/xps_cpus", KFILE_MASK, .cpus = true, .soft = true },
	{ "/proc/sys/net/core/rps_default_mask", KFILE_MASK, .cpus = true, .soft = true },
	{ "/proc/sys/net/core/flow_limit_cpu_bitmap", KFILE_MASK, .cpus = true, .soft = true },
	{ "/sys/devices/virtual/workqueue/cpumask", KFILE_MASK, .cpus = true },
	{ "@/cgroup.subtree_control", KFILE_CONTROL, .cpus = false },
	{ "@/**/cgroup.subtree_control", KFILE_CONTROL, .cpus = false },
	{ "@/**/cgroup.type", KFILE_TYPE, .cpus = false },
	{ "@/**/cgroup.threads", KFILE_THREAD, .cpus = false },
	{ "@/**/cpuset.cpus", KFILE_LIST, .cpus = true },
	{ "@/**/cpuset.cpus.exclusive", KFILE_LIST, .cpus = true, .merged = true },
	{ "@/**/cpuset.cpus.partition", KFILE_PARTITION, .cpus = false },
	{ "/sys/devices/system/cpu/cpu#/online", KFILE_VALUE, .soft = true, .pulse = true,
	  .max = 1 },
	/* Host settings (Documentation/admin-guide/sysctl, admin-guide/mm,
	 * admin-guide/pm, ABI/testing). */
	{ "/sys/devices/system/cpu/cpufreq/policy#/scaling_governor", KFILE_VALUE,
	  SETTING("governor",
		  "the cpufreq governor of the guest CPUs, and of those that share a clock "
		  "with them, one that the kernel knows"),
	  .words = "*", .choices = "scaling_available_governors" },
	{ "/sys/devices/system/cpu/cpu#/power/pm_qos_resume_latency_us", KFILE_VALUE,
	  SETTING("resume_latency_us",
		  "how many microseconds a guest CPU may take to wake up from idle: 0 for "
		  "no limit, or \"n/a\" for none at all: it polls"),
	  .max = 1000000, .words = "n/a" },
	{ "/proc/sys/kernel/numa_balancing", KFILE_VALUE,
	  SETTING("numa_balancing",
		  "kernel.numa_balancing, automatic moves of memory between nodes"),
	  .max = 3 },
	{ "/sys/kernel/mm/ksm/run", KFILE_VALUE, SETTING("ksm", "merging of equal pages"),
	  .max = 1 },
	{ "/sys/kernel/mm/transparent_hugepage/enabled", KFILE_VALUE,
	  SETTING("transparent_hugepages", "which memory may have huge pages"),
	  .words = "always|madvise|never", .drags = "/proc/sys/vm/min_free_kbytes" },
	{ "/proc/sys/vm/min_free_kbytes", KFILE_VALUE, .soft = true, .late = true },
	{ "/sys/kernel/mm/transparent_hugepage/khugepaged/defrag", KFILE_VALUE,
	  SETTING("khugepaged_defrag", "may khugepaged compact memory"), .max = 1 },
	{ "/proc/sys/vm/stat_interval", KFILE_VALUE,
	  SETTING("stat_interval",
		  "seconds, vm.stat_interval: between the updates of memory statistics on each CPU"),
	  .min = 1, .max = 3600 },
	{ "/proc/sys/vm/compaction_proactiveness", KFILE_VALUE,
	  SETTING("compaction_proactiveness",
		  "vm.compaction_proactiveness, background compaction of memory"),
	  .max = 100 },
	{ "/proc/sys/kernel/sched_rt_runtime_us", KFILE_VALUE,
	  SETTING("sched_rt_runtime_us",
		  "kernel.sched_rt_runtime_us, microseconds of a period that real-time "
		  "tasks may take; -1: no limit"),
	  .min = -1, .max = 1000000 },
	{ "/proc/sys/kernel/timer_migration", KFILE_VALUE,
	  SETTING("timer_migration", "kernel.timer_migration"), .max = 1 },
	{ "/proc/sys/kernel/nmi_watchdog", KFILE_VALUE,
	  SETTING("nmi_watchdog", "kernel.nmi_watchdog, the detector of hard lockups"), .max = 1 },
	{ "/proc/sys/kernel/watchdog_cpumask", KFILE_LIST, .cpus = true,
	  SETTING("watchdog",
		  "lockups are looked for on the host's CPUs only (kernel.watchdog_cpumask)"),
	  .words = "housekeeping" },
	{ "/sys/devices/system/machinecheck/machinecheck0/check_interval", KFILE_VALUE,
	  SETTING("machine_check_interval",
		  "seconds between looks for corrected hardware errors; 0: never"),
	  .max = 86400 },
	{ "/sys/kernel/rcu_normal", KFILE_VALUE,
	  SETTING("rcu_normal", "1: no expedited grace periods, which interrupt every CPU"),
	  .max = 1 },
	{ "/sys/module/kvm/parameters/halt_poll_ns", KFILE_VALUE,
	  SETTING("halt_poll_ns", "how long KVM polls before a vCPU sleeps"), .max = 100000000 },
};

static size_t segment(const char *s)
{
	return strcspn(s, "/");
}

/* One segment: "*", or a text in which "#" is a number. */
static bool match_name(const char *pattern, size_t m, const char *name, size_t n)
{
	const char *end = pattern + m;

	if (m == 1 && *pattern == '*')
		return true;
	for (; pattern < end; pattern++) {
		size_t digits = *pattern == '#' ? strspn(name, "0123456789") : 1;

		if (!digits || digits > 9 || digits > n || (*pattern != '#' && *pattern != *name))
			return false;
		name += digits;
		n -= digits;
	}
	return n == 0;
}

/* Match pattern and path, both after a leading slash, segment by segment. */
static bool match(const char *pattern, const char *path)
{
	for (;;) {
		size_t m = segment(pattern), n = segment(path);

		/* "", "." and ".." would make another path of it. */
		if (n == 0 || (n <= 2 && strspn(path, ".") >= n))
			return false;
		if (m == 2 && strncmp(pattern, "**", 2) == 0) {
			if (path[n] == '\0')
				return false;
			return match(pattern + 3, path + n + 1) || match(pattern, path + n + 1);
		}
		if (!match_name(pattern, m, path, n))
			return false;
		if (!pattern[m] || !path[n])
			return !pattern[m] && !path[n];
		pattern += m + 1;
		path += n + 1;
	}
}

/* As far as the pattern is plain: most differ there. */
static bool begins(const char *pattern, const char *path)
{
	for (; *pattern && *pattern != '#' && *pattern != '*'; pattern++, path++)
		if (*pattern != *path)
			return false;
	return true;
}

const struct kfile *kfile_find(const char *path, const char *mount)
{
	size_t n = mount ? strlen(mount) : 0;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const char *pattern = table[i].pattern, *rest = path;

		if (*pattern == '@') {
			if (!n || strncmp(path, mount, n) != 0)
				continue;
			pattern++;
			rest += n;
		}
		if (begins(pattern, rest) && match(pattern + 1, rest + 1))
			return &table[i];
	}
	return NULL;
}

static bool has_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at += n)
		if ((at == text || isspace((unsigned char)at[-1])) &&
		    (at[n] == '\0' || isspace((unsigned char)at[n])))
			return true;
	return false;
}

/* Of "always [madvise] never" the word in brackets, else all of it. */
static char *chosen(const char *text)
{
	const char *open = strchr(text, '['), *end = open ? strchr(open, ']') : NULL;

	return end ? xstrndup(open + 1, (size_t)(end - open - 1)) : xstrdup(text);
}

/* The socket of "/run/irqbalance/irqbalance7.sock/irqs". */
static char *socket_of(const char *path)
{
	return xstrndup(path, (size_t)(strrchr(path, '/') - path));
}

static int read_text(struct sys *sys, const struct kfile *row, const char *path,
		     struct cpuset *cpus, char **text)
{
	_cleanup_free_ char *socket = NULL;

	switch (row->type) {
	case KFILE_BALANCER:
		return balancer_read(sys, path, cpus, NULL);
	case KFILE_BANS:
		socket = socket_of(path);
		return balancer_read_irqs(sys, socket, cpus);
	default:
		return sys_read_line(sys, path, text);
	}
}

int kfile_read(struct sys *sys, const struct kfile *row, const char *path, char **ret)
{
	_cleanup_cpuset_ struct cpuset cpus = { 0 };
	_cleanup_free_ char *text = NULL;
	int rc = read_text(sys, row, path, &cpus, &text);

	if (rc < 0)
		return rc;
	switch (row->type) {
	case KFILE_BALANCER:
	case KFILE_BANS:
		*ret = cpulist_format(&cpus);
		return 0;
	case KFILE_LIST:
	case KFILE_MASK:
		rc = row->type == KFILE_LIST ? cpulist_parse(text, &cpus, NULL)
					     : cpumask_parse(text, &cpus, NULL);
		if (rc < 0)
			return -EBADMSG;
		*ret = cpulist_format(&cpus);
		return 0;
	case KFILE_CONTROL:
		*ret = xstrdup(has_word(text, "cpuset") ? "+cpuset" : "-cpuset");
		return 0;
	case KFILE_VALUE:
		*ret = chosen(text);
		return 0;
	default:
		*ret = take_ptr(text);
		return 0;
	}
}

int kfile_write(struct sys *sys, const struct kfile *row, const char *path, const char *value)
{
	_cleanup_cpuset_ struct cpuset cpus = { 0 };
	_cleanup_free_ char *text = NULL, *socket = NULL;

	if (row->type == KFILE_MASK || row->type == KFILE_BALANCER || row->type == KFILE_BANS) {
		if (cpulist_parse(value, &cpus, NULL) < 0)
			return -EINVAL;
		if (row->type == KFILE_BALANCER)
			return balancer_write(sys, path, &cpus);
		if (row->type == KFILE_BANS) {
			socket = socket_of(path);
			return balancer_write_irqs(sys, socket, &cpus);
		}
		text = cpumask_format(&cpus);
	}
	/* Zero bytes are not a write at all: an empty value is a line end. */
	return sys_write(sys, path, text ? text : *value ? value : "\n");
}

int kfile_put(struct sys *sys, const char *mount, const char *path, const char *value)
{
	const struct kfile *row = kfile_find(path, mount);

	return row ? kfile_write(sys, row, path, value) : -EPERM;
}

bool kfile_value_ok(const struct kfile *row, const char *value)
{
	static const char *const states[] = { "member", "root", "isolated" };
	_cleanup_cpuset_ struct cpuset cpus = { 0 };

	switch (row->type) {
	case KFILE_LIST:
	case KFILE_MASK:
	case KFILE_BALANCER:
	case KFILE_BANS:
		return cpulist_parse(value, &cpus, NULL) == 0;
	case KFILE_CONTROL:
		return strcmp(value, "+cpuset") == 0 || strcmp(value, "-cpuset") == 0;
	case KFILE_TYPE:
		return strcmp(value, "threaded") == 0 || strncmp(value, "domain", 6) == 0;
	case KFILE_VALUE:
		/* As an original it may be one that a profile may not ask for. */
		return *value && strlen(value) <= VALUE_MAX && !value[strspn(value, VALUE_CHARS)];
	case KFILE_PARTITION:
		for (size_t i = 0; i < ARRAY_SIZE(states); i++)
			if (strcmp(value, states[i]) == 0)
				return true;
		return false;
	case KFILE_THREAD: /* never an object of the state file's */
		return false;
	}
	return false;
}

bool kfile_refused(const struct kfile *row, int rc)
{
	return row->refusable && (rc == -EIO || rc == -EPERM || rc == -EACCES);
}

const struct kfile *kfile_setting_at(size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].setting && n-- == 0)
			return &table[i];
	return NULL;
}

const struct kfile *kfile_setting(const char *name)
{
	const struct kfile *row;

	for (size_t i = 0; (row = kfile_setting_at(i)); i++)
		if (strcmp(row->setting, name) == 0)
			return row;
	return NULL;
}

static bool has_numbers(const struct kfile *row)
{
	return row->min || row->max;
}

bool kfile_setting_number(const struct kfile *row, long long number)
{
	return has_numbers(row) && number >= row->min && number <= row->max;
}

bool kfile_setting_word(const struct kfile *row, const char *word)
{
	size_t n = strlen(word);

	if (!row->words || n == 0 || n > VALUE_MAX)
		return false;
	if (strcmp(row->words, "*") == 0)
		return !word[strspn(word, WORD_CHARS)];
	for (const char *at = row->words; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
		if (strcspn(at, "|") == n && strncmp(at, word, n) == 0)
			return true;
	return false;
}

char *kfile_setting_expected(const struct kfile *row)
{
	char *text = has_numbers(row) ? xasprintf("%ld to %ld", row->min, row->max) : xstrdup("");
	const char *at = row->words;

	if (at && strcmp(at, "*") == 0) {
		free(text);
		return xstrdup("a word like \"performance\"");
	}
	while (at) {
		size_t n = strcspn(at, "|");
		const char *joint = !*text ? "" : at[n] ? ", " : " or ";
		char *longer = xasprintf("%s%s\"%.*s\"", text, joint, (int)n, at);

		free(text);
		text = longer;
		at = at[n] ? at + n + 1 : NULL;
	}
	return text;
}
