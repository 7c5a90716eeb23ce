/* SPDX-License-Identifier: MIT
 *
 * policies: the built-in eviction algorithms, one file each, and their
 * registry. Needs nothing of the core: the commands link it, too.
 */
#ifndef EM_POLICIES_H
#define EM_POLICIES_H

#include "extmem-policy.h"

extern const struct extmem_eviction em_eviction_fifo;
extern const struct extmem_eviction em_eviction_clock;
extern const struct extmem_eviction em_eviction_lru;

/* All of them, in the order of the manual; ends with NULL. */
extern const struct extmem_eviction *const extmem_evictions[];

/* "fifo", "clock" ...; NULL when there is none of that name. */
const struct extmem_eviction *extmem_eviction_find(const char *name);

#endif
