/* SPDX-License-Identifier: MIT */
#include "shield/event/procevents.h"

#include "shield/sys/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define KTHREADD 2
#define ACK_MS 500

/* Where things are in a message: netlink header, connector header, event. */
#define AT_EVENT (NLMSG_HDRLEN + sizeof(struct cn_msg))
#define AT(member) ((unsigned)(AT_EVENT + offsetof(struct proc_event, member)))
/* A filter loads words in network order. */
#define WORD(n) htonl((unsigned)(n))
#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AT(member))
#define IF_NOT(n, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, WORD(n), 0, skip)
#define TAKE BPF_STMT(BPF_RET | BPF_K, 0xffffffff)
#define DROP BPF_STMT(BPF_RET | BPF_K, 0)

int procevents_choose(struct procevents *p, unsigned what, pid_t of, struct err *err)
{
	/* Numbers that never occur stand for what is not wanted. */
	unsigned exec = what & PROCEVENTS_EXEC ? PROC_EVENT_EXEC : 0x7fffffff;
	unsigned parent = what & PROCEVENTS_KTHREAD ? KTHREADD : 0x7fffffff;
	unsigned process = what & PROCEVENTS_THREAD ? (unsigned)of : 0x7fffffff;
	struct sock_filter program[] = {
		LOAD(what),
		IF_NOT(PROC_EVENT_NONE, 1), /* the answer to our own request */
		TAKE,
		IF_NOT(exec, 1),
		TAKE,
		IF_NOT(PROC_EVENT_FORK, 6),
		LOAD(event_data.fork.parent_tgid),
		IF_NOT(parent, 1),
		TAKE,
		LOAD(event_data.fork.child_tgid),
		IF_NOT(process, 1),
		TAKE,
		DROP,
	};
	struct sock_fprog filter = { ARRAY_SIZE(program), program };

	if (setsockopt(p->fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) < 0)
		return err_set(err, ERR_UNSUPPORTED, "cannot filter process events: %s",
			       err_errno(errno));
	return 0;
}

static int send_request(int fd, enum proc_cn_mcast_op request)
{
	unsigned char m[AT_EVENT + sizeof(request)] __attribute__((aligned(8)));
	struct nlmsghdr header = { .nlmsg_len = sizeof(m), .nlmsg_type = NLMSG_DONE };
	struct cn_msg message = { .id = { CN_IDX_PROC, CN_VAL_PROC }, .len = sizeof(request) };

	memcpy(m, &header, sizeof(header));
	memcpy(m + NLMSG_HDRLEN, &message, sizeof(message));
	memcpy(m + AT_EVENT, &request, sizeof(request));
	return send(fd, m, sizeof(m), 0) < 0 ? -errno : 0;
}

/* One datagram: 1 with the event, 0 for something else, or a negated errno. */
static int receive(int fd, struct proc_event *event)
{
	char buffer[1024] __attribute__((aligned(8)));
	struct sockaddr_nl from = { 0 };
	socklen_t size = sizeof(from);
	ssize_t n =
		recvfrom(fd, buffer, sizeof(buffer), MSG_DONTWAIT, (struct sockaddr *)&from, &size);
	struct cn_msg message;

	if (n < 0)
		return errno == ENOBUFS ? -EOVERFLOW : -errno;
	/* Other processes may send to the group; the kernel is number 0. Older
	 * kernels' events are shorter than ours: only what follows is used. */
	if (from.nl_pid != 0 || (size_t)n < AT_EVENT + offsetof(struct proc_event, event_data))
		return 0;
	memcpy(&message, buffer + NLMSG_HDRLEN, sizeof(message));
	if (message.id.idx != CN_IDX_PROC || message.id.val != CN_VAL_PROC)
		return 0;
	n -= (ssize_t)AT_EVENT;
	memset(event, 0, sizeof(*event));
	memcpy(event, buffer + AT_EVENT, (size_t)n < sizeof(*event) ? (size_t)n : sizeof(*event));
	return 1;
}

/* The kernel answers a request from where it will send events, and says nothing
 * in another namespace or without CONFIG_PROC_EVENTS. */
static int await_answer(struct sys *sys, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	long long deadline = sys_deadline(sys, ACK_MS);
	struct proc_event event;

	do {
		int rc = sys->ops->poll(sys->ctx, &p, 1, sys_left(sys, deadline));

		if (rc > 0)
			rc = receive(fd, &event);
		if (rc > 0 && event.what == PROC_EVENT_NONE)
			return -(int)event.event_data.ack.err;
		if (rc < 0 && rc != -EAGAIN && rc != -EOVERFLOW)
			return rc;
	} while (sys_left(sys, deadline));
	return -EOPNOTSUPP;
}

int procevents_open(struct procevents *p, struct sys *sys, unsigned what, pid_t of, struct err *err)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC };
	int rc;

	p->fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_CONNECTOR);
	if (p->fd < 0)
		return err_set(err, ERR_UNSUPPORTED, "this kernel reports no process events: %s",
			       err_errno(errno));
	/* The filter first: nothing else may get in the queue. */
	if (procevents_choose(p, what, of, err) < 0) {
		procevents_close(p);
		return -1;
	}
	rc = bind(p->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	if (rc == 0)
		rc = send_request(p->fd, PROC_CN_MCAST_LISTEN);
	if (rc == 0)
		rc = await_answer(sys, p->fd);
	if (rc < 0) {
		procevents_close(p);
		return err_set(err, ERR_UNSUPPORTED, "this kernel reports no process events%s: %s",
			       rc == -EPERM ? " to an ordinary user" : " here", err_errno(rc));
	}
	return 0;
}

void procevents_close(struct procevents *p)
{
	if (p->fd >= 0)
		send_request(p->fd, PROC_CN_MCAST_IGNORE);
	closep(&p->fd);
	p->fd = -1;
}

static bool decode(const struct proc_event *event, struct procevent *out)
{
	if (event->what == PROC_EVENT_EXEC) {
		out->what = PROCEVENTS_EXEC;
		out->pid = event->event_data.exec.process_tgid;
		out->tid = event->event_data.exec.process_pid;
		return true;
	}
	if (event->what != PROC_EVENT_FORK)
		return false;
	out->pid = event->event_data.fork.child_tgid;
	out->tid = event->event_data.fork.child_pid;
	out->what = event->event_data.fork.parent_tgid == KTHREADD ? PROCEVENTS_KTHREAD
								   : PROCEVENTS_THREAD;
	return true;
}

int procevents_read(struct procevents *p, struct procevent *events, size_t max)
{
	struct proc_event event;
	size_t n = 0;

	while (n < max) {
		int rc = receive(p->fd, &event);

		if (rc == -EAGAIN)
			break;
		if (rc < 0 && rc != -EINTR)
			return n && rc != -EOVERFLOW ? (int)n : rc;
		if (rc > 0 && decode(&event, &events[n]))
			n++;
	}
	return (int)n;
}
