/* SPDX-License-Identifier: MIT
 *
 * rows-stacks: what runs on stacks that are managed memory.
 */
#include "row.h"
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <ucontext.h>

#define STACK_BYTES (256ul << 10)

static ucontext_t caller, callee;
static volatile unsigned int handled;
static volatile uintptr_t handler_frame;

static void on_signal(int sig)
{
	(void)sig;
	handler_frame = (uintptr_t)__builtin_frame_address(0);
	handled++;
}

static bool handler_ran_on(const void *stack)
{
	return handler_frame - (uintptr_t)stack < STACK_BYTES;
}

/* At eight depths of a page of which the next one was never touched. */
static __attribute__((noinline)) void raise_deeper(unsigned int depth)
{
	volatile char frame[512];

	frame[0] = (char)depth;
	ROW_CHECK(raise(SIGUSR1) == 0);
	if (depth < 8)
		raise_deeper(depth + 1);
	ROW_CHECK(frame[0] == (char)depth);
}

static void coroutine(void)
{
	raise_deeper(1);
}

static void run_coroutine(void *stack)
{
	ROW_CHECK(getcontext(&callee) == 0);
	callee.uc_stack = (stack_t){ .ss_sp = stack, .ss_size = STACK_BYTES };
	callee.uc_link = &caller;
	makecontext(&callee, coroutine, 0);
	ROW_CHECK(swapcontext(&caller, &callee) == 0);
}

/* The kernel writes the frame of a signal to the stack that runs. */
static void signal_frame(void)
{
	struct sigaction sa = { .sa_handler = on_signal }, old;
	void *stack = row_map(STACK_BYTES);

	ROW_CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
	ROW_CHECK(sigaction(SIGUSR1, NULL, &old) == 0);
	ROW_CHECK(old.sa_handler == on_signal && !(old.sa_flags & (SA_ONSTACK | SA_SIGINFO)));
	run_coroutine(stack);
	ROW_CHECK(handled == 8 && handler_ran_on(stack));
}

/* And, when it is told so, to a stack that the program set aside. */
static void alternate_stack(void)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };
	void *stack = row_map(STACK_BYTES);
	stack_t ss = { .ss_sp = stack, .ss_size = STACK_BYTES }, shown;

	ROW_CHECK(sigaltstack(&ss, NULL) == 0);
	ROW_CHECK(sigaltstack(NULL, &shown) == 0 && shown.ss_sp == stack);
	ROW_CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
	row_push_out(stack, STACK_BYTES);
	ROW_CHECK(raise(SIGUSR1) == 0);
	ROW_CHECK(handled == 1 && handler_ran_on(stack));
}

static sem_t go_on, waiting;

static void *thread_body(void *arg)
{
	volatile char on_stack = 1;
	pthread_attr_t attr;
	void *low;
	size_t bytes;

	ROW_CHECK(pthread_getattr_np(pthread_self(), &attr) == 0);
	ROW_CHECK(pthread_attr_getstack(&attr, &low, &bytes) == 0);
	ROW_CHECK((uintptr_t)&on_stack - (uintptr_t)low < bytes && bytes == STACK_BYTES);
	sem_post(&waiting);
	while (sem_wait(&go_on) != 0)
		;
	return arg;
}

/* The kernel writes to the descriptor of a thread until it is gone. */
static void thread_stack(void)
{
	void *stack = row_map(STACK_BYTES), *result;
	pthread_attr_t attr;
	pthread_t thread;

	sem_init(&go_on, 0, 0);
	sem_init(&waiting, 0, 0);
	ROW_CHECK(pthread_attr_init(&attr) == 0);
	ROW_CHECK(pthread_attr_setstack(&attr, stack, STACK_BYTES) == 0);
	ROW_CHECK(pthread_create(&thread, &attr, thread_body, stack) == 0);
	while (sem_wait(&waiting) != 0)
		;
	row_push_out(stack, STACK_BYTES);
	sem_post(&go_on);
	ROW_CHECK(pthread_join(thread, &result) == 0 && result == stack);
}

/*
 * setcontext sets the mask from where the context lies, by a call of its own,
 * and one that blocks everything must not be the end at the next fault.
 */
static void mask_of_context(void)
{
	ucontext_t *away = row_map(STACK_BYTES);
	unsigned char *other = row_map(STACK_BYTES);
	volatile bool been = false;
	sigset_t shown;

	row_fill(other, STACK_BYTES, 1);
	ROW_CHECK(getcontext(away) == 0);
	if (!been) {
		been = true;
		sigfillset(&away->uc_sigmask);
		row_push_out(other, STACK_BYTES);
		row_push_out(away, ROW_PAGE);
		setcontext(away);
	}
	row_verify(other, STACK_BYTES, 1);
	ROW_CHECK(sigprocmask(SIG_SETMASK, NULL, &shown) == 0);
	ROW_CHECK(sigismember(&shown, SIGUSR2) == 1 && sigismember(&shown, SIGBUS) == 1);
}

static const struct row rows[] = {
	{ "signal-frame", "stacks", signal_frame },
	{ "alternate-stack", "stacks", alternate_stack },
	{ "thread-stack", "stacks", thread_stack },
	{ "mask-of-context", "masks", mask_of_context },
};

int main(int argc, char **argv)
{
	return row_main(argc, argv, rows, sizeof(rows) / sizeof(rows[0]));
}
