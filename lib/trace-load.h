/* SPDX-License-Identifier: MIT
 *
 * trace-load: the recording of an earlier run, as the sequence that is replayed
 * (prefetchers/sequence.h).
 *
 * It is read once, when a policy names it, into memory that is taken for it then and
 * is not the program's: 64 MiB at most, whatever the file has. What is in it are
 * numbers of pages. Whoever could write it could at worst have pages read that nobody
 * needs, which stops by itself (prefetch.h); so anybody's file will do.
 *
 * Pages are counted from the window's base, where a program that maps the same in
 * the same order has them again: the kernel's random addresses do not matter.
 */
#ifndef EM_TRACE_LOAD_H
#define EM_TRACE_LOAD_H

#include "util.h"

struct em_sequence;

struct em_recorded {
	struct em_sequence *sequence; /* NULL: none */
	size_t bytes;
};

/*
 * Reads what a program of this name did in that run. 0, or -errno with a line in
 * err; -ENODATA if there is nothing of that program. What is cut is good up to
 * there, what is longer than there is room for as well. EM_BLOCKS
 */
int em_trace_load(const char *path, const char *command, struct em_recorded *out, char *err,
		  size_t err_bytes);
void em_trace_unload(struct em_recorded *r);
/* No file is opened from now on: the program locks itself in. */
void em_trace_load_settle(void);

#endif
