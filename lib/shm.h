/* SPDX-License-Identifier: MIT
 *
 * shm: memory files that other processes of the user can look into.
 *
 * A memfd is found through /proc/PID/fd, is not bounded by the size of
 * /dev/shm and is gone with its process, so there is nothing to sweep.
 * Mappings are not inherited by a forked child: a child that would write into
 * its parent's tables faults instead, until the fork handler has given it
 * tables of its own.
 */
#ifndef EM_SHM_H
#define EM_SHM_H

#include "util.h"

/* A sparse memory file, its descriptor out of the program's way; or -errno. */
int em_shm_create(const char *name, size_t bytes);
/* Maps [offset, offset + bytes) of it at exactly addr. 0 or -errno. */
int em_shm_map(int fd, uintptr_t addr, size_t bytes, uint64_t offset);
/* What is mapped stays out of core dumps but for what this names. EM_HANDLER */
void em_shm_dump(uintptr_t addr, size_t bytes);
void *em_shm_map_anywhere(int fd, size_t bytes);
/* Maps every page of a piece at once, where the kernel can (5.14). */
void em_shm_populate(uintptr_t addr, size_t bytes);

#endif
