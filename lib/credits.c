/* SPDX-License-Identifier: MIT */
#include "credits.h"
#include "stats.h"
#include "sys.h"

#define EM_WAIT_NS 5000000u

static struct {
	_Atomic int64_t total, low, high;
	_Atomic uint32_t given;   /* futex: changes when credits come back */
	_Atomic uint32_t waiters;
} credits;

static int64_t relaxed(const _Atomic int64_t *n)
{
	return atomic_load_explicit(n, memory_order_relaxed);
}

void em_credits_set_marks(uint64_t low, uint64_t high)
{
	atomic_store(&credits.low, (int64_t)low);
	atomic_store(&credits.high, (int64_t)high);
	em_gauge(&em_segment->low_pages, low);
	em_gauge(&em_segment->high_pages, high);
}

void em_credits_init(uint64_t pages)
{
	atomic_store(&credits.total, (int64_t)pages);
	atomic_store(&em_segment->free_pages, (int64_t)pages);
	em_gauge(&em_segment->credit_pages, pages);
}

/* What threads of the parent had taken for faults under way is nobody's now. */
void em_credits_forked(uint64_t resident)
{
	credits.waiters = 0;
	atomic_store(&em_segment->free_pages, relaxed(&credits.total) - (int64_t)resident);
	em_gauge(&em_segment->peak_resident_pages, resident);
}

static void note_peak(int64_t free_now)
{
	uint64_t resident = (uint64_t)(relaxed(&credits.total) - free_now);
	uint64_t peak = atomic_load_explicit(&em_segment->peak_resident_pages,
					     memory_order_relaxed);

	while (resident > peak &&
	       !atomic_compare_exchange_weak(&em_segment->peak_resident_pages,
					     &peak, resident))
		;
}

/* Never below zero on the way, not even for a moment: others look at it. */
unsigned int em_credits_take(unsigned int want)
{
	int64_t left = em_credits_free();
	unsigned int got;

	do {
		if (left <= 0)
			return 0;
		got = (unsigned int)em_min(want, (uint64_t)left);
	} while (!atomic_compare_exchange_weak(&em_segment->free_pages, &left, left - got));
	if (got)
		note_peak(left - got);
	return got;
}

void em_credits_force(void)
{
	note_peak(atomic_fetch_sub(&em_segment->free_pages, 1) - 1);
	em_count(&em_segment->over_limit_events, 1);
}

void em_credits_give(uint64_t pages)
{
	if (!pages)
		return;
	atomic_fetch_add(&em_segment->free_pages, (int64_t)pages);
	if (em_unlikely(atomic_load(&credits.waiters))) {
		atomic_fetch_add(&credits.given, 1);
		em_sys_wake(&credits.given, INT32_MAX);
	}
}

/* First the total, so that nobody sees more free than there can be. */
void em_credits_grow(uint64_t pages)
{
	atomic_fetch_add(&credits.total, (int64_t)pages);
	em_count(&em_segment->credit_pages, pages);
	em_credits_give(pages);
}

uint64_t em_credits_shrink(uint64_t pages)
{
	int64_t left = em_credits_free(), keep = relaxed(&credits.low) / 2 + 1, some;

	do {
		if (left <= keep)
			return 0;
		some = (int64_t)em_min(pages, (uint64_t)(left - keep));
	} while (!atomic_compare_exchange_weak(&em_segment->free_pages, &left, left - some));
	atomic_fetch_sub(&credits.total, some);
	em_uncount(&em_segment->credit_pages, (uint64_t)some);
	return (uint64_t)some;
}

int64_t em_credits_free(void)
{
	return atomic_load_explicit(&em_segment->free_pages, memory_order_relaxed);
}

bool em_credits_below_low(void) { return em_credits_free() < relaxed(&credits.low); }
bool em_credits_below_high(void) { return em_credits_free() < relaxed(&credits.high); }

void em_credits_wait(void)
{
	uint32_t seen = atomic_load(&credits.given);

	atomic_fetch_add(&credits.waiters, 1);
	if (em_credits_free() <= 0)
		em_sys_wait(&credits.given, seen, EM_WAIT_NS);
	atomic_fetch_sub(&credits.waiters, 1);
}
