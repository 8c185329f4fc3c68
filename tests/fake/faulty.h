/* SPDX-License-Identifier: MIT */
/*
 * faulty: a door to the kernel that counts every operation, and fails or dies
 * at one of them.
 *
 *	FAULT_NONE	only counts; `trace` tells what each operation was
 *	FAULT_ONCE	operation `at` fails with `error`
 *	FAULT_STUCK	and so does every later one of its kind on its path
 *	FAULT_ALL	and so does every later one of its kind
 *	FAULT_SHORT	a read or write does only a byte
 *	FAULT_LATE	who was asked does it, but after we gave up: before the
 *			operation after that
 *	FAULT_LATER	the same, but before it is asked again, or when the command
 *			has ended (faulty_end())
 *	FAULT_SILENT	who was asked has done it, and does not say so in time
 *	FAULT_VANISH	the same, and is gone before it says so: from then on PID 1
 *			is not there
 *	FAULT_AWAY	PID 1 is not there from this call on, and has done nothing
 *	FAULT_ASKING	the process ends when it has asked for operation `at`: that
 *			is done as with FAULT_LATER, whose mode this is then
 *	FAULT_DIE	the process ends before operation `at`: longjmp(death, 1)
 *
 * From FAULT_LATE to FAULT_ASKING they are for what another process does
 * (fault_op_asks()).
 * A failing operation does nothing, except close(2), which closes. Errors that
 * mean "the object is gone" are not injected where they would be a lie: a test
 * that wants them lets the object go.
 */
#ifndef TESTS_FAKE_FAULTY_H
#define TESTS_FAKE_FAULTY_H

#include "shield/sys/sys.h"

#include <setjmp.h>

enum fault_op {
	OP_OPEN,
	OP_OPEN_WRITE,
	OP_CREATE,
	OP_READ,
	OP_WRITE,
	OP_CLOSE,
	OP_FSTAT,
	OP_OPEN_AT,
	OP_FSTATFS,
	OP_LSTAT,
	OP_MKDIR,
	OP_RMDIR,
	OP_UNLINK,
	OP_RENAME,
	OP_LIST,
	OP_FLOCK,
	OP_GETAFFINITY,
	OP_SETAFFINITY,
	OP_GETSCHEDULER,
	OP_CGROUP_CREATE,
	OP_CGROUP_DELETE,
	OP_CGROUP_ATTACH,
	OP_CGROUP_MOUNT,
	OP_READLINK,
	OP_ASK,
	OP_TELL, /* what changes it */
	OP_UNIT_START,
	OP_UNIT_STOP,
	OP_UNIT_PARTITIONS,
	OP_SERVICE_START,
	OP_SPAWN,
	OP_SPAWN_HELD, /* on a leash */
	OP_UNLEASH,
	OP_PIDFD,
	OP_SIGNAL,
};

enum fault_mode {
	FAULT_NONE,
	FAULT_ONCE,
	FAULT_STUCK,
	FAULT_ALL,
	FAULT_SHORT,
	FAULT_LATE,
	FAULT_LATER,
	FAULT_SILENT,
	FAULT_VANISH,
	FAULT_AWAY,
	FAULT_ASKING,
	FAULT_DIE
};

struct fault_event {
	enum fault_op op;
	char object[120]; /* path or thread */
};

/* What was asked for, and is still to be done. */
struct fault_late {
	enum fault_op op; /* if `what` */
	char *what, *how; /* whom or which unit; which request, slice or shield */
	pid_t pid;
	struct cpuset cpus;
	char *partition;
};

struct faulty {
	struct sys below;
	enum fault_mode mode;
	size_t at; /* the first operation is 1 */
	int error; /* a positive errno */
	jmp_buf death;
	/* Called before every operation, with its number; or NULL. */
	void (*before)(void *ctx, size_t number, const struct fault_event *event);
	void *ctx;

	unsigned depth;		   /* an operation is under way: what allocates now is the fake */
	size_t count;		   /* operations so far */
	struct fault_event *trace; /* all of them, count entries */
	size_t cap;
	bool met;  /* the fault has happened */
	bool away; /* PID 1 is not there */
	struct fault_late late;
	char *paths[64]; /* of open descriptors, by number modulo 64 */
};

/* The door; the struct must stay. Fill in mode, at, error before or after. */
void faulty_sys(struct faulty *faulty, const struct sys *below, struct sys *sys);
/* The same door once more. */
void faulty_door(struct faulty *faulty, struct sys *sys);
/* The command has ended: who is late does now what it was asked for. */
void faulty_end(struct faulty *faulty);
void faulty_clear(struct faulty *faulty);

const char *fault_op_name(enum fault_op op);
/* Does it change something that outlives the process? */
bool fault_op_changes(enum fault_op op);
/* Does another process do it: PID 1, or irqbalance? */
bool fault_op_asks(enum fault_op op);
/* Is it PID 1? */
bool fault_op_bus(enum fault_op op);
/* The errnos that the kernel can return from it; 0 ends the list. */
const int *fault_op_errnos(enum fault_op op);

#endif
