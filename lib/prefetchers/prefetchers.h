/* SPDX-License-Identifier: MIT
 *
 * prefetchers: the built-in ones, one file each, and what they share. They need
 * nothing of the core.
 */
#ifndef EM_PREFETCHERS_H
#define EM_PREFETCHERS_H

#include "extmem-policy.h"
#include <stdatomic.h>
#include <stdbool.h>

extern const struct extmem_prefetcher em_prefetch_stride;
extern const struct extmem_prefetcher em_prefetch_leap;
extern const struct extmem_prefetcher em_prefetch_markov;
/* Its state is given to it (sequence.h); NULL: nothing was recorded. */
extern const struct extmem_prefetcher em_prefetch_replay;

/* A course that guesses run along: every so many pages, and how far. */
struct em_trail {
	uint64_t next;     /* first page not guessed yet */
	int64_t step;      /* 0: there is none */
	uint32_t used;     /* when a fault last was on it */
};

/*
 * The fault is on the trail if at most EXTMEM_GUESS_PAGES_MAX steps lead from it to
 * what comes next. Then it is kept depth pages ahead of the fault, in portions of half of that,
 * so that not every page wakes a reader. Returns how many guesses: 0 or 1.
 */
static inline bool em_trail_has(const struct em_trail *t, uint64_t page)
{
	int64_t away = (int64_t)(t->next - page);

	return t->step && away % t->step == 0 && away / t->step >= 0 &&
	       away / t->step <= (int64_t)EXTMEM_GUESS_PAGES_MAX + 1;
}

static inline size_t em_trail_follow(struct em_trail *t, uint64_t page, uint32_t depth,
				     struct extmem_guess *out)
{
	int64_t left = (int64_t)(t->next - page) / t->step - 1;

	if (left < 0) { /* it has caught up */
		t->next = page + (uint64_t)t->step;
		left = 0;
	}
	if (left > (int64_t)depth / 2)
		return 0;
	*out = (struct extmem_guess){ t->next, t->step, depth - (uint32_t)left };
	t->next += (uint64_t)(t->step * (int64_t)out->pages);
	return 1;
}

#endif
