/* SPDX-License-Identifier: MIT
 *
 * leap: the majority of the last distances.
 *
 * H. Al Maruf, M. Chowdhury, "Effectively Prefetching Remote Memory with Leap",
 * USENIX ATC 2020. Of the distances between faults that follow each other, the
 * one that more than half of the last 4 have, or else of the last 8, 16, 32, is
 * the course, found by Boyer and Moore's vote. A few faults elsewhere do not
 * disturb it.
 */
#include "prefetchers.h"

#define DELTAS 32u

struct leap_thread {
	int32_t deltas[DELTAS]; /* the newest at at - 1 */
	uint64_t last;
	struct em_trail trail;
	uint32_t at;
};

_Static_assert(sizeof(struct leap_thread) <= EXTMEM_GUESS_THREAD_BYTES, "fits a thread's record");

static int32_t delta(const struct leap_thread *t, uint32_t back)
{
	return t->deltas[(t->at - 1 - back) % DELTAS];
}

/* The distance that more than half of the last n have; 0: there is none. */
static int32_t majority(const struct leap_thread *t, uint32_t n)
{
	int32_t candidate = 0;
	uint32_t votes = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (!votes)
			candidate = delta(t, i);
		votes += candidate == delta(t, i) ? 1u : -1u;
	}
	votes = 0;
	for (uint32_t i = 0; i < n; i++)
		votes += candidate == delta(t, i);
	return votes * 2 > n ? candidate : 0;
}

static size_t guess(struct extmem_prefetch *p, void *thread, uint64_t page, uint32_t depth,
		    struct extmem_guess *out)
{
	struct leap_thread *t = thread;
	int64_t far = (int64_t)(page - t->last);
	int32_t step = 0;

	(void)p;
	/* A distance that no wish can have counts as none. */
	t->deltas[t->at++ % DELTAS] =
		far <= EXTMEM_GUESS_STEP_MAX && far >= -EXTMEM_GUESS_STEP_MAX ? (int32_t)far : 0;
	t->last = page;
	for (uint32_t n = 4; n <= DELTAS && !step; n *= 2)
		step = majority(t, n);
	if (!step)
		return 0;
	if (t->trail.step != step || !em_trail_has(&t->trail, page))
		t->trail = (struct em_trail){ page + (uint64_t)(int64_t)step, step, 0 };
	return em_trail_follow(&t->trail, page, depth, out);
}

const struct extmem_prefetcher em_prefetch_leap = {
	.version = EXTMEM_PREFETCHER_VERSION,
	.name = "leap",
	.help = "the distance that most of the last faults have",
	.thread_bytes = sizeof(struct leap_thread),
	.guess = guess,
};
