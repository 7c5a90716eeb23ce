/* SPDX-License-Identifier: MIT
 *
 * standby: the cluster buffers. Pages on their way out, and the access bit.
 *
 * The buffers are a ring of clusters, each a few dozen pages of contiguous
 * memory that reclaim fills, writes to the store in one piece, and leaves
 * alone until its turn comes again. All that time its pages can be had back
 * without I/O: a touch of a page in STANDBY is a soft fault, and tells the
 * policy that the page was in use after all. A stock kernel has no better
 * reference bit for a process without privilege (this is the page buffering
 * of VMS). The memory counts inside the limit.
 *
 *   FREE --> FILLING --> WRITING --> READY --> (recycled) FILLING ...
 *                           \--> FAILED: kept, tried again, never dropped
 *
 * Who may touch what: states, counts and order belong to the holder of the
 * reclaim lock. An entry (one page of a cluster) is shared with faults and
 * range operations that take its page away: two flags set by fetch_or decide
 * who gives the slot back, exactly once:
 *
 *   WRITTEN  set when the write has ended well
 *   DEAD     set by who took the page away and does not want the slot
 *   the second of the two to be set finds the first one, and gives it back.
 *
 * Guesses (prefetch.h) come the other way: a cluster is kept open for them, their
 * pages are read into it and become STANDBY. GUESSED in an entry tells whether
 * the page was touched before its turn came. So do the marks of streams, one page
 * of each run that is mapped ahead of need: a touch of it says how far the stream
 * has come, and nothing more.
 */
#ifndef EM_STANDBY_H
#define EM_STANDBY_H

#include "page.h"

#define EM_CLUSTER_PAGES_MAX 128u

/* How a page came to be in its buffer. */
enum em_entry_kind { EM_ENTRY_EVICTED, EM_ENTRY_GUESS, EM_ENTRY_MARK };

enum em_cluster_state {
	EM_CLUSTER_FREE, EM_CLUSTER_FILLING, EM_CLUSTER_WRITING,
	EM_CLUSTER_READY, EM_CLUSTER_FAILED,
};

struct em_cluster {
	enum em_cluster_state state;
	uint32_t count;       /* pages in it */
	uint32_t dirty;       /* the first so many need writing */
	uint32_t writes_left; /* writes under way */
	int error;
	_Atomic uint32_t reading; /* reservations that are not done */
	_Atomic uint64_t entries[EM_CLUSTER_PAGES_MAX]; /* page, and flags above */
	em_slot slots[EM_CLUSTER_PAGES_MAX];
};

/*
 * pages: memory for all buffers; the cluster size follows from it.
 * registered: make the buffers a destination for UFFDIO_MOVE. 0 or -errno.
 */
int em_standby_init(uint64_t pages, unsigned int granule_pages, bool registered);
/*
 * Around fork. prepare: waits until no write is under way. The buffers are not
 * inherited, since all that is in them is in the store, too; but for clusters
 * that cannot be written: the child gets these pages back as residents.
 * forked: in the child, with the window registered. 0 or -errno. EM_BLOCKS
 */
void em_standby_fork_prepare(void);
void em_standby_fork_parent(void);
int em_standby_forked(void);

/* Pages that one cluster takes. */
unsigned int em_cluster_pages(void);
/* The buffer number of page i of a cluster, and its memory. */
int64_t em_cluster_buffer(const struct em_cluster *c, uint32_t i);
void *em_buffer_memory(int64_t buffer);

/* ---- for reclaim, under its lock -------------------------------------- */

/*
 * The oldest cluster, emptied: its pages are STORED now. Waits for its write
 * if need be. NULL when no cluster can be written out: *error says why.
 * EM_HANDLER EM_BLOCKS
 */
struct em_cluster *em_standby_acquire(int *error);
/* Records page as number i of a cluster being filled. */
void em_cluster_put(struct em_cluster *c, uint32_t i, uint64_t page, em_slot slot);
/* Starts to write the first `dirty` of `count` pages. */
void em_cluster_submit(struct em_cluster *c, uint32_t count, uint32_t dirty);
/* Gives an acquired cluster back unused. */
void em_cluster_cancel(struct em_cluster *c);
/*
 * Room for pages that the store has, guesses or marks: returns for how many of
 * them, at most count, and the buffer of the first; the others follow. The cluster
 * is not emptied before em_standby_reserved_done(). 0: there is none. EM_BLOCKS
 */
uint32_t em_standby_reserve(const uint64_t *pages, uint32_t count, enum em_entry_kind kind,
			    int64_t *buffer);
/* Takes note of writes that have ended. */
void em_standby_reap(bool wait);
/* Waits until no write is under way. EM_BLOCKS */
void em_standby_drain(void);

/* ---- for who owns a page ---------------------------------------------- */

/* Reads count slots into reserved buffers. 0 or -errno. EM_BLOCKS */
int em_standby_read(int64_t buffer, em_slot slot, uint32_t count);
/* The same of one page, which has been read already. */
int em_standby_fill(int64_t buffer, const void *contents);
/* The page of an owned word, which was stored, is STANDBY in this buffer now. */
void em_standby_put(uint64_t page, uint64_t owned, int64_t buffer);
/* All pages of a reservation are STANDBY now, or what they were. */
void em_standby_reserved_done(int64_t buffer);

/*
 * Gives back what an owned word holds (slot, buffer) and corrects the gauges:
 * the page is about to become something else. EM_HANDLER
 */
void em_standby_release(uint64_t owned);
/* Whether the store holds what is in this buffer; stays so once it is. EM_HANDLER */
bool em_standby_is_written(int64_t buffer);
/*
 * The page of an owned word was STANDBY and becomes resident. keep: it stays
 * clean and keeps its slot, which must be written; otherwise the slot is given
 * back. EM_HANDLER
 */
enum em_entry_kind em_standby_take(uint64_t owned, bool keep);
/* The page put here, in a cluster not yet submitted, stays resident after all. */
void em_standby_void(int64_t buffer);
/* The page in this buffer has another number now (mremap; both locks held). */
void em_standby_retarget(int64_t buffer, uint64_t page);

#endif
