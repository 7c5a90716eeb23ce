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
 * gives them back (em_slots_pin).
 */
#ifndef EM_SLOTS_H
#define EM_SLOTS_H

#include "page.h"

int em_slots_init(void);

/*
 * Hands out up to want slots that follow each other; returns how many and the
 * first. 0: the store is full. Reclaim lock. EM_HANDLER
 */
size_t em_slots_take(size_t want, em_slot *first);
/* Gives one back; a slot of an ancestor's file is none of our business. EM_HANDLER */
void em_slot_give(em_slot slot);

uint64_t em_slots_used(void);

/*
 * Keeps all slots now in use until fd, the reading end of a pipe whose other
 * end the child alone holds, says that the child is gone. Before the fork.
 * Returns 0 or -errno.
 */
int em_slots_pin(int fd);
/* In the child: nothing of our own file is in use. */
void em_slots_forked(void);

#endif
