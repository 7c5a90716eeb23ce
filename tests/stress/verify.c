/* SPDX-License-Identifier: MIT
 *
 * verify: fills memory with a pattern, does to it what programs do to memory,
 * and checks every byte (areas.h).
 *
 *   verify --mb N --threads N --seconds S --seed N --mode MODE
 *
 * It knows nothing of extmem: it runs natively and under `extmem run`, and
 * must say the same.
 *
 * A fork must see all of it at rest: every step runs under the read side of
 * `world`, a fork under the write side; the child then verifies everything
 * while the parent goes on.
 */
#define STRESS_NAME "verify"
#include "areas.h"
#include <getopt.h>

enum mode { MODE_FILL, MODE_RANDOM, MODE_SEQUENTIAL, MODE_HOTSET, MODE_MIXED, MODES };

static const char *const mode_names[MODES] = {
	"fill", "random", "sequential", "hotset", "mixed"
};

static pthread_rwlock_t world;
static enum mode mode = MODE_MIXED;
static atomic_uint forks;

static void child_main(struct worker *w)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	verify_all(w, "a read in a fork");
	for (size_t i = 0; i < w->area_count; i++) {
		pages_write(w, &w->areas[i], 0, w->areas[i].pages / 4);
		pages_check(w, &w->areas[i], 0, w->areas[i].pages, "a read in a fork that wrote");
	}
	_exit(0);
}

/* Called without the lock. */
static void step_fork(struct worker *w)
{
	int status;

	pthread_rwlock_wrlock(&world);
	pid_t pid = fork();
	if (pid < 0)
		fail_errno("fork");
	if (pid == 0)
		child_main(w);
	pthread_rwlock_unlock(&world);
	if (waitpid(pid, &status, 0) != pid)
		fail_errno("waitpid");
	if (status != 0)
		fail("verify: a fork failed with status %#x, seed %" PRIu64 "\n",
		     (unsigned int)status, seed);
	atomic_fetch_add(&forks, 1);
}

/* Mixed traffic draws from here; the number of entries is the weight. */
static step_function *const mixed_steps[] = {
	step_random, step_random, step_random, step_sequential, step_sequential,
	step_hot, step_hot, step_shared, step_shared, step_shared,
	step_dontneed, step_remap, step_reopen, step_mremap, step_mprotect,
	step_realloc, step_free, step_file, step_pipe, step_vector, step_stdio,
};

static step_function *choose(struct worker *w)
{
	switch (mode) {
	case MODE_FILL:
		return step_fill;
	case MODE_RANDOM:
		return rnd(w) % 4 ? step_random : step_shared;
	case MODE_SEQUENTIAL:
		return rnd(w) % 4 ? step_sequential : step_shared;
	case MODE_HOTSET:
		return rnd(w) % 4 ? step_hot : step_shared;
	default:
		return mixed_steps[below(w, sizeof(mixed_steps) / sizeof(mixed_steps[0]))];
	}
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	double next_fork = seconds / 3;

	pthread_rwlock_rdlock(&world);
	worker_open(w);
	pthread_rwlock_unlock(&world);
	while (elapsed() < seconds) {
		pthread_rwlock_rdlock(&world);
		choose(w)(w);
		pthread_rwlock_unlock(&world);
		w->steps++;
		if (w->id == 0 && mode == MODE_MIXED && elapsed() > next_fork) {
			step_fork(w);
			next_fork = elapsed() + seconds / 3;
		}
	}
	return NULL;
}

static void run(void)
{
	pthread_rwlockattr_t attr;
	uint64_t checks = 0, writes = 0, steps = 0;

	/* A fork must not wait for ever behind readers. */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&world, &attr);
	plan();
	shared = map(NULL, shared_pages * PAGE_BYTES, 0);
	clock_gettime(CLOCK_MONOTONIC, &began);
	for (unsigned int t = 0; t < threads; t++)
		if (pthread_create(&workers[t].thread, NULL, worker_main, &workers[t]) != 0)
			fail_errno("pthread_create");
	for (unsigned int t = 0; t < threads; t++)
		pthread_join(workers[t].thread, NULL);
	verify_all(&workers[0], "the last look");
	for (unsigned int t = 0; t < threads; t++) {
		checks += workers[t].checks;
		writes += workers[t].writes;
		steps += workers[t].steps;
	}
	printf("verify: %s %zu MB %u threads seed %" PRIu64 ": %" PRIu64 " steps, %" PRIu64
	       " chunks written, %" PRIu64 " verified, %u forks, %.1f s, all good\n",
	       mode_names[mode], megabytes, threads, seed, steps, writes, checks,
	       atomic_load(&forks), elapsed());
}

static void usage(FILE *out)
{
	fprintf(out, "usage: verify [--mb N] [--threads N] [--seconds S] [--seed N]\n"
		     "              [--mode fill|random|sequential|hotset|mixed]\n");
}

static enum mode parse_mode(const char *text)
{
	for (int m = 0; m < MODES; m++)
		if (strcmp(text, mode_names[m]) == 0)
			return (enum mode)m;
	fprintf(stderr, "verify: unknown mode '%s'\n", text);
	usage(stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "mb", required_argument, NULL, 'm' },
		{ "threads", required_argument, NULL, 't' },
		{ "seconds", required_argument, NULL, 's' },
		{ "seed", required_argument, NULL, 'r' },
		{ "mode", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'm': megabytes = number(optarg, 4, 16384, "--mb"); break;
		case 't': threads = (unsigned int)number(optarg, 1, THREADS_MAX, "--threads"); break;
		case 's': seconds = (double)number(optarg, 0, 86400, "--seconds"); break;
		case 'r': seed = number(optarg, 0, UINT32_MAX, "--seed"); break;
		case 'o': mode = parse_mode(optarg); break;
		case 'h': usage(stdout); return 0;
		default: usage(stderr); return 2;
		}
	}
	run();
	return 0;
}
