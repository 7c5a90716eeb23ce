/* SPDX-License-Identifier: MIT
 *
 * arch: everything that names a register. x86-64 is the only machine so far;
 * another one brings its own arch.h and arch.S.
 */
#ifndef EM_ARCH_H
#define EM_ARCH_H

#include "util.h"
#include <signal.h>
#include <sys/ucontext.h>

/* A system call by number: >= 0 or -errno; never touches errno. */
long em_syscall(long nr, long a, long b, long c, long d, long e, long f);

/* Words below its return address: what a thread made by it finds on its stack. */
#define EM_ARCH_SYSCALL_SAVED 1

/*
 * Where em_syscall jumps to, the code there, and its length in bytes; and where
 * em_arch_call does: the same again, EM_ARCH_STUB_CALL bytes on, so that filters
 * can tell the library's own calls from those it makes for the program.
 */
extern const void *em_arch_stub, *em_arch_stub_call;
extern const char em_arch_stub_code[];
#define EM_ARCH_STUB_BYTES 8
#define EM_ARCH_STUB_CALL 4
/* Its unwind table, for __register_frame, and the address and bytes in that. */
extern char em_arch_stub_frames[];
extern uintptr_t em_arch_stub_frames_at[2];

/*
 * A call of the program's, which a filter of its own may judge; and one whose
 * every nanosecond counts: arch.S says why.
 */
static inline long em_arch_call(long nr, const long a[6])
{
	register long r10 __asm__("r10") = a[3];
	register long r8 __asm__("r8") = a[4];
	register long r9 __asm__("r9") = a[5];
	long ret = nr;

	__asm__ volatile("lea 1f(%%rip), %%rbx\n\t"
			 "jmp *em_arch_stub_call(%%rip)\n"
			 "1:"
			 : "+a"(ret)
			 : "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
			 : "rbx", "rcx", "r11", "memory");
	return ret;
}
/* The instruction pointer that the kernel sees during a call from a stub. */
#define EM_ARCH_STUB_IP(stub) ((uintptr_t)(stub) + 2)

/* See arch.S. bytes: a multiple of 8. */
int em_arch_copy(void *dst, const void *src, size_t bytes);
extern const char em_arch_copy_begin[], em_arch_copy_end[], em_arch_copy_failed[];

/* body(arg), called on the stack that ends at top. */
void *em_arch_run_on_stack(void *(*body)(void *), void *arg, uintptr_t top);

/* Bytes of the floating point state of a signal frame. */
static inline size_t em_arch_fp_bytes(const ucontext_t *uc)
{
	/* At the end of the legacy area: a magic number, and the size of all. */
	const uint32_t *extended = (const uint32_t *)(uc->uc_mcontext.fpregs + 1) - 12;

	if (!uc->uc_mcontext.fpregs)
		return 0;
	return extended[0] == 0x46505853u ? extended[1] : sizeof(struct _libc_fpstate);
}

/* Where a stack ends that was interrupted: below the red zone. */
static inline uintptr_t em_arch_free_stack(const ucontext_t *uc)
{
	return (uintptr_t)uc->uc_mcontext.gregs[REG_RSP] - 128;
}

/* Where the stack pointer stood. */
static inline uintptr_t em_arch_stack_pointer(const ucontext_t *uc)
{
	return (uintptr_t)uc->uc_mcontext.gregs[REG_RSP];
}

/* Thread-local storage ends here, and libc's record of the thread begins. */
static inline char *em_arch_thread_pointer(void)
{
	char *tp;

	__asm__("mov %%fs:0, %0" : "=r"(tp));
	return tp;
}

/*
 * Of that record, zeroed, what compilers rely on (glibc: tcbhead_t): its own
 * address, an empty table of what is loaded late, and the stack protector's
 * and libc's secret words, which are those of the caller.
 */
static inline void em_arch_make_head(char *tp)
{
	static const uintptr_t no_late_storage[2];
	uintptr_t *head = (uintptr_t *)tp;
	const uintptr_t *mine = (const uintptr_t *)em_arch_thread_pointer();

	head[0] = head[2] = (uintptr_t)tp;
	head[1] = (uintptr_t)&no_late_storage[1];
	head[5] = mine[5];
	head[6] = mine[6];
}

/* The instruction that was interrupted. */
static inline uintptr_t em_arch_instruction(const ucontext_t *uc)
{
	return (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
}

/* What the processor said of a page fault. */
static inline bool em_arch_fault_is_write(const ucontext_t *uc)
{
	return uc->uc_mcontext.gregs[REG_ERR] & 2;
}

static inline bool em_arch_fault_is_protection(const ucontext_t *uc)
{
	return uc->uc_mcontext.gregs[REG_ERR] & 1;
}

/* Whether a fault came from em_arch_copy(); if so, makes it return -1. */
static inline bool em_arch_copy_fixup(ucontext_t *uc)
{
	greg_t *ip = &uc->uc_mcontext.gregs[REG_RIP];

	if (*ip < (greg_t)(uintptr_t)em_arch_copy_begin ||
	    *ip >= (greg_t)(uintptr_t)em_arch_copy_end)
		return false;
	*ip = (greg_t)(uintptr_t)em_arch_copy_failed;
	return true;
}

/* The system call that a SIGSYS stands for: its arguments and its result. */
static inline void em_arch_call_args(const ucontext_t *uc, long args[6])
{
	static const int regs[6] = { REG_RDI, REG_RSI, REG_RDX,
				     REG_R10, REG_R8, REG_R9 };

	for (int i = 0; i < 6; i++)
		args[i] = uc->uc_mcontext.gregs[regs[i]];
}

static inline void em_arch_call_return(ucontext_t *uc, long result)
{
	uc->uc_mcontext.gregs[REG_RAX] = result;
}

#endif
