/* SPDX-License-Identifier: MIT
 *
 * markov: the page that came next last time.
 *
 * D. Joseph, D. Grunwald, "Prefetching using Markov Predictors", ISCA 1997, with
 * one successor a page, which is right where a linked structure is walked the
 * same way again and again. The table is direct-mapped by a hash of the page, of
 * fixed size, and shared by all threads: an entry is one word, so that it is
 * always whole.
 */
#include "prefetchers.h"

#define ENTRIES_SHIFT 18 /* 2 MiB, touched where used: 1 GiB of distinct pages */
#define PAGE_BITS 40

struct markov_thread {
	uint64_t last;
};

static _Atomic uint64_t *entry_of(void *state, uint64_t page)
{
	return (_Atomic uint64_t *)state +
	       (page * 0x9e3779b97f4a7c15u >> (64 - ENTRIES_SHIFT));
}

/* So much of a page's number tells it from others with the same entry. */
static uint64_t tag(uint64_t page)
{
	return page << PAGE_BITS;
}

/* 0: not known. */
static uint64_t successor(void *state, uint64_t page)
{
	uint64_t e = atomic_load_explicit(entry_of(state, page), memory_order_relaxed);

	return e >> PAGE_BITS << PAGE_BITS == tag(page) ? e & ((1ull << PAGE_BITS) - 1) : 0;
}

static size_t guess(struct extmem_prefetch *p, void *thread, uint64_t page, uint32_t depth,
		    struct extmem_guess *out)
{
	struct markov_thread *t = thread;
	uint64_t next = page;
	size_t n = 0;

	if (t->last)
		atomic_store_explicit(entry_of(p->state, t->last), tag(t->last) | page,
				      memory_order_relaxed);
	t->last = page;
	while (n < depth && n < EXTMEM_GUESSES_MAX && (next = successor(p->state, next)) &&
	       next != page)
		out[n++] = (struct extmem_guess){ next, 1, 1 };
	return n;
}

const struct extmem_prefetcher em_prefetch_markov = {
	.version = EXTMEM_PREFETCHER_VERSION,
	.name = "markov",
	.help = "what came next the last time",
	.thread_bytes = sizeof(struct markov_thread),
	.state_bytes = sizeof(uint64_t) << ENTRIES_SHIFT,
	.guess = guess,
};
