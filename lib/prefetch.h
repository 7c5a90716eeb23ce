/* SPDX-License-Identifier: MIT
 *
 * prefetch: what is read before it is touched, where faults are not in sequence.
 *
 * Streams of neighbouring pages are read ahead and mapped (fault.c). All other
 * patterns are the business of a prefetcher: told of the faults of a thread, it
 * guesses pages, and the read-ahead threads put them into standby (standby.h).
 * A guess that was right is a soft fault then instead of a major one; a wrong
 * one is recycled without having been mapped. Which of the two it was is known
 * of every page, so accuracy is measured and throttles: the depth doubles while
 * nearly all guesses are right, halves while most are wrong, and at nothing
 * left only a few are tried to see whether things have changed.
 *
 * The contract with the prefetchers is extmem-policy.h.
 */
#ifndef EM_PREFETCH_H
#define EM_PREFETCH_H

#include "ahead.h"
#include "config.h"
#include "extmem-policy.h"
#include "thread.h"
#include "trace-load.h"

/*
 * Puts a prefetcher in force, also while others run: accuracy is learned anew.
 * 0 or -errno. name: as prefetch.algorithm has it, or a plug-in's path. recorded:
 * what replay follows, or none; taken over. The reclaim lock is held once there
 * are threads. EM_BLOCKS
 */
int em_prefetch_use(const char *name, const struct em_params *params,
		    const struct em_recorded *recorded);
/* In a forked child, which goes on in what is replayed: accuracy is learned anew. */
void em_prefetch_forked(void);
/* A fault of t on a page of no stream. EM_HANDLER */
void em_prefetch_tell(struct em_thread *t, uint64_t page);
/* A page that was guessed has been touched, or recycled untouched. EM_HANDLER */
void em_prefetch_judge(bool used);
/* Reads what a wish names into standby; for a read-ahead thread. EM_BLOCKS */
void em_prefetch_stage(const struct em_wish *w);

#endif
