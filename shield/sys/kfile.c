#include "shield/sys/kfile.h"

#include "shield/sys/balancer.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

static const struct kfile table[] = {
	{ "/proc/irq/#/smp_affinity_list", KFILE_LIST, .cpus = true, .refusable = true, .soft = true },
	{ "/proc/irq/default_smp_affinity", KFILE_MASK, .cpus = true },
	{ "/run/irqbalance/irqbalance#.sock", KFILE_BALANCER, .cpus = true, .soft = true, .delayed = true },
	{ "/sys/class/net/*/queues/rx-#/rps_cpus", KFILE_MASK, .cpus = true, .soft = true },
	{ "/sys/class/net/*/queues/tx-#/xps_cpus", KFILE_MASK, .cpus = true, .soft = true },
	{ "/proc/sys/net/core/rps_default_mask", KFILE_MASK, .cpus = true, .soft = true },
	{ "/proc/sys/net/core/flow_limit_cpu_bitmap", KFILE_MASK, .cpus = true, .soft = true },
	{ "/sys/devices/virtual/workqueue/cpumask", KFILE_MASK, .cpus = true },
	{ "@/cgroup.subtree_control", KFILE_CONTROL, .cpus = false },
	{ "@/shield.slice/cpuset.cpus.exclusive", KFILE_LIST, .cpus = true, .merged = true },
	{ "@/**/cgroup.subtree_control", KFILE_CONTROL, .cpus = false },
	{ "@/**/cgroup.type", KFILE_TYPE, .cpus = false },
	{ "@/**/cpuset.cpus", KFILE_LIST, .cpus = true },
	{ "@/**/cpuset.cpus.exclusive", KFILE_LIST, .cpus = true },
	{ "@/**/cpuset.cpus.partition", KFILE_PARTITION, .cpus = false },
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
		if (*rest == '/' && match(pattern + 1, rest + 1))
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

int kfile_read(struct sys *sys, const struct kfile *row, const char *path, char **ret)
{
	_cleanup_cpuset_ struct cpuset cpus = { 0 };
	_cleanup_free_ char *text = NULL;
	int rc = row->type == KFILE_BALANCER ? balancer_read(sys, path, &cpus, NULL)
					     : sys_read_line(sys, path, &text);

	if (rc < 0)
		return rc;
	switch (row->type) {
	case KFILE_BALANCER:
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
	default:
		*ret = take_ptr(text);
		return 0;
	}
}

int kfile_write(struct sys *sys, const struct kfile *row, const char *path, const char *value)
{
	_cleanup_cpuset_ struct cpuset cpus = { 0 };
	_cleanup_free_ char *text = NULL;

	if (row->type == KFILE_MASK || row->type == KFILE_BALANCER) {
		if (cpulist_parse(value, &cpus, NULL) < 0)
			return -EINVAL;
		if (row->type == KFILE_BALANCER)
			return balancer_write(sys, path, &cpus);
		text = cpumask_format(&cpus);
	}
	/* Zero bytes are no write at all: an empty value is a line end. */
	return sys_write(sys, path, text ? text : *value ? value : "\n");
}

bool kfile_value_ok(const struct kfile *row, const char *value)
{
	static const char *const states[] = { "member", "root", "isolated" };
	_cleanup_cpuset_ struct cpuset cpus = { 0 };

	switch (row->type) {
	case KFILE_LIST:
	case KFILE_MASK:
	case KFILE_BALANCER:
		return cpulist_parse(value, &cpus, NULL) == 0;
	case KFILE_CONTROL:
		return strcmp(value, "+cpuset") == 0 || strcmp(value, "-cpuset") == 0;
	case KFILE_TYPE:
		return strcmp(value, "threaded") == 0 || strncmp(value, "domain", 6) == 0;
	case KFILE_PARTITION:
		for (size_t i = 0; i < ARRAY_SIZE(states); i++)
			if (strcmp(value, states[i]) == 0)
				return true;
		return false;
	}
	return false;
}

bool kfile_refused(const struct kfile *row, int rc)
{
	return row->refusable && (rc == -EIO || rc == -EPERM || rc == -EACCES);
}
