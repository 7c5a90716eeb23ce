/* SPDX-License-Identifier: MIT
 *
 * thread: what the library keeps for each thread of the program.
 *
 * A record is claimed when a thread first needs one (possibly in the fault
 * handler) and never moves, so that reclaim can look at all of them without a
 * lock. It holds:
 *
 *   hazards   ranges that the kernel is working on for this thread: pages in
 *             them must not leave. Published with plain stores; reclaim makes
 *             them visible with membarrier(2) before it looks, so the fast
 *             path of a wrapped system call costs no fence.
 *   gate      whether the thread is inside the fault path; fork closes the
 *             gate to copy tables in which no page is half way.
 *   streams   where sequential faults of this thread are expected next.
 *   events    what the policy has not been told yet.
 */
#ifndef EM_THREAD_H
#define EM_THREAD_H

#include "extmem-policy.h"
#include "util.h"
#include <sys/types.h>

#define EM_HAZARDS 60
#define EM_STREAMS 8
#define EM_EVENTS 64u /* a power of two */

struct em_range {
	uintptr_t start, end;
};

struct em_hazard {
	struct em_range range;
	uintptr_t frame; /* of the function that makes the call */
};

struct em_stream {
	uint64_t above, below; /* pages that would continue it */
	uint32_t run_pages;    /* how many were mapped at once */
	uint32_t used;         /* clock of the thread's faults, for replacement */
	int8_t step;           /* +1 upwards, -1 downwards, 0 not known yet */
};

struct em_trace_buffer;

struct em_thread {
	_Atomic pid_t tid;          /* 0: free. Claimed by CAS */
	_Atomic uint32_t in_fault;  /* written by the thread, read by fork */
	_Atomic uint32_t hazard_count; /* written by the thread, read by reclaim */
	struct em_hazard hazards[EM_HAZARDS];
	/* The library's alternate stack, and the one the program asked for. */
	struct em_range own_stack, program_stack;

	struct em_stream streams[EM_STREAMS];
	uint32_t fault_clock;
	const void *guesser;        /* whose state that is: */
	_Alignas(8) unsigned char guess[EXTMEM_GUESS_THREAD_BYTES]; /* the prefetcher's (prefetch.h) */
	/* Its last faults (trace.h); NULL until there is one to record. */
	_Atomic(struct em_trace_buffer *) trace;
	uint64_t last_stale;        /* page of the last fault on a resident page */
	uint32_t stale_count;

	/* A ring: the thread writes head, the holder of the policy lock tail. */
	_Atomic uint32_t event_head, event_tail;
	uint64_t events[EM_EVENTS];

	_Alignas(4096) unsigned char page[4096]; /* a single page being read */
};

/* Reserves the records. 0 or -errno. */
int em_threads_init(void);
/* Gives back what rationed addresses (window.h) have no room for; as all such. */
void em_threads_fit_space(void);
/* In a forked child: only the caller is left. */
void em_threads_forked(void);

/* The caller's record, claimed if need be. EM_HANDLER */
struct em_thread *em_thread_self(void);
/* The record of a thread, if it has one; else NULL. */
struct em_thread *em_thread_of(pid_t tid);
/* Gives the caller's record back, when the thread ends. */
void em_thread_leave(void);
/* Calls visit for every record in use. EM_HANDLER */
void em_threads_visit(void (*visit)(struct em_thread *t, void *arg), void *arg);

/* ---- hazards --------------------------------------------------------- */

/*
 * Publishes a range; nested publications pile up and are taken back together:
 *	mark = em_hazard_mark(f);  em_hazard_add(.., f);  ...  em_hazard_drop(mark);
 * When the record is full the last range grows to span the new one: more is
 * kept than needed, never less.
 *
 * frame is the frame address of the caller. A signal handler may leave a call
 * by siglongjmp, and nobody takes its ranges back: em_hazard_mark() drops
 * those of frames that cannot be live any more, which are those below the new
 * one on the same stack. A handler runs on top of what it interrupted: code
 * on the library's alternate stack may have interrupted the program's, and
 * that the ordinary one, but never the other way round. EM_HANDLER
 */
uint32_t em_hazard_mark(uintptr_t frame);
void em_hazard_add(uintptr_t start, uintptr_t end, uintptr_t frame);
void em_hazard_drop(uint32_t mark);
/* em_hazard_mark and em_hazard_add in one, for the most frequent calls. EM_HANDLER */
uint32_t em_hazard_one(uintptr_t start, uintptr_t end, uintptr_t frame);

/*
 * Calls visit for all ranges in use by any thread, after a membarrier. For
 * reclaim. EM_HANDLER
 */
void em_hazards_visit(void (*visit)(const struct em_range *r, void *arg), void *arg);
/* The same at once: what has begun just now may be missed. For a guess. EM_HANDLER */
void em_hazards_glance(void (*visit)(const struct em_range *r, void *arg), void *arg);

/* ---- the gate -------------------------------------------------------- */

/* Around everything that owns a page in LOADING. May wait for a fork. */
void em_gate_enter(struct em_thread *t);
void em_gate_leave(struct em_thread *t);
/*
 * The same for a thread of the library's own that works for another one, or
 * for nobody known (NULL). It does not wait: while it waited for a fork, the
 * forking thread might wait for it. False: closed, and not entered.
 */
bool em_gate_try_enter(struct em_thread *t, const struct em_thread *client);
/*
 * Closes the gate to all but the caller and waits until nobody is inside: fork
 * handlers of the program may still touch memory. EM_BLOCKS
 */
void em_gate_close(void);
void em_gate_open(void);
bool em_gate_is_closed(void);
/* Whether t, which may be NULL, holds the gate closed. EM_HANDLER */
bool em_gate_is_closed_by(const struct em_thread *t);
/* Waits for the gate to open, for a moment. EM_BLOCKS */
void em_gate_nap(void);

#endif
