/* SPDX-License-Identifier: MIT */
/*
 * libvirt: the cgroups that libvirt makes for a domain. Those of its pinned
 * vCPUs become the partitions of a shield where they stand; nothing is moved.
 * Of libvirt's own values only cpuset.cpus of emulator and iothreadN is written,
 * where it names CPUs of a partition: up to 6.12 there could be none beside it.
 *
 *	/machine.slice/machine-qemu\x2d1\x2dwin11.scope/libvirt
 *		emulator	QEMU, its workers; cpuset.cpus: <emulatorpin>
 *		iothread1	<iothreadpin>
 *		vcpu0, vcpu1	a thread each; <vcpupin>
 *
 * Every cgroup above vcpuN hands the guest CPUs down with
 * cpuset.cpus.exclusive. vcpuN has none itself, so that its cpuset.cpus stays
 * libvirt's: `virsh vcpupin` succeeds, the kernel gives the former CPU back to
 * the host and calls the partition invalid, and the guard makes one of the new
 * CPU (shield_follow). Measured on 6.12 and 7.3.
 *
 * A pin to several CPUs can also shrink. Then Linux 7.3 gives what it loses back
 * to the root, looks for cgroups whose CPUs are more now, comes so to vcpuN
 * itself while its cpuset.cpus is still the former one, takes the CPUs once more,
 * and forgets them: no cgroup has them until a reboot (update_cpumask(),
 * remote_cpus_update()). It does not come by where the cgroup above may not have
 * these CPUs: its cpuset.cpus is therefore all CPUs but those of such pins.
 * 6.12 does not forget them; nor could cpuset.cpus be made empty again while the
 * domain runs (ENOSPC), so there it is left alone. Which of them it is, is seen by
 * /sys/devices/system/cpu/housekeeping: 7.3 has it, 6.12 has not.
 */
#ifndef SHIELD_CGROUP_LIBVIRT_H
#define SHIELD_CGROUP_LIBVIRT_H

#include "shield/cgroup/layout.h"
#include "shield/task/task.h"

struct libvirt_vcpu {
	unsigned index;
	pid_t tid;		  /* the oldest thread in its cgroup: */
	struct tasks born;	  /* it started the others (txn/thread.h) */
	char *cgroup, *partition; /* from the cgroup root; what it is now */
	struct cpuset cpus;	  /* its pin; empty: none */
};

/* The cgroup of the emulator or of an I/O thread, and its pin; empty: none. */
struct libvirt_other {
	char *name, *cgroup; /* "emulator", "iothread1"; from the cgroup root */
	struct cpuset cpus;
	/* What cpuset.cpus is, and what the shield has set: both the pin, unless it
	 * has one. Then the caller replaces cpus and set. */
	struct cpuset now, set;
};

/* A cgroup above, and the CPUs that it hands down now. */
struct libvirt_above {
	char *cgroup, *exclusive;
};

struct libvirt_vm {
	char *cgroup;		    /* of QEMU */
	struct libvirt_vcpu *vcpus; /* in the order of their index */
	size_t n_vcpus, cap_vcpus;
	struct libvirt_above *above; /* outer to inner */
	size_t n_above, cap_above;
	/* cpuset.cpus of the innermost of them now, and before it had a shield: if
	 * it has one, for the caller to replace by what that set and what it was */
	char *cpus, *was;
	struct cpuset possible; /* CPUs of the host; empty: no need to write that */
	struct libvirt_other *others;
	size_t n_others, cap_others;
};

/* Read the cgroups around that of a QEMU, "/…/libvirt/emulator". ERR_UNSUPPORTED
 * if libvirt has made none there. Release with libvirt_clear(). */
int libvirt_find(struct sys *sys, const char *mount, const char *cgroup, struct libvirt_vm *vm,
		 struct err *err);
void libvirt_clear(struct libvirt_vm *vm);
#define _cleanup_libvirt_ _cleanup_(libvirt_clear)

/*
 * The partitions that its pins ask for. ERR_USAGE, naming the element of the
 * domain, if they ask for none or for what cannot be: a CPU belongs to one
 * vCPU, or to none. The emulator and I/O threads keep what their pins have
 * besides; where that is nothing, a vCPU that shares its CPU with them gets no
 * partition. Warnings name both.
 */
int libvirt_partitions(const struct libvirt_vm *vm, struct partitions *partitions,
		       struct strv *warnings, struct err *err);

/* The pin of the emulator; NULL: it has none. */
const struct cpuset *libvirt_emulator(const struct libvirt_vm *vm);
/* The steps that keep the emulator and I/O threads off the guest CPUs, and let
 * them have what is none of these any more. */
void libvirt_plan_others(const char *mount, const struct libvirt_vm *vm, const struct cpuset *guest,
			 struct plan *plan);

/* The steps, outer to inner. guest: the CPUs of all the partitions. */
void libvirt_plan(const char *mount, const struct libvirt_vm *vm,
		  const struct partitions *partitions, const struct cpuset *guest,
		  struct plan *plan);

/* What the vCPUs of these partitions have started goes to QEMU's cgroup, and
 * comes back. */
void libvirt_plan_born(const struct libvirt_vm *vm, const struct partitions *partitions,
		       struct plan *plan);

/* The file with the cpuset.cpus above vcpuN, which the caller frees; and the
 * step, if one is needed, that keeps it off pins of several CPUs: those of the
 * vCPUs that are to be partitions, or with NULL of those that are. */
char *libvirt_cpus_path(const char *mount, const struct libvirt_vm *vm);
void libvirt_plan_cpus(const char *mount, const struct libvirt_vm *vm,
		       const struct partitions *partitions, struct plan *plan);

/* Is it the place of a shield of such a domain, not of one of our own? */
bool libvirt_is_cgroup(const char *cgroup, const struct partitions *partitions);
/* The cgroup that libvirt has made for the domain whose QEMU is in this one, which
 * the caller frees; NULL if it is none of these. */
char *libvirt_parent(const char *cgroup);
/* Is it that of its emulator, or of one of its I/O threads? */
bool libvirt_is_other(const char *other, const char *cgroup, const struct partitions *partitions);
/* And is it the cgroup in which that and the partitions are? */
bool libvirt_is_parent(const char *parent, const char *cgroup, const struct partitions *partitions);

#endif
