/* SPDX-License-Identifier: MIT
 *
 * dense: which granules are come to much more often than others.
 *
 * Pages that are wanted one by one, in no order, may still lie close together: the
 * part of the data that a program comes back to, its tables, the upper part of a
 * tree. Where memory has lost them, each costs a read. If faults were spread evenly
 * over all that is stored, a granule would have one in as many as there are granules.
 * One that has faults in a fourth place within a quarter of that is dense, and comes in
 * whole; of evenly spread ones not one in a hundred is.
 */
#ifndef EM_DENSE_H
#define EM_DENSE_H

#include <stdbool.h>
#include <stdint.h>

/* A fault on a stored page: whether its granule is dense. EM_HANDLER */
bool em_dense_seen(uint64_t page);

#endif
