/* SPDX-License-Identifier: MIT
 *
 * SIGBUS and SIGSYS are ours, and the program must not notice: its actions
 * for them are remembered and shown back to it, and every signal that is not
 * ours is passed on with its siginfo. In masks they are never blocked, because
 * a fault while SIGBUS is blocked kills the process, but shown as asked for.
 */
#include "arch.h"
#include "fault.h"
#include "interpose.h"
#include "knobs.h"
#include "log.h"
#include "net_calls.h"
#include "relay.h"
#include "stats.h"
#include "thread.h"
#include "window.h"
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/syscall.h>

/* Which of our signals the program believes to have blocked, per thread. */
EM_TLS uint8_t shown_blocked;
/* Which of our signals the program put into the mask of an action. */
static _Atomic uint8_t shown_action_mask[_NSIG];
/* What the program believes to be its alternate stack; ours is installed. */
EM_TLS stack_t shown_stack = { .ss_flags = SS_DISABLE };

static struct sigaction program_action[_NSIG]; /* of SIGBUS and SIGSYS */
static bool sigbus_is_ours; /* faults are delivered by signal */
static bool sigsys_is_ours;
/* Of all others: the program's handlers, to which relay() passes. */
static struct {
	void (*_Atomic handler)(int, siginfo_t *, void *);
	_Atomic int flags;
} program_handler[_NSIG];

static bool is_ours(int sig)
{
	return (sig == SIGBUS && sigbus_is_ours) || (sig == SIGSYS && sigsys_is_ours);
}

static uint8_t our_bits(const sigset_t *set)
{
	return (uint8_t)((sigismember(set, SIGBUS) == 1 ? 1 : 0) |
			 (sigismember(set, SIGSYS) == 1 ? 2 : 0));
}

static void remove_ours(sigset_t *set)
{
	if (!em_protects(EM_KNOB_MASKS))
		return;
	if (sigbus_is_ours)
		sigdelset(set, SIGBUS);
	if (sigsys_is_ours)
		sigdelset(set, SIGSYS);
}

static void show_ours(sigset_t *set, uint8_t bits)
{
	if (bits & 1)
		sigaddset(set, SIGBUS);
	if (bits & 2)
		sigaddset(set, SIGSYS);
}

/* ---- delivery -------------------------------------------------------- */

/* As if we were not here: the default action ends the process with the signal. */
static void die_of(int sig)
{
	struct { void *handler; unsigned long flags; void *restorer; uint64_t mask; }
		dfl = { 0 };

	em_syscall(SYS_rt_sigaction, sig, (long)&dfl, 0, 8, 0, 0);
	/* On return the faulting instruction runs again; a sent signal is sent. */
	em_syscall(SYS_tgkill, em_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0),
		   em_sys_tid(), sig, 0, 0, 0);
}

void em_signals_forward(int sig, siginfo_t *info, void *context)
{
	const struct sigaction *sa = &program_action[sig];

	if (sa->sa_flags & SA_SIGINFO) {
		sa->sa_sigaction(sig, info, context);
	} else if (sa->sa_handler == SIG_DFL ||
		   (sa->sa_handler == SIG_IGN && info->si_code > 0)) {
		die_of(sig);
	} else if (sa->sa_handler != SIG_IGN) {
		sa->sa_handler(sig);
	}
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	int saved = errno;
	ucontext_t *uc = context;
	uintptr_t addr = (uintptr_t)info->si_addr;

	if (em_arch_copy_fixup(uc))
		return;
	if (info->si_code != BUS_ADRERR || !em_in_window(addr) ||
	    em_fault_handle(addr, em_arch_fault_is_write(uc),
			    em_arch_fault_is_protection(uc)) != EM_FAULT_DONE) {
		sigset_t mask = uc->uc_sigmask;
		em_sys_restore_signals(&mask);
		em_signals_forward(sig, info, context);
	}
	errno = saved;
}

static void take(int sig, void (*handler)(int, siginfo_t *, void *), bool block_all)
{
	struct sigaction sa = { .sa_sigaction = handler };

	sa.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART;
	if (block_all) {
		sigfillset(&sa.sa_mask);
		sigdelset(&sa.sa_mask, SIGBUS);
		sigdelset(&sa.sa_mask, SIGSYS);
		sigdelset(&sa.sa_mask, SIGSEGV);
	}
	EM_REAL(sigaction)(sig, &sa, &program_action[sig]);
	sigemptyset(&sa.sa_mask);
	sigaddset(&sa.sa_mask, sig);
	EM_REAL(pthread_sigmask)(SIG_UNBLOCK, &sa.sa_mask, NULL);
}

void em_signals_start(void)
{
	/* A fault handler must not be interrupted by a handler that faults. */
	take(SIGBUS, on_sigbus, true);
	sigbus_is_ours = true;
}

void em_signals_take_sigsys(void (*handler)(int, siginfo_t *, void *))
{
	take(SIGSYS, handler, false); /* the call may last: signals interrupt it */
	sigsys_is_ours = true;
}

/* What the program may have blocked before they were ours. */
void em_signals_take_over(sigset_t *mask)
{
	struct sigaction sa;

	remove_ours(mask);
	for (int sig = 1; sig < _NSIG; sig++) {
		if (is_ours(sig) || EM_REAL(sigaction)(sig, NULL, &sa) || !our_bits(&sa.sa_mask))
			continue;
		remove_ours(&sa.sa_mask);
		EM_REAL(sigaction)(sig, &sa, NULL);
	}
}

/* As the kernel has a set. */
static uint64_t our_set(void)
{
	return (sigbus_is_ours ? 1ull << (SIGBUS - 1) : 0) |
	       (sigsys_is_ours ? 1ull << (SIGSYS - 1) : 0);
}

void em_signals_keep_ours_open(void)
{
	uint64_t ours = our_set();

	if (em_protects(EM_KNOB_MASKS))
		em_syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&ours, 0, 8, 0, 0);
}

void em_signals_open_ours(uint64_t *mask)
{
	if (em_protects(EM_KNOB_MASKS))
		*mask &= ~our_set();
}

/* ---- the program's handlers --------------------------------------------- */

static bool lies_on(uintptr_t sp, const stack_t *ss)
{
	return !(ss->ss_flags & SS_DISABLE) && sp - (uintptr_t)ss->ss_sp < ss->ss_size;
}

/* What the kernel calls for each signal that the program handles. */
static void relay(int sig, siginfo_t *info, void *context)
{
	void (*handler)(int, siginfo_t *, void *) = atomic_load(&program_handler[sig].handler);
	int flags = atomic_load(&program_handler[sig].flags);
	const ucontext_t *uc = context;
	uintptr_t sp = em_arch_stack_pointer(uc);
	stack_t own = em_thread_own_stack();
	struct em_relay_stack other = { 0, 0 };

	/* A thread without an alternate stack, or one of our handlers was
	 * interrupted, which runs there: this is the place. */
	if (own.ss_flags & SS_DISABLE || lies_on(sp, &own)) {
		handler(sig, info, context);
		return;
	}
	if (flags & SA_ONSTACK && !(shown_stack.ss_flags & SS_DISABLE) &&
	    !lies_on(sp, &shown_stack))
		other = (struct em_relay_stack){ (uintptr_t)shown_stack.ss_sp,
						 shown_stack.ss_size };
	em_relay(sig, info, uc, handler, other, &shown_stack);
}

/* After vfork the memory is the parent's, the kernel's table of actions is not. */
static bool is_vforked(void)
{
	return (uint32_t)em_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0) != em_segment->pid;
}

/* Remembers the program's handler and puts relay() in its place. */
static void relay_action(int sig, struct sigaction *act)
{
	if (act->sa_handler == SIG_DFL || act->sa_handler == SIG_IGN ||
	    act->sa_sigaction == relay || is_vforked() || !em_protects(EM_KNOB_STACKS))
		return;
	atomic_store(&program_handler[sig].handler, act->sa_sigaction);
	atomic_store(&program_handler[sig].flags, act->sa_flags);
	act->sa_sigaction = relay;
	act->sa_flags |= SA_SIGINFO | SA_ONSTACK;
}

/* ---- actions --------------------------------------------------------- */

EM_EXPORT int sigaction(int sig, const struct sigaction *restrict act,
			struct sigaction *restrict old)
{
	struct sigaction mine, previous;
	void (*old_handler)(int, siginfo_t *, void *);
	uint8_t bits = 0, old_bits;
	int old_flags;
	int ret = 0;

	if (!em_core_active() || sig <= 0 || sig >= _NSIG)
		return EM_REAL(sigaction)(sig, act, old);
	if (is_ours(sig)) {
		previous = program_action[sig];
		if (act)
			program_action[sig] = *act;
		if (old)
			*old = previous;
		return 0;
	}
	old_handler = atomic_load(&program_handler[sig].handler);
	old_flags = atomic_load(&program_handler[sig].flags);
	if (act) {
		mine = *act;
		bits = our_bits(&mine.sa_mask);
		remove_ours(&mine.sa_mask);
		relay_action(sig, &mine);
	}
	old_bits = atomic_load(&shown_action_mask[sig]);
	ret = EM_REAL(sigaction)(sig, act ? &mine : NULL, old ? &previous : NULL);
	if (ret == 0 && act)
		atomic_store(&shown_action_mask[sig], bits);
	if (ret == 0 && old) {
		show_ours(&previous.sa_mask, old_bits);
		if (previous.sa_sigaction == relay) {
			previous.sa_sigaction = old_handler;
			previous.sa_flags = old_flags;
		}
		*old = previous;
	}
	return ret;
}

static sighandler_t set_handler(int sig, sighandler_t handler, int flags)
{
	struct sigaction act = { .sa_handler = handler, .sa_flags = flags }, old;

	return sigaction(sig, &act, &old) == 0 ? old.sa_handler : SIG_ERR;
}

EM_EXPORT sighandler_t signal(int sig, sighandler_t handler)
{
	if (!em_core_active())
		return EM_REAL(signal)(sig, handler);
	return set_handler(sig, handler, SA_RESTART);
}

/* What signal() is to programs that ask for System V. */
EM_EXPORT sighandler_t __sysv_signal(int sig, sighandler_t handler)
{
	if (!em_core_active())
		return EM_REAL(__sysv_signal)(sig, handler);
	return set_handler(sig, handler, SA_RESETHAND | SA_NODEFER);
}

/* ---- time ------------------------------------------------------------ */

/*
 * A program may have the instruction that reads the time raise SIGSEGV. Ours
 * would raise it as well, in a fault handler, and the program's handler would
 * leave that by siglongjmp.
 */
EM_EXPORT int prctl(int option, ...)
{
	unsigned long a[4];
	va_list ap;

	va_start(ap, option);
	for (int i = 0; i < 4; i++)
		a[i] = va_arg(ap, unsigned long);
	va_end(ap);
	if (option == PR_SET_TSC && a[0] == PR_TSC_SIGSEGV)
		em_sys_forbid_tsc();
	if (!em_core_active())
		return EM_REAL(prctl)(option, a[0], a[1], a[2], a[3]);
	return (int)em_errno_return(em_guard_call(SYS_prctl, (const long[6]){ option,
		(long)a[0], (long)a[1], (long)a[2], (long)a[3], 0 }));
}

/* ---- masks ----------------------------------------------------------- */

static uint8_t shown_after(int how, uint8_t bits)
{
	switch (how) {
	case SIG_BLOCK: return shown_blocked | bits;
	case SIG_UNBLOCK: return shown_blocked & (uint8_t)~bits;
	default: return bits;
	}
}

/* Shared by sigprocmask and pthread_sigmask; returns an error number. */
static int change_mask(int how, const sigset_t *set, sigset_t *old)
{
	uint8_t before = shown_blocked;
	sigset_t mine, previous;
	int ret;

	if (set) {
		mine = *set;
		/* The kernel is not asked to unblock less than the program wants,
		 * but never to block ours. */
		if (how != SIG_UNBLOCK)
			remove_ours(&mine);
	}
	ret = EM_REAL(pthread_sigmask)(how, set ? &mine : NULL, old ? &previous : NULL);
	if (ret)
		return ret;
	if (set)
		shown_blocked = shown_after(how, our_bits(set));
	if (old) {
		show_ours(&previous, before);
		*old = previous;
	}
	return 0;
}

EM_EXPORT int pthread_sigmask(int how, const sigset_t *restrict set,
			      sigset_t *restrict old)
{
	if (!em_core_active())
		return EM_REAL(pthread_sigmask)(how, set, old);
	return change_mask(how, set, old);
}

EM_EXPORT int sigprocmask(int how, const sigset_t *restrict set, sigset_t *restrict old)
{
	if (!em_core_active())
		return EM_REAL(sigprocmask)(how, set, old);
	int ret = change_mask(how, set, old);
	if (!ret)
		return 0;
	errno = ret;
	return -1;
}

/* For the calls that swap the mask while they wait. */
static const sigset_t *without_ours(const sigset_t *set, sigset_t *copy)
{
	if (!set || !em_core_active())
		return set;
	*copy = *set;
	remove_ours(copy);
	return copy;
}

EM_EXPORT int sigsuspend(const sigset_t *set)
{
	sigset_t copy;

	return EM_REAL(sigsuspend)(without_ours(set, &copy));
}

EM_EXPORT int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
		    const sigset_t *set)
{
	sigset_t copy;

	return EM_REAL(ppoll)(fds, count, timeout, without_ours(set, &copy));
}

EM_EXPORT int pselect(int n, fd_set *restrict r, fd_set *restrict w, fd_set *restrict e,
		      const struct timespec *restrict timeout, const sigset_t *restrict set)
{
	sigset_t copy;

	return EM_REAL(pselect)(n, r, w, e, timeout, without_ours(set, &copy));
}

EM_EXPORT int epoll_pwait(int fd, struct epoll_event *events, int max, int timeout,
			  const sigset_t *set)
{
	sigset_t copy;

	return EM_REAL(epoll_pwait)(fd, events, max, timeout, without_ours(set, &copy));
}

/* ---- the alternate stack ---------------------------------------------- */

/*
 * Our handlers need a stack of their own that is never managed and large
 * enough; it stays installed. The program's handlers with SA_ONSTACK are taken
 * to the one that it asked for, by relay().
 */
EM_EXPORT int sigaltstack(const stack_t *restrict ss, stack_t *restrict old)
{
	stack_t before = shown_stack;

	if (!em_core_active())
		return EM_REAL(sigaltstack)(ss, old);
	if (ss) {
		if (ss->ss_flags & ~(SS_DISABLE | SS_ONSTACK | (int)(1u << 31))) {
			errno = EINVAL;
			return -1;
		}
		if (!(ss->ss_flags & SS_DISABLE) && ss->ss_size < 2048) {
			errno = ENOMEM;
			return -1;
		}
		shown_stack = *ss;
		shown_stack.ss_flags &= SS_DISABLE;
		em_thread_self()->program_stack = (struct em_range){
			(uintptr_t)ss->ss_sp, (uintptr_t)ss->ss_sp +
			(ss->ss_flags & SS_DISABLE ? 0 : ss->ss_size)
		};
	}
	if (old)
		*old = before;
	return 0;
}
