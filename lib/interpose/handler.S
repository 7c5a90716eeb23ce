/* SPDX-License-Identifier: MIT
 *
 * How a handler of the program is entered on its stack, and left: relay.h.
 */
	.text
/*
 * void em_relay_enter_handler(int sig, siginfo_t *info, void *uc,
 *			      void (*handler)(int, siginfo_t *, void *), void *frame)
 *
 * Enters a signal handler with its frame as the stack. It returns to:
 */
	.globl	em_relay_enter_handler
	.hidden	em_relay_enter_handler
	.type	em_relay_enter_handler, @function
em_relay_enter_handler:
	.cfi_startproc
	mov	%r8, %rsp
	xor	%eax, %eax
	jmp	*%rcx
	.cfi_endproc
	.size	em_relay_enter_handler, . - em_relay_enter_handler

/*
 * The stack pointer points to the ucontext of the frame, the registers are free.
 * What an unwinder finds here is what was interrupted; offsets of struct
 * sigcontext.
 */
	.macro	saved_in_frame register, offset
	.cfi_escape 0x10, \register, 3, 0x77, (\offset & 0x7f) | 0x80, \offset >> 7
	.endm
	.globl	em_relay_handler_return
	.hidden	em_relay_handler_return
	.type	em_relay_handler_return, @function
	.cfi_startproc
	.cfi_signal_frame
	.cfi_escape 0x0f, 4, 0x77, 160 & 0x7f | 0x80, 160 >> 7, 0x06
	saved_in_frame 8, 40
	saved_in_frame 9, 48
	saved_in_frame 10, 56
	saved_in_frame 11, 64
	saved_in_frame 12, 72
	saved_in_frame 13, 80
	saved_in_frame 14, 88
	saved_in_frame 15, 96
	saved_in_frame 5, 104
	saved_in_frame 4, 112
	saved_in_frame 6, 120
	saved_in_frame 3, 128
	saved_in_frame 1, 136
	saved_in_frame 0, 144
	saved_in_frame 2, 152
	saved_in_frame 7, 160
	saved_in_frame 16, 168
	nop	/* unwinders look one byte before the return address */
em_relay_handler_return:
	mov	%rsp, %rbx
	mov	%rsp, %rdi
	call	em_relay_return_stack
	mov	%rax, %rsp
	mov	%rbx, %rdi
	call	em_relay_return_frame
	mov	%rax, %rsp
	mov	$15, %eax	/* rt_sigreturn */
	syscall
	hlt
	.cfi_endproc
	.size	em_relay_handler_return, . - em_relay_handler_return

	.section .note.GNU-stack, "", @progbits
