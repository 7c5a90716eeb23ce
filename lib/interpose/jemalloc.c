/* SPDX-License-Identifier: MIT
 *
 * What our copy of jemalloc calls instead of libc, by jemalloc.syms: the
 * library carries the allocator inside, under names with the prefix je_.
 * Linked as a library of its own it would bring libstdc++, libm and libgcc
 * into every process, whose relocations cost more than all the rest of a start.
 *
 *   memory calls   straight to the kernel: what jemalloc maps for itself stays
 *                  unmanaged, and the window it knows through heap.c's hooks
 *   settings       heap.c's alone. MALLOC_CONF and /etc/malloc.conf are for
 *                  the jemalloc that the program may have brought along
 *   profiling      is not there, and with it neither mathematics nor unwinding
 */
#include "arch.h"
#include "interpose.h"
#include "log.h"
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unwind.h>

void *em_jemalloc_mmap(void *addr, size_t bytes, int prot, int flags, int fd, off_t offset);
int em_jemalloc_munmap(void *addr, size_t bytes);
int em_jemalloc_madvise(void *addr, size_t bytes, int advice);
int em_jemalloc_mprotect(void *addr, size_t bytes, int prot);
char *em_jemalloc_getenv(const char *name);
ssize_t em_jemalloc_readlink(const char *path, char *out, size_t bytes);
double em_jemalloc_log(double x);
double em_jemalloc_exp(double x);
double em_jemalloc_round(double x);
_Unwind_Reason_Code em_jemalloc_backtrace(_Unwind_Trace_Fn f, void *arg);
_Unwind_Ptr em_jemalloc_backtrace_ip(struct _Unwind_Context *c);

void *em_jemalloc_mmap(void *addr, size_t bytes, int prot, int flags, int fd, off_t offset)
{
	return (void *)em_errno_return(em_syscall(SYS_mmap, (long)addr, (long)bytes,
						  prot, flags, fd, offset));
}

int em_jemalloc_munmap(void *addr, size_t bytes)
{
	return (int)em_errno_return(em_syscall(SYS_munmap, (long)addr, (long)bytes,
					       0, 0, 0, 0));
}

int em_jemalloc_madvise(void *addr, size_t bytes, int advice)
{
	return (int)em_errno_return(em_syscall(SYS_madvise, (long)addr, (long)bytes,
					       advice, 0, 0, 0));
}

int em_jemalloc_mprotect(void *addr, size_t bytes, int prot)
{
	return (int)em_errno_return(em_syscall(SYS_mprotect, (long)addr, (long)bytes,
					       prot, 0, 0, 0));
}

char *em_jemalloc_getenv(const char *name)
{
	return NULL;
}

ssize_t em_jemalloc_readlink(const char *path, char *out, size_t bytes)
{
	return em_errno_return(-ENOENT);
}

double em_jemalloc_log(double x) { em_panic("jemalloc profiles"); }
double em_jemalloc_exp(double x) { em_panic("jemalloc profiles"); }
double em_jemalloc_round(double x) { em_panic("jemalloc profiles"); }

/* jemalloc unwinds once when it starts, in case that allocates. */
_Unwind_Reason_Code em_jemalloc_backtrace(_Unwind_Trace_Fn f, void *arg)
{
	return _URC_END_OF_STACK;
}

_Unwind_Ptr em_jemalloc_backtrace_ip(struct _Unwind_Context *c)
{
	return 0;
}
