/* SPDX-License-Identifier: MIT
 *
 * rows-signals: what programs do with signals while their pages leave.
 */
#include "row.h"
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <ucontext.h>

#define BYTES (64 * ROW_PAGE)

static void mask_all(void)
{
	unsigned char *p = row_map(BYTES);
	sigset_t all, shown;

	row_fill(p, BYTES, 1);
	row_push_out(p, BYTES);
	sigfillset(&all);
	ROW_CHECK(sigprocmask(SIG_SETMASK, &all, NULL) == 0);
	row_verify(p, BYTES, 1);
	ROW_CHECK(sigprocmask(SIG_SETMASK, NULL, &shown) == 0);
	ROW_CHECK(sigismember(&shown, SIGBUS) == 1);
	ROW_CHECK(sigismember(&shown, SIGSYS) == 1);
}

static sigjmp_buf out;
static volatile int segv_count;

static void on_segv(int sig)
{
	segv_count++;
	siglongjmp(out, sig);
}

/* The instruction that reads the time is forbidden, and pages are away. */
static void no_tsc(void)
{
	struct sigaction sa = { .sa_handler = on_segv };
	unsigned char *p = row_map(BYTES);

	row_fill(p, BYTES, 1);
	ROW_CHECK(sigaction(SIGSEGV, &sa, NULL) == 0);
	if (prctl(PR_SET_TSC, PR_TSC_SIGSEGV) < 0)
		row_skip("the time can always be read here");
	row_push_out(p, BYTES);
	if (sigsetjmp(out, 1) == 0)
		row_verify(p, BYTES, 1);
	ROW_CHECK(segv_count == 0);
	if (sigsetjmp(out, 1) == 0)
		__builtin_ia32_rdtsc();
	ROW_CHECK(segv_count == 1);
	prctl(PR_SET_TSC, PR_TSC_ENABLE);
}

static uintptr_t stack_start, stack_end;
static _Atomic int suspended;

static bool lies_on_stack(uintptr_t at)
{
	return at >= stack_start && at < stack_end;
}

/* As the collectors of libgc and mono stop a thread and look for its stack. */
static void on_suspend(int sig, siginfo_t *info, void *context)
{
	const ucontext_t *uc = context;

	(void)sig;
	(void)info;
	if (!lies_on_stack((uintptr_t)&uc))
		suspended = -1;
	else if (!lies_on_stack((uintptr_t)uc->uc_mcontext.gregs[REG_RSP]))
		suspended = -2;
	else
		suspended++;
}

/* libc waits inside itself, for what is in managed memory. */
static void *wait_in_libc(void *arg)
{
	pthread_attr_t attr;
	size_t bytes;
	void *start;

	ROW_CHECK(pthread_getattr_np(pthread_self(), &attr) == 0);
	ROW_CHECK(pthread_attr_getstack(&attr, &start, &bytes) == 0);
	stack_start = (uintptr_t)start;
	stack_end = stack_start + bytes;
	sem_t *sem = arg;
	sem_post(&sem[0]);
	while (sem_wait(&sem[1]) < 0)
		ROW_CHECK(errno == EINTR);
	return NULL;
}

static void stop_the_world(void)
{
	struct sigaction sa = { .sa_sigaction = on_suspend, .sa_flags = SA_SIGINFO | SA_RESTART };
	sem_t *sem = row_map(16 * ROW_PAGE);
	pthread_t thread;

	ROW_CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
	ROW_CHECK(sem_init(&sem[0], 0, 0) == 0 && sem_init(&sem[1], 0, 0) == 0);
	ROW_CHECK(pthread_create(&thread, NULL, wait_in_libc, sem) == 0);
	ROW_CHECK(sem_wait(&sem[0]) == 0);
	for (int i = 1; i <= 10; i++) {
		usleep(50000); /* so that it waits */
		ROW_CHECK(pthread_kill(thread, SIGUSR1) == 0);
		while (suspended >= 0 && suspended < i)
			usleep(1000);
		if (suspended < 0)
			ROW_FAIL("%s is not on the thread's stack",
				 suspended == -1 ? "the handler" : "what it interrupted");
	}
	ROW_CHECK(sem_post(&sem[1]) == 0);
	ROW_CHECK(pthread_join(thread, NULL) == 0);
}

static const struct row rows[] = {
	{ "mask-all", "masks", mask_all },
	{ "no-tsc", "tsc", no_tsc },
	{ "stop-the-world", "stacks", stop_the_world },
};

int main(int argc, char **argv)
{
	return row_main(argc, argv, rows, sizeof(rows) / sizeof(rows[0]));
}
