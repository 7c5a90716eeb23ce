/* SPDX-License-Identifier: MIT
 *
 * interpose: the only place that defines libc's names.
 *
 *   init.c     constructor, destructor, the thread trampoline's partner
 *   mem.c      mmap munmap mremap madvise mprotect
 *   heap.c     the malloc family, over jemalloc with extents from the window
 *   new.c      operator new and delete, over that
 *   jemalloc.c what our copy of jemalloc calls instead of libc
 *   io.c       read write send recv ... : ranges in use, then the call
 *   calls.c    what each system call reads and writes, as a table
 *   guard.c    ranges brought in and kept while a call runs
 *   net.c      the seccomp net under all that, and its SIGSYS handler
 *   signal.c   SIGBUS and SIGSYS belong to us; actions and stand-ins hide it
 *   masks.c    the same for signal masks and sets, waits and senders
 *   sandbox.c  filters of the program's own, which must not judge ours
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
/* The same for a call that em_guard_call() would hand to mem.c. */
long em_guard_held(long nr, const long args[6]);
/* A transfer of so many bytes is never cut, whatever the limit. */
#define EM_SMALL_BYTES (64ul << 10)

/* ---- net.c ----------------------------------------------------------- */

/* Installs the stub page and the filter as the configuration says. */
void em_net_start(enum em_tristate wanted);
/*
 * The error number that a call must fail with although it could be made, or 0;
 * says why in the log, once.
 */
int em_net_refuses(long nr);
/* The same for a call by which the kernel is to keep an address. */
int em_net_keeps(long nr, uintptr_t addr);

/* ---- sandbox.c ------------------------------------------------------- */

/* Whether a call would have the kernel judge the program's calls from now on. */
bool em_sandbox_begins(long nr, const long args[6]);
/* Makes it, so that the library's own calls go on. Result or -errno. */
long em_sandbox_begin(long nr, const long args[6]);

/* ---- signal.c -------------------------------------------------------- */

/* Our handlers for SIGBUS and, with the net, SIGSYS. */
void em_signals_start(void);
/* They were the program's until now: out of its actions' masks, and of mask. */
void em_signals_take_over(sigset_t *mask);
void em_signals_take_sigsys(void (*handler)(int, siginfo_t *, void *));
/* Unblocks our signals, after a call that may have blocked them. EM_HANDLER */
void em_signals_keep_ours_open(void);
/* Those that are ours now, as the kernel has a set. EM_HANDLER */
uint64_t em_signals_ours(void);
/*
 * Between the program's names and the kernel's: a signal, and the first 64 of a
 * set. Hidden: a stand-in for each of ours; shown: SIGBUS and SIGSYS. EM_HANDLER
 */
int em_signals_hidden(int sig);
int em_signals_shown(int sig);
void em_signals_hide(uint64_t *mask);
void em_signals_show(uint64_t *mask);
/* Whether sig, by the kernel's name, stands in for one of ours. EM_HANDLER */
bool em_signals_stands_in(int sig);
/* Forgets what is pending of a stand-in. EM_HANDLER */
void em_signals_forget(int stand_in);
/*
 * rt_sigaction(2), as sigaction(3) is; a stand-in is to the program a signal that
 * nobody uses. *ret: 0 or -errno. False: not ours to answer.
 */
bool em_signals_raw_action(const long args[6], long *ret);
/* Passes a signal that is not ours on, as its stand-in. EM_HANDLER */
void em_signals_forward(int sig, siginfo_t *info, const void *context);
/*
 * Goes on with one of ours in handler, on the stack that was interrupted: what
 * comes back to this function is the case where it has to be done right here.
 * Masks are shown to handler. EM_HANDLER
 */
void em_signals_go_on(int sig, siginfo_t *info, ucontext_t *uc,
		      void (*handler)(int, siginfo_t *, void *));

/* The code of a signal that was passed on, as it was sent. EM_HANDLER */
int em_signals_true_code(int code);

/* What became of the signals of the calling thread, counting up. */
struct em_signals_seen {
	uint32_t handled;   /* given to a handler of the program's */
	uint32_t forwarded; /* SIGBUS and SIGSYS that were not ours */
};
struct em_signals_seen em_signals_seen(void);

/* ---- masks.c --------------------------------------------------------- */

/*
 * Whether a wait that failed with errno was ended by nothing that the program
 * knows of: by a signal of ours that somebody else sent, and that the program
 * blocks or ignores. It is begun again, with what is left of its time.
 */
bool em_signals_was_ours(struct em_signals_seen before);
/* When a wait of so many milliseconds ends; what is left of it then. No end: < 0. */
uint64_t em_wait_end(int timeout_ms);
int em_wait_left(int timeout_ms, uint64_t end_ns);

/* ret = call, and again after `left` as long as em_signals_was_ours(). */
#define EM_WAIT_AGAIN(ret, call, left) \
	for (;;) { \
		struct em_signals_seen before_ = em_signals_seen(); \
		ret = (call); \
		if (em_likely(ret >= 0) || !em_signals_was_ours(before_)) \
			break; \
		left; \
	}

/*
 * read(2) gave bytes from fd: if they are signals, by the program's names.
 * Returns how many bytes there are then.
 */
ssize_t em_signals_have_read(int fd, void *buf, ssize_t bytes);

/* ---- threads.c ------------------------------------------------------- */

/* Gives the calling thread its alternate stack. */
void em_thread_prepare_stack(void);
/* That stack, as for sigaltstack(2). EM_HANDLER */
stack_t em_thread_own_stack(void);
/* Whether the program ever made a thread: who has none is not cancelled. */
bool em_threads_made(void);

/* ---- io.c, for syscall.S ---------------------------------------------- */

/* syscall(2); and what it returns when a raw call failed. */
long em_io_syscall(long nr, long a, long b, long c, long d, long e, long f);
long em_io_failed(long result);

/* ---- heap.c ---------------------------------------------------------- */

void em_heap_start(void);
/* While up, allocations of this thread stay out of the window. */
void em_heap_unmanaged_begin(void);
void em_heap_unmanaged_end(void);
/* There will be one more thread that may allocate. */
void em_heap_expect_thread(void);

/* ---- process.c ------------------------------------------------------- */

void em_process_start(void);
/* Whether a raw system call is a fork that returns on the same stack. */
bool em_process_is_fork(long nr, const long args[6]);
/* Makes it; returns in both processes, with 0 or a pid or -errno. */
long em_process_fork(long nr, const long args[6]);
/*
 * Whether the process should end with the calling thread: whatever ends one by
 * SYS_exit, as clone(2) in libc does, does not know of threads of our own.
 */
bool em_process_ends(void);

#endif
