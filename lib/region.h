/* SPDX-License-Identifier: MIT
 *
 * region: what the program mapped in the window, and the operations that
 * change it: map, unmap, protect, discard, remap.
 *
 * An operation on a range holds the MAP lock, which also keeps reclaim from
 * taking pages out meanwhile, and claims every page of it that was ever
 * touched (state BUSY). So a fault that is under way has ended before the
 * kernel's mapping changes, and one that comes during the change waits.
 * Blocks in which nothing was ever touched are skipped: a reservation of a
 * terabyte costs as little as one of a page.
 *
 * The window stays one reserved, registered range: to map is mprotect(2), to
 * unmap is to drop the pages and mprotect back to PROT_NONE. Where addresses
 * are rationed (window.h) it is mmap(2) and munmap(2).
 *
 * Readers of the regions (faults that map a run, `extmem dump`) take no lock:
 * region_seq in the table's header is odd while the array changes.
 *
 * All functions take page-aligned arguments unless they say otherwise, return
 * 0 or -errno as the system call they stand for would, and block signals
 * while they work. None may be called from the fault handler.
 */
#ifndef EM_REGION_H
#define EM_REGION_H

#include "extmem-policy.h"
#include "rules.h"
#include "segment.h"
#include "util.h"
#include <sys/types.h>

/* Who wants a mapping: the rules of the policy ask. */
struct em_origin {
	enum em_region_source source;
	uintptr_t caller; /* an address in the code that asks, or 0 */
};

/* Finds room for bytes, aligned to a power of two, and maps it. */
int em_region_map(size_t bytes, size_t align, int prot, struct em_origin origin,
		  uintptr_t *addr);
/* Whether a rule leaves such a mapping to the kernel. */
bool em_region_is_unwanted(size_t bytes, int prot, struct em_origin origin);
/* MAP_FIXED: replaces what is there by fresh zeroed memory. */
int em_region_map_at(uintptr_t addr, size_t bytes, int prot, struct em_origin origin);
/*
 * Clears a range for a mapping that the kernel manages (a file put over a
 * reservation); the caller maps it right afterwards.
 */
int em_region_give_away(uintptr_t addr, size_t bytes);
int em_region_unmap(uintptr_t addr, size_t bytes);
int em_region_protect(uintptr_t addr, size_t bytes, int prot);
/* MADV_DONTNEED: the pages read as zero from now on. */
int em_region_discard(uintptr_t addr, size_t bytes);
/* Sets and clears EM_REGION_* flags. */
int em_region_flag(uintptr_t addr, size_t bytes, uint32_t set, uint32_t clear);
/* What the program says of a range. 0, or -ENOMEM where nothing is mapped. */
int em_region_hint(uintptr_t addr, size_t bytes, enum em_hint hint);
/* Tells the policy what the program says of what was touched in a range. */
void em_region_advise(uintptr_t addr, size_t bytes, enum extmem_advice advice);
/* Gives a range a name, cut to 31 bytes; likewise. */
int em_region_name(uintptr_t addr, size_t bytes, const char *name);
/* Other rules hold from now on. */
void em_region_set_rules(const struct em_config *cfg);
/*
 * mlock: the pages of the range do not leave any more. -ENOMEM when that would
 * lock more than three quarters of the limit. Brings nothing in.
 */
int em_region_pin(uintptr_t addr, size_t bytes);
/* mlockall: the same for all that the program may touch, or for nothing. */
int em_region_pin_all(void);
/* mseal: nothing changes these mappings any more. */
int em_region_seal(uintptr_t addr, size_t bytes);
/*
 * In a forked child, the MAP lock held: what it is not to have is taken from
 * it, and nothing is locked.
 */
void em_region_forked(void);
/* mremap; fixed: the address asked for with MREMAP_FIXED, else 0. */
int em_region_remap(uintptr_t addr, size_t old_bytes, size_t new_bytes,
		    int flags, uintptr_t fixed, uintptr_t *moved);

/*
 * The program may have been put on a ration of addresses (RLIMIT_AS): what is
 * reserved and not mapped then goes, and the kernel counts as it would without
 * us. Called where such a limit would make a call fail.
 */
void em_region_fit_space(void);

/* How much of the range is mapped without a gap, from its beginning. No lock. */
size_t em_region_covered(uintptr_t addr, size_t bytes);
/* Whether nothing of the range is mapped. */
bool em_region_is_free(uintptr_t addr, size_t bytes);
/* Whether no page of the range has contents, or is being given some. No lock. */
bool em_region_is_untouched(uintptr_t addr, size_t bytes);
/* Whether all of the range is mapped. No lock. */
bool em_region_covers(uintptr_t addr, size_t bytes);
/* The region that addr lies in, by value; false when there is none. EM_HANDLER */
bool em_region_find(uintptr_t addr, struct em_region *out);
/* The same of the first region that ends after addr. */
bool em_region_next(uintptr_t addr, struct em_region *out);
/* 1 more than the number of the rule that holds for a granule; or 0. EM_HANDLER */
unsigned int em_region_rule_of(uint32_t granule);
/* What may be read ahead of the page at addr: its rule, and what was said of it. EM_HANDLER */
enum em_foresight em_region_foresight(uintptr_t addr);
/* Changes whenever regions do; even when they are at rest. EM_HANDLER */
uint32_t em_region_seq(void);

/* The MAP lock itself, for reclaim and fork. Signals must be blocked. */
void em_map_lock(void);
void em_map_unlock(void);
bool em_map_contended(void);

#endif
