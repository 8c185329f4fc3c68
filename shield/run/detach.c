#include "shield/run/detach.h"

#include "shield/base/mem.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

_Noreturn static void worker(int (*work)(void *ctx), void *ctx)
{
	int null = open("/dev/null", O_RDWR);

	/* Whoever reads what the caller says must not have to wait for us. */
	setsid();
	for (int fd = 0; fd <= 2; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
	_exit(work(ctx));
}

int detach(int (*work)(void *ctx), void *ctx, int ms)
{
	pid_t pid = fork();
	_cleanup_(closep)
	int fd = -1;
	int status;

	if (pid == 0)
		worker(work, ctx);
	if (pid < 0)
		return -1;
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0 || poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, ms) <= 0 ||
	    waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}
