/* SPDX-License-Identifier: MIT
 *
 * core: the whole, put together once a process.
 *
 * The first allocation or the library's constructor, whichever comes first,
 * starts it; until then, and when it cannot start, every wrapper passes its
 * call on to the kernel or to libc.
 */
#ifndef EM_CORE_H
#define EM_CORE_H

#include "config.h"
#include "delivery.h"
#include "reclaim.h"

/* What the outer layer lends to the core. */
struct em_core_hooks {
	struct em_delivery_hooks delivery;
	void (*started)(void);     /* memory is managed from now on */
};

/*
 * Reads EXTMEM_CONFIG from the environment and starts everything. Returns
 * whether memory is managed. A failure is said in the log, once, and leaves
 * the program unmanaged.
 */
bool em_core_start(const struct em_core_hooks *hooks);
/* Whether memory is managed. EM_HANDLER */
bool em_core_active(void);
const struct em_config *em_core_config(void);

/* The last figures, when the process ends: EXTMEM_STATS names the file. */
void em_core_report(void);
/*
 * The program locks itself in: the file of the last figures is opened now. A child
 * that is forked after that leaves none.
 */
void em_core_settle(void);

#endif
