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
 *	FAULT_VANISH	who was asked has done it, and is gone before it says so
 *	FAULT_DIE	the process ends before operation `at`: longjmp(death, 1)
 *
 * The two before the last are for what another process does (OP_ASK, OP_TELL).
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
	OP_SERVICE_START,
	OP_SPAWN,
};

enum fault_mode {
	FAULT_NONE,
	FAULT_ONCE,
	FAULT_STUCK,
	FAULT_ALL,
	FAULT_SHORT,
	FAULT_LATE,
	FAULT_VANISH,
	FAULT_DIE
};

struct fault_event {
	enum fault_op op;
	char object[120]; /* path or thread */
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
	bool met;	 /* the fault has happened */
	char *late[2];	 /* whom to ask what, still */
	char *paths[64]; /* of open descriptors, by number modulo 64 */
};

/* The door; the struct must stay. Fill in mode, at, error before or after. */
void faulty_sys(struct faulty *faulty, const struct sys *below, struct sys *sys);
void faulty_clear(struct faulty *faulty);

const char *fault_op_name(enum fault_op op);
/* Does it change something that outlives the process? */
bool fault_op_changes(enum fault_op op);
/* The errnos that the kernel can return from it; 0 ends the list. */
const int *fault_op_errnos(enum fault_op op);

#endif
