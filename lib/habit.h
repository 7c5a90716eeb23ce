/* SPDX-License-Identifier: MIT
 *
 * habit: what a page did the last times.
 *
 * The policy decides by granules, and what is wanted all the time often lies among
 * what is not: keys beside values, the heads of objects beside their bodies. A page
 * that comes back soon after it has left is *spared* when next its granule is
 * chosen; when it has left again and come back again, twice as often and once more,
 * as often as eviction.spare says at the most. One that does not come back soon
 * begins anew. The rest of the granule leaves.
 *
 * A page that is read first comes in clean, and when it is written to then, that is a
 * fault of its own. Most instructions are the same in this each time: a look-up reads
 * and no more, what replaces a value looks at the old one first. So it is remembered
 * which instruction brought a page in, and whether it was written to before it left;
 * where it mostly was, the next page comes in writable. One in sixteen of those
 * comes in clean nevertheless, and shows whether it is still so.
 *
 * All of this is advice. Words are changed by all threads without a lock, and what one
 * loses of another's is not missed. A forked child begins without.
 *
 *    31          16 15          6 5          3 2          0
 *   +--------------+-------------+------------+------------+
 *   | when it left | instruction | times left | times last |
 *   +--------------+-------------+------------+------------+
 */
#ifndef EM_HABIT_H
#define EM_HABIT_H

#include <stdbool.h>
#include <stdint.h>

/* How often a page may be spared: 0 to 7. */
void em_habit_set(unsigned int spare_max);
/* So many pages have left. The reclaim lock is held. EM_HANDLER */
void em_habit_count(uint64_t pages);
/* A page leaves; unwritten: nobody wrote to it since it came in. EM_HANDLER */
void em_habit_left(uint64_t page, bool unwritten);
/* It came back because it was touched, not because others were. EM_HANDLER */
void em_habit_back(uint64_t page);
/* Whether it stays, though its granule was chosen. EM_HANDLER */
bool em_habit_spares(uint64_t page);
/*
 * It came in for the instruction at this address (0: not known), which reads:
 * whether it will be written to before it leaves. EM_HANDLER
 */
bool em_habit_will_write(uint64_t page, uintptr_t instruction);
/* It came in clean, and is written to now. EM_HANDLER */
void em_habit_wrote(uint64_t page);

#endif
