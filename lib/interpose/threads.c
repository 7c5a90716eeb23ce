/* SPDX-License-Identifier: MIT
 *
 * Every thread gets an alternate stack for our handlers: a fault may come on
 * a stack that lies in managed memory or has no room for a signal frame.
 */
#include "arch.h"
#include "interpose.h"
#include "knobs.h"
#include "reclaim.h"
#include "sys.h"
#include "thread.h"
#include "window.h"
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>

#define EM_STACK_BYTES (256ul << 10) /* touched only as far as used */
/* For what libc does before and after a thread's body. */
#define EM_HELPER_STACK_BYTES (128ul << 10)
#define EM_LARGE_STACK_BYTES (8ul << 20)

static pthread_key_t leaving;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

EM_TLS void *own_stack;
EM_TLS struct em_range managed_stack; /* that the program gave to this thread */
static _Atomic bool made;

bool em_threads_made(void)
{
	return atomic_load_explicit(&made, memory_order_relaxed);
}

/* ---- robust mutexes ------------------------------------------------------ */

/* What the kernel does to the word of a mutex whose owner has ended. */
static void owner_died(_Atomic uint32_t *word, bool inherits)
{
	uint32_t was = atomic_load(word);

	do {
		if ((was & FUTEX_TID_MASK) != (uint32_t)em_sys_tid())
			return;
	} while (!atomic_compare_exchange_weak(word, &was,
					       (was & FUTEX_WAITERS) | FUTEX_OWNER_DIED));
	if (was & FUTEX_WAITERS && !inherits)
		em_guard_call(SYS_futex, (const long[6]){ (long)word, FUTEX_WAKE, 1, 0, 0, 0 });
}

static struct robust_list_head *held_mutexes(void)
{
	struct robust_list_head *head = NULL;
	size_t bytes;

	if (!em_protects(EM_KNOB_ROBUST) ||
	    em_syscall(SYS_get_robust_list, 0, (long)&head, (long)&bytes, 0, 0, 0) < 0 ||
	    !head || head->list.next == &head->list)
		return NULL;
	return head;
}

/*
 * The kernel looks at the robust mutexes that an ended thread still holds, and
 * gives up at the first that is away: so they are seen to before. The lowest bit
 * of a link says that the mutex inherits priority.
 */
static void let_go_of_mutexes(struct robust_list_head *head)
{
	uintptr_t at = (uintptr_t)head->list.next;

	for (int n = 0; n < ROBUST_LIST_LIMIT && at != (uintptr_t)&head->list; n++) {
		uintptr_t entry = at & ~1ul;
		bool inherits = at & 1;
		at = (uintptr_t)((struct robust_list *)entry)->next;
		owner_died((_Atomic uint32_t *)(entry + (uintptr_t)head->futex_offset),
			   inherits);
	}
	head->list.next = &head->list;
}

/* Of libc's rounds of destructors; other ones may unlock what is held. */
EM_TLS int rounds;

static bool waits_for_others(void *stack, struct robust_list_head *head)
{
	return head && ++rounds < PTHREAD_DESTRUCTOR_ITERATIONS &&
	       pthread_setspecific(leaving, stack) == 0;
}

/* The stack goes when the thread is gone: nothing of ours may fault after it. */
static void thread_ends(void *stack)
{
	stack_t off = { .ss_flags = SS_DISABLE };
	struct robust_list_head *head = held_mutexes();

	if (waits_for_others(stack, head))
		return;
	if (head)
		let_go_of_mutexes(head);
	own_stack = NULL; /* first: no signal is taken away from there any more */
	atomic_signal_fence(memory_order_seq_cst);
	EM_REAL(sigaltstack)(&off, NULL);
	em_sys_dealloc(stack, EM_STACK_BYTES);
	em_thread_leave();
}

static void make_key(void)
{
	pthread_key_create(&leaving, thread_ends);
}

void em_thread_prepare_stack(void)
{
	stack_t ss = { .ss_size = EM_STACK_BYTES };

	if (own_stack)
		return;
	pthread_once(&key_once, make_key);
	ss.ss_sp = own_stack = em_sys_alloc(EM_STACK_BYTES);
	if (own_stack && EM_REAL(sigaltstack)(&ss, NULL) == 0)
		pthread_setspecific(leaving, own_stack);
	em_thread_self()->own_stack = (struct em_range){
		(uintptr_t)own_stack, (uintptr_t)own_stack + EM_STACK_BYTES
	};
}

static int create_with_stack(pthread_t *thread, pthread_attr_t *attr,
			     void *(*body)(void *), void *arg, size_t bytes)
{
	int ret;

	pthread_attr_setstacksize(attr, bytes);
	ret = EM_REAL(pthread_create)(thread, attr, body, arg);
	if (ret == EINVAL) { /* the program's thread-local data do not fit */
		pthread_attr_setstacksize(attr, EM_LARGE_STACK_BYTES);
		ret = EM_REAL(pthread_create)(thread, attr, body, arg);
	}
	return ret;
}

stack_t em_thread_own_stack(void)
{
	return own_stack ? (stack_t){ .ss_sp = own_stack, .ss_size = EM_STACK_BYTES }
			 : (stack_t){ .ss_flags = SS_DISABLE };
}

struct start {
	void *(*body)(void *);
	void *arg;
	uintptr_t top; /* of the managed stack that the program gave; else 0 */
	size_t stack_bytes;
};

static void *trampoline(void *arg)
{
	struct start s = *(struct start *)arg;

	em_thread_prepare_stack();
	free(arg);
	if (!s.top)
		return s.body(s.arg);
	managed_stack = (struct em_range){ s.top - s.stack_bytes, s.top };
	return em_arch_run_on_stack(s.body, s.arg, s.top);
}

static struct start *make_start(void *(*body)(void *), void *arg)
{
	struct start *s;

	em_heap_unmanaged_begin(); /* the new thread reads it before it has a stack */
	s = malloc(sizeof(*s));
	em_heap_unmanaged_end();
	if (s)
		*s = (struct start){ .body = body, .arg = arg };
	return s;
}

/* ---- threads on managed stacks ----------------------------------------- */

/*
 * Where a thread begins and ends, libc runs with all signals blocked, and the
 * upper end of a stack holds the thread's descriptor, to which the kernel
 * writes. So a thread for which the program gave a managed stack gets another
 * one for that, and only the program's own code runs on the program's stack.
 */
static bool has_managed_stack(const pthread_attr_t *attr, struct start *s)
{
	void *low;

	if (!attr || !em_protects(EM_KNOB_STACKS) || pthread_attr_getstack(attr, &low, &s->stack_bytes) != 0 ||
	    !em_in_window((uintptr_t)low))
		return false;
	s->top = (uintptr_t)low + s->stack_bytes;
	return true;
}

/* All of an attribute but its stack; there is no call to take that away. */
static int copy_attr(pthread_attr_t *to, const pthread_attr_t *from)
{
	struct sched_param param;
	cpu_set_t cpus;
	sigset_t mask;
	int value, ret = pthread_attr_init(to);

	if (ret)
		return ret;
	if (pthread_attr_getdetachstate(from, &value) == 0)
		pthread_attr_setdetachstate(to, value);
	if (pthread_attr_getscope(from, &value) == 0)
		pthread_attr_setscope(to, value);
	if (pthread_attr_getinheritsched(from, &value) == 0)
		pthread_attr_setinheritsched(to, value);
	if (pthread_attr_getschedpolicy(from, &value) == 0)
		pthread_attr_setschedpolicy(to, value);
	if (pthread_attr_getschedparam(from, &param) == 0)
		pthread_attr_setschedparam(to, &param);
	/* It says all processors where it was not told: that is no wish. */
	if (pthread_attr_getaffinity_np(from, sizeof(cpus), &cpus) == 0 &&
	    CPU_COUNT(&cpus) < CPU_SETSIZE)
		pthread_attr_setaffinity_np(to, sizeof(cpus), &cpus);
	if (pthread_attr_getsigmask_np(from, &mask) == 0)
		pthread_attr_setsigmask_np(to, &mask);
	return 0;
}

static int create_on_managed(pthread_t *thread, const pthread_attr_t *attr, struct start *s)
{
	pthread_attr_t mine;
	int ret = copy_attr(&mine, attr);

	if (ret)
		return ret;
	ret = create_with_stack(thread, &mine, trampoline, s, EM_HELPER_STACK_BYTES);
	pthread_attr_destroy(&mine);
	return ret;
}

EM_EXPORT int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attr,
			     void *(*body)(void *), void *restrict arg)
{
	struct start *s;
	int ret;

	if (!em_start())
		return EM_REAL(pthread_create)(thread, attr, body, arg);
	em_heap_expect_thread();
	s = make_start(body, arg);
	if (!s)
		return EAGAIN;
	atomic_store_explicit(&made, true, memory_order_relaxed);
	if (em_unlikely(has_managed_stack(attr, s)))
		ret = create_on_managed(thread, attr, s);
	else
		ret = EM_REAL(pthread_create)(thread, attr, trampoline, s);
	if (ret)
		free(s);
	return ret;
}

/* ---- cancellation ------------------------------------------------------ */

/*
 * A thread that is cancelled in a call is unwound from the stub on its page,
 * which belongs to no object that unwinders know. libc loads libgcc_s to cancel
 * a thread, and no earlier: so do we.
 */
static void describe_stub(void)
{
	void (*add)(void *) = (void (*)(void *))dlsym(RTLD_DEFAULT, "__register_frame");
	void *library;

	if (!add) {
		library = dlopen("libgcc_s.so.1", RTLD_NOW);
		add = library ? (void (*)(void *))dlsym(library, "__register_frame") : NULL;
	}
	if (!add)
		return;
	em_arch_stub_frames_at[0] = (uintptr_t)em_arch_stub;
	em_arch_stub_frames_at[1] = EM_ARCH_STUB_BYTES;
	add(em_arch_stub_frames);
}

EM_EXPORT int pthread_cancel(pthread_t thread)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (em_core_active() && em_protects(EM_KNOB_CANCEL))
		pthread_once(&once, describe_stub);
	return EM_REAL(pthread_cancel)(thread);
}

/* Who looks for their own stack finds the one that they gave. */
EM_EXPORT int pthread_getattr_np(pthread_t thread, pthread_attr_t *attr)
{
	int ret = EM_REAL(pthread_getattr_np)(thread, attr);

	if (ret == 0 && managed_stack.end && pthread_equal(thread, pthread_self()))
		ret = pthread_attr_setstack(attr, (void *)managed_stack.start,
					    managed_stack.end - managed_stack.start);
	return ret;
}
