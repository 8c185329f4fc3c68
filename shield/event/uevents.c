/* SPDX-License-Identifier: MIT */
#include "shield/event/uevents.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int uevents_open(void)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			NETLINK_KOBJECT_UEVENT);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

bool uevents_cpu(int fd)
{
	static const char device[] = "line@/devices/system/cpu/cpu";
	char message[4096];
	bool found = false;
	ssize_t n;

	/* "online@/devices/system/cpu/cpu3", then NUL and the variables. */
	while ((n = recv(fd, message, sizeof(message) - 1, 0)) > 0) {
		message[n] = '\0';
		found |= strstr(message, device) != NULL;
	}
	return found || (n < 0 && errno == ENOBUFS);
}
