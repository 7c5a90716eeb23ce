/* SPDX-License-Identifier: MIT
 *
 * reclaim: pages out. One batch at a time, under the reclaim lock, by the
 * reclaim thread ahead of need or by a faulting thread that found no credit.
 *
 * The life of a batch:
 *
 *   1. an empty cluster is had from standby (its old pages become STORED);
 *   2. the policy names granules; their resident pages become EVICTING,
 *      except those the kernel is working on (hazards);
 *   3. out by copy: the runs are write-protected (a writer now waits), copied
 *      into the cluster and dropped from the map with one vectored call; or
 *      out by move: UFFDIO_MOVE takes them into the cluster;
 *   4. the pages become STANDBY, their credits are given back;
 *   5. the cluster is written asynchronously.
 *
 * A TLB shootdown is what all this costs, so one must cover many pages: write
 * protection spans whole granules over their holes, and the drop is one call
 * a batch. While a granule is protected over its holes it is shut: no fault
 * maps a page into it, and none that was under way may be in it.
 *
 * The thread starts when the program has mapped more than its limit; a
 * program that cannot need it never has it.
 */
#ifndef EM_RECLAIM_H
#define EM_RECLAIM_H

#include "config.h"
#include "sys.h"
#include "util.h"

struct em_thread;

/*
 * Whether pages leave by MOVE: as configured, or else where MOVE is there and
 * either this kernel cannot drop scattered pages with one call, or the kernel
 * itself may fault pages in (by_thread) and pin them where no wrapper sees it:
 * MOVE alone notices that.
 */
bool em_reclaim_by_move(const struct em_config *cfg, const struct em_sys_features *f,
			bool by_thread);
void em_reclaim_init(const struct em_config *cfg, const struct em_sys_features *f,
		     bool by_thread, em_spawn *spawn);
/* In a forked child: no thread yet. */
void em_reclaim_forked(bool by_thread);

/* The program has mapped so much by now; remembers that a thread is due. */
void em_reclaim_note_mapped(uint64_t bytes);
/* Starts the thread if it is due. Never from a handler or an allocator hook. */
void em_reclaim_start_if_due(void);
/* Something else that begins when the thread does. */
void em_reclaim_also_start(void (*start)(void));

/* Wakes the thread when credits are below the low watermark. EM_HANDLER */
void em_reclaim_kick(void);
/*
 * Gets one credit when there was none to be had: evicts, or waits for who
 * does, or goes past the limit when nothing can leave. client: the thread that
 * needs it, which need not be the caller, and may be unknown (NULL). Only a
 * caller that works for another thread comes back without a credit, with
 * false: when a fork is under way, for which it must not wait.
 * EM_HANDLER EM_BLOCKS
 */
bool em_reclaim_need_credit(const struct em_thread *client);
/*
 * Evicts one batch if regions of this rule have far more than they may have, for a
 * thread that brings in more of them, as above. Comes back at once when that has just
 * been in vain. EM_HANDLER EM_BLOCKS
 */
void em_reclaim_help(const struct em_thread *client, unsigned int rule);
/* Evicts one batch. 0, or -errno: -ENOENT when nothing can leave. EM_HANDLER */
int em_reclaim_batch(void);

/*
 * MADV_PAGEOUT: evicts what is resident of the granules that [first, end)
 * pages lie in. Never from the handler. EM_BLOCKS
 */
void em_reclaim_range(uint64_t first, uint64_t end);

/* Tells the policy of a page that came by another way than a fault. */
void em_reclaim_tell_resident(uint64_t page);
/* Whether UFFDIO_MOVE is there. */
bool em_reclaim_can_move(void);

/* Around fork and mremap. Signals blocked. */
void em_reclaim_lock(void);
bool em_reclaim_trylock(void);
void em_reclaim_unlock(void);

#endif
