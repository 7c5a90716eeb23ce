/* SPDX-License-Identifier: MIT
 *
 * prefetch: what is read before it is touched, where faults are not in sequence.
 *
 * Streams of neighbouring pages are read ahead and mapped (fault.c). All other
 * patterns are the business of a prefetcher: told of the faults of a thread, it
 * guesses pages, and the read-ahead threads put them into standby (standby.h).
 * A guess that was right is a soft fault then instead of a major one; a wrong
 * one is recycled without having been mapped. Which of the two it was is known
 * of every page, so accuracy is measured and throttles: the depth doubles while
 * nearly all guesses are right, halves while most are wrong, and at nothing
 * left only a few are tried to see whether things have changed.
 *
 * A prefetcher sees page numbers and nothing else. It runs in the fault handler:
 * it must not block, allocate or take longer than about 100 ns.
 */
#ifndef EM_PREFETCH_H
#define EM_PREFETCH_H

#include "ahead.h"
#include "thread.h"

#define EM_GUESSES_MAX 8u
#define EM_GUESS_DEPTH_MAX 32u

/* pages, each step (not 0) after the one before. */
struct em_guess {
	uint64_t page;
	int64_t step;
	uint32_t pages;
};

struct em_prefetch_ops {
	const char *name;
	size_t thread_bytes; /* state for each thread, at most EM_GUESS_BYTES, zero at first */
	size_t state_bytes;  /* for all threads, which do not exclude each other; zero at first */
	/*
	 * The thread touched a page that was away, or one that had been guessed.
	 * depth: how far to look ahead, 1 to EM_GUESS_DEPTH_MAX pages. Returns how
	 * many guesses are in out (EM_GUESSES_MAX). Pages that are there already
	 * cost nothing.
	 */
	size_t (*guess)(void *state, void *thread, uint64_t page, uint32_t depth,
			struct em_guess *out);
};

/*
 * Puts a prefetcher in force, also while others run: accuracy is learned anew.
 * 0 or -errno. name: as prefetch.algorithm has it.
 */
int em_prefetch_use(const char *name);
/* In a forked child: accuracy is learned anew. */
void em_prefetch_forked(void);
/* A fault of t on a page of no stream. EM_HANDLER */
void em_prefetch_tell(struct em_thread *t, uint64_t page);
/* A page that was guessed has been touched, or recycled untouched. EM_HANDLER */
void em_prefetch_judge(bool used);
/* Reads what a wish names into standby; for a read-ahead thread. EM_BLOCKS */
void em_prefetch_stage(const struct em_wish *w);

#endif
