/* SPDX-License-Identifier: MIT
 *
 * Every thread gets an alternate stack for our handlers: a fault may come on
 * a stack that lies in managed memory or has no room for a signal frame.
 */
#include "interpose.h"
#include "reclaim.h"
#include "sys.h"
#include "thread.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#define EM_STACK_BYTES (256ul << 10) /* touched only as far as used */

static pthread_key_t leaving;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

EM_TLS void *own_stack;

/* The stack goes when the thread is gone: nothing of ours may fault after it. */
static void thread_ends(void *stack)
{
	stack_t off = { .ss_flags = SS_DISABLE };

	EM_REAL(sigaltstack)(&off, NULL);
	em_sys_dealloc(stack, EM_STACK_BYTES);
	own_stack = NULL;
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
	em_thread_self();
}

struct start {
	void *(*body)(void *);
	void *arg;
};

static void *trampoline(void *arg)
{
	struct start s = *(struct start *)arg;

	em_thread_prepare_stack();
	free(arg);
	return s.body(s.arg);
}

EM_EXPORT int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attr,
			     void *(*body)(void *), void *restrict arg)
{
	struct start *s;
	int ret;

	if (!em_start())
		return EM_REAL(pthread_create)(thread, attr, body, arg);
	em_heap_unmanaged_begin(); /* the new thread reads it before it has a stack */
	s = malloc(sizeof(*s));
	em_heap_unmanaged_end();
	if (!s)
		return EAGAIN;
	*s = (struct start){ body, arg };
	ret = EM_REAL(pthread_create)(thread, attr, trampoline, s);
	if (ret)
		free(s);
	return ret;
}

/* ---- threads of our own ----------------------------------------------- */

static void *run_body(void *arg)
{
	void (*body)(void) = (void (*)(void))arg;

	prctl(PR_SET_NAME, "extmem-reclaim");
	body();
	return NULL;
}

int em_thread_spawn(void (*body)(void))
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t old;
	int ret;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 128 << 10);
	em_sys_block_signals(&old); /* inherited: program's signals pass it by */
	ret = EM_REAL(pthread_create)(&thread, &attr, run_body, (void *)body);
	if (ret == EINVAL) { /* the program's thread-local data do not fit */
		pthread_attr_setstacksize(&attr, 8 << 20);
		ret = EM_REAL(pthread_create)(&thread, &attr, run_body, (void *)body);
	}
	em_sys_restore_signals(&old);
	pthread_attr_destroy(&attr);
	return -ret;
}
