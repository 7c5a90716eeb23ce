/* SPDX-License-Identifier: MIT
 *
 * The calls that programs make most with buffers of their own. A buffer that
 * is not managed goes to libc's function untouched; a managed one takes the
 * guarded way without the detour of a trap.
 */
#include "interpose.h"
#include "window.h"
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define GUARD(nr, a, b, c, d, e, f) \
	em_errno_return(em_guard_call(nr, (const long[6]){ (long)(a), (long)(b), \
		(long)(c), (long)(d), (long)(e), (long)(f) }))

static inline bool managed(const void *buf)
{
	return em_in_window((uintptr_t)buf);
}

static bool vector_managed(const struct iovec *v, int count)
{
	for (int i = 0; i < count; i++)
		if (managed(v[i].iov_base))
			return true;
	return managed(v);
}

static bool message_managed(const struct msghdr *m)
{
	return managed(m) || managed(m->msg_name) || managed(m->msg_control) ||
	       vector_managed(m->msg_iov, (int)m->msg_iovlen);
}

EM_EXPORT ssize_t read(int fd, void *buf, size_t bytes)
{
	if (em_likely(!managed(buf)))
		return EM_REAL(read)(fd, buf, bytes);
	return GUARD(SYS_read, fd, buf, bytes, 0, 0, 0);
}

EM_EXPORT ssize_t write(int fd, const void *buf, size_t bytes)
{
	if (em_likely(!managed(buf)))
		return EM_REAL(write)(fd, buf, bytes);
	return GUARD(SYS_write, fd, buf, bytes, 0, 0, 0);
}

EM_EXPORT ssize_t pread(int fd, void *buf, size_t bytes, off_t offset)
{
	if (em_likely(!managed(buf)))
		return EM_REAL(pread)(fd, buf, bytes, offset);
	return GUARD(SYS_pread64, fd, buf, bytes, offset, 0, 0);
}

EM_EXPORT ssize_t pread64(int fd, void *buf, size_t bytes, off64_t offset)
	__attribute__((alias("pread")));

EM_EXPORT ssize_t pwrite(int fd, const void *buf, size_t bytes, off_t offset)
{
	if (em_likely(!managed(buf)))
		return EM_REAL(pwrite)(fd, buf, bytes, offset);
	return GUARD(SYS_pwrite64, fd, buf, bytes, offset, 0, 0);
}

EM_EXPORT ssize_t pwrite64(int fd, const void *buf, size_t bytes, off64_t offset)
	__attribute__((alias("pwrite")));

EM_EXPORT ssize_t readv(int fd, const struct iovec *v, int count)
{
	if (em_likely(!vector_managed(v, count)))
		return EM_REAL(readv)(fd, v, count);
	return GUARD(SYS_readv, fd, v, count, 0, 0, 0);
}

EM_EXPORT ssize_t writev(int fd, const struct iovec *v, int count)
{
	if (em_likely(!vector_managed(v, count)))
		return EM_REAL(writev)(fd, v, count);
	return GUARD(SYS_writev, fd, v, count, 0, 0, 0);
}

EM_EXPORT ssize_t preadv(int fd, const struct iovec *v, int count, off_t offset)
{
	if (em_likely(!vector_managed(v, count)))
		return EM_REAL(preadv)(fd, v, count, offset);
	return GUARD(SYS_preadv, fd, v, count, offset, 0, 0);
}

EM_EXPORT ssize_t preadv64(int fd, const struct iovec *v, int count, off64_t offset)
	__attribute__((alias("preadv")));

EM_EXPORT ssize_t pwritev(int fd, const struct iovec *v, int count, off_t offset)
{
	if (em_likely(!vector_managed(v, count)))
		return EM_REAL(pwritev)(fd, v, count, offset);
	return GUARD(SYS_pwritev, fd, v, count, offset, 0, 0);
}

EM_EXPORT ssize_t pwritev64(int fd, const struct iovec *v, int count, off64_t offset)
	__attribute__((alias("pwritev")));

EM_EXPORT ssize_t recvfrom(int fd, void *restrict buf, size_t bytes, int flags,
			   struct sockaddr *restrict addr, socklen_t *restrict length)
{
	if (em_likely(!managed(buf) && !managed(addr) && !managed(length)))
		return EM_REAL(recvfrom)(fd, buf, bytes, flags, addr, length);
	return GUARD(SYS_recvfrom, fd, buf, bytes, flags, addr, length);
}

EM_EXPORT ssize_t recv(int fd, void *buf, size_t bytes, int flags)
{
	if (em_likely(!managed(buf)))
		return EM_REAL(recv)(fd, buf, bytes, flags);
	return GUARD(SYS_recvfrom, fd, buf, bytes, flags, 0, 0);
}

EM_EXPORT ssize_t sendto(int fd, const void *buf, size_t bytes, int flags,
			 const struct sockaddr *addr, socklen_t length)
{
	if (em_likely(!managed(buf) && !managed(addr)))
		return EM_REAL(sendto)(fd, buf, bytes, flags, addr, length);
	return GUARD(SYS_sendto, fd, buf, bytes, flags, addr, length);
}

EM_EXPORT ssize_t send(int fd, const void *buf, size_t bytes, int flags)
{
	if (em_likely(!managed(buf)))
		return EM_REAL(send)(fd, buf, bytes, flags);
	return GUARD(SYS_sendto, fd, buf, bytes, flags, 0, 0);
}

EM_EXPORT ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	if (em_likely(!message_managed(m)))
		return EM_REAL(recvmsg)(fd, m, flags);
	return GUARD(SYS_recvmsg, fd, m, flags, 0, 0, 0);
}

EM_EXPORT ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	if (em_likely(!message_managed(m)))
		return EM_REAL(sendmsg)(fd, m, flags);
	return GUARD(SYS_sendmsg, fd, m, flags, 0, 0, 0);
}
