/* SPDX-License-Identifier: MIT
 *
 * arch: what must be written in assembly, x86-64.
 *
 * em_syscall() makes every system call of the library from one instruction
 * whose address the seccomp net can name (see net.c). em_arch_stub points to
 * the local copy below until the net moves it to its fixed page.
 */
	.section .text.hot, "ax", @progbits
	.globl	em_syscall
	.hidden	em_syscall
	.type	em_syscall, @function
/* long em_syscall(long nr, long a, long b, long c, long d, long e, long f) */
em_syscall:
	.cfi_startproc
	push	%rbx
	.cfi_def_cfa_offset 16
	.cfi_offset %rbx, -16
	mov	%rdi, %rax
	mov	%rsi, %rdi
	mov	%rdx, %rsi
	mov	%rcx, %rdx
	mov	%r8, %r10
	mov	%r9, %r8
	mov	16(%rsp), %r9
	lea	1f(%rip), %rbx
	jmp	*em_arch_stub(%rip)
1:	pop	%rbx
	.cfi_def_cfa_offset 8
	.cfi_restore %rbx
	ret
	.cfi_endproc
	.size	em_syscall, . - em_syscall

/*
 * The stub goes on where rbx points to. It does not return: the kernel leaves
 * nothing of the processor's prediction of returns, so that each one that was
 * outstanding costs 6 ns. arch.h makes hot calls without any.
 */
	.text
	.globl	em_arch_stub_code
	.hidden	em_arch_stub_code
	.type	em_arch_stub_code, @function
em_arch_stub_code:
	.cfi_startproc
	.cfi_def_cfa_offset 0
	.cfi_register %rip, %rbx
	syscall
	jmp	*%rbx
	syscall			/* EM_ARCH_STUB_CALL */
	jmp	*%rbx
	.cfi_endproc
	.size	em_arch_stub_code, . - em_arch_stub_code

/*
 * int em_arch_copy(void *dst, const void *src, size_t bytes)
 *
 * Copies, and returns -1 instead of dying when the source is not there: the
 * fault handlers send a fault between the two labels to em_arch_copy_failed.
 */
	.globl	em_arch_copy
	.hidden	em_arch_copy
	.type	em_arch_copy, @function
em_arch_copy:
	.cfi_startproc
	mov	%rdx, %rcx
	shr	$3, %rcx
	.globl	em_arch_copy_begin
	.hidden	em_arch_copy_begin
em_arch_copy_begin:
	rep movsq
	.globl	em_arch_copy_end
	.hidden	em_arch_copy_end
em_arch_copy_end:
	xor	%eax, %eax
	ret
	.globl	em_arch_copy_failed
	.hidden	em_arch_copy_failed
em_arch_copy_failed:
	mov	$-1, %eax
	ret
	.cfi_endproc
	.size	em_arch_copy, . - em_arch_copy

/*
 * void *em_arch_run_on_stack(void *(*body)(void *), void *arg, uintptr_t top)
 *
 * Calls body(arg) on another stack. Unwinding, as pthread_exit does it, finds
 * its way back by the frame pointer.
 */
	.globl	em_arch_run_on_stack
	.hidden	em_arch_run_on_stack
	.type	em_arch_run_on_stack, @function
em_arch_run_on_stack:
	.cfi_startproc
	push	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset %rbp, -16
	mov	%rsp, %rbp
	.cfi_def_cfa_register %rbp
	and	$-16, %rdx
	mov	%rdx, %rsp
	mov	%rdi, %rax
	mov	%rsi, %rdi
	call	*%rax
	leave
	.cfi_def_cfa %rsp, 8
	ret
	.cfi_endproc
	.size	em_arch_run_on_stack, . - em_arch_run_on_stack

/*
 * The unwind table of the stub on its page, in the form of .eh_frame: the frame
 * is the caller's, the return address in rbx. arch.h says who fills in where.
 */
	.data
	.globl	em_arch_stub_frames
	.hidden	em_arch_stub_frames
	.type	em_arch_stub_frames, @object
	.align	8
em_arch_stub_frames:
	.long	2f - 1f		/* what all entries share */
1:	.long	0
	.byte	1
	.string	"zR"
	.uleb128 1
	.sleb128 -8
	.byte	16		/* the return address's column */
	.uleb128 1
	.byte	0		/* addresses are absolute */
	.byte	0x0c, 7, 0	/* frame: rsp */
	.byte	0x09, 16, 3	/* return address: in rbx */
	.align	4
2:	.long	4f - 3f		/* the entry */
3:	.long	3b - em_arch_stub_frames
	.globl	em_arch_stub_frames_at
	.hidden	em_arch_stub_frames_at
	.type	em_arch_stub_frames_at, @object
em_arch_stub_frames_at:
	.quad	0, 0		/* start, bytes */
	.size	em_arch_stub_frames_at, 16
	.uleb128 0
	.align	8
4:	.long	0
	.size	em_arch_stub_frames, . - em_arch_stub_frames

	.globl	em_arch_stub
	.hidden	em_arch_stub
	.type	em_arch_stub, @object
	.align	8
em_arch_stub:
	.quad	em_arch_stub_code
	.size	em_arch_stub, 8
	.globl	em_arch_stub_call
	.hidden	em_arch_stub_call
	.type	em_arch_stub_call, @object
em_arch_stub_call:
	.quad	em_arch_stub_code + 4
	.size	em_arch_stub_call, 8

	.section .note.GNU-stack, "", @progbits
