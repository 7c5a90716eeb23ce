/* SPDX-License-Identifier: MIT */
#include "dense.h"
#include "page.h"
#include "stats.h"
#include <stdatomic.h>

/* What was seen of granules, by their number; one takes the place of another. */
#define EM_DENSE_ENTRIES 16384u
#define EM_DENSE_PARTS 4
/* Of the faults in which an evenly spread granule would have one. */
#define EM_DENSE_SHARE 4u

/*
 * An entry: the rest of the granule's number, when its first fault was, and in which
 * of its sixteenths there were faults since. A page that comes back again and again
 * says nothing of those beside it.
 */
#define EM_DENSE_SIXTEENTHS 0xffffu
#define EM_DENSE_WHEN_SHIFT 16
#define EM_DENSE_WHEN_MASK 0xffffffu
#define EM_DENSE_TAG_SHIFT 40

/*
 * Written by all threads without a lock: what one loses of another's makes a
 * granule seem less dense than it is, no more.
 */
static struct {
	_Atomic uint32_t clock; /* faults */
	_Atomic uint64_t entries[EM_DENSE_ENTRIES];
} dense;

static uint32_t window(void)
{
	uint64_t granules = atomic_load_explicit(&em_segment->stored_pages,
						memory_order_relaxed) >> em_granule_shift();

	return (uint32_t)em_min(granules / EM_DENSE_SHARE, EM_DENSE_ENTRIES / 2);
}

static uint32_t sixteenth(uint64_t page)
{
	unsigned int shift = em_granule_shift();
	uint64_t into = page & ((1u << shift) - 1);

	return 1u << (shift > 4 ? into >> (shift - 4) : into);
}

bool em_dense_seen(uint64_t page)
{
	uint64_t granule = em_granule_of(page), tag = granule / EM_DENSE_ENTRIES;
	_Atomic uint64_t *entry = &dense.entries[granule % EM_DENSE_ENTRIES];
	uint64_t e = atomic_load_explicit(entry, memory_order_relaxed);
	uint32_t now = EM_DENSE_WHEN_MASK &
		       atomic_fetch_add_explicit(&dense.clock, 1, memory_order_relaxed);
	uint32_t since = (uint32_t)(e >> EM_DENSE_WHEN_SHIFT) & EM_DENSE_WHEN_MASK;
	uint32_t parts = e & EM_DENSE_SIXTEENTHS;

	if (e >> EM_DENSE_TAG_SHIFT != tag ||
	    ((now - since) & EM_DENSE_WHEN_MASK) > window()) {
		since = now;
		parts = 0;
	}
	parts |= sixteenth(page);
	atomic_store_explicit(entry, tag << EM_DENSE_TAG_SHIFT |
			      (uint64_t)since << EM_DENSE_WHEN_SHIFT | parts,
			      memory_order_relaxed);
	return __builtin_popcount(parts) >= EM_DENSE_PARTS;
}
