/* SPDX-License-Identifier: MIT
 *
 * interpose: the only place that defines libc's names.
 *
 *   init.c     constructor, destructor, the thread trampoline's partner
 *   mem.c      mmap munmap mremap madvise mprotect
 *   heap.c     the malloc family, over jemalloc with extents from the window
 *   io.c       read write send recv ... : ranges in use, then the call
 *   guard.c    what each system call reads and writes, as a table
 *   net.c      the seccomp net under all that, and its SIGSYS handler
 *   signal.c   SIGBUS and SIGSYS belong to us; masks and actions hide it
 *   relay.c    the program's handlers: from our alternate stack to theirs
 *   threads.c  an alternate stack for every thread
 *   process.c  fork, exec, spawn
 *   fd.c       descriptors of ours that the program must not close
 */
#ifndef EM_INTERPOSE_H
#define EM_INTERPOSE_H

#include "core.h"
#include "util.h"
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>

/* libc's own function behind one of our wrappers, looked up when first used. */
#define EM_REAL(name) \
	({ static _Atomic(__typeof__(&name)) real_; \
	   __typeof__(&name) r_ = atomic_load_explicit(&real_, memory_order_relaxed); \
	   if (em_unlikely(!r_)) { \
		   r_ = (__typeof__(&name))dlsym(RTLD_NEXT, #name); \
		   atomic_store_explicit(&real_, r_, memory_order_relaxed); \
	   } \
	   r_; })

/* A raw result as libc's functions return it. */
static inline long em_errno_return(long result)
{
	if (em_likely(result >= 0 || result < -4095))
		return result;
	errno = (int)-result;
	return -1;
}

/* Starts the core if that has not been tried. True: memory is managed. */
bool em_start(void);

/* ---- guard.c --------------------------------------------------------- */

/*
 * Makes system call nr with its managed buffers published, brought in and
 * kept until it returns. Result or -errno, as the kernel gives it.
 */
long em_guard_call(long nr, const long args[6]);
/* For the net's filter: a call, and which of its arguments are pointers. */
struct em_guarded {
	uint16_t nr;
	uint8_t pointers; /* one bit an argument */
};
/* Number i of the table; false after the last. */
bool em_guard_list(size_t i, struct em_guarded *out);

/* ---- net.c ----------------------------------------------------------- */

/* Installs the stub page and the filter as the configuration says. */
void em_net_start(enum em_tristate wanted);

/* ---- signal.c -------------------------------------------------------- */

/* Our handlers for SIGBUS and, with the net, SIGSYS. */
void em_signals_start(void);
void em_signals_take_sigsys(void (*handler)(int, siginfo_t *, void *));
/* Unblocks our signals, after a call that may have blocked them. EM_HANDLER */
void em_signals_keep_ours_open(void);
/* Takes our signals out of a mask as the kernel has it. EM_HANDLER */
void em_signals_open_ours(uint64_t *mask);
/* Passes a signal that is not ours to the program's own action. */
void em_signals_forward(int sig, siginfo_t *info, void *context);

/* ---- threads.c ------------------------------------------------------- */

/* Gives the calling thread its alternate stack. */
void em_thread_prepare_stack(void);
/* That stack, as for sigaltstack(2). EM_HANDLER */
stack_t em_thread_own_stack(void);

/* ---- heap.c ---------------------------------------------------------- */

void em_heap_start(void);
/* While up, allocations of this thread stay out of the window. */
void em_heap_unmanaged_begin(void);
void em_heap_unmanaged_end(void);
/* Looks up jemalloc's fast entry points; from the constructor. */
void em_heap_constructor(void);

/* ---- process.c ------------------------------------------------------- */

void em_process_start(void);

#endif
