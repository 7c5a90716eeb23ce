/* SPDX-License-Identifier: MIT
 *
 * stats: the process's segment (segment.h) and how the core counts into it.
 *
 * Counters are kept in shards, one chosen by each thread, so that counting
 * never makes two processors fight over a line. Before em_stats_init, and when
 * no memory file can be had, they go to private memory: counting never fails.
 */
#ifndef EM_STATS_H
#define EM_STATS_H

#include "segment.h"
#include "util.h"

/* Never NULL. */
extern struct em_segment *em_segment;

/* Makes the segment. 0 or -errno; the process runs on without being seen. */
int em_stats_init(void);
/* In a forked child: a segment of its own, settings kept, counters at zero. */
void em_stats_forked(void);

/* The calling thread's shard. EM_HANDLER */
struct em_counters *em_stats(void);
void em_stats_use_shard(unsigned int n);

static inline void em_count(em_counter *c, uint64_t n)
{
	atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

static inline void em_uncount(em_counter *c, uint64_t n)
{
	atomic_fetch_sub_explicit(c, n, memory_order_relaxed);
}

static inline void em_gauge(em_counter *c, uint64_t v)
{
	atomic_store_explicit(c, v, memory_order_relaxed);
}

/* One fault of a kind that took ns nanoseconds. EM_HANDLER */
void em_stats_fault(enum em_fault_kind kind, uint64_t ns);

#endif
