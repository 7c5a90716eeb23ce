/* SPDX-License-Identifier: MIT
 *
 * credits: the limit, kept exactly.
 *
 * One credit is the right to have one page resident. A fault takes it before
 * the page is mapped, reclaim gives it back after the page is gone; buffers
 * were taken out of the limit beforehand. So resident <= limit at every
 * moment, and the one exception is counted: em_credits_force, when nothing
 * can be evicted (stores full, everything in use by the kernel).
 *
 * The count lives in the segment, where `extmem stat` reads it.
 */
#ifndef EM_CREDITS_H
#define EM_CREDITS_H

#include "util.h"

/* pages: all that may be resident. */
void em_credits_init(uint64_t pages);
/* The watermarks on free ones. */
void em_credits_set_marks(uint64_t low, uint64_t high);
/* More may be resident. */
void em_credits_grow(uint64_t pages);
/*
 * Fewer may be: up to so many pages, of those that are free now above half of
 * the low mark, so that no fault waits for it. Returns how many.
 */
uint64_t em_credits_shrink(uint64_t pages);
/* After fork, in the child: nobody waits, and so many pages are resident. */
void em_credits_forked(uint64_t resident);

/* Takes up to want credits; returns how many, 0 when there are none. EM_HANDLER */
unsigned int em_credits_take(unsigned int want);
/* Takes one past the limit and counts the event. EM_HANDLER */
void em_credits_force(void);
/* EM_HANDLER */
void em_credits_give(uint64_t pages);

int64_t em_credits_free(void);
bool em_credits_below_low(void);
bool em_credits_below_high(void);
/* Sleeps until credits were given, or for a few milliseconds. EM_HANDLER EM_BLOCKS */
void em_credits_wait(void);

#endif
