/* SPDX-License-Identifier: MIT
 *
 * calls: what a system call costs on a buffer in managed memory, beside the
 * same call on one that is not managed, in one process and in turns.
 *
 *   calls [--rounds N] [--threads]
 *
 * Prints nanoseconds a call, the median of all rounds: read(2) and readv(2) of
 * 64 bytes from /dev/zero, poll(2) of one descriptor, fread(3) past its buffer
 * (a call that libc makes inside itself). --threads makes a thread first, as
 * calls are cancellation points then. Last a mutex that two threads fight for.
 *
 * It knows nothing of extmem: alone, both columns are the same.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define CALLS 2000
#define BYTES (1ul << 20)

static int zero, zero_stream;
static FILE *stream;

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void do_read(char *buf)
{
	if (read(zero, buf, 64) != 64)
		exit(1);
}

static void do_readv(char *buf)
{
	struct iovec v = { buf, 64 };

	if (readv(zero, &v, 1) != 1 * 64)
		exit(1);
}

static void do_poll(char *buf)
{
	struct pollfd *p = (struct pollfd *)(void *)buf;

	p->fd = zero;
	p->events = POLLIN;
	if (poll(p, 1, 0) != 1)
		exit(1);
}

static void do_fread(char *buf)
{
	if (fread(buf, 1, 64, stream) != 64)
		exit(1);
}

static const struct { const char *name; void (*call)(char *); } calls[] = {
	{ "read", do_read }, { "readv", do_readv }, { "poll", do_poll }, { "fread", do_fread },
};

static double time_calls(void (*call)(char *), char *buf)
{
	double from = now_ns();

	for (int i = 0; i < CALLS; i++)
		call(buf);
	return (now_ns() - from) / CALLS;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

static void compare(size_t which, size_t rounds, char *plain, char *managed)
{
	double *a = malloc(rounds * sizeof(*a)), *b = malloc(rounds * sizeof(*b));

	if (!a || !b)
		exit(1);
	for (size_t i = 0; i < rounds; i++) {
		a[i] = time_calls(calls[which].call, plain);
		b[i] = time_calls(calls[which].call, managed);
	}
	double x = median(a, rounds), y = median(b, rounds);
	printf("%-6s %8.1f ns  managed %8.1f ns  more %7.1f ns\n", calls[which].name, x, y,
	       y - x);
	free(a);
	free(b);
}

/* ---- a mutex that is fought for ------------------------------------------ */

static struct { pthread_mutex_t *mutex; uint64_t count; } fight;

static void *lock_and_count(void *arg)
{
	for (int i = 0; i < 200000; i++) {
		pthread_mutex_lock(fight.mutex);
		fight.count++;
		pthread_mutex_unlock(fight.mutex);
	}
	return arg;
}

static double time_mutex(void *at)
{
	pthread_t threads[2];
	double from;

	fight.mutex = at;
	fight.count = 0;
	pthread_mutex_init(fight.mutex, NULL);
	from = now_ns();
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, lock_and_count, NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	if (fight.count != 400000)
		exit(1);
	return (now_ns() - from) / 400000;
}

static void *idle(void *arg)
{
	pause();
	return arg;
}

int main(int argc, char **argv)
{
	static char plain[BYTES];
	size_t rounds = 200;
	pthread_t thread;
	char *managed;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--threads") == 0)
			pthread_create(&thread, NULL, idle, NULL);
		else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc)
			rounds = strtoul(argv[++i], NULL, 10);
		else
			return fprintf(stderr, "usage: calls [--rounds N] [--threads]\n"), 2;
	}
	managed = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	zero = open("/dev/zero", O_RDWR);
	zero_stream = open("/dev/zero", O_RDONLY);
	stream = fdopen(zero_stream, "r");
	if (managed == MAP_FAILED || zero < 0 || !stream || !rounds)
		return 1;
	setvbuf(stream, NULL, _IONBF, 0);
	memset(plain, 1, BYTES);
	memset(managed, 1, BYTES);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		compare(i, rounds, plain, managed);
	double x = time_mutex(plain), y = time_mutex(managed);
	printf("%-6s %8.1f ns  managed %8.1f ns  more %7.1f ns\n", "mutex", x, y, y - x);
	return 0;
}
