/* SPDX-License-Identifier: MIT
 *
 * net_calls: memory calls as the wrappers and the net make them: raw results,
 * 0 or an address or -errno.
 */
#ifndef EM_NET_CALLS_H
#define EM_NET_CALLS_H

#include "util.h"
#include <sys/types.h>

long em_mem_mmap(uintptr_t addr, size_t bytes, int prot, int flags, int fd, off_t offset);
long em_mem_munmap(uintptr_t addr, size_t bytes);
long em_mem_mprotect(uintptr_t addr, size_t bytes, int prot);
long em_mem_madvise(uintptr_t addr, size_t bytes, int advice);
long em_mem_mremap(uintptr_t addr, size_t old_bytes, size_t new_bytes, int flags,
		   uintptr_t fixed);

#endif
