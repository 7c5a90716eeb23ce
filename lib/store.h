/* SPDX-License-Identifier: MIT
 *
 * store: where pages go when they leave memory. The contract of a backend.
 *
 * A store is an array of page-sized slots. The core decides which slot holds
 * what; a backend reads, writes and grows. The core calls it only through
 * em_store_* below, which check and count.
 *
 * Rules for a backend: read() runs in the fault handler of any thread, several
 * at once; everything else runs under the reclaim lock. Nothing allocates.
 * A transfer that is not whole is an error, never success. Buffers are
 * page-aligned.
 *
 * A new backend is one file in stores/, one line in the registry in store.c,
 * one in local.mk, one choice in config.c, and one paragraph in
 * extmem-policy(5).
 */
#ifndef EM_STORE_H
#define EM_STORE_H

#include "config.h"
#include "page.h"

/* A write that has ended: its token, and 0 or -errno. */
struct em_store_done {
	uint64_t token;
	int error;
};

struct em_store_ops {
	const char *type;

	/* Opens it. 0 or -errno, said once in the log. */
	int (*open)(const struct em_tier_config *cfg);
	/* Makes room for at least pages slots in all: 0, or -ENOSPC and the like. */
	int (*grow)(uint64_t pages);
	/*
	 * Reads count pages from slot on. 0 or -errno. file tells whose store:
	 * an ancestor's after fork, or our own.
	 */
	int (*read)(unsigned int file, uint64_t slot, void *buf, size_t count);
	/*
	 * Starts to write count pages; buf stays untouched until the token comes
	 * back from reap(). 0 or -errno; then the token does not come back.
	 * async: the write may end later. Not for a thread of the program: the
	 * kernel tells the thread that submitted by interrupting its next
	 * blocking call, and a recv for all bytes would fall short.
	 */
	int (*submit)(uint64_t slot, const void *buf, size_t count, uint64_t token,
		      bool async);
	/* Collects up to max ended writes; waits for one if wait is set. */
	size_t (*reap)(struct em_store_done *done, size_t max, bool wait);
	/*
	 * In a forked child: nothing is under way, its own store is not open yet
	 * and has number `own`; of those of ancestors only the ones in `keep`, a
	 * bit for each number, will be read again. Also called when one of them
	 * has been emptied.
	 */
	void (*forked)(unsigned int own, uint64_t keep);
	/* Nothing is under way, and from now on all writes are made at once. */
	void (*synchronous)(void);
};

/* "file"; NULL when there is none of that name. */
const struct em_store_ops *em_store_find(const char *type);

/*
 * Remembers the configuration; opens nothing yet. The first write opens the
 * store, so that a program that fits its limit leaves no trace anywhere.
 */
int em_store_init(const struct em_config *cfg);
/*
 * In a forked child. keep: a bit for each file in which it has pages; the
 * others are closed. watched: the descriptor that tells the parent that the
 * child needs its file, or -1. -EAGAIN when no number is left for its own file.
 */
int em_store_forked(uint64_t keep, int watched);
/* Closes ancestors' files but for those in keep. */
void em_store_keep(uint64_t keep);
/* Opens the store if that has not been done. Reclaim lock. 0 or -errno. */
int em_store_ensure_open(void);
/* No write is under way: from now on each is made at once. Reclaim lock. */
void em_store_synchronous(void);

/* EM_HANDLER EM_BLOCKS. All pages lie in one file, slots one after the other. */
int em_store_read(em_slot slot, void *buf, size_t count);
int em_store_submit(em_slot slot, const void *buf, size_t count, uint64_t token,
		    bool async);
size_t em_store_reap(struct em_store_done *done, size_t max, bool wait);
int em_store_grow(uint64_t pages);

/* Which file number our own store has. */
unsigned int em_store_own_file(void);
/* Slots that the store may have at most. */
uint64_t em_store_max_pages(void);

#endif
