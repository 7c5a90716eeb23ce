/* SPDX-License-Identifier: MIT
 *
 * ahead: the part of a stream that is read before it is touched.
 *
 * A thread that walks through stored memory reads one run itself and asks for
 * the next ones here; threads of the library's own read and map those in the
 * meantime, so that the disk has several at once. What is asked for is a hint:
 * it may be done late or not at all, and the fault that comes then does the
 * work.
 *
 * A thread starts with a wish for which nobody is idle, so a program without
 * streams never has one, and sleeps when there is nothing to do.
 */
#ifndef EM_AHEAD_H
#define EM_AHEAD_H

#include "util.h"

#define EM_AHEAD_THREADS 6u

#define EM_WISH_PAGES_MAX 127u
#define EM_WISH_STEP_MAX 8191

/*
 * Pages from `page` on, each `step` after the one before: at most the above of
 * each. Those of a stream, with a step of 1 or -1, are mapped.
 */
struct em_wish {
	uint64_t page;
	uint32_t pages;
	int64_t step;
	bool write; /* it will be written to */
	bool stage; /* a guess: into standby, not mapped (prefetch.h) */
};

/*
 * fulfil is called in the thread of our own, signals blocked; spawn starts it
 * (worker.h: em_worker_start()).
 */
void em_ahead_init(em_spawn *spawn, void fulfil(const struct em_wish *w));
/* In a forked child: no thread yet, and nothing wished for. */
void em_ahead_forked(void);
/* No thread is started from now on: the program locks itself in. */
void em_ahead_settle(void);
/* Asks; forgotten when there are too many wishes already. EM_HANDLER */
void em_ahead_ask(const struct em_wish *w);
/* Forgets what was guessed and not begun: it would take the place of better guesses. */
void em_ahead_drop_guesses(void);

#endif
