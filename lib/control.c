/* SPDX-License-Identifier: MIT */
#include "control.h"
#include "arch.h"
#include "log.h"
#include "sys.h"
#include "util.h"
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>

/* Who connects and says nothing is not waited for longer. */
#define EM_PATIENCE_S 2
/* After a failure that does not pass at once. */
#define EM_NAP_NS 200000000u

static struct {
	const struct em_control_hooks *hooks;
	em_spawn *spawn;
	_Atomic bool started;
	int fd;               /* that it listens at; -1: none */
} control = { .fd = -1 };

static char packet[EM_CONTROL_BYTES], answer[EM_CONTROL_BYTES]; /* the thread's */

void em_control_init(const struct em_control_hooks *hooks, em_spawn *spawn)
{
	control.hooks = hooks;
	control.spawn = spawn;
}

void em_control_forked(void)
{
	if (control.fd >= 0)
		em_sys_close(control.fd);
	control.fd = -1;
	atomic_store(&control.started, false);
}

static long call(long nr, long a, long b, long c, long d)
{
	return em_syscall(nr, a, b, c, d, 0, 0);
}

/* ---- listening ------------------------------------------------------- */

static socklen_t make_name(struct sockaddr_un *name)
{
	int len;

	memset(name, 0, sizeof(*name));
	name->sun_family = AF_UNIX;
	len = snprintf(name->sun_path + 1, sizeof(name->sun_path) - 1, EM_CONTROL_NAME,
		       (int)call(SYS_getpid, 0, 0, 0, 0));
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
}

static int listen_there(void)
{
	struct sockaddr_un name;
	socklen_t len = make_name(&name);
	long fd = call(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, 0);

	if (fd < 0)
		return (int)fd;
	long ret = call(SYS_bind, fd, (long)&name, len, 0);
	if (ret == 0)
		ret = call(SYS_listen, fd, 8, 0, 0);
	if (ret < 0) {
		call(SYS_close, fd, 0, 0, 0);
		return (int)ret;
	}
	control.fd = em_sys_raise_fd((int)fd);
	return 0;
}

/* The user of the process, and root. */
static bool may_ask(int fd)
{
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t bytes = sizeof(peer);

	if (em_syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_PEERCRED, (long)&peer, (long)&bytes,
		       0) < 0)
		return false;
	return peer.uid == 0 || peer.uid == (uid_t)call(SYS_geteuid, 0, 0, 0, 0);
}

/* ---- requests -------------------------------------------------------- */

static size_t show(void)
{
	int n;

	memcpy(answer, "ok\n", 3);
	n = control.hooks->show(answer + 3, sizeof(answer) - 3);
	if (n >= 0)
		return 3 + (size_t)n;
	return (size_t)snprintf(answer, sizeof(answer), "error\nthe policy is too long to be shown");
}

static size_t apply(const char *lines)
{
	memcpy(answer, "error\n", 7);
	if (control.hooks->apply(lines, answer + 6, 1024) == 0)
		memcpy(answer, "ok\n", 4);
	return strlen(answer);
}

static size_t respond(long bytes)
{
	packet[bytes] = '\0';
	if (strlen(packet) == (size_t)bytes && !strcmp(packet, "show"))
		return show();
	if (strlen(packet) == (size_t)bytes && !strncmp(packet, "apply\n", 6))
		return apply(packet + 6);
	return (size_t)snprintf(answer, sizeof(answer), "error\nunknown request");
}

static bool is_there(int fd, short events, time_t seconds)
{
	struct pollfd p = { .fd = fd, .events = events };
	struct timespec t = { .tv_sec = seconds };

	return em_syscall(SYS_ppoll, (long)&p, 1, (long)&t, 0, 8, 0) == 1;
}

static void serve(int fd)
{
	long bytes;
	size_t n;

	if (!is_there(fd, POLLIN, EM_PATIENCE_S))
		return;
	/* One byte more than fits tells that it did not. */
	bytes = em_syscall(SYS_recvfrom, fd, (long)packet, sizeof(packet), MSG_DONTWAIT, 0, 0);
	if (bytes < 0)
		return;
	if (!may_ask(fd))
		n = (size_t)snprintf(answer, sizeof(answer),
				     "error\nonly the user of the process and root may ask");
	else if (bytes >= (long)sizeof(packet))
		n = (size_t)snprintf(answer, sizeof(answer), "error\nthe request is too long");
	else
		n = respond(bytes);
	em_syscall(SYS_sendto, fd, (long)answer, (long)n, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0);
}

/* ---- the thread ------------------------------------------------------ */

static void nap(void)
{
	static _Atomic uint32_t never;

	em_sys_wait(&never, 0, EM_NAP_NS);
}

/* Until somebody comes, or so many nanoseconds; 0: for ever. */
static void await(uint64_t ns)
{
	struct pollfd p = { .fd = control.fd, .events = POLLIN };
	struct timespec t = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };

	em_syscall(SYS_ppoll, (long)&p, 1, ns ? (long)&t : 0, 0, 8, 0);
}

static void body(void)
{
	em_sys_name_thread("extmem-control");
	for (;;) {
		await(control.hooks->go_on());
		long fd = call(SYS_accept4, control.fd, 0, 0, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			serve((int)fd);
			call(SYS_close, fd, 0, 0, 0);
		} else if (fd != -EAGAIN && fd != -EINTR && fd != -ECONNABORTED) {
			nap(); /* out of descriptors, for a while */
		}
	}
}

void em_control_start(void)
{
	if (!control.hooks || atomic_exchange(&control.started, true))
		return;
	/* Where there are no sockets, or no thread, there is nothing to ask. */
	if (listen_there() < 0)
		return;
	if (control.spawn(body) < 0) {
		em_sys_close(control.fd);
		control.fd = -1;
	}
}
