/* SPDX-License-Identifier: MIT */
/* The table. Its rows are the behaviours that the transaction relies on or has
 * to bear; each was met on the real kernels named. */
#include "tests/fake/matrix.h"

/* clang-format off */
#define UNDER(a)	"mk:" a " .:ctl=+cpuset "

const struct matrix_case matrix_cases[] = {
/* the tree */
{ KALL,   "directories",	"mk:A mk:A!EEXIST mk:A/B rm:A!EBUSY rm:A/B rm:A rm:A!ENOENT" },
{ KALL,   "mkdir without parent","mk:A/B!ENOENT" },
{ KALL,   "populated",		"mk:A t@A rm:A!EBUSY t>. rm:A" },
{ KALL,   "no controller",	"mk:A A:cpus=1!ENOENT A:part?!ENOENT A:ctl=+cpuset!ENOENT" },
{ KALL,   "controller",		UNDER("A") ".:ctl?cpuset A:ctl? A:cpus? A:eff?0-7 A:part?member" },
{ KALL,   "controller anchors",	UNDER("A") "A:ctl=+cpuset .:ctl=-cpuset!EBUSY A:ctl=-cpuset .:ctl=-cpuset" },
{ KALL,   "controller resets",	UNDER("A") "A:cpus=2-3 .:ctl=-cpuset A:cpus?!ENOENT .:ctl=+cpuset A:cpus? A:eff?0-7" },
{ KALL,   "no such controller",	".:ctl=+nonesuch!EINVAL" },
{ KALL,   "process and threads","mk:A mk:B t@A t>B t.2?0-7 rm:A t.2~A!ENOENT" },
{ KALL,   "thread leaves domain","mk:A mk:B t@A t.2~B!EOPNOTSUPP" },
{ KALL,   "threaded",		"mk:A mk:A/V A:type?domain A/V:type=threaded A:type?domain_threaded" },
{ KALL,   "threaded child",	UNDER("A") "A:ctl=+cpuset mk:A/V A/V:type=threaded t@A t.2~A/V A/V:procs?!EOPNOTSUPP t>A/V rm:A/V!EBUSY t>A rm:A/V" },
{ KALL,   "threaded, populated","mk:A mk:A/V t@A/V A/V:type=threaded!EOPNOTSUPP" },
{ KALL,   "only threaded",	"mk:A mk:A/V A/V:type=domain!EINVAL" },
{ KALL,   "domain below a thread root", UNDER("A") "t@A A:ctl=+cpuset mk:A/B A/B:type?domain_invalid t>A/B!EOPNOTSUPP" },
{ KALL,   "kernel threads stay","mk:A migration/0>A!EINVAL kthreadd>A!EINVAL" },

/* cpuset.cpus */
{ KALL,   "cpus",		UNDER("A") "A:cpus=2-3,5 A:cpus?2-3,5 A:eff?2-3,5 A:cpus= A:cpus? A:eff?0-7" },
{ KALL,   "cpus, bad",		UNDER("A") "A:cpus=9!ERANGE A:cpus=6-9!ERANGE A:cpus=3-2!EINVAL A:cpus=x!EINVAL A:cpus=1-!EINVAL A:cpus?" },
{ KALL,   "cpus of a child",	UNDER("A") "A:ctl=+cpuset mk:A/B A:cpus=2-5 A/B:cpus=4-7 A/B:eff?4-5 A/B:cpus=6-7 A/B:eff?2-5" },
{ KOLDER, "cpus, cleared in use",UNDER("A") "A:cpus=2-3 t@A A:cpus=!ENOSPC t>. A:cpus=" },
{ K7,     "cpus, cleared in use",UNDER("A") "A:cpus=2-3 t@A A:cpus= A:eff?0-7" },
{ KALL,   "tasks follow",	UNDER("A") "A:cpus=2-3 t@A t?2-3 t.2?2-3 A:cpus=4 t?4" },

/* partitions */
{ KALL,   "isolated",		UNDER("A") "A:cpus=2-3 A:part=isolated A:part?isolated A:eff?2-3 .:eff?0-1,4-7 A:part=member .:eff?0-7" },
{ KALL,   "root",		UNDER("A") "A:cpus=2-3 A:part=root A:part?root .:eff?0-1,4-7 A:part=isolated A:part?isolated" },
{ KALL,   "no such state",	UNDER("A") "A:part=isolate!EINVAL A:part=!EINVAL A:part=0!EINVAL" },
{ KALL,   "empty",		UNDER("A") "A:part=isolated A:part?isolated:invalid .:eff?0-7" },
{ KALL,   "all CPUs",		UNDER("A") "A:cpus=0-7 A:part=isolated A:part?isolated:invalid .:eff?0-7" },
{ KALL,   "rmdir returns",	UNDER("A") "A:cpus=2-3 A:part=isolated rm:A .:eff?0-7" },
{ KALL,   "-cpuset dissolves",	UNDER("A") "A:cpus=2-3 A:part=isolated .:ctl=-cpuset .:eff?0-7 .:ctl=+cpuset A:part?member A:cpus?" },
{ KALL,   "siblings lose CPUs",	UNDER("A") "mk:B mk:B/C B:ctl=+cpuset A:cpus=2-3 A:part=isolated B:eff?0-1,4-7 B/C:eff?0-1,4-7" },
{ KALL,   "nested",		UNDER("A") "A:ctl=+cpuset mk:A/B A:cpus=1-5 A:part=root A/B:cpus=2-5 A/B:part=isolated A/B:part?isolated A:eff?1 A/B:eff?2-5 .:eff?0,6-7" },
{ KALL,   "nested takes all",	UNDER("A") "t@A A:ctl=+cpuset mk:A/V A/V:type=threaded A:cpus=2-3 A:part=root A/V:cpus=2-3 A/V:part=isolated A/V:part?isolated:invalid" },
{ KALL,   "threaded partition",	UNDER("A") "t@A A:ctl=+cpuset mk:A/V A/V:type=threaded A:cpus=1-3 A:part=root A/V:cpus=2-3 A/V:part=isolated A/V:part?isolated t.2~A/V t.2?2-3 t?1" },
{ KALL,   "nested, outer goes",	UNDER("A") "A:ctl=+cpuset mk:A/B A:cpus=1-5 A:part=root A/B:cpus=2-5 A/B:part=isolated A:part=member A/B:part?isolated:invalid .:eff?0-7 A/B:part=member" },
{ K61,    "no partition below a member", UNDER("A") "A:ctl=+cpuset mk:A/B A/B:cpus=2-3 A/B:part=isolated A/B:part?isolated:invalid" },
{ K61,    "invalid only by way of member", UNDER("A") "A:part=isolated A:part?isolated:invalid A:cpus=2-3 A:part=member A:part=isolated A:part?isolated" },
{ KLATER, "invalid, written again", UNDER("A") "mk:B A:cpus=0-7 A:part=isolated A:part?isolated:invalid A:cpus=2-3 A:part=isolated A:part?isolated" },
{ K61,    "no exclusive",	UNDER("A") "A:excl?!ENOENT A:xcpus?!ENOENT .:iso?!ENOENT" },
{ KALL,   "shrink a partition",	UNDER("A") "A:cpus=2-5 A:part=isolated A:cpus=2-3 A:part?isolated A:eff?2-3 .:eff?0-1,4-7" },
{ KALL,   "grow a partition",	UNDER("A") "A:cpus=2-3 A:part=isolated A:cpus=2-5 A:part?isolated A:eff?2-5 .:eff?0-1,6-7" },
{ KALL,   "offline at first",	UNDER("A") "cpu3=0 A:cpus=2-3 A:part=isolated A:part?isolated A:eff?2 .:eff?0-1,4-7 cpu3=1 A:eff?2-3" },

/* exclusive CPUs and remote partitions */
{ KLATER, "exclusive",		UNDER("A") "A:excl=2-3 A:excl?2-3 A:xcpus?2-3 A:eff?0-7 A:excl=9!ERANGE A:excl= A:xcpus?" },
{ KLATER, "exclusive of siblings",UNDER("A") "mk:B A:excl=2-3 B:excl=3-4!EINVAL B:excl=4 B:excl= B:cpus=4-5 A:excl=2-6!EINVAL" },
{ KLATER, "exclusive handed down",UNDER("A") "A:ctl=+cpuset mk:A/B A/B:excl=2-3 A/B:xcpus? A:excl=2-4 A/B:xcpus?2-3" },
{ KLATER, "remote",		UNDER("A") "A:ctl=+cpuset mk:A/B A:excl=2-3 A/B:excl=2-3 A/B:cpus=2-3 A/B:part=isolated A/B:part?isolated A/B:eff?2-3 A:eff?0-1,4-7 .:eff?0-1,4-7 .:iso?2-3 A/B:part=member .:eff?0-7 .:iso?" },
{ KLATER, "remote, not granted",UNDER("A") "A:ctl=+cpuset mk:A/B A/B:cpus=2-3 A/B:part=isolated A/B:part?isolated:invalid .:eff?0-7" },
{ KLATER, "remote, threaded",	UNDER("A") "t@A A:ctl=+cpuset mk:A/V A/V:type=threaded A:excl=2-3 A/V:excl=2-3 A/V:cpus=2-3 A/V:part=isolated A/V:part?isolated t.2~A/V t.2?2-3 t?0-1,4-7 t.2=2 t.2?2 t.2=0!EINVAL" },
{ KLATER, "remote, rmdir",	UNDER("A") "A:ctl=+cpuset mk:A/B A:excl=2-3 A/B:excl=2-3 A/B:part=isolated A/B:part?isolated rm:A/B .:eff?0-7 A:xcpus?2-3" },
{ KLATER, "two remote ones",	UNDER("A") "A:ctl=+cpuset mk:A/B mk:A/C A:excl=2-5 A/B:excl=2-3 A/C:excl=4-5 A/B:part=isolated A/C:part=isolated .:eff?0-1,6-7 .:iso?2-5 A/B:part=member .:eff?0-3,6-7 .:iso?4-5" },
{ K612,   "remote, ancestor loses",UNDER("A") "A:ctl=+cpuset mk:A/B A:excl=2-3 A/B:excl=2-3 A/B:part=isolated A:excl=2 A/B:part?member" },
{ K7,     "remote, ancestor loses",UNDER("A") "A:ctl=+cpuset mk:A/B A:excl=2-3 A/B:excl=2-3 A/B:part=isolated A:excl=2 A/B:part?isolated A/B:eff?2 .:eff?0-1,3-7" },
{ KLATER, "remote, shrinks below a cgroup without its CPUs", UNDER("A") "A:ctl=+cpuset mk:A/B A:excl=2-3 A:cpus=0-1,4-7 A/B:cpus=2-3 A/B:part=isolated A/B:part?isolated A/B:eff?2-3 A/B:cpus=2 A/B:part?isolated A/B:eff?2 .:eff?0-1,3-7 .:iso?2 A:eff?0-1,4-7 A/B:cpus=4 A/B:part?isolated:invalid A/B:eff?4 A/B:cpus=2-3 A/B:eff?0-1,4-7 .:eff?0-7" },
{ K612,   "remote, ancestor gains",UNDER("A") "A:ctl=+cpuset mk:A/B A:excl=2 A/B:cpus=2-3 A/B:part=isolated A/B:eff?2 A:excl=2-3 A/B:part?isolated A/B:eff?2 A/B:part=member A/B:part=isolated A/B:eff?2-3" },
{ K7,     "remote, ancestor gains",UNDER("A") "A:ctl=+cpuset mk:A/B A:excl=2 A/B:cpus=2-3 A/B:part=isolated A/B:eff?2 A:excl=2-3 A/B:part?isolated A/B:eff?2-3 .:eff?0-1,4-7" },
{ KLATER, "local by exclusive",	UNDER("A") "A:excl=2-3 A:part=isolated A:part?isolated A:eff?2-3 A:xcpus?2-3 .:eff?0-1,4-7" },

/* siblings that overlap */
{ KOLDER, "sibling refuses",	UNDER("A") "mk:B B:cpus=3-4 A:cpus=2-3 A:part=isolated A:part?isolated:invalid .:eff?0-7" },
{ K7,     "sibling loses",	UNDER("A") "mk:B B:cpus=3-4 A:cpus=2-3 A:part=isolated A:part?isolated .:eff?0-1,4-7 B:eff?4" },
{ KOLDER, "sibling invalidates",UNDER("A") "mk:B A:cpus=2-3 A:part=isolated B:cpus=0-3 A:part?isolated:invalid .:eff?0-7 B:cpus=0-1 A:part?isolated:invalid" },
{ K7,     "sibling is tolerated",UNDER("A") "mk:B A:cpus=2-3 A:part=isolated B:cpus=0-3 A:part?isolated B:eff?0-1" },
{ K7,     "the later gets the rest",UNDER("A") "mk:B A:cpus=2-3 A:part=isolated B:cpus=3-4 B:part=isolated B:part?isolated B:eff?4 B:xcpus?4" },
{ KLATER, "sibling of a remote path",UNDER("A") "A:ctl=+cpuset mk:A/B mk:C A:excl=2-3 A/B:excl=2-3 A/B:part=isolated C:cpus=0-5 A/B:part?isolated C:eff?0-1,4-5" },

/* affinity */
{ KALL,   "affinity",		"t@. t=2-3 t?2-3 t=2-9 t?2-7 t=9!EINVAL" },
{ KALL,   "affinity in a cpuset",UNDER("A") "A:cpus=2-3 t@A t=3-5 t?3 t=5!EINVAL t?3" },
{ KALL,   "affinity in the shield",UNDER("A") "t@. A:cpus=2-3 A:part=isolated t=2-3!EINVAL t=3-5 t?4-5" },
{ K61,    "lost at +cpuset",	"mk:A t@A t=1,5 .:ctl=+cpuset t?0-7" },
{ KLATER, "kept at +cpuset",	"mk:A t@A t=1,5 .:ctl=+cpuset t?1,5 .:ctl=-cpuset t?1,5" },
{ K61,    "lost at -cpuset",	UNDER("A") "t@A t=1,5 .:ctl=-cpuset t?0-7" },
{ K61,    "root keeps at +cpuset","mk:A t@. t=1,5 .:ctl=+cpuset t?1,5 .:ctl=-cpuset t?1,5" },
{ K61,    "lost in the root",	UNDER("A") "t@. t=2-5 A:cpus=4-7 A:part=isolated t?0-3 A:part=member t?0-7" },
{ KLATER, "kept in the root",	UNDER("A") "t@. t=2-5 A:cpus=4-7 A:part=isolated t?2-3 A:part=member t?2-5" },
{ KLATER, "only shielded CPUs",	UNDER("A") "t@. t=5 A:cpus=4-7 A:part=isolated t?0-3 A:part=member t?5" },
{ KLATER, "kept in a sibling",	UNDER("A") "mk:B t@B t=1,5 u@B u=6 A:cpus=4-7 A:part=isolated t?1 u?0-3 A:part=member t?1,5 u?6" },
{ K61,    "leak to the root",	UNDER("A") "mk:B t@B A:cpus=2-3 A:part=isolated t?0-1,4-7 t>. t?0-7" },
{ KLATER, "no leak to the root",UNDER("A") "mk:B t@B A:cpus=2-3 A:part=isolated t?0-1,4-7 t>. t?0-1,4-7" },
{ K61,    "lost at a move",	UNDER("A") "mk:B t@A t=1,5 t>B t?0-7" },
{ KLATER, "kept at a move",	UNDER("A") "mk:B t@A t=1,5 t>B t?1,5 B:cpus=5-6 t?5 t>A t?1,5" },
{ KALL,   "moves in one cpuset","mk:A mk:B t@A t=1,5 t>B t?1,5 t>. t?1,5" },

/* kernel threads */
{ K61,    "kernel thread",	UNDER("A") "kswapd0=1,3 A:cpus=2-3 A:part=isolated kswapd0?0-1,4-7 A:part=member kswapd0?0-7" },
{ KLATER, "kernel thread",	UNDER("A") "kswapd0=1,3 A:cpus=2-3 A:part=isolated kswapd0?1 A:part=member kswapd0?1,3 kswapd0=0-7" },
{ KALL,   "per-CPU thread",	UNDER("A") "A:cpus=2-3 A:part=isolated migration/2?2 migration/2=0!EINVAL" },

/* interrupts and workqueues */
{ KALL,   "interrupt",		"irq=2-3 irq?2-3 irq=9!ERANGE irq=!EINVAL irq=x!EINVAL irq=0-7 irq?0-7" },
{ K61,    "fixed interrupt",	"irq0=0-7!EIO" },
{ KLATER, "fixed interrupt",	"irq0=0-7!EPERM" },
{ KALL,   "default mask",	"default=0f default?0f default=0-3!EINVAL default=0!EINVAL default=1ff!EOVERFLOW" },
{ KALL,   "interrupts, partition",UNDER("A") "A:cpus=2-3 A:part=isolated irq=2-3 irq?2-3 irq?2-3" },
{ K61,    "workqueues",		UNDER("A") "A:cpus=2-3 A:part=isolated wq?ff wq=f3 wq?f3 wq=0!EINVAL A:part=member wq?f3" },
{ KLATER, "workqueues",		UNDER("A") "A:cpus=2-3 A:part=isolated wq?f3 wq=0!EINVAL wq=ff wq?ff A:part=member wq?ff" },
{ KLATER, "workqueues, asked for",UNDER("A") "wq=0f A:cpus=2-3 A:part=isolated wq?03 A:part=member wq?0f" },

/* CPU hotplug, one at a time */
{ KALL,   "offline",		"t@. cpu7=0 .:eff?0-6 t?0-6 irq=7!EINVAL cpu7=1 .:eff?0-7 t?0-7" },
{ KALL,   "partition loses one",UNDER("A") "A:cpus=2-3 A:part=isolated cpu3=0 A:part?isolated A:eff?2 cpu3=1 A:eff?2-3 .:eff?0-1,4-7" },
{ KALL,   "partition loses all",UNDER("A") "A:cpus=3 A:part=isolated t@A cpu3=0 A:part?isolated:invalid .:eff?0-2,4-7" },
};
/* clang-format on */

const unsigned matrix_count = ARRAY_SIZE(matrix_cases);
