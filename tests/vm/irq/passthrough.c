/* SPDX-License-Identifier: MIT */
/*
 * passthrough: what QEMU is to the kernel when a guest has a PCI card.
 *
 *	passthrough [-c] ADDRESS VCPUS [VECTORS]
 *
 * Holds the card's IOMMU group open, has threads with the names of QEMU's vCPU
 * threads, and behaves like a guest whose driver starts and stops:
 *
 *	SIGUSR1		enables MSI-X, so many vectors; without a number the card is
 *			an e1000e, and from then on raises each of its five, twenty
 *			times a second
 *	SIGUSR2		disables it
 *	SIGTERM		ends
 *
 * With -c it is known by a device of iommufd, /dev/vfio/devices/vfioN, and has no
 * group open. Debian's kernels have no iommufd: a file stands in for that device,
 * with the name that the kernel has for it.
 *
 * Prints "ready", "armed" and "disarmed".
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define VECTORS 5
#define VECTORS_MAX 2048
/* Registers of the e1000e, by byte. */
#define ICR 0x00c0  /* causes; written ones are cleared */
#define ICS 0x00c8  /* raise them */
#define IMS 0x00d0  /* let them through */
#define IVAR 0x00e4 /* cause -> vector */
#define CAUSES 0x01f00000u

static void die(const char *what)
{
	fprintf(stderr, "passthrough: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *vcpu(void *number)
{
	char name[16];

	snprintf(name, sizeof(name), "CPU %d/KVM", (int)(intptr_t)number);
	prctl(PR_SET_NAME, name);
	for (;;)
		pause();
	return NULL;
}

static int open_group(const char *address)
{
	char path[128], link[256], *number;
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", address);
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		die(path);
	link[n] = '\0';
	number = strrchr(link, '/');
	snprintf(path, sizeof(path), "/dev/vfio/%s", number + 1);
	n = open(path, O_RDWR);
	if (n < 0)
		die(path);
	return (int)n;
}

static void open_cdev(const char *address)
{
	char path[512];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", address);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)) && entry->d_name[0] == '.')
		;
	if (!dir || !entry)
		die(path);
	mkdir("/dev/vfio/devices", 0755);
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", entry->d_name);
	if (open(path, O_RDWR | O_CREAT, 0600) < 0)
		die(path);
	closedir(dir);
}

static int open_device(const char *address, int cdev)
{
	int container = open("/dev/vfio/vfio", O_RDWR), group = open_group(address), device;

	if (container < 0)
		die("/dev/vfio/vfio");
	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) < 0)
		die("VFIO_GROUP_SET_CONTAINER");
	if (ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU) < 0)
		die("VFIO_SET_IOMMU");
	device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, address);
	if (device < 0)
		die("VFIO_GROUP_GET_DEVICE_FD");
	if (cdev) {
		open_cdev(address);
		close(group);
	}
	return device;
}

static struct vfio_region_info region(int device, unsigned index)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };

	if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info) < 0)
		die("VFIO_DEVICE_GET_REGION_INFO");
	return info;
}

/* Its registers can be reached, and it may send messages. */
static volatile uint32_t *enable(int device)
{
	struct vfio_region_info config = region(device, VFIO_PCI_CONFIG_REGION_INDEX);
	struct vfio_region_info bar = region(device, VFIO_PCI_BAR0_REGION_INDEX);
	uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	void *p;

	if (pwrite(device, &command, sizeof(command), (off_t)config.offset + PCI_COMMAND) < 0)
		die("PCI_COMMAND");
	p = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)bar.offset);
	if (p == MAP_FAILED)
		die("BAR 0");
	return p;
}

static void set_vectors(int device, int n)
{
	struct {
		struct vfio_irq_set set;
		int fds[VECTORS_MAX];
	} request = {
		.set = {
			.argsz = (uint32_t)(sizeof(request.set) + (unsigned)n * sizeof(int)),
			.flags = (n ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE) |
				 VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = VFIO_PCI_MSIX_IRQ_INDEX,
			.count = (uint32_t)n,
		},
	};

	for (int i = 0; i < n; i++)
		request.fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ioctl(device, VFIO_DEVICE_SET_IRQS, &request) < 0)
		die("VFIO_DEVICE_SET_IRQS");
	for (int i = 0; i < n; i++) /* the kernel has its own reference */
		close(request.fds[i]);
}

static void route(volatile uint32_t *registers)
{
	uint32_t ivar = 1u << 31;

	for (unsigned i = 0; i < VECTORS; i++)
		ivar |= (8u | i) << (4 * i);
	registers[IVAR / 4] = ivar;
	registers[IMS / 4] = CAUSES;
}

int main(int argc, char **argv)
{
	struct timespec tick = { .tv_nsec = 50000000 };
	volatile uint32_t *registers = NULL;
	int device, armed = 0, vectors, cdev = argc > 1 && strcmp(argv[1], "-c") == 0;
	sigset_t signals;

	argc -= cdev;
	argv += cdev;
	vectors = argc > 3 ? atoi(argv[3]) : VECTORS;
	if (argc < 3 || argc > 4 || vectors < 1 || vectors > VECTORS_MAX) {
		fprintf(stderr, "usage: passthrough [-c] ADDRESS VCPUS [VECTORS]\n");
		return 2;
	}
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGUSR2);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	for (int i = 0; i < atoi(argv[2]); i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, vcpu, (void *)(intptr_t)i))
			die("pthread_create");
	}
	device = open_device(argv[1], cdev);
	if (argc == 3)
		registers = enable(device);
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("ready");
	for (;;) {
		switch (sigtimedwait(&signals, NULL, &tick)) {
		case SIGUSR1:
			if (!armed)
				set_vectors(device, vectors);
			armed = 1;
			if (registers)
				route(registers);
			puts("armed");
			break;
		case SIGUSR2:
			if (armed)
				set_vectors(device, 0);
			armed = 0;
			puts("disarmed");
			break;
		case SIGTERM:
			return 0;
		default:
			if (armed && registers) {
				registers[ICR / 4] = 0xffffffffu;
				registers[ICS / 4] = CAUSES;
			}
		}
	}
}
