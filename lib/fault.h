/* SPDX-License-Identifier: MIT
 *
 * fault: pages in. From a fault in the program (SIGBUS), or because a system
 * call is about to touch them.
 *
 * The life of a fault: take a credit (waiting, if need be, outside of
 * everything); pass the gate; own the page (LOADING); find the contents (a
 * zero page, a standby buffer, or the store); map it with UFFDIO_COPY;
 * publish RESIDENT; tell the policy.
 *
 * A fault that continues a stream of the thread maps a run of pages at once:
 * first touches, standby pages side by side in one buffer, and stored pages in
 * consecutive slots, read with one pread.
 *
 * Clean pages: a read fault maps the page write-protected and keeps its slot.
 * The first write is a soft fault that lifts the protection and gives the
 * slot back; a page that stays clean is evicted without being written.
 */
#ifndef EM_FAULT_H
#define EM_FAULT_H

#include "config.h"
#include "util.h"

struct em_thread;

enum em_fault_outcome {
	EM_FAULT_DONE,     /* the page is there: run the instruction again */
	EM_FAULT_NOT_OURS, /* a real bus error, or an address we do not manage */
	EM_FAULT_FAILED,   /* its contents cannot be had: a bus error, too */
	EM_FAULT_LATER,    /* only for em_fault_serve(): a fork is under way */
};

/*
 * Sets up read buffers; returns how many pages of memory they are, or -errno.
 * spawn starts the thread that reads ahead (ahead.h).
 */
int em_fault_init(const struct em_config *cfg, uint64_t limit_pages,
		  em_spawn *spawn);
/* Whether stored pages are read in runs from now on. */
void em_fault_set_streams(bool on);
/* After fork: nobody is reading. */
void em_fault_forked(void);

/*
 * Resolves a fault at addr. instruction: which it was, 0 where that is not known;
 * write: the access was a store; protection: the page was mapped (a store to a clean
 * page). Signals must be blocked. EM_HANDLER EM_BLOCKS
 */
enum em_fault_outcome em_fault_handle(uintptr_t addr, uintptr_t instruction, bool write,
				      bool protection);

/*
 * The same in a thread of the library's own, for the thread whose record is
 * client; NULL when it has none. EM_BLOCKS
 */
enum em_fault_outcome em_fault_serve(uintptr_t addr, bool write, bool protection,
				     struct em_thread *client);
/* Whether a fault at addr would have to wait now: for I/O or for others. */
bool em_fault_would_wait(uintptr_t addr);

/*
 * Makes [addr, addr + bytes) resident, writable if write is set, so that the
 * kernel can work on it. The range must have been published as a hazard
 * before. Pages that are there already cost one load each. Returns 0, or
 * -EFAULT when a page's contents cannot be had. EM_HANDLER EM_BLOCKS
 */
int em_fault_bring_in(uintptr_t addr, size_t bytes, bool write);

/*
 * Brings in what has left of pages [first, end), or all of it, for as long as
 * there are credits above the low watermark. EM_BLOCKS
 */
void em_fault_prefetch(uint64_t first, uint64_t end, bool all, bool write);

#endif
