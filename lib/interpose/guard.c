/* SPDX-License-Identifier: MIT
 *
 * With signal delivery the kernel cannot touch an evicted page: a system call
 * fails with EFAULT, or falls short, or loses a datagram. So before a call
 * every managed range it names is published as a hazard and brought in, and
 * stays until the call has returned.
 *
 * The table says for each call which arguments point to memory, how much and
 * in which direction. Wrappers (io.c) and the net's handler (net.c) both come
 * here; there is no second place that knows.
 */
#include "arch.h"
#include "fault.h"
#include "interpose.h"
#include "knobs.h"
#include "net_calls.h"
#include "region.h"
#include "stats.h"
#include "thread.h"
#include "window.h"
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

enum { IN = 0, OUT = 1 }; /* the kernel reads it, or writes it */

/* How long an argument's range is. */
enum length {
	NONE,
	BYTES,    /* n bytes */
	ARG,      /* as many as argument n says */
	ARRAY,    /* argument n elements of `size` bytes */
	STRING,   /* to a NUL, at most PATH_MAX */
	SOCKLEN,  /* as many as the socklen_t that argument n points to says */
	IOVEC,    /* an array of argument n iovecs, and what they point to */
	MSGHDR,   /* one msghdr, and what it points to */
	MMSGHDR,  /* an array of argument n mmsghdrs */
};

struct rule {
	uint8_t arg, length, n, out;
	uint16_t size;
};

#define RULES_MAX 4

struct call {
	uint16_t nr;
	struct rule rules[RULES_MAX];
};

#define FIX(a, type, dir) { a, BYTES, 0, dir, sizeof(type) }
#define FIXN(a, bytes, dir) { a, BYTES, 0, dir, bytes }
#define LEN(a, n, dir) { a, ARG, n, dir, 0 }
#define VEC(a, n, type, dir) { a, ARRAY, n, dir, sizeof(type) }
#define STR(a) { a, STRING, 0, IN, 0 }
#define IOV(a, n, dir) { a, IOVEC, n, dir, 0 }
#define KERNEL_SIGSET 8

static const struct call calls[] = {
	{ SYS_read, { LEN(1, 2, OUT) } },
	{ SYS_write, { LEN(1, 2, IN) } },
	{ SYS_pread64, { LEN(1, 2, OUT) } },
	{ SYS_pwrite64, { LEN(1, 2, IN) } },
	{ SYS_readv, { IOV(1, 2, OUT) } },
	{ SYS_writev, { IOV(1, 2, IN) } },
	{ SYS_preadv, { IOV(1, 2, OUT) } },
	{ SYS_pwritev, { IOV(1, 2, IN) } },
	{ SYS_preadv2, { IOV(1, 2, OUT) } },
	{ SYS_pwritev2, { IOV(1, 2, IN) } },
	{ SYS_vmsplice, { IOV(1, 2, IN) } },
	{ SYS_recvfrom, { LEN(1, 2, OUT), { 4, SOCKLEN, 5, OUT, 0 }, FIX(5, socklen_t, OUT) } },
	{ SYS_sendto, { LEN(1, 2, IN), LEN(4, 5, IN) } },
	{ SYS_recvmsg, { { 1, MSGHDR, 0, OUT, 0 } } },
	{ SYS_sendmsg, { { 1, MSGHDR, 0, IN, 0 } } },
	{ SYS_recvmmsg, { { 1, MMSGHDR, 2, OUT, 0 }, FIX(4, struct timespec, OUT) } },
	{ SYS_sendmmsg, { { 1, MMSGHDR, 2, IN, 0 } } },
	{ SYS_bind, { LEN(1, 2, IN) } },
	{ SYS_connect, { LEN(1, 2, IN) } },
	{ SYS_accept, { { 1, SOCKLEN, 2, OUT, 0 }, FIX(2, socklen_t, OUT) } },
	{ SYS_accept4, { { 1, SOCKLEN, 2, OUT, 0 }, FIX(2, socklen_t, OUT) } },
	{ SYS_getsockname, { { 1, SOCKLEN, 2, OUT, 0 }, FIX(2, socklen_t, OUT) } },
	{ SYS_getpeername, { { 1, SOCKLEN, 2, OUT, 0 }, FIX(2, socklen_t, OUT) } },
	{ SYS_getsockopt, { { 3, SOCKLEN, 4, OUT, 0 }, FIX(4, socklen_t, OUT) } },
	{ SYS_setsockopt, { LEN(3, 4, IN) } },
	{ SYS_socketpair, { FIXN(3, 2 * sizeof(int), OUT) } },
	{ SYS_pipe, { FIXN(0, 2 * sizeof(int), OUT) } },
	{ SYS_pipe2, { FIXN(0, 2 * sizeof(int), OUT) } },
	{ SYS_futex, { FIX(0, int, OUT), FIX(3, struct timespec, IN), FIX(4, int, OUT) } },
	{ SYS_poll, { VEC(0, 1, struct pollfd, OUT) } },
	{ SYS_ppoll, { VEC(0, 1, struct pollfd, OUT), FIX(2, struct timespec, OUT),
		       FIXN(3, KERNEL_SIGSET, IN) } },
	{ SYS_select, { FIX(1, fd_set, OUT), FIX(2, fd_set, OUT), FIX(3, fd_set, OUT),
			FIX(4, struct timeval, OUT) } },
	{ SYS_pselect6, { FIX(1, fd_set, OUT), FIX(2, fd_set, OUT), FIX(3, fd_set, OUT),
			  FIX(4, struct timespec, OUT) } },
	{ SYS_epoll_wait, { VEC(1, 2, struct epoll_event, OUT) } },
	{ SYS_epoll_pwait, { VEC(1, 2, struct epoll_event, OUT), FIXN(4, KERNEL_SIGSET, IN) } },
	{ SYS_epoll_pwait2, { VEC(1, 2, struct epoll_event, OUT), FIX(3, struct timespec, IN),
			      FIXN(4, KERNEL_SIGSET, IN) } },
	{ SYS_epoll_ctl, { FIX(3, struct epoll_event, IN) } },
	{ SYS_getdents64, { LEN(1, 2, OUT) } },
	{ SYS_getdents, { LEN(1, 2, OUT) } },
	{ SYS_getcwd, { LEN(0, 1, OUT) } },
	{ SYS_getrandom, { LEN(0, 1, OUT) } },
	{ SYS_stat, { STR(0), FIX(1, struct stat, OUT) } },
	{ SYS_lstat, { STR(0), FIX(1, struct stat, OUT) } },
	{ SYS_fstat, { FIX(1, struct stat, OUT) } },
	{ SYS_newfstatat, { STR(1), FIX(2, struct stat, OUT) } },
	{ SYS_statx, { STR(1), FIXN(4, 256, OUT) } },
	{ SYS_statfs, { STR(0), FIX(1, struct statfs, OUT) } },
	{ SYS_fstatfs, { FIX(1, struct statfs, OUT) } },
	{ SYS_readlink, { STR(0), LEN(1, 2, OUT) } },
	{ SYS_readlinkat, { STR(1), LEN(2, 3, OUT) } },
	{ SYS_open, { STR(0) } },
	{ SYS_openat, { STR(1) } },
	{ SYS_openat2, { STR(1), LEN(2, 3, IN) } },
	{ SYS_creat, { STR(0) } },
	{ SYS_access, { STR(0) } },
	{ SYS_faccessat, { STR(1) } },
	{ SYS_faccessat2, { STR(1) } },
	{ SYS_unlink, { STR(0) } },
	{ SYS_unlinkat, { STR(1) } },
	{ SYS_rename, { STR(0), STR(1) } },
	{ SYS_renameat, { STR(1), STR(3) } },
	{ SYS_renameat2, { STR(1), STR(3) } },
	{ SYS_link, { STR(0), STR(1) } },
	{ SYS_linkat, { STR(1), STR(3) } },
	{ SYS_symlink, { STR(0), STR(1) } },
	{ SYS_symlinkat, { STR(0), STR(2) } },
	{ SYS_mkdir, { STR(0) } },
	{ SYS_mkdirat, { STR(1) } },
	{ SYS_rmdir, { STR(0) } },
	{ SYS_mknod, { STR(0) } },
	{ SYS_mknodat, { STR(1) } },
	{ SYS_chdir, { STR(0) } },
	{ SYS_chmod, { STR(0) } },
	{ SYS_fchmodat, { STR(1) } },
	{ SYS_chown, { STR(0) } },
	{ SYS_lchown, { STR(0) } },
	{ SYS_fchownat, { STR(1) } },
	{ SYS_truncate, { STR(0) } },
	{ SYS_utimensat, { STR(1), FIXN(2, 2 * sizeof(struct timespec), IN) } },
	{ SYS_utimes, { STR(0), FIXN(1, 2 * sizeof(struct timeval), IN) } },
	{ SYS_memfd_create, { STR(0) } },
	{ SYS_inotify_add_watch, { STR(1) } },
	{ SYS_execve, { STR(0) } },
	{ SYS_getxattr, { STR(0), STR(1), LEN(2, 3, OUT) } },
	{ SYS_lgetxattr, { STR(0), STR(1), LEN(2, 3, OUT) } },
	{ SYS_fgetxattr, { STR(1), LEN(2, 3, OUT) } },
	{ SYS_setxattr, { STR(0), STR(1), LEN(2, 3, IN) } },
	{ SYS_fsetxattr, { STR(1), LEN(2, 3, IN) } },
	{ SYS_listxattr, { STR(0), LEN(1, 2, OUT) } },
	{ SYS_flistxattr, { LEN(1, 2, OUT) } },
	{ SYS_ioctl, { FIXN(2, 512, OUT) } },
	{ SYS_fcntl, { FIXN(2, 32, OUT) } },
	{ SYS_sendfile, { FIX(2, off_t, OUT) } },
	{ SYS_splice, { FIX(1, off_t, OUT), FIX(3, off_t, OUT) } },
	{ SYS_copy_file_range, { FIX(1, off_t, OUT), FIX(3, off_t, OUT) } },
	{ SYS_nanosleep, { FIX(0, struct timespec, IN), FIX(1, struct timespec, OUT) } },
	{ SYS_clock_nanosleep, { FIX(2, struct timespec, IN), FIX(3, struct timespec, OUT) } },
	{ SYS_clock_gettime, { FIX(1, struct timespec, OUT) } },
	{ SYS_clock_getres, { FIX(1, struct timespec, OUT) } },
	{ SYS_gettimeofday, { FIX(0, struct timeval, OUT), FIXN(1, 8, OUT) } },
	{ SYS_times, { FIX(0, struct tms, OUT) } },
	{ SYS_getrusage, { FIX(1, struct rusage, OUT) } },
	{ SYS_getrlimit, { FIX(1, struct rlimit, OUT) } },
	{ SYS_setrlimit, { FIX(1, struct rlimit, IN) } },
	{ SYS_prlimit64, { FIX(2, struct rlimit, IN), FIX(3, struct rlimit, OUT) } },
	{ SYS_sysinfo, { FIX(0, struct sysinfo, OUT) } },
	{ SYS_uname, { FIX(0, struct utsname, OUT) } },
	{ SYS_wait4, { FIX(1, int, OUT), FIX(3, struct rusage, OUT) } },
	{ SYS_waitid, { FIX(2, siginfo_t, OUT), FIX(4, struct rusage, OUT) } },
	{ SYS_rt_sigaction, { FIXN(1, 32, IN), FIXN(2, 32, OUT) } },
	{ SYS_rt_sigprocmask, { FIXN(1, KERNEL_SIGSET, IN), FIXN(2, KERNEL_SIGSET, OUT) } },
	{ SYS_rt_sigpending, { FIXN(0, KERNEL_SIGSET, OUT) } },
	{ SYS_rt_sigtimedwait, { FIXN(0, KERNEL_SIGSET, IN), FIX(1, siginfo_t, OUT),
				 FIX(2, struct timespec, IN) } },
	{ SYS_rt_sigsuspend, { FIXN(0, KERNEL_SIGSET, IN) } },
	{ SYS_rt_sigqueueinfo, { FIX(2, siginfo_t, IN) } },
	{ SYS_signalfd4, { FIXN(1, KERNEL_SIGSET, IN) } },
	{ SYS_getgroups, { VEC(1, 0, gid_t, OUT) } },
	{ SYS_setgroups, { VEC(1, 0, gid_t, IN) } },
	{ SYS_sched_getaffinity, { LEN(2, 1, OUT) } },
	{ SYS_sched_setaffinity, { LEN(2, 1, IN) } },
	{ SYS_sched_getparam, { FIXN(1, 4, OUT) } },
	{ SYS_sched_setparam, { FIXN(1, 4, IN) } },
	{ SYS_timer_create, { FIXN(1, 64, IN), FIXN(2, 4, OUT) } },
	{ SYS_timer_settime, { FIXN(2, 32, IN), FIXN(3, 32, OUT) } },
	{ SYS_timer_gettime, { FIXN(1, 32, OUT) } },
	{ SYS_timerfd_settime, { FIXN(2, 32, IN), FIXN(3, 32, OUT) } },
	{ SYS_timerfd_gettime, { FIXN(1, 32, OUT) } },
	{ SYS_setitimer, { FIXN(1, 32, IN), FIXN(2, 32, OUT) } },
	{ SYS_getitimer, { FIXN(1, 32, OUT) } },
	{ SYS_prctl, { FIXN(1, 16, OUT) } },
	{ SYS_mincore, { FIXN(2, 64, OUT) } },
	{ SYS_msgsnd, { LEN(1, 2, IN) } },
	{ SYS_msgrcv, { LEN(1, 2, OUT) } },
	{ SYS_semop, { VEC(1, 2, uint64_t, IN) } },
	/* Memory calls made without our wrappers. */
	{ SYS_mmap, { { 0 } } },
	{ SYS_munmap, { { 0 } } },
	{ SYS_mprotect, { { 0 } } },
	{ SYS_madvise, { { 0 } } },
	{ SYS_mremap, { { 0 } } },
};

bool em_guard_list(size_t i, struct em_guarded *out)
{
	if (i == EM_ARRAY_LEN(calls))
		return false;
	*out = (struct em_guarded){ calls[i].nr, 0 };
	for (int k = 0; k < RULES_MAX && calls[i].rules[k].length; k++)
		out->pointers |= (uint8_t)(1u << calls[i].rules[k].arg);
	if (!out->pointers) /* a memory call: the address, and mremap's second */
		out->pointers = calls[i].nr == SYS_mremap ? 1u | 1u << 4 : 1u;
	return true;
}

static const struct call *find_call(long nr)
{
	static _Atomic uint8_t index[512]; /* position + 1 */
	uint8_t at;

	if (nr < 0 || nr >= 512)
		return NULL;
	at = atomic_load_explicit(&index[nr], memory_order_relaxed);
	if (at)
		return &calls[at - 1];
	for (size_t i = 0; i < EM_ARRAY_LEN(calls); i++)
		if (calls[i].nr == nr) {
			atomic_store_explicit(&index[nr], (uint8_t)(i + 1),
					      memory_order_relaxed);
			return &calls[i];
		}
	return NULL;
}

/* ---- ranges ---------------------------------------------------------- */

/*
 * Publishes and brings in one range, if it is managed. What cannot be brought
 * in is left to the kernel, which answers EFAULT.
 */
static void hold(const void *start, size_t bytes, bool out)
{
	uintptr_t addr = (uintptr_t)start;

	if (!bytes || !em_in_window(addr) || addr + bytes < addr ||
	    !em_protects(EM_KNOB_CALLS))
		return;
	em_hazard_add(addr, addr + bytes);
	em_fault_bring_in(addr, bytes, out);
	em_count(&em_stats()->syscall_ranges, 1);
}

/* A string ends somewhere: one page at a time, up to the page that ends it. */
static void hold_string(const char *s)
{
	size_t done = 0;

	while (em_in_window((uintptr_t)s) && done < PATH_MAX) {
		size_t rest = EM_PAGE_BYTES - ((uintptr_t)(s + done) & EM_PAGE_MASK);
		struct em_region r;

		if (!em_region_find((uintptr_t)(s + done), &r) || !(r.prot & PROT_READ))
			return;
		hold(s + done, rest, false);
		if (memchr(s + done, '\0', rest))
			return;
		done += rest;
	}
}

static void hold_iovec(const struct iovec *v, size_t count, bool out)
{
	hold(v, count * sizeof(*v), false);
	for (size_t i = 0; i < count && i < IOV_MAX; i++)
		hold(v[i].iov_base, v[i].iov_len, out);
}

static void hold_msghdr(const struct msghdr *m, bool out)
{
	hold(m, sizeof(*m), true);
	hold(m->msg_name, m->msg_namelen, out);
	hold(m->msg_control, m->msg_controllen, out);
	hold_iovec(m->msg_iov, m->msg_iovlen, out);
}

static void hold_mmsghdr(const struct mmsghdr *m, size_t count, bool out)
{
	hold(m, count * sizeof(*m), true);
	for (size_t i = 0; i < count && i < IOV_MAX; i++)
		hold_msghdr(&m[i].msg_hdr, out);
}

static void hold_socklen(const void *addr, const socklen_t *length, bool out)
{
	hold(length, sizeof(*length), true);
	if (length)
		hold(addr, *length, out);
}

static void hold_argument(const struct rule *r, const long args[6])
{
	const void *p = (const void *)args[r->arg];
	size_t n = (size_t)args[r->n];

	if (!p)
		return;
	switch ((enum length)r->length) {
	case BYTES: hold(p, r->size, r->out); break;
	case ARG: hold(p, n, r->out); break;
	case ARRAY: hold(p, n * r->size, r->out); break;
	case STRING: hold_string(p); break;
	case SOCKLEN: hold_socklen(p, (const socklen_t *)args[r->n], r->out); break;
	case IOVEC: hold_iovec(p, n, r->out); break;
	case MSGHDR: hold_msghdr(p, r->out); break;
	case MMSGHDR: hold_mmsghdr(p, n, r->out); break;
	case NONE: break;
	}
}

static long held_call(const struct call *c, long nr, const long args[6])
{
	uint32_t mark = em_hazard_mark();
	long ret;

	for (int i = 0; c && i < RULES_MAX && c->rules[i].length != NONE; i++)
		hold_argument(&c->rules[i], args);
	/* After vfork this is the parent's record, and exec does not come back
	 * to clean it; process.c tries again should a string have left. */
	if (nr == SYS_execve)
		em_hazard_drop(mark);
	ret = em_syscall(nr, args[0], args[1], args[2], args[3], args[4], args[5]);
	em_hazard_drop(mark);
	return ret;
}

/* ---- buffers larger than what may be held at once ---------------------- */

/* A buffer held by a call cannot be evicted: it must stay well below the limit. */
static size_t piece_bytes(void)
{
	return em_clamp(em_round_down(em_core_config()->limit.value / 64, EM_PAGE_BYTES),
			64u << 10, 4u << 20);
}

static bool is_regular(int fd)
{
	struct stat st;

	return em_syscall(SYS_fstat, fd, (long)&st, 0, 0, 0, 0) == 0 &&
	       S_ISREG(st.st_mode);
}

static bool is_stream(int fd)
{
	int type = 0;
	socklen_t length = sizeof(type);

	return em_syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, (long)&type,
			  (long)&length, 0) == 0 && type == SOCK_STREAM;
}

/* Whether a call on one large buffer may be made in pieces: no messages. */
static bool divisible(long nr, const long args[6])
{
	switch (nr) {
	case SYS_read:
	case SYS_write:
	case SYS_pread64:
	case SYS_pwrite64: return true;
	case SYS_recvfrom:
	case SYS_sendto: return is_stream((int)args[0]);
	default: return false;
	}
}

/*
 * read, write and their kin, piece by piece. A read of anything but a regular
 * file ends with its first piece: it may return less than was asked for, and
 * asking again might block. A write goes on until it is done.
 */
static long pieces(const struct call *c, long nr, const long args[6])
{
	bool positioned = nr == SYS_pread64 || nr == SYS_pwrite64;
	bool out = c->rules[0].out;
	size_t total = (size_t)args[2], done = 0, piece = piece_bytes();
	bool whole = !out || is_regular((int)args[0]) ||
		     (nr == SYS_recvfrom && args[3] & MSG_WAITALL);

	while (done < total) {
		long a[6] = { args[0], args[1] + (long)done,
			      (long)em_min(piece, total - done), args[3], args[4], args[5] };
		if (positioned)
			a[3] += (long)done;
		long n = held_call(c, nr, a);
		if (n < 0)
			return done ? (long)done : n;
		done += (size_t)n;
		if (n < a[2] || !whole)
			break;
	}
	return (long)done;
}

static size_t vector_bytes(const struct iovec *v, size_t count)
{
	size_t sum = 0;

	for (size_t i = 0; i < count && i < IOV_MAX; i++)
		if (em_in_window((uintptr_t)v[i].iov_base))
			sum += v[i].iov_len;
	return sum;
}

/* A vector of more than a piece: one element after the other. */
static long vector_pieces(long nr, const long args[6])
{
	static const struct { uint16_t vector, plain; } plain[] = {
		{ SYS_readv, SYS_read }, { SYS_writev, SYS_write },
		{ SYS_preadv, SYS_pread64 }, { SYS_pwritev, SYS_pwrite64 },
	};
	const struct iovec *v = (const struct iovec *)args[1];
	long one = nr, done = 0;

	for (size_t i = 0; i < EM_ARRAY_LEN(plain); i++)
		if (plain[i].vector == nr)
			one = plain[i].plain;
	for (long i = 0; i < args[2]; i++) {
		long a[6] = { args[0], (long)v[i].iov_base, (long)v[i].iov_len,
			      args[3] + done, 0, 0 };
		long n = v[i].iov_len ? em_guard_call(one, a) : 0;
		if (n < 0)
			return done ? done : n;
		done += n;
		if (n < (long)v[i].iov_len)
			break;
	}
	return done;
}

static bool is_memory_call(long nr)
{
	return nr == SYS_mmap || nr == SYS_munmap || nr == SYS_mprotect ||
	       nr == SYS_madvise || nr == SYS_mremap;
}

static long memory_call(long nr, const long a[6])
{
	switch (nr) {
	case SYS_mmap: return em_mem_mmap((uintptr_t)a[0], (size_t)a[1], (int)a[2],
					  (int)a[3], (int)a[4], a[5]);
	case SYS_munmap: return em_mem_munmap((uintptr_t)a[0], (size_t)a[1]);
	case SYS_mprotect: return em_mem_mprotect((uintptr_t)a[0], (size_t)a[1], (int)a[2]);
	case SYS_madvise: return em_mem_madvise((uintptr_t)a[0], (size_t)a[1], (int)a[2]);
	default: return em_mem_mremap((uintptr_t)a[0], (size_t)a[1], (size_t)a[2],
				      (int)a[3], (uintptr_t)a[4]);
	}
}

long em_guard_call(long nr, const long args[6])
{
	const struct call *c = find_call(nr);

	switch (nr) {
	case SYS_read:
	case SYS_write:
	case SYS_pread64:
	case SYS_pwrite64:
	case SYS_recvfrom:
	case SYS_sendto:
		if ((size_t)args[2] > piece_bytes() && em_in_window((uintptr_t)args[1]) &&
		    divisible(nr, args))
			return pieces(c, nr, args);
		break;
	case SYS_readv:
	case SYS_writev:
	case SYS_preadv:
	case SYS_pwritev:
		if (args[2] > 0 && args[2] <= IOV_MAX &&
		    vector_bytes((const struct iovec *)args[1], (size_t)args[2]) > piece_bytes())
			return vector_pieces(nr, args);
		break;
	default:
		if (is_memory_call(nr))
			return memory_call(nr, args);
	}
	return held_call(c, nr, args);
}
