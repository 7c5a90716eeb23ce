/* SPDX-License-Identifier: MIT
 *
 * arch: what must be written in assembly, x86-64.
 *
 * em_syscall() makes every system call of the library from one instruction
 * whose address the seccomp net can name (see net.c). em_arch_stub points to
 * the local copy below until the net moves it to its fixed page.
 */
	.text
	.globl	em_syscall
	.hidden	em_syscall
	.type	em_syscall, @function
/* long em_syscall(long nr, long a, long b, long c, long d, long e, long f) */
em_syscall:
	.cfi_startproc
	mov	%rdi, %rax
	mov	%rsi, %rdi
	mov	%rdx, %rsi
	mov	%rcx, %rdx
	mov	%r8, %r10
	mov	%r9, %r8
	mov	8(%rsp), %r9
	jmp	*em_arch_stub(%rip)
	.cfi_endproc
	.size	em_syscall, . - em_syscall

	.globl	em_arch_stub_code
	.hidden	em_arch_stub_code
	.type	em_arch_stub_code, @function
em_arch_stub_code:
	.cfi_startproc
	syscall
	ret
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

	.data
	.globl	em_arch_stub
	.hidden	em_arch_stub
	.type	em_arch_stub, @object
	.align	8
em_arch_stub:
	.quad	em_arch_stub_code
	.size	em_arch_stub, 8

	.section .note.GNU-stack, "", @progbits
