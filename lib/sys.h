/* SPDX-License-Identifier: MIT
 *
 * sys: the seam to the kernel.
 *
 * Every system call of the core goes through here; unit tests link a fake
 * (tests/unit/fake_sys.c) in its place, so that they need no userfaultfd.
 * All functions return >= 0 or -errno, never touch errno, never allocate and
 * may run in a signal handler.
 */
#ifndef EM_SYS_H
#define EM_SYS_H

#include "util.h"
#include <signal.h>
#include <sys/types.h>
#include <sys/uio.h>

/* What this kernel can do; filled by em_sys_uffd_open(). */
struct em_sys_features {
	bool move;        /* UFFDIO_MOVE, Linux 6.8 */
	bool vector_drop; /* process_madvise(DONTNEED) on oneself, Linux 6.13 */
};

/*
 * Puts the instruction that all our system calls are made from on a page of
 * its own at addr. First of all: a filter inherited from the program before
 * (net.c) lets only that one through. 0 or -errno.
 */
int em_sys_place_stub(uintptr_t addr);

/*
 * Opens the process's userfaultfd; once, and again after a fork. by_thread:
 * faults become messages for em_sys_read_fault(), also those of the kernel's
 * own accesses, and em_sys_copy_in() and em_sys_write_protect() wake who waits;
 * this needs a privilege. Otherwise a fault is a SIGBUS. Returns 0 or -errno;
 * -EPERM when it is the privilege that is missing.
 */
int em_sys_uffd_open(bool by_thread, struct em_sys_features *features);

/* Closes all that it opened; in a forked child it is the parent's. */
void em_sys_uffd_close(void);

/* A fault that waits for us. */
struct em_sys_fault {
	uintptr_t addr;
	bool write;      /* the access was a store */
	bool protection; /* the page was there, and write-protected */
	pid_t tid;       /* who waits */
};
/* Waits for the next message. 0 or -errno. EM_BLOCKS */
int em_sys_read_fault(struct em_sys_fault *fault);
/* Whoever waits for a page of this range tries again. */
void em_sys_wake_range(uintptr_t addr, size_t bytes);
/*
 * Whoever touches this page, which is not there, gets a bus error from now
 * on, or EFAULT; -ENOSYS before Linux 6.6.
 */
int em_sys_poison(uintptr_t addr);
/* Sends a thread SIGBUS. */
void em_sys_raise_sigbus(pid_t tid);
/* Registers a range for missing and write-protect faults. */
int em_sys_uffd_register(uintptr_t addr, size_t bytes);
/*
 * Maps bytes of src at dst, write-protected or not. Returns the bytes mapped,
 * which may be fewer; -EEXIST when the first page is mapped already, -ENOENT
 * when there is no registered mapping. Waits out -EAGAIN.
 */
long em_sys_copy_in(uintptr_t dst, const void *src, size_t bytes, bool protect);
/* Moves whole pages out of src into empty dst, as em_sys_copy_in returns. */
long em_sys_move(uintptr_t dst, uintptr_t src, size_t bytes);
int em_sys_write_protect(uintptr_t addr, size_t bytes, bool on);
/*
 * Drops runs of pages from the program's map. Returns 0, or -errno; then
 * *done says how many of the runs, from the first, are gone.
 */
int em_sys_drop(const struct iovec *runs, size_t count, size_t *done);
/*
 * Reads managed memory whatever its protection, without ever waiting for a
 * fault: -EFAULT when the page is not there.
 */
int em_sys_peek(void *dst, uintptr_t src, size_t bytes);
/* Writes the word at addr back to itself, atomically; -EFAULT as above. */
int em_sys_touch(uintptr_t addr);

/* Anonymous memory of the library's own, zeroed, never managed; NULL if none. */
void *em_sys_alloc(size_t bytes);
void em_sys_dealloc(void *p, size_t bytes);
/* Maps all of it for reading with one call, where the kernel can (5.14). */
void em_sys_populate(const void *p, size_t bytes);
/* Huge pages for it from now on, where the kernel has them and allows it. */
void em_sys_prefer_huge(void *p, size_t bytes);
/* Whether a child of fork gets what is in this memory; off: it gets zeros. */
void em_sys_inherit(void *p, size_t bytes, bool on);
int em_sys_reserve(uintptr_t addr, size_t bytes); /* PROT_NONE, exactly there */
/* Private anonymous memory, exactly there, where nothing is. */
int em_sys_map(uintptr_t addr, size_t bytes, int prot);
int em_sys_unmap(uintptr_t addr, size_t bytes);
/*
 * The bytes of addresses that RLIMIT_AS or RLIMIT_DATA allow the process, the
 * smaller of the two; and where the kernel promises no more than there is
 * (vm.overcommit_memory=2), not more than that.
 */
#define EM_SPACE_UNBOUND UINT64_MAX
uint64_t em_sys_space_bytes(void);
int em_sys_protect(uintptr_t addr, size_t bytes, int prot);
int em_sys_discard(uintptr_t addr, size_t bytes); /* MADV_DONTNEED */
int em_sys_unlock(uintptr_t addr, size_t bytes);  /* munlock */
int em_sys_lock(uintptr_t addr, size_t bytes);    /* mlock, of what will be there */

long em_sys_pread(int fd, void *buf, size_t bytes, uint64_t offset);
long em_sys_pwrite(int fd, const void *buf, size_t bytes, uint64_t offset);
/*
 * Reads a file that the kernel writes for us (/proc), from an offset on, to its end
 * or until out is full: bytes, or -errno.
 */
long em_sys_read_path(const char *path, uint64_t offset, char *out, size_t bytes);
int em_sys_close(int fd);
/*
 * Makes an io_uring: its descriptor, and what the kernel says of it in *params
 * (struct io_uring_params). -ENOSYS or -EPERM where there is none to be had.
 */
int em_sys_ring_setup(unsigned int entries, void *params);
/* Moves a descriptor out of the program's way, close-on-exec. */
int em_sys_raise_fd(int fd);

/* Waits while *word == value, at most timeout_ns (0: forever). */
void em_sys_wait(_Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns);
void em_sys_wake(_Atomic uint32_t *word, int count);
/* Every other thread of the process executes a full barrier. */
void em_sys_membarrier(void);
void em_sys_yield(void);
/* Monotonic. */
uint64_t em_sys_now_ns(void);
/*
 * The program has forbidden the instruction by which time is read without a
 * call (PR_SET_TSC): a fault handler would be interrupted by a signal.
 */
void em_sys_forbid_tsc(void);
pid_t em_sys_tid(void);
/* For those who look at the threads of a process; at most 15 letters. */
void em_sys_name_thread(const char *name);
bool em_sys_thread_alive(pid_t tid);
/* Blocks all signals but those that stand for faults; old may be NULL. */
void em_sys_block_signals(sigset_t *old);
void em_sys_restore_signals(const sigset_t *old);

/*
 * A few descriptors are held back for fork, which must not fail because the
 * program has used up all others. keep: makes sure that they are there; false
 * when they cannot be had. spend: closes them; false when there were none.
 */
bool em_sys_keep_spares(void);
bool em_sys_spend_spares(void);
/* Whether fd is one of ours, which the program must not close. */
bool em_sys_owns_fd(int fd);
/* Our lowest descriptor from first on, or -1. */
int em_sys_next_own_fd(unsigned int first);

#endif
