/* SPDX-License-Identifier: MIT
 *
 * page: the state of every page of the window, one atomic word each.
 *
 *    63        44 43                      8 7     5     4      3     0
 *   +------------+-------------------------+---+-----+------+--------+
 *   | buffer + 1 | slot + 1 (file : number)|was|clean|waiter| state  |
 *   +------------+-------------------------+---+-----+------+--------+
 *
 *      untouched --> loading --> resident <--> evicting --> standby
 *                       ^            ^                         | |
 *                       |            +---- (soft fault) -------+ |
 *                       +------------- stored <------------------+
 *
 * Only this file changes a word, always by compare-and-swap. LOADING,
 * EVICTING and BUSY are owned: the thread that set them alone moves the page
 * on; everybody else waits in em_page_wait(). An owned word keeps slot and
 * buffer of the state before, so that whoever owns the buffer knows that a
 * loader reads from it.
 *
 *   LOADING   a fault maps the page             (fault.c)
 *   EVICTING  reclaim takes it out              (reclaim.c)
 *   BUSY      a range operation holds it        (region.c)
 */
#ifndef EM_PAGE_H
#define EM_PAGE_H

#include "window.h"

#define EM_WORD_STATE_MASK 15ull
#define EM_WORD_WAITER 0x10ull
#define EM_WORD_WAS_SHIFT 6
#define EM_WORD_SLOT_SHIFT 8
#define EM_WORD_SLOT_MASK ((1ull << 36) - 1)
#define EM_WORD_BUFFER_SHIFT 44

/* A slot names a file (0 is the oldest ancestor's) and a page in it. */
#define EM_SLOT_NONE 0ull
#define EM_SLOT_NUMBER_BITS 30
#define EM_SLOT_FILES 63u
typedef uint64_t em_slot; /* EM_SLOT_NONE, or (file << 30 | number) + 1 */

static inline em_slot em_slot_make(unsigned int file, uint64_t number)
{
	return ((uint64_t)file << EM_SLOT_NUMBER_BITS | number) + 1;
}

static inline unsigned int em_slot_file(em_slot s)
{
	return (unsigned int)((s - 1) >> EM_SLOT_NUMBER_BITS);
}

static inline uint64_t em_slot_number(em_slot s)
{
	return (s - 1) & ((1ull << EM_SLOT_NUMBER_BITS) - 1);
}

static inline em_slot em_word_slot(uint64_t w)
{
	return w >> EM_WORD_SLOT_SHIFT & EM_WORD_SLOT_MASK;
}

/* The page of the standby buffers that holds the contents; -1 when none does. */
static inline int64_t em_word_buffer(uint64_t w)
{
	return (int64_t)(w >> EM_WORD_BUFFER_SHIFT) - 1;
}

/* What an owned page was before somebody took it. */
enum em_page_was { EM_WAS_UNTOUCHED, EM_WAS_RESIDENT, EM_WAS_AWAY, EM_WAS_OUTSIDE };

static inline enum em_page_was em_word_was(uint64_t w)
{
	return (enum em_page_was)(w >> EM_WORD_WAS_SHIFT & 3);
}

static inline uint64_t em_word_make(enum em_page_state state, em_slot slot,
				    int64_t buffer, bool clean)
{
	return (uint64_t)state | (clean ? EM_WORD_CLEAN : 0) |
	       slot << EM_WORD_SLOT_SHIFT |
	       (uint64_t)(buffer + 1) << EM_WORD_BUFFER_SHIFT;
}

static inline uint64_t em_page_load(uint64_t page)
{
	/* Acquire pairs with the release in em_page_set: who sees RESIDENT
	 * sees the mapping, who sees STANDBY sees the buffer's contents. */
	return atomic_load_explicit(&em_pages[page], memory_order_acquire);
}

/* What an owned word was before it was owned. */
static inline uint64_t em_word_unowned(uint64_t w)
{
	bool clean = w & EM_WORD_CLEAN;
	int64_t buffer = em_word_buffer(w);

	switch (em_word_was(w)) {
	case EM_WAS_UNTOUCHED:
		return em_word_make(EM_PAGE_UNTOUCHED, EM_SLOT_NONE, -1, false);
	case EM_WAS_RESIDENT:
		return em_word_make(EM_PAGE_RESIDENT, em_word_slot(w), -1, clean);
	case EM_WAS_AWAY:
		return em_word_make(buffer >= 0 ? EM_PAGE_STANDBY : EM_PAGE_STORED,
				    em_word_slot(w), buffer, false);
	default:
		return em_word_make(em_word_slot(w) ? EM_PAGE_LOST : EM_PAGE_FOREIGN,
				    em_word_slot(w), -1, false);
	}
}

/*
 * Takes a page from the state seen in `seen` into an owned state; slot and
 * buffer stay readable in the word. False when it has changed meanwhile.
 * A full barrier: pairs with the flags of granules and the hazards. EM_HANDLER
 */
bool em_page_own(uint64_t page, uint64_t seen, enum em_page_state state);

/* Ends ownership: publishes the new word and wakes who waits. EM_HANDLER */
void em_page_set(uint64_t page, uint64_t word);

/*
 * STANDBY to STORED, when its buffer is wanted for something else. Returns
 * the word that stood there before when it was not STANDBY in that buffer.
 */
bool em_page_retire(uint64_t page, int64_t buffer, uint64_t *seen);

/* Waits until the page's word is no longer `seen`. EM_HANDLER EM_BLOCKS */
void em_page_wait(uint64_t page, uint64_t seen);

/* Marks the page's block as touched. EM_HANDLER */
void em_block_touch(uint64_t page);
/* Whether no page of this block was ever touched: there is nothing to do. */
bool em_block_is_virgin(uint64_t block);

/* Of any number, also one that is no page of the window. EM_HANDLER */
static inline enum em_page_state em_page_state_of(uint64_t page)
{
	if (page >= em_window_bytes() >> EM_PAGE_SHIFT ||
	    em_block_is_virgin(em_block_of_page(page)))
		return EM_PAGE_UNTOUCHED;
	return EM_WORD_STATE(em_page_load(page));
}

/* ---- granules -------------------------------------------------------- */

/* The policy has this granule in its lists. */
#define EM_GRANULE_QUEUED 1u
/* Write protection is being changed: nobody maps a page here now. */
#define EM_GRANULE_SHUT 2u
#define EM_GRANULE_WAITER 4u

static inline uint64_t em_granule_of(uint64_t page)
{
	return page >> em_granule_shift();
}

/* Sets QUEUED; true when it was not set before. EM_HANDLER */
bool em_granule_enqueue(uint64_t granule);
void em_granule_dequeued(uint64_t granule);
/*
 * Shuts a granule so that no page of it gets mapped, and opens it again. A
 * loader first owns its page and then looks at the granule; the one who shuts
 * sets the flag and then looks at the pages: one of the two sees the other.
 */
void em_granule_shut(uint64_t granule);
void em_granule_open(uint64_t granule);
/* Waits while the granule is shut. EM_HANDLER EM_BLOCKS */
void em_granule_pass(uint64_t granule);

#endif
