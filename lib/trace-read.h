/* SPDX-License-Identifier: MIT
 *
 * trace-read: what is in the parts of a recorded trace (trace-format.h), whatever
 * their bytes are: for the commands, and for the library that replays one.
 */
#ifndef EM_TRACE_READ_H
#define EM_TRACE_READ_H

#include "trace-format.h"
#include <stdbool.h>

/* No block has more; the library's have 8 KiB. */
#define EM_TRACE_BLOCK_MAX (1u << 20)

/* In the middle of a block. */
struct em_trace_cursor {
	const unsigned char *at, *end;
	uint64_t pages;   /* that the window has: beyond, nothing makes sense */
	uint64_t page, time_ns; /* of the last fault, as all below */
	uint32_t tid;
	uint32_t left;    /* faults that the block has yet to give */
	enum em_trace_kind kind;
	bool write;
};

/* Whether sizes and addresses make sense: then it has pages and a window. */
bool em_trace_program_is_good(const struct em_trace_program *p);
/* Before the first fault of p's block with that head, whose records are given. */
void em_trace_open(struct em_trace_cursor *c, const struct em_trace_program *p,
		   const struct em_trace_block *head, const unsigned char *records,
		   uint32_t bytes);
/* Goes on to the next fault. False at the end (left: 0), and at what makes no sense. */
bool em_trace_next(struct em_trace_cursor *c);

#endif
