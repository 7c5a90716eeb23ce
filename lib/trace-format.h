/* SPDX-License-Identifier: MIT
 *
 * trace-format: a recorded trace, as `extmem run --trace` leaves it; the same
 * in words is extmem-trace(5).
 *
 * A file is a sequence of parts: one of each program that the process became by
 * exec, and blocks of its records. A block stands for itself, and was written by
 * one call: what is lost with a process that is killed is never in the middle.
 * Blocks of several threads are in the order in which they became full; records
 * in a block are in order of time. Numbers are little endian.
 *
 * A record is one or two varints (seven bits a byte, the lowest first, the
 * highest bit of a byte says that another one follows):
 *
 *	zigzag(page - page before) << 4 | write << 3 | kind
 *	time - time before, in nanoseconds
 *
 * Pages are counted from the window's base. Page and time before the first record are
 * 0 and the block's start. EM_TRACE_THREAD is no fault, and has no time: the
 * records after it are of thread (varint >> 4).
 */
#ifndef EM_TRACE_FORMAT_H
#define EM_TRACE_FORMAT_H

#include <stdint.h>

#define EM_TRACE_MAGIC "EMTRACE\n"
#define EM_TRACE_BLOCK_MAGIC "EMBLOCK\n"
#define EM_TRACE_VERSION 1u
#define EM_TRACE_MAGIC_BYTES 8u

enum em_trace_kind {
	EM_TRACE_FIRST,  /* first touch */
	EM_TRACE_SOFT,   /* found in memory, on standby */
	EM_TRACE_MAJOR,  /* read from a store */
	EM_TRACE_CLEAN,  /* write to a page that was clean: it is dirty now */
	EM_TRACE_RACED,  /* another thread was faster: it was there already */
	EM_TRACE_KINDS,
	EM_TRACE_THREAD = 7,
};

#define EM_TRACE_WRITE 8u
#define EM_TRACE_TAG_BITS 4u
#define EM_TRACE_VARINT_MAX 10u

/* A program: how to read the blocks up to the next one. */
struct em_trace_program {
	char magic[EM_TRACE_MAGIC_BYTES];
	uint32_t bytes;          /* of this part; what a later version adds is at its end */
	uint32_t version;
	uint32_t pid;
	uint32_t page_bytes, granule_bytes;
	uint32_t reserved;
	uint64_t window_base, window_bytes;
	uint64_t limit_bytes;
	uint64_t start_ns;       /* CLOCK_REALTIME */
	uint64_t start_mono_ns;  /* the clock of the records, at the same moment */
	uint64_t process_start;  /* in ticks since boot: with pid, which process it is */
	char command[16];
	char algorithm[16];
};

struct em_trace_block {
	char magic[EM_TRACE_MAGIC_BYTES];
	uint32_t bytes;          /* with this head */
	uint32_t count;          /* of faults */
	uint64_t start_ns;       /* of the first record, monotonic */
	uint32_t tid;            /* 0: not known */
	uint32_t reserved;
};

#endif
