/* SPDX-License-Identifier: MIT
 *
 * long syscall(long nr, ...): libc's function for calls by number. Programs
 * reach calls by it that libc has no function for, with vectors that the net
 * does not see. It is assembly for the sake of those calls that return on
 * another stack, or twice on the same: no frame of ours may lie between.
 */
	.text
	.globl	syscall
	.type	syscall, @function
syscall:
	.cfi_startproc
	cmp	$15, %rdi	/* rt_sigreturn */
	je	1f
	cmp	$58, %rdi	/* vfork */
	je	1f
	cmp	$56, %rdi	/* clone, but for a plain fork by it */
	jne	em_io_syscall
	test	%rdx, %rdx
	jne	1f
	test	$0x100, %esi	/* CLONE_VM */
	je	em_io_syscall
1:	mov	%rdi, %rax
	mov	%rsi, %rdi
	mov	%rdx, %rsi
	mov	%rcx, %rdx
	mov	%r8, %r10
	mov	%r9, %r8
	mov	8(%rsp), %r9
	syscall
	cmp	$-4095, %rax
	jae	2f
	ret
2:	mov	%rax, %rdi
	jmp	em_io_failed
	.cfi_endproc
	.size	syscall, . - syscall

	.section .note.GNU-stack, "", @progbits
