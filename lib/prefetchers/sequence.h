/* SPDX-License-Identifier: MIT
 *
 * sequence: the faults of an earlier run in order, which replay.c follows.
 *
 * Each thread's faults lie one after the other, in pieces that are linked: threads
 * are recorded in pieces. Any page leads to the places where it occurs, so that a
 * thread that left the course, or is another one than in that run, is found again.
 *
 *	pages   a page, or a link to where its thread goes on
 *	same    the next place with this page; the last one leads to the first
 *	index   by a hash of the page: the place where it was last met
 *
 * Place 0 is none. It lies in memory that was taken for it once, and is filled by
 * one thread before others read it; the index then changes, a word at a time.
 */
#ifndef EM_SEQUENCE_H
#define EM_SEQUENCE_H

#include "util.h"

#define EM_SEQUENCE_LINK (1u << 31)
/* Threads whose last piece is remembered while it is filled; of others it just ends. */
#define EM_SEQUENCE_THREADS 1024u

struct em_sequence {
	uint32_t count, room;      /* places in use, and in all */
	uint32_t index_shift;      /* 32 less the bits of the index */
	uint32_t *pages, *same;
	_Atomic uint32_t *index;
};

/* While it is filled: where the pieces of threads end. */
struct em_sequence_ends {
	uint32_t tid, piece;       /* whose piece it is now, and where it began */
	struct {
		uint32_t tid, link;
	} last[EM_SEQUENCE_THREADS];
};

/* What it takes for so many pages and pieces: 24 bytes each at most. */
size_t em_sequence_bytes(uint32_t places);
/* An empty one in so many bytes at `at`, which are zero. */
struct em_sequence *em_sequence_init(void *at, uint32_t places);
/* The next fault of thread tid; ends is zero at first. False: it is full. */
bool em_sequence_add(struct em_sequence *s, struct em_sequence_ends *ends, uint32_t tid,
		     uint32_t page);
/* After the last one. */
void em_sequence_end(struct em_sequence *s, struct em_sequence_ends *ends);

#endif
