/* SPDX-License-Identifier: MIT
 *
 * slots: which pages of the store are in use.
 *
 * A bitmap. Handing out happens under the reclaim lock; giving back is one
 * atomic operation from anywhere, the fault handler too. Pages that leave
 * together get slots one after the other, so that they can be written and
 * read back together: whole free words first, then room is made by growing
 * the store, and only when the store is large compared with what lives in it,
 * or cannot grow, are scattered slots used.
 *
 * Fork: a living child may read any slot that was in use when it was made, so
 * these are not handed out again until the child is gone, even if the parent
 * gives them back (em_slots_pin). Children are remembered in a few groups, each
 * with a bitmap; when there are more children than groups, neighbours in time
 * share one, and their slots are free when the last of them is gone.
 */
#ifndef EM_SLOTS_H
#define EM_SLOTS_H

#include "page.h"

int em_slots_init(void);
/* Gives back what rationed addresses have no room for. Reclaim lock. */
void em_slots_fit_space(void);

/*
 * Hands out up to want slots that follow each other; returns how many and the
 * first. 0: the store is full. Reclaim lock. EM_HANDLER
 */
size_t em_slots_take(size_t want, em_slot *first);
/* Gives one back; a slot of an ancestor's file is none of our business. EM_HANDLER */
void em_slot_give(em_slot slot);

uint64_t em_slots_used(void);

/*
 * Keeps all slots now in use until the child with this number (watch.h) is
 * gone; EM_CHILD_UNWATCHED: for ever. Without memory for a bitmap everything
 * that the store has now is kept for ever. Reclaim lock.
 */
#define EM_CHILD_UNWATCHED UINT64_MAX
void em_slots_pin(uint64_t child);
/* In the child: nothing of our own file is in use. */
void em_slots_forked(void);

#endif
