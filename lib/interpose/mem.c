/* SPDX-License-Identifier: MIT
 *
 * Which mappings are managed: private, anonymous, of manage.min_size or more,
 * and not of a kind that only the kernel can give (huge pages, stacks, the
 * low 4 GiB). A hint is not a promise: the mapping goes to the window.
 */
#include "arch.h"
#include "interpose.h"
#include "knobs.h"
#include "net_calls.h"
#include "region.h"
#include "stats.h"
#include "window.h"
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define EM_LOW_MEMORY (1ul << 32)
#define EM_KERNEL_KINDS (MAP_HUGETLB | MAP_GROWSDOWN | MAP_STACK | MAP_32BIT)

static bool is_private_anonymous(int flags)
{
	return (flags & (MAP_PRIVATE | MAP_ANONYMOUS)) == (MAP_PRIVATE | MAP_ANONYMOUS) &&
	       (flags & MAP_TYPE) == MAP_PRIVATE && !(flags & EM_KERNEL_KINDS);
}

static long kernel_mmap(uintptr_t addr, size_t bytes, int prot, int flags, int fd,
			off_t offset)
{
	if (em_core_active())
		em_count(&em_segment->unmanaged_maps, 1);
	return em_syscall(SYS_mmap, (long)addr, (long)bytes, prot, flags, fd, offset);
}

/* MAP_FIXED into the window. */
static long map_over(uintptr_t addr, size_t bytes, int prot, int flags, int fd,
		     off_t offset)
{
	int ret;

	if (addr & EM_PAGE_MASK)
		return -EINVAL;
	if ((flags & MAP_FIXED_NOREPLACE) == MAP_FIXED_NOREPLACE) {
		struct em_region r;
		if (em_region_find(addr, &r) || em_region_find(addr + bytes - 1, &r))
			return -EEXIST;
		flags = (flags & ~MAP_FIXED_NOREPLACE) | MAP_FIXED;
	}
	if (is_private_anonymous(flags)) {
		ret = em_region_map_at(addr, bytes, prot, EM_SOURCE_MMAP);
		return ret < 0 ? ret : (long)addr;
	}
	ret = em_region_give_away(addr, bytes);
	return ret < 0 ? ret : kernel_mmap(addr, bytes, prot, flags, fd, offset);
}

long em_mem_mmap(uintptr_t addr, size_t bytes, int prot, int flags, int fd,
		 off_t offset)
{
	size_t whole = em_round_up(bytes, EM_PAGE_BYTES);
	bool fixed = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);
	uintptr_t at;
	int ret;

	if (fixed && em_touches_window(addr, bytes))
		return map_over(addr, whole, prot, flags, fd, offset);
	if (fixed || !is_private_anonymous(flags) || (addr && addr < EM_LOW_MEMORY) ||
	    bytes < em_core_config()->min_size_bytes || whole < bytes)
		return kernel_mmap(addr, bytes, prot, flags, fd, offset);
	ret = em_region_map(whole, whole >= (2u << 20) ? 2u << 20 : EM_PAGE_BYTES,
			    prot, EM_SOURCE_MMAP, &at);
	if (ret < 0) /* no room in the window: better unmanaged than not at all */
		return kernel_mmap(addr, bytes, prot, flags, fd, offset);
	em_reclaim_start_if_due();
	return (long)at;
}

long em_mem_munmap(uintptr_t addr, size_t bytes)
{
	if (!em_touches_window(addr, bytes))
		return em_syscall(SYS_munmap, (long)addr, (long)bytes, 0, 0, 0, 0);
	if (addr & EM_PAGE_MASK)
		return -EINVAL;
	return em_region_unmap(addr, em_round_up(bytes, EM_PAGE_BYTES));
}

long em_mem_mprotect(uintptr_t addr, size_t bytes, int prot)
{
	if (!em_touches_window(addr, bytes))
		return em_syscall(SYS_mprotect, (long)addr, (long)bytes, prot, 0, 0, 0);
	if (addr & EM_PAGE_MASK)
		return -EINVAL;
	int ret = em_region_protect(addr, em_round_up(bytes, EM_PAGE_BYTES), prot);
	em_reclaim_start_if_due();
	return ret;
}

long em_mem_madvise(uintptr_t addr, size_t bytes, int advice)
{
	size_t whole = em_round_up(bytes, EM_PAGE_BYTES);

	if (!em_touches_window(addr, bytes))
		return em_syscall(SYS_madvise, (long)addr, (long)bytes, advice, 0, 0, 0);
	if (addr & EM_PAGE_MASK)
		return -EINVAL;
	if (!em_protects(EM_KNOB_ADVICE))
		return 0;
	switch (advice) {
	case MADV_DONTNEED:
	case MADV_FREE: /* may read as zero from now on: so it does */
		return em_region_discard(addr, whole);
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
	case MADV_REMOVE:
		return -EINVAL;
	default: /* advice about paging: the policy's business */
		return em_region_covers(addr, whole) ? 0 : -ENOMEM;
	}
}

long em_mem_mremap(uintptr_t addr, size_t old_bytes, size_t new_bytes, int flags,
		   uintptr_t fixed)
{
	size_t old_whole = em_round_up(old_bytes, EM_PAGE_BYTES);
	size_t new_whole = em_round_up(new_bytes, EM_PAGE_BYTES);
	uintptr_t moved;
	int ret;

	if (!em_in_window(addr) &&
	    !(flags & MREMAP_FIXED && em_touches_window(fixed, new_bytes)))
		return em_syscall(SYS_mremap, (long)addr, (long)old_bytes,
				  (long)new_bytes, flags, (long)fixed, 0);
	if (!em_in_window(addr) || addr & EM_PAGE_MASK || !new_bytes || !old_bytes ||
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
	uintptr_t caller = (uintptr_t)__builtin_return_address(0);
	long p;

	if (!em_start() || em_heap_is_allocator(caller))
		p = em_syscall(SYS_mmap, (long)addr, (long)bytes, prot, flags, fd, offset);
	else
		p = em_mem_mmap((uintptr_t)addr, bytes, prot, flags, fd, offset);
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
