/* SPDX-License-Identifier: MIT
 *
 * touch: how many pages a second a program can touch.
 *
 *   touch --mb N --threads T --pattern PATTERN --op read|write --seconds S
 *         [--stride PAGES] [--reserve-gb N] [--seed N] [--json]
 *         [--floor MB [--swap DIR]]
 *
 * A touch reads or writes one word of a page. The area is filled by writing
 * before the clock starts, but for `fill`. The patterns:
 *
 *   fill     times just that: the first touch of the whole area, every byte written
 *   random   draws from all pages
 *   seq      cycles, each thread through its own part
 *   strided  the same, only every --stride'th page at each pass, until all had a turn
 *   hot      draws nine of ten touches from the first tenth of the pages
 *   hotscan  in turn: one draw from a hot set, three tenths of the pages,
 *            one step through the rest of them, in order and over again; the hot set
 *            is gone through once before the clock starts
 *   chase    follows pointers through each thread's part, in one random cycle: where
 *            the next touch goes is only known when this one has been served
 *   temps    makes an array of a sixteenth of its part, fills it, goes through it three
 *            times with a step of half as much through the part after each, and frees it:
 *            what a program does that computes with large arrays
 *   idle     touches nothing: what the process, all of its threads together, spends
 *            on having been filled
 *
 * --reserve-gb spreads the pages evenly over so much of reserved memory, which
 * is otherwise left alone.
 *
 * It knows nothing of extmem; tests/bench/run runs it under extmem, under
 * a memory cgroup with the kernel's swap, and alone. With --floor it pages
 * itself: see floor.h.
 */
#include "floor.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define PAGE_BYTES 4096u
#define PAGE_WORDS (PAGE_BYTES / 8)
#define THREADS_MAX 256u
#define CLOCK_EVERY 64u /* touches between two looks at the clock */

enum pattern { FILL, RANDOM, SEQ, STRIDED, HOT, HOTSCAN, CHASE, TEMPS, IDLE, PATTERNS };

static const char *const pattern_names[PATTERNS] = { "fill", "random", "seq", "strided",
						     "hot", "hotscan", "chase", "temps",
						     "idle" };

struct worker {
	_Alignas(128) unsigned int id;
	pthread_t thread;
	uint64_t rng;
	uint64_t touches;
	uint64_t sum; /* what was read, so that reading is not left out */
};

static volatile uint64_t *area;
static size_t pages;
static size_t spread = 1; /* a page is so many pages after the one before it */
static size_t stride = 16;
static unsigned int threads = 1;
static enum pattern pattern = RANDOM;
static bool writing = true;
static double seconds = 5;
static struct worker workers[THREADS_MAX];
static pthread_barrier_t start_line;
/* Written by the first thread once; read by all after the barrier. */
static double began, deadline;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static uint64_t rnd(struct worker *w)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return w->rng;
}

static volatile uint64_t *page_words(size_t page)
{
	return area + page * spread * PAGE_WORDS;
}

static void touch(struct worker *w, size_t page)
{
	volatile uint64_t *word = page_words(page) + (page & 511);

	if (writing)
		*word = w->touches;
	else
		w->sum += *word;
	w->touches++;
}

/* This thread's part of the area. */
static void part(const struct worker *w, size_t *from, size_t *to)
{
	*from = pages * w->id / threads;
	*to = pages * (w->id + 1) / threads;
}

static void fill(struct worker *w)
{
	size_t from, to;

	part(w, &from, &to);
	for (size_t page = from; page < to; page++)
		memset((void *)(uintptr_t)page_words(page), (int)(page & 0x7f) + 1, PAGE_BYTES);
	w->touches += to - from;
}

static void cycle(struct worker *w, size_t step)
{
	size_t from, to, page, first;

	part(w, &from, &to);
	page = first = from;
	while (now() < deadline) {
		for (unsigned int i = 0; i < CLOCK_EVERY; i++) {
			touch(w, page);
			page += step;
			if (page >= to) {
				if (++first == from + step || first >= to)
					first = from;
				page = first;
			}
		}
	}
}

/* Where a page keeps the number of the next one; touch() uses another word. */
static volatile uint64_t *next_of(size_t page)
{
	return page_words(page) + ((page + 1) & 511);
}

/* One random cycle through this thread's part (Sattolo's way to shuffle). */
static void link_pages(struct worker *w)
{
	size_t from, to, count;
	uint32_t *next;

	part(w, &from, &to);
	count = to - from;
	next = malloc(count * sizeof(*next));
	if (!next) {
		fprintf(stderr, "touch: no memory for %zu links\n", count);
		exit(1);
	}
	for (size_t i = 0; i < count; i++)
		next[i] = (uint32_t)i;
	for (size_t i = count; i-- > 1;) {
		size_t k = rnd(w) % i;
		uint32_t other = next[k];

		next[k] = next[i];
		next[i] = other;
	}
	for (size_t i = 0; i < count; i++)
		*next_of(from + i) = from + next[i];
	free(next);
}

static void chase(struct worker *w)
{
	size_t page, to;

	part(w, &page, &to);
	while (now() < deadline) {
		for (unsigned int i = 0; i < CLOCK_EVERY; i++) {
			touch(w, page);
			page = *next_of(page);
		}
	}
}

static void draw(struct worker *w)
{
	size_t hot = pages / 10 + 1;

	while (now() < deadline) {
		for (unsigned int i = 0; i < CLOCK_EVERY; i++) {
			uint64_t r = rnd(w);
			bool in_hot = pattern == HOT && (r >> 56) < 230;
			touch(w, (r & 0xffffffffffff) % (in_hot ? hot : pages));
		}
	}
}

static size_t hot_pages(void)
{
	return pages * 3 / 10 + 1;
}

static void hot_and_scan(struct worker *w)
{
	size_t hot = hot_pages(), at = hot;

	while (now() < deadline) {
		for (unsigned int i = 0; i < CLOCK_EVERY / 2; i++) {
			touch(w, (rnd(w) & 0xffffffffffff) % hot);
			touch(w, at);
			at = at + 1 < pages ? at + 1 : hot;
		}
	}
}

/* One array from its making to its end. */
static void use_array(struct worker *w, size_t count, size_t *at)
{
	volatile uint64_t *array = mmap(NULL, count * PAGE_BYTES, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t from, to;

	part(w, &from, &to);
	if (array == MAP_FAILED) {
		fprintf(stderr, "touch: cannot map an array: %s\n", strerror(errno));
		exit(1);
	}
	memset((void *)(uintptr_t)array, 1, count * PAGE_BYTES);
	for (int pass = 0; pass < 3; pass++) {
		for (size_t i = 0; i < count; i++)
			w->sum += array[i * PAGE_WORDS];
		for (size_t i = 0; i < count / 2; i++) {
			touch(w, *at);
			*at = *at + 1 < to ? *at + 1 : from;
		}
	}
	w->touches += 4 * count;
	munmap((void *)(uintptr_t)array, count * PAGE_BYTES);
}

static void use_arrays(struct worker *w)
{
	size_t from, to, at;

	part(w, &from, &to);
	at = from;
	while (now() < deadline)
		use_array(w, (to - from) / 16 + 1, &at);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	if (pattern != FILL) {
		fill(w);
		if (pattern == CHASE)
			link_pages(w);
		for (size_t i = 0; pattern == HOTSCAN && i < hot_pages(); i++)
			touch(w, i);
		w->touches = 0;
	}
	if (pthread_barrier_wait(&start_line) == PTHREAD_BARRIER_SERIAL_THREAD) {
		began = now();
		deadline = began + seconds;
	}
	pthread_barrier_wait(&start_line);
	switch (pattern) {
	case FILL: fill(w); break;
	case SEQ: cycle(w, 1); break;
	case STRIDED: cycle(w, stride); break;
	case CHASE: chase(w); break;
	case HOTSCAN: hot_and_scan(w); break;
	case TEMPS: use_arrays(w); break;
	default: draw(w); break;
	}
	return NULL;
}

static void print(bool json)
{
	double spent = now() - began;
	uint64_t touches = 0;

	for (unsigned int t = 0; t < threads; t++)
		touches += workers[t].touches;
	double per_second = (double)touches / spent;
	double mb_per_second = per_second * PAGE_BYTES / 1e6;

	printf(json ? "{\"pattern\": \"%s\", \"op\": \"%s\", \"mb\": %zu, \"threads\": %u, "
		      "\"seconds\": %.3f, \"touches\": %" PRIu64 ", "
		      "\"touches_per_second\": %.0f, \"mb_per_second\": %.1f}\n" :
		      "%s %s %zu MB %u threads %.2f s: %" PRIu64 " pages, "
		      "%.0f pages/s, %.1f MB/s\n",
	       pattern_names[pattern], writing ? "write" : "read", pages / 256, threads, spent,
	       touches, per_second, mb_per_second);
}

static double cpu_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* What was under way has half a second to end. */
static void idle(bool json)
{
	struct timespec settle = { .tv_nsec = 500000000 };
	struct timespec rest = { (time_t)seconds, (long)((seconds - (long)seconds) * 1e9) };
	double before, spent;

	fill(&workers[0]);
	nanosleep(&settle, NULL);
	before = cpu_seconds();
	nanosleep(&rest, NULL);
	spent = (cpu_seconds() - before) * 1e6 / seconds;
	printf(json ? "{\"pattern\": \"idle\", \"mb\": %zu, \"cpu_us_per_second\": %.0f}\n" :
		      "idle %zu MB: %.0f us of processor time a second\n",
	       pages / 256, spent);
}

static size_t floor_mb;
static const char *floor_folder = "/var/tmp";

static void map_area(void)
{
	size_t bytes = pages * spread * PAGE_BYTES;
	void *p = floor_mb ? floor_map(pages, floor_mb * 256, floor_folder) :
		  mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED) {
		fprintf(stderr, "touch: cannot map %zu MB: %s\n", bytes >> 20, strerror(errno));
		exit(1);
	}
	area = p;
}

static void run(uint64_t seed, bool json)
{
	pthread_barrier_init(&start_line, NULL, threads);
	for (unsigned int t = 0; t < threads; t++) {
		workers[t].id = t;
		workers[t].rng = (seed + t) * 0x9e3779b97f4a7c15ull | 1;
		if (pthread_create(&workers[t].thread, NULL, worker_main, &workers[t]) != 0) {
			fprintf(stderr, "touch: cannot start thread %u\n", t);
			exit(1);
		}
	}
	for (unsigned int t = 0; t < threads; t++)
		pthread_join(workers[t].thread, NULL);
	print(json);
}

static void usage(FILE *out)
{
	fprintf(out, "usage: touch [--mb N] [--threads T] [--op read|write] [--seconds S]\n"
		     "             [--pattern fill|random|seq|strided|hot|hotscan|chase|temps|idle]\n"
		     "             [--stride PAGES] [--reserve-gb N] [--seed N] [--json]\n"
		     "             [--floor MB] [--swap DIR]\n");
}

static uint64_t number(const char *text, uint64_t min, uint64_t max, const char *what)
{
	char *end;
	uint64_t n = strtoull(text, &end, 10);

	if (*text == '\0' || *end != '\0' || n < min || n > max) {
		fprintf(stderr, "touch: %s is '%s', want %" PRIu64 " to %" PRIu64 "\n", what,
			text, min, max);
		exit(2);
	}
	return n;
}

static double duration(const char *text)
{
	char *end;
	double s = strtod(text, &end);

	if (*text == '\0' || *end != '\0' || !(s > 0 && s <= 86400)) {
		fprintf(stderr, "touch: --seconds is '%s', want more than 0, to 86400\n", text);
		exit(2);
	}
	return s;
}

static int choice(const char *text, const char *const *names, int count, const char *what)
{
	for (int i = 0; i < count; i++)
		if (strcmp(text, names[i]) == 0)
			return i;
	fprintf(stderr, "touch: unknown %s '%s'\n", what, text);
	usage(stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	static const char *const ops[] = { "read", "write" };
	static const struct option options[] = {
		{ "mb", required_argument, NULL, 'm' },
		{ "threads", required_argument, NULL, 't' },
		{ "pattern", required_argument, NULL, 'p' },
		{ "op", required_argument, NULL, 'o' },
		{ "seconds", required_argument, NULL, 's' },
		{ "stride", required_argument, NULL, 'n' },
		{ "reserve-gb", required_argument, NULL, 'g' },
		{ "seed", required_argument, NULL, 'r' },
		{ "json", no_argument, NULL, 'j' },
		{ "floor", required_argument, NULL, 'f' },
		{ "swap", required_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	uint64_t seed = 1, mb = 64, reserve_gb = 0;
	bool json = false;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'm': mb = number(optarg, 1, 1u << 20, "--mb"); break;
		case 't': threads = (unsigned int)number(optarg, 1, THREADS_MAX, "--threads"); break;
		case 'p': pattern = (enum pattern)choice(optarg, pattern_names, PATTERNS, "pattern"); break;
		case 'o': writing = choice(optarg, ops, 2, "operation") == 1; break;
		case 's': seconds = duration(optarg); break;
		case 'n': stride = number(optarg, 1, 1u << 20, "--stride"); break;
		case 'g': reserve_gb = number(optarg, 1, 1u << 12, "--reserve-gb"); break;
		case 'r': seed = number(optarg, 0, UINT32_MAX, "--seed"); break;
		case 'j': json = true; break;
		case 'f': floor_mb = number(optarg, 32, 1u << 20, "--floor"); break;
		case 'd': floor_folder = optarg; break;
		case 'h': usage(stdout); return 0;
		default: usage(stderr); return 2;
		}
	}
	if (reserve_gb && (floor_mb || reserve_gb << 10 < mb)) {
		fprintf(stderr, "touch: --reserve-gb wants more than --mb, and no --floor\n");
		return 2;
	}
	pages = mb * 256;
	if (reserve_gb)
		spread = (reserve_gb << 18) / pages;
	map_area();
	if (pattern == IDLE)
		idle(json);
	else
		run(seed, json);
	return 0;
}
