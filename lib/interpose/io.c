/* SPDX-License-Identifier: MIT
 *
 * The calls that programs make most with buffers of their own. A buffer that
 * is not managed goes to libc's function untouched; a managed one takes the
 * guarded way without the detour of a trap.
 *
 * libc's functions are cancellation points. It makes them so by letting
 * pthread_cancel act at once while the call runs, and so do we: see POINT.
 */
#include "arch.h"
#include "calls.h"
#include "fault.h"
#include "interpose.h"
#include "knobs.h"
#include "log.h"
#include "thread.h"
#include "window.h"
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define ARGS(a, b, c, d, e, f) \
	((const long[6]){ (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f) })

/* A call that is no cancellation point. */
#define GUARD(nr, a, b, c, d, e, f) \
	em_errno_return(em_guard_call(nr, ARGS(a, b, c, d, e, f)))

/*
 * A call that is one. A thread that is cancelled here leaves its ranges published
 * until it has ended (em_thread_leave). Nothing of ours can be half done then:
 * whoever owns a page has all signals blocked.
 */
#define POINT(call) \
	({ bool asynchronous_ = em_threads_made() && em_protects(EM_KNOB_CANCEL); \
	   int type_; \
	   long ret_; \
	   if (asynchronous_) \
		   pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type_); \
	   ret_ = (call); \
	   if (asynchronous_) \
		   pthread_setcanceltype(type_, NULL); \
	   em_errno_return(ret_); })

#define GUARD_POINT(nr, a, b, c, d, e, f) \
	POINT(em_guard_call(nr, ARGS(a, b, c, d, e, f)))

/*
 * em_guard_call for the most frequent calls, in the wrapper itself: with one
 * buffer of so many bytes, which the kernel writes or reads.
 */
static inline long buffer_call(long nr, const long args[6], const void *buf, size_t bytes,
			       bool out)
{
	uintptr_t at = (uintptr_t)buf;
	uint32_t mark;
	long ret;

	if (em_unlikely(bytes - 1 >= EM_SMALL_BYTES) || !em_protects(EM_KNOB_CALLS))
		return em_guard_call(nr, args);
	mark = em_hazard_one(at, at + bytes, (uintptr_t)__builtin_frame_address(0));
	em_fault_bring_in(at, bytes, out);
	ret = em_arch_call(nr, args);
	em_hazard_drop(mark);
	return ret;
}

/* A vector that is looked through in no time. */
static inline bool is_small(const struct iovec *v, size_t count)
{
	size_t left = EM_SMALL_BYTES;

	if (count > 8 || !v || em_in_window((uintptr_t)v))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (v[i].iov_len > left)
			return false;
		left -= v[i].iov_len;
	}
	return true;
}

/* The same with a vector of buffers. */
static inline long vector_call(long nr, const long args[6], const struct iovec *v,
			       size_t count, bool out)
{
	uint32_t mark;
	long ret;

	if (em_unlikely(!is_small(v, count)) || !em_protects(EM_KNOB_CALLS))
		return em_guard_call(nr, args);
	mark = em_hazard_mark((uintptr_t)__builtin_frame_address(0));
	for (size_t i = 0; i < count; i++) {
		uintptr_t at = (uintptr_t)v[i].iov_base;
		if (!em_in_window(at) || !v[i].iov_len)
			continue;
		em_hazard_add(at, at + v[i].iov_len, (uintptr_t)__builtin_frame_address(0));
		em_fault_bring_in(at, v[i].iov_len, out);
	}
	ret = em_arch_call(nr, args);
	em_hazard_drop(mark);
	return ret;
}

#define BUFFER_POINT(buf, bytes, out, nr, a, b, c, d, e, f) \
	POINT(buffer_call(nr, ARGS(a, b, c, d, e, f), buf, bytes, out))

#define VECTOR_POINT(v, count, out, nr, a, b, c, d, e, f) \
	POINT(vector_call(nr, ARGS(a, b, c, d, e, f), v, (size_t)(count), out))

static inline bool managed(const void *buf)
{
	return em_in_window((uintptr_t)buf);
}

EM_HOT static bool vector_managed(const struct iovec *v, size_t count)
{
	if (managed(v))
		return true;
	if (!v || count > IOV_MAX) /* the kernel says what is wrong */
		return false;
	for (size_t i = 0; i < count; i++)
		if (managed(v[i].iov_base))
			return true;
	return false;
}

static bool message_managed(const struct msghdr *m)
{
	return m && (managed(m) || managed(m->msg_name) || managed(m->msg_control) ||
		     vector_managed(m->msg_iov, m->msg_iovlen));
}

static bool messages_managed(const struct mmsghdr *m, unsigned int count)
{
	if (managed(m))
		return true;
	for (unsigned int i = 0; m && i < count && i < IOV_MAX; i++)
		if (message_managed(&m[i].msg_hdr))
			return true;
	return false;
}

/* ---- one buffer -------------------------------------------------------- */

/* What may be signals is looked at. */
static inline ssize_t have_read(int fd, void *buf, ssize_t bytes)
{
	if (em_likely(bytes % (ssize_t)sizeof(struct signalfd_siginfo)))
		return bytes;
	return em_signals_have_read(fd, buf, bytes);
}

EM_HOT EM_EXPORT ssize_t read(int fd, void *buf, size_t bytes)
{
	if (em_likely(!managed(buf)))
		return have_read(fd, buf, EM_REAL(read)(fd, buf, bytes));
	return have_read(fd, buf, BUFFER_POINT(buf, bytes, true, SYS_read, fd, buf, bytes,
					       0, 0, 0));
}

EM_HOT EM_EXPORT ssize_t write(int fd, const void *buf, size_t bytes)
{
	if (em_likely(!managed(buf)))
		return EM_REAL(write)(fd, buf, bytes);
	return BUFFER_POINT(buf, bytes, false, SYS_write, fd, buf, bytes, 0, 0, 0);
}

EM_EXPORT ssize_t pread(int fd, void *buf, size_t bytes, off_t offset)
{
	if (em_likely(!managed(buf)))
		return EM_REAL(pread)(fd, buf, bytes, offset);
	return BUFFER_POINT(buf, bytes, true, SYS_pread64, fd, buf, bytes, offset, 0, 0);
}

EM_EXPORT ssize_t pread64(int fd, void *buf, size_t bytes, off64_t offset)
	__attribute__((alias("pread")));

EM_EXPORT ssize_t pwrite(int fd, const void *buf, size_t bytes, off_t offset)
{
	if (em_likely(!managed(buf)))
		return EM_REAL(pwrite)(fd, buf, bytes, offset);
	return BUFFER_POINT(buf, bytes, false, SYS_pwrite64, fd, buf, bytes, offset, 0, 0);
}

EM_EXPORT ssize_t pwrite64(int fd, const void *buf, size_t bytes, off64_t offset)
	__attribute__((alias("pwrite")));

EM_EXPORT ssize_t getrandom(void *buf, size_t bytes, unsigned int flags)
{
	if (em_likely(!managed(buf)))
		return EM_REAL(getrandom)(buf, bytes, flags);
	return GUARD_POINT(SYS_getrandom, buf, bytes, flags, 0, 0, 0);
}

EM_EXPORT ssize_t readlink(const char *restrict path, char *restrict buf, size_t bytes)
{
	if (em_likely(!managed(buf) && !managed(path)))
		return EM_REAL(readlink)(path, buf, bytes);
	return GUARD(SYS_readlink, path, buf, bytes, 0, 0, 0);
}

/* ---- vectors ----------------------------------------------------------- */

EM_HOT EM_EXPORT ssize_t readv(int fd, const struct iovec *v, int count)
{
	if (em_likely(!vector_managed(v, (size_t)count)))
		return EM_REAL(readv)(fd, v, count);
	return VECTOR_POINT(v, count, true, SYS_readv, fd, v, count, 0, 0, 0);
}

EM_HOT EM_EXPORT ssize_t writev(int fd, const struct iovec *v, int count)
{
	if (em_likely(!vector_managed(v, (size_t)count)))
		return EM_REAL(writev)(fd, v, count);
	return VECTOR_POINT(v, count, false, SYS_writev, fd, v, count, 0, 0, 0);
}

EM_EXPORT ssize_t preadv(int fd, const struct iovec *v, int count, off_t offset)
{
	if (em_likely(!vector_managed(v, (size_t)count)))
		return EM_REAL(preadv)(fd, v, count, offset);
	return VECTOR_POINT(v, count, true, SYS_preadv, fd, v, count, offset, 0, 0);
}

EM_EXPORT ssize_t preadv64(int fd, const struct iovec *v, int count, off64_t offset)
	__attribute__((alias("preadv")));

EM_EXPORT ssize_t pwritev(int fd, const struct iovec *v, int count, off_t offset)
{
	if (em_likely(!vector_managed(v, (size_t)count)))
		return EM_REAL(pwritev)(fd, v, count, offset);
	return VECTOR_POINT(v, count, false, SYS_pwritev, fd, v, count, offset, 0, 0);
}

EM_EXPORT ssize_t pwritev64(int fd, const struct iovec *v, int count, off64_t offset)
	__attribute__((alias("pwritev")));

EM_EXPORT ssize_t preadv2(int fd, const struct iovec *v, int count, off_t offset, int flags)
{
	if (em_likely(!vector_managed(v, (size_t)count)))
		return EM_REAL(preadv2)(fd, v, count, offset, flags);
	return VECTOR_POINT(v, count, true, SYS_preadv2, fd, v, count, offset, 0, flags);
}

EM_EXPORT ssize_t preadv64v2(int fd, const struct iovec *v, int count, off64_t offset,
			     int flags) __attribute__((alias("preadv2")));

EM_EXPORT ssize_t pwritev2(int fd, const struct iovec *v, int count, off_t offset, int flags)
{
	if (em_likely(!vector_managed(v, (size_t)count)))
		return EM_REAL(pwritev2)(fd, v, count, offset, flags);
	return VECTOR_POINT(v, count, false, SYS_pwritev2, fd, v, count, offset, 0, flags);
}

EM_EXPORT ssize_t pwritev64v2(int fd, const struct iovec *v, int count, off64_t offset,
			      int flags) __attribute__((alias("pwritev2")));

EM_EXPORT ssize_t vmsplice(int fd, const struct iovec *v, size_t count, unsigned int flags)
{
	if (em_likely(!vector_managed(v, count)))
		return EM_REAL(vmsplice)(fd, v, count, flags);
	return GUARD_POINT(SYS_vmsplice, fd, v, count, flags, 0, 0);
}

/*
 * Another process of the tree has its pages in its own store: the kernel finds
 * them missing, and who copies in this way between processes may never learn why.
 */
static ssize_t with_another(long nr, pid_t pid, const struct iovec *local,
			    unsigned long locals, const struct iovec *remote,
			    unsigned long remotes, unsigned long flags)
{
	ssize_t n = GUARD(nr, pid, local, locals, remote, remotes, flags);

	if (em_unlikely(n < 0 && errno == EFAULT) && remotes && em_core_active() &&
	    pid != getpid() && em_in_window((uintptr_t)remote->iov_base))
		em_log_once("process_vm_readv(2) and process_vm_writev(2) do not reach memory "
			    "of another managed process that is paged out: see extmem(7)");
	return n;
}

EM_EXPORT ssize_t process_vm_readv(pid_t pid, const struct iovec *local, unsigned long locals,
				   const struct iovec *remote, unsigned long remotes,
				   unsigned long flags)
{
	return with_another(SYS_process_vm_readv, pid, local, locals, remote, remotes, flags);
}

EM_EXPORT ssize_t process_vm_writev(pid_t pid, const struct iovec *local, unsigned long locals,
				    const struct iovec *remote, unsigned long remotes,
				    unsigned long flags)
{
	return with_another(SYS_process_vm_writev, pid, local, locals, remote, remotes, flags);
}

/* ---- sockets ----------------------------------------------------------- */

EM_EXPORT ssize_t recvfrom(int fd, void *restrict buf, size_t bytes, int flags,
			   struct sockaddr *restrict addr, socklen_t *restrict length)
{
	if (em_likely(!managed(buf) && !managed(addr) && !managed(length)))
		return EM_REAL(recvfrom)(fd, buf, bytes, flags, addr, length);
	return GUARD_POINT(SYS_recvfrom, fd, buf, bytes, flags, addr, length);
}

EM_HOT EM_EXPORT ssize_t recv(int fd, void *buf, size_t bytes, int flags)
{
	if (em_likely(!managed(buf)))
		return EM_REAL(recv)(fd, buf, bytes, flags);
	return BUFFER_POINT(buf, bytes, true, SYS_recvfrom, fd, buf, bytes, flags, 0, 0);
}

EM_EXPORT ssize_t sendto(int fd, const void *buf, size_t bytes, int flags,
			 const struct sockaddr *addr, socklen_t length)
{
	if (em_likely(!managed(buf) && !managed(addr)))
		return EM_REAL(sendto)(fd, buf, bytes, flags, addr, length);
	return GUARD_POINT(SYS_sendto, fd, buf, bytes, flags, addr, length);
}

EM_HOT EM_EXPORT ssize_t send(int fd, const void *buf, size_t bytes, int flags)
{
	if (em_likely(!managed(buf)))
		return EM_REAL(send)(fd, buf, bytes, flags);
	return BUFFER_POINT(buf, bytes, false, SYS_sendto, fd, buf, bytes, flags, 0, 0);
}

EM_EXPORT ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	if (em_likely(!message_managed(m)))
		return EM_REAL(recvmsg)(fd, m, flags);
	return GUARD_POINT(SYS_recvmsg, fd, m, flags, 0, 0, 0);
}

EM_EXPORT ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	if (em_likely(!message_managed(m)))
		return EM_REAL(sendmsg)(fd, m, flags);
	return GUARD_POINT(SYS_sendmsg, fd, m, flags, 0, 0, 0);
}

EM_EXPORT int recvmmsg(int fd, struct mmsghdr *m, unsigned int count, int flags,
		       struct timespec *timeout)
{
	if (em_likely(!messages_managed(m, count) && !managed(timeout)))
		return EM_REAL(recvmmsg)(fd, m, count, flags, timeout);
	return (int)GUARD_POINT(SYS_recvmmsg, fd, m, count, flags, timeout, 0);
}

EM_EXPORT int sendmmsg(int fd, struct mmsghdr *m, unsigned int count, int flags)
{
	if (em_likely(!messages_managed(m, count)))
		return EM_REAL(sendmmsg)(fd, m, count, flags);
	return (int)GUARD_POINT(SYS_sendmmsg, fd, m, count, flags, 0, 0);
}

/* ---- waiting ----------------------------------------------------------- */

/* Of an array; 0, which is no small buffer, when it is a large one. */
static inline size_t vector_bytes(size_t count, size_t bytes)
{
	return count < 1024 ? count * bytes : 0;
}

static inline int poll_once(struct pollfd *fds, nfds_t count, int timeout)
{
	if (em_likely(!managed(fds)))
		return EM_REAL(poll)(fds, count, timeout);
	return (int)BUFFER_POINT(fds, vector_bytes(count, sizeof(*fds)), true, SYS_poll, fds, count,
				 timeout, 0, 0, 0);
}

EM_HOT EM_EXPORT int poll(struct pollfd *fds, nfds_t count, int timeout)
{
	uint64_t end = em_wait_end(timeout);
	int ret;

	EM_WAIT_AGAIN(ret, poll_once(fds, count, timeout), timeout = em_wait_left(timeout, end));
	return ret;
}

static inline int epoll_wait_once(int fd, struct epoll_event *events, int max, int timeout)
{
	if (em_likely(!managed(events)))
		return EM_REAL(epoll_wait)(fd, events, max, timeout);
	return (int)BUFFER_POINT(events, vector_bytes((size_t)max, sizeof(*events)), true,
				 SYS_epoll_wait, fd, events, max, timeout, 0, 0);
}

EM_HOT EM_EXPORT int epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
	uint64_t end = em_wait_end(timeout);
	int ret;

	EM_WAIT_AGAIN(ret, epoll_wait_once(fd, events, max, timeout),
		      timeout = em_wait_left(timeout, end));
	return ret;
}

EM_EXPORT int epoll_ctl(int fd, int op, int target, struct epoll_event *event)
{
	if (em_likely(!managed(event)))
		return EM_REAL(epoll_ctl)(fd, op, target, event);
	return (int)GUARD(SYS_epoll_ctl, fd, op, target, event, 0, 0);
}

static int select_once(int n, fd_set *r, fd_set *w, fd_set *e, struct timeval *timeout)
{
	if (em_likely(!managed(r) && !managed(w) && !managed(e) && !managed(timeout)))
		return EM_REAL(select)(n, r, w, e, timeout);
	return (int)GUARD_POINT(SYS_select, n, r, w, e, timeout, 0);
}

/* The kernel leaves in the timeout what is left. */
EM_EXPORT int select(int n, fd_set *restrict r, fd_set *restrict w, fd_set *restrict e,
		     struct timeval *restrict timeout)
{
	int ret;

	EM_WAIT_AGAIN(ret, select_once(n, r, w, e, timeout), );
	return ret;
}

/* ---- asynchronous input and output: libaio's functions ------------------- */

/* They return -errno. The iocbs are found through an array that the net does
 * not look into. */
EM_EXPORT int io_submit(void *context, long count, void **iocbs);
EM_EXPORT int io_submit(void *context, long count, void **iocbs)
{
	return (int)em_guard_call(SYS_io_submit, ARGS(context, count, iocbs, 0, 0, 0));
}

EM_EXPORT int io_setup(int events, void **context);
EM_EXPORT int io_setup(int events, void **context)
{
	return (int)em_guard_call(SYS_io_setup, ARGS(events, context, 0, 0, 0, 0));
}

/* ---- any call: syscall(2), from arch.S ----------------------------------- */

long em_io_failed(long result)
{
	return em_errno_return(result);
}

/*
 * Vectors are looked into as those of the wrappers are, and mappings are ours
 * as theirs are: sbcl maps its whole heap in this way.
 */
long em_io_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	const long *args = ARGS(a, b, c, d, e, f);

	if (em_unlikely(nr == SYS_clone || nr == SYS_fork || nr == SYS_clone3) &&
	    em_process_is_fork(nr, args))
		return em_errno_return(em_process_fork(nr, args));
	if (em_unlikely(nr == SYS_exit) && em_process_ends())
		nr = SYS_exit_group;
	if (!em_core_active() || !em_call_find(nr) || !em_protects(EM_KNOB_SYSCALL))
		return em_errno_return(em_arch_call(nr, args));
	long ret;
	if (em_unlikely(nr == SYS_rt_sigaction) && em_signals_raw_action(args, &ret))
		return em_errno_return(ret);
	ret = em_guard_call(nr, args);
	if (em_unlikely(nr == SYS_rt_sigprocmask))
		em_signals_keep_ours_open();
	return em_errno_return(ret);
}
