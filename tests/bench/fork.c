/* SPDX-License-Identifier: MIT
 *
 * fork [--bytes B] [--resident B] [--times N] [--exec]: what a fork costs.
 *
 * Writes to B bytes, then touches the last --resident bytes of them, so that
 * under a limit the rest is stored. Then forks N times and prints the shortest
 * and the median time in microseconds: until fork returns in the parent, until the child runs, and
 * until it has been waited for; --exec lets the child be /bin/true.
 *
 * To compare, run it natively with --bytes equal to --resident: the kernel has
 * the same pages to copy the maps of.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TIMES_MAX 1000

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void print(const char *name, uint64_t *ns, int count)
{
	qsort(ns, (size_t)count, sizeof(*ns), by_value);
	printf("%s_us min %.1f median %.1f\n", name, (double)ns[0] / 1000,
	       (double)ns[count / 2] / 1000);
}

static size_t size_of(const char *text)
{
	char *end;
	size_t n = strtoul(text, &end, 10);

	return *end == 'G' ? n << 30 : *end == 'M' ? n << 20 : n;
}

/* One fork, timed. child_ran: shared with the child, which writes it. */
static void one(int i, int exec, volatile uint64_t *child_ran, uint64_t *parent,
		uint64_t *child, uint64_t *all)
{
	uint64_t start = now_ns();
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		*child_ran = now_ns();
		if (exec)
			execl("/bin/true", "true", (char *)NULL);
		_exit(exec);
	}
	parent[i] = now_ns() - start;
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status) {
		fprintf(stderr, "fork: a child failed\n");
		exit(1);
	}
	child[i] = *child_ran - start;
	all[i] = now_ns() - start;
}

int main(int argc, char **argv)
{
	static uint64_t parent[TIMES_MAX], child[TIMES_MAX], all[TIMES_MAX];
	size_t bytes = 64ul << 20, resident = 64ul << 20;
	int times = 21, exec = 0;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--exec"))
			exec = 1;
		else if (i + 1 < argc && !strcmp(argv[i], "--bytes"))
			bytes = size_of(argv[++i]);
		else if (i + 1 < argc && !strcmp(argv[i], "--resident"))
			resident = size_of(argv[++i]);
		else if (i + 1 < argc && !strcmp(argv[i], "--times"))
			times = atoi(argv[++i]);
		else
			return fprintf(stderr, "fork: unknown argument '%s'\n", argv[i]), 2;
	}
	bytes &= ~4095ul;
	resident &= ~4095ul;
	if (times < 1 || times > TIMES_MAX || resident > bytes)
		return fprintf(stderr, "fork: these sizes make no sense\n"), 2;

	volatile uint64_t *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
					 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || shared == MAP_FAILED)
		return perror("fork: mmap"), 1;
	madvise(p, bytes, MADV_NOHUGEPAGE);
	for (int round = 1; round <= 2; round++)
		for (size_t at = round == 1 ? 0 : bytes - resident; at < bytes; at += 4096)
			memset(p + at, round, 4096);
	usleep(300000); /* what is still on its way out ends */
	for (int i = 0; i < times; i++)
		one(i, exec, shared, parent, child, all);
	print("parent", parent, times);
	print("child", child, times);
	print("all", all, times);
	return 0;
}
