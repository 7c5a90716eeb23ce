/* SPDX-License-Identifier: MIT
 *
 * With signal delivery the kernel cannot touch an evicted page: a system call
 * fails with EFAULT, or falls short, or loses a datagram. So before a call
 * every managed range it names (calls.h) is published as a hazard and brought
 * in, and stays until the call has returned. Wrappers (io.c) and the net's
 * handler (net.c) both come here.
 *
 * A buffer that is held cannot be evicted. One that is large beside the limit
 * is served in pieces where the file behind the descriptor allows that; where
 * it does not (a datagram, an appending write), it is held as a whole, past the
 * limit if need be.
 */
#include "arch.h"
#include "calls.h"
#include "fault.h"
#include "interpose.h"
#include "kernel.h"
#include "knobs.h"
#include "limit.h"
#include "net_calls.h"
#include "region.h"
#include "stats.h"
#include "thread.h"
#include "trace.h"
#include "window.h"
#include <fcntl.h>
#include <limits.h>
#include <linux/aio_abi.h>
#include <linux/fiemap.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

/* A range longer than this is looked at before it is held: a program may say
 * more than it has, and the kernel stops at the end of what is mapped. */
#define EM_CLIP_BYTES (1ul << 20)
/* What the kernel transfers at most with one call. */
#define EM_RW_MAX 0x7ffff000ul

/* ---- ranges ---------------------------------------------------------- */

/* How much from addr on is mapped without a gap. */
static size_t mapped_bytes(uintptr_t addr, size_t bytes)
{
	uintptr_t end = bytes > EM_WINDOW_MAX ? addr + EM_WINDOW_MAX : addr + bytes;
	uintptr_t at = addr;
	struct em_region r;

	while (at < end && em_region_find(at, &r))
		at = r.end;
	return em_min(at, end) - addr;
}

/*
 * Publishes and brings in one range, if it is managed. What cannot be brought
 * in is left to the kernel, which answers EFAULT. frame is that of the
 * function that makes the call: see thread.h.
 */
static void hold(uintptr_t frame, const void *start, size_t bytes, bool out)
{
	uintptr_t addr = (uintptr_t)start;

	if (!bytes || !em_in_window(addr) || !em_protects(EM_KNOB_CALLS))
		return;
	if (em_unlikely(bytes > EM_CLIP_BYTES) && !(bytes = mapped_bytes(addr, bytes)))
		return;
	em_hazard_add(addr, addr + bytes, frame);
	em_fault_bring_in(addr, bytes, out);
}

/* Whether we may look at what the program points to: if not, the kernel says so. */
static bool readable(const void *p, size_t bytes)
{
	uintptr_t at = (uintptr_t)p, end = at + bytes;
	struct em_region r;

	if (!p || end < at)
		return false;
	while (em_in_window(at) && at < end) {
		if (!em_region_find(at, &r) || !(r.prot & PROT_READ))
			return false;
		at = r.end;
	}
	return true;
}

/* A string ends somewhere: one page at a time, up to the page that ends it. */
static void hold_string(uintptr_t frame, const char *s)
{
	for (size_t done = 0; em_in_window((uintptr_t)s) && done < PATH_MAX;) {
		size_t rest = EM_PAGE_BYTES - ((uintptr_t)(s + done) & EM_PAGE_MASK);

		if (!readable(s + done, 1))
			return;
		hold(frame, s + done, rest, false);
		if (memchr(s + done, '\0', rest))
			return;
		done += rest;
	}
}

static void hold_iovec(uintptr_t frame, const struct iovec *v, size_t count, bool out)
{
	count = em_min(count, IOV_MAX);
	if (!readable(v, count * sizeof(*v)))
		return;
	hold(frame, v, count * sizeof(*v), false);
	for (size_t i = 0; i < count; i++)
		hold(frame, v[i].iov_base, v[i].iov_len, out);
}

static void hold_msghdr(uintptr_t frame, const struct msghdr *m, bool out)
{
	if (!readable(m, sizeof(*m)))
		return;
	hold(frame, m, sizeof(*m), true);
	hold(frame, m->msg_name, m->msg_namelen, out);
	hold(frame, m->msg_control, m->msg_controllen, out);
	hold_iovec(frame, m->msg_iov, m->msg_iovlen, out);
}

static void hold_mmsghdr(uintptr_t frame, const struct mmsghdr *m, size_t count, bool out)
{
	count = em_min(count, IOV_MAX);
	if (!readable(m, count * sizeof(*m)))
		return;
	hold(frame, m, count * sizeof(*m), true);
	for (size_t i = 0; i < count; i++)
		hold_msghdr(frame, &m[i].msg_hdr, out);
}

static void hold_socklen(uintptr_t frame, const void *addr, const socklen_t *length, bool out)
{
	if (!readable(length, sizeof(*length)))
		return;
	hold(frame, length, sizeof(*length), true);
	hold(frame, addr, *length, out);
}

/* pselect6 and its kin: { const sigset_t *set; size_t bytes; } */
static void hold_sigarg(uintptr_t frame, const struct iovec *p)
{
	if (!readable(p, sizeof(*p)))
		return;
	hold(frame, p, sizeof(*p), false);
	hold(frame, p->iov_base, p->iov_len, false);
}

static void hold_filter(uintptr_t frame, const struct sock_fprog *p)
{
	if (!readable(p, sizeof(*p)))
		return;
	hold(frame, p, sizeof(*p), false);
	hold(frame, p->filter, p->len * sizeof(*p->filter), false);
}

static void hold_sockopt(uintptr_t frame, const long args[6])
{
	const void *p = (const void *)args[3];

	hold(frame, p, (size_t)args[4], false);
	if (args[1] == SOL_SOCKET &&
	    (args[2] == SO_ATTACH_FILTER || args[2] == SO_ATTACH_REUSEPORT_CBPF))
		hold_filter(frame, p);
}

static void hold_waitv(uintptr_t frame, const struct futex_waitv *v, size_t count)
{
	count = em_min(count, FUTEX_WAITV_MAX);
	if (!readable(v, count * sizeof(*v)))
		return;
	hold(frame, v, count * sizeof(*v), false);
	for (size_t i = 0; i < count; i++)
		hold(frame, (const void *)v[i].uaddr, sizeof(uint32_t), true);
}

/*
 * What is read or written when the request is carried out is pinned by then if
 * it is direct, and copied during the call if it is not: see reclaim.h.
 */
static void hold_iocbs(uintptr_t frame, struct iocb *const *list, size_t count)
{
	if (!readable(list, count * sizeof(*list)))
		return;
	hold(frame, list, count * sizeof(*list), false);
	for (size_t i = 0; i < count; i++) {
		const struct iocb *cb = list[i];
		const void *buf;

		if (!readable(cb, sizeof(*cb)))
			continue;
		hold(frame, cb, sizeof(*cb), true);
		buf = (const void *)(uintptr_t)cb->aio_buf;
		switch (cb->aio_lio_opcode) {
		case IOCB_CMD_PREADV:
			hold_iovec(frame, buf, cb->aio_nbytes, true);
			break;
		case IOCB_CMD_PWRITEV:
			hold_iovec(frame, buf, cb->aio_nbytes, false);
			break;
		case IOCB_CMD_PREAD:
		case IOCB_CMD_PWRITE:
			hold(frame, buf, cb->aio_nbytes,
			     cb->aio_lio_opcode == IOCB_CMD_PREAD);
		}
	}
}

/* Most requests say how large their argument is; some point on from it. */
static void hold_ioctl(uintptr_t frame, unsigned long request, void *p)
{
	size_t bytes = _IOC_DIR(request) && _IOC_SIZE(request) ? _IOC_SIZE(request) : 512;

	hold(frame, p, mapped_bytes((uintptr_t)p, bytes), true);
	if (!readable(p, sizeof(struct ifreq)))
		return;
	if (request == SIOCGIFCONF)
		hold(frame, ((struct ifconf *)p)->ifc_buf,
		     (size_t)((struct ifconf *)p)->ifc_len, true);
	else if (request == SIOCETHTOOL)
		hold(frame, ((struct ifreq *)p)->ifr_data,
		     mapped_bytes((uintptr_t)((struct ifreq *)p)->ifr_data, EM_PAGE_BYTES),
		     true);
	else if (request == FS_IOC_FIEMAP || request == FIDEDUPERANGE)
		hold(frame, p, mapped_bytes((uintptr_t)p, 64u << 10), true);
}

/* Another process's memory is its own business; ours may be the one meant. */
static void hold_remote(uintptr_t frame, const struct em_rule *r, const long args[6])
{
	const struct iovec *v = (const struct iovec *)args[r->arg];
	size_t count = (size_t)args[r->n];

	if (args[0] == em_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0))
		hold_iovec(frame, v, count, r->out);
	else
		hold(frame, v, em_min(count, IOV_MAX) * sizeof(*v), false);
}

static void hold_structure(uintptr_t frame, const struct em_rule *r, long nr,
			   const long args[6])
{
	void *p = (void *)args[r->arg];
	size_t n = (size_t)args[r->n];

	switch ((enum em_length)r->length) {
	case EM_LEN_STRING: hold_string(frame, p); break;
	case EM_LEN_SOCKLEN:
		hold_socklen(frame, p, (const socklen_t *)args[r->n], r->out);
		break;
	case EM_LEN_IOVEC: hold_iovec(frame, p, n, r->out); break;
	case EM_LEN_MSGHDR: hold_msghdr(frame, p, r->out); break;
	case EM_LEN_MMSGHDR: hold_mmsghdr(frame, p, n, r->out); break;
	case EM_LEN_FDSET: /* in words, of as many bits as there are descriptors */
		hold(frame, p, em_round_up(em_min(n, INT_MAX), 64) / 8, true);
		break;
	case EM_LEN_SIGARG: hold_sigarg(frame, p); break;
	case EM_LEN_IOCTL: hold_ioctl(frame, n, p); break;
	case EM_LEN_FPROG:
		if (nr == SYS_seccomp || args[0] == PR_SET_SECCOMP)
			hold_filter(frame, p);
		break;
	case EM_LEN_SOCKOPT: hold_sockopt(frame, args); break;
	case EM_LEN_IOCBS: hold_iocbs(frame, p, n); break;
	case EM_LEN_WAITV: hold_waitv(frame, p, n); break;
	case EM_LEN_REMOTE: hold_remote(frame, r, args); break;
	default: break;
	}
}

static void hold_argument(uintptr_t frame, const struct em_rule *r, long nr,
			  const long args[6])
{
	const void *p = (const void *)args[r->arg];
	size_t n = (size_t)args[r->n];

	if (!p)
		return;
	switch (r->length) {
	case EM_LEN_BYTES: hold(frame, p, r->size, r->out); break;
	case EM_LEN_ARG: hold(frame, p, n + r->size, r->out); break;
	case EM_LEN_ARRAY:
		hold(frame, p, em_min(n, EM_WINDOW_MAX / 4096) * r->size, r->out);
		break;
	default: hold_structure(frame, r, nr, args);
	}
}

static long held_call(const struct em_call *c, long nr, const long args[6])
{
	uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
	uint32_t mark = em_hazard_mark(frame);
	long ret;

	for (int i = 0; c && i < EM_RULES_MAX && c->rules[i].length; i++)
		hold_argument(frame, &c->rules[i], nr, args);
	/* After vfork this is the parent's record, and exec does not come back
	 * to clean it; process.c tries again should a string have left. */
	if (nr == SYS_execve || nr == SYS_execveat) {
		em_hazard_drop(mark);
		em_trace_flush();
	}
	ret = em_arch_call(nr, args);
	em_hazard_drop(mark);
	return ret;
}

/* ---- buffers larger than what may be held at once ---------------------- */

/* A buffer held by a call cannot be evicted: it must stay well below the limit. */
static size_t piece_bytes(void)
{
	return em_clamp(em_round_down(em_limit_bytes() / 64, EM_PAGE_BYTES),
			EM_SMALL_BYTES, 4u << 20);
}

/* How a transfer may be cut. */
enum cut {
	WHOLE, /* not at all: it is one message */
	FIRST, /* one piece: it may fall short, and asking again might block */
	THERE, /* piece by piece for as long as there is something to read */
	ALL,   /* piece by piece to the end */
};

/*
 * A stream that is read. Who does not block may wait for the next event of an
 * edge-triggered epoll once a read has fallen short, since that says that there
 * is no more: epoll(7).
 */
static enum cut cut_stream(int fd, int flags)
{
	long status = em_syscall(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0);

	return (status > 0 && status & O_NONBLOCK) || flags & MSG_DONTWAIT ? THERE : FIRST;
}

/* Asked of the kernel instead of reading on, which would take an error of the
 * socket's away from the program's next call. */
static bool is_more_there(int fd)
{
	int bytes = 0;

	return em_syscall(SYS_ioctl, fd, FIONREAD, (long)&bytes, 0, 0, 0) == 0 && bytes > 0;
}

static enum cut cut_socket(int fd, bool out, int flags)
{
	int type = 0;
	socklen_t length = sizeof(type);

	if (em_syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, (long)&type,
		       (long)&length, 0) < 0 || type != SOCK_STREAM)
		return WHOLE;
	if (!out)
		return ALL;
	if (flags & MSG_PEEK)
		return WHOLE;
	return flags & MSG_WAITALL ? ALL : cut_stream(fd, flags);
}

/* Of devices only those that are known to be streams. */
static enum cut cut_device(dev_t device, bool out)
{
	unsigned int class = major(device);

	if (class == 1) /* zero, null, urandom ...; but not kmsg */
		return minor(device) == 11 ? WHOLE : ALL;
	if (class == 4 || class == 5 || (class >= 136 && class <= 143)) /* terminals */
		return out ? FIRST : ALL;
	return WHOLE;
}

/* Writers that append do so one after the other: as long as that can be kept. */
static bool appends(int fd, long nr, const long args[6], size_t bytes)
{
	long flags = em_syscall(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0);

	return bytes <= em_limit_bytes() / 2 &&
	       ((flags > 0 && flags & O_APPEND) ||
		(nr == SYS_pwritev2 && args[5] & RWF_APPEND));
}

static enum cut may_cut(long nr, const long args[6], bool out, int flags, size_t bytes)
{
	int fd = (int)args[0];
	struct stat st;

	if (em_syscall(SYS_fstat, fd, (long)&st, 0, 0, 0, 0) < 0)
		return WHOLE;
	switch (st.st_mode & S_IFMT) {
	case S_IFREG: return !out && appends(fd, nr, args, bytes) ? WHOLE : ALL;
	case S_IFBLK: return ALL;
	case S_IFIFO: return out ? cut_stream(fd, 0) : ALL;
	case S_IFSOCK: return cut_socket(fd, out, flags);
	case S_IFCHR: return cut_device(st.st_rdev, out);
	default: return WHOLE;
	}
}

#define EM_SLICE_MAX 64

/* A transfer that is made in pieces: one buffer, a vector, or a message. */
struct transfer {
	long nr, args[6];
	struct iovec one;
	const struct iovec *v;
	size_t count;         /* of v */
	size_t at, into;      /* where it is: element, and byte of that */
	size_t total, done;
	struct msghdr *message, header;
	struct iovec slice[EM_SLICE_MAX];
	bool out;
	enum { PLAIN, VECTOR, MESSAGE } kind;
};

/* The next piece, at most max bytes; returns its bytes. */
static size_t next_slice(struct transfer *t, size_t max, size_t *count)
{
	size_t bytes = 0;

	for (*count = 0; *count < EM_SLICE_MAX && t->at < t->count && bytes < max;) {
		const struct iovec *e = &t->v[t->at];
		size_t n = em_min(e->iov_len - t->into, max - bytes);

		if (n)
			t->slice[(*count)++] = (struct iovec){
				(char *)e->iov_base + t->into, n
			};
		bytes += n;
		t->into += n;
		if (t->into == e->iov_len) {
			t->at++;
			t->into = 0;
		}
	}
	return bytes;
}

static bool is_positioned(long nr)
{
	return nr == SYS_pread64 || nr == SYS_pwrite64 || nr == SYS_preadv ||
	       nr == SYS_pwritev || nr == SYS_preadv2 || nr == SYS_pwritev2;
}

static long transfer_slice(struct transfer *t, size_t count)
{
	long a[6];

	memcpy(a, t->args, sizeof(a));
	if (is_positioned(t->nr) && a[3] != -1)
		a[3] += (long)t->done;
	switch (t->kind) {
	case PLAIN:
		a[1] = (long)t->slice[0].iov_base;
		a[2] = (long)t->slice[0].iov_len;
		break;
	case VECTOR:
		a[1] = (long)t->slice;
		a[2] = (long)count;
		break;
	case MESSAGE:
		t->header.msg_iov = t->slice;
		t->header.msg_iovlen = count;
		a[1] = (long)&t->header;
	}
	return held_call(em_call_find(t->nr), t->nr, a);
}

static long transfer(struct transfer *t, enum cut cut)
{
	size_t count, bytes;

	do {
		bytes = next_slice(t, em_min(piece_bytes(), t->total - t->done), &count);
		long n = transfer_slice(t, count);
		if (n < 0)
			return t->done ? (long)t->done : n;
		t->done += (size_t)n;
		if (t->kind == MESSAGE) { /* once is enough */
			t->header.msg_control = NULL;
			t->header.msg_controllen = 0;
		}
		if ((size_t)n < bytes)
			break;
	} while (t->done < t->total &&
		 (cut == ALL || (cut == THERE && is_more_there((int)t->args[0]))));
	return (long)t->done;
}

static long transfer_message(struct transfer *t, enum cut cut)
{
	size_t control = t->header.msg_controllen;
	long ret;

	if (t->out && cut != FIRST && control) /* of which piece it is, would not be seen */
		return held_call(em_call_find(t->nr), t->nr, t->args);
	if (t->out && cut == FIRST) { /* what comes back is the program's */
		size_t count;
		next_slice(t, piece_bytes(), &count);
		ret = transfer_slice(t, count);
	} else {
		ret = transfer(t, cut);
	}
	if (t->out && ret >= 0) {
		t->message->msg_namelen = t->header.msg_namelen;
		t->message->msg_controllen = t->header.msg_controllen;
		t->message->msg_flags = t->header.msg_flags;
	}
	return ret;
}

/* Fills in what is transferred; false when it is small, or no such call. */
static bool is_large(struct transfer *t)
{
	switch (t->nr) {
	case SYS_read:
	case SYS_write:
	case SYS_pread64:
	case SYS_pwrite64:
	case SYS_recvfrom:
	case SYS_sendto:
		t->kind = PLAIN;
		t->one = (struct iovec){ (void *)t->args[1], (size_t)t->args[2] };
		t->v = &t->one;
		t->count = 1;
		break;
	case SYS_recvmsg:
	case SYS_sendmsg:
		t->kind = MESSAGE;
		t->message = (struct msghdr *)t->args[1];
		if (!readable(t->message, sizeof(*t->message)))
			return false;
		t->header = *t->message;
		t->v = t->header.msg_iov;
		t->count = t->header.msg_iovlen;
		break;
	default:
		t->kind = VECTOR;
		t->v = (const struct iovec *)t->args[1];
		t->count = (size_t)t->args[2];
	}
	if (t->count > IOV_MAX || !readable(t->v, t->count * sizeof(*t->v)))
		return false;
	for (size_t i = 0; i < t->count; i++) {
		if (t->v[i].iov_len > SSIZE_MAX - t->total)
			return false;
		t->total += t->v[i].iov_len;
	}
	t->total = em_min(t->total, EM_RW_MAX);
	return t->total > piece_bytes();
}

/* MSG_ ... */
static int flags_of(long nr, const long args[6])
{
	switch (nr) {
	case SYS_recvfrom:
	case SYS_sendto: return (int)args[3];
	case SYS_recvmsg:
	case SYS_sendmsg: return (int)args[2];
	default: return 0;
	}
}

static long cut_call(const struct em_call *c, long nr, const long args[6])
{
	struct transfer t; /* the slice is not worth clearing for each call */
	enum cut cut = WHOLE;

	t.nr = nr;
	t.out = c->rules[0].out;
	t.at = t.into = t.total = t.done = 0;
	memcpy(t.args, args, sizeof(t.args));
	if (is_large(&t))
		cut = em_protects(EM_KNOB_WHOLE) ?
			may_cut(nr, args, t.out, flags_of(nr, args), t.total) : ALL;
	if (cut == WHOLE)
		return held_call(c, nr, args);
	return t.kind == MESSAGE ? transfer_message(&t, cut) : transfer(&t, cut);
}

/* A call that changes mappings: false when it is none. */
static bool memory_call(long nr, const long a[6], long *ret)
{
	uintptr_t addr = (uintptr_t)a[0];
	size_t bytes = (size_t)a[1];

	switch (nr) {
	case SYS_mmap:
		*ret = em_mem_mmap(addr, bytes, (int)a[2], (int)a[3], (int)a[4], a[5], 0);
		return true;
	case SYS_mremap:
		*ret = em_mem_mremap(addr, bytes, (size_t)a[2], (int)a[3], (uintptr_t)a[4]);
		return true;
	case SYS_process_madvise:
		*ret = em_mem_process_madvise((int)a[0], (const struct iovec *)a[1],
					      (size_t)a[2], (int)a[3], (unsigned int)a[4]);
		return true;
	case SYS_munmap: *ret = em_mem_munmap(addr, bytes); return true;
	case SYS_mprotect: *ret = em_mem_mprotect(addr, bytes, (int)a[2]); return true;
	case SYS_pkey_mprotect:
		*ret = em_mem_pkey_mprotect(addr, bytes, (int)a[2], (int)a[3]);
		return true;
	case SYS_madvise: *ret = em_mem_madvise(addr, bytes, (int)a[2]); return true;
	case SYS_mlock: *ret = em_mem_mlock(addr, bytes, 0); return true;
	case SYS_mlock2: *ret = em_mem_mlock(addr, bytes, (unsigned int)a[2]); return true;
	case SYS_munlock: *ret = em_mem_munlock(addr, bytes); return true;
	case SYS_msync: *ret = em_mem_msync(addr, bytes, (int)a[2]); return true;
	case SYS_mseal: *ret = em_mem_mseal(addr, bytes, (unsigned long)a[2]); return true;
	case SYS_prctl:
		return a[0] == PR_SET_VMA && a[1] == PR_SET_VMA_ANON_NAME &&
		       em_mem_name((uintptr_t)a[2], (size_t)a[3], (const char *)a[4], ret);
	default: return false;
	}
}

/* Whether a call of this kind can be large enough to be cut. */
static bool may_be_large(long nr, const long args[6])
{
	switch (nr) {
	case SYS_read:
	case SYS_write:
	case SYS_pread64:
	case SYS_pwrite64:
	case SYS_recvfrom:
	case SYS_sendto:
		return em_unlikely((size_t)args[2] > EM_SMALL_BYTES);
	case SYS_readv:
	case SYS_writev:
	case SYS_preadv:
	case SYS_pwritev:
	case SYS_preadv2:
	case SYS_pwritev2:
	case SYS_recvmsg:
	case SYS_sendmsg:
		return true;
	default:
		return false;
	}
}

/* What is answered with an error although it could be made. */
static long refused(long nr, const long args[6])
{
	switch (nr) {
	case SYS_io_uring_setup:
	case SYS_io_setup:
		return -em_net_refuses(nr);
	case SYS_rseq:
	case SYS_set_tid_address:
	case SYS_set_robust_list:
		return -em_net_keeps(nr, (uintptr_t)args[0]);
	default:
		return 0;
	}
}

long em_guard_held(long nr, const long args[6])
{
	return em_core_active() ? held_call(em_call_find(nr), nr, args) : em_arch_call(nr, args);
}

long em_guard_call(long nr, const long args[6])
{
	const struct em_call *c = em_call_find(nr);
	long ret;

	if (em_unlikely(!em_core_active()))
		return em_arch_call(nr, args);
	if (may_be_large(nr, args))
		return cut_call(c, nr, args);
	if (memory_call(nr, args, &ret))
		return ret;
	if (em_unlikely((ret = refused(nr, args)) < 0))
		return ret;
	if (em_unlikely(em_sandbox_begins(nr, args)))
		return em_sandbox_begin(nr, args);
	return held_call(c, nr, args);
}
