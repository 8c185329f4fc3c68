/* SPDX-License-Identifier: MIT */
/*
 * retune: what makes a network driver set its interrupts up anew.
 *
 *	retune channels NAME N	so many combined channels (ethtool -L)
 *	retune ring NAME N	so many receive descriptors (ethtool -G)
 */
#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static int ask(const char *name, void *value)
{
	struct ifreq request = { .ifr_data = value };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	strcpy(request.ifr_name, name);
	if (fd >= 0 && ioctl(fd, SIOCETHTOOL, &request) == 0)
		return 0;
	perror(name);
	return 1;
}

int main(int argc, char **argv)
{
	struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };
	struct ethtool_ringparam ring = { .cmd = ETHTOOL_GRINGPARAM };

	if (argc != 4 || strlen(argv[2]) >= IFNAMSIZ)
		return 2;
	if (strcmp(argv[1], "channels") == 0) {
		if (ask(argv[2], &channels))
			return 1;
		channels.cmd = ETHTOOL_SCHANNELS;
		channels.combined_count = (unsigned)atoi(argv[3]);
		return ask(argv[2], &channels);
	}
	if (ask(argv[2], &ring))
		return 1;
	ring.cmd = ETHTOOL_SRINGPARAM;
	ring.rx_pending = (unsigned)atoi(argv[3]);
	return ask(argv[2], &ring);
}
