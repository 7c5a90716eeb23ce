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
extern const struct extmem_eviction em_eviction_2q;
extern const struct extmem_eviction em_eviction_car;
extern const struct extmem_eviction em_eviction_s3fifo;
extern const struct extmem_eviction em_eviction_sieve;
extern const struct extmem_eviction em_eviction_clock2qplus;
extern const struct extmem_eviction em_eviction_lirs;
extern const struct extmem_eviction em_eviction_mru;
extern const struct extmem_eviction em_eviction_random;
extern const struct extmem_eviction em_eviction_hyperbolic;

/* The last row of every table of parameters. */
#define EM_PARAMS_END { NULL, 0, 0, 0, NULL, NULL }

/* All of them, in the order of the manual; ends with NULL. */
extern const struct extmem_eviction *const extmem_evictions[];

/* "fifo", "clock" ..., or the path of a plug-in (plugin.h); NULL: there is none. */
const struct extmem_eviction *extmem_eviction_find(const char *name);

#endif
