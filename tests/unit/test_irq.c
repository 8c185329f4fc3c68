/* SPDX-License-Identifier: MIT */
/* Interrupts: what they are, where they belong, and irqbalance. */
#include "irq/irq.h"
#include "irq/pci.h"
#include "irq/vfio.h"
#include "shield/base/pci_address.h"
#include "shield/policy/irqs.h"
#include "shield/vm/vm.h"
#include "shield/ops/irq_policies.h"
#include "shield/sys/balancer.h"
#include "shield/sys/kfile.h"
#include "tests/fake/kernel.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct cpuset set(const char *list)
{
	struct cpuset cpus = { 0 };

	assert_int_equal(cpulist_parse(list, &cpus, NULL), 0);
	return cpus;
}

static void assert_list(const struct cpuset *cpus, const char *expected)
{
	char *list = cpulist_format(cpus);

	assert_string_equal(list, expected);
	free(list);
}

static void test_actions(void **state)
{
	unsigned vector = 99;
	char *device = vfio_action_device("vfio-msix[13](0000:01:00.0)", &vector);

	(void)state;
	assert_string_equal(device, "0000:01:00.0");
	assert_int_equal(vector, 13);
	free(device);
	device = vfio_action_device("vfio-intx(0000:01:00.1)", &vector);
	assert_string_equal(device, "0000:01:00.1");
	assert_int_equal(vector, 0);
	free(device);
	assert_null(vfio_action_device("xhci_hcd", &vector));
	assert_null(vfio_action_device("vfio-msix[0](../../etc)", &vector));
	assert_null(vfio_action_device("vfio-msix[0](", &vector));
}

static void test_matches(void **state)
{
	const struct irq irq = {
		.actions = (char *)"i801_smbus,ehci_hcd:usb1",
		.chip = (char *)"IR-IO-APIC",
		.device = (char *)"0000:00:1f.3",
		.driver = (char *)"i801_smbus",
	};
	const struct irq bare = {
		.actions = (char *)"",
		.chip = (char *)"IO-APIC",
		.device = (char *)"",
		.driver = (char *)"",
	};

	(void)state;
	assert_true(irq_matches(&irq, "action:ehci*"));
	assert_true(irq_matches(&irq, "chip:*APIC"));
	assert_true(irq_matches(&irq, "driver:i801_smbus"));
	assert_true(irq_matches(&irq, "pci:0000:00:*"));
	assert_true(irq_matches(&irq, "pci:00:1f.3"));
	assert_false(irq_matches(&irq, "pci:1f.3"));
	assert_false(irq_matches(&irq, "driver:nvme"));
	assert_false(irq_matches(&irq, "action:ehci"));
	assert_false(irq_matches(&irq, "ehci"));
	assert_false(irq_matches(&irq, "actions:*"));
	/* What it has not, no glob means. */
	assert_true(irq_matches(&bare, "chip:*"));
	assert_false(irq_matches(&bare, "pci:*"));
	assert_false(irq_matches(&bare, "driver:*"));
	assert_false(irq_matches(&bare, "action:*"));
}

static enum irq_target place(const char *actions, const struct irq_policy *policies,
			     struct cpuset *cpus)
{
	const struct irq irq = {
		.class = strncmp(actions, "vfio", 4) ? IRQ_ORDINARY : IRQ_VFIO,
		.actions = (char *)actions,
		.chip = (char *)"IR-PCI-MSI",
		.device = (char *)"",
		.driver = (char *)"nvme",
	};
	size_t policy;

	cpuset_clear(cpus);
	return irq_target(&irq, policies, 2, &policy, cpus);
}

static void test_place(void **state)
{
	struct cpuset first = set("4-7"), second = set("8-9"), cpus = { 0 };
	struct profile_rule rule = { (char *)"action:nvme*", set("0,8") };
	unsigned order[] = { 5, 4 };
	struct irq_policy policies[] = {
		{ .name = "a", .guest = &first, .rules = &rule, .n_rules = 1 },
		{ .name = "b", .guest = &second, .cpus = order, .n_cpus = 2, .vfio = VFIO_SPREAD },
	};

	(void)state;
	strv_add(&policies[0].devices, "0000:01:00.0");
	strv_add(&policies[0].devices, "0000:01:00.1");
	strv_add(&policies[1].devices, "0000:02:00.0");
	/* Vector after vector, each device one further. */
	assert_int_equal(place("vfio-msix[0](0000:01:00.0)", policies, &cpus), IRQ_SET);
	assert_list(&cpus, "4");
	place("vfio-msix[6](0000:01:00.0)", policies, &cpus);
	assert_list(&cpus, "6");
	place("vfio-msi[0](0000:01:00.1)", policies, &cpus);
	assert_list(&cpus, "5");
	/* A line that two of its devices share, and one shared with another VM's. */
	place("vfio-intx(0000:01:00.1),vfio-intx(0000:01:00.0)", policies, &cpus);
	assert_list(&cpus, "5");
	assert_int_equal(place("vfio-intx(0000:01:00.0),vfio-intx(0000:02:00.0)", policies, &cpus),
			 IRQ_AVOID);
	/* In the order of the vCPUs where that is known. */
	place("vfio-msix[1](0000:02:00.0)", policies, &cpus);
	assert_list(&cpus, "4");
	/* Another VM's, and a device of the host. */
	assert_int_equal(place("vfio-msix[0](0000:03:00.0)", policies, &cpus), IRQ_AVOID);
	assert_int_equal(place("xhci_hcd", policies, &cpus), IRQ_AVOID);
	/* A rule never gives guest CPUs of another shield. */
	assert_int_equal(place("nvme0q1", policies, &cpus), IRQ_SET);
	assert_list(&cpus, "0");
	/* Nor is it for what the other's VM has; and what a VM without a shield
	 * has gets no guest CPUs by it. */
	rule.match = (char *)"action:vfio*";
	cpuset_add(&rule.cpus, 4);
	place("vfio-msix[1](0000:02:00.0)", policies, &cpus);
	assert_list(&cpus, "4");
	place("vfio-msix[0](0000:02:00.0)", policies, &cpus);
	assert_list(&cpus, "5");
	place("vfio-msix[1](0000:01:00.0)", policies, &cpus);
	assert_list(&cpus, "0,4");
	place("vfio-msix[1](0000:03:00.0)", policies, &cpus);
	assert_list(&cpus, "0");
	rule.match = (char *)"action:nvme*";
	policies[0].vfio = VFIO_GUEST;
	place("vfio-msix[0](0000:01:00.0)", policies, &cpus);
	assert_list(&cpus, "4-7");
	policies[0].vfio = VFIO_HOUSEKEEPING;
	assert_int_equal(place("vfio-msix[0](0000:01:00.0)", policies, &cpus), IRQ_AVOID);
	policies[0].vfio = VFIO_LEAVE;
	assert_int_equal(place("vfio-msix[0](0000:01:00.0)", policies, &cpus), IRQ_LEAVE);
	strv_clear(&policies[0].devices);
	strv_clear(&policies[1].devices);
	cpuset_clear(&rule.cpus);
	cpuset_clear(&first);
	cpuset_clear(&second);
	cpuset_clear(&cpus);
}

/* NVMe: the vector of queue k goes to the CPU of vCPU k - 1, in its own order. */
static void test_nvme(void **state)
{
	static const char *const expected[] = { "6", "6", "4", "7", "6" };
	struct cpuset guest = set("4-7"), cpus = { 0 };
	unsigned order[] = { 6, 4, 7 };
	struct irq_policy policy = { .guest = &guest, .cpus = order, .n_cpus = 3 };
	size_t which;

	(void)state;
	strv_add(&policy.devices, "0000:01:00.0");
	strv_add(&policy.devices, "0000:02:00.0");
	for (unsigned k = 0; k < ARRAY_SIZE(expected); k++) {
		char *action = xasprintf("vfio-msix[%u](0000:02:00.0)", k);
		struct irq irq = { .class = IRQ_VFIO, .actions = action, .nvme = true };

		assert_int_equal(irq_target(&irq, &policy, 1, &which, &cpus), IRQ_SET);
		assert_list(&cpus, expected[k]);
		cpuset_clear(&cpus);
		free(action);
	}
	strv_clear(&policy.devices);
	cpuset_clear(&guest);
}

/* Rules that decide nothing: without an interrupt, with fixed ones only, behind
 * others. */
static void test_rules(void **state)
{
	struct irq items[] = {
		{ .actions = (char *)"xhci_hcd",
		  .chip = (char *)"IR-PCI-MSI",
		  .device = (char *)"",
		  .driver = (char *)"xhci_hcd" },
		{ .actions = (char *)"ahci",
		  .chip = (char *)"IR-PCI-MSI",
		  .device = (char *)"",
		  .driver = (char *)"ahci" },
		{ .actions = (char *)"nvme0q1",
		  .chip = (char *)"IR-PCI-MSI",
		  .device = (char *)"",
		  .driver = (char *)"nvme",
		  .class = IRQ_MANAGED },
	};
	const struct irqs irqs = { .items = items, .n = 3 };
	struct profile_rule rules[] = {
		{ .match = (char *)"driver:xhci*" }, { .match = (char *)"driver:nosuch" },
		{ .match = (char *)"driver:nvme" },  { .match = (char *)"action:xhci_hcd" },
		{ .match = (char *)"chip:IR-*" },    { .match = (char *)"driver:ahci" },
	};
	const struct profile profile = { .name = (char *)"p", .rules = rules, .n_rules = 6 };
	struct strv warnings = { 0 };

	(void)state;
	policy_unused_rules(&irqs, &profile, NULL, 0, &warnings);
	assert_int_equal(warnings.n, 4);
	assert_non_null(strstr(warnings.items[0], "\"driver:nosuch\" matches no interrupt"));
	assert_non_null(
		strstr(warnings.items[1], "\"driver:nvme\" matches only interrupts that cannot"));
	assert_non_null(strstr(warnings.items[2], "\"action:xhci_hcd\" decides nothing"));
	assert_non_null(strstr(warnings.items[2], "\"driver:xhci*\" stands before it"));
	assert_non_null(strstr(warnings.items[3], "\"driver:ahci\" decides nothing"));
	strv_clear(&warnings);
}

/* Other shields come first: with their CPUs, and with their rules. */
static void test_rules_of_others(void **state)
{
	struct irq items[] = {
		{ .actions = (char *)"ahci",
		  .chip = (char *)"IR-PCI-MSI",
		  .device = (char *)"",
		  .driver = (char *)"ahci" },
		{ .actions = (char *)"eth0",
		  .chip = (char *)"IR-PCI-MSI",
		  .device = (char *)"",
		  .driver = (char *)"e1000e" },
		{ .actions = (char *)"rtc0",
		  .chip = (char *)"IO-APIC",
		  .device = (char *)"",
		  .driver = (char *)"" },
	};
	const struct irqs irqs = { .items = items, .n = 3 };
	struct profile_rule theirs = { (char *)"driver:ahci", set("0") };
	struct profile_rule rules[] = { { (char *)"driver:ahci", set("1") },
					{ (char *)"action:eth0", set("4") },
					{ (char *)"action:rtc0", set("1,4") } };
	struct cpuset first = set("4-5"), second = set("6-7");
	const struct profile profile = { .name = (char *)"p", .rules = rules, .n_rules = 3 };
	const struct irq_policy policies[] = {
		{ .name = "a", .guest = &first, .rules = &theirs, .n_rules = 1 },
		{ .name = "p", .guest = &second, .rules = rules, .n_rules = 3 },
	};
	struct strv warnings = { 0 };

	(void)state;
	policy_unused_rules(&irqs, &profile, policies + 1, 1, &warnings);
	assert_int_equal(warnings.n, 0);
	policy_unused_rules(&irqs, &profile, policies, 2, &warnings);
	assert_int_equal(warnings.n, 2);
	assert_non_null(
		strstr(warnings.items[0], "\"driver:ahci\" decides nothing while other shields"));
	assert_non_null(
		strstr(warnings.items[1], "\"action:eth0\" decides nothing while other shields"));
	strv_clear(&warnings);
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		cpuset_clear(&rules[i].cpus);
	cpuset_clear(&theirs.cpus);
	cpuset_clear(&first);
	cpuset_clear(&second);
}

/* Two QEMUs: one holds a group, the other devices (iommufd). */
static void test_devices(void **state)
{
	struct fake *fake = fake_new(FAKE_7, 8);
	struct strv devices = { 0 };
	struct sys sys;

	(void)state;
	fake_sys(fake, &sys);
	fake_symlink(fake, "/proc/4000/fd/3", "/dev/vfio/vfio");
	fake_symlink(fake, "/proc/4000/fd/4", "/dev/vfio/17");
	fake_dir(fake, "/sys/kernel/iommu_groups/17/devices/0000:01:00.0");
	fake_dir(fake, "/sys/kernel/iommu_groups/17/devices/0000:01:00.1");
	vfio_devices(&sys, 4000, &devices);
	assert_int_equal(devices.n, 2);
	assert_string_equal(devices.items[1], "0000:01:00.1");
	strv_clear(&devices);
	fake_symlink(fake, "/proc/4003/fd/4", "/dev/vfio/noiommu-17");
	vfio_devices(&sys, 4003, &devices);
	assert_int_equal(devices.n, 2);
	strv_clear(&devices);
	fake_symlink(fake, "/proc/4001/fd/3", "/dev/iommu");
	fake_symlink(fake, "/proc/4001/fd/4", "/dev/vfio/devices/vfio0");
	fake_symlink(fake, "/proc/4001/fd/5", "/dev/vfio/devices/vfio1");
	fake_symlink(fake, "/proc/4001/fd/6", "/dev/vfio/devices/vfio0");
	fake_symlink(fake, "/sys/class/vfio-dev/vfio0/device", "../../../0000:02:00.0");
	fake_symlink(fake, "/sys/class/vfio-dev/vfio1/device", "../../../not-a-card");
	vfio_devices(&sys, 4001, &devices);
	assert_int_equal(devices.n, 1);
	assert_string_equal(devices.items[0], "0000:02:00.0");
	strv_clear(&devices);
	vfio_devices(&sys, 4002, &devices);
	assert_int_equal(devices.n, 0);
	fake_free(fake);
}

/* Of the devices on a line the one that is likely to use it. */
static void test_line(void **state)
{
	struct fake *fake = fake_new(FAKE_7, 8);
	struct pci pci = { 0 };
	struct sys sys;

	(void)state;
	fake_sys(fake, &sys);
	fake_file(fake, "/sys/bus/pci/devices/0000:00:01.0/irq", "16\n");
	fake_file(fake, "/sys/bus/pci/devices/0000:00:02.0/irq", "16\n");
	fake_symlink(fake, "/sys/bus/pci/devices/0000:00:02.0/driver", "../drivers/vfio-pci");
	fake_file(fake, "/sys/bus/pci/devices/0000:00:1f.4/irq", "16\n");
	fake_symlink(fake, "/sys/bus/pci/devices/0000:00:1f.4/driver", "../drivers/i801_smbus");
	fake_file(fake, "/sys/bus/pci/devices/0000:00:1f.5/irq", "17\n");
	fake_file(fake, "/sys/bus/pci/devices/0000:00:1f.6/irq", "17\n");
	fake_symlink(fake, "/sys/bus/pci/devices/0000:00:1f.6/driver", "../drivers/vfio-pci");
	pci_snapshot(&sys, &pci);
	assert_string_equal(pci_of_irq(&pci, 16)->address, "0000:00:1f.4");
	assert_string_equal(pci_of_irq(&pci, 17)->address, "0000:00:1f.6");
	assert_null(pci_of_irq(&pci, 18));
	pci_clear(&pci);
	fake_free(fake);
}

/* What the VM of one shield has open, the profile of another cannot claim. */
static void test_wishes(void **state)
{
	struct fake *fake = fake_new(FAKE_7, 8);
	struct state shields = { 0 };
	struct irq_policies policies;
	struct shield *s;
	struct sys sys;
	char *path;

	(void)state;
	fake_sys(fake, &sys);
	s = state_add_shield(&shields, "a");
	strv_add(&s->irq.devices, "0000:01:00.0");
	strv_add(&s->irq.devices, "0000:02:00.0");
	s = state_add_shield(&shields, "b");
	s->vm.pid = fake_process(fake, "qemu-system-x86_64", "");
	assert_int_equal(vm_identity(&sys, s->vm.pid, &s->vm.start), 0);
	strv_add(&s->irq.devices, "0000:03:00.0");
	path = xasprintf("/proc/%d/fd/4", (int)s->vm.pid);
	fake_symlink(fake, path, "/dev/vfio/17");
	fake_dir(fake, "/sys/kernel/iommu_groups/17/devices/0000:01:00.0");
	irq_policies_read(&sys, &shields, &policies);
	assert_int_equal(policies.items[0].devices.n, 1);
	assert_string_equal(policies.items[0].devices.items[0], "0000:02:00.0");
	assert_int_equal(policies.items[1].devices.n, 2);
	assert_string_equal(policies.items[1].devices.items[0], "0000:03:00.0");
	assert_string_equal(policies.items[1].devices.items[1], "0000:01:00.0");
	free(path);
	irq_policies_clear(&policies);
	state_clear(&shields);
	fake_free(fake);
}

/* A guest's line is the host's, too, if a device of the host shares it. */
static void test_classes(void **state)
{
	static const struct {
		const char *actions;
		enum irq_class class;
	} lines[] = {
		{ "", IRQ_NO_ACTION },
		{ "ahci", IRQ_ORDINARY },
		{ "vfio-intx(0000:01:00.0)", IRQ_VFIO },
		{ "vfio-intx(0000:01:00.0),vfio-intx(0000:01:00.1)", IRQ_VFIO },
		{ "vfio-intx(0000:01:00.0),uhci_hcd:usb1", IRQ_ORDINARY },
		{ "uhci_hcd:usb1,vfio-intx(0000:01:00.0)", IRQ_ORDINARY },
	};
	struct fake *fake = fake_new(FAKE_7, 8);
	struct irqs irqs = { 0 };
	struct err err = { 0 };
	struct sys sys;

	(void)state;
	fake_sys(fake, &sys);
	for (unsigned i = 0; i < ARRAY_SIZE(lines); i++)
		fake_irq(fake, i, lines[i].actions, NULL, 0);
	assert_int_equal(irqs_snapshot(&sys, &irqs, &err), 0);
	assert_int_equal(irqs.n, ARRAY_SIZE(lines));
	for (size_t i = 0; i < irqs.n; i++)
		assert_int_equal(irqs.items[i].class, lines[i].class);
	irqs_clear(&irqs);
	fake_free(fake);
}

/* Two thousand of them, with devices: found, in order, and planned for. */
static void test_many(void **state)
{
	struct fake *fake = fake_new(FAKE_7, 16);
	struct cpuset taken = set("4-15"), rest = set("0-3");
	struct irq_policy policy = { .name = "a", .guest = &taken };
	struct strv warnings = { 0 };
	struct irqs irqs = { 0 };
	struct plan plan = { 0 };
	struct err err = { 0 };
	struct sys sys;

	(void)state;
	fake_sys(fake, &sys);
	for (unsigned i = 0; i < 2000; i++) {
		char *path = xasprintf("/sys/bus/pci/devices/0000:%02x:00.0/msi_irqs/%u", i / 100,
				       100 + i);
		char *name = xasprintf("nic-%u", i);

		fake_irq(fake, 100 + i, name, i % 2 ? "0-15" : "1", i % 10 == 3 ? FAKE_MANAGED : 0);
		fake_file(fake, path, "msix\n");
		free(name);
		free(path);
	}
	fake_symlink(fake, "/sys/bus/pci/devices/0000:01:00.0/driver",
		     "../../../bus/pci/drivers/ixgbe");
	assert_int_equal(irqs_snapshot(&sys, &irqs, &err), 0);
	assert_true(irqs.n >= 2000);
	for (size_t i = 1; i < irqs.n; i++)
		assert_true(irqs.items[i - 1].number < irqs.items[i].number);
	for (size_t i = 0; i < irqs.n; i++)
		if (irqs.items[i].number == 250) {
			char *identity = irq_identity(&irqs.items[i]);

			assert_string_equal(irqs.items[i].driver, "ixgbe");
			assert_string_equal(identity, "nic-150@0000:01:00.0");
			assert_int_equal(irq_is(&sys, 250, identity), 1);
			assert_int_equal(irq_is(&sys, 251, identity), 0);
			free(identity);
		}
	policy_irqs(&irqs, &policy, 1, 0, &taken, &rest, NULL, NULL, &plan);
	assert_int_equal(plan.n, 1000 - 200);
	for (size_t i = 0; i < plan.n; i++)
		assert_string_equal(plan.steps[i].to, "0-3");
	/* Those that cannot be moved: a line a device. */
	policy_managed(&irqs, &taken, &warnings);
	assert_int_equal(warnings.n, 20);
	assert_string_equal(
		warnings.items[1],
		"0000:01:00.0 (ixgbe): 10 interrupts on guest CPUs cannot be moved: "
		"managed; only isolcpus=managed_irq at boot keeps it away; it fires only "
		"for I/O submitted on that CPU");
	strv_clear(&warnings);
	plan_clear(&plan);
	irqs_clear(&irqs);
	cpuset_clear(&taken);
	cpuset_clear(&rest);
	fake_free(fake);
}

static void test_paths(void **state)
{
	unsigned number;

	(void)state;
	assert_non_null(kfile_find("/run/irqbalance/irqbalance12.sock", NULL));
	assert_null(kfile_find("/run/irqbalance/irqbalance.sock", NULL));
	assert_null(kfile_find("/run/irqbalance/irqbalance1x.sock", NULL));
	assert_non_null(kfile_find("/sys/class/net/eth0.5/queues/rx-11/rps_cpus", NULL));
	assert_null(kfile_find("/sys/class/net/../queues/rx-1/rps_cpus", NULL));
	assert_null(kfile_find("/sys/class/net/eth0/queues/rx-1/rps_flow_cnt", NULL));
	assert_true(irq_path_number("/proc/irq/17/smp_affinity_list", &number));
	assert_int_equal(number, 17);
	assert_false(irq_path_number("/proc/irq/017/smp_affinity_list", &number));
	assert_false(irq_path_number("/proc/irq/default_smp_affinity", &number));
	assert_true(pci_address_ok("0000:00:1f.2"));
	assert_false(pci_address_ok("0000:00:1f.2x"));
	assert_true(pci_address_ok("10000:e1:00.0"));
	assert_false(pci_address_ok("123456789:e1:00.0"));
	assert_false(pci_address_ok("000:e1:00.0"));
	assert_false(pci_address_ok("00:1f.2"));
	assert_string_equal(irq_write_hint(-ENOENT), "");
	assert_non_null(strstr(irq_write_hint(-ENOSPC), "vector"));
}

/* irqbalance: what it is asked, and what the answers mean. */
static const char *banned;
static char *asked;
static struct sys_ops ops;

static int answer(void *ctx, const char *path, const char *request, char **ret)
{
	(void)ctx;
	if (strcmp(path, "/run/irqbalance/irqbalance7.sock") != 0)
		return -ENOENT;
	free(asked);
	asked = xstrdup(request);
	if (ret)
		*ret = xasprintf(
			"SLEEP 10 IRQ 3 LOAD 1 DIFF 0 CLASS 0 IRQ 41 LOAD 12 DIFF 9 CLASS 5 BANNED %s\n",
			banned);
	return 0;
}

static void test_balancer(void **state)
{
	static const char path[] = "/run/irqbalance/irqbalance7.sock";
	struct fake *fake = fake_new(FAKE_7, 8);
	const struct kfile *row = kfile_find(path, NULL);
	struct cpuset cpus = { 0 };
	char *value;
	struct sys sys;

	(void)state;
	fake_sys(fake, &sys);
	ops = *sys.ops;
	ops.ask = answer;
	sys.ops = &ops;
	fake_file(fake, "/sys/devices/system/cpu/nohz_full", "7\n");
	banned = "00000001";
	assert_int_equal(kfile_read(&sys, row, path, &value), 0);
	assert_string_equal(value, "1-6");
	assert_string_equal(asked, "setup");
	/* Guest CPUs 4-5 are taken out; those of nohz_full stay banned. */
	assert_int_equal(kfile_write(&sys, row, path, "1-3,6"), 0);
	assert_string_equal(asked, "settings cpus 0,4-5,7");
	assert_int_equal(kfile_write(&sys, row, path, value), 0);
	assert_string_equal(asked, "settings cpus 0,7");
	/* Nothing banned is its default; an empty list would crash it. */
	assert_int_equal(kfile_write(&sys, row, path, "0-6"), 0);
	assert_string_equal(asked, "settings cpus NULL");
	/* The interrupts that it leaves alone. */
	free(value);
	row = kfile_find("/run/irqbalance/irqbalance7.sock/irqs", NULL);
	assert_int_equal(kfile_read(&sys, row, "/run/irqbalance/irqbalance7.sock/irqs", &value), 0);
	assert_string_equal(value, "3,41");
	assert_int_equal(kfile_write(&sys, row, "/run/irqbalance/irqbalance7.sock/irqs", "3,41-43"),
			 0);
	assert_string_equal(asked, "settings ban irqs 3 41 42 43");
	assert_int_equal(kfile_write(&sys, row, "/run/irqbalance/irqbalance7.sock/irqs", ""), 0);
	assert_string_equal(asked, "settings ban irqs NONE");
	assert_int_equal(
		kfile_write(&sys, row, "/run/irqbalance/irqbalance7.sock/irqs", "1000-2000"), 0);
	assert_true(strlen(asked) < 500);
	assert_null(kfile_find("/run/irqbalance/irqbalance7.sock/cpus", NULL));
	banned = "xyz";
	assert_int_equal(balancer_read(&sys, path, &cpus, NULL), -EBADMSG);
	assert_int_equal(balancer_read(&sys, "/run/irqbalance/irqbalance8.sock", &cpus, NULL),
			 -ENOENT);
	free(asked);
	free(value);
	cpuset_clear(&cpus);
	fake_free(fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_actions),
		cmocka_unit_test(test_matches),
		cmocka_unit_test(test_place),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_nvme),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_rules_of_others),
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_wishes),
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_balancer),
	};

	mem_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
