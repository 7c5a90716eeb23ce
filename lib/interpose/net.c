/* SPDX-License-Identifier: MIT
 *
 * The net under the wrappers. libc makes system calls inside itself that no
 * wrapper sees (fread into a large array, getline, mutexes and conditions,
 * getdents). A seccomp filter traps those calls of guard.c's table of which an
 * argument lies in the window; the SIGSYS handler does what a wrapper does.
 *
 *   filter, for every call of the process:
 *     instruction pointer is one of the stub's    -> allow
 *     what works on memory behind our back        -> an error, see `refused`
 *     no argument in [window, window + 4 TiB)     -> allow
 *     number not in the table                     -> allow
 *     a pointer argument of this call in it       -> trap
 *     otherwise                                   -> allow
 *
 * The second test is for speed, the last one because registers that a call
 * does not use hold whatever was in them: often a managed pointer.
 *
 * The library makes its calls from the stub, two `syscall` instructions on a
 * page at a fixed address (em_sys_place_stub): its own, and the program's. Fixed, because a filter
 * survives exec and cannot be taken back: the library in the next program must
 * be let through by the filter of this one, and finds it there, so filters do
 * not pile up. A program without a window has no such pointers and is never
 * trapped.
 */
#include "arch.h"
#include "delivery.h"
#include "calls.h"
#include "interpose.h"
#include "knobs.h"
#include "log.h"
#include "stats.h"
#include "window.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define DATA(field) ((uint32_t)offsetof(struct seccomp_data, field))
#define ARG_HIGH(i) (DATA(args) + (uint32_t)(i) * 8 + 4)
#define WINDOW_HIGH ((uint32_t)(EM_WINDOW_BASE >> 32))
#define WINDOW_MASK (~(uint32_t)((EM_WINDOW_MAX >> 32) - 1))
#define ARGS 6
#ifndef SYS_SECCOMP /* si_code; glibc does not name it */
#define SYS_SECCOMP 1
#endif
#define FILTER_MAX 1024
/* In si_errno: the trap is of our filter, not of one of the program's. */
#define EM_TRAP_MARK 0x656d

/*
 * What the kernel does with memory after the call has returned, or without
 * being told which in an argument. A ring finds evicted pages missing; direct
 * asynchronous I/O holds on to pages that leave by copy. There is neither, and
 * it is said in the words that programs know from machines without: they make
 * system calls instead.
 */
static const struct {
	uint16_t nr;
	int error;
	const char *why;
} refused[] = {
	{ SYS_io_uring_setup, EPERM,
	  "io_uring is answered as not permitted: it could not reach memory that is paged "
	  "out; 'faults.delivery: thread' allows it" },
	{ SYS_io_setup, ENOSYS,
	  "asynchronous I/O is answered as not there: pages could leave under it; "
	  "'eviction.way_out: move' or 'faults.delivery: thread' allows it" },
};

/* Faults of a ring are served by a thread; MOVE does not take what I/O holds. */
static bool is_unsafe(long nr)
{
	bool by_move = !strcmp(em_segment->way_out, "move");

	return !em_delivery_by_thread() && !(nr == SYS_io_setup && by_move);
}

static _Atomic bool trapped; /* set by the probe's trap */

/*
 * The return from the handler sets the mask that was interrupted: the one that
 * the call has made must stand there.
 */
static void keep_mask(ucontext_t *uc)
{
	em_signals_keep_ours_open();
	em_syscall(SYS_rt_sigprocmask, SIG_SETMASK, 0, (long)&uc->uc_sigmask, 8, 0, 0);
}

static void make_call(siginfo_t *info, ucontext_t *uc)
{
	int saved = errno;
	long args[6];

	em_arch_call_args(uc, args);
	em_arch_call_return(uc, em_guard_call(info->si_syscall, args));
	if (info->si_syscall == SYS_rt_sigprocmask)
		keep_mask(uc);
	errno = saved;
}

/* On the program's stack, where masks are as the program knows them. */
static void make_call_there(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)sig;
	make_call(info, uc);
	if (info->si_syscall == SYS_rt_sigprocmask)
		em_signals_show((uint64_t *)&uc->uc_sigmask);
}

/*
 * The call may last. A collector that stops the threads meanwhile, by a signal,
 * looks for the stack of each where its handler runs: so the call is made there.
 */
static void on_sigsys(int sig, siginfo_t *info, void *context)
{
	if (info->si_code != SYS_SECCOMP || !em_core_active() ||
	    (info->si_errno != EM_TRAP_MARK && em_protects(EM_KNOB_MARK))) {
		int saved = errno;
		em_signals_forward(sig, info, context);
		errno = saved;
		return;
	}
	atomic_store_explicit(&trapped, true, memory_order_relaxed);
	em_count(&em_stats()->syscall_traps, 1);
	em_signals_go_on(sig, info, context, make_call_there);
	make_call(info, context);
}

struct program {
	struct sock_filter code[FILTER_MAX];
	unsigned short length;
};

static void emit(struct program *p, struct sock_filter instruction)
{
	em_assert(p->length < FILTER_MAX);
	p->code[p->length++] = instruction;
}

#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (offset))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, (action))
#define JUMP_EQUAL(k, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), (yes), (no))
#define PUT(p, ...) emit(p, (struct sock_filter)__VA_ARGS__)

static void emit_allow_stub(struct program *p)
{
	uint64_t ip = EM_ARCH_STUB_IP(EM_STUB_BASE);

	PUT(p, LOAD(DATA(arch)));
	PUT(p, JUMP_EQUAL(AUDIT_ARCH_X86_64, 1, 0));
	PUT(p, RETURN(SECCOMP_RET_ALLOW));
	PUT(p, LOAD(DATA(instruction_pointer) + 4));
	PUT(p, JUMP_EQUAL((uint32_t)(ip >> 32), 0, 4));
	PUT(p, LOAD(DATA(instruction_pointer)));
	PUT(p, JUMP_EQUAL((uint32_t)ip, 1, 0));
	PUT(p, JUMP_EQUAL((uint32_t)ip + EM_ARCH_STUB_CALL, 0, 1));
	PUT(p, RETURN(SECCOMP_RET_ALLOW));
}

static void emit_refuse(struct program *p, uint32_t nr, int error)
{
	PUT(p, LOAD(DATA(nr)));
	PUT(p, JUMP_EQUAL(nr, 0, 1));
	PUT(p, RETURN(SECCOMP_RET_ERRNO | (uint32_t)error));
}

/* Is argument i in the window? Jumps over `yes` or `no` instructions. */
static void emit_test_argument(struct program *p, int i, uint8_t yes, uint8_t no)
{
	PUT(p, LOAD(ARG_HIGH(i)));
	PUT(p, BPF_STMT(BPF_ALU | BPF_AND | BPF_K, WINDOW_MASK));
	PUT(p, JUMP_EQUAL(WINDOW_HIGH, yes, no));
}

/* Falls through to the next part when an argument lies in the window. */
static void emit_test_arguments(struct program *p)
{
	for (int i = 0; i < ARGS; i++)
		emit_test_argument(p, i, (uint8_t)((ARGS - 1 - i) * 3 + 1), 0);
	PUT(p, RETURN(SECCOMP_RET_ALLOW));
}

/* Traps if one of these arguments lies in the window. */
static void emit_test_pointers(struct program *p, uint8_t pointers)
{
	int left = __builtin_popcount(pointers);

	for (int i = 0; i < ARGS; i++)
		if (pointers & 1u << i) {
			left--;
			emit_test_argument(p, i, (uint8_t)(left * 3 + 1), 0);
		}
	PUT(p, RETURN(SECCOMP_RET_ALLOW));
	PUT(p, RETURN(SECCOMP_RET_TRAP | EM_TRAP_MARK));
}

/*
 * Calls with the same pointers share one test: for each such group the numbers,
 * each a jump to the test behind them. A number of another group runs on.
 */
static void emit_group(struct program *p, const uint8_t *pointers_of, uint8_t pointers,
		       unsigned int count)
{
	const struct em_call *call;

	em_assert(count < 256); /* the reach of a jump */
	for (size_t i = 0; (call = em_call_at(i)); i++)
		if (pointers_of[i] == pointers)
			PUT(p, JUMP_EQUAL(call->nr, (uint8_t)count--, 0));
	PUT(p, BPF_STMT(BPF_JMP | BPF_JA,
			(uint32_t)__builtin_popcount(pointers) * 3 + 2));
	emit_test_pointers(p, pointers);
}

static void emit_test_numbers(struct program *p)
{
	unsigned int counts[1u << ARGS] = { 0 };
	uint8_t pointers_of[FILTER_MAX];
	const struct em_call *call;

	for (size_t i = 0; (call = em_call_at(i)); i++) {
		em_assert(i < FILTER_MAX);
		pointers_of[i] = em_call_pointers(call);
		counts[pointers_of[i]]++;
	}
	PUT(p, LOAD(DATA(nr)));
	for (unsigned int pointers = 1; pointers < 1u << ARGS; pointers++)
		if (counts[pointers])
			emit_group(p, pointers_of, (uint8_t)pointers, counts[pointers]);
	PUT(p, RETURN(SECCOMP_RET_ALLOW));
}

static int install_filter(void)
{
	static struct program p; /* too large for a stack */
	struct sock_fprog prog = { .filter = p.code };

	emit_allow_stub(&p);
	for (size_t i = 0; i < EM_ARRAY_LEN(refused); i++)
		if (is_unsafe(refused[i].nr))
			emit_refuse(&p, refused[i].nr, refused[i].error);
	emit_test_arguments(&p);
	emit_test_numbers(&p);
	prog.len = p.length;
	long ret = em_syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0);
	if (ret == 0)
		ret = em_syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
				 SECCOMP_FILTER_FLAG_TSYNC, (long)&prog, 0, 0, 0);
	return ret > 0 ? -ESRCH : (int)ret;
}

/*
 * A call that the filter must catch, from libc's own code. Without a filter
 * the kernel answers EBADF; with one the handler gets the same answer.
 */
static bool net_is_there(void)
{
	atomic_store(&trapped, false);
	EM_REAL(syscall)(SYS_write, -1, EM_WINDOW_BASE, 0); /* not our wrapper of it */
	return atomic_load(&trapped);
}

/* A filter, ours perhaps, may have been inherited from the program before. */
static bool has_filter(void)
{
	return em_syscall(SYS_prctl, PR_GET_SECCOMP, 0, 0, 0, 0, 0) == SECCOMP_MODE_FILTER;
}

void em_net_start(enum em_tristate wanted)
{
	int ret;

	if ((wanted == EM_OFF && !has_filter()) || !em_protects(EM_KNOB_NET))
		return;
	em_signals_take_sigsys(on_sigsys);
	ret = em_arch_stub == (const void *)EM_STUB_BASE ? 0 : -ENOMEM;
	if (ret == 0 && !net_is_there()) {
		if (wanted == EM_OFF)
			return;
		ret = install_filter();
		if (ret == 0 && !net_is_there())
			ret = -EIO;
	}
	if (ret == 0)
		strcpy(em_segment->syscall_net, "on");
	else if (wanted == EM_ON)
		em_log("cannot install the system call net: error %d", -ret);
}

/*
 * Addresses that the kernel keeps, to write there when nobody can bring the page
 * in. libc's own are never managed. A restartable sequence that is away would end
 * the program; of the others it only learns what it relied on.
 */
int em_net_keeps(long nr, uintptr_t addr)
{
	if (em_delivery_by_thread() || !em_in_window(addr))
		return 0;
	switch (nr) {
	case SYS_rseq:
		em_log_once("rseq(2) in managed memory is answered as not there: the kernel "
			    "could not write to it; 'faults.delivery: thread' allows it");
		return ENOSYS;
	case SYS_set_tid_address:
		em_log_once("set_tid_address(2) with managed memory: the kernel does not "
			    "clear it when the thread ends and it is paged out; "
			    "'faults.delivery: thread' does");
		return 0;
	case SYS_set_robust_list:
		em_log_once("set_robust_list(2) with managed memory: the kernel does not "
			    "find it when the thread ends and it is paged out; "
			    "'faults.delivery: thread' does");
	}
	return 0;
}

int em_net_refuses(long nr)
{
	if (strcmp(em_segment->syscall_net, "on") || !is_unsafe(nr))
		return 0;
	for (size_t i = 0; i < EM_ARRAY_LEN(refused); i++)
		if (refused[i].nr == nr) {
			em_log_once("%s", refused[i].why);
			return refused[i].error;
		}
	return 0;
}
