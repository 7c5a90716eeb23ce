/* SPDX-License-Identifier: MIT
 *
 * report: the figures of a segment, added up and as JSON.
 *
 * Shared by `extmem stat --json` and by the library's own last words
 * (`extmem run --stats FILE`), so that both always say the same. Never
 * allocates and uses no stdio but snprintf: the library calls it while the
 * process is ending.
 */
#ifndef EM_REPORT_H
#define EM_REPORT_H

#include "segment.h"
#include <stddef.h>

/* Plain sums over the shards of a segment, and gauges in bytes. */
struct em_report {
	uint64_t limit_bytes, resident_bytes, peak_resident_bytes, standby_bytes;
	uint64_t stored_bytes, clean_bytes, free_bytes, buffer_bytes;
	uint64_t mapped_bytes, reserved_bytes, regions, unmanaged_maps;
	uint64_t over_limit_events, store_bytes, store_errors, threads;
	uint64_t faults[EM_FAULT_KINDS], fault_ns[EM_FAULT_KINDS];
	uint64_t hist[EM_FAULT_KINDS][EM_HIST_BUCKETS];
	uint64_t pages_in, pages_readahead, pages_prefetched, prefetch_used, pages_out, pages_clean, pages_zeroed;
	uint64_t pages_evicted, bytes_read, bytes_written, reads, writes;
	uint64_t syscall_traps, syscall_ranges, waits, wait_ns, direct_reclaims;
	uint64_t quota_waits, quota_wait_ns;
	uint64_t now_ns; /* CLOCK_MONOTONIC when it was taken */
};

void em_report_take(struct em_report *r, const struct em_segment *seg);
/* The latency under which `permille` thousandths of a kind's faults stayed, ns. */
uint64_t em_report_percentile_ns(const struct em_report *r,
				 enum em_fault_kind kind, unsigned int permille);
/* The whole as one JSON object and a newline. Length, or -ENOSPC. */
int em_report_json(const struct em_report *r, const struct em_segment *seg,
		   char *out, size_t out_bytes);

#endif
