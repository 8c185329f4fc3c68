#include "shield/run/irqevents.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EVENT "events/irq_vectors/vector_config/id"
#define PROBED "irq_set_affinity_locked"

/* What is listened to. */
struct sources {
	unsigned long vector; /* of the tracepoint */
	unsigned probe;	      /* type of the perf unit for probes; 0: none */
};

static size_t ring_size(void)
{
	return 2 * (size_t)sysconf(_SC_PAGESIZE); /* the header page, and one of data */
}

static int find_sources(struct sys *sys, struct sources *sources, struct err *err)
{
	_cleanup_free_ char *type = NULL;

	static const char *const paths[] = { "/sys/kernel/tracing/" EVENT,
					     "/sys/kernel/debug/tracing/" EVENT };

	if (sys_read_line(sys, "/sys/bus/event_source/devices/kprobe/type", &type) == 0)
		sources->probe = (unsigned)strtoul(type, NULL, 10);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		_cleanup_free_ char *text = NULL;

		if (sys_read_line(sys, paths[i], &text) == 0) {
			sources->vector = strtoul(text, NULL, 10);
			return 0;
		}
	}
	return err_set(err, ERR_UNSUPPORTED,
		       "the kernel does not announce new interrupts (no %s): tracefs is not "
		       "mounted, or this is no x86; looked for every second instead",
		       paths[0]);
}

void irqevents_close(struct irqevents *e)
{
	for (size_t i = 0; i < e->n; i++) {
		munmap(e->rings[i].pages, ring_size());
		close(e->rings[i].fd);
		closep(&e->rings[i].probe);
	}
	free(e->rings);
	closep(&e->fd);
	*e = (struct irqevents){ .fd = -1 };
}

/* Woken by each event, whose contents nobody reads: what it says may be over by
 * the time we look. A file, or a negated errno. */
static int listen_on(int cpu, unsigned type, unsigned long config, const char *function)
{
	struct perf_event_attr attr = {
		.type = type,
		.size = sizeof(attr),
		.config = config,
		.sample_period = 1,
		.wakeup_events = 1,
		.kprobe_func = (uintptr_t)function,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* It goes into the ring of the tracepoint. */
static int add_probe(int cpu, const struct sources *sources, const struct irqevents_ring *ring)
{
	int fd = sources->probe ? listen_on(cpu, sources->probe, 0, PROBED) : -1;

	if (fd < 0)
		return -1;
	if (ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, ring->fd) == 0)
		return fd;
	close(fd);
	return -1;
}

static int add_cpu(struct irqevents *e, const struct sources *sources, int cpu)
{
	struct epoll_event wanted = { .events = EPOLLIN };
	struct irqevents_ring *ring = &e->rings[e->n];
	int rc;

	ring->fd = listen_on(cpu, PERF_TYPE_TRACEPOINT, sources->vector, NULL);
	if (ring->fd < 0)
		return ring->fd;
	ring->pages = mmap(NULL, ring_size(), PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
	if (ring->pages == MAP_FAILED) {
		rc = -errno;
		close(ring->fd);
		return rc;
	}
	ring->probe = add_probe(cpu, sources, ring);
	e->n++;
	wanted.data.u64 = e->n;
	return epoll_ctl(e->fd, EPOLL_CTL_ADD, ring->fd, &wanted) < 0 ? -errno : 0;
}

int irqevents_open(struct irqevents *e, struct sys *sys, const struct cpuset *online,
		   struct err *err)
{
	struct sources sources = { 0 };

	*e = (struct irqevents){ .fd = -1 };
	if (find_sources(sys, &sources, err) < 0)
		return -1;
	e->fd = epoll_create1(EPOLL_CLOEXEC);
	e->rings = xcalloc(cpuset_count(online), sizeof(*e->rings));
	for (int cpu = cpuset_next(online, -1); cpu >= 0; cpu = cpuset_next(online, cpu)) {
		int rc = add_cpu(e, &sources, cpu);

		if (rc == -ENODEV) /* went offline meanwhile */
			continue;
		if (rc < 0) {
			irqevents_close(e);
			return err_set(err, ERR_UNSUPPORTED,
				       "new interrupts cannot be heard of: perf_event_open: %s; "
				       "looked for every second instead",
				       err_errno(rc));
		}
	}
	return 0;
}

void irqevents_drain(struct irqevents *e)
{
	for (size_t i = 0; i < e->n; i++) {
		struct perf_event_mmap_page *page = e->rings[i].pages;
		__u64 head = __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE);

		__atomic_store_n(&page->data_tail, head, __ATOMIC_RELEASE);
	}
}
