/* SPDX-License-Identifier: MIT
 *
 * relay: takes a signal from the alternate stack to the program's handler.
 *
 * The kernel writes the frame of a signal to the stack that runs, and reads it
 * when the handler returns. If that stack is managed (a coroutine's, a thread's
 * that the program gave) and the page is away, the process is killed. So every
 * handler of the program is installed with SA_ONSTACK and relay() before it:
 *
 *	kernel --> frame on our alternate stack --> relay(): copies the frame to
 *	the stack on which the program expects it, where faults are served as
 *	always --> handler --> em_relay_handler_return: copies the frame back to
 *	the alternate stack --> rt_sigreturn
 *
 * The frame is laid out as the kernel does it, so that debuggers, unwinders and
 * handlers that change it find what they look for. A call that the net caught is
 * made on the program's stack in the same way; where it is not (signal.c), a
 * signal interrupts the alternate stack itself, and is handled there.
 */
#ifndef EM_RELAY_H
#define EM_RELAY_H

#include "util.h"
#include <signal.h>
#include <ucontext.h>

/* A stack; none when bytes is 0. */
struct em_relay_stack {
	uintptr_t start;
	size_t bytes;
};

/*
 * Runs handler on top of what was interrupted, or on `other` if that is not
 * empty, as shown. Does not return: the handler's return ends the signal.
 * EM_HANDLER
 */
_Noreturn void em_relay(int sig, const siginfo_t *info, const ucontext_t *uc,
			void (*handler)(int, siginfo_t *, void *),
			struct em_relay_stack other, const stack_t *shown);

/* handler.S: enters a handler on its frame, whose return address is that of
 * em_relay_handler_return. */
_Noreturn void em_relay_enter_handler(int sig, siginfo_t *info, void *uc,
				      void (*handler)(int, siginfo_t *, void *),
				      void *frame);
extern const char em_relay_handler_return[];

/*
 * For em_relay_handler_return, which runs with the program's frame as its stack:
 * where on the alternate stack it may run while the frame is copied back, and
 * the copy, whose ucontext it gives to rt_sigreturn. EM_HANDLER
 */
uintptr_t em_relay_return_stack(const ucontext_t *uc);
const void *em_relay_return_frame(const ucontext_t *uc);

#endif
