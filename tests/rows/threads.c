/* SPDX-License-Identifier: MIT
 *
 * rows-threads: libc blocks all signals while a thread begins and while it
 * ends, and touches objects of its own meanwhile.
 */
#include "row.h"
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#define BYTES (64 * ROW_PAGE)
#define THREADS 12
#define STACK_BYTES (16ul << 20)

/*
 * The heap has some room from before memory was managed: what libc allocates
 * after this is managed if nothing prevents it.
 */
static void use_heap(void)
{
	for (size_t i = 0; i < 20000; i++)
		ROW_CHECK(malloc(16 + i % 64 * 16) != NULL);
}

static void push_everything_out(void)
{
	unsigned char *p = row_map(BYTES);

	row_fill(p, BYTES, 1);
	row_push_out(p, BYTES);
	row_verify(p, BYTES, 1);
}

static void *nothing(void *arg)
{
	return arg;
}

/* A thread reads the locale before its own first instruction. */
static void begin_with_locale(void)
{
	pthread_t thread;
	int arg = 0;
	void *result;

	use_heap();
	if (!setlocale(LC_ALL, "C.UTF-8"))
		row_skip("there is no locale C.UTF-8");
	push_everything_out();
	ROW_CHECK(pthread_create(&thread, NULL, nothing, &arg) == 0);
	ROW_CHECK(pthread_join(thread, &result) == 0 && result == &arg);
}

static pthread_barrier_t barrier;

static void *wait_to_end(void *arg)
{
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return arg;
}

/*
 * Threads whose stacks are more than libc keeps in store: one that ends frees
 * what another one had, its table of thread-local storage among it.
 */
static void end_detached(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	use_heap();
	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	for (int i = 0; i < THREADS; i++)
		ROW_CHECK(pthread_create(&thread, &attr, wait_to_end, NULL) == 0);
	pthread_barrier_wait(&barrier);
	push_everything_out();
	pthread_barrier_wait(&barrier);
	usleep(300000);
}

/* ---- mutexes whose owner dies ---------------------------------------------- */

static void make_mutex(pthread_mutex_t *m, int protocol)
{
	pthread_mutexattr_t attr;

	ROW_CHECK(pthread_mutexattr_init(&attr) == 0);
	ROW_CHECK(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST) == 0);
	ROW_CHECK(pthread_mutexattr_setprotocol(&attr, protocol) == 0);
	ROW_CHECK(pthread_mutex_init(m, &attr) == 0);
}

static void *lock_and_end(void *arg)
{
	ROW_CHECK(pthread_mutex_lock(arg) == 0);
	push_everything_out(); /* the kernel walks the list of an ended thread */
	return NULL;
}

static void robust(int protocol)
{
	for (int i = 0; i < 3; i++) {
		pthread_mutex_t *m = row_map(BYTES);
		pthread_t thread;
		make_mutex(m, protocol);
		ROW_CHECK(pthread_create(&thread, NULL, lock_and_end, m) == 0);
		ROW_CHECK(pthread_join(thread, NULL) == 0);
		ROW_CHECK(pthread_mutex_lock(m) == EOWNERDEAD);
		ROW_CHECK(pthread_mutex_consistent(m) == 0);
		ROW_CHECK(pthread_mutex_unlock(m) == 0);
		ROW_CHECK(pthread_mutex_lock(m) == 0 && pthread_mutex_unlock(m) == 0);
	}
}

static void robust_mutex(void) { robust(PTHREAD_PRIO_NONE); }
static void robust_pi_mutex(void) { robust(PTHREAD_PRIO_INHERIT); }

/* Shared with a process that is killed while it holds it, and pages are away. */
static void robust_shared(void)
{
	pthread_mutex_t *m = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t attr;
	int status;
	pid_t pid;

	ROW_CHECK(m != MAP_FAILED && pthread_mutexattr_init(&attr) == 0);
	ROW_CHECK(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST) == 0);
	ROW_CHECK(pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED) == 0);
	ROW_CHECK(pthread_mutex_init(m, &attr) == 0);
	pid = fork();
	ROW_CHECK(pid >= 0);
	if (pid == 0) {
		ROW_CHECK(pthread_mutex_lock(m) == 0);
		push_everything_out();
		kill(getpid(), SIGKILL);
	}
	ROW_CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	ROW_CHECK(pthread_mutex_lock(m) == EOWNERDEAD);
	ROW_CHECK(pthread_mutex_consistent(m) == 0 && pthread_mutex_unlock(m) == 0);
}

static const struct row rows[] = {
	{ "begin-with-locale", "libc", begin_with_locale },
	{ "end-detached", "libc", end_detached },
	{ "robust-mutex", "robust", robust_mutex },
	{ "robust-pi-mutex", "robust", robust_pi_mutex },
	{ "robust-shared-mutex", "-", robust_shared },
};

int main(int argc, char **argv)
{
	return row_main(argc, argv, rows, sizeof(rows) / sizeof(rows[0]));
}
