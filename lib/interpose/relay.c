/* SPDX-License-Identifier: MIT */
#include "relay.h"
#include "arch.h"
#include "interpose.h"
#include <string.h>

/* The part of ucontext_t that the kernel knows, and its frame. */
#define EM_KERNEL_UCONTEXT_BYTES 304u

struct frame {
	const void *restorer;
	unsigned char uc[EM_KERNEL_UCONTEXT_BYTES];
	siginfo_t info;
};

/* Room for a frame on the alternate stack: its fixed part and alignment. */
#define EM_FRAME_BYTES (em_round_up(sizeof(struct frame), 64) + 128)

/* Copies frame and floating point state to below sp, as the kernel lays it. */
static struct frame *copy_frame(uintptr_t sp, const ucontext_t *uc, const siginfo_t *info)
{
	size_t fp_bytes = em_arch_fp_bytes(uc);
	uintptr_t fp = em_round_down(sp - fp_bytes, 64);
	/* As after a call: a word off the alignment of 16 bytes. */
	struct frame *f = (struct frame *)(em_round_down(fp - sizeof(*f), 16) - 8);
	ucontext_t *copy = (ucontext_t *)f->uc;

	memcpy(f->uc, uc, sizeof(f->uc));
	f->info = *info;
	f->restorer = em_relay_handler_return;
	if (fp_bytes)
		memcpy((void *)fp, uc->uc_mcontext.fpregs, fp_bytes);
	copy->uc_mcontext.fpregs = fp_bytes ? (fpregset_t)fp : NULL;
	return f;
}

void em_relay(int sig, const siginfo_t *info, const ucontext_t *uc,
	      void (*handler)(int, siginfo_t *, void *),
	      struct em_relay_stack other, const stack_t *shown)
{
	uintptr_t sp = other.bytes ? other.start + other.bytes
				   : em_arch_free_stack(uc);
	struct frame *f = copy_frame(sp, uc, info);
	ucontext_t *copy = (ucontext_t *)f->uc;

	copy->uc_stack = *shown;
	em_relay_enter_handler(sig, &f->info, f->uc, handler, f);
}

/* From here on it runs on the alternate stack, below a frame's room at its top. */
uintptr_t em_relay_return_stack(const ucontext_t *uc)
{
	stack_t own = em_thread_own_stack();

	return em_round_down((uintptr_t)own.ss_sp + own.ss_size - EM_FRAME_BYTES -
			     em_arch_fp_bytes(uc), 64);
}

/* Copies the frame back; the kernel gets our stack again, and no mask with ours. */
const void *em_relay_return_frame(const ucontext_t *uc)
{
	stack_t own = em_thread_own_stack();
	siginfo_t none = { 0 };
	struct frame *f = copy_frame((uintptr_t)own.ss_sp + own.ss_size, uc, &none);
	ucontext_t *copy = (ucontext_t *)f->uc;

	copy->uc_stack = own;
	em_signals_hide((uint64_t *)&copy->uc_sigmask);
	return f->uc;
}
