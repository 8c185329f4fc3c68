/* SPDX-License-Identifier: MIT */
/*
 * lock [-n] PATH: takes the lock of flock(2) on PATH, says "taken" and keeps it until it is killed.
 * (busybox has no flock.) -n: does not wait for it. Exit status: 1 someone else has the lock, 2
 * PATH cannot be opened.
 */
#include <err.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	bool wait = argc != 3 || strcmp(argv[1], "-n") != 0;
	int fd;

	if (argc != (wait ? 2 : 3))
		errx(3, "usage: lock [-n] PATH");
	fd = open(argv[argc - 1], O_RDONLY);
	if (fd < 0)
		err(2, "%s", argv[argc - 1]);
	if (flock(fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB) < 0)
		err(1, "%s", argv[argc - 1]);
	if (write(STDOUT_FILENO, "taken\n", 6) != 6)
		err(3, "standard output");
	for (;;)
		pause();
}
