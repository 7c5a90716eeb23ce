/* SPDX-License-Identifier: MIT */
#include "sys.h"
#include "arch.h"
#include "kernel.h"
#include "knobs.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

/* Debian 12's headers know the numbers; older ones may not. */
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

/* The library's descriptors are kept from here up, out of the way of programs
 * that count on small numbers or close everything they do not know. */
#define EM_FD_FLOOR 700
#define EM_FDS_MAX 512
#define EM_SPARES 3
#define EM_SPARES_NEEDED 2 /* by a fork; the first one keeps a third for good */

static struct {
	int uffd;
	int device; /* /dev/userfaultfd, kept so that a fork needs no privilege; 0: none */
	int pidfd;  /* or PIDFD_SELF_THREAD */
	int mem;    /* /proc/self/mem, opened when first needed; 0 before */
	bool vector_drop, probed;
	bool dont_wake; /* nobody waits in the kernel: signal delivery */
	bool can_poison;
	_Atomic bool no_tsc;           /* set by any thread, for good */
	int spares[EM_SPARES];         /* descriptor + 1, or 0 */
	_Atomic int lowest;            /* none of ours is below this */
	_Atomic int owned[EM_FDS_MAX]; /* descriptor + 1, or 0 */
} sys = { .uffd = -1, .pidfd = -1, .lowest = INT_MAX };

#define CALL0(nr) em_syscall(nr, 0, 0, 0, 0, 0, 0)
#define CALL1(nr, a) em_syscall(nr, (long)(a), 0, 0, 0, 0, 0)
#define CALL2(nr, a, b) em_syscall(nr, (long)(a), (long)(b), 0, 0, 0, 0)
#define CALL3(nr, a, b, c) \
	em_syscall(nr, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define CALL4(nr, a, b, c, d) \
	em_syscall(nr, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define CALL5(nr, a, b, c, d, e) \
	em_syscall(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)
#define CALL6(nr, a, b, c, d, e, f) \
	em_syscall(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

static void own_fd(int fd)
{
	if (fd < atomic_load(&sys.lowest))
		atomic_store(&sys.lowest, fd);
	for (size_t i = 0; i < EM_FDS_MAX; i++) {
		int none = 0;
		if (atomic_compare_exchange_strong(&sys.owned[i], &none, fd + 1))
			return;
	}
}

bool em_sys_owns_fd(int fd)
{
	if (em_likely(fd < atomic_load_explicit(&sys.lowest, memory_order_relaxed)))
		return false;
	for (size_t i = 0; i < EM_FDS_MAX; i++)
		if (atomic_load_explicit(&sys.owned[i], memory_order_relaxed) == fd + 1)
			return true;
	return false;
}

int em_sys_next_own_fd(unsigned int first)
{
	int best = -1;

	for (size_t i = 0; i < EM_FDS_MAX; i++) {
		int fd = atomic_load_explicit(&sys.owned[i], memory_order_relaxed) - 1;
		if (fd >= 0 && (unsigned int)fd >= first && (best < 0 || fd < best))
			best = fd;
	}
	return best;
}

int em_sys_close(int fd)
{
	for (size_t i = 0; i < EM_FDS_MAX; i++) {
		int mine = fd + 1;
		atomic_compare_exchange_strong(&sys.owned[i], &mine, 0);
	}
	return (int)CALL1(SYS_close, fd);
}

static int fd_floor(void)
{
	struct rlimit lim;

	if (CALL4(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, &lim) == 0 &&
	    lim.rlim_cur < EM_FD_FLOOR + 64)
		return lim.rlim_cur > 128 ? (int)lim.rlim_cur - 64 : 3;
	return EM_FD_FLOOR;
}

int em_sys_raise_fd(int fd)
{
	long up = CALL3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, fd_floor());

	if (up >= 0) {
		CALL1(SYS_close, fd);
		fd = (int)up;
	}
	own_fd(fd);
	return fd;
}

/* Which descriptor a spare is a copy of does not matter. */
bool em_sys_keep_spares(void)
{
	int kept = 0;

	for (size_t i = 0; i < EM_SPARES; i++) {
		if (sys.spares[i]) {
			kept++;
			continue;
		}
		long fd = CALL3(SYS_fcntl, sys.uffd, F_DUPFD_CLOEXEC, fd_floor());
		if (fd >= 0) {
			own_fd((int)fd);
			sys.spares[i] = (int)fd + 1;
			kept++;
		}
	}
	return kept >= EM_SPARES_NEEDED;
}

bool em_sys_spend_spares(void)
{
	bool any = false;

	if (!em_protects(EM_KNOB_SPARES))
		return false;
	for (size_t i = 0; i < EM_SPARES; i++) {
		if (!sys.spares[i])
			continue;
		em_sys_close(sys.spares[i] - 1);
		sys.spares[i] = 0;
		any = true;
	}
	return any;
}

int em_sys_place_stub(uintptr_t addr)
{
	long p = CALL6(SYS_mmap, addr, EM_PAGE_BYTES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (p < 0)
		return (int)p;
	memcpy((void *)p, em_arch_stub_code, EM_ARCH_STUB_BYTES);
	int ret = em_sys_protect((uintptr_t)p, EM_PAGE_BYTES, PROT_READ | PROT_EXEC);
	if (ret == 0)
		em_arch_stub = (const void *)p;
	if (ret == 0)
		em_arch_stub_call = (const char *)p + EM_ARCH_STUB_CALL;
	return ret;
}

/* ---- userfaultfd ----------------------------------------------------- */

static int open_for_signals(void)
{
	int flags = O_CLOEXEC | O_NONBLOCK;
	long fd = CALL1(SYS_userfaultfd, flags | UFFD_USER_MODE_ONLY);

	if (fd == -EINVAL) /* before 5.11: allowed only with the sysctl set */
		fd = CALL1(SYS_userfaultfd, flags);
	return (int)fd;
}

/*
 * The device first (Linux 6.1): a process that gives its privileges up keeps
 * the descriptor, and so can its children open what they need.
 */
static int open_for_threads(void)
{
	long fd;

	if (!sys.device) {
		fd = CALL4(SYS_openat, AT_FDCWD, "/dev/userfaultfd", O_RDWR | O_CLOEXEC, 0);
		if (fd >= 0)
			sys.device = em_sys_raise_fd((int)fd);
	}
	fd = sys.device ? CALL3(SYS_ioctl, sys.device, USERFAULTFD_IOC_NEW, O_CLOEXEC)
			: -ENOTTY;
	if (fd < 0)
		fd = CALL1(SYS_userfaultfd, O_CLOEXEC);
	return (int)fd;
}

static int start_uffd(int fd, uint64_t features, uint64_t *offered)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int ret = (int)CALL3(SYS_ioctl, fd, UFFDIO_API, &api);

	*offered = api.features;
	return ret;
}

/* Asks what there is on a descriptor of its own: one answer is all it gives. */
static int find_features(int (*open_one)(void), uint64_t *offered)
{
	int fd = open_one();
	int ret;

	if (fd < 0)
		return fd;
	ret = start_uffd(fd, 0, offered);
	CALL1(SYS_close, fd);
	return ret;
}

/* A kernel without all that is wanted refuses at first, and is asked what it has. */
static int open_uffd(int (*open_one)(void), uint64_t needed, uint64_t *features)
{
	uint64_t offered, wanted = UFFD_FEATURE_MOVE | UFFD_FEATURE_POISON;
	int fd = open_one();
	int ret;

	if (fd < 0)
		return fd;
	*features = needed | wanted;
	ret = start_uffd(fd, *features, &offered);
	if (ret == -EINVAL && (ret = find_features(open_one, &offered)) == 0) {
		*features = needed | (wanted & offered);
		ret = start_uffd(fd, *features, &offered);
	}
	if (ret < 0) {
		CALL1(SYS_close, fd);
		return ret;
	}
	return em_sys_raise_fd(fd);
}

/* The vectored drop is tried on a page of our own: versions do not tell. */
static bool probe_vector_drop(void)
{
	char *page = em_sys_alloc(EM_PAGE_BYTES);
	struct iovec run = { page, EM_PAGE_BYTES };
	bool works = false;

	if (!page)
		return false;
	sys.pidfd = PIDFD_SELF_THREAD;
	for (int attempt = 0; attempt < 2 && !works; attempt++) {
		*page = 1;
		works = CALL5(SYS_process_madvise, sys.pidfd, &run, 1,
			      MADV_DONTNEED, 0) == (long)EM_PAGE_BYTES && *page == 0;
		if (!works && attempt == 0) {
			long fd = CALL2(SYS_pidfd_open, CALL0(SYS_getpid), 0);
			if (fd < 0)
				break;
			sys.pidfd = em_sys_raise_fd((int)fd);
		}
	}
	em_sys_dealloc(page, EM_PAGE_BYTES);
	return works;
}

static int open_mem(void)
{
	long fd;

	if (sys.mem)
		return 0;
	fd = CALL4(SYS_openat, AT_FDCWD, "/proc/self/mem", O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return (int)fd;
	sys.mem = em_sys_raise_fd((int)fd);
	return 0;
}

int em_sys_uffd_open(bool by_thread, struct em_sys_features *features)
{
	uint64_t have;
	int fd;

	if (by_thread) {
		fd = open_mem(); /* reclaim reads all pages through it */
		if (fd == 0)
			fd = open_uffd(open_for_threads, UFFD_FEATURE_PAGEFAULT_FLAG_WP |
				       UFFD_FEATURE_THREAD_ID, &have);
	} else {
		fd = open_uffd(open_for_signals, UFFD_FEATURE_PAGEFAULT_FLAG_WP |
			       UFFD_FEATURE_SIGBUS, &have);
	}
	if (fd < 0)
		return fd == -EACCES ? -EPERM : fd;
	sys.uffd = fd;
	sys.dont_wake = !by_thread;
	sys.can_poison = have & UFFD_FEATURE_POISON;
	CALL3(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
	features->move = have & UFFD_FEATURE_MOVE;
	/* What was found once still holds after fork, but for a pidfd. */
	if (!sys.probed || sys.pidfd == -1)
		sys.vector_drop = probe_vector_drop();
	sys.probed = true;
	features->vector_drop = sys.vector_drop;
	return 0;
}

void em_sys_uffd_close(void)
{
	if (sys.uffd >= 0)
		em_sys_close(sys.uffd);
	em_sys_spend_spares();
	if (sys.pidfd >= 0) {
		em_sys_close(sys.pidfd);
		sys.pidfd = -1;
	}
	if (sys.mem > 0)
		em_sys_close(sys.mem);
	sys.uffd = -1;
	sys.mem = 0;
}

int em_sys_uffd_register(uintptr_t addr, size_t bytes)
{
	struct uffdio_register reg = {
		.range = { addr, bytes },
		.mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP,
	};

	return (int)CALL3(SYS_ioctl, sys.uffd, UFFDIO_REGISTER, &reg);
}

long em_sys_copy_in(uintptr_t dst, const void *src, size_t bytes, bool protect)
{
	for (;;) {
		struct uffdio_copy copy = {
			.dst = dst,
			.src = (uintptr_t)src,
			.len = bytes,
			.mode = (sys.dont_wake ? UFFDIO_COPY_MODE_DONTWAKE : 0) |
				(protect ? UFFDIO_COPY_MODE_WP : 0),
		};
		long ret = CALL3(SYS_ioctl, sys.uffd, UFFDIO_COPY, &copy);

		if (ret == 0)
			return (long)bytes;
		if (copy.copy > 0)
			return copy.copy;
		if (ret != -EAGAIN && ret != -EINTR)
			return ret;
		em_sys_yield();
	}
}

long em_sys_move(uintptr_t dst, uintptr_t src, size_t bytes)
{
	for (int tries = 0;; tries++) {
		struct uffdio_move move = {
			.dst = dst, .src = src, .len = bytes,
			.mode = UFFDIO_MOVE_MODE_DONTWAKE,
		};
		long ret = CALL3(SYS_ioctl, sys.uffd, UFFDIO_MOVE, &move);

		if (ret == 0)
			return (long)bytes;
		if (move.move > 0)
			return move.move;
		if ((ret != -EAGAIN && ret != -EINTR) || tries > 1000)
			return ret;
		em_sys_yield();
	}
}

int em_sys_write_protect(uintptr_t addr, size_t bytes, bool on)
{
	uint64_t off = sys.dont_wake ? UFFDIO_WRITEPROTECT_MODE_DONTWAKE : 0;

	for (;;) {
		struct uffdio_writeprotect wp = {
			.range = { addr, bytes },
			.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : off,
		};
		long ret = CALL3(SYS_ioctl, sys.uffd, UFFDIO_WRITEPROTECT, &wp);

		if (ret != -EAGAIN && ret != -EINTR)
			return (int)ret;
		em_sys_yield();
	}
}

/* Drops the runs of one vector; returns how many are gone. */
static size_t drop_vector(const struct iovec *runs, size_t count)
{
	long done = CALL5(SYS_process_madvise, sys.pidfd, runs, count,
			  MADV_DONTNEED, 0);
	size_t i = 0;

	while (i < count && done >= (long)runs[i].iov_len)
		done -= (long)runs[i++].iov_len;
	return i;
}

int em_sys_drop(const struct iovec *runs, size_t count, size_t *done)
{
	size_t i = 0;

	while (i < count) {
		if (sys.vector_drop && count - i > 1) {
			i += drop_vector(runs + i, em_min(count - i, IOV_MAX));
			if (i == count)
				break;
		}
		/* A run that the vector stopped at is tried alone for its error. */
		int ret = em_sys_discard((uintptr_t)runs[i].iov_base, runs[i].iov_len);
		if (ret < 0) {
			*done = i;
			return ret;
		}
		i++;
	}
	*done = count;
	return 0;
}

int em_sys_ring_setup(unsigned int entries, void *params)
{
	return (int)CALL2(SYS_io_uring_setup, entries, params);
}

/*
 * The kernel does not wait for a userfault on behalf of /proc/self/mem, nor of
 * a futex operation that finds its word missing: it could not retry.
 */
int em_sys_peek(void *dst, uintptr_t src, size_t bytes)
{
	int ret = open_mem();

	if (ret < 0)
		return ret;
	long n = CALL4(SYS_pread64, sys.mem, dst, bytes, src);
	return n == (long)bytes ? 0 : n < 0 && n != -EIO ? (int)n : -EFAULT;
}

int em_sys_touch(uintptr_t addr)
{
	static uint32_t nobody;
	long ret = CALL6(SYS_futex, &nobody, FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG, 0, 0, addr,
			 FUTEX_OP(FUTEX_OP_OR, 0, FUTEX_OP_CMP_LT, -2048));

	return ret < 0 ? (int)ret : 0;
}

/* ---- faults as messages ------------------------------------------------ */

int em_sys_read_fault(struct em_sys_fault *fault)
{
	struct uffd_msg msg;
	long n;

	do {
		n = CALL3(SYS_read, sys.uffd, &msg, sizeof(msg));
	} while (n == -EINTR || n == -EAGAIN ||
		 (n == (long)sizeof(msg) && msg.event != UFFD_EVENT_PAGEFAULT));
	if (n != (long)sizeof(msg))
		return n < 0 ? (int)n : -EIO;
	*fault = (struct em_sys_fault){
		.addr = msg.arg.pagefault.address,
		.write = msg.arg.pagefault.flags &
			 (UFFD_PAGEFAULT_FLAG_WRITE | UFFD_PAGEFAULT_FLAG_WP),
		.protection = msg.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP,
		.tid = (pid_t)msg.arg.pagefault.feat.ptid,
	};
	return 0;
}

void em_sys_wake_range(uintptr_t addr, size_t bytes)
{
	struct uffdio_range range = { addr, bytes };

	CALL3(SYS_ioctl, sys.uffd, UFFDIO_WAKE, &range);
}

int em_sys_poison(uintptr_t addr)
{
	struct uffdio_poison poison = { .range = { addr, EM_PAGE_BYTES } };

	return sys.can_poison ? (int)CALL3(SYS_ioctl, sys.uffd, UFFDIO_POISON, &poison)
			      : -ENOSYS;
}

void em_sys_raise_sigbus(pid_t tid)
{
	CALL3(SYS_tgkill, CALL0(SYS_getpid), tid, SIGBUS);
}

/* ---- memory ---------------------------------------------------------- */

void *em_sys_alloc(size_t bytes)
{
	long p = CALL6(SYS_mmap, 0, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p < 0 && p > -4096 ? NULL : (void *)p;
}

void em_sys_dealloc(void *p, size_t bytes)
{
	CALL2(SYS_munmap, p, bytes);
}

void em_sys_populate(const void *p, size_t bytes)
{
	CALL3(SYS_madvise, p, bytes, MADV_POPULATE_READ);
}

void em_sys_prefer_huge(void *p, size_t bytes)
{
	CALL3(SYS_madvise, p, bytes, MADV_HUGEPAGE);
}

void em_sys_inherit(void *p, size_t bytes, bool on)
{
	CALL3(SYS_madvise, p, bytes, on ? MADV_KEEPONFORK : MADV_WIPEONFORK);
}

int em_sys_map(uintptr_t addr, size_t bytes, int prot)
{
	long p = CALL6(SYS_mmap, addr, bytes, prot,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
		       MAP_FIXED_NOREPLACE, -1, 0);

	if (p < 0 && p > -4096)
		return (int)p;
	if ((uintptr_t)p != addr) { /* kernels before 4.17 take it as a hint */
		em_sys_dealloc((void *)p, bytes);
		return -EEXIST;
	}
	CALL3(SYS_madvise, addr, bytes, MADV_NOHUGEPAGE);
	return 0;
}

int em_sys_reserve(uintptr_t addr, size_t bytes)
{
	return em_sys_map(addr, bytes, PROT_NONE);
}

int em_sys_unmap(uintptr_t addr, size_t bytes)
{
	return (int)CALL2(SYS_munmap, addr, bytes);
}

static uint64_t soft_limit(int resource)
{
	struct rlimit lim;

	return CALL4(SYS_prlimit64, 0, resource, 0, &lim) < 0 ||
	       lim.rlim_cur == RLIM_INFINITY ? EM_SPACE_UNBOUND : lim.rlim_cur;
}

/* What memory can be promised at most, asked once. */
static uint64_t promised_bytes(void)
{
	static _Atomic uint64_t known;
	uint64_t bytes = atomic_load_explicit(&known, memory_order_relaxed);
	struct sysinfo info;
	char mode = '0';

	if (em_likely(bytes))
		return bytes;
	bytes = EM_SPACE_UNBOUND;
	em_sys_read_path("/proc/sys/vm/overcommit_memory", 0, &mode, 1);
	if (mode == '2' && CALL1(SYS_sysinfo, &info) == 0)
		bytes = (info.totalram + info.totalswap) * info.mem_unit;
	atomic_store_explicit(&known, bytes, memory_order_relaxed);
	return bytes;
}

uint64_t em_sys_space_bytes(void)
{
	return em_min(promised_bytes(),
		      em_min(soft_limit(RLIMIT_AS), soft_limit(RLIMIT_DATA)));
}

int em_sys_protect(uintptr_t addr, size_t bytes, int prot)
{
	return (int)CALL3(SYS_mprotect, addr, bytes, prot);
}

int em_sys_discard(uintptr_t addr, size_t bytes)
{
	return (int)CALL3(SYS_madvise, addr, bytes, MADV_DONTNEED);
}

int em_sys_lock(uintptr_t addr, size_t bytes)
{
	return (int)CALL3(SYS_mlock2, addr, bytes, MLOCK_ONFAULT);
}

int em_sys_unlock(uintptr_t addr, size_t bytes)
{
	return (int)CALL2(SYS_munlock, addr, bytes);
}

/* ---- files, time, threads -------------------------------------------- */

long em_sys_pread(int fd, void *buf, size_t bytes, uint64_t offset)
{
	return CALL4(SYS_pread64, fd, buf, bytes, offset);
}

long em_sys_pwrite(int fd, const void *buf, size_t bytes, uint64_t offset)
{
	return CALL4(SYS_pwrite64, fd, buf, bytes, offset);
}

long em_sys_read_path(const char *path, uint64_t offset, char *out, size_t bytes)
{
	long fd = CALL4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0), n;
	size_t done = 0;

	if (fd < 0)
		return fd;
	do { /* such files come in pieces */
		n = CALL4(SYS_pread64, fd, out + done, bytes - done, offset + done);
		done += n > 0 ? (size_t)n : 0;
	} while (n > 0 && done < bytes);
	CALL1(SYS_close, fd);
	return n < 0 ? n : (long)done;
}

/* Shared futexes: a word may lie in the segment. The difference is not felt. */
void em_sys_wait(_Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns)
{
	struct timespec ts = { (time_t)(timeout_ns / 1000000000u),
			       (long)(timeout_ns % 1000000000u) };

	CALL4(SYS_futex, word, FUTEX_WAIT, value, timeout_ns ? &ts : NULL);
}

void em_sys_wake(_Atomic uint32_t *word, int count)
{
	CALL3(SYS_futex, word, FUTEX_WAKE, count);
}

void em_sys_membarrier(void)
{
	CALL3(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

void em_sys_yield(void)
{
	CALL0(SYS_sched_yield);
}

void em_sys_forbid_tsc(void)
{
	atomic_store(&sys.no_tsc, true);
}

uint64_t em_sys_now_ns(void)
{
	struct timespec ts;

	if (em_unlikely(atomic_load_explicit(&sys.no_tsc, memory_order_relaxed)))
		CALL2(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
	else
		clock_gettime(CLOCK_MONOTONIC, &ts); /* vdso: signal-safe, no call */
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

pid_t em_sys_tid(void)
{
	return (pid_t)CALL0(SYS_gettid);
}

void em_sys_name_thread(const char *name)
{
	CALL2(SYS_prctl, PR_SET_NAME, name);
}

bool em_sys_thread_alive(pid_t tid)
{
	return CALL3(SYS_tgkill, CALL0(SYS_getpid), tid, 0) == 0;
}

/* The kernel's signal set is one word; glibc's is larger. */
void em_sys_block_signals(sigset_t *old)
{
	uint64_t set = ~0ull;

	set &= ~(1ull << (SIGBUS - 1) | 1ull << (SIGSYS - 1) |
		 1ull << (SIGSEGV - 1) | 1ull << (SIGILL - 1) |
		 1ull << (SIGFPE - 1) | 1ull << (SIGTRAP - 1));
	/* Where faults are no signals, the program may have blocked them all. */
	CALL4(SYS_rt_sigprocmask, sys.dont_wake ? SIG_SETMASK : SIG_BLOCK, &set, old,
	      sizeof(set));
}

void em_sys_restore_signals(const sigset_t *old)
{
	CALL4(SYS_rt_sigprocmask, SIG_SETMASK, old, NULL, sizeof(uint64_t));
}
