/* SPDX-License-Identifier: MIT
 *
 * rows-waits: calls that wait with a managed buffer: they are interrupted,
 * begun again, cancelled and left by siglongjmp as if nobody stood between.
 */
#include "row.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>

#define BYTES (64 * ROW_PAGE)
#define WAITERS 300

static int ends[2];
static FILE *stream;
static unsigned char *buffer;
static volatile sig_atomic_t seen;

static void prepare(void)
{
	ROW_CHECK(pipe(ends) == 0);
	stream = fdopen(ends[0], "r");
	setvbuf(stream, NULL, _IONBF, 0); /* straight into the program's buffer */
	buffer = row_map(BYTES);
	row_fill(buffer, BYTES, 1);
	row_push_out(buffer, BYTES);
}

static void wait_in_wrapper(void)
{
	ROW_CHECK(read(ends[0], buffer, 100) == 100);
}

static void wait_inside_libc(void)
{
	ROW_CHECK(fread(buffer, 1, 100, stream) == 100);
}

/* ---- cancelled ----------------------------------------------------------- */

static void note(void *arg)
{
	*(int *)arg = 1;
}

static void *wait_to_be_cancelled(void *arg)
{
	static int cleaned;

	pthread_cleanup_push(note, &cleaned);
	((void (*)(void))arg)();
	pthread_cleanup_pop(0);
	return &cleaned;
}

static void cancel(void (*wait)(void))
{
	pthread_t thread;
	void *result;

	prepare();
	ROW_CHECK(pthread_create(&thread, NULL, wait_to_be_cancelled, (void *)wait) == 0);
	usleep(300000);
	ROW_CHECK(pthread_cancel(thread) == 0);
	ROW_CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
	row_push_out(buffer, BYTES); /* nobody holds it any more */
}

static int destroyed;

static void destroy(const int *object)
{
	destroyed = *object;
}

/* As the destructors of C++: run by the unwinder, through every frame. */
static void *wait_with_object(void *arg)
{
	__attribute__((cleanup(destroy), unused)) int object = 5;

	((void (*)(void))arg)();
	return NULL;
}

static void cancel_with_object(void)
{
	void (*const waits[])(void) = { wait_in_wrapper, wait_inside_libc };

	for (size_t i = 0; i < 2; i++) {
		pthread_t thread;
		void *result;
		prepare();
		destroyed = 0;
		ROW_CHECK(pthread_create(&thread, NULL, wait_with_object, (void *)waits[i]) == 0);
		usleep(300000);
		ROW_CHECK(pthread_cancel(thread) == 0);
		ROW_CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
		ROW_CHECK(destroyed == 5);
	}
}

static void cancel_wrapper(void) { cancel(wait_in_wrapper); }
static void cancel_inside(void) { cancel(wait_inside_libc); }

/* ---- interrupted --------------------------------------------------------- */

static void on_alarm(int sig)
{
	char bytes[100] = { 0 };

	(void)sig;
	if (++seen == 2)
		ROW_CHECK(write(ends[1], bytes, sizeof(bytes)) == sizeof(bytes));
}

static void alarm_twice(int flags)
{
	struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = flags };
	struct itimerval it = { { 0, 200000 }, { 0, 200000 } };

	seen = 0;
	ROW_CHECK(sigaction(SIGALRM, &sa, NULL) == 0);
	ROW_CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
}

static void no_more_alarms(void)
{
	struct itimerval it = { { 0, 0 }, { 0, 0 } };

	ROW_CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
}

static void restarted(void)
{
	prepare();
	alarm_twice(SA_RESTART);
	wait_in_wrapper();
	ROW_CHECK(seen == 2);
	no_more_alarms();
	row_push_out(buffer, BYTES);
	alarm_twice(SA_RESTART);
	wait_inside_libc();
	ROW_CHECK(seen == 2);
}

static void interrupted(void)
{
	prepare();
	alarm_twice(0);
	errno = 0;
	ROW_CHECK(read(ends[0], buffer, 100) == -1 && errno == EINTR && seen == 1);
	no_more_alarms();
	row_push_out(buffer, BYTES);
	alarm_twice(0);
	errno = 0;
	ROW_CHECK(fread(buffer, 1, 100, stream) == 0 && errno == EINTR && seen == 1);
}

static sigjmp_buf out;

static void jump_out(int sig)
{
	siglongjmp(out, sig);
}

/* Each time the call's ranges are left behind; they must not stay for ever. */
static void jumped_out(void)
{
	struct sigaction sa = { .sa_handler = jump_out };
	struct itimerval it = { { 0, 0 }, { 0, 1000 } };

	prepare();
	ROW_CHECK(sigaction(SIGALRM, &sa, NULL) == 0);
	for (volatile int i = 0; i < 200; i++) {
		if (sigsetjmp(out, 1))
			continue;
		setitimer(ITIMER_REAL, &it, NULL);
		if (i % 2)
			wait_in_wrapper();
		else
			wait_inside_libc();
	}
	ROW_CHECK(write(ends[1], "", 1) == 1);
	unsigned char *other = row_map(BYTES);
	ROW_CHECK(read(ends[0], other, 1) == 1);
	row_push_out(buffer, BYTES);
}

/* ---- many ---------------------------------------------------------------- */

static pthread_barrier_t started;

static void *wait_for_byte(void *arg)
{
	pthread_barrier_wait(&started);
	ROW_CHECK(read(ends[0], arg, 1) == 1);
	return NULL;
}

/* What hundreds of threads wait with stays; everything between may leave. */
static void many_waiters(void)
{
	static pthread_t threads[WAITERS];
	const size_t apart = 4 * ROW_PAGE;
	unsigned char *p = row_map(WAITERS * apart);
	pthread_attr_t attr;

	prepare();
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10);
	pthread_barrier_init(&started, NULL, WAITERS + 1);
	row_fill(p, WAITERS * apart, 5);
	for (size_t i = 0; i < WAITERS; i++)
		ROW_CHECK(pthread_create(&threads[i], &attr, wait_for_byte, p + i * apart) == 0);
	pthread_barrier_wait(&started);
	usleep(200000);
	for (size_t i = 0; i < WAITERS; i += 50)
		row_push_out(p + i * apart + 2 * ROW_PAGE, ROW_PAGE);
	for (size_t i = 0; i < WAITERS; i++)
		ROW_CHECK(write(ends[1], "!", 1) == 1);
	for (size_t i = 0; i < WAITERS; i++)
		ROW_CHECK(pthread_join(threads[i], NULL) == 0);
	for (size_t i = 0; i < WAITERS; i++)
		ROW_CHECK(p[i * apart] == '!');
}

static const struct row rows[] = {
	{ "cancelled", "cancel", cancel_wrapper },
	{ "cancelled-inside-libc", "-", cancel_inside },
	{ "cancelled-with-object", "cancel", cancel_with_object },
	{ "restarted", "calls", restarted },
	{ "interrupted", "-", interrupted },
	{ "jumped-out", "left", jumped_out },
	{ "many-waiters", "calls", many_waiters },
};

int main(int argc, char **argv)
{
	return row_main(argc, argv, rows, sizeof(rows) / sizeof(rows[0]));
}
