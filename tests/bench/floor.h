/* SPDX-License-Identifier: MIT
 *
 * floor: the smallest pager that does what libextmem does: SIGBUS, UFFDIO_COPY,
 * clusters written asynchronously to a file. One area, one policy (first in,
 * first out), no system calls, no fork, no statistics, nothing that a program
 * could not live without. `touch --floor MB` pages its own area with it, so
 * that the same accesses can be timed with the least that any pager must pay.
 */
#ifndef FLOOR_H
#define FLOOR_H

#include <stddef.h>

/*
 * Maps `pages` pages of which `limit` may be in memory, the rest in an unnamed
 * file in `folder`. Ends the process when something is missing.
 */
void *floor_map(size_t pages, size_t limit, const char *folder);

#endif
