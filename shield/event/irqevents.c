/* SPDX-License-Identifier: MIT */
#include "shield/event/irqevents.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TRACEPOINT "events/irq_vectors/vector_config/id"
#define FUNCTION "irq_set_affinity_locked"
#define KPROBE_TYPE "/sys/bus/event_source/devices/kprobe/type"

static size_t page(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static int bpf(enum bpf_cmd command, union bpf_attr *attr)
{
	int rc = (int)syscall(SYS_bpf, command, attr, sizeof(*attr));

	return rc < 0 ? -errno : rc;
}

/* One page, which the program fills, between two that say how far: ours, and
 * the kernel's. */
static int make_ring(struct irqevents *e)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_RINGBUF,
		.max_entries = (unsigned)page(),
	};
	void *p;

	e->fd = bpf(BPF_MAP_CREATE, &attr);
	if (e->fd < 0)
		return e->fd;
	p = mmap(NULL, page(), PROT_READ | PROT_WRITE, MAP_SHARED, e->fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	e->consumed = p;
	p = mmap(NULL, page(), PROT_READ, MAP_SHARED, e->fd, (off_t)page());
	if (p == MAP_FAILED)
		return -errno;
	e->produced = p;
	return 0;
}

/*
 * ringbuf_output(ring, &word, 8, 0), where the word is 0: its content is not
 * read, since it may be outdated when we look. The kernel wakes us if we had
 * taken all that was there before.
 */
static int load_program(int ring, enum bpf_prog_type type)
{
	const struct bpf_insn code[] = {
		{ .code = BPF_ST | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_10, .off = -8 },
		{ .code = BPF_LD | BPF_IMM | BPF_DW,
		  .dst_reg = BPF_REG_1,
		  .src_reg = BPF_PSEUDO_MAP_FD,
		  .imm = ring },
		{ 0 }, /* the upper half of a 64-bit constant */
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X,
		  .dst_reg = BPF_REG_2,
		  .src_reg = BPF_REG_10 },
		{ .code = BPF_ALU64 | BPF_ADD, .dst_reg = BPF_REG_2, .imm = -8 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3, .imm = 8 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_4 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_ringbuf_output },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = {
		.prog_type = type,
		.insns = (uintptr_t)code,
		.insn_cnt = ARRAY_SIZE(code),
		.license = (uintptr_t) "MIT",
		.prog_name = "shield_irq",
	};

	return bpf(BPF_PROG_LOAD, &attr);
}

/* The event counts nothing itself (and so stays off); its program runs on every
 * CPU all the same. A file, or a negated errno. */
static int attach(struct perf_event_attr *attr, int ring, enum bpf_prog_type type)
{
	int program = load_program(ring, type), event, rc;

	if (program < 0)
		return program;
	attr->size = sizeof(*attr);
	attr->disabled = 1;
	event = (int)syscall(SYS_perf_event_open, attr, -1, sched_getcpu(), -1,
			     PERF_FLAG_FD_CLOEXEC);
	rc = event < 0 || ioctl(event, PERF_EVENT_IOC_SET_BPF, program) < 0 ? -errno : event;
	if (rc < 0)
		closep(&event);
	close(program); /* the event has it */
	return rc;
}

static int attach_tracepoint(int ring, unsigned long id)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .config = id };

	return attach(&attr, ring, BPF_PROG_TYPE_TRACEPOINT);
}

static int attach_probe(int ring, struct sys *sys)
{
	struct perf_event_attr attr = { .kprobe_func = (uintptr_t)FUNCTION };
	_cleanup_free_ char *type = NULL;
	int rc = sys_read_line(sys, KPROBE_TYPE, &type);

	if (rc < 0)
		return rc;
	attr.type = (unsigned)strtoul(type, NULL, 10);
	return attach(&attr, ring, BPF_PROG_TYPE_KPROBE);
}

static int tracepoint_id(struct sys *sys, unsigned long *id, struct err *err)
{
	static const char *const paths[] = { "/sys/kernel/tracing/" TRACEPOINT,
					     "/sys/kernel/debug/tracing/" TRACEPOINT };

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		_cleanup_free_ char *text = NULL;

		if (sys_read_line(sys, paths[i], &text) == 0) {
			*id = strtoul(text, NULL, 10);
			return 0;
		}
	}
	return err_set(err, ERR_UNSUPPORTED,
		       "the kernel does not announce new interrupts (no %s): tracefs is not "
		       "mounted, or this is not x86; Shield looks for them every second instead",
		       paths[0]);
}

void irqevents_close(struct irqevents *e)
{
	if (e->fd >= 0) {
		closep(&e->events[0]);
		closep(&e->events[1]);
	}
	if (e->consumed)
		munmap(e->consumed, page());
	if (e->produced)
		munmap(e->produced, page());
	closep(&e->fd);
	*e = (struct irqevents){ .fd = -1 };
}

int irqevents_open(struct irqevents *e, struct sys *sys, struct err *err)
{
	unsigned long id = 0;
	int rc;

	*e = (struct irqevents){ .fd = -1, .events = { -1, -1 } };
	if (tracepoint_id(sys, &id, err) < 0)
		return -1;
	rc = make_ring(e);
	if (rc == 0)
		rc = e->events[0] = attach_tracepoint(e->fd, id);
	if (rc < 0) {
		irqevents_close(e);
		return err_set(err, ERR_UNSUPPORTED,
			       "the kernel cannot announce new interrupts (perf_event_open, bpf): "
			       "%s; Shield looks for them every second instead",
			       err_errno(rc));
	}
	e->events[1] = attach_probe(e->fd, sys);
	return 0;
}

void irqevents_drain(struct irqevents *e)
{
	unsigned long produced = __atomic_load_n(e->produced, __ATOMIC_ACQUIRE);

	__atomic_store_n(e->consumed, produced, __ATOMIC_RELEASE);
}
