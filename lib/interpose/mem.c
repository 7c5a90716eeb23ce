/* SPDX-License-Identifier: MIT
 *
 * Which mappings are managed: private, anonymous, of manage.min_size or more,
 * and not of a kind that only the kernel can give (huge pages, stacks, the
 * low 4 GiB). A hint is not a promise: the mapping goes to the window.
 */
#include "arch.h"
#include "fault.h"
#include "interpose.h"
#include "kernel.h"
#include "knobs.h"
#include "limit.h"
#include "log.h"
#include "net_calls.h"
#include "region.h"
#include "standby.h"
#include "stats.h"
#include "sys.h"
#include "window.h"
#include <limits.h>
#include <errno.h>
#include <linux/userfaultfd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* The longest name that the kernel takes, and its end. */
#define EM_NAME_BYTES 80
#define EM_LOW_MEMORY (1ul << 32)
#define EM_ROUND_ADDRESS (1ul << 40)
#define EM_KERNEL_KINDS (MAP_HUGETLB | MAP_GROWSDOWN | MAP_STACK | MAP_32BIT)

static bool is_private_anonymous(int flags)
{
	return (flags & (MAP_PRIVATE | MAP_ANONYMOUS)) == (MAP_PRIVATE | MAP_ANONYMOUS) &&
	       (flags & MAP_TYPE) == MAP_PRIVATE && !(flags & EM_KERNEL_KINDS);
}

static long kernel_mmap(uintptr_t addr, size_t bytes, int prot, int flags, int fd,
			off_t offset)
{
	long p;

	if (em_core_active())
		em_count(&em_segment->unmanaged_maps, 1);
	p = em_syscall(SYS_mmap, (long)addr, (long)bytes, prot, flags, fd, offset);
	if (em_likely(p != -ENOMEM) || !em_window_is_too_large())
		return p;
	em_region_fit_space(); /* somebody has set a limit that our window is above */
	return em_syscall(SYS_mmap, (long)addr, (long)bytes, prot, flags, fd, offset);
}

/*
 * Where a program wants its memory outside of the window. There is much of it, or little:
 * racket and clisp have their whole heaps there, and the limit does not hold for them.
 */
static void note_elsewhere(size_t bytes, int prot, int flags)
{
	static _Atomic uint64_t asked_for;

	if (prot == PROT_NONE || !(flags & MAP_ANONYMOUS) || !em_core_active())
		return;
	bytes += atomic_fetch_add_explicit(&asked_for, bytes, memory_order_relaxed);
	if (bytes >= em_limit_bytes())
		em_log_once("memory that the program wants below 4 GB or at addresses of its own "
			    "choice is left to the kernel and not paged, and it has asked for more "
			    "of it than the limit");
}

/*
 * A reservation at a round number of TiB is made for that address alone: java's
 * ZGC tells by it what it knows of a pointer, and maps shared memory there.
 * Other hints are wishes, and so are all that V8 and java's other heaps make.
 */
static bool is_meant(uintptr_t hint, int prot, int flags)
{
	if (!hint || hint & (EM_ROUND_ADDRESS - 1) || prot != PROT_NONE ||
	    !(flags & MAP_NORESERVE) || !em_protects(EM_KNOB_MEMORY))
		return false;
	em_log_once("memory reserved at a round address, as java's ZGC does for its heap, is "
		    "left to the kernel and not paged; java's other heaps are");
	return true;
}

/* MAP_FIXED into the window. */
static long map_over(uintptr_t addr, size_t bytes, int prot, int flags, int fd,
		     off_t offset, uintptr_t caller)
{
	int ret;

	if (addr & EM_PAGE_MASK || offset & (off_t)EM_PAGE_MASK)
		return -EINVAL;
	if (!em_in_window(addr) || !em_in_window(addr + bytes - 1))
		return -ENOMEM;
	if ((flags & MAP_FIXED_NOREPLACE) == MAP_FIXED_NOREPLACE) {
		if (!em_region_is_free(addr, bytes))
			return -EEXIST;
		flags = (flags & ~MAP_FIXED_NOREPLACE) | MAP_FIXED;
	}
	if (is_private_anonymous(flags)) {
		ret = em_region_map_at(addr, bytes, prot,
				       (struct em_origin){ EM_SOURCE_MMAP, caller });
		return ret < 0 ? ret : (long)addr;
	}
	ret = em_region_give_away(addr, bytes);
	return ret < 0 ? ret : kernel_mmap(addr, bytes, prot, flags, fd, offset);
}

long em_mem_mmap(uintptr_t addr, size_t bytes, int prot, int flags, int fd,
		 off_t offset, uintptr_t caller)
{
	struct em_origin origin = { EM_SOURCE_MMAP, caller };
	size_t whole = em_round_up(bytes, EM_PAGE_BYTES);
	bool fixed = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);
	bool low = flags & MAP_32BIT || (addr && addr < EM_LOW_MEMORY);
	uintptr_t at;
	int ret;

	if (fixed && em_touches_window(addr, bytes) && whole >= bytes &&
	    em_protects(EM_KNOB_MEMORY))
		return map_over(addr, whole, prot, flags, fd, offset, caller);
	if (fixed || low)
		note_elsewhere(whole, prot, flags);
	if (fixed || low || !is_private_anonymous(flags) || offset & (off_t)EM_PAGE_MASK ||
	    bytes < em_core_config()->min_size_bytes || whole < bytes ||
	    is_meant(addr, prot, flags) || em_region_is_unwanted(whole, prot, origin))
		return kernel_mmap(addr, bytes, prot, flags, fd, offset);
	ret = em_region_map(whole, whole >= (2u << 20) ? 2u << 20 : EM_PAGE_BYTES,
			    prot, origin, &at);
	if (ret < 0) /* no room in the window, perhaps: the kernel may have some */
		return kernel_mmap(addr, bytes, prot, flags, fd, offset);
	em_reclaim_start_if_due();
	em_mem_is_new(at, whole);
	if (flags & MAP_LOCKED)
		mlock((void *)at, whole); /* as the kernel: what fails goes unsaid */
	else if (flags & MAP_POPULATE && prot & (PROT_READ | PROT_WRITE))
		em_fault_prefetch(em_page_of(at), em_page_of(at + whole), true,
				  prot & PROT_WRITE);
	return (long)at;
}

/* Whole pages, or 0 when rounding goes past the end of all addresses. */
static size_t whole_pages(size_t bytes)
{
	return em_round_up(bytes, EM_PAGE_BYTES);
}

/*
 * Whether a range is for the kernel alone to judge: nothing of it is ours, or
 * it is none. One that only begins or ends in the window is bad, too: there is
 * nothing around the window that it could go on in.
 */
static bool is_kernels(uintptr_t addr, size_t bytes)
{
	return !em_touches_window(addr, bytes) || addr + bytes < addr ||
	       !em_protects(EM_KNOB_MEMORY);
}

static bool is_ours(uintptr_t addr, size_t bytes)
{
	return em_in_window(addr) && em_in_window(addr + bytes - 1);
}

/*
 * A range may begin before the window and end behind it. There is nothing of the
 * program's around it, and it must not take away what there is of ours.
 */
long em_mem_munmap(uintptr_t addr, size_t bytes)
{
	uintptr_t from = em_max(addr, EM_WINDOW_BASE);
	uintptr_t end = addr + whole_pages(bytes);
	uintptr_t to = em_min(end, EM_WINDOW_BASE + em_window_bytes());

	if (is_kernels(addr, bytes) || addr & EM_PAGE_MASK || end < addr)
		return em_syscall(SYS_munmap, (long)addr, (long)bytes, 0, 0, 0, 0);
	return em_region_unmap(from, to - from);
}

long em_mem_mprotect(uintptr_t addr, size_t bytes, int prot)
{
	if (is_kernels(addr, bytes))
		return em_syscall(SYS_mprotect, (long)addr, (long)bytes, prot, 0, 0, 0);
	if (addr & EM_PAGE_MASK)
		return -EINVAL;
	if (!is_ours(addr, bytes))
		return -ENOMEM;
	int ret = em_region_protect(addr, whole_pages(bytes), prot);
	em_reclaim_start_if_due();
	return ret;
}

/*
 * Keys are the kernel's to keep: it puts them on the mapping, and a page that
 * comes back has its mapping's key. Nobody but the kernel can read such a page.
 */
long em_mem_pkey_mprotect(uintptr_t addr, size_t bytes, int prot, int key)
{
	long ret;

	if (key == -1 && !is_kernels(addr, bytes))
		return em_mem_mprotect(addr, bytes, prot);
	if (!is_kernels(addr, bytes) && !(addr & EM_PAGE_MASK) &&
	    (!is_ours(addr, bytes) || !em_region_covers(addr, whole_pages(bytes))))
		return -ENOMEM;
	ret = em_syscall(SYS_pkey_mprotect, (long)addr, (long)bytes, prot, key, 0, 0);
	if (ret < 0 || is_kernels(addr, bytes))
		return ret;
	em_region_flag(addr, whole_pages(bytes), EM_REGION_KEYED, 0);
	return em_mem_mprotect(addr, bytes, prot);
}

EM_EXPORT int pkey_mprotect(void *addr, size_t bytes, int prot, int key)
{
	return (int)em_errno_return(em_mem_pkey_mprotect((uintptr_t)addr, bytes, prot, key));
}

/* Brings in what has left; what may not be read has nothing to bring. */
static long will_need(uintptr_t addr, size_t whole)
{
	size_t covered = em_region_covered(addr, whole);

	if (covered)
		em_fault_prefetch(em_page_of(addr), em_page_of(addr + covered - 1) + 1,
				  false, false);
	return covered == whole ? 0 : -ENOMEM;
}

/* As the kernel does it: up to the first gap, or memory that may not be touched so. */
static long populate(uintptr_t addr, size_t whole, bool write)
{
	uint32_t need = write ? PROT_WRITE : PROT_READ | PROT_WRITE | PROT_EXEC;
	uintptr_t end = addr + whole;
	struct em_region r;

	for (; addr < end; addr = r.end) {
		if (!em_region_find(addr, &r))
			return -ENOMEM;
		if (r.source == EM_SOURCE_FOREIGN) {
			uintptr_t to = em_min(r.end, end);
			long ret = em_syscall(SYS_madvise, (long)addr, (long)(to - addr), write ?
					      MADV_POPULATE_WRITE : MADV_POPULATE_READ, 0, 0, 0);
			if (ret < 0)
				return ret;
		} else if (!(r.prot & need)) {
			return -EINVAL;
		} else {
			em_fault_prefetch(em_page_of(addr), em_page_of(em_min(r.end, end) - 1) + 1,
					  true, write);
		}
	}
	return 0;
}

static long page_out(uintptr_t addr, size_t whole)
{
	em_reclaim_range(em_page_of(addr), em_page_of(addr + whole - 1) + 1);
	return em_region_covers(addr, whole) ? 0 : -ENOMEM;
}

static long advise(uintptr_t addr, size_t whole, int advice)
{
	switch (advice) {
	case MADV_DONTNEED:
	case MADV_FREE: /* may read as zero from now on: so it does */
		return em_region_discard(addr, whole);
	case MADV_WILLNEED:
		return will_need(addr, whole);
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
		return populate(addr, whole, advice == MADV_POPULATE_WRITE);
	case MADV_COLD: /* standby is where cold pages are */
		em_region_advise(addr, whole, EXTMEM_COLD);
		return page_out(addr, whole);
	case MADV_PAGEOUT:
		return page_out(addr, whole);
	case MADV_DONTFORK: /* the kernel is not told: a child must keep the window */
		return em_region_flag(addr, whole, EM_REGION_NO_FORK, 0);
	case MADV_DOFORK:
		return em_region_flag(addr, whole, 0, EM_REGION_NO_FORK);
	case MADV_WIPEONFORK:
		return em_region_flag(addr, whole, EM_REGION_WIPE_FORK, 0);
	case MADV_KEEPONFORK:
		return em_region_flag(addr, whole, 0, EM_REGION_WIPE_FORK);
	case MADV_DONTDUMP:
	case MADV_DODUMP:
		return em_syscall(SYS_madvise, (long)addr, (long)whole, advice, 0, 0, 0);
	case MADV_NORMAL:
		return em_region_hint(addr, whole, EM_HINT_NORMAL);
	case MADV_RANDOM:
		return em_region_hint(addr, whole, EM_HINT_RANDOM);
	case MADV_SEQUENTIAL:
		return em_region_hint(addr, whole, EM_HINT_SEQUENTIAL);
	case MADV_MERGEABLE:
	case MADV_UNMERGEABLE:
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
		return em_region_covers(addr, whole) ? 0 : -ENOMEM;
	default: /* as from a kernel that does not know it, or has no use for it here */
		return -EINVAL;
	}
}

long em_mem_madvise(uintptr_t addr, size_t bytes, int advice)
{
	if (is_kernels(addr, bytes))
		return em_syscall(SYS_madvise, (long)addr, (long)bytes, advice, 0, 0, 0);
	if (addr & EM_PAGE_MASK)
		return -EINVAL;
	if (!is_ours(addr, bytes))
		return -ENOMEM;
	if (!em_protects(EM_KNOB_ADVICE))
		return 0;
	return advise(addr, whole_pages(bytes), advice);
}

/* ---- names ------------------------------------------------------------ */

/* What the kernel takes as the name of a mapping. */
static bool is_good_name(const char *name)
{
	for (; *name; name++)
		if (*name < ' ' || *name > '~' || strchr("\\`$[]", *name))
			return false;
	return true;
}

/* A page of ours may leave again before it is read: not many times in a row. */
static bool read_bytes(char *to, uintptr_t from, size_t bytes)
{
	for (int tries = 0; tries < 100; tries++) {
		if (em_in_window(from) && em_fault_bring_in(from, bytes, false) < 0)
			return false;
		if (em_sys_peek(to, from, bytes) == 0)
			return true;
		if (!em_in_window(from))
			return false;
	}
	return false;
}

/* A name of the program's, which may be paged out, or not there at all: -EFAULT. */
static int copy_name(char copy[EM_NAME_BYTES], const char *name)
{
	uintptr_t at = (uintptr_t)name;
	size_t done = 0, some;

	while (done < EM_NAME_BYTES - 1) {
		some = em_min(EM_NAME_BYTES - 1 - done, EM_PAGE_BYTES - (at & EM_PAGE_MASK));
		if (!read_bytes(copy + done, at, some))
			return -EFAULT;
		if (memchr(copy + done, '\0', some))
			return 0;
		done += some;
		at += some;
	}
	return 0;
}

/*
 * The kernel is not told: a name on a part of the window would be one mapping
 * more. The copy is made first, since a fault on the name takes the MAP lock.
 */
bool em_mem_name(uintptr_t addr, size_t bytes, const char *name, long *ret)
{
	char copy[EM_NAME_BYTES] = "";

	if (is_kernels(addr, bytes))
		return false;
	*ret = name ? copy_name(copy, name) : 0;
	if (*ret < 0)
		return true;
	*ret = addr & EM_PAGE_MASK || strnlen(copy, sizeof(copy)) == sizeof(copy) - 1 ||
	       !is_good_name(copy) ? -EINVAL :
	       !is_ours(addr, bytes) ? -ENOMEM :
	       em_region_name(addr, whole_pages(bytes), copy);
	return true;
}

/* ---- locking ---------------------------------------------------------- */

/*
 * A locked page does not leave. The kernel locks what comes in, too, so that
 * its own swap leaves it alone; that may fail for its own reasons.
 */
static long lock_memory(uintptr_t addr, size_t bytes, unsigned int flags)
{
	uintptr_t start = em_round_down(addr, EM_PAGE_BYTES);
	size_t whole = em_round_up(addr + bytes, EM_PAGE_BYTES) - start;
	struct em_region r;
	long ret = em_region_pin(start, whole);

	if (ret < 0)
		return ret;
	ret = em_syscall(SYS_mlock2, (long)start, (long)whole, MLOCK_ONFAULT, 0, 0, 0);
	if (ret < 0) {
		em_region_flag(start, whole, 0, EM_REGION_PINNED);
		return ret;
	}
	for (uintptr_t at = start; !(flags & MLOCK_ONFAULT) && at < start + whole &&
				   em_region_find(at, &r); at = r.end)
		if (r.prot != PROT_NONE && r.source != EM_SOURCE_FOREIGN)
			em_fault_bring_in(at, em_min(r.end, start + whole) - at,
					  r.prot & PROT_WRITE);
	return 0;
}

long em_mem_mlock(uintptr_t addr, size_t bytes, unsigned int flags)
{
	if (is_kernels(addr, bytes) || !is_ours(addr, bytes) ||
	    flags & ~(unsigned int)MLOCK_ONFAULT)
		return em_syscall(SYS_mlock2, (long)addr, (long)bytes, flags, 0, 0, 0);
	return lock_memory(addr, bytes, flags);
}

/* As the kernel does it: up to the first gap. */
long em_mem_munlock(uintptr_t addr, size_t bytes)
{
	uintptr_t start = em_round_down(addr, EM_PAGE_BYTES);
	size_t whole = em_round_up(addr + bytes, EM_PAGE_BYTES) - start, covered;

	if (is_kernels(addr, bytes) || !is_ours(addr, bytes))
		return em_syscall(SYS_munlock, (long)addr, (long)bytes, 0, 0, 0, 0);
	covered = em_region_covered(start, whole);
	if (covered) {
		em_region_flag(start, covered, 0, EM_REGION_PINNED);
		em_sys_unlock(start, covered);
	}
	return covered == whole ? 0 : -ENOMEM;
}

EM_EXPORT int mlock2(const void *addr, size_t bytes, unsigned int flags)
{
	return (int)em_errno_return(em_mem_mlock((uintptr_t)addr, bytes, flags));
}

EM_EXPORT int mlock(const void *addr, size_t bytes)
{
	return mlock2(addr, bytes, 0);
}

EM_EXPORT int munlock(const void *addr, size_t bytes)
{
	return (int)em_errno_return(em_mem_munlock((uintptr_t)addr, bytes));
}

/* ---- locking all of it -------------------------------------------------- */

/*
 * The kernel is not asked to lock the whole process: the window would be locked
 * with it, and what is locked can neither move nor be dropped. It is asked for
 * each mapping but ours, and locks what is there and what will come.
 */
static _Atomic bool lock_new; /* MCL_FUTURE */

void em_mem_is_new(uintptr_t addr, size_t bytes)
{
	if (em_unlikely(atomic_load_explicit(&lock_new, memory_order_relaxed)))
		em_mem_mlock(addr, bytes, 0); /* as for the kernel: what fails goes unsaid */
}

void em_mem_forked(void)
{
	atomic_store_explicit(&lock_new, false, memory_order_relaxed);
}

/* Our tables, and buffers that pages are moved to and dropped from. */
static bool is_special(const char *line, uintptr_t start, uintptr_t end)
{
	uintptr_t buffers = (uintptr_t)em_buffer_memory(0);

	return strstr(line, EM_SEGMENT_NAME) || strstr(line, EM_TABLE_NAME) ||
	       strstr(line, "[v") || /* vdso, vvar, vsyscall */
	       (buffers >= start && buffers < end);
}

static long lock_kernels_line(const char *line)
{
	unsigned long start, end;
	long ret;

	if (sscanf(line, "%lx-%lx", &start, &end) != 2 || em_in_window(start) ||
	    is_special(line, start, end))
		return 0;
	ret = em_syscall(SYS_mlock2, (long)start, (long)(end - start), MLOCK_ONFAULT,
			 0, 0, 0);
	return ret == -EINVAL ? 0 : ret; /* gone again, or not lockable */
}

/* Our own reservations are hardly touched: on fault they cost nothing. */
static long lock_kernels(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	long ret = 0;

	if (!maps)
		return -EAGAIN;
	while (ret == 0 && fgets(line, sizeof(line), maps))
		ret = lock_kernels_line(line);
	fclose(maps);
	return ret;
}

/* All regions, or none: whoever asks wants to know that nothing will leave. */
static long lock_regions(unsigned int flags)
{
	struct em_region r;
	long ret = em_region_pin_all();

	for (uintptr_t at = EM_WINDOW_BASE; ret == 0 && em_region_next(at, &r); at = r.end)
		if (r.flags & EM_REGION_PINNED)
			ret = lock_memory(r.start, r.end - r.start,
					  flags & MCL_ONFAULT ? MLOCK_ONFAULT : 0);
	return ret;
}

EM_EXPORT int mlockall(int flags)
{
	long ret = 0;

	if (!em_core_active() || flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) ||
	    !(flags & (MCL_CURRENT | MCL_FUTURE)))
		return (int)em_errno_return(em_syscall(SYS_mlockall, flags, 0, 0, 0, 0, 0));
	if (flags & MCL_CURRENT)
		ret = lock_regions((unsigned int)flags);
	if (ret == 0 && flags & MCL_CURRENT)
		ret = lock_kernels();
	if (ret == 0)
		atomic_store(&lock_new, flags & MCL_FUTURE);
	return (int)em_errno_return(ret);
}

EM_EXPORT int munlockall(void)
{
	atomic_store(&lock_new, false);
	if (em_core_active())
		em_region_flag(EM_WINDOW_BASE, em_window_bytes(), 0, EM_REGION_PINNED);
	return (int)em_errno_return(em_syscall(SYS_munlockall, 0, 0, 0, 0, 0, 0));
}

/* ---- sealing ------------------------------------------------------------ */

/* The kernel is not told: pages of sealed memory must be able to leave. */
long em_mem_mseal(uintptr_t addr, size_t bytes, unsigned long flags)
{
	long ret = em_syscall(SYS_mseal, (long)(is_kernels(addr, bytes) ? addr : 0),
			      is_kernels(addr, bytes) ? (long)bytes : 0, (long)flags, 0, 0, 0);

	if (ret < 0 || is_kernels(addr, bytes))
		return ret;
	if (addr & EM_PAGE_MASK)
		return -EINVAL;
	return is_ours(addr, bytes) ? em_region_seal(addr, whole_pages(bytes)) : -ENOMEM;
}

/* ---- advice to many ranges ---------------------------------------------- */

/* Whether a descriptor of a process is of this one. */
static bool is_self(int pidfd)
{
	char path[40], line[80];
	FILE *info;
	int pid = 0;

	if (pidfd == PIDFD_SELF_THREAD || pidfd == PIDFD_SELF_THREAD_GROUP)
		return true;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	info = fopen(path, "re");
	while (info && !pid && fgets(line, sizeof(line), info))
		if (sscanf(line, "Pid: %d", &pid) != 1)
			pid = 0;
	if (info)
		fclose(info);
	return pid == em_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

static long advise_one(int pidfd, const struct iovec *range, int advice, unsigned int flags)
{
	struct iovec copy = *range;
	uintptr_t addr = (uintptr_t)copy.iov_base;

	if (!is_kernels(addr, copy.iov_len)) {
		long ret = em_mem_madvise(addr, copy.iov_len, advice);
		return ret < 0 ? ret : (long)copy.iov_len;
	}
	return em_syscall(SYS_process_madvise, pidfd, (long)&copy, 1, advice, flags, 0);
}

/* On ourselves range by range; on others it is nothing to us. */
long em_mem_process_madvise(int pidfd, const struct iovec *ranges, size_t count,
			    int advice, unsigned int flags)
{
	const long args[6] = { pidfd, (long)ranges, (long)count, advice, flags };
	long done = 0;

	if (!em_core_active() || flags || count > IOV_MAX || !is_self(pidfd))
		return em_guard_held(SYS_process_madvise, args);
	for (size_t i = 0; i < count; i++) {
		long ret = advise_one(pidfd, &ranges[i], advice, flags);
		if (ret < 0)
			return done ? done : ret;
		done += ret;
	}
	return done;
}

EM_EXPORT ssize_t process_madvise(int pidfd, const struct iovec *ranges, size_t count,
				  int advice, unsigned int flags)
{
	return em_errno_return(em_mem_process_madvise(pidfd, ranges, count, advice, flags));
}

/* ---- a userfaultfd of the program's own ----------------------------------- */

/*
 * Memory is registered with one only, and that is ours. As long as nothing was
 * touched there it can be the kernel's instead.
 */
static void leave_to_kernel(uintptr_t addr, size_t bytes)
{
	struct em_region r;
	size_t whole = whole_pages(bytes);

	if (addr & EM_PAGE_MASK || !whole || !em_region_find(addr, &r) ||
	    r.source == EM_SOURCE_FOREIGN)
		return;
	if (r.end < addr + whole || !em_region_is_untouched(addr, whole)) {
		em_log_once("userfaultfd(2): managed memory that was touched before cannot be "
			    "registered by the program; '--set manage.min_size' leaves small "
			    "mappings to the kernel");
		return;
	}
	if (em_region_give_away(addr, whole) == 0)
		kernel_mmap(addr, whole, (int)r.prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
			    -1, 0);
}

EM_EXPORT int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (em_unlikely(request == UFFDIO_REGISTER) && em_core_active() &&
	    em_protects(EM_KNOB_MEMORY)) {
		const struct uffdio_register *reg = arg;
		leave_to_kernel(reg->range.start, reg->range.len);
	}
	return EM_REAL(ioctl)(fd, request, arg);
}

/* ---- rationed addresses ------------------------------------------------ */

/*
 * A limit that the program puts on itself: from now on the kernel must be able
 * to count what there is. Another process that does it to us is noticed when a
 * mapping fails, or at a fork.
 */
static int set_limit(pid_t pid, int resource, const struct rlimit *limit, struct rlimit *old)
{
	const long args[6] = { pid, resource, (long)limit, (long)old };
	long ret = em_guard_call(SYS_prlimit64, args);

	if (ret == 0 && limit && (resource == RLIMIT_AS || resource == RLIMIT_DATA) &&
	    em_core_active())
		em_region_fit_space();
	return (int)em_errno_return(ret);
}

EM_EXPORT int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit)
{
	return set_limit(0, (int)resource, limit, NULL);
}

EM_EXPORT int setrlimit64(__rlimit_resource_t resource, const struct rlimit64 *limit)
{
	return set_limit(0, (int)resource, (const struct rlimit *)limit, NULL);
}

EM_EXPORT int prlimit(pid_t pid, enum __rlimit_resource resource,
		      const struct rlimit *limit, struct rlimit *old)
{
	return set_limit(pid, (int)resource, limit, old);
}

EM_EXPORT int prlimit64(pid_t pid, enum __rlimit_resource resource,
			const struct rlimit64 *limit, struct rlimit64 *old)
{
	return set_limit(pid, (int)resource, (const struct rlimit *)limit,
			 (struct rlimit *)old);
}

/* ---- gaps: to the kernel the whole window is mapped -------------------- */

long em_mem_msync(uintptr_t addr, size_t bytes, int flags)
{
	long ret = em_syscall(SYS_msync, (long)addr, (long)bytes, flags, 0, 0, 0);

	if (ret == 0 && !is_kernels(addr, bytes) &&
	    !em_region_covers(addr, whole_pages(bytes)))
		ret = -ENOMEM;
	return ret;
}

EM_EXPORT int msync(void *addr, size_t bytes, int flags)
{
	return (int)em_errno_return(em_mem_msync((uintptr_t)addr, bytes, flags));
}

/* In pieces: so much of the vector is kept in memory as the table says. */
#define EM_MINCORE_PAGES 64u

EM_EXPORT int mincore(void *addr, size_t bytes, unsigned char *in_core)
{
	uintptr_t a = (uintptr_t)addr;
	long ret = 0;

	if (!is_kernels(a, bytes) && !(a & EM_PAGE_MASK) &&
	    !em_region_covers(a, whole_pages(bytes)))
		return (int)em_errno_return(-ENOMEM);
	do {
		size_t piece = em_min(bytes, EM_MINCORE_PAGES << EM_PAGE_SHIFT);
		const long args[6] = { (long)a, (long)piece, (long)in_core };
		ret = em_guard_call(SYS_mincore, args);
		a += piece;
		bytes -= piece;
		in_core += EM_MINCORE_PAGES;
	} while (ret == 0 && bytes);
	return (int)em_errno_return(ret);
}

/* ---- moving ----------------------------------------------------------- */

/* Something of the kernel's is put over managed memory. */
static long move_in(uintptr_t addr, size_t old_bytes, size_t new_bytes, int flags,
		    uintptr_t fixed)
{
	size_t whole = whole_pages(new_bytes);
	long ret;

	if (fixed & EM_PAGE_MASK || !is_ours(fixed, whole))
		return -EINVAL;
	ret = em_region_give_away(fixed, whole);
	if (ret == 0)
		ret = em_syscall(SYS_mremap, (long)addr, (long)old_bytes, (long)new_bytes,
				 flags, (long)fixed, 0);
	if (ret < 0 && ret > -4096)
		em_region_unmap(fixed, whole);
	return ret;
}

/*
 * Something of the kernel's that lies in the window moves, shrinks or goes: it
 * is for the kernel to judge, and what it has left is ours again.
 */
static long move_foreign(uintptr_t addr, size_t old_bytes, size_t new_bytes, int flags,
			 uintptr_t fixed)
{
	size_t old_whole = whole_pages(old_bytes), new_whole = whole_pages(new_bytes);
	long ret;

	if (flags & MREMAP_FIXED && em_touches_window(fixed, new_bytes))
		ret = move_in(addr, old_bytes, new_bytes, flags, fixed);
	else
		ret = em_syscall(SYS_mremap, (long)addr, (long)old_bytes, (long)new_bytes,
				 flags, (long)fixed, 0);
	if ((ret < 0 && ret > -4096) || flags & MREMAP_DONTUNMAP)
		return ret;
	if ((uintptr_t)ret != addr)
		em_region_unmap(addr, old_whole);
	else if (new_whole < old_whole)
		em_region_unmap(addr + new_whole, old_whole - new_whole);
	return ret;
}

long em_mem_mremap(uintptr_t addr, size_t old_bytes, size_t new_bytes, int flags,
		   uintptr_t fixed)
{
	struct em_region r;
	size_t old_whole = em_round_up(old_bytes, EM_PAGE_BYTES);
	size_t new_whole = em_round_up(new_bytes, EM_PAGE_BYTES);
	uintptr_t moved;
	int ret;

	bool keep = flags & MREMAP_DONTUNMAP;

	if (!em_protects(EM_KNOB_MEMORY) || (!em_in_window(addr) &&
	    !(flags & MREMAP_FIXED && em_touches_window(fixed, new_bytes))))
		return em_syscall(SYS_mremap, (long)addr, (long)old_bytes,
				  (long)new_bytes, flags, (long)fixed, 0);
	if (!em_in_window(addr))
		return move_in(addr, old_bytes, new_bytes, flags, fixed);
	if (em_region_find(addr, &r) && r.source == EM_SOURCE_FOREIGN)
		return move_foreign(addr, old_bytes, new_bytes, flags, fixed);
	if (flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP) ||
	    (keep && (!(flags & MREMAP_MAYMOVE) || old_whole != new_whole)) ||
	    addr & EM_PAGE_MASK || !new_whole || !old_whole ||
	    (flags & MREMAP_FIXED && (!(flags & MREMAP_MAYMOVE) ||
				      fixed & EM_PAGE_MASK || !em_in_window(fixed))))
		return -EINVAL;
	ret = em_region_remap(addr, old_whole, new_whole, flags, fixed, &moved);
	em_reclaim_start_if_due();
	return ret < 0 ? ret : (long)moved;
}

/* ---- libc's names ---------------------------------------------------- */

EM_EXPORT void *mmap(void *addr, size_t bytes, int prot, int flags, int fd, off_t offset)
{
	long p;

	if (!em_start())
		p = em_syscall(SYS_mmap, (long)addr, (long)bytes, prot, flags, fd, offset);
	else
		p = em_mem_mmap((uintptr_t)addr, bytes, prot, flags, fd, offset,
				(uintptr_t)__builtin_return_address(0));
	return (void *)em_errno_return(p);
}

EM_EXPORT void *mmap64(void *addr, size_t bytes, int prot, int flags, int fd,
		       off64_t offset) __attribute__((alias("mmap")));

EM_EXPORT int munmap(void *addr, size_t bytes)
{
	return (int)em_errno_return(em_mem_munmap((uintptr_t)addr, bytes));
}

EM_EXPORT int mprotect(void *addr, size_t bytes, int prot)
{
	return (int)em_errno_return(em_mem_mprotect((uintptr_t)addr, bytes, prot));
}

EM_EXPORT int madvise(void *addr, size_t bytes, int advice)
{
	return (int)em_errno_return(em_mem_madvise((uintptr_t)addr, bytes, advice));
}

EM_EXPORT void *mremap(void *addr, size_t old_bytes, size_t new_bytes, int flags, ...)
{
	uintptr_t fixed = 0;
	va_list ap;

	va_start(ap, flags);
	if (flags & MREMAP_FIXED)
		fixed = va_arg(ap, uintptr_t);
	va_end(ap);
	return (void *)em_errno_return(em_mem_mremap((uintptr_t)addr, old_bytes,
						     new_bytes, flags, fixed));
}
