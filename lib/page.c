/* SPDX-License-Identifier: MIT */
#include "page.h"
#include "sys.h"

/* A wait spins this often before it sleeps: about as long as a mapping takes. */
#define EM_SPINS 200

/* A sleeper looks again after this long whatever happened. */
#define EM_NAP_NS 10000000u

/* The half of a page word that holds state and flags, as a futex. */
static _Atomic uint32_t *low_half(em_word *w)
{
	return (_Atomic uint32_t *)w;
}

static enum em_page_was was(enum em_page_state state)
{
	switch (state) {
	case EM_PAGE_UNTOUCHED: return EM_WAS_UNTOUCHED;
	case EM_PAGE_RESIDENT: return EM_WAS_RESIDENT;
	case EM_PAGE_STANDBY:
	case EM_PAGE_STORED: return EM_WAS_AWAY;
	default: return EM_WAS_OUTSIDE;
	}
}

bool em_page_own(uint64_t page, uint64_t seen, enum em_page_state state)
{
	uint64_t owned = (seen & ~EM_WORD_STATE_MASK) | (uint64_t)state |
			 (uint64_t)was(EM_WORD_STATE(seen)) << EM_WORD_WAS_SHIFT;

	return atomic_compare_exchange_strong(&em_pages[page], &seen, owned);
}

void em_page_set(uint64_t page, uint64_t word)
{
	uint64_t old = atomic_exchange_explicit(&em_pages[page], word,
						memory_order_acq_rel);

	if (em_unlikely(old & EM_WORD_WAITER))
		em_sys_wake(low_half(&em_pages[page]), INT32_MAX);
}

bool em_page_retire(uint64_t page, int64_t buffer, uint64_t *seen)
{
	uint64_t w = em_page_load(page);

	while (EM_WORD_STATE(w) == EM_PAGE_STANDBY && em_word_buffer(w) == buffer) {
		uint64_t stored = em_word_make(EM_PAGE_STORED, em_word_slot(w), -1, false);
		if (atomic_compare_exchange_weak(&em_pages[page], &w, stored))
			return true;
	}
	*seen = w;
	return false;
}

void em_page_wait(uint64_t page, uint64_t seen)
{
	em_word *word = &em_pages[page];

	for (int spin = 0; spin < EM_SPINS; spin++) {
		uint64_t now = em_page_load(page);
		if ((now & ~EM_WORD_WAITER) != (seen & ~EM_WORD_WAITER))
			return;
		em_cpu_relax();
	}
	/* Only an owned word carries the flag: em_page_set() clears and wakes. */
	seen &= ~EM_WORD_WAITER;
	if (!atomic_compare_exchange_strong(word, &seen, seen | EM_WORD_WAITER) &&
	    !(seen & EM_WORD_WAITER))
		return;
	em_sys_wait(low_half(word), (uint32_t)(seen | EM_WORD_WAITER), EM_NAP_NS);
}

void em_block_touch(uint64_t page)
{
	_Atomic uint32_t *b = &em_blocks[em_block_of_page(page)];

	if (em_likely(atomic_load_explicit(b, memory_order_relaxed)))
		return;
	uint64_t count = atomic_load(&em_table->block_count);
	uint64_t want = em_block_of_page(page) + 1;
	while (count < want &&
	       !atomic_compare_exchange_weak(&em_table->block_count, &count, want))
		;
	em_window_dump(want);
	atomic_store_explicit(b, 1, memory_order_release);
}

bool em_block_is_virgin(uint64_t block)
{
	return !atomic_load_explicit(&em_blocks[block], memory_order_acquire);
}

bool em_granule_enqueue(uint64_t granule)
{
	_Atomic uint32_t *g = &em_granules[granule];

	if (em_likely(atomic_load_explicit(g, memory_order_relaxed) & EM_GRANULE_QUEUED))
		return false;
	return !(atomic_fetch_or(g, EM_GRANULE_QUEUED) & EM_GRANULE_QUEUED);
}

void em_granule_dequeued(uint64_t granule)
{
	atomic_fetch_and(&em_granules[granule], ~EM_GRANULE_QUEUED);
}

void em_granule_shut(uint64_t granule)
{
	atomic_fetch_or(&em_granules[granule], EM_GRANULE_SHUT);
}

void em_granule_open(uint64_t granule)
{
	uint32_t old = atomic_fetch_and(&em_granules[granule],
					~(EM_GRANULE_SHUT | EM_GRANULE_WAITER));

	if (old & EM_GRANULE_WAITER)
		em_sys_wake(&em_granules[granule], INT32_MAX);
}

void em_granule_pass(uint64_t granule)
{
	_Atomic uint32_t *g = &em_granules[granule];
	uint32_t w;

	for (int spin = 0; (w = atomic_load(g)) & EM_GRANULE_SHUT; spin++) {
		if (spin < EM_SPINS) {
			em_cpu_relax();
			continue;
		}
		if (w & EM_GRANULE_WAITER ||
		    atomic_compare_exchange_strong(g, &w, w | EM_GRANULE_WAITER))
			em_sys_wait(g, w | EM_GRANULE_WAITER, EM_NAP_NS);
	}
}
