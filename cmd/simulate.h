/* SPDX-License-Identifier: MIT
 *
 * simulate: what an eviction algorithm, or the optimum, makes of a trace.
 */
#ifndef CMD_SIMULATE_H
#define CMD_SIMULATE_H

#include "config.h"
#include "extmem-policy.h"

struct cmd_trace {
	uint32_t *refs; /* units, each below `units` */
	size_t count;
	uint32_t units;
	uint32_t unit_bytes; /* of a page, or of what a recording has for granules */
};

/* Instead of misses: memory ran out; a victim was not in, against the contract. */
#define CMD_SIMULATE_NOMEM UINT64_MAX
#define CMD_SIMULATE_BROKEN (UINT64_MAX - 1)

/*
 * Misses of the trace with memory for `capacity` units, 1 or more. given: the
 * parameters that have not their defaults, checked.
 */
uint64_t cmd_simulate(const struct extmem_eviction *ops, const struct em_params *given,
		      const struct cmd_trace *trace, uint32_t capacity);
/* The same for Belady's optimum, which knows the future. */
uint64_t cmd_simulate_optimum(const struct cmd_trace *trace, uint32_t capacity);

#endif
