/* SPDX-License-Identifier: MIT */
/*
 * state: the originals, and the shields that are active, in one file.
 *
 *	/run/shield/state.json	root, 0644, replaced atomically (a temporary
 *				file in the same directory, then rename)
 *	/run/shield		root, 0711; flock(2) on it is the one lock, and
 *				no other user can open it for that
 *
 * The file holds no secret: `status` reads it without root and without the
 * lock. It is untrusted until checked: owner, mode, type and links of the file
 * and its directory, and every path and value against what Shield itself could
 * have written (kfile.h). A file of another boot is void, since the reboot has
 * undone everything; so no fsync either.
 */
#ifndef SHIELD_TXN_STATE_H
#define SHIELD_TXN_STATE_H

#include "shield/base/names.h"
#include "shield/cgroup/layout.h"
#include "shield/sys/kfile.h"
#include "shield/txn/state_irq.h"
#include "shield/txn/state_map.h"

/* The file may have so many bytes. */
#define STATE_LIMIT ((off_t)64 << 20)

#define STATE_DIR "/run/shield"
#define STATE_FILE STATE_DIR "/state.json"
/* The monitor of a shield's QEMU, by its name; goes with the shield. */
#define STATE_SOCKET STATE_DIR "/%s.qmp"

#define PHASES(X)                     \
	X(PHASE_APPLYING, "applying") \
	X(PHASE_ACTIVE, "active")     \
	X(PHASE_RELEASING, "releasing")
enum phase { PHASES(NAMES_ITEM) };
const char *phase_name(enum phase phase);

/* A process or thread: its number alone is reused. pid 0: none. */
struct process {
	pid_t pid;
	unsigned long long start;
};

/* Does it live (task.h: task_alive())? None does not. */
bool process_alive(struct sys *sys, const struct process *process);

struct vcpu {
	unsigned index; /* as QEMU counts */
	struct process thread;
	unsigned cpu; /* the one CPU it is pinned to */
};

struct shield {
	char *name;
	enum phase phase;
	struct process owner; /* who began it: `run`, or none */
	struct process guard;
	struct process vm;
	struct process anchor; /* keeps its scope alive until the VM is in it; or none */
	struct cpuset guest;
	struct cpuset emulator;
	struct cpuset taken; /* guest CPUs, and emulator CPUs the host may not use */
	/* It gives them up and stays; until it is known that the host has them. */
	struct cpuset freed;
	char *cgroup; /* where its process is, from the cgroup root */
	char *home;   /* where that goes when it ends, likewise */
	struct partitions partitions;
	char *partition; /* what they are, "isolated" or "root" */
	struct vcpu *vcpus;
	size_t n_vcpus;
	struct state_irq irq;
	struct state_map map;
};

/* A shield's setting for an object: a value, or (NULL) to stay off its CPUs. */
struct claim {
	char *shield;
	char *set;
};

struct object {
	enum step_kind kind;
	char *path;
	struct process task;
	char *identity;
	char *original; /* before any shield */
	char *ours;	/* written last */
	char *next;	/* being written by a transaction under way, else NULL */
	/* Not in the file: what the transaction wants now; someone else set it. */
	char *target;
	bool drifted;
	/* It may hold anything: it could neither be set nor read; or it is a
	 * partition that is taken down, and put up again. */
	bool uncertain;
	bool scoped;  /* dies with a cgroup of ours */
	bool refused; /* the kernel takes no change; kept for the report only */
	struct claim *claims;
	size_t n_claims;
};

struct state {
	struct shield *shields;
	size_t n_shields, cap_shields;
	struct object **objects; /* in the order in which they were first changed */
	size_t n_objects, cap_objects;
	void *index; /* the objects by identity, a tsearch(3) tree */
};

/*
 * Read and check the state file; queues of interfaces that were renamed since
 * have their new paths. No file, or one of another boot, is an empty state. -1
 * with a message that says how to go on when it cannot be trusted. mount: where
 * cgroup v2 is, or NULL. Release with state_clear().
 */
int state_load(struct sys *sys, const char *mount, struct state *state, struct err *err);
/*
 * Replace the file, or remove it when nothing is in the state. What would be
 * written is read first as state_load() reads it: unless that gives the same state, the file
 * stays what it is, and -1. Names are bytes there (text_encode(), text.h).
 */
int state_save(struct sys *sys, const char *mount, const struct state *state, struct err *err);
/* The same before a shield begins or grows: only while half of what the file may be
 * is enough, so that what is written to end the shields always fits. */
int state_save_grown(struct sys *sys, const char *mount, const struct state *state,
		     struct err *err);
void state_clear(struct state *state);
#define _cleanup_state_ _cleanup_(state_clear)

/* Make the directory if need be, check it, and wait for the lock. A file
 * descriptor that holds it until closed (sys->ops->close), or -1. */
int state_lock(struct sys *sys, struct err *err);
/* Is it held at this moment? */
bool state_locked(struct sys *sys);
/* Put a file that cannot be trusted out of the way, as state.json.damaged. */
int state_set_aside(struct sys *sys, struct err *err);

struct shield *state_shield(const struct state *state, const char *name);
/* A new, zeroed shield; name is copied. */
struct shield *state_add_shield(struct state *state, const char *name);
void state_remove_shield(struct state *state, const char *name);

/* Is that thread one of its vCPUs? */
bool shield_has_vcpu(const struct shield *shield, pid_t tid);

/* The object that a step is about, or NULL. */
struct object *state_object(const struct state *state, const struct step *step);
/* That of the kernel file of this path, or NULL. */
struct object *state_file_object(const struct state *state, const char *path);
/* The object of the step, new ones with the step's `from` as original. */
struct object *state_add_object(struct state *state, const struct step *step);
/* It is to be changed before, and restored after, all that are there. */
void state_lead(struct state *state, const struct object *object);
/* Take over an allocated one, if there is none of the same thing yet. */
bool state_take_object(struct state *state, struct object *object);
void object_free(struct object *object);
/* n objects have other paths now, which are taken over. An object that had one of
 * these is forgotten: it does not exist any more. */
void state_move(struct state *state, struct object *const *objects, char *const *paths, size_t n);
/* Forget one object, whose number has gone to another one. */
void state_forget(struct state *state, struct object *object);
/* Forget the objects that keep() does not want. */
void state_keep(struct state *state, bool (*keep)(const struct object *object));

struct claim *object_claim(const struct object *object, const char *shield);
void object_add_claim(struct object *object, const char *shield, const char *set);
void object_drop_claim(struct object *object, const char *shield);

/* The CPUs taken by all shields but those that are being released. */
void state_taken(const struct state *state, struct cpuset *taken);

#endif
