/* SPDX-License-Identifier: MIT */
/* rewrite FILE TEXT: writes the text to the file, again and again, until that fails because the
 * file is gone. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int fd;

	if (argc != 3)
		return 2;
	while ((fd = open(argv[1], O_WRONLY)) >= 0) {
		ssize_t n = write(fd, argv[2], strlen(argv[2]));

		close(fd);
		if (n < 0)
			break;
	}
	return 0;
}
