/* SPDX-License-Identifier: MIT
 *
 * segment: what a managed process shows to others, as shared memory.
 *
 * Every managed process owns two memory files (memfd), which other processes
 * of the same user (and root) open through /proc/PID/fd:
 *
 *   extmem-stats  one struct em_segment: settings, gauges, counters, latencies
 *   extmem-pages  the page table itself (struct em_table_header, regions,
 *                 blocks, granules, page words), sparse; for `extmem dump`
 *
 * They vanish with the last process that has them open, however it dies:
 * there is nothing to sweep. Readers map them read-only and never stop or
 * slow the program. Every field is written by the owner with relaxed atomic
 * stores and may be a moment apart from its neighbours.
 *
 * The layout may only grow at the end; EM_SEGMENT_VERSION changes when
 * anything before the end changes meaning.
 */
#ifndef EM_SEGMENT_H
#define EM_SEGMENT_H

#include <stdatomic.h>
#include <stdint.h>

#define EM_SEGMENT_NAME "extmem-stats"
#define EM_TABLE_NAME "extmem-pages"
#define EM_SEGMENT_MAGIC 0x31534d4554584545ull /* "EEXTEMS1", little endian */
#define EM_TABLE_MAGIC 0x31504d4554584545ull
#define EM_SEGMENT_VERSION 2u

typedef _Atomic uint64_t em_counter;

/*
 * Latency histogram: bucket b < 8 counts b * 128 ns .. (b + 1) * 128 ns; after
 * that four buckets for every power of two. See em_hist_bucket().
 */
#define EM_HIST_BUCKETS 96

/* Kinds of faults. Every fault is counted under one of them. */
enum em_fault_kind {
	EM_FAULT_FIRST, /* first touch: the page had never been written */
	EM_FAULT_SOFT,  /* answered from memory: standby, or a write to a clean page */
	EM_FAULT_MAJOR, /* read from a store */
	EM_FAULT_KINDS
};

/* Counters, one copy a shard; the sum over all shards is the figure. */
struct em_counters {
	em_counter faults[EM_FAULT_KINDS];
	em_counter fault_ns[EM_FAULT_KINDS];  /* sum of latencies */
	em_counter hist[EM_FAULT_KINDS][EM_HIST_BUCKETS];
	em_counter pages_in;       /* pages read from stores, read-ahead included */
	em_counter pages_readahead; /* of these, not asked for by a fault */
	em_counter pages_out;      /* pages written to stores */
	em_counter pages_clean;    /* evicted without a write: the slot was good */
	em_counter pages_zeroed;   /* first-touch pages mapped, fault-around included */
	em_counter pages_evicted;  /* pages that left the program's map */
	em_counter bytes_read, bytes_written; /* store traffic */
	em_counter reads, writes;  /* store operations */
	em_counter syscall_traps;  /* calls caught by the seccomp net */
	em_counter syscall_ranges; /* buffers that wrappers brought in */
	em_counter waits;          /* faults that waited for memory */
	em_counter wait_ns;
	em_counter direct_reclaims; /* batches evicted by a faulting thread */
	em_counter pages_prefetched; /* pages read into standby on a guess */
	em_counter prefetch_used;  /* of these, touched there */
	em_counter quota_waits;    /* faults that waited for a quota */
	em_counter quota_wait_ns;
	em_counter reserved[12];
};

#define EM_SHARDS 16

struct em_shard {
	_Alignas(128) struct em_counters c;
};

struct em_segment {
	uint64_t magic;
	uint32_t version;
	uint32_t bytes;            /* sizeof(struct em_segment) of the writer */
	uint32_t pid;
	uint32_t parent_pid;       /* of the fork that made it, else 0 */
	uint64_t start_ns;         /* CLOCK_REALTIME when management began */
	uint64_t page_bytes;
	uint64_t window_base, window_bytes;
	char command[64];          /* comm at the start */
	char library[32];          /* version of libextmem */
	char algorithm[32];
	char way_out[16];          /* "copy" or "move", as in force */
	char delivery[16];         /* "signal" or "thread", as in force */
	char syscall_net[16];      /* "on" or "off", as in force */
	char tier[64];             /* "file /var/tmp" */
	char config[6144];         /* the effective configuration, key=value lines */
	uint64_t start_mono_ns;    /* CLOCK_MONOTONIC, for rates since the start */
	uint64_t reserved0[7];

	/* Gauges. */
	_Alignas(128) em_counter limit_pages;
	em_counter credit_pages;   /* limit less what buffers hold: may be resident */
	em_counter buffer_pages;   /* cluster and read buffers, inside the limit */
	em_counter low_pages, high_pages; /* watermarks on free credits */
	em_counter mapped_bytes;   /* managed address space the program may touch */
	em_counter reserved_bytes; /* managed address space it may not touch (PROT_NONE) */
	em_counter regions;
	em_counter unmanaged_maps; /* mappings left to the kernel since the start */
	em_counter over_limit_events; /* times that a page had to go past the limit */
	em_counter store_bytes;    /* size of the swap file now */
	em_counter store_max_bytes;
	em_counter store_errors;
	em_counter threads;
	em_counter reserved1[16];

	/* The hot one: free credits. resident = credit_pages - free_pages. */
	_Alignas(128) _Atomic int64_t free_pages;
	em_counter peak_resident_pages;
	_Alignas(128) em_counter standby_pages; /* left the program, still in memory */
	em_counter stored_pages;   /* in a store only */
	em_counter clean_pages;    /* resident, and the store has the same bytes */
	em_counter reserved2[13];

	struct em_shard shards[EM_SHARDS];
};

/* The bucket that a latency of ns nanoseconds falls into. */
static inline unsigned int em_hist_bucket(uint64_t ns)
{
	uint64_t q = ns >> 7;

	if (q < 8)
		return (unsigned int)q;
	unsigned int log2 = 63u - (unsigned int)__builtin_clzll(q);
	unsigned int b = 8 + (log2 - 3) * 4 + (unsigned int)((q >> (log2 - 2)) & 3);
	return b < EM_HIST_BUCKETS ? b : EM_HIST_BUCKETS - 1;
}

/* The smallest latency of a bucket, in nanoseconds. */
static inline uint64_t em_hist_floor_ns(unsigned int b)
{
	if (b < 8)
		return (uint64_t)b << 7;
	unsigned int log2 = (b - 8) / 4 + 3;
	return ((4ull + (b - 8) % 4) << (log2 - 2)) << 7;
}

/* ---- extmem-pages ---------------------------------------------------- */

/* States of a page, in the low four bits of its word; page.h has the rest. */
enum em_page_state {
	EM_PAGE_UNTOUCHED, /* nothing is known of it but that it reads as zero */
	EM_PAGE_LOADING,   /* a thread is mapping it */
	EM_PAGE_RESIDENT,
	EM_PAGE_EVICTING,  /* reclaim is taking it out */
	EM_PAGE_STANDBY,   /* out of the program, still in a cluster buffer */
	EM_PAGE_STORED,
	EM_PAGE_BUSY,      /* held by munmap, mremap, madvise ... */
	EM_PAGE_FOREIGN,   /* in the window, but a mapping of the kernel's */
	EM_PAGE_LOST,      /* could not be read back: touching it raises SIGBUS */
	EM_PAGE_STATES
};

#define EM_WORD_STATE(w) ((enum em_page_state)((w) & 15))
#define EM_WORD_CLEAN 0x20u /* resident, and the slot holds the same bytes */

enum em_region_source { EM_SOURCE_MMAP, EM_SOURCE_HEAP, EM_SOURCE_FOREIGN };

/* What the program said of a region: madvise(2), or libextmem(3). */
enum em_hint {
	EM_HINT_NORMAL, EM_HINT_SEQUENTIAL, EM_HINT_RANDOM, EM_HINT_HOT, EM_HINT_COLD,
	EM_HINT_ONCE,
};

struct em_region {
	uint64_t start, end;  /* addresses, whole pages */
	uint32_t prot;        /* PROT_READ | PROT_WRITE | PROT_EXEC */
	uint32_t flags;       /* EM_REGION_* */
	uint32_t source;      /* enum em_region_source */
	uint32_t id;          /* counts up; stays when a region is split */
	char name[32];        /* "" unless the program gave one */
	uint64_t asked_bytes; /* as large as it was when it was mapped */
	uint64_t caller;      /* address of the code that mapped it, or 0 */
	uint32_t hint;        /* enum em_hint */
	uint32_t rule;        /* of the policy: 1 and more, or 0 */
};

#define EM_REGION_PINNED 1u    /* locked: does not leave */
#define EM_REGION_NO_FORK 2u   /* a child does not have it */
#define EM_REGION_WIPE_FORK 4u /* a child finds it empty */
#define EM_REGION_SEALED 8u    /* mseal: stays as it is */
#define EM_REGION_KEYED 16u    /* has a protection key: the kernel alone may read it */

#define EM_REGIONS_MAX 65536u
#define EM_BLOCK_PAGES 512u /* pages to a block: 2 MiB */

/*
 * The file starts with this; the arrays follow at the given offsets. A block
 * word of 0 says that no page of these 2 MiB was ever touched: skip it, its
 * page words are not there (holes read as zero).
 */
struct em_table_header {
	uint64_t magic;
	uint32_t version;
	uint32_t granule_pages;
	uint64_t window_base, window_bytes;
	uint64_t regions_off;  /* struct em_region[EM_REGIONS_MAX], sorted */
	uint64_t blocks_off;   /* _Atomic uint32_t[] */
	uint64_t granules_off; /* _Atomic uint32_t[] */
	uint64_t pages_off;    /* _Atomic uint64_t[] */
	_Atomic uint32_t region_count;
	_Atomic uint32_t region_seq; /* odd while regions change: read again */
	_Atomic uint64_t block_count; /* no block from here on was ever touched */
};

#endif
