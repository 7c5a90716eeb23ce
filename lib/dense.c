/* SPDX-License-Identifier: MIT */
#include "dense.h"
#include "core.h"
#include "stats.h"
#include "window.h"
#include <stdatomic.h>

/* Granules are told apart by a table of what was seen of them, by their number. */
#define EM_DENSE_ENTRIES 16384u
#define EM_DENSE_FAULTS 3u
/* Of the faults in which an evenly spread granule would have one. */
#define EM_DENSE_SHARE 8u

/* An entry: granule, when its first fault was, and how many it had since. */
#define EM_DENSE_WHEN_SHIFT 8
#define EM_DENSE_WHEN_MASK 0xffffffu
#define EM_DENSE_GRANULE_SHIFT 32

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

bool em_dense_seen(uint32_t granule)
{
	_Atomic uint64_t *entry = &dense.entries[granule % EM_DENSE_ENTRIES];
	uint64_t e = atomic_load_explicit(entry, memory_order_relaxed);
	uint32_t now = atomic_fetch_add_explicit(&dense.clock, 1, memory_order_relaxed);
	uint32_t since = (uint32_t)(e >> EM_DENSE_WHEN_SHIFT) & EM_DENSE_WHEN_MASK;
	uint32_t faults = e & 0xff;

	now &= EM_DENSE_WHEN_MASK;
	if (e >> EM_DENSE_GRANULE_SHIFT != granule ||
	    ((now - since) & EM_DENSE_WHEN_MASK) > window()) {
		since = now;
		faults = 0;
	}
	faults += faults < EM_DENSE_FAULTS;
	atomic_store_explicit(entry, (uint64_t)granule << EM_DENSE_GRANULE_SHIFT |
			      (uint64_t)since << EM_DENSE_WHEN_SHIFT | faults,
			      memory_order_relaxed);
	return faults >= EM_DENSE_FAULTS;
}
