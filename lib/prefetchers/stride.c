/* SPDX-License-Identifier: MIT
 *
 * stride: faults at equal distances, several courses in turn.
 *
 * J.-L. Baer, T.-F. Chen, "An Effective On-Chip Preloading Scheme to Reduce Data
 * Access Penalty", Supercomputing 1991, finds strides by the address of the
 * instruction. Here that is not known: a stride is what lies between this fault,
 * an earlier one, and one as far again before that, among the last few of the
 * thread. So the courses of several arrays may be mixed.
 */
#include "prefetchers.h"

#define HISTORY 12u
#define TRAILS 4u

struct stride_thread {
	uint64_t history[HISTORY];
	struct em_trail trails[TRAILS];
	uint32_t at, clock;
};

_Static_assert(sizeof(struct stride_thread) <= EXTMEM_GUESS_THREAD_BYTES, "fits a thread's record");

static bool was_touched(const struct stride_thread *t, uint64_t page)
{
	for (uint32_t i = 0; i < HISTORY; i++)
		if (t->history[i] == page)
			return true;
	return false;
}

/* The smallest distance that leads back over two faults; 0: none. */
static int64_t find_stride(const struct stride_thread *t, uint64_t page)
{
	int64_t best = 0;

	for (uint32_t i = 0; i < HISTORY; i++) {
		int64_t step = (int64_t)(page - t->history[i]);
		int64_t far = step < 0 ? -step : step;
		if (!t->history[i] || !step || far > EXTMEM_GUESS_STEP_MAX ||
		    (best && far >= (best < 0 ? -best : best)))
			continue;
		if (was_touched(t, page - 2 * (uint64_t)step))
			best = step;
	}
	return best;
}

static struct em_trail *oldest_trail(struct stride_thread *t)
{
	struct em_trail *oldest = &t->trails[0];

	for (uint32_t i = 1; i < TRAILS; i++)
		if ((int32_t)(t->trails[i].used - oldest->used) < 0)
			oldest = &t->trails[i];
	return oldest;
}

static size_t guess(struct extmem_prefetch *p, void *thread, uint64_t page, uint32_t depth,
		    struct extmem_guess *out)
{
	struct stride_thread *t = thread;
	struct em_trail *trail = NULL;
	int64_t step;

	(void)p;
	t->clock++;
	for (uint32_t i = 0; i < TRAILS && !trail; i++)
		if (em_trail_has(&t->trails[i], page))
			trail = &t->trails[i];
	if (!trail && (step = find_stride(t, page))) {
		trail = oldest_trail(t);
		*trail = (struct em_trail){ page + (uint64_t)step, step, 0 };
	}
	t->history[t->at++ % HISTORY] = page;
	if (!trail)
		return 0;
	trail->used = t->clock;
	return em_trail_follow(trail, page, depth, out);
}

const struct extmem_prefetcher em_prefetch_stride = {
	.version = EXTMEM_PREFETCHER_VERSION,
	.name = "stride",
	.help = "faults at equal distances, several courses mixed",
	.thread_bytes = sizeof(struct stride_thread),
	.guess = guess,
};
