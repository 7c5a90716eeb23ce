/* SPDX-License-Identifier: MIT
 *
 * SIGBUS and SIGSYS are ours, and the program must not notice. The kernel never
 * blocks them, because a fault while SIGBUS is blocked kills the process. For
 * what the program does with them each has a stand-in, a real-time signal that
 * libc sets aside for the library:
 *
 *	the program's mask has SIGBUS       the kernel's has the stand-in
 *	the program's action for SIGBUS     is the stand-in's
 *	a SIGBUS that is not ours           is sent on as the stand-in
 *
 * So the kernel keeps it pending while the program blocks it, gives it to the
 * thread that waits for it, and restores the mask after a handler or a jump. On
 * the way in masks and numbers are hidden, on the way out shown: masks.c.
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
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* libc's, for libraries that need a signal: the highest that is left, or -1. */
int __libc_allocate_rtsig(int high);

/* libc sets it for every action, and shows it. */
#define EM_SA_RESTORER 0x04000000

/* Which of ours have been taken from the program, and what stands in for them. */
static struct { int sig, stand_in; bool taken; } ours[] = {
	{ .sig = SIGBUS }, { .sig = SIGSYS },
};

/* What the program believes to be its alternate stack; ours is installed. */
EM_TLS stack_t shown_stack = { .ss_flags = SS_DISABLE };
EM_TLS struct em_signals_seen seen;

/* The program's handlers, to which relay() passes, by the kernel's number. */
static struct {
	void (*_Atomic handler)(int, siginfo_t *, void *);
	_Atomic int flags;
} program_handler[_NSIG];

static uint64_t bit_of(int sig)
{
	return 1ull << (sig - 1);
}

int em_signals_hidden(int sig)
{
	for (size_t i = 0; i < EM_ARRAY_LEN(ours); i++)
		if (ours[i].taken && ours[i].sig == sig)
			return ours[i].stand_in;
	return sig;
}

int em_signals_shown(int sig)
{
	for (size_t i = 0; i < EM_ARRAY_LEN(ours); i++)
		if (ours[i].taken && ours[i].stand_in == sig)
			return ours[i].sig;
	return sig;
}

bool em_signals_stands_in(int sig)
{
	return em_signals_shown(sig) != sig;
}

void em_signals_hide(uint64_t *mask)
{
	if (!em_protects(EM_KNOB_MASKS))
		return;
	for (size_t i = 0; i < EM_ARRAY_LEN(ours); i++) {
		uint64_t sig = bit_of(ours[i].sig), stand_in;
		if (!ours[i].taken)
			continue;
		stand_in = bit_of(ours[i].stand_in);
		*mask = (*mask & ~(sig | stand_in)) | (*mask & sig ? stand_in : 0);
	}
}

void em_signals_show(uint64_t *mask)
{
	if (!em_protects(EM_KNOB_SHOWN))
		return;
	for (size_t i = 0; i < EM_ARRAY_LEN(ours); i++) {
		uint64_t sig = bit_of(ours[i].sig), stand_in;
		if (!ours[i].taken)
			continue;
		stand_in = bit_of(ours[i].stand_in);
		*mask = (*mask & ~stand_in) | (*mask & stand_in ? sig : 0);
	}
}

uint64_t em_signals_ours(void)
{
	uint64_t set = 0;

	for (size_t i = 0; i < EM_ARRAY_LEN(ours); i++)
		set |= ours[i].taken ? bit_of(ours[i].sig) : 0;
	return set;
}

void em_signals_keep_ours_open(void)
{
	uint64_t set = em_signals_ours(), before = 0;

	if (!em_protects(EM_KNOB_MASKS))
		return;
	em_syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&set, (long)&before, 8, 0, 0);
	before &= set;
	if (!before)
		return;
	em_signals_hide(&before);
	em_syscall(SYS_rt_sigprocmask, SIG_BLOCK, (long)&before, 0, 8, 0, 0);
}

/* ---- delivery -------------------------------------------------------- */

struct em_signals_seen em_signals_seen(void)
{
	return seen;
}

static long send_to_self(int sig, const siginfo_t *info)
{
	return em_syscall(SYS_rt_tgsigqueueinfo, em_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0),
			  em_sys_tid(), sig, (long)info, 0, 0);
}

/* An action as the kernel has it: rt_sigaction(2). */
struct kernel_action {
	uintptr_t handler;
	unsigned long flags;
	void *restorer;
	uint64_t mask;
};

/*
 * Comes when this handler has returned, where the program was interrupted: who traps
 * calls looks at that place, and puts the result there.
 */
static void send_on_return(int sig, const siginfo_t *info)
{
	uint64_t set = bit_of(sig);

	em_syscall(SYS_rt_sigprocmask, SIG_BLOCK, (long)&set, 0, 8, 0, 0);
	send_to_self(sig, info);
}

/*
 * As if we were not here: the default action ends the process with the signal,
 * on return from this handler, where the program was interrupted.
 */
static void die_of(int sig, const siginfo_t *info)
{
	struct kernel_action dfl = { 0 };

	em_syscall(SYS_rt_sigaction, sig, (long)&dfl, 0, 8, 0, 0);
	send_on_return(sig, info);
}

/*
 * To the process. A code of kill(2) the kernel takes from nobody but the first
 * thread, "the process" to it: others send one of ours instead, and what is
 * given to the program has the true one.
 */
#define EM_CODE_USER (-0x656d)

static void send_to_process(int sig, const siginfo_t *info)
{
	long pid = em_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0);
	siginfo_t copy = *info;

	if (pid != em_sys_tid() && info->si_code == SI_USER)
		copy.si_code = EM_CODE_USER;
	if (em_syscall(SYS_rt_sigqueueinfo, pid, sig, (long)&copy, 0, 0, 0) < 0)
		send_to_self(sig, info);
}

int em_signals_true_code(int code)
{
	return code == EM_CODE_USER ? SI_USER : code;
}

/* What the program has by default for the signal behind a stand-in. */
static void on_default(int sig, siginfo_t *info, void *context)
{
	(void)context;
	info->si_code = em_signals_true_code(info->si_code);
	die_of(em_signals_shown(sig), info);
}

/* Raised by what the thread does, and so for it alone, now. */
static bool is_forced(int sig, const siginfo_t *info)
{
	return info->si_code > 0 && !(sig == SIGBUS && info->si_code == BUS_MCEERR_AO);
}

void em_signals_forward(int sig, siginfo_t *info, const void *context)
{
	const ucontext_t *uc = context;
	int stand_in = em_signals_hidden(sig);
	bool ignored = (uintptr_t)atomic_load(&program_handler[stand_in].handler) ==
		       (uintptr_t)SIG_IGN;

	if (!em_protects(EM_KNOB_FORWARD))
		return;
	seen.forwarded++;
	if (is_forced(sig, info) &&
	    (ignored || sigismember(&uc->uc_sigmask, stand_in) == 1))
		die_of(sig, info);
	else if (is_forced(sig, info) || info->si_code == SI_TKILL)
		send_on_return(stand_in, info);
	else
		send_to_process(stand_in, info);
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	int saved = errno;
	ucontext_t *uc = context;
	uintptr_t addr = (uintptr_t)info->si_addr;

	/* Sent while reclaim copies a page, it does not say that the page is not there. */
	if ((is_forced(sig, info) || !em_protects(EM_KNOB_SENT)) && em_arch_copy_fixup(uc))
		return;
	if (info->si_code != BUS_ADRERR || !em_in_window(addr) ||
	    em_fault_handle(addr, em_arch_instruction(uc), em_arch_fault_is_write(uc),
			    em_arch_fault_is_protection(uc)) != EM_FAULT_DONE)
		em_signals_forward(sig, info, context);
	errno = saved;
}

/* ---- the program's handlers --------------------------------------------- */

static bool lies_on(uintptr_t sp, const stack_t *ss)
{
	return !(ss->ss_flags & SS_DISABLE) && sp - (uintptr_t)ss->ss_sp < ss->ss_size;
}

static void set_default(int stand_in)
{
	struct sigaction dfl = { .sa_sigaction = on_default,
				 .sa_flags = SA_SIGINFO | SA_ONSTACK };

	atomic_store(&program_handler[stand_in].handler, NULL);
	EM_REAL(sigaction)(stand_in, &dfl, NULL);
}

/*
 * Of a real-time signal as many are pending as were sent. The program knows it as
 * one of which a second is forgotten while the first is pending.
 */
void em_signals_forget(int stand_in)
{
	const struct timespec now = { 0, 0 };
	uint64_t set = bit_of(stand_in);

	while (em_syscall(SYS_rt_sigtimedwait, (long)&set, 0, (long)&now, 8, 0, 0) > 0)
		;
}

/* Where sig is a stand-in: makes it the signal that the program knows. */
static int become_shown(int sig, siginfo_t *info, int flags)
{
	int shown = em_signals_shown(sig);

	if (shown == sig || !em_protects(EM_KNOB_SHOWN))
		return sig;
	info->si_signo = shown;
	info->si_code = em_signals_true_code(info->si_code);
	if (info->si_code <= 0)
		em_signals_forget(sig);
	if (flags & (int)SA_RESETHAND)
		set_default(sig);
	return shown;
}

/* What the kernel calls for each signal that the program handles. */
static void relay(int sig, siginfo_t *info, void *context)
{
	void (*handler)(int, siginfo_t *, void *) = atomic_load(&program_handler[sig].handler);
	int flags = atomic_load(&program_handler[sig].flags);
	ucontext_t *uc = context;
	uintptr_t sp = em_arch_stack_pointer(uc);
	stack_t own = em_thread_own_stack();
	struct em_relay_stack other = { 0, 0 };

	if (!handler) { /* it was taken away just now */
		on_default(sig, info, context);
		return;
	}
	seen.handled++;
	sig = become_shown(sig, info, flags);
	em_signals_show((uint64_t *)&uc->uc_sigmask);
	/* A thread without an alternate stack, or one of our handlers was
	 * interrupted, which runs there: this is the place. */
	if (own.ss_flags & SS_DISABLE || lies_on(sp, &own) || !em_protects(EM_KNOB_STACKS)) {
		handler(sig, info, context);
		em_signals_hide((uint64_t *)&uc->uc_sigmask);
		return;
	}
	if (flags & SA_ONSTACK && !(shown_stack.ss_flags & SS_DISABLE) &&
	    !lies_on(sp, &shown_stack))
		other = (struct em_relay_stack){ (uintptr_t)shown_stack.ss_sp,
						 shown_stack.ss_size };
	em_relay(sig, info, uc, handler, other, &shown_stack);
}

/*
 * Not on stacks that may be small: one of the program's for handlers, or a managed
 * one, which is a coroutine's as a rule.
 */
void em_signals_go_on(int sig, siginfo_t *info, ucontext_t *uc,
		      void (*handler)(int, siginfo_t *, void *))
{
	uintptr_t sp = em_arch_stack_pointer(uc);
	stack_t own = em_thread_own_stack();

	if (own.ss_flags & SS_DISABLE || lies_on(sp, &own) || lies_on(sp, &shown_stack) ||
	    em_in_window(sp) || !em_protects(EM_KNOB_STACKS))
		return;
	em_signals_show((uint64_t *)&uc->uc_sigmask);
	em_relay(sig, info, uc, handler, (struct em_relay_stack){ 0, 0 }, &shown_stack);
}

/* After vfork the memory is the parent's, the kernel's table of actions is not. */
static bool is_vforked(void)
{
	return (uint32_t)em_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0) != em_segment->pid;
}

static void remember(int sig, const struct sigaction *act)
{
	atomic_store(&program_handler[sig].handler, act->sa_sigaction);
	atomic_store(&program_handler[sig].flags, act->sa_flags);
}

/* Remembers the program's handler and puts relay() in its place. */
static void relay_action(int sig, struct sigaction *act)
{
	if (act->sa_handler == SIG_DFL || act->sa_handler == SIG_IGN ||
	    act->sa_sigaction == relay || is_vforked() || !em_protects(EM_KNOB_STACKS))
		return;
	remember(sig, act);
	act->sa_sigaction = relay;
	act->sa_flags |= SA_SIGINFO | SA_ONSTACK;
}

/* ---- actions --------------------------------------------------------- */

static void (*our_handler[EM_ARRAY_LEN(ours)])(int, siginfo_t *, void *);

/*
 * Our own handler. A call that was interrupted by a signal which is passed on is
 * made again if the program's action says so.
 */
static void install_ours(size_t i, int restart)
{
	struct sigaction sa = { .sa_sigaction = our_handler[i] };

	sa.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | restart;
	/* A fault handler must not be interrupted by a handler that faults; a
	 * call that was caught may last: signals interrupt it. */
	if (ours[i].sig == SIGBUS) {
		sigfillset(&sa.sa_mask);
		sigdelset(&sa.sa_mask, SIGBUS);
		sigdelset(&sa.sa_mask, SIGSYS);
		sigdelset(&sa.sa_mask, SIGSEGV);
	}
	EM_REAL(sigaction)(ours[i].sig, &sa, NULL);
}

/* The program's action for one of ours becomes that of its stand-in. */
static void stand_in_action(int sig, struct sigaction *act)
{
	bool handled = act->sa_handler != SIG_DFL && act->sa_handler != SIG_IGN;

	for (size_t i = 0; i < EM_ARRAY_LEN(ours); i++)
		if (ours[i].stand_in == sig)
			install_ours(i, handled && em_protects(EM_KNOB_RESTART) ?
					act->sa_flags & SA_RESTART : SA_RESTART);
	remember(sig, act);
	if (act->sa_handler == SIG_IGN)
		return;
	act->sa_sigaction = handled ? relay : on_default;
	act->sa_flags |= SA_SIGINFO | SA_ONSTACK;
	act->sa_flags &= ~(int)SA_RESETHAND; /* relay() sees to it */
}

/* What the kernel says of an action, as the program set it. */
static void show_action(struct sigaction *act, void (*handler)(int, siginfo_t *, void *),
			int flags)
{
	if (act->sa_sigaction == relay || act->sa_sigaction == on_default) {
		act->sa_sigaction = act->sa_sigaction == relay ? handler : NULL;
		act->sa_flags = flags;
	}
	em_signals_show((uint64_t *)&act->sa_mask);
}

static int change_action(int sig, const struct sigaction *act, struct sigaction *old)
{
	void (*old_handler)(int, siginfo_t *, void *) = atomic_load(&program_handler[sig].handler);
	int old_flags = atomic_load(&program_handler[sig].flags);
	struct sigaction mine, previous;
	int ret;

	if (act) {
		mine = *act;
		em_signals_hide((uint64_t *)&mine.sa_mask);
		if (!em_signals_stands_in(sig))
			relay_action(sig, &mine);
		else if (!em_core_active() || !is_vforked())
			stand_in_action(sig, &mine);
		else if (mine.sa_handler != SIG_IGN)
			mine.sa_handler = SIG_DFL; /* until it calls exec */
	}
	ret = EM_REAL(sigaction)(sig, act ? &mine : NULL, old ? &previous : NULL);
	if (ret == 0 && old) {
		show_action(&previous, old_handler, old_flags);
		*old = previous;
	}
	return ret;
}

EM_EXPORT int sigaction(int sig, const struct sigaction *restrict act,
			struct sigaction *restrict old)
{
	struct sigaction mine;

	if (!em_core_active() || sig <= 0 || sig >= _NSIG)
		return EM_REAL(sigaction)(sig, act, old);
	if (em_signals_stands_in(sig)) { /* as libc says of those that it uses itself */
		errno = EINVAL;
		return -1;
	}
	if (act) {
		mine = *act;
		mine.sa_flags |= EM_SA_RESTORER;
		act = &mine;
	}
	return change_action(em_signals_hidden(sig), act, old);
}

bool em_signals_raw_action(const long args[6], long *ret)
{
	int sig = (int)args[0];
	const struct kernel_action *act = (const void *)args[1];
	struct kernel_action *old = (void *)args[2];
	struct sigaction mine = { .sa_flags = 0 }, before;

	if (args[3] != sizeof(act->mask) || sig <= 0 || sig >= _NSIG ||
	    (sig >= __SIGRTMIN && sig < SIGRTMIN)) /* libc uses it, and refuses */
		return false;
	if (em_signals_stands_in(sig)) {
		if (old)
			*old = (struct kernel_action){ 0 };
		*ret = 0;
		return true;
	}
	if (act) {
		mine.sa_handler = (sighandler_t)act->handler;
		mine.sa_flags = (int)act->flags;
		mine.sa_mask.__val[0] = act->mask;
	}
	*ret = change_action(em_signals_hidden(sig), act ? &mine : NULL, old ? &before : NULL);
	if (*ret < 0)
		*ret = -errno;
	else if (old)
		*old = (struct kernel_action){ (uintptr_t)before.sa_handler,
					       (unsigned int)before.sa_flags,
					       (void *)before.sa_restorer,
					       before.sa_mask.__val[0] };
	return true;
}

static void take(size_t i, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction before, inherited;
	sigset_t set, mask;

	if (!ours[i].stand_in)
		ours[i].stand_in = __libc_allocate_rtsig(0);
	em_assert(ours[i].stand_in > 0);
	EM_REAL(sigaction)(ours[i].sig, NULL, &before);
	/* A program that was started by a managed one: ignored stays ignored. */
	EM_REAL(sigaction)(ours[i].stand_in, NULL, &inherited);
	if (inherited.sa_handler == SIG_IGN)
		before = inherited;
	our_handler[i] = handler;
	ours[i].taken = true;
	change_action(ours[i].stand_in, &before, NULL); /* installs ours as well */
	EM_REAL(pthread_sigmask)(SIG_SETMASK, NULL, &mask);
	if (sigismember(&mask, ours[i].sig) == 1) {
		sigemptyset(&set);
		sigaddset(&set, ours[i].stand_in);
		EM_REAL(pthread_sigmask)(SIG_BLOCK, &set, NULL);
	}
	sigemptyset(&set);
	sigaddset(&set, ours[i].sig);
	EM_REAL(pthread_sigmask)(SIG_UNBLOCK, &set, NULL);
}

void em_signals_start(void)
{
	take(0, on_sigbus);
}

void em_signals_take_sigsys(void (*handler)(int, siginfo_t *, void *))
{
	take(1, handler);
}

/* What the program may have blocked before they were ours. */
void em_signals_take_over(sigset_t *mask)
{
	struct sigaction sa;

	em_signals_hide((uint64_t *)mask);
	for (int sig = 1; sig < _NSIG; sig++) {
		if (bit_of(sig) & em_signals_ours() || em_signals_stands_in(sig) ||
		    EM_REAL(sigaction)(sig, NULL, &sa))
			continue;
		em_signals_hide((uint64_t *)&sa.sa_mask);
		EM_REAL(sigaction)(sig, &sa, NULL);
	}
}

/* Those whose calls are not to be made again: siginterrupt(3). */
static _Atomic uint64_t interrupting;

static sighandler_t set_handler(int sig, sighandler_t handler, int flags)
{
	struct sigaction act = { .sa_handler = handler, .sa_flags = flags }, old;

	return sigaction(sig, &act, &old) == 0 ? old.sa_handler : SIG_ERR;
}

EM_EXPORT sighandler_t signal(int sig, sighandler_t handler)
{
	struct sigaction act = { .sa_handler = handler }, old;

	if (!em_core_active())
		return EM_REAL(signal)(sig, handler);
	if (sig <= 0 || sig >= _NSIG || handler == SIG_ERR) {
		errno = EINVAL;
		return SIG_ERR;
	}
	act.sa_flags = atomic_load(&interrupting) & bit_of(sig) ? 0 : SA_RESTART;
	sigaddset(&act.sa_mask, sig);
	return sigaction(sig, &act, &old) == 0 ? old.sa_handler : SIG_ERR;
}

sighandler_t bsd_signal(int sig, sighandler_t handler);
EM_EXPORT sighandler_t bsd_signal(int sig, sighandler_t handler)
{
	return signal(sig, handler);
}

EM_EXPORT sighandler_t ssignal(int sig, sighandler_t handler)
{
	return signal(sig, handler);
}

/* What signal() is to programs that ask for System V. */
EM_EXPORT sighandler_t __sysv_signal(int sig, sighandler_t handler)
{
	if (!em_core_active())
		return EM_REAL(__sysv_signal)(sig, handler);
	return set_handler(sig, handler, (int)SA_RESETHAND | SA_NODEFER);
}

EM_EXPORT int siginterrupt(int sig, int interrupt)
{
	struct sigaction act;

	if (sigaction(sig, NULL, &act) < 0)
		return -1;
	if (interrupt) {
		atomic_fetch_or(&interrupting, bit_of(sig));
		act.sa_flags &= ~SA_RESTART;
	} else {
		atomic_fetch_and(&interrupting, ~bit_of(sig));
		act.sa_flags |= SA_RESTART;
	}
	return sigaction(sig, &act, NULL);
}

/* System V's, with the mask: SIG_HOLD blocks, all else unblocks. */
EM_EXPORT sighandler_t sigset(int sig, sighandler_t handler)
{
	sigset_t set, before;
	sighandler_t old;

	sigemptyset(&set);
	if (sigaddset(&set, sig) < 0)
		return SIG_ERR;
	if (handler == SIG_HOLD) {
		struct sigaction act;
		if (sigprocmask(SIG_BLOCK, &set, &before) < 0 || sigaction(sig, NULL, &act) < 0)
			return SIG_ERR;
		return sigismember(&before, sig) == 1 ? SIG_HOLD : act.sa_handler;
	}
	old = set_handler(sig, handler, 0);
	if (old == SIG_ERR || sigprocmask(SIG_UNBLOCK, &set, &before) < 0)
		return SIG_ERR;
	return sigismember(&before, sig) == 1 ? SIG_HOLD : old;
}

EM_EXPORT int sigignore(int sig)
{
	return set_handler(sig, SIG_IGN, 0) == SIG_ERR ? -1 : 0;
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
	if (option == PR_SET_TSC && a[0] == PR_TSC_SIGSEGV && em_protects(EM_KNOB_TSC))
		em_sys_forbid_tsc();
	if (!em_core_active())
		return EM_REAL(prctl)(option, a[0], a[1], a[2], a[3]);
	return (int)em_errno_return(em_guard_call(SYS_prctl, (const long[6]){ option,
		(long)a[0], (long)a[1], (long)a[2], (long)a[3], 0 }));
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
