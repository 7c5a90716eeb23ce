/* SPDX-License-Identifier: MIT
 *
 * Programs that install a seccomp filter of their own, to lock themselves in.
 * It would judge the library's calls as well, and a list of what is allowed
 * knows nothing of them: the next fault would end the program. So in front of
 * each filter go a few instructions that let through what the library needs to
 * page, from its own instruction (the stub) alone, and the return from a signal
 * handler. What the library calls for the program comes from another
 * instruction (arch.h), and is judged by the program's filter as ever.
 *
 * None of these calls opens, names or runs anything, and none makes memory
 * executable. A filter that is installed by a system call instruction of the
 * program's own is not seen here.
 */
#include "ahead.h"
#include "arch.h"
#include "core.h"
#include "delivery.h"
#include "interpose.h"
#include "knobs.h"
#include "log.h"
#include "reclaim.h"
#include "standby.h"
#include "store.h"
#include "sys.h"
#include "trace-load.h"
#include "window.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define DATA(field) ((uint32_t)offsetof(struct seccomp_data, field))
#define ARG(i) (DATA(args) + (uint32_t)(i) * 8)
#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (offset))
/* Jumps out of the preamble; resolved when it is complete. */
#define ALLOW 255
#define JUDGE 254
#define EM_PREAMBLE_MAX 96

static const uint16_t needed[] = {
	SYS_read, SYS_futex, SYS_madvise, SYS_process_madvise, SYS_membarrier, SYS_pread64,
	SYS_pwrite64, SYS_munmap, SYS_rt_sigprocmask, SYS_gettid, SYS_getpid,
	SYS_sched_yield, SYS_ftruncate, SYS_fallocate, SYS_fstat, SYS_getsockopt,
	SYS_clock_gettime, SYS_ppoll, SYS_accept4, SYS_recvfrom, SYS_sendto, SYS_close,
	SYS_geteuid, SYS_rt_sigtimedwait, SYS_get_robust_list,
};

/* The program's own filter follows what is in front of it, however long it is. */
struct preamble {
	unsigned int length;
	struct sock_filter code[];
};

#define PUT(p, ...) ((p)->code[(p)->length++] = (struct sock_filter)__VA_ARGS__)
#define EQUAL(k, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), (yes), (no))

static void resolve(struct preamble *p)
{
	unsigned int allow = p->length;

	PUT(p, BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
	PUT(p, BPF_STMT(BPF_LD | BPF_IMM, 0)); /* as a filter begins */
	for (unsigned int i = 0; i < allow; i++) {
		struct sock_filter *f = &p->code[i];
		if (BPF_CLASS(f->code) != BPF_JMP)
			continue;
		if (f->jt >= JUDGE)
			f->jt = (uint8_t)(allow - i - (f->jt == ALLOW));
		if (f->jf >= JUDGE)
			f->jf = (uint8_t)(allow - i - (f->jf == ALLOW));
	}
}

/*
 * A SIGBUS or SIGSYS that is not ours, the filter's too, goes on to the program
 * as its stand-in, or ends it. arg: where nr has the signal.
 */
static void put_for_ours(struct preamble *p, uint32_t nr, int arg)
{
	PUT(p, EQUAL(nr, 0, 5));
	PUT(p, LOAD(ARG(arg)));
	PUT(p, EQUAL((uint32_t)em_signals_hidden(SIGBUS), ALLOW, 0));
	PUT(p, EQUAL((uint32_t)em_signals_hidden(SIGSYS), ALLOW, 0));
	PUT(p, EQUAL(SIGBUS, ALLOW, 0));
	PUT(p, EQUAL(SIGSYS, ALLOW, JUDGE));
}

static void make_preamble(struct preamble *p)
{
	uint64_t ip = EM_ARCH_STUB_IP(EM_STUB_BASE);

	p->length = 0;
	PUT(p, LOAD(DATA(arch)));
	PUT(p, EQUAL(AUDIT_ARCH_X86_64, 0, JUDGE));
	PUT(p, LOAD(DATA(nr)));
	PUT(p, EQUAL(SYS_rt_sigreturn, ALLOW, 0));
	PUT(p, LOAD(DATA(instruction_pointer) + 4));
	PUT(p, EQUAL((uint32_t)(ip >> 32), 0, JUDGE));
	PUT(p, LOAD(DATA(instruction_pointer)));
	if (em_protects(EM_KNOB_JUDGE))
		PUT(p, EQUAL((uint32_t)ip, 0, JUDGE));
	if (!em_protects(EM_KNOB_JUDGE))
		PUT(p, BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
	PUT(p, LOAD(DATA(nr)));
	for (size_t i = 0; i < EM_ARRAY_LEN(needed); i++)
		PUT(p, EQUAL(needed[i], ALLOW, 0));
	put_for_ours(p, SYS_rt_tgsigqueueinfo, 2);
	put_for_ours(p, SYS_rt_sigqueueinfo, 1);
	put_for_ours(p, SYS_rt_sigaction, 0);
	PUT(p, EQUAL(SYS_prctl, 0, 2)); /* a thread of ours that begins just now */
	PUT(p, LOAD(ARG(0)));
	PUT(p, EQUAL(PR_SET_NAME, ALLOW, JUDGE));
	PUT(p, EQUAL(SYS_ioctl, 0, 3)); /* of userfaultfd */
	PUT(p, LOAD(ARG(1)));
	PUT(p, BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff00));
	PUT(p, EQUAL(0xaa00, ALLOW, JUDGE));
	PUT(p, EQUAL(SYS_mmap, 1, 0)); /* nothing that is executable */
	PUT(p, EQUAL(SYS_mprotect, 0, JUDGE));
	PUT(p, LOAD(ARG(2)));
	PUT(p, BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, JUDGE, ALLOW));
	resolve(p);
	em_assert(p->length <= EM_PREAMBLE_MAX);
}

/* What cannot be begun any more once calls are judged. */
static void prepare(void)
{
	sigset_t old;

	em_reclaim_note_mapped(UINT64_MAX);
	em_reclaim_start_if_due();
	em_ahead_settle();
	em_delivery_settle();
	em_trace_load_settle();
	em_core_settle();
	em_sys_block_signals(&old);
	em_reclaim_lock();
	em_standby_drain();
	em_store_ensure_open();
	em_store_synchronous(); /* liburing's calls are not from the stub */
	em_reclaim_unlock();
	em_sys_restore_signals(&old);
}

static long install(long nr, const long args[6], const struct sock_fprog *theirs)
{
	long a[6] = { args[0], args[1], args[2], args[3], args[4], args[5] };
	size_t bytes = sizeof(struct preamble) +
		       (EM_PREAMBLE_MAX + theirs->len) * sizeof(struct sock_filter);
	struct preamble *p = em_sys_alloc(bytes + sizeof(struct sock_fprog));
	struct sock_fprog *ours;
	long ret;

	if (!p)
		return -ENOMEM;
	make_preamble(p);
	memcpy(p->code + p->length, theirs->filter, theirs->len * sizeof(struct sock_filter));
	ours = (struct sock_fprog *)((char *)p + em_round_up(bytes, 8));
	*ours = (struct sock_fprog){ (unsigned short)(p->length + theirs->len), p->code };
	a[2] = (long)ours;
	prepare();
	ret = em_arch_call(nr, a);
	em_sys_dealloc(p, bytes + sizeof(struct sock_fprog));
	return ret;
}

/* Only read, write, exit and sigreturn: no fault could be served by its thread. */
static long strict(long nr, const long args[6])
{
	if (em_delivery_by_thread())
		return em_arch_call(nr, args);
	em_log_once("the strict mode of seccomp is answered as not there: the program could "
		    "not be paged in it; 'faults.delivery: thread' allows it");
	return -EINVAL;
}

bool em_sandbox_begins(long nr, const long args[6])
{
	if (!em_protects(EM_KNOB_SANDBOX))
		return false;
	return nr == SYS_seccomp ? args[0] == SECCOMP_SET_MODE_FILTER ||
				   args[0] == SECCOMP_SET_MODE_STRICT
				 : nr == SYS_prctl && args[0] == PR_SET_SECCOMP;
}

long em_sandbox_begin(long nr, const long args[6])
{
	bool is_strict = nr == SYS_seccomp ? args[0] == SECCOMP_SET_MODE_STRICT
					   : args[1] == SECCOMP_MODE_STRICT;
	const struct sock_fprog *theirs = (const struct sock_fprog *)args[2];

	if (is_strict)
		return strict(nr, args);
	/* What is wrong with it the kernel says. */
	if (!theirs || !theirs->filter || !theirs->len ||
	    theirs->len > BPF_MAXINSNS - EM_PREAMBLE_MAX)
		return em_arch_call(nr, args);
	return install(nr, args, theirs);
}
