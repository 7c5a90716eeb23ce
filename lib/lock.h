/* SPDX-License-Identifier: MIT
 *
 * lock: a mutex of one word that waits in the kernel, usable in the handler.
 *
 * The rules that keep a signal handler from waiting for the very thread it
 * interrupted: whoever takes one of these locks has signals blocked (the
 * fault handlers run that way; everybody else calls em_lock_enter, which does
 * both), and never touches managed memory while holding it.
 *
 * Lock order, outermost first; debug builds check it:
 *
 *   RECLAIM  the reclaim engine: cluster buffers, slots handed out, the ring
 *   MAP      what is mapped where: regions, claims on pages; one at a time
 *   POLICY   the lists of the eviction policy
 *   TRACE    a thread's buffer of recorded faults; one at a time
 */
#ifndef EM_LOCK_H
#define EM_LOCK_H

#include "sys.h"

enum em_lock_rank {
	EM_LOCK_RECLAIM = 1,
	EM_LOCK_MAP,
	EM_LOCK_POLICY,
	EM_LOCK_TRACE,
};

struct em_lock {
	_Atomic uint32_t word; /* 0 free, 1 held, 2 held and waited for */
	uint32_t rank;         /* enum em_lock_rank */
};

#define EM_LOCK_INIT(r) { 0, (r) }

/* Signals must be blocked. EM_HANDLER EM_BLOCKS */
void em_lock(struct em_lock *l);
bool em_trylock(struct em_lock *l);
void em_unlock(struct em_lock *l);
/* Whether somebody waits: long holders use it to let others pass. */
bool em_lock_contended(const struct em_lock *l);

/* Blocks signals, then takes the lock; and back. For all but the handlers. */
void em_lock_enter(struct em_lock *l, sigset_t *old);
void em_lock_leave(struct em_lock *l, const sigset_t *old);

#endif
