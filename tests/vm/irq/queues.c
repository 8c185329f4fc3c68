/* SPDX-License-Identifier: MIT */
/*
 * queues: a network interface with several queues, for as long as this runs.
 *
 *	queues NAME N
 *
 * Prints "ready" when it is there.
 */
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE };

	if (argc != 3 || strlen(argv[1]) >= sizeof(request.ifr_name))
		return 2;
	strcpy(request.ifr_name, argv[1]);
	for (int i = 0; i < atoi(argv[2]); i++) {
		int fd = open("/dev/net/tun", O_RDWR);

		if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0) {
			perror(argv[1]);
			return 1;
		}
	}
	puts("ready");
	fflush(stdout);
	pause();
	return 0;
}
