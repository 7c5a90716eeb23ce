/* SPDX-License-Identifier: MIT
 *
 * net_calls: memory calls as the wrappers and the net make them: raw results,
 * 0 or an address or -errno.
 */
#ifndef EM_NET_CALLS_H
#define EM_NET_CALLS_H

#include "util.h"
#include <sys/types.h>
#include <sys/uio.h>

/* caller: an address in the code that asks, or 0. */
long em_mem_mmap(uintptr_t addr, size_t bytes, int prot, int flags, int fd, off_t offset,
		 uintptr_t caller);
long em_mem_munmap(uintptr_t addr, size_t bytes);
long em_mem_mprotect(uintptr_t addr, size_t bytes, int prot);
long em_mem_madvise(uintptr_t addr, size_t bytes, int advice);
long em_mem_mremap(uintptr_t addr, size_t old_bytes, size_t new_bytes, int flags,
		   uintptr_t fixed);
long em_mem_mlock(uintptr_t addr, size_t bytes, unsigned int flags);
long em_mem_munlock(uintptr_t addr, size_t bytes);
long em_mem_msync(uintptr_t addr, size_t bytes, int flags);
long em_mem_pkey_mprotect(uintptr_t addr, size_t bytes, int prot, int key);
long em_mem_mseal(uintptr_t addr, size_t bytes, unsigned long flags);
long em_mem_process_madvise(int pidfd, const struct iovec *ranges, size_t count,
			    int advice, unsigned int flags);
/* PR_SET_VMA_ANON_NAME. False: nothing of the range is ours. */
bool em_mem_name(uintptr_t addr, size_t bytes, const char *name, long *ret);
/* New memory of the program's own: locked, if it asked for that (mlockall). */
void em_mem_is_new(uintptr_t addr, size_t bytes);
/* In a forked child: nothing is locked. */
void em_mem_forked(void);

#endif
